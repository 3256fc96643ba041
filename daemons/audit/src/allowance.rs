//! How much an edge may write: it reports its own starts and little else, and one that is taken over shall not fill
//! the disk on which nothing goes on without an entry.

use mutant::mutant;
use service::Refusal;
use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// Entries of one edge in one [`PERIOD`].
const MOST: u32 = 120;
const PERIOD: Duration = Duration::from_secs(60);
/// The floor where strangers are heard.
const EDGE: &str = "edge";

/// What each edge has written lately.
#[derive(Default)]
pub struct Allowances(Mutex<BTreeMap<&'static str, (Instant, u32)>>);

impl Allowances {
    /// One more entry of this reporter.
    ///
    /// # Errors
    /// Busy: an edge has written too many in this minute.
    pub fn take(&self, reporter: &str, now: Instant) -> Result<(), Refusal> {
        let Some(edge) = house::daemon(reporter).filter(|daemon| daemon.floor == EDGE) else { return Ok(()) };
        // Every step leaves the counts whole: a panic elsewhere does not make them wrong.
        let mut written = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (began, count) = written.entry(edge.name).or_insert((now, 0));
        if now.duration_since(*began) >= PERIOD {
            (*began, *count) = (now, 0);
        }
        if *count >= MOST && !mutant("audit-edges-unbounded") {
            let message =
                format!("{reporter} has written {MOST} entries in this minute: try again in the next");
            return Err(Refusal::busy("audit.too-many", message));
        }
        *count += 1;
        if *count == MOST {
            tracing::error!(
                reporter,
                "an edge writes more entries than its duty needs: the next are refused"
            );
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Mutant audit-edges-unbounded.
    #[test]
    fn an_edge_writes_little_and_the_others_what_they_must() {
        let (allowances, now) = (Allowances::default(), Instant::now());
        let written =
            |reporter: &str, now| (0..10_000).filter(|_| allowances.take(reporter, now).is_ok()).count();
        assert_eq!([written("console", now), written("sip", now)], [120, 120]);
        assert_eq!([written("record", now), written("auth", now), written("report", now)], [10_000; 3]);
        assert_eq!(written("console", now + PERIOD), 120);
    }
}
