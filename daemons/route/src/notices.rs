//! What record tells: how its disk is, for the core, and what became of recordings, for their call records.

use crate::switch::Word;
use record_api::{Attach, Noted, Notice, Outcome, Record, RecordingState};
use report_api::{Amend, Report};
use route_core::Input;
use service::{Client, Error};
use std::{convert::Infallible, time::Duration};
use tokio::{sync::mpsc, task::JoinSet};

const PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Listens to record for ever.
pub async fn listen(
    record: Client<Record>,
    report: Client<Report>,
    teller: mpsc::Sender<Word>,
) -> Infallible {
    loop {
        if let Err(error) = attached(&record, &report, &teller).await {
            tracing::warn!(%error, "record is away: what it tells comes later");
        }
        tokio::time::sleep(5 * PAUSE).await;
    }
}

async fn attached(
    record: &Client<Record>,
    report: &Client<Report>,
    teller: &mpsc::Sender<Word>,
) -> Result<(), Error> {
    let mut stream = record.stream(Attach {}).await?;
    // As many as record has under way. What this stream does not bring to its end, the next one tells again.
    let mut under_way = JoinSet::new();
    while let Some(notice) = stream.next().await? {
        match notice {
            Notice::Disk(health) => {
                // The switch is gone only when the daemon ends.
                let _ending = teller.send(Word::Input(Input::Disk(health))).await;
            }
            Notice::Outcome(outcome) => {
                under_way.spawn(carry(record.clone(), report.clone(), teller.clone(), outcome));
                while under_way.try_join_next().is_some() {}
            }
        }
    }
    Ok(())
}

/// Brings an outcome into its call record, however long report is away, and tells record so.
async fn carry(
    record: Client<Record>,
    report: Client<Report>,
    teller: mpsc::Sender<Word>,
    mut outcome: Outcome,
) {
    let noted = Noted { recording: outcome.recording, number: outcome.number };
    if !outcome.memo.is_empty() {
        // The switch is gone only when the daemon ends.
        let _ending = teller.send(Word::Input(Input::LeftBehind(Box::new(outcome.clone())))).await;
        outcome.memo.clear();
    }
    let over = outcome.state != RecordingState::Recording;
    let amend = Amend { outcome };
    let mut pause = PAUSE;
    loop {
        let done = async {
            if over {
                report.call(amend.clone()).await?;
            }
            record.call(noted).await
        };
        match done.await {
            Ok(_) => return,
            Err(error) => {
                tracing::warn!(recording = %noted.recording, %error, "what became of a recording is told again");
            }
        }
        tokio::time::sleep(pause).await;
        pause = (2 * pause).min(LONGEST_PAUSE);
    }
}
