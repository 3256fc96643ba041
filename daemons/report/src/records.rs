//! The port of call records, on sled: keep one, read one, select many, and which the audit log does not
//! prove yet.
//!
//! A record is evidence, so it is kept as the text whose digest the audit log holds, in parts that fit a row
//! each. Beside it stand a head with what it is found by, and an entry for every agent who took the call and
//! every queue in which it waited. All of one record is one batch under the call's own id.

use gm::sm3;
use report_api::{CallRecord, LedgerRow, RecordingOutcome};
use serde::{Deserialize, Serialize};
use std::{path::Path, sync::Arc, time::Duration};
use store::{Batch, BatchId, Cursor, Expect, Index, Options, Order, Outcome, Schema, Store, Table, Within};
use tokio::sync::Notify;
use types::{AgentId, CallId, Pii, QueueId, Uid, Utc};

/// The call records of this node. Clones share them.
#[derive(Clone)]
pub struct CallRecords {
    store: Store,
    kept: Arc<Notify>,
}

/// Which records are wanted, the newest first.
#[derive(Clone, Debug)]
pub struct Selection {
    /// Offered at this time or later.
    pub from: Utc,
    /// Offered before this time.
    pub until: Utc,
    /// From exactly this number.
    pub number: Option<Pii<String>>,
    /// Taken by this agent.
    pub agent: Option<AgentId>,
    /// Through this queue.
    pub queue: Option<QueueId>,
    /// Older than this one.
    pub after: Option<CallId>,
    /// How many at most.
    pub limit: usize,
}

/// The newest records of a selection.
#[derive(Debug)]
pub struct Selected {
    /// The newest first, without ladders: who wants to see how a call went looks at that call.
    pub calls: Vec<CallRecord>,
    /// Whether there are more.
    pub more: bool,
}

/// A record that the audit log does not prove yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unproved {
    /// The call.
    pub call: CallId,
    /// The digest of its record, 64 hexadecimal digits.
    pub digest: String,
}

/// What could not be done with call records.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The store refused or failed.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// There is no record of this call.
    #[error("there is no record of call {0}")]
    NoSuchCall(CallId),
    /// The record is not what was kept: its digest or its form differs.
    #[error("the record of call {call} is damaged: {reason}")]
    Damaged {
        /// The call.
        call: CallId,
        /// What is wrong.
        reason: String,
    },
    /// The record does not become text.
    #[error("write the record of call {call}: {reason}")]
    Unwritable {
        /// The call.
        call: CallId,
        /// The serialiser's words.
        reason: String,
    },
    /// The reading thread ended early.
    #[error("read call records: {0}")]
    Interrupted(String),
}

impl CallRecords {
    /// Opens the records below `directory`.
    ///
    /// # Errors
    /// Those of [`Store::open`].
    pub fn open(directory: &Path) -> Result<Self, Error> {
        let options = Options {
            cache: CACHE,
            gather: GATHER,
            retain: RETAIN,
            ..Options::of(directory.join("records"))
        };
        let store = Store::open(&SCHEMA, options)?;
        Ok(Self { store, kept: Arc::new(Notify::new()) })
    }

    /// Keeps a record and answers its digest once it is durable. A call that has a record keeps that one,
    /// and the answer is its digest.
    ///
    /// # Errors
    /// [`Error::Store`] for a record of more than about 500 KB, a full queue or a failed disk.
    pub async fn keep(&self, record: &CallRecord) -> Result<String, Error> {
        let call = record.call;
        // What became of the recording is told later and changes; the digest is of what route knew.
        let text = serde_json::to_string(&CallRecord { outcome: None, ..record.clone() })
            .map_err(|error| Error::Unwritable { call, reason: error.to_string() })?;
        let digest = digest(&text);
        let outcome = self.store.submit(batch(record, &text, &digest)?)?.await;
        match outcome {
            Ok(Outcome::Committed(_)) => {
                self.kept.notify_one();
                Ok(digest)
            }
            Ok(_) | Err(store::Error::IdReused(_)) => {
                let kept = self.blocking(move |records| records.head(call)).await?.digest;
                if kept != digest {
                    tracing::warn!(%call, kept, offered = digest, "a second, different record of a call: the first stays");
                }
                Ok(kept)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// The record of a call.
    ///
    /// # Errors
    /// [`Error::NoSuchCall`], [`Error::Damaged`], [`Error::Store`].
    pub async fn call(&self, call: CallId) -> Result<CallRecord, Error> {
        self.blocking(move |records| records.read(call)).await
    }

    /// The newest records of a selection, as many as fit one answer.
    ///
    /// # Errors
    /// As [`CallRecords::call`]; [`Error::NoSuchCall`] for an unknown `after`.
    pub async fn select(&self, selection: Selection) -> Result<Selected, Error> {
        self.blocking(move |records| records.selected(&selection)).await
    }

    /// Keeps what became of a call's recording, where nothing later is known of it; durable when this returns.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn amend(&self, outcome: RecordingOutcome) -> Result<(), Error> {
        let call = outcome.call;
        let known = self.blocking(move |records| Ok(records.store.row(&OUTCOMES, &call)?)).await?;
        if known.is_some_and(|row| row.value.number >= outcome.number) {
            return Ok(());
        }
        self.store.submit(Batch::unnamed().put(&OUTCOMES, &call, &outcome, Expect::Anything)?)?.await?;
        Ok(())
    }

    /// What proves the newest calls of a selection, and whether there are more.
    ///
    /// # Errors
    /// As [`CallRecords::select`].
    pub async fn ledger(&self, selection: Selection) -> Result<(Vec<LedgerRow>, bool), Error> {
        self.blocking(move |records| {
            let selected = records.selected(&selection)?;
            let row = |record: CallRecord| {
                Ok(LedgerRow {
                    digest: records.head(record.call)?.digest,
                    call: record.call,
                    offered: record.offered,
                    ended: record.ended,
                    disposition: record.disposition,
                    recording: record.recording,
                    outcome: record.outcome,
                })
            };
            let rows: Result<_, Error> = selected.calls.into_iter().map(row).collect();
            Ok((rows?, selected.more))
        })
        .await
    }

    /// Some of the records that the audit log does not prove yet.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn unproved(&self) -> Result<Vec<Unproved>, Error> {
        let some = self.blocking(|records| Ok(records.store.scan(&UNPROVED, &Within::all())?)).await?;
        Ok(some.rows.into_iter().map(|(call, row)| Unproved { call, digest: row.value }).collect())
    }

    /// Waits until a record has been kept since this was last asked.
    pub async fn kept(&self) {
        self.kept.notified().await;
    }

    /// The audit log proves these records from now on.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn proved(&self, calls: &[CallId]) -> Result<(), Error> {
        for some in calls.chunks(PARTS_LIMIT) {
            let mut batch = Batch::unnamed();
            for call in some {
                batch = batch.remove(&UNPROVED, call, Expect::Anything)?;
            }
            self.store.submit(batch)?.await?;
        }
        Ok(())
    }

