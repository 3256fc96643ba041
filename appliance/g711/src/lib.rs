//! ITU-T G.711: the two laws of 64 kbit/s PCM, and the direct conversion between them.
//!
//! Owns the arithmetic of the Recommendation and nothing else. Samples are 16-bit linear, left-justified
//! (A-law has 13 significant bits, µ-law 14); octets are as they stand in RTP (RFC 3551 §4.5.14), so A-law
//! has its even bits inverted and µ-law all of them.

use serde::{Deserialize, Serialize};

/// One of the two laws.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Law {
    /// A-law, `PCMA`: Europe, China, and every E1.
    A,
    /// µ-law, `PCMU`: North America and Japan.
    Mu,
}

impl Law {
    /// The octet of digital silence.
    pub const fn silence(self) -> u8 {
        match self {
            Self::A => 0xd5,
            Self::Mu => 0xff,
        }
    }

    /// The octet of a linear sample.
    pub const fn compress(self, sample: i16) -> u8 {
        match self {
            Self::A => compress_a(sample),
            Self::Mu => compress_mu(sample),
        }
    }

    /// The linear sample of an octet.
    pub const fn expand(self, octet: u8) -> i16 {
        match self {
            Self::A => expand_a(octet),
            Self::Mu => expand_mu(octet),
        }
    }

    /// The octet of law `to` that stands for `octet` of this law (G.711 §3.2.2, Tables 3 and 4).
    pub const fn convert(self, octet: u8, to: Self) -> u8 {
        match (self, to) {
            (Self::A, Self::Mu) => A_TO_MU[octet as usize],
            (Self::Mu, Self::A) => MU_TO_A[octet as usize],
            (Self::A, Self::A) | (Self::Mu, Self::Mu) => octet,
        }
    }
}

static A_TO_MU: [u8; 256] = {
    let mut table = [0; 256];
    let mut octet = 0;
    while octet < 256 {
        let (code, sign) = if octet & 0x80 != 0 { (octet ^ 0xd5, 0xff) } else { (octet ^ 0x55, 0x7f) };
        table[octet] = sign ^ MU_OF_A[code];
        octet += 1;
    }
    table
};

static MU_TO_A: [u8; 256] = {
    let mut table = [0; 256];
    let mut octet = 0;
    while octet < 256 {
        let (code, sign) = if octet & 0x80 != 0 { (octet ^ 0xff, 0xd5) } else { (octet ^ 0x7f, 0x55) };
        table[octet] = sign ^ (A_OF_MU[code] - 1);
        octet += 1;
    }
    table
};

/// G.711 Table 4: the µ-law decoder value number of each A-law value number (from 1).
const MU_OF_A: [u8; 128] = [
    1, 3, 5, 7, 9, 11, 13, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32, 32, 33,
    33, 34, 34, 35, 35, 36, 37, 38, 39, 40, 41, 42, 43, 44, 45, 46, 47, 48, 48, 49, 49, 50, 51, 52, 53, 54,
    55, 56, 57, 58, 59, 60, 61, 62, 63, 64, 64, 65, 66, 67, 68, 69, 70, 71, 72, 73, 74, 75, 76, 77, 78, 79,
    80, 80, 81, 82, 83, 84, 85, 86, 87, 88, 89, 90, 91, 92, 93, 94, 95, 96, 97, 98, 99, 100, 101, 102, 103,
    104, 105, 106, 107, 108, 109, 110, 111, 112, 113, 114, 115, 116, 117, 118, 119, 120, 121, 122, 123, 124,
    125, 126, 127,
];

/// G.711 Table 3: the A-law value number (from 1) of each µ-law value number (from 0).
const A_OF_MU: [u8; 128] = [
    1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22,
    23, 24, 25, 27, 29, 31, 33, 34, 35, 36, 37, 38, 39, 40, 41, 42, 43, 44, 46, 48, 49, 50, 51, 52, 53, 54,
    55, 56, 57, 58, 59, 60, 61, 62, 64, 65, 66, 67, 68, 69, 70, 71, 72, 73, 74, 75, 76, 77, 78, 79, 80, 82,
    83, 84, 85, 86, 87, 88, 89, 90, 91, 92, 93, 94, 95, 96, 97, 98, 99, 100, 101, 102, 103, 104, 105, 106,
    107, 108, 109, 110, 111, 112, 113, 114, 115, 116, 117, 118, 119, 120, 121, 122, 123, 124, 125, 126, 127,
    128,
];

/// G.711 Table 1: 13 segments, 13-bit magnitudes.
const fn compress_a(sample: i16) -> u8 {
    let (sign, magnitude) = if sample >= 0 { (0x80, sample >> 3) } else { (0, !sample >> 3) };
    let magnitude = magnitude as u16;
    // The highest set bit above bit 5 numbers the segment; the two lowest segments share one slope.
    let (segment, shift) = if magnitude < 64 {
        ((magnitude >> 5) as u8, 1)
    } else {
        let segment = 16 - magnitude.leading_zeros() as u8 - 5;
        (segment, segment)
    };
    (sign | segment << 4 | (magnitude >> shift) as u8 & 0x0f) ^ 0x55
}

