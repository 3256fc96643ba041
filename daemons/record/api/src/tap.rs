//! The framing of taps: what media sends to record on a SOCK_SEQPACKET pair, one batch a packet.
//!
//! ```text
//!  batch  = magic "YT" ‖ version 1 ‖ kind u8 ‖ count u16 ‖ count × frame          (integers big-endian)
//!  frame  = track u8 ‖ payload type u8 ‖ sequence u16 ‖ RTP timestamp u32 ‖ media time u64 ‖ length u16 ‖ bytes
//! ```
//!
//! Media time is CLOCK_MONOTONIC in nanoseconds at the packet's arrival. Kind 0 is audio; kind 1 says how
//! many frames were dropped before this batch, in one frame of no bytes whose timestamp is that number.
//! A batch holds at most [`MAX_BATCH`] bytes.

/// The longest batch, in bytes.
pub const MAX_BATCH: usize = 16 << 10;
const MAGIC: [u8; 3] = *b"YT\x01";
const HEADER: usize = 6;
const FRAME: usize = 18;

/// One RTP packet as it came from a party.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// The party's track.
    pub track: u8,
    /// RTP payload type (RFC 3550 §5.1).
    pub payload_type: u8,
    /// RTP sequence number.
    pub sequence: u16,
    /// RTP timestamp.
    pub timestamp: u32,
    /// CLOCK_MONOTONIC at arrival, in nanoseconds.
    pub media_time: u64,
    /// The payload.
    pub payload: &'a [u8],
}

/// What a batch says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Audio.
    Audio,
    /// Frames were dropped before.
    Dropped,
}

/// Builds one batch.
#[derive(Debug, Default)]
pub struct Batch {
    bytes: Vec<u8>,
    count: u16,
}

impl Batch {
    /// Adds a frame; `false` where the batch is full and has to be sent first.
    pub fn push(&mut self, frame: &Frame<'_>) -> bool {
        if self.bytes.is_empty() {
            self.bytes.extend_from_slice(&MAGIC);
            self.bytes.extend_from_slice(&[0, 0, 0]);
        }
        let Ok(length) = u16::try_from(frame.payload.len()) else { return false };
        if self.bytes.len() + FRAME + frame.payload.len() > MAX_BATCH || self.count == u16::MAX {
            return false;
        }
        self.bytes.extend_from_slice(&[frame.track, frame.payload_type]);
        self.bytes.extend_from_slice(&frame.sequence.to_be_bytes());
        self.bytes.extend_from_slice(&frame.timestamp.to_be_bytes());
        self.bytes.extend_from_slice(&frame.media_time.to_be_bytes());
        self.bytes.extend_from_slice(&length.to_be_bytes());
        self.bytes.extend_from_slice(frame.payload);
        self.count += 1;
        true
    }

    /// Whether nothing is in it.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The packet to send; the batch is empty afterwards.
    pub fn take(&mut self) -> Vec<u8> {
        let mut bytes = std::mem::take(&mut self.bytes);
        if let Some(count) = bytes.get_mut(4..HEADER) {
            count.copy_from_slice(&self.count.to_be_bytes());
        }
        self.count = 0;
        bytes
    }

    /// The packet that tells of `frames` dropped frames at `media_time`.
    pub fn dropped(frames: u32, media_time: u64) -> Vec<u8> {
        let mut batch = Self::default();
        let frame =
            Frame { track: 0, payload_type: 0, sequence: 0, timestamp: frames, media_time, payload: &[] };
        // An empty batch has room for one frame.
        let _fits = batch.push(&frame);
        let mut bytes = batch.take();
        if let Some(kind) = bytes.get_mut(3) {
            *kind = 1;
        }
        bytes
    }
}

/// Reads a batch: its kind and its frames. `None` where it is not a whole one.
pub fn read(bytes: &[u8]) -> Option<(Kind, Vec<Frame<'_>>)> {
    let (header, mut rest) = bytes.split_at_checked(HEADER)?;
    let kind = match header.strip_prefix(&MAGIC)?.first()? {
        0 => Kind::Audio,
        1 => Kind::Dropped,
        _ => return None,
    };
    let count = u16::from_be_bytes([header[4], header[5]]);
    let mut frames = Vec::with_capacity(usize::from(count).min(MAX_BATCH / FRAME));
    for _ in 0..count {
        let (fixed, after) = rest.split_first_chunk::<FRAME>()?;
        let [track, payload_type, s0, s1, t0, t1, t2, t3, m @ .., l0, l1] = *fixed;
        let (payload, after) = after.split_at_checked(usize::from(u16::from_be_bytes([l0, l1])))?;
        frames.push(Frame {
            track,
            payload_type,
            sequence: u16::from_be_bytes([s0, s1]),
            timestamp: u32::from_be_bytes([t0, t1, t2, t3]),
            media_time: u64::from_be_bytes(m),
            payload,
        });
        rest = after;
    }
    let sound = match kind {
        Kind::Audio => true,
        Kind::Dropped => matches!(frames[..], [Frame { payload: [], .. }]),
    };
    (sound && rest.is_empty()).then_some((kind, frames))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_reads_back_and_nothing_shorter_or_longer_does() {
        let frame = |n: u16| Frame {
            track: 1,
            payload_type: 8,
            sequence: n,
            timestamp: 160 * u32::from(n),
            media_time: 20_000_000 * u64::from(n),
            payload: &[0xd5; 160],
        };
        let mut batch = Batch::default();
        assert!((0..10).all(|n| batch.push(&frame(n))));
        let bytes = batch.take();
        let (kind, frames) = read(&bytes).unwrap();
        assert_eq!((kind, frames.len(), frames[9]), (Kind::Audio, 10, frame(9)));
        assert!((0..bytes.len()).all(|end| read(&bytes[..end]).is_none()));
        assert!(read(&[&bytes[..], &[0]].concat()).is_none());
        assert!(batch.is_empty());
        let dropped = Batch::dropped(7, 3);
        assert_eq!(read(&dropped).unwrap().0, Kind::Dropped);
        let mut twice = [&dropped[..], &dropped[HEADER..]].concat();
        twice[5] = 2;
        assert!(read(&twice).is_none(), "one word a packet, for each makes a gap in every track");
    }

    #[test]
    fn a_full_batch_refuses_and_stays_readable() {
        let mut batch = Batch::default();
        let frame =
            Frame { track: 0, payload_type: 0, sequence: 0, timestamp: 0, media_time: 0, payload: &[0; 160] };
        let pushed = (0..1000).take_while(|_| batch.push(&frame)).count();
        let bytes = batch.take();
        assert!(bytes.len() <= MAX_BATCH);
        assert_eq!(read(&bytes).unwrap().1.len(), pushed);
    }
}
