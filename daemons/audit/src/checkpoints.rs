//! Checkpoints: the log's head, signed by `key`, one at a time.

use crate::scribe::Scribe;
use audit_log::Checkpoint;
use key_api::{Key, Sign, SigningPurpose};
use service::{Client, Refusal};
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::Instant;

/// After a checkpoint that failed, the next one is tried so much later.
const PAUSE: Duration = Duration::from_secs(1);

/// The newest checkpoint and the way to the next.
pub struct Checkpoints {
    scribe: Scribe,
    key: Client<Key>,
    /// Held while one is signed, so that two callers do not sign two heads at once.
    newest: Mutex<Newest>,
}

struct Newest {
    checkpoint: Option<Checkpoint>,
    at: Instant,
    tried: Instant,
}

impl Checkpoints {
    /// For the log of `scribe`, signed by `key`.
    pub fn new(scribe: Scribe, key: Client<Key>) -> Self {
        let now = Instant::now();
        let newest = Mutex::new(Newest { checkpoint: scribe.latest().cloned(), at: now, tried: now });
        Self { scribe, key, newest }
    }

    /// The newest checkpoint, over every durable entry: signs one first where entries came since the last.
    pub async fn newest(&self) -> Result<Checkpoint, Refusal> {
        let mut newest = self.newest.lock().await;
        newest.tried = Instant::now();
        if let Some(unsigned) = self.scribe.unsigned().await? {
            let signed =
                self.key.call(Sign::new(SigningPurpose::AuditLog, unsigned.text().as_bytes())).await?;
            let malformed =
                |error: key_api::Malformed| Refusal::unavailable("audit.signature", error.to_string());
            let key = self.scribe.keys().first().ok_or_else(empty)?;
            let checkpoint = unsigned.signed(key, signed.bytes().map_err(malformed)?.0);
            self.scribe.publish(checkpoint.clone()).await?;
            newest.checkpoint = Some(checkpoint);
        }
        newest.at = Instant::now();
        newest.checkpoint.clone().ok_or_else(empty)
    }

    /// Resolves when the next checkpoint is due: `period` after the last, or earlier where many entries came.
    pub async fn due(&self, period: Duration) {
        let (at, tried) = {
            let newest = self.newest.lock().await;
            (newest.at, newest.tried)
        };
        let not_before = tried + PAUSE;
        tokio::select! {
            () = tokio::time::sleep_until((at + period).max(not_before)) => {}
            () = self.scribe.full() => {}
        }
    }
}

fn empty() -> Refusal {
    Refusal::not_found("audit.empty", "the log has no entries yet")
}
