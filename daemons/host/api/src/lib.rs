//! What host offers: the settings of the house in numbered versions, and its own acts for the audit log.
//!
//! ```text
//!   daemon  ── Follow ─────────────> its own sections, first as they are, then after each change
//!   person  ── Show, Check, Diff, Versions ──> looks: every password masked
//!   person  ── Health ─────────────> how the daemons are
//!   officer ── Apply, RollBack ────> a new version, once audit has made the entry durable
//!   audit   ── Acts ───────────────> what host is about to do and has done
//!           ── Recorded ───────────> the entry is durable: the act goes on
//! ```
//!
//! A daemon comes to its settings by [`follow`].

mod follow;
mod health;
mod versions;

pub use follow::{Settings, follow};
pub use health::*;
pub use versions::*;

use audit_acts::{Act, Acts, Confirmed, Recorded, Unrecorded};

service::interface! {
    /// The settings of the house.
    pub interface Host = "host" {
        /// The caller's own sections with their secrets: first as they are, then after each change.
        stream Follow -> Sections;
        /// The current settings, secrets masked.
        call Show -> Shown;
        /// What is wrong with a text, and what it would change.
        call Check -> Checked;
        /// What differs between two versions, secrets masked.
        call Diff -> Differences;
        /// Makes a text the current version. For a system administrator.
        call Apply -> Applied;
        /// Every version, the oldest first.
        call Versions -> VersionList;
        /// Makes the text of an earlier version the current one again. For a system administrator.
        call RollBack -> Applied;
        /// How the daemons are, as the supervisor knows it.
        call Health -> HouseHealth;
        /// host's own acts, for audit to make durable; each is confirmed by `Recorded`.
        stream Acts -> Act;
        /// An act of the stream is durable.
        call Recorded -> Confirmed;
        /// The log does not take an act of the stream now.
        call Unrecorded -> Confirmed;
    }
}
