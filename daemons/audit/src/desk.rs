//! What callers ask for. Reading the log is an act that stands in the log.

use crate::admission;
use crate::allowance::Allowances;
use crate::checkpoints::Checkpoints;
use crate::event::{self, hex};
use crate::scribe::Scribe;
use crate::tickets::Tickets;
use audit_api::{
    Actor, Append, Appended, Entry, EntryList, Event, EventKind, InclusionProof, List, Outcome, Phase, Proof,
    SignedCheckpoint, TicketWish, Verified, Verify,
};
use audit_log::{Checkpoint, Error, Folder, Reader};
use audit_verify::{Extent, Report};
use auth_api::{Assertion, Role, Verifier};
use key_api::Key;
use mutant::mutant;
use service::{Client, Refusal, clock};
use std::time::{Duration, Instant};

/// Bytes of a page at most; with its frame it must fit one message on the wire.
const HEAVIEST_PAGE: usize = service::MAX_MESSAGE / 10 * 9;
/// Entries that one call looks at.
const LOOKED_AT: u64 = 50_000;

/// The desk: one for all callers.
pub struct Desk {
    scribe: Scribe,
    verifier: Verifier,
    tickets: Tickets,
    checkpoints: Checkpoints,
    allowances: Allowances,
}

impl Desk {
    /// Over the log of `scribe`, believing assertions that `verifier` verifies, with checkpoints signed by `key`.
    pub fn new(scribe: Scribe, verifier: Verifier, tickets: Tickets, key: Client<Key>) -> Self {
        let checkpoints = Checkpoints::new(scribe.clone(), key);
        Self { scribe, verifier, tickets, checkpoints, allowances: Allowances::default() }
    }

    /// Makes an entry durable, and gives a ticket where one was wanted and may be had.
    pub async fn append(&self, append: Append, reporter: &str) -> Result<Appended, Refusal> {
        self.allowances.take(reporter, Instant::now())?;
        admission::admit(&append, reporter, &self.verifier, self.scribe.reader())?;
        let Append { event, ticket, .. } = append;
        let person = match (&event.actor, ticket) {
            (Actor::Person(person), TicketWish::Wanted) => Some(person.clone()),
            _ => None,
        };
        let (act, object) = (event.kind, event.object.clone());
        let sequence = self.scribe.append(event, reporter).await?;
        let ticket = person.map(|person| self.tickets.ticket(sequence, person, act, object, clock::utc()));
        Ok(Appended { sequence, ticket })
    }

    /// Makes an entry of audit's own durable.
    pub async fn report(&self, event: Event) -> Result<u64, Refusal> {
        self.scribe.append(event, "audit").await
    }

    /// A page of entries, the newest first.
    pub async fn list(&self, list: List) -> Result<EntryList, Refusal> {
        let mut event = Event::of_daemon(EventKind::AuditListed, "audit", "");
        let filters = [
            ("from", list.page.from.map(|from| from.0.to_string())),
            ("until", list.page.until.map(|until| until.0.to_string())),
            ("kind", list.kind.map(|kind| kind.text().to_owned())),
            ("person", list.person.clone()),
            ("object", list.object.clone()),
            ("before", list.before.map(|before| before.to_string())),
        ];
        event.facts =
            filters.into_iter().filter_map(|(name, filter)| Some((name.to_owned(), filter?))).collect();
        let own = self.officer(&list.assertion, event).await?;
        let reader = self.scribe.reader().clone();
        // A page does not show the entry that says it was looked at.
        blocking(move || page(&reader, &list, own)).await?
    }

    /// Verifies the whole log for the audit administrator.
    pub async fn verify(&self, verify: Verify) -> Result<Verified, Refusal> {
        let mut event = Event::of_daemon(EventKind::AuditVerified, "audit", "");
        (event.phase, event.outcome) = (Phase::Begun, Outcome::Pending);
        let begun = self.officer(&verify.assertion, event).await?;
        // All of it shall be under a signature; while key is away, the rest can be verified all the same.
        if let Err(refusal) = self.newest_checkpoint().await {
            tracing::warn!(%refusal, "the newest entries are verified without a checkpoint over them");
        }
        self.verification(Some(begun)).await
    }

    /// Verifies the whole log on audit's own account.
    pub async fn verified(&self) -> Result<Verified, Refusal> {
        self.verification(None).await
    }

    /// The newest checkpoint, for a caller.
    pub async fn signed_checkpoint(&self) -> Result<SignedCheckpoint, Refusal> {
        self.newest_checkpoint().await.map(|checkpoint| signed(&checkpoint))
    }

    /// The newest checkpoint; signs one first where entries came since the last.
    pub async fn newest_checkpoint(&self) -> Result<Checkpoint, Refusal> {
        self.checkpoints.newest().await
    }

    /// Resolves when a checkpoint is due.
    pub async fn checkpoint_due(&self, period: Duration) {
        self.checkpoints.due(period).await;
    }

