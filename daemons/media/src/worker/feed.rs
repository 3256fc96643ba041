//! The hand-over of taps to the record side: one SOCK_SEQPACKET pair for each recording, whose buffer in the
//! kernel is the bound. Nothing here waits: a batch that does not fit is dropped and counted, and the next
//! one that fits is preceded by the number of frames that are missing.

use crate::error::Error;
use media_core::{
    codec::Codec,
    rtp::PayloadType,
    sdp::Coding,
    session::{Batch, Record},
};
use nix::{
    errno::Errno,
    sys::socket::{AddressFamily, MsgFlags, SockFlag, SockType, send, socketpair},
};
use record_api::tap;
use std::{
    collections::BTreeMap,
    os::fd::{AsRawFd, OwnedFd},
};
use types::{Monotonic, RecordingId};

/// A number that no codec has: for what a party sends under a codec's number and is none.
const NOT_SPEECH: PayloadType = PayloadType(127);

/// All hand-overs.
#[derive(Debug, Default)]
pub struct Feeds(BTreeMap<RecordingId, Feed>);

#[derive(Debug, Default)]
struct Feed {
    /// `None` after the record side went away: another pair is made for the next batch.
    socket: Option<OwnedFd>,
    /// Frames dropped since the record side was last told.
    missing: u32,
}

/// What became of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// It is with the record side.
    Delivered,
    /// It was dropped.
    Dropped,
}

impl Feeds {
    /// Makes a pair for a recording that has none; the end for the record side comes back.
    ///
    /// # Errors
    /// [`Error::System`] where no descriptor is left.
    pub fn open(&mut self, recording: RecordingId) -> Result<Option<OwnedFd>, Error> {
        let feed = self.0.entry(recording).or_default();
        if feed.socket.is_some() {
            return Ok(None);
        }
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let (ours, theirs) = socketpair(AddressFamily::Unix, SockType::SeqPacket, None, flags)
            .map_err(Error::errno("making a pair for a recording"))?;
        feed.socket = Some(ours);
        Ok(Some(theirs))
    }

    /// Ends a hand-over: the record side reads to the end and sees it.
    pub fn close(&mut self, now: Monotonic, recording: RecordingId) {
        let missing = self.0.remove(&recording).filter(|feed| feed.missing > 0);
        if let Some(mut feed) = missing
            && !feed.put_missing(now)
        {
            tracing::error!(%recording, frames = feed.missing, "frames are missing, and the record side was not told");
        }
    }

    /// Hands a batch over, or drops it.
    pub fn deliver(&mut self, now: Monotonic, recording: RecordingId, batch: &Batch<'_>) -> Delivery {
        let feed = self.0.entry(recording).or_default();
        let mut packet = tap::Batch::default();
        let mut delivery = Delivery::Delivered;
        let mut frames = 0;
        for (record, payload) in batch.records() {
            let frame = frame(record, payload);
            if !packet.push(&frame) {
                delivery = delivery.and(feed.send(now, &packet.take(), std::mem::take(&mut frames)));
                // A payload alone is at most a datagram long: it fits an empty batch.
                let _fits = packet.push(&frame);
            }
            frames += 1;
        }
        if !packet.is_empty() {
            delivery = delivery.and(feed.send(now, &packet.take(), frames));
        }
        delivery
    }
}

impl Feed {
    fn send(&mut self, now: Monotonic, packet: &[u8], frames: u32) -> Delivery {
        let told = self.missing == 0 || self.put_missing(now);
        if told {
            self.missing = 0;
        }
        if told && self.put(packet) {
            return Delivery::Delivered;
        }
        self.missing = self.missing.saturating_add(frames);
        Delivery::Dropped
    }

    fn put_missing(&mut self, now: Monotonic) -> bool {
        self.put(&tap::Batch::dropped(self.missing, now.0))
    }

    fn put(&mut self, packet: &[u8]) -> bool {
        let Some(socket) = &self.socket else { return false };
        let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
        match send(socket.as_raw_fd(), packet, flags) {
            Ok(_) => true,
            Err(Errno::EAGAIN | Errno::ENOBUFS | Errno::EINTR) => false,
            Err(error) => {
                tracing::warn!(%error, "the record side went away from a feed");
                self.socket = None;
                false
            }
        }
    }
}

impl Delivery {
    const fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Delivered, Self::Delivered) => Self::Delivered,
            _ => Self::Dropped,
        }
    }
}

/// Speech goes under its static payload type (RFC 3551 §6) whatever number the party gave it: the record
/// side knows no session descriptions. Everything else keeps its number, unless it would be taken for speech.
fn frame<'a>(record: &Record, payload: &'a [u8]) -> tap::Frame<'a> {
    let number = record.payload_type;
    let payload_type = match record.coding {
        Some(Coding::Speech(codec)) => codec.payload_type(),
        Some(Coding::TelephoneEvent) | None if Codec::ALL.iter().any(|c| c.payload_type() == number) => {
            NOT_SPEECH
        }
        Some(Coding::TelephoneEvent) | None => number,
    };
    let payload_type = payload_type.0;
    tap::Frame {
        track: record.track.0,
        payload_type,
        sequence: record.sequence,
        timestamp: record.timestamp,
        media_time: record.media_time.0,
        payload,
    }
}
