//! `ym recordings`, `ym audit`, `ym keys`: what was said, and what can be proved of it.

use crate::{
    failure::Failure,
    output::{self, Form},
    session::Session,
    time,
};
use audit_api::{Actor, Audit, Event, EventKind};
use clap::{
    Subcommand,
    builder::{PossibleValuesParser, TypedValueParser},
};
use key_api::{Key, PublicKeys};
use record_api::{Consent, Record, Recording};
use std::{fs::OpenOptions, os::fd::OwnedFd, os::unix::fs::OpenOptionsExt, path::PathBuf, time::Duration};
use types::{CallId, Page, RecordingId};

/// How long an export may take: an hour of speech is seconds of work.
const PATIENCE: Duration = Duration::from_secs(600);

/// Recordings.
#[derive(Subcommand)]
pub enum RecordingDeed {
    /// Recordings, the newest first.
    List {
        /// Of this call.
        #[arg(long)]
        call: Option<CallId>,
        /// How many at most.
        #[arg(long, default_value_t = 50)]
        limit: u32,
    },
    /// One recording, its parties and their consent.
    Show {
        /// Which.
        recording: RecordingId,
    },
    /// Write the sound as a two-channel WAV: customer left, agent right (supervisor).
    Export {
        /// Which.
        recording: RecordingId,
        /// Why: kept in the audit log.
        #[arg(long)]
        reason: String,
        /// The case.
        #[arg(long)]
        case: Option<String>,
        /// The file to write; it must not exist.
        #[arg(long)]
        out: PathBuf,
    },
    /// Keep a recording beyond its retention (supervisor, security administrator).
    Hold {
        /// Which.
        recording: RecordingId,
        /// Why: kept in the audit log.
        #[arg(long)]
        reason: String,
        /// The case.
        #[arg(long)]
        case: Option<String>,
    },
    /// Lift a legal hold: the retention alone counts again (security administrator).
    Release {
        /// Which.
        recording: RecordingId,
        /// Why: kept in the audit log.
        #[arg(long)]
        reason: String,
    },
    /// Open every chunk and say whether the recording is whole (supervisor, audit administrator).
    Verify {
        /// Which.
        recording: RecordingId,
        /// Why: kept in the audit log.
        #[arg(long)]
        reason: String,
    },
}

/// The audit log.
#[derive(Subcommand)]
pub enum AuditDeed {
    /// Entries, the newest first (audit administrator).
    List {
        /// Of this kind, such as auth.log-in.
        #[arg(long, value_parser = kind())]
        kind: Option<EventKind>,
        /// By this person.
        #[arg(long)]
        person: Option<String>,
        /// On this object.
        #[arg(long)]
        object: Option<String>,
        /// Before this sequence: the next page.
        #[arg(long)]
        before: Option<u64>,
        /// How many at most.
        #[arg(long, default_value_t = 50)]
        limit: u32,
    },
    /// Read the whole log again and check every hash, order and signature (audit administrator).
    Verify,
    /// The newest signed checkpoint, to be kept elsewhere.
    Checkpoint,
    /// The proof that an entry is in the log.
    Proof {
        /// Which.
        sequence: u64,
    },
}

