//! From records back to sound: two channels, the customer left, the house's side right, at 8 kHz, or at 16 kHz where
//! a party spoke G.722: nothing that was said is left out, and what is telephone speech alone stays sample for sample.
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

/// Ticks of the RTP clock in a second, of every codec that a leg can have; a sample each of G.711, two of G.722
/// (RFC 3551 §4.5.2).
const RATE: u64 = 8_000;
/// How far RTP timestamps and arrival may part before the arrival is believed.
const TRUST: u64 = RATE / 5;
/// How late a packet may come behind the newest one and still find its place: what is older has been handed out.
const WINDOW: u64 = 3 * RATE;

/// The most ticks that [`Stereo::advance`] appends the samples of.
const STEP: u64 = 60 * RATE;

/// Samples a second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rate {
    /// 8 kHz: telephone speech; of G.722 its low band.
    #[default]
    Narrow,
    /// 16 kHz.
    Wide,
}

impl Rate {
    /// Samples of one channel in a tick.
    const fn samples(self) -> u64 {
        match self {
            Self::Narrow => 1,
            Self::Wide => 2,
        }
    }
}

/// Mixes the tracks of one recording. Memory is bounded by the window, whatever the length.
#[derive(Default)]
pub struct Stereo {
    rate: Rate,
    anchors: BTreeMap<u8, Anchor>,
    decoders: BTreeMap<u8, Decoders>,
    scratch: Vec<i16>,
    /// Ticks from `written` on.
    pending: VecDeque<Tick>,
    written: u64,
    doublers: [g722::Doubler; 2],
    heard: Rate,
}

/// Of one track: what came before decides what a payload sounds like.
#[derive(Default)]
struct Decoders {
    g722: g722::Decoder,
    g729: g729::Decoder,
}

/// How a payload is read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Coding {
    G711(Law),
    G722,
    G729,
}

/// What is heard in a tick, left and right.
#[derive(Clone, Copy, Default)]
struct Tick {
    /// Of telephone speech.
    narrow: [i32; 2],
    /// Of G.722, two samples of each channel.
    wide: [[i32; 2]; 2],
}

/// Where a track's timestamps lie in the sound.
struct Anchor {
    timestamp: u32,
    sample: u64,
}

impl Stereo {
    /// A mix at this rate.
    pub fn new(rate: Rate) -> Self {
        Self { rate, ..Self::default() }
    }

    /// The rate at which all that was pushed so far is heard whole.
    pub const fn heard(&self) -> Rate {
        self.heard
    }

    /// Takes a record in the order of the file and appends to `out` what no later record can change:
    /// 16-bit little-endian samples, left and right in turn.
    pub fn push(&mut self, record: &Record<'_>, out: &mut Vec<u8>) {
        let Body::Media(media) = record.body else { return };
        let coding = match media.payload_type.0 {
            8 => Coding::G711(Law::A),
            0 => Coding::G711(Law::Mu),
            9 => Coding::G722,
            18 => Coding::G729,
            _ => return,
        };
        if coding == Coding::G722 && !mutant::mutant("export-narrows-wideband") {
            self.heard = Rate::Wide;
        }
        let arrived = ticks(record.time);
        self.hand_out(arrived.saturating_sub(WINDOW), out);
        let first = self.place(record.track.0, media.timestamp.0, arrived);
        let channel = usize::from(record.track.0 != 0);
        let Decoders { g722, g729 } = self.decoders.entry(record.track.0).or_default();
        // Telephone speech has a sample for each tick, wideband speech two.
        self.scratch.clear();
        match (coding, self.rate) {
            (Coding::G711(law), _) => self.scratch.extend(media.payload.iter().map(|o| law.expand(*o))),
            (Coding::G722, Rate::Narrow) => {
                self.scratch.extend(media.payload.iter().map(|octet| g722.decode_narrow(*octet)));
            }
            (Coding::G722, Rate::Wide) => {
                self.scratch.extend(media.payload.iter().flat_map(|octet| g722.decode(*octet)));
            }
            (Coding::G729, _) if mutant::mutant("export-mistakes-g729") => {
                self.scratch.extend(media.payload.iter().map(|octet| Law::A.expand(*octet)));
            }
            (Coding::G729, _) => g729.decode(media.payload, &mut self.scratch),
        }
        let wide = coding == Coding::G722 && self.rate == Rate::Wide;
        for (n, samples) in (0_u64..).zip(self.scratch.chunks_exact(if wide { 2 } else { 1 })) {
            let mut said = Tick::default();
            match *samples {
                [first, second] => said.wide[channel] = [first.into(), second.into()],
                [sample] => said.narrow[channel] = sample.into(),
                _ => {}
            }
            let Some(at) = (first + n).checked_sub(self.written).and_then(|at| usize::try_from(at).ok())
            else {
                continue;
            };
            if at >= self.pending.len() {
                self.pending.resize(at + 1, Tick::default());
            }
            if let Some(tick) = self.pending.get_mut(at) {
                tick.add(channel, &said);
            }
        }
    }