    /// How often the disk was asked to keep what came.
    #[cfg(test)]
    pub fn syncs(&self) -> u64 {
        self.store.groups()
    }

    fn selected(&self, selection: &Selection) -> Result<Selected, Error> {
        let end = match selection.after {
            Some(after) => (self.head(after)?.offered, after),
            None => (selection.until, FIRST),
        };
        let (mut calls, mut bytes, mut cursor) = (Vec::new(), 0, None);
        loop {
            let (candidates, next) = self.candidates(selection, end, cursor)?;
            for call in candidates {
                let record = without_ladders(self.read(call)?);
                if !selection.admits(&record) {
                    continue;
                }
                bytes += serde_json::to_vec(&record).map_or(ANSWER_LIMIT, |text| text.len());
                if calls.len() == selection.limit || (bytes > ANSWER_LIMIT && !calls.is_empty()) {
                    return Ok(Selected { calls, more: true });
                }
                calls.push(record);
            }
            cursor = next;
            if cursor.is_none() {
                return Ok(Selected { calls, more: false });
            }
        }
    }

    /// Some calls by the narrowest index that the selection has, from the newest down.
    fn candidates(
        &self,
        selection: &Selection,
        end: (Utc, CallId),
        after: Option<Cursor>,
    ) -> Result<(Vec<CallId>, Option<Cursor>), Error> {
        let (from, (until, last)) = (selection.from, end);
        let page = |within: Within| within.order(Order::Falling).after(after);
        Ok(if let Some(number) = &selection.number {
            let number = indexed(number);
            let within = Within::between(&(number.clone(), from, FIRST), &(number, until, last));
            let page = self.store.find(&HEADS, &BY_NUMBER, &page(within))?;
            (page.rows.into_iter().map(|(call, _)| call).collect(), page.next)
        } else if let Some(agent) = &selection.agent {
            let within = Within::between(&(agent.clone(), from, FIRST), &(agent.clone(), until, last));
            let page = self.store.scan(&TAKEN, &page(within))?;
            (page.rows.into_iter().map(|((_, _, call), _)| call).collect(), page.next)
        } else if let Some(queue) = &selection.queue {
            let within = Within::between(&(queue.clone(), from, FIRST), &(queue.clone(), until, last));
            let page = self.store.scan(&WAITED, &page(within))?;
            (page.rows.into_iter().map(|((_, _, call), _)| call).collect(), page.next)
        } else {
            let page =
                self.store.find(&HEADS, &BY_TIME, &page(Within::between(&(from, FIRST), &(until, last))))?;
            (page.rows.into_iter().map(|(call, _)| call).collect(), page.next)
        })
    }

    fn head(&self, call: CallId) -> Result<Head, Error> {
        Ok(self.store.row(&HEADS, &call)?.ok_or(Error::NoSuchCall(call))?.value)
    }

    fn read(&self, call: CallId) -> Result<CallRecord, Error> {
        let head = self.head(call)?;
        let parts = self.store.scan(&PARTS, &Within::prefix(&(call,)).limit(PARTS_LIMIT))?;
        let text: String = parts.rows.into_iter().map(|(_, row)| row.value).collect();
        if digest(&text) != head.digest {
            return Err(Error::Damaged { call, reason: "its digest is another".to_owned() });
        }
        let mut record: CallRecord = serde_json::from_str(&text)
            .map_err(|error| Error::Damaged { call, reason: error.to_string() })?;
        record.outcome = self.store.row(&OUTCOMES, &call)?.map(|row| row.value);
        Ok(record)
    }

