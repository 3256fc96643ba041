//! Live contacts, queues, agents and flows: the daemon.
//!
//! Owns the one task in which every decision about a live call is made ([`switch`]); everything that waits
//! (record, report, audit, the streams to the edges) waits in tasks of its own. Sees no packet, no key and no
//! disk, and never opens a connection to an edge: commands go out on the streams that the edges opened.
//!
//! ```text
//!  sip ── ListSignalling, ───────────► ┌────────┐ ── Begin, Join, Finish ──► record   [`recordings`]
//!         AttachSignalling, Signal     │ switch │ ── Save ─────────────────► report   [`saving`]
//!      ◄─ commands ─────────────────── │ (core) │ ── Append ───────────────► audit    [`desk`]
//!  media ── ListMedia, AttachMedia, ─► │        │ ── roster, flows ────────► memfd    [`kept`]
//!           Hear                       └────────┘
//!        ◄─ commands ──────────────────┘   ▲
//!  ctl, console ── live state, agents ──► desk
//! ```
//!
//! A call record is sent to report until report has it, and a recording's end to record. Until both have
//! them the signalling edge keeps the end of the caller's leg and the call's memo, so that a kill of route
//! loses neither.

mod captures;
mod desk;
mod kept;
mod listed;
mod notices;
mod recordings;
mod saving;
mod streams;
mod switch;
mod watching;

use auth_api::Verifier;
use desk::Desk;
use kept::Kept;
use route_api::Route;
use route_core::{Moment, Router};
use service::{Context, Failure, clock};
use settings::{record::Record, route::Route as Plan};
use switch::{Memory, Switch};

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
    let unkept = |error| Failure::of("keep what outlives a kill", error);
    let (seats, roster) = Kept::open(&house, "roster").map_err(unkept)?;
    let (flows, versions) = Kept::open(&house, "flows").map_err(unkept)?;
    let router = Router::new(now(), seed, plan.borrow().clone(), rule.borrow().clone(), roster, versions);
    let calls = house.serve::<Route>()?;
    let memory = Memory { seats, flows };
    let switch = Switch::new(router, memory, house.client(), house.client(), Desk::new(verifier, audit));
    house.ready();
    switch.run(&house, calls, plan, rule).await
}

/// This moment on both clocks.
fn now() -> Moment {
    Moment { monotonic: clock::monotonic(), utc: clock::utc() }
}
