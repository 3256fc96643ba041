//! How long a caller will wait: reckoned from how many are ahead, how many people serve the queue, and how
//! long its conversations last. How long the caller has waited already is no part of it, so the estimate
//! never rises for that.

use std::time::Duration;

/// How long conversations of a queue occupy somebody, wrap-up included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pace {
    mean: Option<Duration>,
}

/// One part in so many is a new conversation's.
const WEIGHT: u32 = 8;

impl Pace {
    /// Takes a conversation that is over.
    pub fn took(&mut self, handled: Duration) {
        self.mean = Some(match self.mean {
            None => handled,
            Some(mean) => (mean * (WEIGHT - 1) + handled) / WEIGHT,
        });
    }

    /// How long somebody waits who has so many ahead, where so many people serve; `None` while nothing is
    /// known to reckon from.
    pub fn wait(&self, ahead: u32, serving: u32) -> Option<Duration> {
        let mean = self.mean?;
        (serving > 0).then(|| mean.saturating_mul(ahead.saturating_add(1)) / serving)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn the_wait_is_the_turns_ahead_shared_by_those_who_serve() {
        let mut pace = Pace::default();
        assert_eq!(pace.wait(3, 2), None, "nothing is known");
        pace.took(MINUTE * 4);
        assert_eq!(pace.wait(3, 2), Some(MINUTE * 8));
        assert_eq!(pace.wait(0, 2), Some(MINUTE * 2));
        assert_eq!(pace.wait(0, 0), None, "nobody serves");
        pace.took(MINUTE * 12);
        assert_eq!(pace.wait(0, 1), Some(MINUTE * 5));
    }

    proptest! {
        #[test]
        fn it_never_rises_while_one_moves_up(ahead in 1_u32..5000, serving in 1_u32..500, seconds in 1_u64..4000) {
            let mut pace = Pace::default();
            pace.took(Duration::from_secs(seconds));
            prop_assert!(pace.wait(ahead - 1, serving) <= pace.wait(ahead, serving));
            prop_assert!(pace.wait(ahead, serving + 1) <= pace.wait(ahead, serving));
        }
    }
}
