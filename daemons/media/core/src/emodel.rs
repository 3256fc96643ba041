//! How good a party's speech was heard here, as one number: the E-model (ITU-T G.107) with what a leg knows.
//!
//! Owns the arithmetic; loss, jitter and round trip are the leg's. What is not known (echo, noise, handsets) stands
//! at the defaults of G.107 Table 2, whose sum is a rating of 93.2.

use crate::codec::Codec;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The rating of a connection at all defaults (G.107 §3, G.113).
const BEST: f64 = 93.2;

/// Mean opinion score, listening and conversing (P.800), in hundredths: 100 to 450.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Mos(pub u16);

/// The score of speech in this codec, of which this share was lost, that took so long from mouth to ear.
pub fn mos(codec: Codec, lost: f64, delay: Duration) -> Mos {
    let rating = BEST - delayed(delay) - impaired(codec, lost);
    let score = if rating <= 0.0 {
        1.0
    } else {
        let rating = rating.min(100.0);
        // G.107 Annex B.
        1.0 + 0.035 * rating + rating * (rating - 60.0) * (100.0 - rating) * 7e-6
    };
    Mos((score.clamp(1.0, 4.5) * 100.0).round() as u16)
}

/// Ie,eff for random loss (G.107 §3.5; Ie and Bpl of G.113 Appendix I, G.711 with concealment). G.107 rates
/// telephone bandwidth; of G.722 it sees what it sees of G.711, and does not praise its width.
fn impaired(codec: Codec, lost: f64) -> f64 {
    let (impairment, robustness) = match codec {
        Codec::Pcma | Codec::Pcmu | Codec::G722 => (0.0, 25.1),
        // G.729 with its own concealment.
        Codec::G729 => (11.0, 19.0),
    };
    let percent = lost.clamp(0.0, 1.0) * 100.0;
    impairment + (95.0 - impairment) * percent / (percent + robustness)
}

/// Idd (G.107 §3.4): what delay does to a conversation.
fn delayed(delay: Duration) -> f64 {
    let milliseconds = delay.as_secs_f64() * 1000.0;
    if milliseconds <= 100.0 {
        return 0.0;
    }
    let x = (milliseconds / 100.0).log2();
    let root = |base: f64| (1.0 + base.powi(6)).powf(1.0 / 6.0);
    25.0 * (root(x) - 3.0 * root(x / 3.0) + 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn score(lost: f64, milliseconds: u64) -> u16 {
        mos(Codec::Pcma, lost, Duration::from_millis(milliseconds)).0
    }

    /// The defaults give 4.41 (G.107 §3: R 93.2); the ends of the scale are its ends.
    #[test]
    fn stands_where_the_recommendation_puts_it() {
        assert_eq!(score(0.0, 0), 441);
        assert_eq!(score(0.0, 100), 441);
        // By hand: 95 · 5 / 30.1 is 15.78, R 77.42, 3.923.
        assert_eq!(score(0.05, 50), 392);
        // Idd of 400 ms is 25 · (2.005 − 3 · 1.014 + 2) = 24.07, R 69.1, 3.556.
        assert_eq!(score(0.0, 400), 356);
        assert_eq!(score(1.0, 3000), 100);
        // G.729: R is 82.2, and with 5 % lost 84 · 5 / 24 less, 64.7.
        assert_eq!(mos(Codec::G729, 0.0, Duration::ZERO).0, 410);
        assert_eq!(mos(Codec::G729, 0.05, Duration::ZERO).0, 334);
        for (worse, better) in [(0.1, 0.05), (0.3, 0.1)] {
            assert!(score(worse, 0) < score(better, 0));
        }
    }
}
