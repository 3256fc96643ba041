//! Taps: what was received from a party, handed to the record side as it came.
//!
//! Owns the order of one track and the batch of one recording. A packet that overtook others waits for
//! them, for at most [`DEPTH`] packets or [`PATIENCE`]; one that comes later still is handed over late
//! rather than lost. Nothing here is on the way of the audio.

use crate::{rtp, sdp::Coding};
use serde::{Deserialize, Serialize};
use std::time::Duration;
use types::{Monotonic, RecordingId};

/// The oldest record of a batch waits no longer than this.
pub const BATCH: Duration = Duration::from_millis(160);
/// A batch of so many octets goes at once.
const BATCH_OCTETS: usize = 16 << 10;
/// So many packets wait for one that was overtaken.
pub const DEPTH: usize = 8;
/// So long they wait.
pub const PATIENCE: Duration = Duration::from_millis(60);

/// One party's side of a recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Track(pub u8);

/// One packet received from a party, without its payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Whose.
    pub track: Track,
    /// When it came, on this machine's clock: one line for all tracks of a recording.
    pub media_time: Monotonic,
    /// RTP timestamp as it came.
    pub timestamp: u32,
    /// Sequence number as it came.
    pub sequence: u16,
    /// Payload type as it came.
    pub payload_type: rtp::PayloadType,
    /// What that payload type means on this leg; `None` where nothing was agreed of it.
    pub coding: Option<Coding>,
}

/// Records of one recording with their payloads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Batch<'a> {
    /// Counts the batches of the recording from 0: a gap shows one that was dropped on the way.
    pub number: u64,
    pub(super) entries: &'a [Entry],
    pub(super) octets: &'a [u8],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Entry {
    record: Record,
    end: usize,
}

impl<'a> Batch<'a> {
    /// Each record and its payload, in order.
    pub fn records(&self) -> impl Iterator<Item = (&'a Record, &'a [u8])> + use<'a> {
        let (octets, mut start) = (self.octets, 0);
        self.entries.iter().map(move |entry| {
            let payload = octets.get(start..entry.end).unwrap_or_default();
            start = entry.end;
            (&entry.record, payload)
        })
    }
}

/// What a track handed over, told when it ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrackTotals {
    /// Records handed to a batch.
    pub records: u64,
    /// Their payload octets.
    pub octets: u64,
    /// Of them, records that came too late to stand in order.
    pub late: u64,
}

/// A tap on a leg.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Tap {
    pub recording: RecordingId,
    pub track: Track,
    next: Option<u64>,
    // Not kept over a restart: most of what waited was handed over after the snapshot, and would be again.
    #[serde(skip)]
    waiting: Vec<Waiting>,
    pub totals: TrackTotals,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Waiting {
    extended: u64,
    since: Monotonic,
    record: Record,
    payload: Vec<u8>,
}

impl Tap {
    pub const fn new(recording: RecordingId, track: Track) -> Self {
        let totals = TrackTotals { records: 0, octets: 0, late: 0 };
        Self { recording, track, next: None, waiting: Vec::new(), totals }
    }

    /// The party's stream began anew: what waits goes, and numbers are taken from the next packet.
    pub fn restart(&mut self, now: Monotonic, pending: &mut Pending) {
        self.flush(now, pending);
        self.next = None;
    }

    /// Takes a packet that is no duplicate.
    pub fn take(
        &mut self,
        now: Monotonic,
        extended: u64,
        packet: &rtp::Packet<'_>,
        coding: Option<Coding>,
        pending: &mut Pending,
    ) {
        let record = Record {
            track: self.track,
            media_time: now,
            timestamp: packet.timestamp,
            sequence: packet.sequence,
            payload_type: packet.payload_type,
            coding,
        };
        let next = *self.next.get_or_insert(extended);
        let in_order_alone = mutant::mutant("media-overtaken-not-recorded");
        if extended < next && in_order_alone {
            return;
        }
        if extended > next && !in_order_alone {
            let at = self.waiting.partition_point(|waiting| waiting.extended < extended);
            let payload = packet.payload.to_vec();
            self.waiting.insert(at, Waiting { extended, since: now, record, payload });
            if self.waiting.len() > DEPTH {
                self.pass_gap(now, pending);
            }
            return;
        }
        if extended < next {
            self.totals.late += 1;
        } else {
            self.next = Some(extended + 1);
        }
        self.push(now, record, packet.payload, pending);
        self.pass_ready(now, pending);
    }

    /// Lets go what waited long enough.
    pub fn tick(&mut self, now: Monotonic, pending: &mut Pending) {
        while self.waiting.iter().any(|waiting| now.since(waiting.since) >= PATIENCE) {
            self.pass_gap(now, pending);
        }
    }

    /// Lets go all that waits.
    pub fn flush(&mut self, now: Monotonic, pending: &mut Pending) {
        while !self.waiting.is_empty() {
            self.pass_gap(now, pending);
        }
    }

    /// The packet before the first that waits is given up.
    fn pass_gap(&mut self, now: Monotonic, pending: &mut Pending) {
        self.next = self.waiting.first().map(|waiting| waiting.extended).or(self.next);
        self.pass_ready(now, pending);
    }

    fn pass_ready(&mut self, now: Monotonic, pending: &mut Pending) {
        while self.waiting.first().is_some_and(|waiting| Some(waiting.extended) == self.next) {
            let waiting = self.waiting.remove(0);
            self.next = Some(waiting.extended + 1);
            self.push(now, waiting.record, &waiting.payload, pending);
        }
    }

    fn push(&mut self, now: Monotonic, mut record: Record, payload: &[u8], pending: &mut Pending) {
        if self.track == Track(1) {
            if mutant::mutant("media-drop-channel") {
                return;
            }
            if mutant::mutant("media-shift-track") {
                record.media_time = record.media_time.plus(Duration::from_millis(40));
            }
        }
        self.totals.records += 1;
        self.totals.octets += payload.len() as u64;
        pending.push(now, record, payload);
    }
}

/// The batch of one recording while it fills.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Pending {
    pub number: u64,
    /// Batches that the record side did not take.
    pub dropped: u64,
    // Not kept over a restart: what was in a batch that did not go is lost and shows as a gap.
    #[serde(skip)]
    pub since: Option<Monotonic>,
    #[serde(skip)]
    pub entries: Vec<Entry>,
    #[serde(skip)]
    pub octets: Vec<u8>,
}

impl Pending {
    fn push(&mut self, now: Monotonic, record: Record, payload: &[u8]) {
        self.since.get_or_insert(now);
        self.octets.extend(payload);
        self.entries.push(Entry { record, end: self.octets.len() });
    }

    /// Whether the batch is to go.
    pub fn due(&self, now: Monotonic) -> bool {
        self.since.is_some_and(|since| now.since(since) >= BATCH) || self.octets.len() >= BATCH_OCTETS
    }

    pub fn clear(&mut self) {
        self.since = None;
        self.entries.clear();
        self.octets.clear();
        self.number += 1;
    }
}
