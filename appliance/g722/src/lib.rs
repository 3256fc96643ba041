//! ITU-T G.722: 7 kHz speech in 64 kbit/s (mode 1), as it stands in RTP.
//!
//! Owns the arithmetic of the Recommendation and nothing else; no input makes it panic. One octet stands for
//! 125 µs: two samples at 16 kHz, or one tick of the RTP clock, which runs at 8 kHz for this codec (RFC 3551
//! §4.5.2). Samples are 16-bit linear.
//!
//! ```text
//!   16 kHz ─► QMF ─┬─ low band  ─► 6-bit ADPCM ─┐             ┌─► ADPCM ─► low ──┬─► QMF ─► 16 kHz
//!                  └─ high band ─► 2-bit ADPCM ─┴─ one octet ─┴─► ADPCM ─► high ─┘
//! ```
//!
//! The low band alone is speech at 8 kHz: [`Encoder::encode_narrow`] and [`Decoder::decode_narrow`] join it to
//! telephone speech without a resampler. [`Doubler`] is the same filter for sound that has no high band.

mod band;
mod qmf;
#[cfg(test)]
mod tests;

pub use qmf::Doubler;

use band::{Band, High, Low, saturate};
use qmf::Qmf;

/// Speech to octets. What follows depends on all that came before.
#[derive(Clone, Debug)]
pub struct Encoder {
    qmf: Qmf,
    low: Band,
    high: Band,
}

/// Octets to speech. What follows depends on all that came before; after a loss it finds back by itself.
#[derive(Clone, Debug)]
pub struct Decoder {
    qmf: Qmf,
    low: Band,
    high: Band,
}

impl Default for Encoder {
    fn default() -> Self {
        Self { qmf: Qmf::default(), low: Band::low(), high: Band::high() }
    }
}

impl Default for Decoder {
    fn default() -> Self {
        Self { qmf: Qmf::default(), low: Band::low(), high: Band::high() }
    }
}

impl Encoder {
    /// The octet of two samples at 16 kHz.
    pub fn encode(&mut self, samples: [i16; 2]) -> u8 {
        let (low, high) = self.qmf.split(samples);
        self.octet(low, high)
    }

    /// The octet of one sample at 8 kHz; the high band is silent.
    pub fn encode_narrow(&mut self, sample: i16) -> u8 {
        self.octet(i32::from(sample) >> 1, 0)
    }

    fn octet(&mut self, low: i32, high: i32) -> u8 {
        let (low, high) = (Low::quantise(&self.low, low), High::quantise(&self.high, high));
        low.adapt(&mut self.low);
        high.adapt(&mut self.high);
        high.0 << 6 | low.0
    }
}

impl Decoder {
    /// The two samples of an octet at 16 kHz.
    pub fn decode(&mut self, octet: u8) -> [i16; 2] {
        let (low, high) = self.bands(octet);
        self.qmf.join(low, high)
    }

    /// The sample of an octet at 8 kHz: its low band.
    pub fn decode_narrow(&mut self, octet: u8) -> i16 {
        let (low, _) = self.bands(octet);
        saturate(low << 1) as i16
    }

    fn bands(&mut self, octet: u8) -> (i32, i32) {
        let (low, high) = (Low(octet & 0x3f), High(octet >> 6));
        let sound = (low.reconstruct(&self.low), high.reconstruct(&self.high));
        low.adapt(&mut self.low);
        high.adapt(&mut self.high);
        sound
    }
}
