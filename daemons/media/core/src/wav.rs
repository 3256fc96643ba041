//! WAV files of prompts: 8 kHz, one channel, 16-bit PCM or G.711.
//!
//! Owns a bounded reader of the RIFF form; never a file, never another rate. What it gives is the audio in
//! both laws, so that playing copies octets.

use crate::{Error, g711::Law};
use std::time::Duration;

/// The longest prompt: 16 MiB of PCM are 17 minutes.
pub const MAX_FILE: usize = 16 << 20;

const PCM: u16 = 1;
const ALAW: u16 = 6;
const MULAW: u16 = 7;

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
    /// [`Error::Wav`] where it is cut off, longer than [`MAX_FILE`], silent of its format, empty, or of
    /// another rate, coding or number of channels.
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

    fn decode(format: Format, data: &[u8]) -> Result<Self, Error> {
        if data.is_empty() {
            return Err(Error::Wav("no samples"));
        }
        match format {
            Format::Pcm16 => {
                let (samples, rest) = data.as_chunks::<2>();
                if !rest.is_empty() {
                    return Err(Error::Wav("half a sample at the end"));
                }
                let in_law =
                    |law: Law| samples.iter().map(|s| law.compress(i16::from_le_bytes(*s))).collect();
                Ok(Self { alaw: in_law(Law::A), mulaw: in_law(Law::Mu) })
            }
            Format::G711(from) => {
                let in_law = |law: Law| data.iter().map(|octet| from.convert(*octet, law)).collect();
                Ok(Self { alaw: in_law(Law::A), mulaw: in_law(Law::Mu) })
            }
        }
    }
}

#[derive(Clone, Copy)]
enum Format {
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
    if u16::from_le_bytes([c0, c1]) != 1 {
        return Err(Error::Wav("more than one channel"));
    }
    if u32::from_le_bytes([r0, r1, r2, r3]) != 8000 {
        return Err(Error::Wav("the rate is not 8000 Hz"));
    }
    match (u16::from_le_bytes([t0, t1]), u16::from_le_bytes([b0, b1])) {
        (PCM, 16) => Ok(Format::Pcm16),
        (ALAW, 8) => Ok(Format::G711(Law::A)),
        (MULAW, 8) => Ok(Format::G711(Law::Mu)),
        _ => Err(Error::Wav("the coding is neither 16-bit PCM nor G.711")),
    }
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

    #[test]
    fn refuses_the_rest_with_a_reason() {
        let why = |file: &[u8]| match Audio::parse(file) {
            Err(Error::Wav(reason)) => reason,
            other => panic!("{other:?}"),
        };
        assert_eq!(why(&file(PCM, 2, 8000, 16, &[0; 4])), "more than one channel");
        assert_eq!(why(&file(PCM, 1, 16_000, 16, &[0; 4])), "the rate is not 8000 Hz");
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
