//! host: the settings of the house in numbered versions. (Network, time, updates and backup will join it.)
//!
//! Owns the versions on disk (at the very first start the supervisor leaves `seed.toml`, which becomes
//! version 1), hands each daemon its own sections, and lets a system administrator install a
//! new version once audit has made the entry durable. Never calls anyone: audit opens its stream down to it.
//!
//! ```text
//!   Apply ─> who? ─> sound? ─> begun ──audit──> owed/N ─> versions/N ─> current ─> handed out ─> ended
//!            │       │          │ no word                  (kill here: the old one holds; after `current`:
//!            └───────┴──────────┴─> refused                 the new one. The end is told on the next start)
//! ```

mod book;
mod desk;
mod disk;
mod error;
mod follow;
mod health;
mod officer;
mod owed;
mod prompts;
mod seed;

use crate::{book::Book, desk::Desk, disk::Files, health::Supervisor, officer::Officers, prompts::Prompts};
use audit_acts::Journal;
use host_api::Host;
use service::Failure;
use std::sync::Arc;

fn main() -> std::process::ExitCode {
    service::run("host", env!("CARGO_PKG_VERSION"), |house| async move {
        gm::selftest().map_err(|error| Failure::of("test the cryptography", error))?;
        let book = Book::open(house.state_directory(), Files)
            .map_err(|error| Failure::of("open the versions of the settings", error))?;
        let journal =
            Arc::new(Journal::new().map_err(|error| Failure::of("number the acts for audit", error))?);
        audit_acts::announce(&house, Arc::clone(&journal));
        let prompts = Prompts::of(house.state_directory().join(".."));
        let officers = Officers::of(house.public_directory());
        let supervisor = Supervisor::of(&house.run_directory());
        let desk = Desk::new(book, Arc::clone(&journal), officers, prompts, supervisor);
        desk.open().await?;
        let mut calls = house.serve::<Host>()?;
        house.ready();
        loop {
            tokio::select! {
                () = house.stopping() => return Ok(()),
                Some(request) = calls.next() => desk.take(request),
            }
        }
    })
}
