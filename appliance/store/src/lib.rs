//! What a daemon keeps: typed tables with secondary indexes, batches that are durable before they are
//! acknowledged, a feed of changes, leases with fencing.
//!
//! A daemon states its own port in its own words (`report` records a call, `desk` opens a ticket) and
//! implements it here on [`Table`]s. A second driver implements that same port natively, in SQL; there is no
//! common get/put trait between them. What both must promise stands in `conformance` and is proved there:
//!
//! - a [`Batch`] over many tables happens wholly or not at all, and only where every expected [`Version`] holds;
//! - [`Outcome::Committed`] means that a power cut no longer takes it away;
//! - whoever did not hear the outcome sends the same batch again and hears the first outcome;
//! - a read never shows what a power cut could still take away;
//! - the feed tells every commit once, in order, from any [`Position`] that is still kept;
//! - a batch under a [`Lease`] of an older [`Generation`] is refused.
//!
//! ```text
//!  submit ──▶ bounded queue ──▶ committer: one transaction for the group ─▶ flush ─▶ fdatasync ─▶ outcomes
//!             full: Busy        (whatever waits, at most 100)                  any fault: the process ends
//! ```
//!
//! One process owns a database. It never holds blobs: a value has less than 4 KB; recordings and audit
//! entries are files of their own. Memory and opening time grow with the database, so it holds live rows.

mod batch;
mod driver;
mod error;
mod key;
mod pending;
mod port;
mod table;

#[cfg(feature = "conformance")]
pub mod conformance;

pub use batch::Batch;
pub use driver::{Options, Schema, Store, Upgrade};
pub use error::Error;
pub use key::Key;
pub use pending::Pending;
pub use port::{
    BatchId, Change, Changed, Claim, Commit, Cursor, Expect, Feed, Generation, Holder, Lease, LeaseName,
    Order, Outcome, Page, Position, Row, Version, Within,
};
pub use table::{Index, Table};
