//! Who may see what: supervisors and officers every call, agents their own; numbers masked unless a
//! supervisor gives a reason, which is durable in the audit log before the first digit is shown.

use crate::records::{CallRecords, Error, Selection};
use audit_api::{Actor, Append, Audit, Event, EventKind, Outcome, Phase, TicketWish, sound_reason};
use auth_api::{Assertion, Claims, Role, Verifier};
use gm::sm3;
use mutant::mutant;
use report_api::{Amend, Amended, CallRecord, CallRecordList, Ledger, LedgerPage, List, Save, Saved, Show};
use service::{Client, Refusal};
use std::collections::BTreeMap;
use tokio::sync::Semaphore;
use types::{AgentId, Pii, Utc};

/// Answers the callers of this daemon.
pub struct Desk {
    records: CallRecords,
    verifier: Verifier,
    audit: Client<Audit>,
    /// Lists that read at the same time; the others wait.
    readers: Semaphore,
}

const READERS: usize = 4;

impl Desk {
    /// A desk over these records, which asks `audit` before it shows personal data.
    pub fn new(records: CallRecords, verifier: Verifier, audit: Client<Audit>) -> Self {
        Self { records, verifier, audit, readers: Semaphore::new(READERS) }
    }

    /// Keeps a call record.
    pub async fn save(&self, save: Save) -> Result<Saved, Refusal> {
        Ok(Saved { digest: self.records.keep(&save.record).await? })
    }

    /// Keeps what became of a recording.
    pub async fn amend(&self, amend: Amend) -> Result<Amended, Refusal> {
        self.records.amend(amend.outcome).await?;
        Ok(Amended {})
    }

    /// What proves calls: ids, times and digests, so that no number is to be masked.
    pub async fn ledger(&self, ledger: Ledger) -> Result<LedgerPage, Refusal> {
        let claims = self.verifier.person(&ledger.assertion)?;
        if let Sight::Own(_) = Sight::of(&claims)? {
            let message = "the ledger of all calls is for supervisors and officers";
            return Err(Refusal::not_permitted("report.own-calls-only", message));
        }
        let selection = Selection {
            from: ledger.page.from.unwrap_or(Utc(i64::MIN)),
            until: ledger.page.until.unwrap_or(Utc(i64::MAX)),
            number: None,
            agent: None,
            queue: None,
            after: ledger.after,
            limit: ledger.page.rows(),
        };
        // Never closed, so there is always a place in the end.
        let _place = self.readers.acquire().await;
        let (calls, more) = self.records.ledger(selection).await?;
        Ok(LedgerPage { calls, more })
    }

    /// Call records, the newest first.
    pub async fn list(&self, list: List) -> Result<CallRecordList, Refusal> {
        let claims = self.verifier.person(&list.assertion)?;
        let sight = Sight::of(&claims)?;
        let numbers = Numbers::asked(&claims, list.reason.as_deref())?;
        if list.number.is_some() && numbers == Numbers::Masked {
            return Err(Refusal::invalid(
                "report.search-needs-reason",
                "a search for a number needs a reason",
            ));
        }
        let agent = match (sight, list.agent) {
            (Sight::Own(own), Some(other)) if own != other => {
                return Err(Refusal::not_permitted("report.own-calls-only", "an agent sees own calls only"));
            }
            (Sight::Own(own), _) => Some(own),
            (Sight::All, agent) => agent,
        };
        let selection = Selection {
            from: list.page.from.unwrap_or(Utc(i64::MIN)),
            until: list.page.until.unwrap_or(Utc(i64::MAX)),
            number: list.number,
            agent,
            queue: list.queue,
            after: list.after,
            limit: list.page.rows(),
        };
        let selected = {
            // Never closed, so there is always a place in the end.
            let _place = self.readers.acquire().await;
            self.records.select(selection.clone()).await?
        };
        let shown = match &numbers {
            Numbers::Masked => selected.calls.into_iter().map(masked).collect(),
            Numbers::Shown { reason } => {
                let event = shown(&claims, "call records", reason)
                    .with("calls", selected.calls.len())
                    .with("digest", ids(&selected.calls));
                self.enter(searched(event, &selection), list.assertion).await?;
                selected.calls
            }
        };
        Ok(CallRecordList { calls: shown, more: selected.more })
    }

