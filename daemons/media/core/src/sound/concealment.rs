//! Hiding lost speech by repeating the last pitch period and fading (after ITU-T G.711 Appendix I).
//!
//! ```text
//!             lost                   lost for FADED
//!   Speech ─────────► Repeating ──────────────────────► Silence
//!     ^                  │ speech: cross-fade              │
//!     └──────────────────┴─────────────────────────────────┘
//! ```
//!
//! Unlike the Appendix it delays nothing: the seam is at the end of the history itself, whose last quarter of a
//! period is blended so that the repetition is smooth.

/// Samples that are remembered: three times the longest pitch period and a seam.
const HISTORY: usize = 390;
/// Pitch periods that are looked for: 200 Hz to 66 Hz, as in the Appendix.
const SHORTEST: usize = 40;
const LONGEST: usize = 120;
/// What two pieces are compared by.
const COMPARED: usize = 160;
/// The first 10 ms are as loud as speech was; each 10 ms after that lose a fifth.
const LOUD: usize = 80;
/// After 60 ms there is silence.
const FADED: usize = 480;

/// One stream's memory of how it sounded.
#[derive(Clone, Debug)]
pub struct Concealment {
    history: [i16; HISTORY],
    repeating: Option<Repeating>,
}

#[derive(Clone, Debug)]
struct Repeating {
    period: Vec<i16>,
    /// Samples made up so far.
    made: usize,
}

impl Default for Concealment {
    fn default() -> Self {
        Self { history: [0; HISTORY], repeating: None }
    }
}

impl Concealment {
    /// Takes note of speech that came; its beginning is blended with what was made up before it.
    pub fn speech(&mut self, samples: &mut [i16]) {
        if let Some(mut repeating) = self.repeating.take() {
            // 4 ms more for each 10 ms that were lost, 10 ms at most (Appendix I.2.7).
            let blend =
                (repeating.period.len() / 4 + repeating.made / 80 * 32).clamp(1, 80).min(samples.len());
            for (at, sample) in samples.iter_mut().enumerate().take(blend) {
                let (new, old) = (at as i32 + 1, (blend - at) as i32 - 1);
                let sum = i32::from(*sample) * new + i32::from(repeating.next()) * old;
                *sample = (sum / blend as i32) as i16;
            }
        }
        self.remember(samples);
    }

    /// Appends `length` samples in place of what did not come.
    pub fn conceal(&mut self, length: usize, samples: &mut Vec<i16>) {
        let mut repeating = self.repeating.take().unwrap_or_else(|| Repeating::of(&self.history));
        samples.extend((0..length).map(|_| repeating.next()).map(|sample| {
            // A hole where the packet was.
            if mutant::mutant("media-loss-is-a-hole") { 0 } else { sample }
        }));
        self.repeating = Some(repeating);
    }

    fn remember(&mut self, samples: &[i16]) {
        let kept = samples.len().min(HISTORY);
        self.history.rotate_left(kept);
        let newest = samples.get(samples.len() - kept..).unwrap_or_default();
        self.history[HISTORY - kept..].copy_from_slice(newest);
    }
}

impl Repeating {
    fn of(history: &[i16; HISTORY]) -> Self {
        let length = period(history);
        let mut period = history[HISTORY - length..].to_vec();
        // The last quarter glides into what came before the first sample, so that the ends meet.
        let seam = length / 4;
        let before = &history[HISTORY - length - seam..];
        for (at, (sample, earlier)) in period[length - seam..].iter_mut().zip(before).enumerate() {
            let (new, old) = (at as i32 + 1, (seam - at) as i32 - 1);
            *sample = ((i32::from(*earlier) * new + i32::from(*sample) * old) / seam as i32) as i16;
        }
        Self { period, made: 0 }
    }

    fn next(&mut self) -> i16 {
        let sample = self.period.get(self.made % self.period.len().max(1)).copied().unwrap_or_default();
        let gain = match self.made {
            0..LOUD => 400,
            made => 400_usize.saturating_sub(made - LOUD),
        };
        self.made += 1;
        if self.made > FADED { 0 } else { (i32::from(sample) * gain as i32 / 400) as i16 }
    }
}

/// The lag at which the end of the history is most like what came before it.
fn period(history: &[i16; HISTORY]) -> usize {
    let end = &history[HISTORY - COMPARED..];
    let alike = |lag: usize| {
        let before = &history[HISTORY - COMPARED - lag..];
        let (mut product, mut energy) = (0_i64, 0_i64);
        // Every second sample is enough to find it (Appendix I.2.2).
        for (one, other) in end.iter().zip(before).step_by(2) {
            product += i64::from(*one) * i64::from(*other);
            energy += i64::from(*other) * i64::from(*other);
        }
        product as f64 / (energy.max(1) as f64).sqrt()
    };
    let best = (SHORTEST..=LONGEST)
        .map(|lag| (lag, alike(lag)))
        .fold((SHORTEST, f64::MIN), |best, found| if found.1 > best.1 { found } else { best });
    best.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn voice(at: usize) -> i16 {
        // 125 Hz with two overtones.
        let angle = at as f64 * 125.0 / 8000.0 * std::f64::consts::TAU;
        (6000.0 * angle.sin() + 3000.0 * (2.0 * angle).sin() + 1500.0 * (3.0 * angle).cos()) as i16
    }

    #[test]
    fn a_lost_packet_of_a_steady_voice_is_hardly_heard() {
        let mut concealment = Concealment::default();
        let mut spoken: Vec<i16> = (0..800).map(voice).collect();
        concealment.speech(&mut spoken);
        let mut made = Vec::new();
        concealment.conceal(160, &mut made);
        let mut after: Vec<i16> = (960..1120).map(voice).collect();
        concealment.speech(&mut after);
        for (at, sample) in made[..80].iter().enumerate() {
            let error = (i32::from(*sample) - i32::from(voice(800 + at))).abs();
            assert!(error < 600, "sample {at} is off by {error}");
        }
        let all: Vec<i16> = spoken.into_iter().chain(made).chain(after.clone()).collect();
        let steepest =
            (1..800).map(|at| (i32::from(voice(at)) - i32::from(voice(at - 1))).abs()).max().unwrap();
        for pair in all[700..].windows(2) {
            let step = (i32::from(pair[1]) - i32::from(pair[0])).abs();
            assert!(step <= steepest * 3 / 2, "a click of {step}");
        }
        assert_eq!(after[100..], (1060..1120).map(voice).collect::<Vec<_>>(), "afterwards it is as it came");
    }

    #[test]
    fn a_long_loss_fades_to_silence() {
        let mut concealment = Concealment::default();
        concealment.speech(&mut (0..800).map(voice).collect::<Vec<_>>());
        let mut made = Vec::new();
        concealment.conceal(800, &mut made);
        let loudest = |range: std::ops::Range<usize>| made[range].iter().map(|s| s.abs()).max().unwrap();
        assert!(loudest(0..80) > 6000 && loudest(240..320) < 5000 && loudest(480..800) == 0);
        let mut silence = Vec::new();
        Concealment::default().conceal(160, &mut silence);
        assert_eq!(silence, [0; 160]);
    }
}
