//! The three live cores (sip, media, route) in one process, on one fake clock, between simulated callers and
//! phones beyond a network that loses, doubles, delays and reorders datagrams.
//!
//! Owns the clock, the network, the parties and what a shell does for each core: streams between daemons,
//! state that outlives a kill, ports. Everything that is random comes from one seed, so the same
//! [`Scenario`] gives the same [`Trace`]. Never opens a socket, never reads a clock.
//!
//! ```text
//!   caller ══ SIP ══╗           ┌─ events ──►  route  ─── Begin, Join, Finish ──► record (a fake)
//!   phone  ══ SIP ══╬═ network ═╪═ sip  ◄─ commands ┤ └── Save ────────────────► report (a fake)
//!   both   ══ RTP ══╝           └─ media ◄──────────┘
//!                                    └──── taps ──► ledger: what came against what was recorded
//! ```
//!
//! [`World::run`] lets the scenario happen and the house come to rest; [`World::violations`] then says which
//! promise was broken.
#![allow(clippy::unwrap_used, clippy::panic, reason = "what fails here fails the test")]

mod chance;
/// media's words in the words of the leg contract: those of its shell, to the letter.
#[path = "../../../daemons/media/src/contract.rs"]
mod contract;
mod deaths;
mod edges;
mod ledger;
mod line;
mod parties;
mod phone;
mod rest;
mod scenario;
mod trace;
mod world;

pub use scenario::{Daemon, Deaths, Menus, Network, Scenario};
pub use trace::Trace;
pub use world::World;
