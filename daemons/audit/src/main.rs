//! The audit log: an entry is durable before the act that it records goes on.
//!
//! ```text
//!  all floors above ── Append ──> admission ──> scribe ── fdatasync ──> sequence, ticket
//!  key, host ── their own acts ─────────────────^  │ ^
//!  ctl, console ── List, Verify, Checkpoint, Proof │ └── checkpoint each minute, signed by key
//!                         └──────── reader <───────┘
//! ```
//!
//! Owns the log of this node: nobody else writes it, and nothing in it is ever changed. It never believes an
//! edge about a person (it verifies the assertion itself), never holds a private key, and never tries an fsync
//! twice: when one fails the process ends, and what was not acknowledged was not done.

mod acts;
mod admission;
mod allowance;
mod checkpoints;
mod desk;
mod event;
mod scribe;
mod start;
#[cfg(test)]
mod tests;
mod tickets;

use audit_api::{Audit, Call, Event, EventKind};
use auth_api::Verifier;
use desk::Desk;
use host_api::Settings;
use key_api::Key;
use scribe::Scribe;
use service::{Context, Failure, Refused, Request};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

/// What the last entry and its checkpoint may take when the daemon is told to stop.
const FAREWELL: Duration = Duration::from_secs(5);
/// The whole log is read again this often.
const VERIFICATION: Duration = Duration::from_secs(24 * 3600);

fn main() -> ExitCode {
    service::run("audit", env!("CARGO_PKG_VERSION"), live)
}

async fn live(house: Context) -> Result<(), Failure> {
    gm::selftest().map_err(|error| Failure::of("test the cryptography", error))?;
    let settings = host_api::follow::<settings::audit::Audit>(&house, "audit").await?;
    let verifier = Verifier::of_house(&house).await?;
    let key = house.client::<Key>();
    let tickets = start::tickets(&house, &key).await?;
    let keys = start::log_keys(&house).await?;
    let (scribe, mut ended) = Scribe::open(&house.state_directory().join("log"), keys)?;
    let desk = Arc::new(Desk::new(scribe.clone(), verifier, tickets, key.clone()));
    desk.report(started(&house, &scribe)).await.map_err(|refusal| Failure::of("begin the log", refusal))?;
    tokio::spawn(acts::take(key, scribe.clone()));
    tokio::spawn(acts::take(house.client::<host_api::Host>(), scribe.clone()));
    tokio::spawn(sign_in_time(Arc::clone(&desk), settings));
    tokio::spawn(verify_daily(Arc::clone(&desk)));
    let mut refused = house.refused();
    let mut calls = house.serve::<Audit>()?;
    house.ready();
    loop {
        tokio::select! {
            () = house.stopping() => break,
            failure = &mut ended => return Err(Failure(failure.unwrap_or_else(|_gone| "the writer is gone".to_owned()))),
            Some(refusal) = next(&mut refused) => {
                let desk = Arc::clone(&desk);
                let event = Event::of_refused_call("audit", refusal.method, refusal.caller, refusal.uid, refusal.counted);
                tokio::spawn(async move {
                    if let Err(error) = desk.report(event).await {
                        tracing::error!(%error, "a refused call is not in the log");
                    }
                });
            }
            Some(request) = calls.next() => drop(tokio::spawn(answer(Arc::clone(&desk), request))),
        }
    }
    let farewell = async {
        desk.report(Event::of_daemon(EventKind::ServiceStopped, "audit", "audit")).await?;
        desk.newest_checkpoint().await
    };
    match tokio::time::timeout(FAREWELL, farewell).await {
        Ok(Ok(_checkpoint)) => Ok(()),
        // All entries are durable; the next life signs what this one could not.
        Ok(Err(refusal)) => Err(Failure::of("sign the last checkpoint", refusal)),
        Err(_elapsed) => Err(Failure("sign the last checkpoint: key did not answer in time".to_owned())),
    }
}

async fn answer(desk: Arc<Desk>, request: Request<Audit>) {
    let reporter = request.peer.caller.name;
    match request.call {
        Call::Append(append, reply) => reply.send(desk.append(append, reporter).await),
        Call::List(list, reply) => reply.send(desk.list(list).await),
        Call::Verify(verify, reply) => reply.send(desk.verify(verify).await),
        Call::Checkpoint(_, reply) => reply.send(desk.signed_checkpoint().await),
        Call::Proof(proof, reply) => reply.send(desk.proof(proof).await),
    }
}

fn started(house: &Context, scribe: &Scribe) -> Event {
    let event =
        Event::of_daemon(EventKind::ServiceStarted, "audit", "audit").with("version", house.version());
    match scribe.torn() {
        // What was cut off had not been acknowledged to anybody.
        Some(torn) => event.with("torn_bytes", torn.bytes),
        None => event,
    }
}

async fn sign_in_time(desk: Arc<Desk>, settings: Settings<settings::audit::Audit>) {
    loop {
        let period = settings.borrow().checkpoint.duration();
        desk.checkpoint_due(period).await;
        // key may be away for a while: the next turn comes in a second, and no caller waits for it.
        if let Err(refusal) = desk.newest_checkpoint().await {
            tracing::warn!(%refusal, "no checkpoint could be signed");
        }
    }
}

async fn verify_daily(desk: Arc<Desk>) {
    let mut days = tokio::time::interval(VERIFICATION);
    loop {
        days.tick().await;
        match desk.verified().await {
            Ok(verified) => {
                tracing::info!(entries = verified.entries, damage = ?verified.damage, "log verified")
            }
            Err(refusal) => tracing::error!(%refusal, "the log could not be verified"),
        }
    }
}

async fn next(refused: &mut Option<mpsc::Receiver<Refused>>) -> Option<Refused> {
    match refused {
        Some(refused) => refused.recv().await,
        None => None,
    }
}
