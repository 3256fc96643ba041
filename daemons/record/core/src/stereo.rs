//! From records back to sound: two channels at 8 kHz, the customer left, the house's side right.
//!
//! Each track lies where it was heard: its first packet by its arrival, the following ones by their RTP
//! timestamps, which are exact to the sample, until timestamps and arrival part by more than
//! [`TRUST`] (another stream, a restart): from there the arrival places it anew. What never came is silence.

use envelope::{Body, Record};
use g711::Law;
use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

/// Samples a second.
const RATE: u64 = 8_000;
/// How far RTP timestamps and arrival may part before the arrival is believed.
const TRUST: u64 = RATE / 5;
/// How late a packet may come behind the newest one and still find its place: what is older has been handed out.
const WINDOW: u64 = 3 * RATE;

/// The most samples that [`Stereo::advance`] appends.
const STEP: u64 = 60 * RATE;

/// Mixes the tracks of one recording. Memory is bounded by the window, whatever the length.
#[derive(Default)]
pub struct Stereo {
    anchors: BTreeMap<u8, Anchor>,
    /// Samples from `written` on, left and right.
    pending: VecDeque<[i32; 2]>,
    written: u64,
}

/// Where a track's timestamps lie in the sound.
struct Anchor {
    timestamp: u32,
    sample: u64,
}

impl Stereo {
    /// Takes a record in the order of the file and appends to `out` what no later record can change:
    /// 16-bit little-endian samples, left and right in turn.
    pub fn push(&mut self, record: &Record<'_>, out: &mut Vec<u8>) {
        let Body::Media(media) = record.body else { return };
        let law = match media.payload_type.0 {
            8 => Law::A,
            0 => Law::Mu,
            _ => return,
        };
        let arrived = samples(record.time);
        self.hand_out(arrived.saturating_sub(WINDOW), out);
        let sample = self.place(record.track.0, media.timestamp.0, arrived);
        let channel = usize::from(record.track.0 != 0);
        for (n, octet) in (0_u64..).zip(media.payload) {
            let Some(at) = (sample + n).checked_sub(self.written).and_then(|at| usize::try_from(at).ok())
            else {
                continue;
            };
            if at >= self.pending.len() {
                self.pending.resize(at + 1, [0; 2]);
            }
            if let Some(slot) = self.pending.get_mut(at) {
                // Any number of packets may claim one place.
                slot[channel] = slot[channel].saturating_add(i32::from(law.expand(*octet)));
            }
        }
    }

    /// Appends at most [`STEP`] of what no record of `time` or later can change; whether there is more of it. A
    /// long silence comes out in pieces by it.
    pub fn advance(&mut self, time: Duration, out: &mut Vec<u8>) -> bool {
        let until = samples(time).saturating_sub(WINDOW);
        let step = self.written.saturating_add(STEP);
        self.hand_out(until.min(step), out);
        until > step
    }

    /// Appends the rest.
    pub fn finish(mut self, out: &mut Vec<u8>) -> u64 {
        self.hand_out(self.written + self.pending.len() as u64, out);
        self.written
    }

    /// The first sample of a packet.
    fn place(&mut self, track: u8, timestamp: u32, arrived: u64) -> u64 {
        if let Some(anchor) = self.anchors.get(&track) {
            // The 32 bits wrap (RFC 3550 §5.1): the shorter way round is meant.
            let ahead = i64::from(timestamp.wrapping_sub(anchor.timestamp).cast_signed());
            if let Some(sample) = anchor.sample.checked_add_signed(ahead)
                && sample.abs_diff(arrived) <= TRUST
            {
                return sample;
            }
        }
        self.anchors.insert(track, Anchor { timestamp, sample: arrived });
        arrived
    }

    fn hand_out(&mut self, until: u64, out: &mut Vec<u8>) {
        while self.written < until {
            for sample in self.pending.pop_front().unwrap_or([0; 2]) {
                let clipped = sample.clamp(i32::from(i16::MIN), i32::from(i16::MAX));
                out.extend_from_slice(&clipped.to_le_bytes()[..2]);
            }
            self.written += 1;
        }
    }
}

fn samples(time: Duration) -> u64 {
    u64::try_from(time.as_nanos() * u128::from(RATE) / 1_000_000_000).unwrap_or(u64::MAX / 2)
}

/// The head of a WAV file (RIFF, Microsoft 1991) of `samples` pairs of 16-bit samples at 8 kHz. A file longer
/// than the format can say, about 37 hours, says the most that it can.
pub fn wav_header(samples: u64) -> [u8; 44] {
    let bytes = u32::try_from(samples.saturating_mul(4)).unwrap_or(u32::MAX).min(u32::MAX - 36);
    let mut header =
        *b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0\x01\0\x02\0\x40\x1f\0\0\0\x7d\0\0\x04\0\x10\0data\0\0\0\0";
    header[4..8].copy_from_slice(&(36 + bytes).to_le_bytes());
    header[40..].copy_from_slice(&bytes.to_le_bytes());
    header
}

