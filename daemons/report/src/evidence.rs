//! Carries the digest of every kept record into the audit log, in its own time: a record is durable before,
//! and waits for audit however long that is away. A digest may be entered twice when this process ends
//! between the entry and the note that it is there; it is never left out.

use crate::records::{CallRecords, Unproved};
use audit_api::{Append, Audit, Event, EventKind, TicketWish};
use service::Client;
use std::{convert::Infallible, time::Duration};

/// Runs until the daemon ends.
pub async fn carry(records: CallRecords, audit: Client<Audit>) -> Infallible {
    let mut pause = SHORTEST;
    loop {
        match round(&records, &audit).await {
            Ok(()) => pause = SHORTEST,
            Err(error) => {
                tracing::warn!(%error, "digests of call records wait for the audit log");
                tokio::time::sleep(pause).await;
                pause = (2 * pause).min(LONGEST);
            }
        }
    }
}

const SHORTEST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(5);

async fn round(
    records: &CallRecords,
    audit: &Client<Audit>,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    for Unproved { call, digest } in records.unproved().await? {
        let event =
            Event::of_daemon(EventKind::CallRecorded, "report", call.to_string()).with("digest", digest);
        audit.call(Append { event, assertion: None, ticket: TicketWish::None }).await?;
        records.proved(call).await?;
    }
    Ok(())
}
