//! Handles of keys, and nothing else.
//!
//! ```text
//!  record ──NewDek──────────────────────────> │      │
//!  record ──Unwrap(wrapped, ticket)─────────> │ key  │ ──> token (soft; SDF, PKCS#11)
//!  audit ───Sign(checkpoint), TicketKey─────> │      │
//!  auth ────Sign(assertion), AccountsKey────> │      │ ──> public/PURPOSE.pem, for all to verify
//!  audit <──Acts: what key did itself──────── │      │
//! ```
//!
//! Owns the token and the decision who gets what from it. It is the one process that loads a key module, has
//! no network and calls nobody. A data key leaves only for the object that audit's ticket names, so that
//! without a durable entry there is no access.

mod keeper;
mod passphrase;
mod start;
mod ticket;

use audit_acts::Journal;
use keeper::Keeper;
use key_api::{Call, Key};
use service::{Context, Failure, Request};
use std::{process::ExitCode, sync::Arc};

fn main() -> ExitCode {
    service::run("key", env!("CARGO_PKG_VERSION"), live)
}

async fn live(house: Context) -> Result<(), Failure> {
    let journal = Journal::new().map_err(|error| Failure::of("number the acts for audit", error))?;
    let journal = Arc::new(journal);
    audit_acts::announce(&house, Arc::clone(&journal));
    let mut keeper = start::keeper(&house, journal)?;
    let mut calls = house.serve::<Key>()?;
    house.ready();
    house.status(keeper.description());
    loop {
        tokio::select! {
            () = house.stopping() => return Ok(()),
            Some(request) = calls.next() => answer(&mut keeper, request),
        }
    }
}

/// One call, answered before the next is looked at: the token has one user at a time.
fn answer(keeper: &mut Keeper, request: Request<Key>) {
    let caller = request.peer.caller.name;
    match request.call {
        Call::NewDek(wanted, reply) => reply.send(keeper.new_deks(&wanted)),
        Call::Unwrap(wanted, reply) => reply.send(keeper.unwrap(&wanted, service::clock::utc())),
        Call::Sign(wanted, reply) => reply.send(keeper.sign(caller, &wanted)),
        Call::TicketKey(_, reply) => reply.send(keeper.ticket_key()),
        Call::AccountsKey(_, reply) => reply.send(keeper.accounts_key()),
        Call::PublicKeys(_, reply) => reply.send(keeper.public_keys()),
        Call::Acts(_, replies) => keeper.attach(replies),
        Call::Recorded(recorded, reply) => reply.send(keeper.recorded(&recorded)),
        Call::Unrecorded(why, reply) => reply.send(Ok(keeper.unrecorded(why))),
    }
}