    /// One call record.
    pub async fn show(&self, show: Show) -> Result<CallRecord, Refusal> {
        let claims = self.verifier.person(&show.assertion)?;
        let sight = Sight::of(&claims)?;
        let numbers = Numbers::asked(&claims, show.reason.as_deref())?;
        let record = self.records.call(show.call).await?;
        if let Sight::Own(own) = sight
            && !record.legs.iter().any(|leg| leg.agent.as_ref() == Some(&own) && leg.answered.is_some())
        {
            // The same answer as for a call that never was: which ids exist is nobody's business.
            return Err(Error::NoSuchCall(show.call).into());
        }
        match &numbers {
            Numbers::Masked => Ok(masked(record)),
            Numbers::Shown { reason } => {
                self.enter(shown(&claims, &show.call.to_string(), reason), show.assertion).await?;
                Ok(record)
            }
        }
    }

    /// Returns once the entry is durable: without it nothing is shown.
    async fn enter(&self, event: Event, assertion: Assertion) -> Result<(), Refusal> {
        let entry = Append { event, assertion: Some(assertion), ticket: TicketWish::None };
        match self.audit.call(entry).await {
            Ok(_) => Ok(()),
            Err(_) if mutant("report-shown-without-entry") => Ok(()),
            Err(error) => Err(error.into_refusal()),
        }
    }
}

/// Whose calls a person sees.
enum Sight {
    All,
    Own(AgentId),
}

impl Sight {
    fn of(claims: &Claims) -> Result<Self, Refusal> {
        if claims.roles.contains(Role::Supervisor) || claims.roles.officer().is_some() {
            Ok(Self::All)
        } else if claims.roles.contains(Role::Agent) {
            Ok(Self::Own(AgentId(claims.person.0.clone())))
        } else {
            Err(Refusal::not_permitted(
                "report.no-role",
                "call records are for supervisors, agents and officers",
            ))
        }
    }
}

/// Whether numbers are shown.
#[derive(PartialEq, Eq)]
enum Numbers {
    Masked,
    Shown { reason: String },
}

impl Numbers {
    fn asked(claims: &Claims, reason: Option<&str>) -> Result<Self, Refusal> {
        let Some(reason) = reason else { return Ok(Self::Masked) };
        let reason =
            sound_reason(reason).map_err(|unsound| Refusal::invalid("report.reason", unsound.to_string()))?;
        if !claims.roles.contains(Role::Supervisor) {
            return Err(Refusal::not_permitted(
                "report.no-unmasking",
                "only a supervisor may see whole numbers",
            ));
        }
        Ok(Self::Shown { reason: reason.to_owned() })
    }
}

fn masked(mut record: CallRecord) -> CallRecord {
    if !mutant("report-unmasked") {
        record.from.number = Pii::new(record.from.number.masked());
        record.from.display = record.from.display.map(|display| Pii::new(display.masked()));
    }
    record
}

fn shown(claims: &Claims, object: &str, reason: &str) -> Event {
    Event {
        kind: EventKind::PersonalDataShown,
        phase: Phase::Once,
        actor: Actor::Person(claims.person.to_string()),
        origin: format!("session {}", claims.session),
        object: object.to_owned(),
        outcome: Outcome::Done,
        reason: Some(reason.to_owned()),
        case: None,
        facts: BTreeMap::new(),
        personal: BTreeMap::new(),
    }
}

/// The event with what was searched for.
fn searched(mut event: Event, selection: &Selection) -> Event {
    event.personal.extend(selection.number.clone().map(|number| ("number".to_owned(), number)));
    for (name, fact) in [
        ("agent", selection.agent.as_ref().map(ToString::to_string)),
        ("queue", selection.queue.as_ref().map(ToString::to_string)),
        ("after", selection.after.as_ref().map(ToString::to_string)),
    ] {
        event.facts.extend(fact.map(|fact| (name.to_owned(), fact)));
    }
    event
}

/// SM3 over the ids of the calls that are shown, in order, 64 hexadecimal digits.
fn ids(calls: &[CallRecord]) -> String {
    let ids: Vec<_> = calls.iter().map(|record| record.call.0.0.as_slice()).collect();
    sm3::digest_parts(&ids).0.iter().map(|byte| format!("{byte:02x}")).collect()
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        let message = error.to_string();
        match error {
            Error::NoSuchCall(_) => Self::not_found("report.no-such-call", message),
            Error::Store(store::Error::Busy) => Self::busy("report.busy", message),
            Error::Store(store::Error::Batch(_) | store::Error::Value { .. }) | Error::Unwritable { .. } => {
                Self::invalid("report.record", message)
            }
            Error::Damaged { call, .. } => {
                tracing::error!(%call, message, "a kept record is damaged");
                Self::unavailable("report.damaged", message)
            }
            Error::Store(_) | Error::Interrupted(_) => Self::unavailable("report.unavailable", message),
        }
    }
}
