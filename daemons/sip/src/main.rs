//! SIP trunks and phones: the daemon.
//!
//! Owns the sockets and the one task that drives the core; keeps sockets, connections by TCP and state with the
//! supervisor, so that calls survive a kill. Decides nothing: what a caller wants goes to route, what route wants
//! comes back on one stream. Holds no key but that of its own TLS certificate.
//!
//! ```text
//!         datagrams, streams       Changes
//!   peers ◄────────────────► Engine ──────────► Snapshot (memfd, kept by the supervisor)
//!                            (core)
//!                             ▲  │ events, in order
//!                    commands │  ▼
//!                             Edge ◄──────────► route
//! ```

mod copying;
mod edge;
mod engine;
mod error;
mod rules;
mod snapshot;
mod sockets;
mod streams;
mod tls;

use audit_api::{Event, EventKind, Outcome};
use copying::Copies;
use engine::{Engine, Surroundings};
use rules::Networks;
use service::Failure;
use sip_core::{Core, Report, Seed};
use snapshot::Snapshot;
use sockets::Sockets;
use streams::Streams;
use tls::Tls;

fn main() -> std::process::ExitCode {
    service::run("sip", env!("CARGO_PKG_VERSION"), |house| async move {
        let mut rules = host_api::follow::<settings::sip::Sip>(&house, "sip").await?;
        let first = rules.borrow_and_update().clone();
        let networks = Networks::of(&first);
        let places = rules::places(&first);
        let failed = |error: error::Error| Failure::of("open the sockets", error);
        let sockets = Sockets::open(&house, &places).map_err(failed)?;
        let addresses = sockets.addresses().map_err(failed)?;
        let places: Vec<_> = places.into_iter().zip(addresses).collect();
        let tls = Tls::of(&first).map_err(|error| Failure::of("prepare TLS", error))?;
        let (mut streams, heard) = Streams::new(house.clone());
        let kept = streams.take_back();
        let (snapshot, changes) =
            Snapshot::open(house.clone()).map_err(|error| Failure::of("take the calls back", error))?;
        let listeners = rules::listeners(&places, &networks);
        let core = Core::restore(rules::settings(&first, &networks, listeners), seed()?, changes);
        audit_api::announce(&house, house.client());

        let (orders, ordered) = tokio::sync::mpsc::channel(1_024);
        tokio::spawn(edge::attend(house.client(), orders));
        let (reports, reported) = tokio::sync::mpsc::channel(64);
        tokio::spawn(enter(house.client(), reported));
        let copies = Copies::new(house.client(), places.iter().map(|(_, address)| *address).collect());
        let around = Surroundings {
            sockets,
            places,
            networks,
            streams,
            heard,
            kept,
            tls,
            snapshot,
            orders: ordered,
            reports,
            house: house.clone(),
        };
        let engine = Engine::new(core, around, copies);
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

/// Enters into the audit log what sources did, one entry after another.
async fn enter(audit: service::Client<audit_api::Audit>, mut reports: tokio::sync::mpsc::Receiver<Report>) {
    while let Some(report) = reports.recv().await {
        let counts = [
            ("seconds", report.seconds),
            ("passwords", report.passwords),
            ("users", report.users),
            ("unanswered", report.unanswered),
            ("malformed", report.malformed),
            ("dropped", report.dropped),
            ("others", report.others),
        ];
        let mut event = Event::of_daemon(EventKind::SourceRefused, "sip", report.source);
        for (name, count) in counts {
            event = event.with(name, count);
        }
        event.outcome = Outcome::Refused;
        audit_api::append(&audit, event).await;
    }
}
