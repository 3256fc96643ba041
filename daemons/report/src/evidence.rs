//! Carries the digest of every kept record into the audit log, in its own time: a record is durable before,
//! and waits for audit however long that is away. A digest may be entered twice when this process ends
//! between the entry and the note that it is there; it is never left out. Those of a moment go together.

use crate::records::CallRecords;
use audit_api::{Append, Audit, Event, EventKind, TicketWish};
use service::Client;
use std::{convert::Infallible, time::Duration};

/// Runs until the daemon ends.
pub async fn carry(records: CallRecords, audit: Client<Audit>) -> Infallible {
    let mut pause = SHORTEST;
    loop {
        match round(&records, &audit).await {
            Ok(Round::Carried) => pause = SHORTEST,
            Ok(Round::Nothing) => {
                pause = SHORTEST;
                records.kept().await;
                tokio::time::sleep(GATHER).await;
            }
            Err(error) => {
                tracing::warn!(%error, "digests of call records wait for the audit log");
                tokio::time::sleep(pause).await;
                pause = (2 * pause).min(LONGEST);
            }
        }
    }
}

/// How long the first record waits for others, so that they share an entry's way and the note that it is there.
const GATHER: Duration = Duration::from_millis(250);
const SHORTEST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(5);

/// What there was to carry.
pub enum Round {
    Carried,
    Nothing,
}

/// Carries what there is.
pub async fn round(
    records: &CallRecords,
    audit: &Client<Audit>,
) -> Result<Round, Box<dyn std::error::Error + Send + Sync>> {
    let some = records.unproved().await?;
    if some.is_empty() {
        return Ok(Round::Nothing);
    }
    let appends: Vec<Append> = some
        .iter()
        .map(|unproved| {
            let event = Event::of_daemon(EventKind::CallRecorded, "report", unproved.call.to_string());
            Append {
                event: event.with("digest", &unproved.digest),
                assertion: None,
                ticket: TicketWish::None,
            }
        })
        .collect();
    let (answers, broken) = audit.call_all(&appends).await;
    let entered = some.iter().zip(&answers).filter(|(_, answer)| answer.is_ok());
    records.proved(&entered.map(|(unproved, _)| unproved.call).collect::<Vec<_>>()).await?;
    if let Some(error) = broken {
        return Err(error.into());
    }
    match answers.into_iter().find_map(Result::err) {
        Some(refusal) => Err(refusal.to_string().into()),
        None => Ok(Round::Carried),
    }
}
