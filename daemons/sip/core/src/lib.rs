//! SIP trunks and phones: the sans-IO core.
//!
//! Owns messages, transactions, dialogs, registrations, trunks, connections and legs. Knows no socket, no clock,
//! no file and no source of randomness: datagrams, streams, moments and a seed are handed in. Never looks into a session description
//! and never decides where a call goes: that is route's.
//!
//! ```text
//!   datagram ─► message ─► transaction ─► user agent ─► event ─► route
//!                              ▲            │  │ ▲
//!   datagram ◄─────────────────┘            │  │ └── command ◄─ route
//!                         registrar, digest ┘  └ dialog
//! ```
//!
//! The shell calls [`Core::handle`] with one [`Input`], drains [`Core::poll`], keeps [`Core::changes`] where
//! they outlive the process, and comes back at [`Core::next_wake`].

mod agenda;
mod connections;
mod core;
mod counters;
pub mod dialog;
pub mod digest;
mod flow;
mod ladder;
pub mod message;
pub mod random;
pub mod registrar;
mod settings;
mod sources;
mod streams;
pub mod transaction;
pub mod trunk;
mod useragent;

pub use crate::core::{Change, Changed, Core, Input, Output, Presence};
pub use connections::{Connection, Disconnect};
pub use counters::Counters;
pub use flow::{ConnectionId, Flow, Protocol, RemotePort};
pub use ladder::Rungs;
pub use random::Seed;
pub use settings::{
    Account, Bounds, Check, Limits, Listener, Network, Phone, Prefix, Redirects, Settings, Trunk,
};
pub use sources::{Report, Source};
pub use useragent::{Ended, Leg, Room};
