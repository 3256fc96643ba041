//! What people ask of recordings: each act is durable in the audit log before it goes on, and none opens a
//! recording without the ticket that came with its entry.

use crate::{
    open,
    recorder::{Recorder, blocking, unknown},
    shelf::{About, Shelf},
};
use audit_api::{Actor, Append, Audit, Event, EventKind, Outcome, Phase, Ticket, TicketWish, sound_reason};
use auth_api::{Assertion, Claims, Role, Verifier};
use envelope::{Dek, Segment};
use key_api::{Key, Unwrap};
use mutant::mutant;
use record_api::{
    Export, Exported, Hold, LegalHold, List, Recording, RecordingList, RecordingState, Release, Show,
    Verified, Verify,
};
use service::{Client, Rate, Refusal, Share, clock};
use std::{collections::BTreeMap, fs::File, io::BufWriter, os::fd::OwnedFd, sync::Arc, time::Instant};
use tokio::sync::Semaphore;
use types::RecordingId;

/// Exports at a time: one whose reader is stuck holds its thread, and must leave some for the recordings.
const EXPORTS: usize = 16;

/// Attempts without the role that are entries, in one minute; more of them are told in the journal alone.
const REFUSED: u32 = 60;

/// Answers people.
pub struct Desk {
    shelf: Shelf,
    recorder: Arc<Recorder>,
    verifier: Verifier,
    key: Client<Key>,
    audit: Client<Audit>,
    exports: Semaphore,
    refused: Rate,
}

impl Desk {
    /// A desk over this shelf.
    pub fn new(
        shelf: Shelf,
        recorder: Arc<Recorder>,
        verifier: Verifier,
        key: Client<Key>,
        audit: Client<Audit>,
    ) -> Self {
        Self {
            shelf,
            recorder,
            verifier,
            key,
            audit,
            exports: Semaphore::new(EXPORTS),
            refused: Rate::a_minute(REFUSED),
        }
    }

    /// Recordings, the newest first.
    ///
    /// # Errors
    /// No right, or the disk failed.
    pub async fn list(&self, list: List) -> Result<RecordingList, Refusal> {
        let claims = self.may(&list.assertion, SEERS, EventKind::RecordingsListed, "").await?;
        let event = act(EventKind::RecordingsListed, &claims, "", None, Phase::Once, Outcome::Done);
        self.enter(event, list.assertion, TicketWish::None).await?;
        let after = match list.after {
            Some(after) => Some((self.about(after).await?.recording.began, after)),
            None => None,
        };
        let shelf = self.shelf.clone();
        let (found, more) = blocking(move || shelf.newest(&list.page, after, list.call)).await?;
        let recordings = found.into_iter().map(|about| self.recorder.shown(about)).collect();
        Ok(RecordingList { recordings, more })
    }

    /// One recording.
    ///
    /// # Errors
    /// No right, no such recording, or the disk failed.
    pub async fn show(&self, show: Show) -> Result<Recording, Refusal> {
        let object = show.recording.to_string();
        self.may(&show.assertion, SEERS, EventKind::RecordingsListed, &object).await?;
        Ok(self.recorder.shown(self.about(show.recording).await?))
    }

    /// Puts a recording on legal hold.
    ///
    /// # Errors
    /// No right, no reason, no audit, no such recording, it is deleted, or the disk failed.
    pub async fn hold(&self, hold: Hold) -> Result<Recording, Refusal> {
        let object = hold.recording.to_string();
        let claims = self.may(&hold.assertion, HOLDERS, EventKind::RecordingHeld, &object).await?;
        let reason = reason(&hold.reason)?;
        let legal = LegalHold {
            by: claims.person.clone(),
            at: clock::utc(),
            reason: reason.to_owned(),
            case: hold.case.clone(),
        };
        let mut event =
            act(EventKind::RecordingHeld, &claims, &object, Some(reason), Phase::Begun, Outcome::Pending);
        event.case = hold.case;
        self.about(hold.recording).await?;
        self.perform(event, hold.assertion, self.recorder.hold(hold.recording, legal)).await
    }

    /// Lifts a legal hold.
    ///
    /// # Errors
    /// No right, no reason, no audit, no such recording, it is deleted, or the disk failed.
    pub async fn release(&self, release: Release) -> Result<Recording, Refusal> {
        let object = release.recording.to_string();
        let claims = self.may(&release.assertion, RELEASERS, EventKind::RecordingReleased, &object).await?;
        let reason = reason(&release.reason)?;
        let event =
            act(EventKind::RecordingReleased, &claims, &object, Some(reason), Phase::Begun, Outcome::Pending);
        self.about(release.recording).await?;
        self.perform(event, release.assertion, self.recorder.release(release.recording)).await
    }

