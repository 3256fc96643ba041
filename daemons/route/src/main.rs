//! Live contacts, queues, agents and flows: the daemon.
//!
//! Owns the one task in which every decision about a live call is made ([`switch`]); everything that waits
//! (record, report, audit, the streams to the edges) waits in tasks of its own. Sees no packet, no key and no
//! disk, and never opens a connection to an edge: commands go out on the streams that the edges opened.
//!
//! ```text
//!  sip ──── AttachSignalling, Signal ──► ┌────────┐ ── Begin, Join, Finish ──► record   [`recordings`]
//!      ◄─── commands ─────────────────── │ switch │ ── Save ─────────────────► report   [`saving`]
//!  media ── AttachMedia, Hear ─────────► │ (core) │ ── Append ───────────────► audit    [`desk`]
//!      ◄─── commands ─────────────────── └────────┘ ── roster ───────────────► memfd    [`seats`]
//!  ctl, console ── live state, agents ──► desk ──┘
//! ```
//!
//! A call record is sent to report until report has it, and a recording's end to record. Until both have
//! them the signalling edge keeps the end of the caller's leg and the call's memo, so that a kill of route
//! loses neither.

mod captures;
mod desk;
mod recordings;
mod saving;
mod seats;
mod streams;
mod switch;

use auth_api::Verifier;
use desk::Desk;
use route_api::Route;
use route_core::{Moment, Router};
use seats::Seats;
use service::{Context, Failure, clock};
use settings::{record::Record, route::Route as Plan};
use switch::Switch;

fn main() -> std::process::ExitCode {
    service::run("route", env!("CARGO_PKG_VERSION"), serve)
}

async fn serve(house: Context) -> Result<(), Failure> {
    gm::selftest().map_err(|error| Failure::of("test the cryptography", error))?;
    let plan = host_api::follow::<Plan>(&house, "route").await?;
    let rule = host_api::follow::<Record>(&house, "record").await?;
    let verifier = Verifier::of_house(&house).await?;
    let audit = house.client();
    audit_api::announce(&house, audit.clone());
    let mut seed = [0; 16];
    getrandom::fill(&mut seed).map_err(|error| Failure::of("draw a seed for ids", error))?;
    let (seats, roster) =
        Seats::open(&house).map_err(|error| Failure::of("keep the agents' seats", error))?;
    let router = Router::new(now(), seed, plan.borrow().clone(), rule.borrow().clone(), roster);
    let calls = house.serve::<Route>()?;
    let switch = Switch::new(router, seats, house.client(), house.client(), Desk::new(verifier, audit));
    house.ready();
    switch.run(&house, calls, plan, rule).await
}

/// This moment on both clocks.
fn now() -> Moment {
    Moment { monotonic: clock::monotonic(), utc: clock::utc() }
}
