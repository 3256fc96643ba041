//! The one thread that writes the log. What arrives while a group is being made durable is the next group.

use crate::event;
use audit_api::{Actor, Event};
use audit_log::log::{Reading, SEGMENT, Torn};
use audit_log::{Checkpoint, ClockState, Error, Folder, Log, Reader, Settings, Unsigned, VerifierKey};
use service::{Failure, Refusal, clock};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, mpsc, oneshot};
use types::Uid;

/// Entries in one group at most.
const GROUP: usize = 100;
/// How long the report of a daemon waits for others before they are made durable together.
const GATHER: Duration = Duration::from_millis(10);
/// So many entries without a checkpoint, and one is due.
const FULL: u64 = 256;
/// Jobs that wait; who comes then waits to hand in.
const WAITING: usize = 1024;
/// systemd-timesyncd(8) makes this file when the clock is synchronised.
const SYNCHRONISED: &str = "/run/systemd/timesync/synchronized";

type Answer<T> = oneshot::Sender<Result<T, Refusal>>;

enum Job {
    Append { event: Box<Event>, reporter: String, answer: Answer<u64> },
    Unsigned { answer: Answer<Option<Unsigned>> },
    Publish { checkpoint: Checkpoint, answer: Answer<()> },
}

/// The way to the thread that writes. Cheap to clone; the thread ends with the last of them.
#[derive(Clone)]
pub struct Scribe {
    jobs: mpsc::Sender<Job>,
    reader: Reader<Folder>,
    full: Arc<Notify>,
    torn: Option<Torn>,
    latest: Option<Checkpoint>,
    keys: Vec<VerifierKey>,
}

impl Scribe {
    /// Opens the log in `folder` and begins to write. The receiver hears why the writer ended: a sync failed,
    /// and the process must end.
    pub fn open(folder: &Path, keys: Vec<VerifierKey>) -> Result<(Self, oneshot::Receiver<String>), Failure> {
        let attempted = format!("open the log in {}", folder.display());
        let boot = clock::boot().0.replace('-', "");
        let boot: Uid = boot.parse().map_err(|error| Failure::of("read the id of this boot", error))?;
        let disk = Folder::open(folder).map_err(|error| Failure::of(&attempted, error))?;
        let settings = Settings { keys: keys.clone(), segment_bytes: SEGMENT };
        let (log, torn) =
            Log::open(Arc::new(disk), settings).map_err(|error| Failure::of(&attempted, error))?;
        if let Some(Torn { offset, bytes }) = torn {
            tracing::warn!(offset, bytes, "cut off a tail that was never acknowledged");
        }
        let (jobs, waiting) = mpsc::channel(WAITING);
        let (failed, ended) = oneshot::channel();
        let full = Arc::new(Notify::new());
        let scribe = Self {
            jobs,
            reader: log.reader(),
            full: Arc::clone(&full),
            torn,
            latest: log.latest().cloned(),
            keys,
        };
        let writer = Writer { log, boot: boot.0, full };
        std::thread::Builder::new()
            .name("scribe".to_owned())
            .spawn(move || {
                if let Err(reason) = writer.run(waiting) {
                    // Where nobody listens any more the process is ending already.
                    let _ending = failed.send(reason);
                }
            })
            .map_err(|error| Failure::of("start the writer", error))?;
        Ok((scribe, ended))
    }

    /// Makes the event durable; gives its sequence.
    pub async fn append(&self, event: Event, reporter: &str) -> Result<u64, Refusal> {
        let (event, reporter) = (Box::new(event), reporter.to_owned());
        self.ask(|answer| Job::Append { event, reporter, answer }).await
    }

    /// The head to be signed, where entries came since the last checkpoint.
    pub async fn unsigned(&self) -> Result<Option<Unsigned>, Refusal> {
        self.ask(|answer| Job::Unsigned { answer }).await
    }

    /// Writes a signed checkpoint down.
    pub async fn publish(&self, checkpoint: Checkpoint) -> Result<(), Refusal> {
        self.ask(|answer| Job::Publish { checkpoint, answer }).await
    }

    /// Resolves when many entries have come since the last checkpoint.
    pub async fn full(&self) {
        self.full.notified().await;
    }

    /// A view of the durable entries.
    pub const fn reader(&self) -> &Reader<Folder> {
        &self.reader
    }

    /// The tail that was cut off when the log was opened.
    pub const fn torn(&self) -> Option<Torn> {
        self.torn
    }

    /// The newest checkpoint when the log was opened.
    pub const fn latest(&self) -> Option<&Checkpoint> {
        self.latest.as_ref()
    }