    /// Enters that an act begins, does it, and enters how it ended.
    async fn perform<T>(
        &self,
        mut event: Event,
        assertion: Assertion,
        act: impl Future<Output = Result<T, Refusal>>,
    ) -> Result<T, Refusal> {
        let begin =
            Append { event: event.clone(), assertion: Some(assertion.clone()), ticket: TicketWish::None };
        let begun = self.audit.call(begin).await?.sequence;
        let done = act.await;
        event.phase = Phase::Ended;
        event.outcome = if done.is_ok() { Outcome::Done } else { Outcome::Failed };
        self.enter(event.with("begun", begun), assertion, TicketWish::None).await?;
        done
    }

    /// Writes the sound to the descriptor.
    ///
    /// # Errors
    /// No right, no reason, no audit, no key, or a chunk that does not open.
    pub async fn export(&self, export: Export, descriptor: Option<OwnedFd>) -> Result<Exported, Refusal> {
        let object = export.recording.to_string();
        let claims = self.may(&export.assertion, LISTENERS, EventKind::RecordingExported, &object).await?;
        let reason = reason(&export.reason)?;
        let target = descriptor.ok_or_else(|| {
            Refusal::invalid("record.no-descriptor", "an export comes with a descriptor to write to")
        })?;
        let about = self.about(export.recording).await?;
        if about.recording.state == RecordingState::Recording {
            return Err(Refusal::conflict(
                "record.goes-on",
                "the recording goes on: export it when it is over",
            ));
        }
        there(&about)?;
        let Ok(_place) = self.exports.try_acquire() else {
            let message = format!("{EXPORTS} exports go on already: try again when one is done");
            return Err(Refusal::busy("record.exports", message));
        };
        let mut event =
            act(EventKind::RecordingExported, &claims, &object, Some(reason), Phase::Begun, Outcome::Pending);
        event.case = export.case.clone();
        let (sequence, ticket) = self.ticket(event.clone(), export.assertion.clone()).await?;
        let written = match self.keys(&about, ticket).await {
            Ok(keys) => {
                let (shelf, about) = (self.shelf.clone(), about.clone());
                blocking(move || open::write_wav(&shelf, &about, &keys, BufWriter::new(File::from(target))))
                    .await
            }
            Err(refusal) => Err(refusal),
        };
        event.phase = Phase::Ended;
        event.facts.insert("begun".to_owned(), sequence.to_string());
        event.outcome = if written.is_ok() { Outcome::Done } else { Outcome::Failed };
        if let Ok(written) = &written {
            event = event.with("digest", &written.digest).with("size", written.size);
        }
        self.enter(event, export.assertion, TicketWish::None).await?;
        let written = written?;
        Ok(Exported { size: written.size, digest: written.digest, sequence, recording: about.recording })
    }

    /// Opens every chunk.
    ///
    /// # Errors
    /// No right, no reason, no audit or no key.
    pub async fn verify(&self, verify: Verify) -> Result<Verified, Refusal> {
        let object = verify.recording.to_string();
        let claims = self.may(&verify.assertion, VERIFIERS, EventKind::RecordingVerified, &object).await?;
        let reason = reason(&verify.reason)?;
        let about = self.about(verify.recording).await?;
        there(&about)?;
        let event =
            act(EventKind::RecordingVerified, &claims, &object, Some(reason), Phase::Begun, Outcome::Pending);
        let (sequence, ticket) = self.ticket(event.clone(), verify.assertion.clone()).await?;
        let found = match self.keys(&about, ticket).await {
            Ok(keys) => {
                let (shelf, about) = (self.shelf.clone(), about.clone());
                blocking(move || open::inspect(&shelf, &about, &keys)).await
            }
            Err(refusal) => Err(refusal),
        };
        let mut ended = event.with("begun", sequence);
        ended.phase = Phase::Ended;
        ended.outcome = match &found {
            Ok(found) if found.first_bad_byte.is_none() => Outcome::Done,
            _ => Outcome::Failed,
        };
        if let Ok(found) = &found {
            ended = ended.with("chunks", found.chunks);
            if let Some(byte) = found.first_bad_byte {
                ended = ended.with("first_bad_byte", byte);
            }
        }
        self.enter(ended, verify.assertion, TicketWish::None).await?;
        let found = found?;
        Ok(Verified {
            chunks: found.chunks,
            first_bad_byte: found.first_bad_byte,
            recording: about.recording,
        })
    }

