//! WAV files of prompts: 16-bit PCM of 8 to 48 kHz or G.711, of one channel or two.
//!
//! Owns a bounded reader of the RIFF form; never a file. What it gives is the audio at 8 kHz in both laws, so that
//! playing copies octets: other rates are resampled, two channels mixed, once, when the file is read.

use crate::{Error, g711::Law, sound::resample};
use std::time::Duration;

/// The longest prompt: 16 MiB of PCM at 8 kHz are 17 minutes.
pub const MAX_FILE: usize = 16 << 20;

const PCM: u16 = 1;
const ALAW: u16 = 6;
const MULAW: u16 = 7;
/// WAVE_FORMAT_EXTENSIBLE: the coding stands further on, in the first octets of its sub-format.
const EXTENSIBLE: u16 = 0xfffe;

/// The audio of a file in both laws, one octet for each sample of 125 µs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Audio {
    alaw: Box<[u8]>,
    mulaw: Box<[u8]>,
}

impl Audio {
    /// Reads a RIFF WAVE file.
    ///
    /// # Errors
    /// [`Error::Wav`] where it is cut off, longer than [`MAX_FILE`], silent of its format, empty, or of a rate,
    /// coding or number of channels beyond those of this module.
    pub fn parse(file: &[u8]) -> Result<Self, Error> {
        if file.len() > MAX_FILE {
            return Err(Error::Wav("longer than 16 MiB"));
        }
        let Some(([b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'A', b'V', b'E'], mut rest)) =
            file.split_first_chunk::<12>()
        else {
            return Err(Error::Wav("no RIFF WAVE form"));
        };
        let mut format = None;
        loop {
            let Chunk { name, body, after } = chunk(rest)?;
            match name {
                b"fmt " => format = Some(read_format(body)?),
                b"data" => return Self::decode(format.ok_or(Error::Wav("no format before the data"))?, body),
                _ => {}
            }
            rest = after;
        }
    }

    /// Octets in `law`.
    pub fn octets(&self, law: Law) -> &[u8] {
        match law {
            Law::A => &self.alaw,
            Law::Mu => &self.mulaw,
        }
    }

    /// How long it lasts.
    pub fn duration(&self) -> Duration {
        Duration::from_micros(self.alaw.len() as u64 * 125)
    }

    /// Audio of samples at 8 kHz.
    pub fn of_samples(samples: &[i16]) -> Self {
        let in_law = |law: Law| samples.iter().map(|sample| law.compress(*sample)).collect();
        Self { alaw: in_law(Law::A), mulaw: in_law(Law::Mu) }
    }

    fn decode(format: Format, data: &[u8]) -> Result<Self, Error> {
        if data.is_empty() {
            return Err(Error::Wav("no samples"));
        }
        let samples: Vec<i16> = match format.coding {
            Coding::Pcm16 => {
                let (samples, rest) = data.as_chunks::<2>();
                if !rest.is_empty() {
                    return Err(Error::Wav("half a sample at the end"));
                }
                samples.iter().map(|sample| i16::from_le_bytes(*sample)).collect()
            }
            // Octets stay as they are.
            Coding::G711(from) if format.rate == 8000 && format.channels == 1 => {
                let in_law = |law: Law| data.iter().map(|octet| from.convert(*octet, law)).collect();
                return Ok(Self { alaw: in_law(Law::A), mulaw: in_law(Law::Mu) });
            }
            Coding::G711(from) => data.iter().map(|octet| from.expand(*octet)).collect(),
        };
        let samples = if format.channels == 2 {
            let (pairs, rest) = samples.as_chunks::<2>();
            if !rest.is_empty() {
                return Err(Error::Wav("half a pair of samples at the end"));
            }
            // Half of the sum fits.
            pairs.iter().map(|[left, right]| ((i32::from(*left) + i32::from(*right)) / 2) as i16).collect()
        } else {
            samples
        };
        let samples = resample(&samples, format.rate);
        if samples.is_empty() {
            return Err(Error::Wav("no samples"));
        }
        Ok(Self::of_samples(&samples))
    }
}

#[derive(Clone, Copy)]
struct Format {
    coding: Coding,
    rate: u32,
    channels: u16,
}

#[derive(Clone, Copy)]
enum Coding {
    Pcm16,
    G711(Law),
}

struct Chunk<'a> {
    name: &'a [u8; 4],
    body: &'a [u8],
    after: &'a [u8],
}

fn chunk(rest: &[u8]) -> Result<Chunk<'_>, Error> {
    let Some((name, [l0, l1, l2, l3, body @ ..])) = rest.split_first_chunk::<4>() else {
        return Err(Error::Wav("no data chunk"));
    };
    let length = u32::from_le_bytes([*l0, *l1, *l2, *l3]) as usize;
    let (body, after) = body.split_at_checked(length).ok_or(Error::Wav("a chunk is cut off"))?;
    // Chunks begin at even offsets.
    Ok(Chunk { name, body, after: after.get(length % 2..).unwrap_or_default() })
}