#[cfg(test)]
mod tests {
    use super::*;
    use envelope::{Media, PayloadType, RtpTimestamp, Track};

    fn push(stereo: &mut Stereo, out: &mut Vec<u8>, track: u8, ms: u64, timestamp: u32, octet: u8) {
        let body = Body::Media(Media {
            timestamp: RtpTimestamp(timestamp),
            payload_type: PayloadType(8),
            payload: &[octet; 160],
        });
        stereo.push(&Record { track: Track(track), time: Duration::from_millis(ms), body }, out);
    }

    fn channels(out: &[u8]) -> Vec<[i16; 2]> {
        out.chunks_exact(4)
            .map(|b| [i16::from_le_bytes([b[0], b[1]]), i16::from_le_bytes([b[2], b[3]])])
            .collect()
    }

    #[test]
    fn timestamps_place_to_the_sample_whatever_the_jitter() {
        let (mut stereo, mut out) = (Stereo::default(), Vec::new());
        for n in 0..500_u64 {
            let jitter = (n * 7) % 15;
            push(
                &mut stereo,
                &mut out,
                0,
                20 * n + jitter,
                4_294_966_000_u32.wrapping_add(160 * n as u32),
                (n % 256) as u8,
            );
        }
        assert_eq!(stereo.finish(&mut out), 500 * 160);
        for (n, pair) in channels(&out).into_iter().enumerate() {
            assert_eq!(pair, [Law::A.expand((n / 160 % 256) as u8), 0], "sample {n}");
        }
    }

    #[test]
    fn tracks_keep_their_distance_and_gaps_are_silent() {
        let (mut stereo, mut out) = (Stereo::default(), Vec::new());
        push(&mut stereo, &mut out, 0, 0, 0, 1);
        push(&mut stereo, &mut out, 1, 100, 9_000, 2);
        push(&mut stereo, &mut out, 0, 200, 1_600, 3);
        stereo.finish(&mut out);
        let pairs = channels(&out);
        let (one, two, three) = (Law::A.expand(1), Law::A.expand(2), Law::A.expand(3));
        assert_eq!([pairs[0], pairs[159], pairs[160]], [[one, 0], [one, 0], [0, 0]]);
        assert_eq!([pairs[799], pairs[800], pairs[959], pairs[960]], [[0, 0], [0, two], [0, two], [0, 0]]);
        assert_eq!([pairs[1_599], pairs[1_600]], [[0, 0], [three, 0]]);
    }

    #[test]
    fn another_stream_is_placed_by_its_arrival() {
        let (mut stereo, mut out) = (Stereo::default(), Vec::new());
        push(&mut stereo, &mut out, 0, 0, 0, 1);
        push(&mut stereo, &mut out, 0, 1_000, 3_000_000_000, 2);
        push(&mut stereo, &mut out, 0, 1_020, 3_000_000_160, 3);
        stereo.finish(&mut out);
        let pairs = channels(&out);
        assert_eq!(
            [pairs[7_999][0], pairs[8_000][0], pairs[8_160][0]],
            [0, Law::A.expand(2), Law::A.expand(3)]
        );
    }

    #[test]
    fn a_flood_at_one_place_is_clipped() {
        let (mut stereo, mut out) = (Stereo::default(), Vec::new());
        for _ in 0..70_000 {
            let body = Body::Media(Media {
                timestamp: RtpTimestamp(0),
                payload_type: PayloadType(8),
                payload: &[0xaa],
            });
            stereo.push(&Record { track: Track(0), time: Duration::ZERO, body }, &mut out);
        }
        stereo.finish(&mut out);
        assert_eq!(channels(&out), [[i16::MAX, 0]]);
        let [.., a, b, c, d] = wav_header(u64::MAX);
        assert_eq!(u32::from_le_bytes([a, b, c, d]), u32::MAX - 36);
        wav_header(u64::from(u32::MAX / 4));
    }

    #[test]
    fn a_long_silence_comes_in_pieces() {
        let (mut stereo, mut out) = (Stereo::default(), Vec::new());
        push(&mut stereo, &mut out, 0, 0, 0, 1);
        let later = Duration::from_secs(3_600);
        let mut samples = 0;
        while stereo.advance(later, &mut out) {
            assert!(out.len() <= 4 * STEP as usize);
            samples += out.len() / 4;
            out.clear();
        }
        push(&mut stereo, &mut out, 0, 3_600_000, 0, 1);
        stereo.finish(&mut out);
        assert_eq!(samples + out.len() / 4, 3_600 * RATE as usize + 160);
    }

    #[test]
    fn the_header_is_what_players_read() {
        let header = wav_header(8_000);
        assert_eq!(u32::from_le_bytes(header[40..44].try_into().unwrap()), 32_000);
        assert_eq!(u32::from_le_bytes(header[24..28].try_into().unwrap()), 8_000);
        assert_eq!(u32::from_le_bytes(header[28..32].try_into().unwrap()), 32_000);
        assert_eq!(&header[20..24], &[1, 0, 2, 0]);
    }
}