    /// Appends at most [`STEP`] of what no record of `time` or later can change; whether there is more of it. A
    /// long silence comes out in pieces by it.
    pub fn advance(&mut self, time: Duration, out: &mut Vec<u8>) -> bool {
        let until = ticks(time).saturating_sub(WINDOW);
        let step = self.written.saturating_add(STEP);
        self.hand_out(until.min(step), out);
        until > step
    }

    /// Appends the rest, and says how many samples each channel has.
    pub fn finish(mut self, out: &mut Vec<u8>) -> u64 {
        self.hand_out(self.written + self.pending.len() as u64, out);
        self.written * self.rate.samples()
    }

    /// The first tick of a packet.
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
            let Tick { narrow, wide } = self.pending.pop_front().unwrap_or_default();
            match self.rate {
                Rate::Narrow => {
                    narrow.into_iter().for_each(|sample| out.extend(clipped(sample).to_le_bytes()))
                }
                Rate::Wide => {
                    let [left, right] = &mut self.doublers;
                    let (left, right) = (left.double(clipped(narrow[0])), right.double(clipped(narrow[1])));
                    for at in 0..2 {
                        for (doubled, [first, second]) in [(left, wide[0]), (right, wide[1])] {
                            let sum = i32::from(doubled[at]).saturating_add([first, second][at]);
                            out.extend(clipped(sum).to_le_bytes());
                        }
                    }
                }
            }
            self.written += 1;
        }
    }
}

impl Tick {
    /// Any number of packets may claim one place.
    fn add(&mut self, channel: usize, said: &Self) {
        self.narrow[channel] = self.narrow[channel].saturating_add(said.narrow[channel]);
        for (sample, more) in self.wide[channel].iter_mut().zip(said.wide[channel]) {
            *sample = sample.saturating_add(more);
        }
    }
}

fn clipped(sample: i32) -> i16 {
    sample.clamp(i16::MIN.into(), i16::MAX.into()) as i16
}

fn ticks(time: Duration) -> u64 {
    u64::try_from(time.as_nanos() * u128::from(RATE) / 1_000_000_000).unwrap_or(u64::MAX / 2)
}

