//! So many in a minute, and no more: for what a caller that is taken over could make grow.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

const PERIOD: Duration = Duration::from_secs(60);

/// A bound on what each caller may cause in a minute.
pub struct Rate {
    most: u32,
    caused: Mutex<BTreeMap<&'static str, (Instant, u32)>>,
}

/// What one more is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Share {
    /// Within the bound.
    Within,
    /// The last within the bound in this minute.
    Last,
    /// Beyond it.
    Beyond,
}

impl Rate {
    /// So many a minute.
    pub const fn a_minute(most: u32) -> Self {
        Self { most, caused: Mutex::new(BTreeMap::new()) }
    }

    /// One more by this caller.
    pub fn one_more(&self, caller: &'static str, now: Instant) -> Share {
        // Every step leaves the counts whole: a panic elsewhere does not make them wrong.
        let mut caused = self.caused.lock().unwrap_or_else(PoisonError::into_inner);
        let (began, count) = caused.entry(caller).or_insert((now, 0));
        if now.duration_since(*began) >= PERIOD {
            (*began, *count) = (now, 0);
        }
        if *count >= self.most {
            return Share::Beyond;
        }
        *count += 1;
        if *count == self.most { Share::Last } else { Share::Within }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_caller_has_its_share_of_each_minute() {
        let (rate, now) = (Rate::a_minute(3), Instant::now());
        let shares = |caller, now| [(); 5].map(|()| rate.one_more(caller, now));
        let all = [Share::Within, Share::Within, Share::Last, Share::Beyond, Share::Beyond];
        assert_eq!((shares("console", now), shares("sip", now)), (all, all));
        assert_eq!(shares("console", now + PERIOD / 2), [Share::Beyond; 5]);
        assert_eq!(shares("console", now + PERIOD), all);
    }
}
