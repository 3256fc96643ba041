//! SIP trunks and phones: the daemon.
//!
//! Owns the UDP sockets and the one task that drives the core; keeps sockets and state with the supervisor,
//! so that calls survive a kill. Decides nothing: what a caller wants goes to route, what route wants comes
//! back on one stream. Holds no key and writes nothing to a disk.
//!
//! ```text
//!            datagrams          Changes
//!   peers ◄──────────► Engine ──────────► Snapshot (memfd, kept by the supervisor)
//!                      (core)
//!                       ▲  │ events, in order
//!              commands │  ▼
//!                       Edge ◄──────────► route
//! ```

mod copying;
mod edge;
mod engine;
mod error;
mod rules;
mod snapshot;
mod sockets;

use copying::Copies;
use engine::Engine;
use service::Failure;
use sip_core::{Core, Seed};
use snapshot::Snapshot;
use sockets::Sockets;

fn main() -> std::process::ExitCode {
    service::run("sip", env!("CARGO_PKG_VERSION"), |house| async move {
        let mut rules = host_api::follow::<settings::sip::Sip>(&house, "sip").await?;
        let first = rules.borrow_and_update().clone();
        let sockets =
            Sockets::open(&house, &first.bind).map_err(|error| Failure::of("open the sockets", error))?;
        let listeners = rules::listeners(&first, &sockets.addresses());
        let (snapshot, changes) =
            Snapshot::open(house.clone()).map_err(|error| Failure::of("take the calls back", error))?;
        let core = Core::restore(rules::settings(&first, listeners), seed()?, changes);
        audit_api::announce(&house, house.client());

        let (orders, ordered) = tokio::sync::mpsc::channel(1_024);
        tokio::spawn(edge::attend(house.client(), orders));
        let copies = Copies::new(house.client(), sockets.addresses());
        let engine = Engine::new(core, sockets, snapshot, ordered, copies);
        house.ready();
        tokio::select! {
            () = house.stopping() => Ok(()),
            outcome = engine.run(rules) => outcome.map_err(|error| Failure::of("serve SIP", error)),
        }
    })
}

fn seed() -> Result<Seed, Failure> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(|error| Failure::of("draw randomness from the kernel", error))?;
    Ok(Seed(seed))
}
