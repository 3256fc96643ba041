//! Sound at another rate made sound at 8 kHz, once, when a file is loaded.
//!
//! A windowed sinc (Blackman) whose corner lies at 3.7 kHz, so that nothing above half the rate folds back.

use std::f64::consts::{PI, TAU};

/// Zero crossings of the sinc on each side.
const CROSSINGS: f64 = 24.0;
/// Where the filter begins to close, by half the rate that comes out.
const CORNER: f64 = 0.93;
const RATE: u64 = 8000;

/// The samples at 8 kHz. Rates below that have nothing to make it of and come out as they were: the caller refuses
/// them.
pub fn resample(samples: &[i16], rate: u32) -> Vec<i16> {
    let rate = u64::from(rate);
    if rate <= RATE {
        return samples.to_vec();
    }
    let common = gcd(rate, RATE);
    // The n-th sample lies at n · step / phases of those that came in.
    let (phases, step) = (RATE / common, rate / common);
    let ratio = rate as f64 / RATE as f64;
    let reach = (CROSSINGS * ratio).ceil() as i64;
    let filters: Vec<Vec<f64>> =
        (0..phases).map(|phase| taps(phase as f64 / phases as f64, reach, ratio)).collect();
    let length = samples.len() as u64 * RATE / rate;
    let sample = |at: i64| usize::try_from(at).ok().and_then(|at| samples.get(at)).copied();
    (0..length)
        .map(|n| {
            let (at, phase) = ((n * step / phases) as i64, (n * step % phases) as usize);
            let taps = filters.get(phase).map(Vec::as_slice).unwrap_or_default();
            let sum: f64 = (-reach..=reach)
                .zip(taps)
                .map(|(offset, tap)| sample(at + offset).map_or(0.0, |sample| f64::from(sample) * tap))
                .sum();
            sum.round().clamp(f64::from(i16::MIN), f64::from(i16::MAX)) as i16
        })
        .collect()
}

/// The weight of each sample about a moment that lies `phase` behind one of them; in sum 1.
fn taps(phase: f64, reach: i64, ratio: f64) -> Vec<f64> {
    let weights: Vec<f64> = (-reach..=reach)
        .map(|offset| {
            let distance = (offset as f64 - phase) / ratio;
            let window = if distance.abs() >= CROSSINGS {
                0.0
            } else {
                let turn = distance / CROSSINGS;
                0.42 + 0.5 * (PI * turn).cos() + 0.08 * (TAU * turn).cos()
            };
            let angle = PI * distance * CORNER;
            window * if angle.abs() < 1e-9 { 1.0 } else { angle.sin() / angle }
        })
        .collect();
    let sum: f64 = weights.iter().sum();
    weights.into_iter().map(|weight| weight / sum).collect()
}

const fn gcd(one: u64, other: u64) -> u64 {
    if other == 0 { one } else { gcd(other, one % other) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tone(hertz: f64, rate: u32) -> Vec<i16> {
        (0..rate / 2)
            .map(|at| ((f64::from(at) * hertz / f64::from(rate) * TAU).sin() * 10_000.0) as i16)
            .collect()
    }

    fn level(samples: &[i16]) -> f64 {
        let middle = &samples[400..samples.len() - 400];
        (middle.iter().map(|s| f64::from(*s).powi(2)).sum::<f64>() / middle.len() as f64 * 2.0).sqrt()
    }

    #[test]
    fn speech_stays_and_what_would_fold_back_goes() {
        for rate in [11_025, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000] {
            let at_8 = resample(&tone(1000.0, rate), rate);
            assert_eq!(at_8.len() as u32, rate / 2 * 8000 / rate, "{rate}");
            for (at, sample) in at_8.iter().enumerate().take(3000).skip(1000) {
                let told = (at as f64 * 1000.0 / 8000.0 * TAU).sin() * 10_000.0;
                assert!((f64::from(*sample) - told).abs() < 60.0, "{rate}: sample {at}");
            }
            assert!((9_700.0..10_300.0).contains(&level(&resample(&tone(3300.0, rate), rate))), "{rate}");
            assert!(level(&resample(&tone(4600.0, rate), rate)) < 100.0, "{rate}");
        }
        assert_eq!(resample(&[1, 2, 3], 8000), [1, 2, 3]);
        assert!(resample(&[], 48_000).is_empty());
    }
}
