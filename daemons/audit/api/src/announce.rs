//! What every daemon tells the audit log of itself.

use crate::{Append, Audit, Event, EventKind, TicketWish};
use service::{Client, Context};
use std::time::Duration;

/// Tells the log that this daemon began to serve, and from then on every call that the table or the peer
/// check refused. Runs until the daemon ends; retries while audit is away, keeping the order.
pub fn announce(house: &Context, audit: Client<Audit>) {
    let (daemon, version) = (house.daemon(), house.version());
    let refused = house.refused();
    tokio::spawn(async move {
        append(&audit, Event::of_daemon(EventKind::ServiceStarted, daemon, daemon).with("version", version))
            .await;
        let Some(mut refused) = refused else { return };
        while let Some(refusal) = refused.recv().await {
            append(
                &audit,
                Event::of_refused_call(daemon, refusal.method, refusal.caller, refusal.uid, refusal.counted),
            )
            .await;
        }
    });
}

/// Appends an entry of a daemon's own; retries while audit is away.
pub async fn append(audit: &Client<Audit>, event: Event) {
    let mut pause = Duration::from_millis(100);
    while let Err(error) =
        audit.call(Append { event: event.clone(), assertion: None, ticket: TicketWish::None }).await
    {
        tracing::warn!(%error, kind = event.kind.text(), "audit is away: the entry waits");
        tokio::time::sleep(pause).await;
        pause = (2 * pause).min(Duration::from_secs(5));
    }
}
