//! The core's events in the words of the audit log, made durable before anything goes on.

use audit_api::{Actor, Append, Audit, Event as Entry, EventKind, Outcome as Result_, Phase, TicketWish};
use auth_api::Assertion;
use auth_core::{Event, Outcome, Rejection, What};
use mutant::mutant;
use service::{Client, Refusal};
use std::{collections::BTreeMap, time::Duration};

/// How long audit may take: acts wait for each other meanwhile.
const PATIENCE: Duration = Duration::from_secs(5);

/// The way to the audit log.
pub struct Ledger(Client<Audit>);

impl Ledger {
    /// By this client.
    pub fn new(audit: Client<Audit>) -> Self {
        Self(audit)
    }

    /// Makes the events durable. `assertion` proves who acts: the person's own, or the voucher.
    ///
    /// # Errors
    /// audit is away or refuses: the act must not go on.
    pub async fn record(&self, events: &[Event], assertion: Option<&Assertion>) -> Result<(), Refusal> {
        if mutant("auth-unrecorded") {
            return Ok(());
        }
        for event in events {
            for entry in entries(event, assertion.is_some()) {
                self.append(entry, assertion.cloned()).await?;
            }
        }
        Ok(())
    }

    /// Tells the log that what it has been told as done was not done after all. That the log is away as
    /// well is left to the journal: the store has failed, and nothing was answered.
    pub async fn undone(&self, events: &[Event], assertion: Option<&Assertion>, why: &str) {
        for event in events {
            for mut entry in entries(event, assertion.is_some()) {
                entry.outcome = Result_::Failed;
                entry.facts.insert("why".to_owned(), "auth.unavailable".to_owned());
                if let Err(error) = self.append(entry, assertion.cloned()).await {
                    tracing::error!(%error, why, "neither stored nor recorded as failed");
                }
            }
        }
    }

    async fn append(&self, event: Entry, assertion: Option<Assertion>) -> Result<(), Refusal> {
        let assertion = assertion.filter(|_| matches!(event.actor, Actor::Person(_)));
        let append = Append { event, assertion, ticket: TicketWish::None };
        self.0.call_with(append, Vec::new(), PATIENCE).await?;
        Ok(())
    }
}

/// The entries of one event: a lock-out has one of its own beside the failure that led to it.
fn entries(event: &Event, proven: bool) -> Vec<Entry> {
    let mut entries = vec![entry(event, kind(event.what), proven)];
    if event.outcome == Outcome::Rejected(Rejection::LockedOut) {
        entries.push(Entry { outcome: Result_::Done, ..entry(event, EventKind::LockedOut, proven) });
    }
    entries
}

fn entry(event: &Event, kind: EventKind, proven: bool) -> Entry {
    let name = |person: &types::PersonId| person.to_string();
    let by = event.by.as_ref().map(name).unwrap_or_default();
    let (outcome, why) = match &event.outcome {
        Outcome::Done => (Result_::Done, None),
        Outcome::Rejected(rejection) => (Result_::Refused, Some(rejection.code())),
        Outcome::Refused(refusal) => (Result_::Refused, Some(refusal.code())),
    };
    let facts = [("role", event.role.map(|role| role.to_string())), ("why", why.map(str::to_owned))];
    let facts = facts.into_iter().filter_map(|(name, fact)| Some((name.to_owned(), fact?)));
    Entry {
        kind,
        phase: Phase::Once,
        actor: if proven && !by.is_empty() { Actor::Person(by.clone()) } else { Actor::Claimed(by.clone()) },
        origin: event.origin.map(|origin| origin.to_string()).unwrap_or_default(),
        object: event.on.as_ref().map(name).unwrap_or_else(|| own(event.what, by)),
        outcome,
        reason: None,
        case: None,
        facts: facts.collect(),
        personal: BTreeMap::new(),
    }
}

/// What an act without another person is done on: oneself, or all.
fn own(what: What, by: String) -> String {
    match what {
        What::List => "accounts".to_owned(),
        What::OriginLockOut | What::SetUp => String::new(),
        _ => by,
    }
}

/// The log's word.
const fn kind(what: What) -> EventKind {
    match what {
        What::SetUp => EventKind::SetUp,
        What::LogIn => EventKind::LogIn,
        What::LogOut => EventKind::LogOut,
        What::OriginLockOut => EventKind::LockedOut,
        What::ChangePassword => EventKind::PasswordChanged,
        What::EnrolFactor => EventKind::SecondFactorEnrolled,
        What::UseRecoveryCode => EventKind::RecoveryCodeUsed,
        What::Create => EventKind::AccountCreated,
        What::Grant => EventKind::RoleGranted,
        What::Revoke => EventKind::RoleRevoked,
        What::Disable => EventKind::AccountDisabled,
        What::Enable => EventKind::AccountEnabled,
        What::Unlock => EventKind::Unlocked,
        What::RequestRecovery => EventKind::RecoveryRequested,
        What::ApproveRecovery => EventKind::RecoveryApproved,
        What::List => EventKind::AccountsListed,
    }
}