    /// Runs `work` where it may block.
    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Self) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let records = self.clone();
        let done = tokio::task::spawn_blocking(move || work(&records)).await;
        done.map_err(|error| Error::Interrupted(error.to_string()))?
    }
}

impl Selection {
    fn admits(&self, record: &CallRecord) -> bool {
        let by = |agent: &AgentId| taken_by(record).any(|by| by == agent);
        let through = |queue: &QueueId| record.queued.iter().any(|stay| stay.queue == *queue);
        self.number.as_ref().is_none_or(|number| record.from.number == *number)
            && self.agent.as_ref().is_none_or(by)
            && self.queue.as_ref().is_none_or(through)
    }
}

/// What a record is found by.
#[derive(Serialize, Deserialize)]
struct Head {
    offered: Utc,
    number: Pii<String>,
    digest: String,
}

static BY_TIME: Index<Head, (Utc,)> = Index::new("time", |head| vec![(head.offered,)]);
static BY_NUMBER: Index<Head, (String, Utc)> =
    Index::new("number", |head| vec![(indexed(&head.number), head.offered)]);
static HEADS: Table<CallId, Head> = Table::new("heads", &[&BY_TIME, &BY_NUMBER]);
/// The record's text, in order.
static PARTS: Table<(CallId, u16), String> = Table::new("parts", &[]);
static TAKEN: Table<(AgentId, Utc, CallId), ()> = Table::new("taken", &[]);
static WAITED: Table<(QueueId, Utc, CallId), ()> = Table::new("waited", &[]);
/// What became of each call's recording, as far as record has told.
static OUTCOMES: Table<CallId, RecordingOutcome> = Table::new("outcomes", &[]);
/// The digest of each record that the audit log does not prove yet.
static UNPROVED: Table<CallId, String> = Table::new("unproved", &[]);
const SCHEMA: Schema = Schema { name: "report", version: 1, upgrades: &[] };

/// sled's cache in bytes: what is looked at lies together, the newest, and the rest is read from the disk.
const CACHE: u64 = 8 << 20;
/// Nobody waits for a record to be kept: those of as long are kept together.
const GATHER: Duration = Duration::from_millis(50);
/// Batches whose outcomes are remembered. A record that comes again later is known by its row.
const RETAIN: u64 = 1_024;

/// Sorts before every other call.
const FIRST: CallId = CallId(Uid([0; 16]));
/// In bytes: twice as much, when every character is escaped, still fits a row.
const PART_LIMIT: usize = 2040;
/// A batch has no more operations.
const PARTS_LIMIT: usize = 256;
/// In bytes of text: half of what one message holds.
const ANSWER_LIMIT: usize = service::MAX_MESSAGE / 2;

fn batch(record: &CallRecord, text: &str, digest: &str) -> Result<Batch, store::Error> {
    let (call, offered) = (record.call, record.offered);
    let head = Head { offered, number: Pii::new(indexed(&record.from.number)), digest: digest.to_owned() };
    let mut batch = Batch::new(BatchId(call.0)).put(&HEADS, &call, &head, Expect::Absent)?.put(
        &UNPROVED,
        &call,
        &digest.to_owned(),
        Expect::Anything,
    )?;
    let (mut rest, mut part) = (text, 0_u16);
    while !rest.is_empty() {
        let (head, tail) = rest.split_at(rest.floor_char_boundary(PART_LIMIT));
        batch = batch.put(&PARTS, &(call, part), &head.to_owned(), Expect::Anything)?;
        (rest, part) = (tail, part.saturating_add(1));
    }
    let mut agents: Vec<_> = taken_by(record).collect();
    agents.sort();
    agents.dedup();
    for agent in agents {
        batch = batch.put(&TAKEN, &(agent.clone(), offered, call), &(), Expect::Anything)?;
    }
    let mut queues: Vec<_> = record.queued.iter().map(|stay| &stay.queue).collect();
    queues.sort();
    queues.dedup();
    for queue in queues {
        batch = batch.put(&WAITED, &(queue.clone(), offered, call), &(), Expect::Anything)?;
    }
    Ok(batch)
}

fn without_ladders(mut record: CallRecord) -> CallRecord {
    record.legs.iter_mut().for_each(|leg| leg.ladder = None);
    record
}

/// The agents who answered.
fn taken_by(record: &CallRecord) -> impl Iterator<Item = &AgentId> {
    record.legs.iter().filter(|leg| leg.answered.is_some()).filter_map(|leg| leg.agent.as_ref())
}

/// A number as it stands in the index: its first 64 characters, for what a caller sends may be of any length.
fn indexed(number: &Pii<String>) -> String {
    number.reveal().chars().take(64).collect()
}

fn digest(text: &str) -> String {
    sm3::digest(text.as_bytes()).0.iter().map(|byte| format!("{byte:02x}")).collect()
}