/// Does a deed on recordings.
///
/// # Errors
/// A refusal of record, or the file cannot be written.
pub async fn recordings(session: &Session<'_>, form: Form, deed: RecordingDeed) -> Result<(), Failure> {
    let (record, assertion) = (session.client::<Record>(), session.assertion().await?);
    match deed {
        RecordingDeed::List { call, limit } => {
            let list = record_api::List { assertion, call, after: None, page: Page::of(limit) };
            let reply = record.call(list).await?;
            output::show(form, &reply, |reply| {
                recording_table(&reply.recordings);
                if reply.more {
                    output::say("there are more: raise --limit");
                }
            });
        }
        RecordingDeed::Show { recording } => {
            let reply = record.call(record_api::Show { assertion, recording }).await?;
            output::show(form, &reply, |reply| {
                recording_table(std::slice::from_ref(reply));
                output::say("");
                for track in &reply.tracks {
                    let knew = match &track.consent {
                        Consent::Announced { prompt, digest, at } => {
                            format!(
                                "heard the announcement {prompt} to its end at {} (SM3 {digest})",
                                time::local(*at)
                            )
                        }
                        Consent::Employed {} => "knows by contract".to_owned(),
                        Consent::Ruled {} => {
                            "heard no announcement; the house answers for the consent (record.outside)"
                                .to_owned()
                        }
                        Consent::Refused {} => {
                            "did not agree: nothing of this party is in the file".to_owned()
                        }
                    };
                    output::say(&format!(
                        "track {}: {}, leg {}: {knew}",
                        track.track,
                        output::word(&track.party),
                        track.leg
                    ));
                }
                output::say(&format!("SM3 {}", reply.digest));
                keeping(reply);
            });
        }
        RecordingDeed::Hold { recording, reason, case } => {
            let reply = record.call(record_api::Hold { assertion, recording, reason, case }).await?;
            let arguments = [("recording", recording.to_string())];
            done(form, &reply, "ym.recording-held", &arguments);
        }
        RecordingDeed::Release { recording, reason } => {
            let reply = record.call(record_api::Release { assertion, recording, reason }).await?;
            let until = reply.retained_until.map_or_else(|| "–".to_owned(), time::local);
            done(
                form,
                &reply,
                "ym.recording-released",
                &[("recording", recording.to_string()), ("until", until)],
            );
        }
        RecordingDeed::Export { recording, reason, case, out } => {
            let file = OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(&out)
                .map_err(|error| Failure::new(&format!("make {}", out.display()), error))?;
            let export = record_api::Export { assertion, recording, reason, case };
            let outcome = record.call_with(export, vec![OwnedFd::from(file)], PATIENCE).await;
            let (exported, _) = outcome.inspect_err(|_| {
                // Nothing whole is in it; a second try would find it in its way.
                let _gone = std::fs::remove_file(&out);
            })?;
            output::show(form, &exported, |exported| {
                output::say(&format!(
                    "{} ({} bytes, SM3 {}), audit entry {}",
                    out.display(),
                    exported.size,
                    exported.digest,
                    exported.sequence
                ));
            });
        }
        RecordingDeed::Verify { recording, reason } => {
            let verify = record_api::Verify { assertion, recording, reason };
            let (verified, _) = record.call_with(verify, Vec::new(), PATIENCE).await?;
            output::show(form, &verified, |verified| match verified.first_bad_byte {
                None => output::say(&format!("every one of {} chunks opens", verified.chunks)),
                Some(byte) => {
                    output::say(&format!("{} chunks open; the first bad byte is {byte}", verified.chunks))
                }
            });
            if verified.first_bad_byte.is_some() {
                return Err(Failure::plain("the recording is damaged"));
            }
        }
    }
    Ok(())
}

/// Does a deed on the audit log.
///
/// # Errors
/// A refusal of audit, or damage.
pub async fn audit(session: &Session<'_>, form: Form, deed: AuditDeed) -> Result<(), Failure> {
    let audit = session.client::<Audit>();
    match deed {
        AuditDeed::List { kind, person, object, before, limit } => {
            let assertion = session.assertion().await?;
            let page = Page::of(limit);
            let list = audit_api::List { assertion, page, kind, person, object, before };
            output::show(form, &audit.call(list).await?, entry_table);
        }
        AuditDeed::Verify => {
            let verify = audit_api::Verify { assertion: session.assertion().await? };
            let (verified, _) = audit.call_with(verify, Vec::new(), PATIENCE).await?;
            output::show(form, &verified, |verified| {
                output::say(&format!(
                    "{} entries, {} checkpoints, root {}: {}",
                    verified.entries,
                    verified.checkpoints,
                    verified.root,
                    if verified.damage.is_some() { "不通过 damaged" } else { "通过 all hold" }
                ));
            });
            if let Some(damage) = verified.damage {
                return Err(Failure::plain(format!("the audit log is damaged: {damage}")));
            }
        }
        AuditDeed::Checkpoint => {
            let checkpoint = audit.call(audit_api::Checkpoint {}).await?;
            output::show(form, &checkpoint, |checkpoint| output::say(checkpoint.note.trim_end()));
        }
        AuditDeed::Proof { sequence } => {
            let proof = audit.call(audit_api::Proof { sequence }).await?;
            output::show(form, &proof, |proof| {
                output::say(&format!("leaf {}", proof.leaf));
                proof.path.iter().for_each(|hash| output::say(&format!("     {hash}")));
                output::say(proof.checkpoint.note.trim_end());
            });
        }
    }
    Ok(())
}

