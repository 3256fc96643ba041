//! Tones that a network plays: by frequency and cadence, as GB/T 3380 has them for China.
//!
//! Owns what they sound like. They are prompts under reserved names, so that whatever plays a prompt plays a tone:
//! once is one cadence, endless is what a telephone does.

use std::f64::consts::TAU;

/// A tone: on and off in turn, in milliseconds, at 450 Hz.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tone {
    /// The name under which it is played.
    pub name: &'static str,
    /// On, off, on, off; the last off may be nothing.
    pub cadence: &'static [u32],
}

/// The tones of GB/T 3380, 450 Hz each.
pub const TONES: [Tone; 6] = [
    // 回铃音
    Tone { name: "tone.ringback", cadence: &[1000, 4000] },
    // 忙音
    Tone { name: "tone.busy", cadence: &[350, 350] },
    // 拥塞音
    Tone { name: "tone.congestion", cadence: &[700, 700] },
    // 空号音
    Tone { name: "tone.unobtainable", cadence: &[100, 100, 100, 100, 100, 100, 400, 400] },
    // 拨号音
    Tone { name: "tone.dial", cadence: &[1000] },
    // 呼叫等待音
    Tone { name: "tone.waiting", cadence: &[400, 4000] },
];

const HERTZ: f64 = 450.0;
/// dBm0 (GB/T 3380: −10 ± 3).
const LEVEL: f64 = -10.0;
/// dBm0 of a sine at full load of A-law (G.711 Table 5).
#[allow(clippy::approx_constant, reason = "decibels, and no circle")]
pub(super) const FULL_LOAD: f64 = 3.14;

impl Tone {
    /// One cadence at 8 kHz. Each on begins at zero and, by the cadences above, ends near it.
    pub fn samples(&self) -> Vec<i16> {
        let parts = self.cadence.iter().zip([true, false].into_iter().cycle());
        let part = |(milliseconds, on): (&u32, bool)| {
            (0..milliseconds * 8).map(move |at| if on { sine(&[(HERTZ, LEVEL)], at) } else { 0 })
        };
        parts.flat_map(part).collect()
    }

    /// What the tone is, in words: its digest stands for a file's.
    pub fn definition(&self) -> String {
        format!("{} 450 Hz −10 dBm0 {:?} ms", self.name, self.cadence)
    }
}

/// The sample `at` of sines of so many hertz and dBm0.
pub fn sine(parts: &[(f64, f64)], at: u32) -> i16 {
    let sum: f64 = parts
        .iter()
        .map(|(hertz, level)| {
            let amplitude = 32_768.0 * 10_f64.powf((level - FULL_LOAD) / 20.0);
            amplitude * (f64::from(at) * hertz / 8000.0 * TAU).sin()
        })
        .sum();
    sum.round().clamp(-32_768.0, 32_767.0) as i16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frequency_level_and_cadence_are_the_standard_s() {
        for tone in TONES {
            let samples = tone.samples();
            assert_eq!(samples.len() as u32, tone.cadence.iter().sum::<u32>() * 8, "{}", tone.name);
            let mut start = 0;
            for (at, milliseconds) in tone.cadence.iter().enumerate() {
                let part = &samples[start..start + *milliseconds as usize * 8];
                start += part.len();
                if at % 2 == 1 {
                    assert!(part.iter().all(|sample| *sample == 0), "{}", tone.name);
                    continue;
                }
                let crossings = part.windows(2).filter(|pair| (pair[0] < 0) != (pair[1] < 0)).count();
                let hertz = crossings as f64 * 500.0 / f64::from(*milliseconds);
                assert!((425.0..475.0).contains(&hertz), "{}: {hertz} Hz", tone.name);
                let power = part.iter().map(|s| f64::from(*s).powi(2)).sum::<f64>() / part.len() as f64;
                let full = 32_768_f64.powi(2) / 2.0;
                let level = 10.0 * (power / full).log10() + FULL_LOAD;
                assert!((-10.2..-9.8).contains(&level), "{}: {level} dBm0", tone.name);
            }
            // No click where it begins again.
            assert!(samples[samples.len() - 1].abs() < 2600, "{}", tone.name);
        }
    }
}