    /// The keys of the log, the present one first.
    pub fn keys(&self) -> &[VerifierKey] {
        &self.keys
    }

    async fn ask<T>(&self, job: impl FnOnce(Answer<T>) -> Job) -> Result<T, Refusal> {
        let (answer, answered) = oneshot::channel();
        let stopped = || Refusal::unavailable("audit.stopped", "the log does not write any more");
        self.jobs.send(job(answer)).await.map_err(|_gone| stopped())?;
        answered.await.map_err(|_gone| stopped())?
    }
}

struct Writer {
    log: Log<Folder>,
    boot: [u8; 16],
    full: Arc<Notify>,
}

impl Writer {
    /// Until nobody can hand in a job any more, or a sync fails.
    fn run(mut self, mut waiting: mpsc::Receiver<Job>) -> Result<(), String> {
        while let Some(first) = waiting.blocking_recv() {
            if is_patient(&first) && waiting.len() < GROUP - 1 {
                std::thread::sleep(GATHER);
            }
            let mut group = Vec::new();
            let mut next = Some(first);
            while let Some(Job::Append { event, reporter, answer }) = next {
                group.extend(self.stage(*event, &reporter, answer));
                next = if group.len() < GROUP { waiting.try_recv().ok() } else { None };
            }
            self.commit(group)?;
            match next {
                None | Some(Job::Append { .. }) => {}
                Some(Job::Unsigned { answer }) => tell(answer, Ok(self.log.unsigned())),
                Some(Job::Publish { checkpoint, answer }) => {
                    let outcome = self.log.publish(&checkpoint);
                    let stopped = stopped(&outcome);
                    tell(answer, outcome.map_err(refusal));
                    stopped?;
                }
            }
        }
        Ok(())
    }

    /// Gives the event its place, or tells its caller at once why it has none.
    fn stage(&mut self, event: Event, reporter: &str, answer: Answer<u64>) -> Option<(u64, Answer<u64>)> {
        let staged = event::draft(event, reporter).and_then(|(draft, values)| {
            let entry = self.log.stage(draft, self.reading()).map_err(refusal)?;
            values.iter().for_each(|value| self.log.keep(value));
            Ok(entry.sequence)
        });
        match staged {
            Ok(sequence) => Some((sequence, answer)),
            Err(refusal) => {
                tell(answer, Err(refusal));
                None
            }
        }
    }

    fn commit(&mut self, group: Vec<(u64, Answer<u64>)>) -> Result<(), String> {
        let outcome = self.log.commit();
        match &outcome {
            Ok(_sequences) => group.into_iter().for_each(|(sequence, answer)| tell(answer, Ok(sequence))),
            Err(error) => {
                tracing::error!(%error, entries = group.len(), "entries refused");
                let refused = refusal_of(error);
                group.into_iter().for_each(|(_sequence, answer)| tell(answer, Err(refused.clone())));
            }
        }
        if self.log.size() - self.log.covered() >= FULL {
            self.full.notify_one();
        }
        stopped(&outcome)
    }

    fn reading(&self) -> Reading {
        let synchronised = Path::new(SYNCHRONISED).exists();
        Reading {
            boot: self.boot,
            monotonic: Duration::from_nanos(clock::monotonic().0),
            utc_nanos: clock::utc().0,
            clock: if synchronised { ClockState::Synchronised } else { ClockState::Unknown },
        }
    }
}

/// Whether it may wait for others, so that they share a sync: what daemons report of their own doing, for which
/// nobody sits before a screen.
fn is_patient(job: &Job) -> bool {
    matches!(job, Job::Append { event, .. } if matches!(event.actor, Actor::Daemon(_)))
}

/// The reason to end, where the log stopped.
fn stopped<T>(outcome: &Result<T, Error>) -> Result<(), String> {
    match outcome {
        Err(error @ Error::Stopped(_)) => Err(error.to_string()),
        _ => Ok(()),
    }
}

fn tell<T>(answer: Answer<T>, outcome: Result<T, Refusal>) {
    // A caller that is gone does not act on it; its entry stays.
    let _gone = answer.send(outcome);
}

fn refusal(error: Error) -> Refusal {
    refusal_of(&error)
}

fn refusal_of(error: &Error) -> Refusal {
    match error {
        Error::TooLong(_) => Refusal::invalid("audit.too-long", error.to_string()),
        Error::Disk { source, .. } if source.kind() == std::io::ErrorKind::StorageFull => {
            Refusal::unavailable(
                "audit.disk-full",
                format!("{error}: make room, nothing goes on without its entry"),
            )
        }
        _ => Refusal::unavailable("audit.disk", error.to_string()),
    }
}
