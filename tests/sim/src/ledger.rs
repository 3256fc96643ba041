//! What was promised and what came of it: calls against call records, audio against taps.

use crate::line::{STRANGER, spoken_by};
use record_api::Begin;
use report_api::CallRecord;
use std::collections::{BTreeMap, BTreeSet};
use types::{CallId, LegId, Monotonic, RecordingId};

/// Which packet of which party.
type Spoken = (u32, u32);

/// The books.
#[derive(Default)]
pub struct Ledger {
    /// Legs that sip offered, whether route lived to hear of it or not.
    pub offered: BTreeSet<LegId>,
    /// When legs ended, as sip saw it.
    pub ended: BTreeMap<LegId, Monotonic>,
    /// Call records as report keeps them: the first of each call.
    pub records: BTreeMap<CallId, CallRecord>,
    /// Recordings begun, by the caller's leg, with the times that they were finished.
    pub recordings: BTreeMap<RecordingId, (LegId, u32)>,
    /// What came while a tap was set, and what was recorded.
    pub tracks: BTreeMap<(RecordingId, u8), Track>,
    /// Which leg hears which party.
    pub line_of: BTreeMap<LegId, u32>,
    /// What a party heard of another, by place.
    pub heard: BTreeMap<(u32, u32), BTreeSet<u32>>,
    /// Keys that callers pressed, in order.
    pub keys: BTreeMap<u32, String>,
    /// Audio that the house sent twice.
    pub heard_twice: u64,
    pub media_deaths: Vec<Monotonic>,
    pub route_deaths: u32,
    /// Packets of those who had not answered, as they were heard.
    pub early: usize,
    /// What was wrong while it happened.
    pub amiss: Vec<String>,
    came: BTreeSet<(LegId, Spoken)>,
    taps: BTreeMap<LegId, (RecordingId, u8)>,
    tracks_of: BTreeMap<(LegId, RecordingId), u8>,
}

/// One party's side of a recording.
#[derive(Default)]
pub struct Track {
    /// First arrivals: each must be recorded once.
    pub came: BTreeMap<Spoken, Monotonic>,
    /// Later copies: one is recorded where the first came before anything was agreed.
    pub again: BTreeSet<Spoken>,
    pub recorded: BTreeMap<Spoken, u32>,
}

impl Ledger {
    pub fn offered(&mut self, leg: LegId) {
        self.offered.insert(leg);
    }

    pub fn ended(&mut self, leg: LegId, at: Monotonic) {
        self.ended.insert(leg, at);
    }

    pub fn route_died(&mut self) {
        self.route_deaths += 1;
    }

    pub fn pressed(&mut self, line: u32, key: char) {
        self.keys.entry(line).or_default().push(key);
    }

    pub fn knows(&self, recording: RecordingId) -> bool {
        self.recordings.contains_key(&recording)
    }

    pub fn begun(&mut self, begin: &Begin) {
        self.recordings.entry(begin.recording).or_insert((begin.tracks[0].leg, 0));
    }

    pub fn finished(&mut self, recording: RecordingId) {
        if let Some((_, times)) = self.recordings.get_mut(&recording) {
            *times += 1;
        }
    }

    pub fn saved(&mut self, record: CallRecord) {
        self.records.entry(record.call).or_insert(record);
    }

    pub fn tapped(&mut self, leg: LegId, recording: RecordingId, track: u8) {
        self.taps.insert(leg, (recording, track));
        self.tracks_of.insert((leg, recording), track);
        self.tracks.entry((recording, track)).or_default();
    }

    pub fn untapped(&mut self, recording: RecordingId, track: u8) {
        self.taps.retain(|_, tap| *tap != (recording, track));
    }

    pub fn media_died(&mut self, now: Monotonic) {
        self.media_deaths.push(now);
    }

    /// The taps of another life of media.
    pub fn restored(&mut self, legs: &[(LegId, Option<RecordingId>)]) {
        self.taps.clear();
        for (leg, recording) in legs {
            let known =
                recording.and_then(|recording| Some((recording, *self.tracks_of.get(&(*leg, recording))?)));
            self.taps.extend(known.map(|tap| (*leg, tap)));
        }
    }

    /// A packet reached a leg.
    pub fn came(&mut self, now: Monotonic, leg: LegId, payload: &[u8]) {
        let Some(spoken) = spoken_by(payload).filter(|(number, _)| *number != STRANGER) else { return };
        self.line_of.insert(leg, spoken.0);
        let first = self.came.insert((leg, spoken));
        if let Some(tap) = self.taps.get(&leg) {
            let track = self.tracks.entry(*tap).or_default();
            if first {
                track.came.insert(spoken, now);
            } else {
                track.again.insert(spoken);
            }
        }
    }

    /// A packet was handed to a recording.
    pub fn recorded(&mut self, recording: RecordingId, track: u8, payload: &[u8]) {
        if let Some(spoken) = spoken_by(payload) {
            let track = self.tracks.entry((recording, track)).or_default();
            *track.recorded.entry(spoken).or_default() += 1;
        }
    }

    /// A packet was sent to a party.
    pub fn heard(&mut self, leg: LegId, by: u32, payload: &[u8]) {
        self.line_of.insert(leg, by);
        if let Some((speaker, place)) = spoken_by(payload) {
            let fresh = self.heard.entry((speaker, by)).or_default().insert(place);
            self.heard_twice += u64::from(!fresh);
        }
    }
}
