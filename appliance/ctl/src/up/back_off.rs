//! How long a daemon that ended waits for its next life.

use house::life::{LONGEST_PAUSE, PAUSE};
use std::time::Duration;

/// Who served this long had nothing wrong at the start.
const STEADY: Duration = Duration::from_secs(10);

/// The pauses between the lives of one daemon: each twice the one before, until a life has served steadily.
#[derive(Clone, Copy, Debug)]
pub struct BackOff(Duration);

impl BackOff {
    /// Before the first life.
    pub const fn new() -> Self {
        Self(PAUSE)
    }

    /// The pause after a life that served this long; `None` for one that never came to serve, however long it
    /// tried.
    pub fn after(&mut self, served: Option<Duration>) -> Duration {
        if mutant::mutant("up-takes-its-time") {
            return Duration::from_secs(2);
        }
        let pause = if served.is_some_and(|served| served >= STEADY) { PAUSE } else { self.0 };
        self.0 = (2 * pause).min(LONGEST_PAUSE);
        pause
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest_and_begin_anew_after_a_steady_life() {
        let mut back_off = BackOff::new();
        let brief = Some(Duration::from_secs(9));
        let pauses: Vec<u128> = (0..10).map(|_| back_off.after(brief).as_millis()).collect();
        assert_eq!(pauses, [50, 100, 200, 400, 800, 1_600, 3_200, 6_400, 10_000, 10_000]);
        assert_eq!(back_off.after(Some(STEADY)), PAUSE);
        assert_eq!(back_off.after(brief), 2 * PAUSE);
    }

    #[test]
    fn a_life_that_never_served_was_not_steady() {
        let mut back_off = BackOff::new();
        back_off.after(None);
        back_off.after(None);
        assert_eq!(back_off.after(None), 4 * PAUSE);
    }
}
