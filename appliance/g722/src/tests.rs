//! Bit for bit what the Recommendation's vectors and an independent implementation (spandsp, whose own tests are
//! ITU-T's vectors) give; digests stand for both, for ITU-T's files are not ours to hand on.

use super::*;

/// FNV-1a of 64 bits.
fn digest(octets: impl IntoIterator<Item = u8>) -> u64 {
    octets
        .into_iter()
        .fold(0xcbf2_9ce4_8422_2325, |hash, octet| (hash ^ u64::from(octet)).wrapping_mul(0x0100_0000_01b3))
}

fn octets(samples: impl IntoIterator<Item = i16>) -> impl Iterator<Item = u8> {
    samples.into_iter().flat_map(i16::to_le_bytes)
}

/// Numbers without a pattern, 16 bits wide.
fn noise(seed: u32) -> impl Iterator<Item = i32> {
    std::iter::successors(Some(seed), |x| Some(x.wrapping_mul(1_103_515_245).wrapping_add(12_345)))
        .skip(1)
        .map(|x| (x >> 16) as i32)
}

/// Half a second each of speech-like noise, a whisper, white noise, almost nothing, a square wave, silence: nowhere
/// so loud that the filter overflows, where spandsp wraps and the Recommendation saturates.
fn signal() -> Vec<i16> {
    let mut low = 0;
    let samples = noise(1).take(48_000).zip(0..).map(|(number, at)| {
        let noise = number - 0x8000;
        low += (noise - low) >> 3;
        let square = if at / 16 % 2 == 0 { 9000 } else { -9000 };
        [low >> 1, noise >> 6, noise >> 2, low >> 5, square, 0][at / 8000]
    });
    samples.map(|sample| sample as i16).collect()
}

fn encoded() -> Vec<u8> {
    let mut encoder = Encoder::default();
    signal().as_chunks().0.iter().map(|pair| encoder.encode(*pair)).collect()
}

#[test]
fn encodes_bit_for_bit_as_spandsp() {
    assert_eq!(digest(encoded()), 0x21ff_70e6_d177_966c);
}

#[test]
fn decodes_bit_for_bit_as_spandsp() {
    let mut decoder = Decoder::default();
    let wide = encoded().into_iter().flat_map(|octet| decoder.decode(octet));
    assert_eq!(digest(octets(wide)), 0x20c2_7bdf_eb44_2cda);
    let mut decoder = Decoder::default();
    let narrow = encoded().into_iter().map(|octet| decoder.decode_narrow(octet));
    assert_eq!(digest(octets(narrow)), 0xe96a_c02c_f1d9_5136);
    let mut decoder = Decoder::default();
    let noise = noise(7).take(24_000).map(|number| decoder.decode_narrow(number as u8));
    assert_eq!(digest(octets(noise)), 0xb428_d987_06c2_e098);
}

/// G.722 Appendix II, configuration 1 (the filters passed by): `T1C2.XMT` gives `T2R2.COD`.
#[test]
fn overflows_as_the_recommendation_s_sequence_does() {
    let word = |at: usize| match at {
        639 => 0,
        0..639 => [0x8000_u16, 0x7ffe][at % 2],
        640 => 0xb1e0,
        641 => 0xc000,
        _ => [0x8000, 0x7ffe, 0x8000][at % 3],
    };
    let mut encoder = Encoder::default();
    let codes = (0..768).map(|at| {
        let both = i32::from(word(at).cast_signed()) >> 1;
        encoder.octet(both, both)
    });
    assert_eq!(digest(codes), 0xd525ad28cad530ce);
}

/// A second of a tone through both ways, by level: what comes out is the tone, not noise.
#[test]
fn a_tone_stays_a_tone_between_narrow_and_wide() {
    let tone =
        |rate: f64, at: usize| ((at as f64 * 1000.0 / rate * std::f64::consts::TAU).sin() * 10_000.0) as i16;
    let power =
        |samples: &[i16]| samples.iter().map(|s| f64::from(*s).powi(2)).sum::<f64>() / samples.len() as f64;
    // What is left when 1 kHz has been taken out.
    let rest = |samples: &[i16], rate: f64| {
        let (mut sine, mut cosine) = (0.0, 0.0);
        let angle = |at: usize| at as f64 * 1000.0 / rate * std::f64::consts::TAU;
        for (at, sample) in samples.iter().enumerate() {
            sine += f64::from(*sample) * angle(at).sin() * 2.0 / samples.len() as f64;
            cosine += f64::from(*sample) * angle(at).cos() * 2.0 / samples.len() as f64;
        }
        (sine.hypot(cosine), power(samples) - sine.hypot(cosine).powi(2) / 2.0)
    };
    let (mut encoder, mut narrow, mut wide) = (Encoder::default(), Decoder::default(), Decoder::default());
    let mut doubler = Doubler::default();
    let (mut at_8, mut at_16, mut doubled) = (vec![], vec![], vec![]);
    for at in 0..8000 {
        let octet = encoder.encode_narrow(tone(8000.0, at));
        at_8.push(narrow.decode_narrow(octet));
        at_16.extend(wide.decode(octet));
        doubled.extend(doubler.double(tone(8000.0, at)));
    }
    for (samples, rate) in [(&at_8[800..], 8000.0), (&at_16[1600..], 16_000.0), (&doubled[1600..], 16_000.0)]
    {
        let (level, noise) = rest(samples, rate);
        assert!((9_500.0..10_500.0).contains(&level), "{level}");
        assert!(noise < power(samples) / 1000.0, "{noise}");
    }
}
