//! How many datagrams one source may send: a token bucket for each address.

use std::{collections::HashMap, net::IpAddr};
use types::Monotonic;

/// Sources that are watched at once.
const SOURCES: usize = 4_096;

/// Datagrams a source may send in a burst, and each second in the long run.
#[derive(Clone, Copy)]
pub(crate) struct Allowance {
    pub(crate) burst: u32,
    pub(crate) per_second: u32,
}

/// The buckets of the sources seen of late.
#[derive(Default)]
pub(crate) struct Rates(HashMap<IpAddr, Bucket>);

struct Bucket {
    /// In thousandths of a datagram.
    left: u64,
    at: Monotonic,
}

impl Rates {
    /// Whether one more datagram of `source` is within its allowance; counts it if so.
    pub(crate) fn admit(&mut self, now: Monotonic, source: IpAddr, allowance: Allowance) -> bool {
        let full = u64::from(allowance.burst) * 1_000;
        if self.0.len() >= SOURCES && !self.0.contains_key(&source) {
            self.0.retain(|_, bucket| bucket.refilled(now, allowance) < full);
            if self.0.len() >= SOURCES {
                return false;
            }
        }
        let bucket = self.0.entry(source).or_insert(Bucket { left: full, at: now });
        bucket.left = bucket.refilled(now, allowance);
        bucket.at = now;
        let within = bucket.left >= 1_000;
        bucket.left -= if within { 1_000 } else { 0 };
        within
    }
}

impl Bucket {
    fn refilled(&self, now: Monotonic, allowance: Allowance) -> u64 {
        let micros = u64::try_from(now.since(self.at).as_micros()).unwrap_or(u64::MAX);
        let gained = micros.saturating_mul(u64::from(allowance.per_second)) / 1_000;
        self.left.saturating_add(gained).min(u64::from(allowance.burst) * 1_000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_then_the_rate() {
        let allowance = Allowance { burst: 3, per_second: 10 };
        let mut rates = Rates::default();
        let source = IpAddr::from([192, 0, 2, 1]);
        let mut admitted = |ms: u64| rates.admit(Monotonic(ms * 1_000_000), source, allowance);
        assert_eq!([0, 0, 0, 0].map(&mut admitted), [true, true, true, false]);
        assert_eq!([99, 100, 101, 250].map(&mut admitted), [false, true, false, true]);
    }

    #[test]
    fn the_table_is_bounded() {
        let allowance = Allowance { burst: 2, per_second: 1 };
        let mut rates = Rates::default();
        for n in 0..2 * SOURCES as u32 {
            rates.admit(Monotonic(0), IpAddr::from(n.to_be_bytes()), allowance);
        }
        assert_eq!(rates.0.len(), SOURCES);
        assert!(rates.admit(Monotonic(2_000_000_000), IpAddr::from([9, 9, 9, 9]), allowance));
    }
}
