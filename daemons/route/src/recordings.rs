//! The way to record: one task a recording, so that its Begin, Joins and Finish keep their order and no
//! recording waits for another.

use crate::switch::Word;
use record_api::{Begin, Finish, Join, Record};
use route_core::{Input, NotBegun};
use service::{Client, Error, RefusalKind};
use std::{collections::BTreeMap, time::Duration};
use tokio::{sync::mpsc, time::Instant};
use types::RecordingId;

/// How long record may be away before a call counts as not recorded, or a party as not joined.
const PATIENCE: Duration = Duration::from_secs(20);
const PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// record waits for media's last words before it seals.
const SEALING: Duration = Duration::from_secs(60);
/// record's codes for a disk with no room left, and for one that takes nothing.
const DISK_FULL: [&str; 2] = ["record.disk-full", "record.disk-stalled"];

/// Recordings that go on.
pub struct Recordings {
    record: Client<Record>,
    teller: mpsc::Sender<Word>,
    live: BTreeMap<RecordingId, mpsc::UnboundedSender<Step>>,
}

/// What is to be done with a recording. A call makes a handful of them, so the queue needs no bound.
enum Step {
    Begin(Begin),
    Join(Join),
    Finish(Finish),
}

impl Recordings {
    /// None goes on yet.
    pub fn new(record: Client<Record>, teller: mpsc::Sender<Word>) -> Self {
        Self { record, teller, live: BTreeMap::new() }
    }

    /// Begins a recording.
    pub fn begin(&mut self, begin: Begin) {
        self.live.retain(|_, steps| !steps.is_closed());
        self.step(begin.recording, Step::Begin(begin));
    }

    /// Adds a party.
    pub fn join(&mut self, join: Join) {
        self.step(join.recording, Step::Join(join));
    }

    /// Ends a recording.
    pub fn finish(&mut self, finish: Finish) {
        let recording = finish.recording;
        self.step(recording, Step::Finish(finish));
        // Its task goes on until record has it; nothing more is to come.
        self.live.remove(&recording);
    }

    fn step(&mut self, recording: RecordingId, step: Step) {
        let steps = self.live.entry(recording).or_insert_with(|| {
            let (steps, queue) = mpsc::unbounded_channel();
            tokio::spawn(carry(self.record.clone(), queue, self.teller.clone()));
            steps
        });
        // The task has ended only where the recording did not begin: then there is nothing to join or finish.
        let _not_begun = steps.send(step);
    }
}

async fn carry(record: Client<Record>, mut steps: mpsc::UnboundedReceiver<Step>, teller: mpsc::Sender<Word>) {
    while let Some(step) = steps.recv().await {
        let input = match step {
            Step::Begin(begin) => begun(&record, begin).await,
            Step::Join(join) => joined(&record, join).await,
            Step::Finish(finish) => {
                let recording = finish.recording;
                finished(&record, finish).await;
                Input::Finished(recording)
            }
        };
        let failed = matches!(input, Input::NotBegun(..));
        // The switch is gone only when the daemon ends.
        let _ending = teller.send(Word::Input(input)).await;
        if failed {
            return;
        }
    }
}

async fn begun(record: &Client<Record>, begin: Begin) -> Input {
    let recording = begin.recording;
    match persist(|| record.call(begin.clone())).await {
        Ok(_) => Input::Begun(recording),
        Err(error) => {
            tracing::error!(%recording, call = %begin.call, %error, "a recording did not begin");
            if !matches!(error, Error::Refused(_)) {
                // It may have begun without our hearing of it: then it is ended again.
                tokio::spawn({
                    let record = record.clone();
                    async move { finished(&record, Finish { recording, queues: Vec::new() }).await }
                });
            }
            let full =
                matches!(&error, Error::Refused(refusal) if DISK_FULL.contains(&refusal.code.as_str()));
            Input::NotBegun(recording, if full { NotBegun::DiskFull } else { NotBegun::Failed })
        }
    }
}

async fn joined(record: &Client<Record>, join: Join) -> Input {
    let (recording, track) = (join.recording, join.track.track);
    match persist(|| record.call(join.clone())).await {
        Ok(_) => Input::Joined(recording, track),
        Err(error) => {
            tracing::error!(%recording, track, %error, "a party did not join its recording");
            Input::NotJoined(recording, track)
        }
    }
}

/// Until record has taken it, or has no such recording.
async fn finished(record: &Client<Record>, finish: Finish) {
    let recording = finish.recording;
    let mut pause = PAUSE;
    loop {
        match record.call_with(finish.clone(), Vec::new(), SEALING).await {
            Ok(_) => return,
            Err(Error::Refused(refusal)) if lasting(refusal.kind) => {
                tracing::info!(%recording, %refusal, "nothing is there to be finished");
                return;
            }
            Err(error) => tracing::warn!(%recording, %error, "a recording is not finished yet"),
        }
        tokio::time::sleep(pause).await;
        pause = (2 * pause).min(LONGEST_PAUSE);
    }
}

/// Calls again while record is away or busy, for the time of our patience.
async fn persist<T, Answer>(mut ask: impl FnMut() -> Answer) -> Result<T, Error>
where
    Answer: Future<Output = Result<T, Error>>,
{
    let end = Instant::now() + PATIENCE;
    let mut pause = PAUSE;
    loop {
        match ask().await {
            Err(Error::Refused(refusal))
                if lasting(refusal.kind) || DISK_FULL.contains(&refusal.code.as_str()) =>
            {
                return Err(refusal.into());
            }
            Err(error) if Instant::now() + pause >= end => return Err(error),
            Err(_passing) => {}
            answered => return answered,
        }
        tokio::time::sleep(pause).await;
        pause = (2 * pause).min(LONGEST_PAUSE);
    }
}

/// Whether asking again can help not at all.
fn lasting(kind: RefusalKind) -> bool {
    !matches!(kind, RefusalKind::Busy | RefusalKind::Unavailable)
}