    /// The data keys of all segments, each for the ticket.
    async fn keys(&self, about: &About, ticket: Ticket) -> Result<Vec<Dek>, Refusal> {
        let recording = about.recording.recording;
        let mut keys = Vec::new();
        for segment in (0..about.segments).map(Segment) {
            let shelf = self.shelf.clone();
            let wrapped = blocking(move || shelf.key(recording, segment)).await?;
            let unwrapped = self.key.call(Unwrap::new(&wrapped, ticket.clone())).await?;
            keys.push(
                unwrapped.open().map_err(|error| Refusal::unavailable("record.key", error.to_string()))?,
            );
        }
        Ok(keys)
    }

    async fn ticket(&self, event: Event, assertion: Assertion) -> Result<(u64, Ticket), Refusal> {
        let appended =
            self.audit.call(Append { event, assertion: Some(assertion), ticket: TicketWish::Wanted }).await?;
        let ticket = appended.ticket.ok_or_else(|| {
            Refusal::unavailable("record.no-ticket", "audit gave no ticket: nothing is opened")
        })?;
        Ok((appended.sequence, ticket))
    }

    async fn enter(&self, event: Event, assertion: Assertion, ticket: TicketWish) -> Result<(), Refusal> {
        if mutant("export-unaudited") {
            return Ok(());
        }
        self.audit.call(Append { event, assertion: Some(assertion), ticket }).await?;
        Ok(())
    }

    async fn about(&self, recording: RecordingId) -> Result<About, Refusal> {
        let shelf = self.shelf.clone();
        blocking(move || shelf.about(recording)).await?.ok_or_else(|| unknown(recording))
    }

    /// Who asks, where the role permits it. An attempt without the role is an entry, and for nobody a success.
    async fn may(
        &self,
        assertion: &Assertion,
        roles: &[Role],
        kind: EventKind,
        object: &str,
    ) -> Result<Claims, Refusal> {
        let claims = self.verifier.person(assertion)?;
        if roles.iter().any(|role| claims.roles.contains(*role)) || mutant("roles-unchecked") {
            return Ok(claims);
        }
        let names: Vec<&str> = roles.iter().map(|role| role.as_str()).collect();
        let message = format!("this is for {}: {} is none", names.join(" or "), claims.person);
        let refusal = Refusal::not_permitted("record.role", message);
        if self.refused.one_more("record", Instant::now()) == Share::Beyond {
            tracing::warn!(%refusal, "one of many attempts without the role");
            return Err(refusal);
        }
        let event = act(kind, &claims, object, None, Phase::Once, Outcome::Refused);
        self.enter(event.with("code", &refusal.code), assertion.clone(), TicketWish::None).await?;
        Err(refusal)
    }
}

/// Who sees that there are recordings.
const SEERS: &[Role] = &[Role::Supervisor, Role::SecurityAdministrator, Role::AuditAdministrator];
/// Who hears them.
const LISTENERS: &[Role] = &[Role::Supervisor];
/// Who may keep a recording beyond its retention.
const HOLDERS: &[Role] = &[Role::Supervisor, Role::SecurityAdministrator];
/// Who may let it be deleted again.
const RELEASERS: &[Role] = &[Role::SecurityAdministrator];
/// Who may have every chunk opened without hearing it.
const VERIFIERS: &[Role] = &[Role::Supervisor, Role::AuditAdministrator];

/// Refuses what is there no more.
fn there(about: &About) -> Result<(), Refusal> {
    if about.recording.state != RecordingState::Deleted {
        return Ok(());
    }
    let message = format!("recording {} is deleted: its retention is over", about.recording.recording);
    Err(Refusal::conflict("record.deleted", message))
}

fn reason(text: &str) -> Result<&str, Refusal> {
    sound_reason(text).map_err(|unsound| Refusal::invalid("record.reason", unsound.to_string()))
}

fn act(
    kind: EventKind,
    claims: &Claims,
    object: &str,
    reason: Option<&str>,
    phase: Phase,
    outcome: Outcome,
) -> Event {
    Event {
        kind,
        phase,
        actor: Actor::Person(claims.person.to_string()),
        origin: String::new(),
        object: object.to_owned(),
        outcome,
        reason: reason.map(str::to_owned),
        case: None,
        facts: BTreeMap::new(),
        personal: BTreeMap::new(),
    }
}
