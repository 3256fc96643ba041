//! The tamper-evident log: entries, segments, hash tree and signed checkpoints.
//!
//! Owns the format of `docs/formats/audit-log.md` and the discipline of its writing: an entry is durable
//! before it is acknowledged, and what a checkpoint covers is never repaired. It never reads a clock, makes
//! no randomness, holds no private key and knows no daemon.
//!
//! ```text
//!   Draft + Moment ──> Entry ──> frame ──> segment ──fdatasync──> acknowledged
//!                        │                                            │
//!                      leaf hash ──> Frontier ──> root ──> Unsigned ──key──> Checkpoint
//! ```
//!
//! Pure modules: [`hash`], [`tree`], [`proof`], [`cbor`], [`entry`], [`order`], [`frame`], [`checkpoint`].
//! Everything that touches a disk goes through the trait [`disk::Disk`]: [`log`](mod@log) writes, [`reader`]
//! reads beside the writer, [`personal`] keeps what must be erasable.

mod base64;
pub mod cbor;
pub mod checkpoint;
pub mod disk;
pub mod entry;
mod error;
pub mod frame;
pub mod hash;
mod index;
mod levels;
pub mod log;
pub mod order;
pub mod personal;
pub mod proof;
pub mod reader;
mod recovery;
pub mod scan;
pub mod tree;

pub use checkpoint::{Checkpoint, Signer, Unsigned, VerifierKey};
pub use disk::{Disk, Folder};
pub use entry::{Body, ClockState, Draft, Entry, Kind, Moment, Outcome, Phase};
pub use error::{Alarm, Error};
pub use hash::{Digest, Sm3};
pub use log::{Log, Reading, Settings};
pub use reader::Reader;
