//! Keys told by ear: pairs of tones (ITU-T Q.23) in speech, within the limits of Q.24, Annex A.
//!
//! Owns the filters and the patience; which legs are listened to is the session's.
//!
//! ```text
//!   102 samples, every 51 ─► 8 filters (Goertzel) ─► one tone of each group, strong, alone, of like strength?
//!        │ PRESSED times in a row the same key: pressed
//!        └ RELEASED times in a row another or none: released
//! ```
//!
//! A tone of 40 ms is always heard, one of 25 ms never; a break of 10 ms is none, a pause of 40 ms always is one.

use super::tone::FULL_LOAD;
use crate::{dtmf::Digit, rtp};
use std::time::Duration;

/// Hertz of the groups (Q.23).
const LOW: [f32; 4] = [697.0, 770.0, 852.0, 941.0];
const HIGH: [f32; 4] = [1209.0, 1336.0, 1477.0, 1633.0];
const KEYS: [[char; 4]; 4] =
    [['1', '2', '3', 'A'], ['4', '5', '6', 'B'], ['7', '8', '9', 'C'], ['*', '0', '#', 'D']];

/// 12.75 ms: narrow enough for 1.5 % of error in frequency, wide enough to tell 3.5 %.
const BLOCK: usize = 102;
const HOP: usize = BLOCK / 2;
const PRESSED: u32 = 4;
const RELEASED: u32 = 4;

/// −36 dBm0 for each tone: the weakest that is a key.
const WEAKEST: f32 = -36.0;
/// A tone stands 6 dB above the others of its group.
const ALONE: f32 = 4.0;
/// The high tone may be 4 dB stronger, the low one 8 dB; a block measures that to 1.5 dB.
const REVERSE_TWIST: f32 = 3.2;
const TWIST: f32 = 8.9;
/// How much of all that is heard the two tones are: of speech it is less.
const SHARE: f32 = 0.74;

/// One party's voice, listened to for keys.
#[derive(Clone, Debug)]
pub struct Ear {
    block: [f32; BLOCK],
    filled: usize,
    candidate: Option<Digit>,
    /// How often in a row the candidate was heard, and how often the key that is pressed was not.
    hits: u32,
    misses: u32,
    pressed: Option<(Digit, u32)>,
}

/// What was heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    /// A key is down.
    Pressed(Digit),
    /// It is up again, after so long.
    Released(Digit, Duration),
}

impl Default for Ear {
    fn default() -> Self {
        Self { block: [0.0; BLOCK], filled: 0, candidate: None, hits: 0, misses: 0, pressed: None }
    }
}

impl Ear {
    /// The key that is down.
    pub const fn pressed(&self) -> Option<Digit> {
        match self.pressed {
            Some((digit, _)) => Some(digit),
            None => None,
        }
    }

    /// Listens to samples at 8 kHz.
    pub fn listen(&mut self, samples: impl IntoIterator<Item = i16>, mut heard: impl FnMut(Heard)) {
        for sample in samples {
            if let Some(slot) = self.block.get_mut(self.filled) {
                *slot = f32::from(sample);
            }
            self.filled += 1;
            if self.filled == BLOCK {
                self.judge(key(&self.block), &mut heard);
                self.block.copy_within(HOP.., 0);
                self.filled = BLOCK - HOP;
            }
        }
    }

    fn judge(&mut self, key: Option<Digit>, heard: &mut impl FnMut(Heard)) {
        self.hits = if key == self.candidate { self.hits.saturating_add(1) } else { 1 };
        self.candidate = key;
        if let Some((digit, hops)) = &mut self.pressed {
            *hops = hops.saturating_add(1);
            self.misses = if key == Some(*digit) { 0 } else { self.misses + 1 };
            let other = key.is_some() && key != Some(*digit) && self.hits >= PRESSED;
            if self.misses >= RELEASED || other {
                let lasted = rtp::lasting(hops.saturating_sub(self.misses) * HOP as u32);
                heard(Heard::Released(*digit, lasted));
                self.pressed = None;
            }
        }
        if let Some(digit) = key.filter(|_| self.pressed.is_none() && self.hits >= PRESSED) {
            self.pressed = Some((digit, PRESSED));
            self.misses = 0;
            heard(Heard::Pressed(digit));
        }
    }
}

/// The key whose tones a block is.
fn key(block: &[f32; BLOCK]) -> Option<Digit> {
    let energy: f32 = block.iter().map(|sample| sample * sample).sum();
    let weakest = 32_768.0_f32.powi(2)
        * 10_f32.powf((WEAKEST - FULL_LOAD as f32) / 10.0)
        * (BLOCK as f32 / 2.0).powi(2);
    if energy * (BLOCK as f32) < weakest {
        return None;
    }
    let (row, low) = strongest(block, &LOW)?;
    let (column, high) = strongest(block, &HIGH)?;
    let strong = low >= weakest && high >= weakest;
    let level = high <= low * REVERSE_TWIST && low <= high * TWIST;
    let alone = low + high >= SHARE * energy * (BLOCK as f32 / 2.0) || mutant::mutant("dtmf-talk-off");
    let key = *KEYS.get(row)?.get(column)?;
    Digit::try_from(key).ok().filter(|_| strong && level && alone)
}