/// Shows the public keys.
///
/// # Errors
/// A refusal of key.
pub async fn keys(session: &Session<'_>, form: Form) -> Result<(), Failure> {
    let reply = session.client::<Key>().call(PublicKeys {}).await?;
    output::show(form, &reply, |reply| {
        output::say(&reply.token);
        for key in &reply.keys {
            output::say(&format!("{}\n{}", output::word(&key.purpose), key.pem.trim_end()));
        }
    });
    Ok(())
}

fn done(form: Form, reply: &Recording, code: &str, arguments: &[(&str, String)]) {
    let arguments: Vec<_> = arguments.iter().map(|(name, value)| (*name, value.as_str())).collect();
    output::done(form, reply, &output::text(code, &arguments));
}

/// For how long it is kept, and what is not in it.
fn keeping(recording: &Recording) {
    if let Some(until) = recording.retained_until {
        output::say(&format!("kept until {} at least", time::local(until)));
    }
    if let Some(hold) = &recording.hold {
        let case = hold.case.as_deref().unwrap_or("–");
        output::say(&format!(
            "on hold by {} since {}, case {case}: {}",
            hold.by,
            time::local(hold.at),
            hold.reason
        ));
    }
    if recording.masked > 0 {
        output::say(&format!("{} packets of parties without consent were left out", recording.masked));
    }
    if let Some(deleted) = recording.deleted {
        output::say(&format!("keys and sound were deleted at {}", time::local(deleted)));
    }
}

fn recording_table(recordings: &[Recording]) {
    let rows: Vec<Vec<String>> = recordings
        .iter()
        .map(|recording| {
            let lasted = recording.ended.map_or_else(
                || "goes on".to_owned(),
                |ended| format!("{} s", ended.since(recording.began).as_secs()),
            );
            vec![
                recording.recording.to_string(),
                recording.call.to_string(),
                time::local(recording.began),
                lasted,
                output::word(&recording.state),
                recording.packets.to_string(),
                recording.lost.to_string(),
                format!("{} KiB", recording.size.div_ceil(1024)),
            ]
        })
        .collect();
    let headings = ["RECORDING", "CALL", "BEGAN", "LASTED", "STATE", "PACKETS", "LOST", "SIZE"];
    output::table(&headings, &rows, "no recording yet");
}

fn entry_table(reply: &audit_api::EntryList) {
    let rows: Vec<Vec<String>> = reply
        .entries
        .iter()
        .map(|entry| {
            vec![
                entry.sequence.to_string(),
                time::local(entry.at),
                words::text(output::language(), &format!("audit.{}", entry.event.kind.text()), &[]),
                output::word(&entry.event.phase),
                actor(&entry.event),
                entry.event.object.clone(),
                output::word(&entry.event.outcome),
                entry.event.reason.clone().or_else(|| why(&entry.event)).unwrap_or_default(),
            ]
        })
        .collect();
    let headings = ["NO.", "AT", "WHAT", "PHASE", "WHO", "ON", "RESULT", "REASON"];
    output::table(&headings, &rows, "no entry fits");
    if let Some(next) = reply.next {
        output::say(&format!("there are more: --before {next}"));
    }
}

fn actor(event: &Event) -> String {
    match &event.actor {
        Actor::Person(name) => name.clone(),
        Actor::Daemon(name) => format!("[{name}]"),
        Actor::Claimed(name) => format!("{name}?"),
    }
}

/// Why an act was refused or failed, in words where its code has some.
fn why(event: &Event) -> Option<String> {
    event.facts.get("why").map(|code| words::text(output::language(), code, &[]))
}

/// Takes one of the kinds; the completion of a shell knows them from here.
fn kind() -> impl TypedValueParser<Value = EventKind> {
    PossibleValuesParser::new(EventKind::ALL.iter().map(|kind| kind.text())).try_map(|text| {
        let known = EventKind::ALL.iter().copied().find(|kind| kind.text() == text);
        known.ok_or_else(|| format!("{text} is no kind of entry"))
    })
}
