#![allow(clippy::unwrap_used, reason = "tests")]

use super::*;
use proptest::prelude::*;

/// A second of 500 Hz at 8000 of 32768, spoken by bcg729 1.1.1.
const TONE: &[u8] = include_bytes!("../vectors/tone.g729");

/// How much of the power is the tone, and its amplitude.
fn tone(samples: &[i16]) -> (f64, f64) {
    let (mut a, mut b, mut power) = (0.0, 0.0, 0.0);
    for (at, sample) in samples.iter().enumerate() {
        let angle = at as f64 * 500.0 / 8000.0 * std::f64::consts::TAU;
        a += f64::from(*sample) * angle.sin();
        b += f64::from(*sample) * angle.cos();
        power += f64::from(*sample).powi(2);
    }
    let count = samples.len() as f64;
    ((a * a + b * b) * 2.0 / count / power, 2.0 * a.hypot(b) / count)
}

#[test]
fn a_tone_is_heard_as_it_was_spoken() {
    let (mut decoder, mut out) = (Decoder::default(), vec![]);
    decoder.decode(TONE, &mut out);
    assert_eq!(out.len(), 8000);
    let (purity, amplitude) = tone(&out[2000..]);
    assert!(purity > 0.98 && (7000.0..9000.0).contains(&amplitude), "{purity:.3} {amplitude:.0}");
    // Two frames that do not come are as loud as the others, and a second of them is silence.
    let mut lost = vec![];
    decoder.conceal(&mut lost);
    decoder.conceal(&mut lost);
    let (_, amplitude) = tone(&lost);
    assert!(amplitude > 1500.0, "{amplitude:.0}");
    let mut silence = vec![];
    (0..100).for_each(|_| decoder.conceal(&mut silence));
    assert!(silence[4000..].iter().all(|sample| sample.abs() < 40));
}

#[test]
fn a_payload_stands_for_its_frames_and_a_description_at_its_end() {
    for (length, frames) in
        [(0, 0), (1, 0), (2, 1), (9, 0), (10, 1), (11, 1), (12, 2), (20, 2), (22, 3), (60, 6), (63, 6)]
    {
        assert_eq!(samples(length), frames * SAMPLES, "{length} octets");
        let mut out = vec![];
        Decoder::default().decode(&vec![0x5a; length], &mut out);
        assert_eq!(out.len(), frames * SAMPLES, "{length} octets");
    }
}

proptest! {
    /// Whatever comes, in whatever order: as many samples as it stands for, and no panic.
    #[test]
    fn anything_is_heard(payloads in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..64), 0..40)) {
        let (mut decoder, mut out, mut expected) = (Decoder::default(), vec![], 0);
        for payload in payloads {
            decoder.decode(&payload, &mut out);
            expected += samples(payload.len());
            if payload.first().is_some_and(|octet| octet % 3 == 0) {
                decoder.conceal(&mut out);
                expected += SAMPLES;
            }
            prop_assert_eq!(out.len(), expected);
        }
    }
}
