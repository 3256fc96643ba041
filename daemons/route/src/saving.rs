//! The way to report: a call record is sent again and again until report has kept it. Those that end together go
//! together.

use crate::switch::Word;
use report_api::{CallRecord, Report, Save};
use route_core::Input;
use service::Client;
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::sync::mpsc;

/// Call records on their way at the same time.
const TOGETHER: usize = 32;
const PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// How long the end of the daemon waits for call records that report has not kept.
const LAST_CHANCE: Duration = Duration::from_secs(5);

/// Call records that report has not kept. Their number is bounded by the core, which takes no call when too
/// many wait.
pub struct Saving {
    records: mpsc::UnboundedSender<Save>,
    waiting: Arc<AtomicUsize>,
}

impl Saving {
    /// None waits.
    pub fn new(report: Client<Report>, teller: mpsc::Sender<Word>) -> Self {
        let (records, queue) = mpsc::unbounded_channel();
        let waiting = Arc::new(AtomicUsize::new(0));
        tokio::spawn(carry(report, queue, teller, Arc::clone(&waiting)));
        Self { records, waiting }
    }

    /// Keeps a call record.
    pub fn save(&self, record: CallRecord) {
        self.waiting.fetch_add(1, Ordering::Relaxed);
        // Its task lives as long as the daemon.
        let _ending = self.records.send(Save { record });
    }

    /// Waits a short while for what is on its way.
    pub async fn drain(&self) {
        let end = tokio::time::Instant::now() + LAST_CHANCE;
        while self.waiting() > 0 && tokio::time::Instant::now() < end {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        if self.waiting() > 0 {
            // Their legs are not forgotten: the next life of route makes them again.
            tracing::warn!(call_records = self.waiting(), "report has not kept them: they wait at the edge");
        }
    }

    fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }
}

async fn carry(
    report: Client<Report>,
    mut queue: mpsc::UnboundedReceiver<Save>,
    teller: mpsc::Sender<Word>,
    waiting: Arc<AtomicUsize>,
) {
    let (mut some, mut pause) = (Vec::with_capacity(TOGETHER), PAUSE);
    loop {
        let room = TOGETHER - some.len();
        match some.is_empty() {
            true if queue.recv_many(&mut some, room).await == 0 => return,
            true => {}
            false => some.extend(std::iter::from_fn(|| queue.try_recv().ok()).take(room)),
        }
        let (answers, broken) = report.call_all(&some).await;
        let heard = some.drain(..answers.len());
        for (save, answer) in heard.zip(answers) {
            match answer {
                Ok(_) => saved(&save, &teller, &waiting).await,
                // One that is refused holds up nobody else.
                Err(refusal) => {
                    tracing::warn!(call = %save.record.call, %refusal, "report refused a call record: it is sent again");
                    let (report, teller, waiting) = (report.clone(), teller.clone(), Arc::clone(&waiting));
                    tokio::spawn(until_kept(report, save, teller, waiting));
                }
            }
        }
        match broken {
            None => pause = PAUSE,
            Some(error) => {
                tracing::warn!(%error, "report has not kept all call records: they are sent again");
                tokio::time::sleep(pause).await;
                pause = (2 * pause).min(LONGEST_PAUSE);
            }
        }
    }
}

async fn until_kept(
    report: Client<Report>,
    save: Save,
    teller: mpsc::Sender<Word>,
    waiting: Arc<AtomicUsize>,
) {
    let mut pause = PAUSE;
    loop {
        tokio::time::sleep(pause).await;
        pause = (2 * pause).min(LONGEST_PAUSE);
        match report.call(save.clone()).await {
            Ok(_) => return saved(&save, &teller, &waiting).await,
            Err(error) => {
                tracing::warn!(call = %save.record.call, %error, "report has not kept a call record: it is sent again");
            }
        }
    }
}

async fn saved(save: &Save, teller: &mpsc::Sender<Word>, waiting: &AtomicUsize) {
    waiting.fetch_sub(1, Ordering::Relaxed);
    // The switch is gone only when the daemon ends.
    let _ending = teller.send(Word::Input(Input::Saved(save.record.call))).await;
}