    /// The proof that an entry is in the tree of the newest checkpoint.
    pub async fn proof(&self, proof: Proof) -> Result<InclusionProof, Refusal> {
        let checkpoint = self.newest_checkpoint().await?;
        let (leaf, path) = self
            .scribe
            .reader()
            .inclusion(proof.sequence, checkpoint.body.head.size)
            .map_err(|error| refusal(&error))?;
        let path = path.iter().map(|hash| hex(hash)).collect();
        Ok(InclusionProof { leaf: hex(&leaf), path, checkpoint: signed(&checkpoint) })
    }

    /// Puts the act of the audit administrator into the log, or the refusal of somebody else's. Gives the
    /// sequence of the entry.
    async fn officer(&self, assertion: &Assertion, mut event: Event) -> Result<u64, Refusal> {
        let claims = self.verifier.person(assertion)?;
        event.actor = Actor::Person(claims.person.to_string());
        let permitted = claims.roles.contains(Role::AuditAdministrator);
        if !permitted {
            (event.phase, event.outcome) = (Phase::Once, Outcome::Refused);
        }
        let sequence = if mutant("audit-read-unrecorded") {
            self.scribe.reader().size()
        } else {
            self.report(event).await?
        };
        if permitted {
            Ok(sequence)
        } else {
            Err(Refusal::not_permitted(
                "audit.not-the-auditor",
                "the audit log is for the audit administrator",
            ))
        }
    }

    async fn verification(&self, begun: Option<u64>) -> Result<Verified, Refusal> {
        let reader = self.scribe.reader().clone();
        let keys = self.scribe.keys().to_vec();
        let report =
            blocking(move || audit_verify::verify(reader.disk(), &keys, Extent::Entries(reader.size())))
                .await?;
        let damage = damage(&report);
        if let Some(damage) = &damage {
            tracing::error!(damage, "the log is damaged");
            let mut event = Event::of_daemon(EventKind::AuditDamaged, "audit", "log").with("damage", damage);
            event.outcome = Outcome::Failed;
            self.report(event).await?;
        }
        let mut event =
            Event::of_daemon(EventKind::AuditVerified, "audit", "").with("entries", report.entries);
        if let Some(begun) = begun {
            event = event.with("begun", begun);
            event.phase = Phase::Ended;
        }
        event.outcome = if damage.is_some() { Outcome::Failed } else { Outcome::Done };
        self.report(event).await?;
        let root = report.root.map(|root| hex(&root)).unwrap_or_default();
        Ok(Verified { entries: report.entries, root, checkpoints: report.checkpoints, damage })
    }
}

fn page(reader: &Reader<Folder>, list: &List, own: u64) -> Result<EntryList, Refusal> {
    let limit = list.page.rows();
    let start = list.before.unwrap_or(own).min(own);
    let end = start.saturating_sub(LOOKED_AT);
    let (mut entries, mut bytes) = (Vec::new(), 0);
    for sequence in (end..start).rev() {
        if entries.len() == limit {
            return Ok(EntryList { entries, more: true, next: Some(sequence + 1) });
        }
        let (entry, leaf) = reader.entry_and_leaf(sequence).map_err(|error| refusal(&error))?;
        let Some(entry) = event::entry(entry, &leaf).filter(|entry| matches(list, entry)) else { continue };
        bytes += serde_json::to_vec(&entry).map_or(0, |form| form.len() + 1);
        if bytes > HEAVIEST_PAGE && !entries.is_empty() {
            return Ok(EntryList { entries, more: true, next: Some(sequence + 1) });
        }
        entries.push(entry);
    }
    Ok(EntryList { entries, more: end > 0, next: (end > 0).then_some(end) })
}

fn matches(list: &List, entry: &Entry) -> bool {
    let event = &entry.event;
    let person = |wanted: &String| matches!(&event.actor, Actor::Person(person) if person == wanted);
    list.page.holds(entry.at)
        && list.kind.is_none_or(|kind| event.kind == kind)
        && list.person.as_ref().is_none_or(person)
        && list.object.as_ref().is_none_or(|object| event.object == *object)
}

fn damage(report: &Report) -> Option<String> {
    let fault = report.fault.as_ref().map(|fault| {
        let (file, offset, reason) = (&fault.file, fault.offset, fault.reason.en());
        format!("{file} at byte {offset}: {reason}")
    });
    fault.or_else(|| report.unreadable.clone())
}

fn signed(checkpoint: &Checkpoint) -> SignedCheckpoint {
    SignedCheckpoint { size: checkpoint.body.head.size, note: checkpoint.to_text() }
}

fn refusal(error: &Error) -> Refusal {
    match error {
        Error::Beyond(_) => Refusal::not_found("audit.no-entry", error.to_string()),
        _ => Refusal::unavailable("audit.disk", error.to_string()),
    }
}

/// Reads the disk beside the runtime's own thread.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Refusal> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| Refusal::unavailable("audit.reading", format!("reading the log: {error}")))
}
