#![doc = include_str!("../README.md")]

mod client;
pub mod clock;
mod context;
mod describe;
mod error;
mod interface;
mod journal;
mod notify;
mod peer;
mod rate;
mod refusals;
mod server;
#[cfg(test)]
mod tests;
mod wire;

pub use client::{Client, Stream};
pub use context::{Context, Failure, run};
pub use describe::describe;
pub use error::{Error, Refusal, RefusalKind};
pub use interface::{Answer, Gone, Interface, Method, MethodFacts, Replies, Reply, private};
pub use peer::Peer;
pub use rate::{Rate, Share};
pub use refusals::Refused;
pub use server::{Calls, Request};
pub use wire::{Connection, MAX_DESCRIPTORS, MAX_MESSAGE};
