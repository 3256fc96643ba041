//! The way to report: a call record is sent again and again until report has kept it.

use crate::switch::Word;
use report_api::{CallRecord, Report, Save};
use route_core::Input;
use service::Client;
use std::{sync::Arc, time::Duration};
use tokio::sync::{Semaphore, mpsc};

/// Call records on their way at the same time.
const ON_THEIR_WAY: usize = 8;
const PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// How long the end of the daemon waits for call records that report has not kept.
const LAST_CHANCE: Duration = Duration::from_secs(5);

/// Call records that report has not kept. Their number is bounded by the core, which takes no call when too
/// many wait.
pub struct Saving {
    report: Client<Report>,
    teller: mpsc::Sender<Word>,
    places: Arc<Semaphore>,
    waiting: Arc<()>,
}

impl Saving {
    /// None waits.
    pub fn new(report: Client<Report>, teller: mpsc::Sender<Word>) -> Self {
        Self { report, teller, places: Arc::new(Semaphore::new(ON_THEIR_WAY)), waiting: Arc::new(()) }
    }

    /// Keeps a call record.
    pub fn save(&self, record: CallRecord) {
        let (report, teller) = (self.report.clone(), self.teller.clone());
        let (places, waiting) = (Arc::clone(&self.places), Arc::clone(&self.waiting));
        tokio::spawn(async move {
            let call = record.call;
            // Never closed, so there is a place in the end.
            let _place = places.acquire().await;
            until_kept(&report, record).await;
            drop(waiting);
            // The switch is gone only when the daemon ends.
            let _ending = teller.send(Word::Input(Input::Saved(call))).await;
        });
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
        Arc::strong_count(&self.waiting) - 1
    }
}

async fn until_kept(report: &Client<Report>, record: CallRecord) {
    let call = record.call;
    let mut pause = PAUSE;
    let save = Save { record };
    while let Err(error) = report.call(save.clone()).await {
        tracing::warn!(%call, %error, "report has not kept a call record: it is sent again");
        tokio::time::sleep(pause).await;
        pause = (2 * pause).min(LONGEST_PAUSE);
    }
}