fn read_format(body: &[u8]) -> Result<Format, Error> {
    let Some(&[t0, t1, c0, c1, r0, r1, r2, r3, _, _, _, _, _, _, b0, b1]) = body.first_chunk::<16>() else {
        return Err(Error::Wav("the format is cut off"));
    };
    let channels = u16::from_le_bytes([c0, c1]);
    if !(1..=2).contains(&channels) {
        return Err(Error::Wav("neither one channel nor two"));
    }
    let rate = u32::from_le_bytes([r0, r1, r2, r3]);
    if !(8000..=48_000).contains(&rate) {
        return Err(Error::Wav("the rate is not between 8 and 48 kHz"));
    }
    let tag = match u16::from_le_bytes([t0, t1]) {
        EXTENSIBLE => match body.get(24..26) {
            Some(&[s0, s1]) => u16::from_le_bytes([s0, s1]),
            _ => return Err(Error::Wav("the format is cut off")),
        },
        tag => tag,
    };
    let coding = match (tag, u16::from_le_bytes([b0, b1])) {
        (PCM, 16) => Coding::Pcm16,
        (ALAW, 8) => Coding::G711(Law::A),
        (MULAW, 8) => Coding::G711(Law::Mu),
        _ => return Err(Error::Wav("the coding is neither 16-bit PCM nor G.711")),
    };
    Ok(Format { coding, rate, channels })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn file(tag: u16, channels: u16, rate: u32, bits: u16, data: &[u8]) -> Vec<u8> {
        let mut format = [tag.to_le_bytes(), channels.to_le_bytes()].concat();
        format.extend(rate.to_le_bytes());
        format.extend([0; 6]);
        format.extend(bits.to_le_bytes());
        let chunk = |name: &[u8], body: &[u8]| {
            let mut chunk = [name, &(body.len() as u32).to_le_bytes(), body].concat();
            chunk.extend(vec![0; body.len() % 2]);
            chunk
        };
        let chunks = [chunk(b"fmt ", &format), chunk(b"LIST", b"odd"), chunk(b"data", data)].concat();
        [b"RIFF", &(chunks.len() as u32 + 4).to_le_bytes()[..], b"WAVE", &chunks].concat()
    }

    #[test]
    fn reads_each_coding() {
        let pcm: Vec<u8> = [0i16, 8, -8, 32767, -32768].iter().flat_map(|s| s.to_le_bytes()).collect();
        let audio = Audio::parse(&file(PCM, 1, 8000, 16, &pcm)).unwrap();
        assert_eq!(audio.octets(Law::A), [0xd5, 0xd5, 0x55, 0xaa, 0x2a]);
        assert_eq!(audio.octets(Law::Mu), [0xff, 0xfe, 0x7e, 0x80, 0x00]);
        assert_eq!(audio.duration(), Duration::from_micros(625));
        let audio = Audio::parse(&file(ALAW, 1, 8000, 8, &[0x2a; 160])).unwrap();
        assert_eq!(audio.octets(Law::A), [0x2a; 160]);
        let audio = Audio::parse(&file(MULAW, 1, 8000, 8, &[0x80; 80])).unwrap();
        assert_eq!((audio.octets(Law::Mu), audio.duration()), (&[0x80; 80][..], Duration::from_millis(10)));
    }

    /// A second of 1 kHz as the trade's tools write it.
    #[test]
    fn other_rates_and_two_channels_become_one_at_8_khz() {
        let tone = |rate: u32| {
            (0..rate).map(move |at| {
                ((f64::from(at) * 1000.0 / f64::from(rate) * std::f64::consts::TAU).sin() * 8000.0) as i16
            })
        };
        for rate in [8000, 16_000, 22_050, 44_100, 48_000] {
            let one: Vec<u8> = tone(rate).flat_map(i16::to_le_bytes).collect();
            let two: Vec<u8> =
                tone(rate).flat_map(|sample| [sample, sample]).flat_map(i16::to_le_bytes).collect();
            let audio = Audio::parse(&file(PCM, 1, rate, 16, &one)).unwrap();
            assert_eq!(audio.duration(), Duration::from_secs(1), "{rate}");
            let loudest = audio.octets(Law::A).iter().map(|octet| Law::A.expand(*octet)).max().unwrap();
            assert!((7800..8300).contains(&loudest), "{rate}: {loudest}");
            assert_eq!(Audio::parse(&file(PCM, 2, rate, 16, &two)).unwrap(), audio, "{rate}");
        }
    }

    #[test]
    fn refuses_the_rest_with_a_reason() {
        let why = |file: &[u8]| match Audio::parse(file) {
            Err(Error::Wav(reason)) => reason,
            other => panic!("{other:?}"),
        };
        assert_eq!(why(&file(PCM, 6, 8000, 16, &[0; 12])), "neither one channel nor two");
        assert_eq!(why(&file(PCM, 2, 8000, 16, &[0; 6])), "half a pair of samples at the end");
        assert_eq!(why(&file(PCM, 1, 6000, 16, &[0; 4])), "the rate is not between 8 and 48 kHz");
        assert_eq!(why(&file(PCM, 1, 96_000, 16, &[0; 4])), "the rate is not between 8 and 48 kHz");
        assert_eq!(why(&file(PCM, 1, 48_000, 16, &[0; 4])), "no samples");
        assert_eq!(why(&file(EXTENSIBLE, 1, 8000, 16, &[0; 4])), "the format is cut off");
        assert_eq!(why(&file(PCM, 1, 8000, 8, &[0; 4])), "the coding is neither 16-bit PCM nor G.711");
        assert_eq!(why(&file(PCM, 1, 8000, 16, &[0; 3])), "half a sample at the end");
        assert_eq!(why(&file(ALAW, 1, 8000, 8, &[])), "no samples");
        let sound = file(ALAW, 1, 8000, 8, &[1; 50]);
        assert_eq!(why(&sound[..sound.len() - 1]), "a chunk is cut off");
        assert_eq!(why(b"RIFX"), "no RIFF WAVE form");
    }

    proptest! {
        #[test]
        fn never_panics(mut noise in proptest::collection::vec(any::<u8>(), 0..200), at in 0usize..100) {
            let _ = Audio::parse(&noise);
            let mut sound = file(PCM, 1, 8000, 16, &[0; 40]);
            let at = at.min(sound.len());
            noise.truncate(sound.len() - at);
            sound[at..at + noise.len()].copy_from_slice(&noise);
            let _ = Audio::parse(&sound);
        }
    }
}