const fn expand_a(octet: u8) -> i16 {
    let code = octet ^ 0x55;
    let (segment, step) = (code >> 4 & 7, (code & 0x0f) as i16);
    // Mid-riser: the middle of the interval.
    let magnitude = match segment {
        0 => (step << 4) + 8,
        _ => ((step << 4) + 0x108) << (segment - 1),
    };
    if code & 0x80 != 0 { magnitude } else { -magnitude }
}

/// G.711 Table 2: 15 segments, 14-bit magnitudes, biased by 33.
const fn compress_mu(sample: i16) -> u8 {
    const BIAS: u16 = 33;
    const CLIP: u16 = 8158;
    let (sign, magnitude) = if sample >= 0 { (0x80, sample >> 2) } else { (0, !sample >> 2) };
    let magnitude = magnitude as u16;
    let biased = if magnitude > CLIP { CLIP } else { magnitude } + BIAS;
    let segment = 16 - biased.leading_zeros() as u8 - 6;
    !(segment << 4 | (biased >> (segment + 1)) as u8 & 0x0f) & 0x7f | sign
}

const fn expand_mu(octet: u8) -> i16 {
    let code = !octet;
    let (segment, step) = (code >> 4 & 7, (code & 0x0f) as i16);
    let magnitude = (((step << 3) + 0x84) << segment) - 0x84;
    if octet & 0x80 != 0 { magnitude } else { -magnitude }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// G.711 Tables 1a, 1b, 2a, 2b: the first and last decoder values, scaled to 16 bits.
    #[test]
    fn expands_the_ends_of_the_tables() {
        for (octet, sample) in [(0xd5, 8), (0x55, -8), (0xaa, 32256), (0x2a, -32256)] {
            assert_eq!(Law::A.expand(octet), sample, "{octet:02x}");
        }
        for (octet, sample) in [(0xff, 0), (0x7f, 0), (0xfe, 8), (0x80, 32124), (0x00, -32124)] {
            assert_eq!(Law::Mu.expand(octet), sample, "{octet:02x}");
        }
    }

    /// Every octet is the code of its own decoder value (µ-law's negative zero is its positive one).
    #[test]
    fn compresses_what_it_expands() {
        for octet in 0..=255 {
            assert_eq!(Law::A.compress(Law::A.expand(octet)), octet);
            let again = Law::Mu.compress(Law::Mu.expand(octet));
            assert_eq!(again, if octet == 0x7f { 0xff } else { octet });
        }
    }

    /// The nearest decoder value, to every sample: the decision values are the middles of the tables.
    #[test]
    fn quantises_within_half_a_step() {
        for law in [Law::A, Law::Mu] {
            for sample in i16::MIN..=i16::MAX {
                let error = (i32::from(law.expand(law.compress(sample))) - i32::from(sample)).abs();
                let step = (i32::from(sample).abs() / 16).max(16);
                let clipped = sample.unsigned_abs() > 32124;
                assert!(error <= step || clipped, "{law:?} {sample} is off by {error}");
            }
        }
    }

    /// G.711 Tables 5 and 6: the digital milliwatt, 1 kHz at 0 dBm0, in each law.
    #[test]
    fn digital_milliwatt_is_one_tone_in_both_laws() {
        let a = [0x34, 0x21, 0x21, 0x34, 0xb4, 0xa1, 0xa1, 0xb4];
        let mu = [0x1e, 0x0b, 0x0b, 0x1e, 0x9e, 0x8b, 0x8b, 0x9e];
        let power = |law: Law, octets: [u8; 8]| {
            octets.iter().map(|o| f64::from(law.expand(*o)).powi(2)).sum::<f64>() / 8.0
        };
        // Full-load sine at +3.14 dBm0 (A) and +3.17 dBm0 (µ): 0 dBm0 differs by less than 0.1 dB.
        let difference = 10.0 * (power(Law::A, a) / power(Law::Mu, mu)).log10();
        assert!(difference.abs() < 0.1, "{difference} dB");
    }

    /// The conversion tables stay within one interval of conversion by way of linear samples, and keep the
    /// sign; A to µ to A changes nothing but the lowest levels (G.711 §3.2.2).
    #[test]
    fn converts_between_the_laws() {
        for octet in 0..=255u8 {
            let (linear, by_table) = (Law::A.expand(octet), Law::Mu.expand(Law::A.convert(octet, Law::Mu)));
            assert!(
                (i32::from(linear) - i32::from(by_table)).abs() <= i32::from(linear).abs() / 16 + 8,
                "A {octet:02x}: {linear} became {by_table}"
            );
            let (linear, by_table) = (Law::Mu.expand(octet), Law::A.expand(Law::Mu.convert(octet, Law::A)));
            assert!(
                (i32::from(linear) - i32::from(by_table)).abs() <= i32::from(linear).abs() / 16 + 8,
                "µ {octet:02x}: {linear} became {by_table}"
            );
        }
        assert_eq!(Law::A.convert(Law::A.silence(), Law::Mu), 0xfe);
        assert_eq!(Law::Mu.convert(Law::Mu.silence(), Law::A), Law::A.silence());
    }
}
