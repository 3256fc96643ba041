//! argon2id off the runtime's thread, so many at a time and no more: a flood of log-ins is told Busy while
//! memory stays at two hashes.

use crate::error::Error;
use service::Refusal;
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Hashes that run at the same time; each takes 64 MiB.
const HANDS: usize = 2;
/// Hashes that wait for a hand, at a tenth to half a second each: the last of them is still answered in time.
/// The next one is told Busy.
const WAITING: usize = 16;

/// Does the work of passwords.
pub struct Hashing {
    places: Arc<Semaphore>,
    hands: Arc<Semaphore>,
}

/// The right to do one piece of work.
#[must_use]
pub struct Hand {
    _place: OwnedSemaphorePermit,
    _hand: OwnedSemaphorePermit,
}

impl Default for Hashing {
    fn default() -> Self {
        Self { places: Arc::new(Semaphore::new(HANDS + WAITING)), hands: Arc::new(Semaphore::new(HANDS)) }
    }
}

impl Hashing {
    /// Waits for a hand. Whoever has one looks again whether the work is still wanted.
    ///
    /// # Errors
    /// Busy when too many wait already.
    pub async fn hand(&self) -> Result<Hand, Refusal> {
        let busy = "too many passwords are being checked: try again in some seconds";
        let place =
            Arc::clone(&self.places).try_acquire_owned().map_err(|_full| Refusal::busy("auth.busy", busy))?;
        let hand = Arc::clone(&self.hands)
            .acquire_owned()
            .await
            .map_err(|closed| Error::Worker(closed.to_string()))?;
        Ok(Hand { _place: place, _hand: hand })
    }
}

impl Hand {
    /// Does the work on another thread.
    ///
    /// # Errors
    /// The work panicked.
    pub async fn work<T: Send + 'static>(
        self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Error> {
        let done = tokio::task::spawn_blocking(move || {
            // Given back when the work is done, also where nobody waits for it any more.
            let _held = self;
            work()
        });
        done.await.map_err(|panicked| Error::Worker(panicked.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[tokio::test]
    async fn a_flood_is_told_busy_and_never_uses_more_hands() {
        static RUNNING: AtomicUsize = AtomicUsize::new(0);
        static MOST: AtomicUsize = AtomicUsize::new(0);
        let hashing = Arc::new(Hashing::default());
        let flood: Vec<_> = (0..200)
            .map(|_| {
                let hashing = Arc::clone(&hashing);
                tokio::spawn(async move {
                    let hand = hashing.hand().await?;
                    let done = hand
                        .work(|| {
                            MOST.fetch_max(RUNNING.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                            std::thread::sleep(std::time::Duration::from_millis(5));
                            RUNNING.fetch_sub(1, Ordering::SeqCst);
                        })
                        .await;
                    done.map_err(Refusal::from)
                })
            })
            .collect();
        let mut done = 0;
        for each in flood {
            match each.await.unwrap() {
                Ok(()) => done += 1,
                Err(refusal) => assert_eq!(refusal.kind, service::RefusalKind::Busy),
            }
        }
        assert_eq!((done, MOST.load(Ordering::SeqCst)), (HANDS + WAITING, HANDS));
        hashing.hand().await.unwrap().work(|| ()).await.unwrap();
    }
}