/// The head of a WAV file (RIFF, Microsoft 1991) of `samples` pairs of 16-bit samples. A file longer than the format
/// can say, about 37 hours at 8 kHz, says the most that it can.
pub fn wav_header(rate: Rate, samples: u64) -> [u8; 44] {
    let bytes = u32::try_from(samples.saturating_mul(4)).unwrap_or(u32::MAX).min(u32::MAX - 36);
    let hertz = (RATE * rate.samples()) as u32;
    let mut header = *b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0\x01\0\x02\0\0\0\0\0\0\0\0\0\x04\0\x10\0data\0\0\0\0";
    header[4..8].copy_from_slice(&(36 + bytes).to_le_bytes());
    header[24..28].copy_from_slice(&hertz.to_le_bytes());
    header[28..32].copy_from_slice(&(4 * hertz).to_le_bytes());
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

    /// The customer speaks G.722 and says 1 kHz and 6 kHz, the agent G.711 and says 700 Hz, half a second later.
    #[test]
    fn wideband_speech_is_heard_wide_and_telephone_speech_beside_it() {
        let sine = |hertz: f64, rate: f64, at: u64| {
            (at as f64 * hertz / rate * std::f64::consts::TAU).sin() * 6_000.0
        };
        let mut encoder = g722::Encoder::default();
        let packets: Vec<(u8, u64, u8, Vec<u8>)> = (0..50)
            .flat_map(|n: u64| {
                let wide = |at| (sine(1_000.0, 16_000.0, at) + sine(6_000.0, 16_000.0, at)) as i16;
                let customer =
                    (n * 160..n * 160 + 160).map(|at| encoder.encode([wide(2 * at), wide(2 * at + 1)]));
                let agent =
                    (n * 160..n * 160 + 160).map(|at| Law::A.compress(sine(700.0, 8_000.0, at) as i16));
                [(0, 20 * n, 9, customer.collect()), (1, 500 + 20 * n, 8, agent.collect())]
            })
            .collect();
        let mix = |rate: Rate| {
            let (mut stereo, mut out) = (Stereo::new(rate), Vec::new());
            for (track, ms, kind, payload) in &packets {
                let timestamp = RtpTimestamp((ms * 8) as u32);
                let body = Body::Media(Media { timestamp, payload_type: PayloadType(*kind), payload });
                let record = Record { track: Track(*track), time: Duration::from_millis(*ms), body };
                stereo.push(&record, &mut out);
            }
            let heard = stereo.heard();
            (stereo.finish(&mut out), heard, channels(&out))
        };
        let (samples, heard, _) = mix(Rate::Narrow);
        assert_eq!(
            (samples, heard),
            (12_000, Rate::Wide),
            "the first reading says what the second has to be"
        );
        let (samples, _, pairs) = mix(heard);
        assert_eq!((samples, pairs.len()), (24_000, 24_000));
        // How strong a tone is in a channel, by Fourier.
        let level = |channel: usize, hertz: f64, range: std::ops::Range<usize>| {
            let (mut a, mut b) = (0.0, 0.0);
            for at in range.clone() {
                let angle = at as f64 * hertz / 16_000.0 * std::f64::consts::TAU;
                a += f64::from(pairs[at][channel]) * angle.sin();
                b += f64::from(pairs[at][channel]) * angle.cos();
            }
            a.hypot(b) * 2.0 / range.len() as f64
        };
        assert!((5_500.0..6_500.0).contains(&level(0, 1_000.0, 1_600..14_400)));
        assert!((4_500.0..6_500.0).contains(&level(0, 6_000.0, 1_600..14_400)), "beyond telephone speech");
        assert!((5_800.0..6_200.0).contains(&level(1, 700.0, 9_600..22_400)));
        assert!(level(1, 7_300.0, 9_600..22_400) < 60.0, "no mirror of 700 Hz");
        assert!(pairs[..7_900].iter().all(|pair| pair[1].abs() < 10), "the agent is not there yet");
        assert!(pairs[16_200..].iter().all(|pair| pair[0].abs() < 200), "the customer is there no more");
    }

    /// The customer's carrier speaks G.729 and says 500 Hz, the agent G.711 and says 700 Hz; a packet is lost.
    #[test]
    fn speech_of_eight_kilobits_is_heard_beside_the_others() {
        const TONE: &[u8] = include_bytes!("../../../../appliance/g729/vectors/tone.g729");
        let (mut stereo, mut out) = (Stereo::default(), Vec::new());
        for (n, payload) in (0_u64..).zip(TONE.chunks(20)) {
            let agent: Vec<u8> = (n * 160..n * 160 + 160)
                .map(|at| (at as f64 * 700.0 / 8_000.0 * std::f64::consts::TAU).sin() * 6_000.0)
                .map(|sample| Law::A.compress(sample as i16))
                .collect();
            for (track, kind, payload) in [(0, 18, payload), (1, 8, agent.as_slice())] {
                if (track, n) == (0, 40) {
                    continue;
                }
                let timestamp = RtpTimestamp(160 * n as u32);
                let body = Body::Media(Media { timestamp, payload_type: PayloadType(kind), payload });
                let time = Duration::from_millis(20 * n);
                stereo.push(&Record { track: Track(track), time, body }, &mut out);
            }
        }
        assert_eq!((stereo.heard(), stereo.finish(&mut out)), (Rate::Narrow, 8_000));
        let pairs = channels(&out);
        let level = |channel: usize, hertz: f64, range: std::ops::Range<usize>| {
            let (mut a, mut b) = (0.0, 0.0);
            for at in range.clone() {
                let angle = at as f64 * hertz / 8_000.0 * std::f64::consts::TAU;
                a += f64::from(pairs[at][channel]) * angle.sin();
                b += f64::from(pairs[at][channel]) * angle.cos();
            }
            a.hypot(b) * 2.0 / range.len() as f64
        };
        assert!(
            (7_000.0..9_000.0).contains(&level(0, 500.0, 2_000..6_400)),
            "{}",
            level(0, 500.0, 2_000..6_400)
        );
        assert!((5_800.0..6_200.0).contains(&level(1, 700.0, 2_000..8_000)));
        assert!(pairs[6_400..6_560].iter().all(|pair| pair[0] == 0), "what never came is silence");
        assert!(level(0, 500.0, 7_000..8_000) > 6_000.0, "and it finds back");
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
        let [.., a, b, c, d] = wav_header(Rate::Narrow, u64::MAX);
        assert_eq!(u32::from_le_bytes([a, b, c, d]), u32::MAX - 36);
        wav_header(Rate::Narrow, u64::from(u32::MAX / 4));
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
        let header = wav_header(Rate::Narrow, 8_000);
        assert_eq!(u32::from_le_bytes(header[40..44].try_into().unwrap()), 32_000);
        assert_eq!(u32::from_le_bytes(header[24..28].try_into().unwrap()), 8_000);
        assert_eq!(u32::from_le_bytes(header[28..32].try_into().unwrap()), 32_000);
        assert_eq!(&header[20..24], &[1, 0, 2, 0]);
        let header = wav_header(Rate::Wide, 16_000);
        assert_eq!(u32::from_le_bytes(header[24..28].try_into().unwrap()), 16_000);
        assert_eq!(u32::from_le_bytes(header[28..32].try_into().unwrap()), 64_000);
    }
}
