//! How much an edge may write: it reports its own starts and little else, and one that is taken over shall not fill
//! the disk on which nothing goes on without an entry.

use mutant::mutant;
use service::{Rate, Refusal, Share};
use std::time::Instant;

/// Entries of one edge in one minute.
const MOST: u32 = 120;
/// The floor where strangers are heard.
const EDGE: &str = "edge";

/// What each edge has written lately.
pub struct Allowances(Rate);

impl Default for Allowances {
    fn default() -> Self {
        Self(Rate::a_minute(MOST))
    }
}

impl Allowances {
    /// One more entry of this reporter.
    ///
    /// # Errors
    /// Busy: an edge has written too many in this minute.
    pub fn take(&self, reporter: &str, now: Instant) -> Result<(), Refusal> {
        let Some(edge) = house::daemon(reporter).filter(|daemon| daemon.floor == EDGE) else { return Ok(()) };
        match self.0.one_more(edge.name, now) {
            Share::Within => {}
            Share::Last => {
                tracing::error!(
                    reporter,
                    "an edge writes more entries than its duty needs: the next are refused"
                );
            }
            Share::Beyond if mutant("audit-edges-unbounded") => {}
            Share::Beyond => {
                let message =
                    format!("{reporter} has written {MOST} entries in this minute: try again in the next");
                return Err(Refusal::busy("audit.too-many", message));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    /// Mutant audit-edges-unbounded.
    #[test]
    fn an_edge_writes_little_and_the_others_what_they_must() {
        let (allowances, now) = (Allowances::default(), Instant::now());
        let written =
            |reporter: &str, now| (0..10_000).filter(|_| allowances.take(reporter, now).is_ok()).count();
        assert_eq!([written("console", now), written("sip", now)], [120, 120]);
        assert_eq!([written("record", now), written("auth", now), written("report", now)], [10_000; 3]);
        assert_eq!(written("console", now + Duration::from_secs(60)), 120);
    }
}
