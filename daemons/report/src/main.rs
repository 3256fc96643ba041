//! Call records: kept once, listed masked, proved in the audit log.
//!
//! Owns the call records of this node. Never opens a connection to the floors above, never shows a number
//! without a reason that stands in the audit log first, never changes a record once it is kept.
//!
//! ```text
//!  route ── Amend ──▶ desk ──▶ records: what became of a recording, beside the record
//!  route ── Save ──▶ desk ──▶ records (store: durable) ── unproved ──▶ evidence ── Append ──▶ audit
//!  ctl, console ── List, Show ──▶ desk: who asks, what may be seen ── PersonalDataShown ──▶ audit
//! ```

mod desk;
mod evidence;
mod records;
#[cfg(test)]
mod tests;

use audit_api::Audit;
use auth_api::Verifier;
use desk::Desk;
use records::CallRecords;
use report_api::{Call, Report};
use service::{Context, Failure};
use std::{process::ExitCode, sync::Arc};

fn main() -> ExitCode {
    service::run("report", env!("CARGO_PKG_VERSION"), serve)
}

async fn serve(house: Context) -> Result<(), Failure> {
    gm::selftest().map_err(|error| Failure::of("test the cryptography", error))?;
    let verifier = Verifier::of_house(&house).await?;
    let audit = house.client::<Audit>();
    audit_api::announce(&house, audit.clone());
    let records = CallRecords::open(&house.state_directory())
        .map_err(|error| Failure::of("open the call records", error))?;
    tokio::spawn(evidence::carry(records.clone(), audit.clone()));
    let desk = Arc::new(Desk::new(records, verifier, audit));
    let mut calls = house.serve::<Report>()?;
    house.ready();
    loop {
        tokio::select! {
            () = house.stopping() => return Ok(()),
            Some(request) = calls.next() => {
                let desk = desk.clone();
                tokio::spawn(async move {
                    match request.call {
                        Call::Save(save, reply) => reply.send(desk.save(save).await),
                        Call::List(list, reply) => reply.send(desk.list(list).await),
                        Call::Amend(amend, reply) => reply.send(desk.amend(amend).await),
                        Call::Ledger(ledger, reply) => reply.send(desk.ledger(ledger).await),
                        Call::Show(show, reply) => reply.send(desk.show(show).await),
                    }
                });
            }
        }
    }
}
