//! What the daemon needs before it serves: the key of tickets, and the public key of its checkpoints.

use crate::event::hex;
use crate::tickets::Tickets;
use audit_log::VerifierKey;
use gm::sm2::VerifyingKey;
use key_api::{Key, SigningPurpose, TicketKey};
use service::{Client, Context, Failure};
use std::fs;
use std::path::Path;
use std::time::Duration;

const PAUSE: Duration = Duration::from_millis(200);
/// The log's keys in text, one a line, the present one first: the first line is what an auditor takes away.
const KEYS: &str = "verifier-keys";

/// Asks `key` for the key of tickets, until it answers.
pub async fn tickets(house: &Context, key: &Client<Key>) -> Result<Tickets, Failure> {
    loop {
        match key.call(TicketKey {}).await {
            Ok(shared) => {
                let shared = shared.open().map_err(|error| Failure::of("read the key of tickets", error))?;
                return Ok(Tickets::new(shared));
            }
            Err(error) => tracing::info!(%error, "waiting for key to give the key of tickets"),
        }
        pause(house, "get the key of tickets").await?;
    }
}

/// Waits for `key` to publish the public key of checkpoints; gives it with the log's name, and the earlier keys.
pub async fn log_keys(house: &Context) -> Result<Vec<VerifierKey>, Failure> {
    let path = house.public_directory().join(SigningPurpose::AuditLog.file_name());
    let attempted = format!("read the public key of checkpoints {}", path.display());
    let pem = loop {
        match fs::read_to_string(&path) {
            Ok(pem) => break pem,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => pause(house, &attempted).await?,
            Err(error) => return Err(Failure::of(&attempted, error)),
        }
    };
    let key = VerifyingKey::from_pem(&pem).map_err(|error| Failure::of(&attempted, error))?;
    keys(&house.state_directory().join(KEYS), key)
}

/// The keys in the file, `present` first; writes the file where that is news. The name that the log got with
/// its first key stays.
pub fn keys(path: &Path, present: VerifyingKey) -> Result<Vec<VerifierKey>, Failure> {
    let attempted = format!("keep the log's keys in {}", path.display());
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(Failure::of(&attempted, error)),
    };
    let earlier: Result<Vec<VerifierKey>, _> = text.lines().map(VerifierKey::parse).collect();
    let earlier = earlier.map_err(|error| Failure::of(&attempted, error))?;
    let origin = earlier.first().map_or_else(
        || format!("yanmen/{}", hex(&gm::sm3::digest(&present.to_bytes()).0[..8])),
        |first| first.name().to_owned(),
    );
    let present = VerifierKey::new(&origin, present).map_err(|error| Failure::of(&attempted, error))?;
    let mut keys = vec![present.clone()];
    keys.extend(earlier.into_iter().filter(|key| *key != present));
    let lines: String = keys.iter().map(|key| key.to_text() + "\n").collect();
    if lines != text {
        let beside = path.with_extension("new");
        let written = fs::write(&beside, lines)
            .and_then(|()| fs::File::open(&beside)?.sync_all())
            .and_then(|()| fs::rename(&beside, path));
        written.map_err(|error| Failure::of(&attempted, error))?;
    }
    Ok(keys)
}

async fn pause(house: &Context, attempted: &str) -> Result<(), Failure> {
    tokio::select! {
        () = tokio::time::sleep(PAUSE) => Ok(()),
        () = house.stopping() => Err(Failure(format!("{attempted}: stopped while waiting"))),
    }
}
