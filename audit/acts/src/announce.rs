//! What a daemon below audit tells the log of itself.

use crate::Journal;
use audit_event::{Event, EventKind};
use service::Context;
use std::sync::Arc;

/// Tells the log that this daemon began to serve, and from then on every call that the table or the peer
/// check refused. (`audit_api::announce` does it for the daemons above.)
pub fn announce(house: &Context, journal: Arc<Journal>) {
    let daemon = house.daemon();
    journal
        .once(Event::of_daemon(EventKind::ServiceStarted, daemon, daemon).with("version", house.version()));
    let refused = house.refused();
    tokio::spawn(async move {
        let Some(mut refused) = refused else { return };
        while let Some(refusal) = refused.recv().await {
            journal.once(Event::of_refused_call(
                daemon,
                refusal.method,
                refusal.caller,
                refusal.uid,
                refusal.counted,
            ));
        }
    });
}
