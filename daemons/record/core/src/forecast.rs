//! When the disk of recordings will be full, by the trend of what was free.

use serde::{Deserialize, Serialize};
use std::{collections::VecDeque, time::Duration};
use types::Utc;

/// How often a reading is kept.
const EVERY: Duration = Duration::from_secs(3_600);
/// Readings that are kept: four weeks, so that weekends count as they come.
const MOST: usize = 28 * 24;
/// Readings without which nothing is foretold.
const LEAST: usize = 6;
/// Beyond this nothing is foretold: it is long enough.
const FARTHEST: Duration = Duration::from_secs(3_650 * 86_400);

/// What was free, hour by hour.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trend {
    readings: VecDeque<(Utc, u64)>,
}

impl Trend {
    /// Takes a reading of the bytes that are free; whether it is kept, because the last one is an hour old.
    pub fn take(&mut self, at: Utc, free: u64) -> bool {
        // The clock was set back: what lies in the future says nothing.
        self.readings.retain(|(then, _)| *then <= at);
        if self.readings.back().is_some_and(|(last, _)| at.since(*last) < EVERY) {
            return false;
        }
        if self.readings.len() == MOST {
            self.readings.pop_front();
        }
        self.readings.push_back((at, free));
        true
    }

    /// How long from now until only `least` bytes are free, by the straight line of least squares through the
    /// readings. `None` where it does not fall, would take ten years, or too little is known.
    pub fn until(&self, free: u64, least: u64) -> Option<Duration> {
        let (first, _) = *self.readings.front()?;
        if self.readings.len() < LEAST {
            return None;
        }
        let count = self.readings.len() as f64;
        let points = || self.readings.iter().map(|(at, free)| (at.since(first).as_secs_f64(), *free as f64));
        let (x, y) = points().fold((0.0, 0.0), |(x, y), point| (x + point.0 / count, y + point.1 / count));
        let (rise, run) = points().fold((0.0, 0.0), |(rise, run), point| {
            (rise + (point.0 - x) * (point.1 - y), run + (point.0 - x).powi(2))
        });
        // Bytes that are used up in a second.
        let pace = -rise / run;
        if pace.is_nan() || pace <= 0.0 {
            return None;
        }
        let left = free.saturating_sub(least) as f64 / pace;
        (left <= FARTHEST.as_secs_f64()).then(|| Duration::from_secs_f64(left))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600_000_000_000;
    const GIB: u64 = 1 << 30;

    fn trend(readings: impl IntoIterator<Item = u64>) -> Trend {
        let mut trend = Trend::default();
        for (hour, free) in (0..).zip(readings) {
            assert!(trend.take(Utc(hour * HOUR), free));
        }
        trend
    }

    fn days(trend: &Trend, free: u64, least: u64) -> Option<u64> {
        trend.until(free, least).map(|left| (left.as_secs_f64() / 86_400.0).round() as u64)
    }

    #[test]
    fn a_disk_that_falls_by_a_gibibyte_an_hour_is_full_when_the_rest_is_used_up() {
        let trend = trend((0..48).map(|hour| (1_000 - hour) * GIB));
        assert_eq!(days(&trend, 953 * GIB, 5 * GIB), Some(40));
        assert_eq!(days(&trend, 4 * GIB, 5 * GIB), Some(0));
    }

    #[test]
    fn days_and_nights_are_one_line() {
        // 24 GiB by day, none by night, for two weeks.
        let mut free = 2_000 * GIB;
        let trend = trend((0..14 * 24).map(|hour| {
            free -= if (8..20).contains(&(hour % 24)) { 2 * GIB } else { 0 };
            free
        }));
        assert!(
            days(&trend, free, 0).is_some_and(|days| (66..=72).contains(&days)),
            "{:?}",
            days(&trend, free, 0)
        );
    }

    #[test]
    fn little_is_foretold_from_little() {
        assert_eq!(days(&Trend::default(), GIB, 0), None);
        assert_eq!(days(&trend([9 * GIB, 8 * GIB, 7 * GIB]), 6 * GIB, 0), None);
        assert_eq!(days(&trend([5 * GIB; 24]), 5 * GIB, 0), None, "it does not fall");
        assert_eq!(days(&trend((1..24).map(|hour| hour * GIB)), 24 * GIB, 0), None, "it empties");
    }

    #[test]
    fn readings_are_an_hour_apart_and_bounded_and_none_is_of_the_future() {
        let mut trend = trend((0..2_000).map(|hour| (3_000 - hour) * GIB));
        assert_eq!(trend.readings.len(), MOST);
        assert!(!trend.take(Utc(1_999 * HOUR + HOUR / 2), 0));
        assert!(!trend.take(Utc(1_900 * HOUR), GIB), "there is one of this hour");
        assert_eq!(trend.readings.len(), MOST - 99, "and none of the future");
        assert!(trend.readings.iter().all(|(at, _)| *at <= Utc(1_900 * HOUR)));
    }
}
