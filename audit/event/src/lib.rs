//! The vocabulary of the audit log: what happened, to what, by whom, with which result.
//!
//! A daemon fills an [`Event`] before it acts; audit makes it durable and answers with a sequence and, where
//! the act needs a key, with a [`Ticket`]. An act that can fail has two entries: begun, and ended.

mod kind;
mod reason;

pub use kind::EventKind;
pub use reason::{UnsoundReason, sound_reason};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use types::{Pii, Utc};

/// One entry-to-be. Time, boot and sequence are audit's to add.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Event {
    /// What happened.
    pub kind: EventKind,
    /// Whether it is about to happen or is over.
    pub phase: Phase,
    /// By whom.
    pub actor: Actor,
    /// From where: a terminal, an address, a peer's uid; empty where there is none.
    #[serde(default)]
    pub origin: String,
    /// On what: an id or a name, never personal data.
    #[serde(default)]
    pub object: String,
    /// With which result.
    pub outcome: Outcome,
    /// Why, in the person's own words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The case to which it belongs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub case: Option<String>,
    /// What else is worth keeping for ever: digests, counts, versions. Never personal, never secret.
    #[serde(default)]
    pub facts: BTreeMap<String, String>,
    /// Personal data: only SM3(salt ‖ value) goes into the entry, the value into the erasable side store.
    #[serde(default)]
    pub personal: BTreeMap<String, Pii<String>>,
}

impl Event {
    /// An event that is over and went well, by a daemon of the house.
    pub fn of_daemon(kind: EventKind, daemon: &str, object: impl Into<String>) -> Self {
        Self {
            kind,
            phase: Phase::Once,
            actor: Actor::Daemon(daemon.to_owned()),
            origin: String::new(),
            object: object.into(),
            outcome: Outcome::Done,
            reason: None,
            case: None,
            facts: BTreeMap::new(),
            personal: BTreeMap::new(),
        }
    }

    /// A call of this daemon that was refused before the daemon saw it, and how many of the same caller were only
    /// counted since the one told before.
    pub fn of_refused_call(
        daemon: &str,
        method: impl Into<String>,
        caller: &str,
        uid: u32,
        counted: u64,
    ) -> Self {
        let event = Self::of_daemon(EventKind::CallRefused, daemon, method);
        let event = Self { outcome: Outcome::Refused, ..event }.with("caller", caller).with("uid", uid);
        if counted > 0 { event.with("counted", counted) } else { event }
    }

    /// The same event with one more fact.
    #[must_use]
    pub fn with(mut self, name: &str, fact: impl ToString) -> Self {
        self.facts.insert(name.to_owned(), fact.to_string());
        self
    }
}

/// Whether the act is about to happen or is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// It cannot fail half-way: one entry.
    Once,
    /// About to happen.
    Begun,
    /// Over; the fact `begun` names the sequence of its beginning.
    Ended,
}

/// By whom.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Actor {
    /// A named person, whose assertion was verified.
    Person(String),
    /// A daemon of the house.
    Daemon(String),
    /// Somebody who did not say, or could not prove, who they are; the name as claimed.
    Claimed(String),
}

/// With which result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Not known yet: the act has just begun.
    Pending,
    /// Done.
    Done,
    /// Refused: no right.
    Refused,
    /// Tried, and failed.
    Failed,
}

/// The word of audit that an entry is durable, for `key`: without it nothing is unwrapped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Ticket {
    /// The entry.
    pub sequence: u64,
    /// Who acts.
    pub person: String,
    /// The act.
    pub act: EventKind,
    /// On what.
    pub object: String,
    /// Void from this moment on.
    pub expires: Utc,
    /// HMAC-SM3 over [`Ticket::message`] under the key that audit and key share, 64 hexadecimal digits.
    pub mac: String,
}

impl Ticket {
    /// The bytes under the MAC: each field with its length, so that no two tickets share them.
    pub fn message(&self) -> Vec<u8> {
        let mut bytes = b"yanmen ticket v1".to_vec();
        bytes.extend_from_slice(&self.sequence.to_be_bytes());
        bytes.extend_from_slice(&self.act.code().to_be_bytes());
        bytes.extend_from_slice(&self.expires.0.to_be_bytes());
        for text in [&self.person, &self.object] {
            // Lengths above u32 cannot come: a message on the wire is at most 1 MiB.
            bytes.extend_from_slice(&u32::try_from(text.len()).unwrap_or(u32::MAX).to_be_bytes());
            bytes.extend_from_slice(text.as_bytes());
        }
        bytes
    }
}