/// The place and power of the one tone of a group that stands above the others.
fn strongest(block: &[f32; BLOCK], group: &[f32; 4]) -> Option<(usize, f32)> {
    let powers = group.map(|hertz| power(block, hertz));
    let (place, most) = powers.iter().copied().enumerate().max_by(|one, other| one.1.total_cmp(&other.1))?;
    let others = powers.iter().enumerate().filter(|(at, _)| *at != place);
    others.into_iter().all(|(_, power)| power * ALONE <= most).then_some((place, most))
}

/// Goertzel: the square of a block's spectrum at one frequency.
fn power(block: &[f32; BLOCK], hertz: f32) -> f32 {
    let factor = 2.0 * (std::f32::consts::TAU * hertz / 8000.0).cos();
    let (one, two) = block.iter().fold((0.0, 0.0), |(one, two), sample| (sample + factor * one - two, one));
    one * one + two * two - factor * one * two
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sound::tone::sine;

    /// A pause of 60 ms, then the tones of `digit` for so many milliseconds, off by so much of their frequency.
    fn tones(digit: char, milliseconds: u32, [low, high]: [f64; 2], off: f64) -> Vec<i16> {
        let at = |key: &[char; 4]| key.iter().position(|k| *k == digit);
        let row = KEYS.iter().position(|row| at(row).is_some()).unwrap();
        let column = at(&KEYS[row]).unwrap();
        let parts = [(f64::from(LOW[row]) * (1.0 + off), low), (f64::from(HIGH[column]) * (1.0 + off), high)];
        let sound = (0..milliseconds * 8).map(|at| sine(&parts, at));
        std::iter::repeat_n(0, 480).chain(sound).collect()
    }

    fn heard(samples: impl IntoIterator<Item = i16>) -> (String, Vec<Duration>) {
        let (mut ear, mut keys, mut held) = (Ear::default(), String::new(), vec![]);
        ear.listen(samples.into_iter().chain([0; 800]), |heard| match heard {
            Heard::Pressed(digit) => keys.push(digit.into()),
            Heard::Released(_, lasted) => held.push(lasted),
        });
        (keys, held)
    }

    #[test]
    fn every_key_at_every_level_and_tolerance() {
        let all = "0123456789*#ABCD";
        for levels in
            [[-3.0, -3.0], [-10.0, -8.0], [-25.0, -25.0], [-30.0, -30.0], [-8.0, -15.0], [-12.0, -8.5]]
        {
            for off in [0.0, 0.015, -0.015] {
                let dialled = all.chars().flat_map(|key| tones(key, 50, levels, off));
                let (keys, held) = heard(dialled);
                assert_eq!(keys, all, "{levels:?} dBm0, off by {off}");
                assert!(held.iter().all(|lasted| (30..70).contains(&lasted.as_millis())), "{held:?}");
            }
        }
    }

    #[test]
    fn what_the_recommendation_refuses_is_no_key() {
        let level = [-10.0, -10.0];
        assert_eq!(heard(tones('5', 25, level, 0.0)).0, "", "too short");
        for off in [0.035, -0.035, 0.05] {
            assert_eq!(heard(tones('5', 100, level, off)).0, "", "off by {off}");
        }
        assert_eq!(heard(tones('5', 100, [-10.0, -3.0], 0.0)).0, "", "reverse twist");
        assert_eq!(heard(tones('5', 100, [-3.0, -14.0], 0.0)).0, "", "twist");
        assert_eq!(heard(tones('5', 100, [-45.0, -45.0], 0.0)).0, "", "too weak");
        assert_eq!(heard((0..8000).map(|at| sine(&[(770.0, -10.0)], at))).0, "", "one tone");
        let dial = heard((0..16_000).map(|at| sine(&[(350.0, -13.0), (440.0, -13.0)], at)));
        assert_eq!(dial.0, "", "a dial tone");
    }

    #[test]
    fn timing_at_every_place_of_the_grid() {
        for shift in 0..HOP {
            let quiet = std::iter::repeat_n(0, shift);
            assert_eq!(heard(quiet.clone().chain(tones('7', 40, [-10.0; 2], 0.0))).0, "7", "{shift}");
            assert_eq!(heard(quiet.clone().chain(tones('7', 23, [-10.0; 2], 0.0))).0, "", "{shift}");
            let broken: Vec<i16> = tones('7', 50, [-10.0; 2], 0.0)
                .into_iter()
                .chain([0; 80])
                .chain(tones('7', 50, [-10.0; 2], 0.0).into_iter().skip(480))
                .collect();
            assert_eq!(heard(quiet.clone().chain(broken)).0, "7", "a break of 10 ms, {shift}");
            let twice: Vec<i16> = tones('7', 45, [-10.0; 2], 0.0)
                .into_iter()
                .chain([0; 320])
                .chain(tones('7', 45, [-10.0; 2], 0.0).into_iter().skip(480))
                .collect();
            assert_eq!(heard(quiet.chain(twice)).0, "77", "a pause of 40 ms, {shift}");
        }
    }

    /// Q.24 §A.3 wants keys through noise; 15 dB below them is a bad line.
    #[test]
    fn a_noisy_line_hides_no_key() {
        let mut seed = 1_u32;
        let noisy = "0123456789*#".chars().flat_map(|key| tones(key, 70, [-10.0; 2], 0.0)).map(|sample| {
            seed = seed.wrapping_mul(1_103_515_245).wrapping_add(12_345);
            let noise = ((seed >> 16) as i32 - 0x8000) / 24;
            (i32::from(sample) + noise) as i16
        });
        assert_eq!(heard(noisy.collect::<Vec<_>>()).0, "0123456789*#");
    }
}
