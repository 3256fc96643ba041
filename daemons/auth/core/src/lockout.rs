//! Failures by origin: whoever guesses one password for many names is stopped as well.

use auth_api::Origin;
use std::{collections::BTreeMap, time::Duration};
use types::Monotonic;

/// Counted origins; more than these push out the ones that failed longest ago.
const MOST: usize = 4096;

/// The failures of one origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Failures {
    count: u32,
    last: Monotonic,
}

/// Failures by network, forgotten after a lock's time without another. Held in memory alone: the lock of a
/// person is the one that survives a restart.
#[derive(Clone, Debug, Default)]
pub(crate) struct Origins(BTreeMap<Origin, Failures>);

impl Origins {
    /// Whether so many failures came from there that it must wait.
    pub fn locked(&self, origin: Origin, now: Monotonic, failures: u32, lock: Duration) -> bool {
        self.0
            .get(&origin.network())
            .is_some_and(|past| past.count >= failures && now.since(past.last) < lock)
    }

    /// Whether one more failure from there will be the one that locks it.
    pub fn at_the_brink(&self, origin: Origin, now: Monotonic, failures: u32, lock: Duration) -> bool {
        let past = self.0.get(&origin.network()).filter(|past| now.since(past.last) < lock);
        past.map_or(0, |past| past.count) + 1 == failures
    }

    /// Counts one failure. A failure of an origin that is locked does not prolong the lock: it is never
    /// tried.
    pub fn fail(&mut self, origin: Origin, now: Monotonic, lock: Duration) {
        let origin = origin.network();
        if self.0.len() >= MOST && !self.0.contains_key(&origin) {
            self.forget(now, lock);
        }
        let failures = self.0.entry(origin).or_insert(Failures { count: 0, last: now });
        if now.since(failures.last) >= lock {
            failures.count = 0;
        }
        failures.count = failures.count.saturating_add(1);
        failures.last = now;
    }

    fn forget(&mut self, now: Monotonic, lock: Duration) {
        self.0.retain(|_, failures| now.since(failures.last) < lock);
        while self.0.len() >= MOST {
            let oldest = self.0.iter().min_by_key(|(_, failures)| failures.last).map(|(origin, _)| *origin);
            match oldest {
                Some(origin) => self.0.remove(&origin),
                None => break,
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOCK: Duration = Duration::from_secs(600);

    #[test]
    fn is_bounded_and_forgets() {
        let mut origins = Origins::default();
        for address in 0..10_000u32 {
            let origin = Origin::Address(std::net::Ipv4Addr::from(address).into());
            origins.fail(origin, Monotonic(u64::from(address)), LOCK);
        }
        assert_eq!(origins.0.len(), MOST);
        let last = Origin::Address(std::net::Ipv4Addr::from(9_999u32).into());
        assert!(origins.locked(last, Monotonic(10_000), 1, LOCK));
        assert!(!origins.locked(last, Monotonic(9_999).plus(LOCK), 1, LOCK));
    }
}
