//! Who is who, and who may do what: accounts, sessions and the three officers (三员).
//!
//! Owns every rule about passwords, lock-out, sessions, roles and recovery. Never reads a clock, draws a
//! random number, touches a disk or signs: moments, salts and ids are handed in, and what is to be written
//! comes out.
//!
//! # Nothing takes effect before it is on record
//!
//! ```text
//!            propose(&self, now, act)               commit(&mut self, proposal)
//!   act ───────────────────────────> Proposal ───────────────────────────────> answer
//!                                     │  event ──> audit log, durable
//!                                     └  changes ─> store, durable
//! ```
//!
//! [`Directory::propose`] changes nothing. The [`Answer`], a refusal as well, is locked inside the
//! [`Proposal`] until [`Directory::commit`] takes it, so that a shell cannot answer before it has recorded.
//! A proposal made of an older state than the one it meets is [`Stale`].
//!
//! # Passwords are work
//!
//! argon2id takes a tenth of a second and tens of megabytes, so it is done apart from the directory:
//! [`Directory::challenge`] hands out what to check against, [`Challenge::answer`] does the work on any
//! thread, and the [`Proof`] comes back in an [`Act`]. A challenge for a person who is not there, is locked
//! or is disabled costs the same work and ends in the same answer.

mod account;
mod act;
mod challenge;
mod directory;
mod entering;
mod event;
mod factor;
mod lockout;
mod officers;
mod password;
mod policy;
mod recovery;
mod session;

pub use account::{Account, Lock, Nature, Secret, Standing};
pub use act::{Act, Answer, Deed, Now, Officers, Refusal, Reply};
pub use challenge::{Challenge, Proof, Replacement};
pub use directory::{Change, Directory, Proposal, SetUp, Snapshot, Stale};
pub use event::{Event, Outcome, Rejection, What};
pub use factor::{Enrolled, Factor, FactorSecret, Fresh, RECOVERY_CODES, SECRET};
pub use password::{Cost, HashError, PasswordHash, Salt};
pub use policy::{Policy, Weakness};
pub use recovery::{Recovery, RecoveryId, joined};
pub use session::Session;
