//! What audit offers: durable entries, tickets, and the log to read and verify.
//!
//! [`announce`] is the two lines every daemon needs: its start and the calls that the table refused.

mod announce;

pub use announce::{announce, append};
pub use audit_event::{Actor, Event, EventKind, Outcome, Phase, Ticket, sound_reason};

use auth_api::Assertion;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use types::{Page, Utc};

service::interface! {
    /// The tamper-evident log.
    pub interface Audit = "audit" {
        /// Makes an entry durable, then answers: no entry, no act.
        call Append -> Appended;
        /// Entries, the newest first. Itself an audited act.
        call List -> EntryList;
        /// Reads the whole log again and checks every hash, order and signature.
        call Verify -> Verified;
        /// The newest checkpoint; signs one first where entries have come since.
        call Checkpoint -> SignedCheckpoint;
        /// The proof that an entry is in the tree of a checkpoint.
        call Proof -> InclusionProof;
    }
}

/// Makes an entry durable.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Append {
    /// What happens.
    pub event: Event,
    /// The person's own proof, where the actor is a person: audit verifies it by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assertion: Option<Assertion>,
    /// Whether a ticket shall come with the answer; only with an assertion.
    #[serde(default)]
    pub ticket: TicketWish,
}

/// Whether a ticket is wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TicketWish {
    /// No.
    #[default]
    None,
    /// Yes, for this act on this object.
    Wanted,
}

/// The entry is durable.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Appended {
    /// Its place in the log, from 0.
    pub sequence: u64,
    /// The ticket, where one was wanted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ticket: Option<Ticket>,
}

/// Asks for entries, the newest first.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct List {
    /// The audit administrator.
    pub assertion: Assertion,
    /// Entered when, and how many.
    #[serde(flatten)]
    pub page: Page,
    /// Of this kind.
    #[serde(default)]
    pub kind: Option<EventKind>,
    /// By this person.
    #[serde(default)]
    pub person: Option<String>,
    /// On this object.
    #[serde(default)]
    pub object: Option<String>,
    /// Before this sequence: the next page.
    #[serde(default)]
    pub before: Option<u64>,
}

/// The entries asked for.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct EntryList {
    /// The newest first.
    pub entries: Vec<Entry>,
    /// Whether there are more.
    pub more: bool,
    /// Where there are more: `before` of the next page. A page may be short or empty and have a next one,
    /// for one call looks through a bounded part of the log.
    #[serde(default)]
    pub next: Option<u64>,
}

/// One entry as it stands in the log.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Entry {
    /// Its place, from 0.
    pub sequence: u64,
    /// The wall clock.
    pub at: Utc,
    /// What happened; personal data only as digests.
    pub event: Event,
    /// SM3 of the leaf, 64 hexadecimal digits.
    pub leaf: String,
}

/// Asks for a verification of the whole log.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Verify {
    /// The audit administrator.
    pub assertion: Assertion,
}

/// What the verification showed.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Verified {
    /// Entries read.
    pub entries: u64,
    /// The root over all of them, 64 hexadecimal digits.
    pub root: String,
    /// Checkpoints whose signature and root hold.
    pub checkpoints: u64,
    /// The first thing that does not hold, in one sentence; nothing where all does.
    #[serde(default)]
    pub damage: Option<String>,
}

/// Asks for the newest checkpoint.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct Checkpoint {}

/// A checkpoint as a signed note.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct SignedCheckpoint {
    /// Entries beneath.
    pub size: u64,
    /// The note, as docs/formats/audit-log.md says.
    pub note: String,
}

/// Asks for the proof of an entry.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Proof {
    /// The entry.
    pub sequence: u64,
}

/// The proof that an entry is in the tree of a checkpoint (RFC 6962 §2.1.1).
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct InclusionProof {
    /// The entry's leaf, 64 hexadecimal digits.
    pub leaf: String,
    /// The path, from the leaf upwards, 64 hexadecimal digits each.
    pub path: Vec<String>,
    /// The checkpoint.
    pub checkpoint: SignedCheckpoint,
}
