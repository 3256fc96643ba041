//! What the writer writes, and what must be there afterwards.

use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, fmt, io::Write, path::Path, str::FromStr, sync::Mutex, thread};
use store::{Batch, BatchId, Error, Expect, Index, Options, Outcome, Position, Schema, Store, Table, Within};
use types::Uid;

/// One lane is one writing thread: even lanes write a new row each time, odd ones write the same hundred
/// rows over and over, so that rows and index entries go too.
const LANES: u16 = 6;
const RING: u64 = 100;

/// One row of the trial, about as large as a call record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Record {
    lane: u16,
    sequence: u64,
    text: String,
}

impl Record {
    fn new(lane: u16, sequence: u64) -> Self {
        Self { lane, sequence, text: format!("{lane}-{sequence}/").repeat(400).chars().take(500).collect() }
    }

    fn key(&self) -> (u16, u64) {
        (self.lane, if self.lane.is_multiple_of(2) { self.sequence } else { self.sequence % RING })
    }

    fn id(&self) -> BatchId {
        BatchId(Uid((1 << 100 | u128::from(self.lane) << 64 | u128::from(self.sequence)).to_be_bytes()))
    }

    fn batch(&self) -> Result<Batch, Error> {
        Batch::new(self.id()).put(&RECORDS, &self.key(), self, Expect::Anything)?.put(
            &TALLY,
            &self.key(),
            &self.sequence,
            Expect::Anything,
        )
    }
}

static BY_SEQUENCE: Index<Record, (u64, u16)> =
    Index::new("sequence", |record| vec![(record.sequence, record.lane)]);
static BY_REMAINDER: Index<Record, (u64, u64)> =
    Index::new("remainder", |record| vec![(record.sequence % 10, record.sequence)]);
static RECORDS: Table<(u16, u64), Record> = Table::new("records", &[&BY_SEQUENCE, &BY_REMAINDER]);
static TALLY: Table<(u16, u64), u64> = Table::new("tally", &[]);
const SCHEMA: Schema = Schema { name: "power-cut", version: 1, upgrades: &[] };

/// One batch that the store said is durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ack {
    lane: u16,
    sequence: u64,
    position: Position,
}

impl fmt::Display for Ack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.lane, self.sequence, self.position.0)
    }
}

impl FromStr for Ack {
    type Err = String;

    fn from_str(line: &str) -> Result<Self, String> {
        let torn = || format!("no acknowledgement: {line:?}");
        let mut parts = line.split(' ').map(|part| part.parse().ok());
        let mut next = || parts.next().flatten().ok_or_else(torn);
        let lane = u16::try_from(next()?).map_err(|_| torn())?;
        Ok(Self { lane, sequence: next()?, position: Position(next()?) })
    }
}

/// All that was acknowledged so far, over all cuts of one disk.
#[derive(Debug, Default)]
pub struct Acknowledged(BTreeMap<(u16, u64), Position>);

impl Acknowledged {
    /// Adds one.
    pub fn add(&mut self, ack: Ack) {
        self.0.insert((ack.lane, ack.sequence), ack.position);
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.0.len()
    }
}

/// Writes batches into the database in `directory` until the disk fails, one line to `acks` for each that is
/// durable.
///
/// # Errors
/// Those of opening; after that the process ends in the store's own way.
pub fn write(directory: &Path, acks: impl Write + Send) -> Result<(), Error> {
    let store = Store::open(&SCHEMA, Options::of(directory))?;
    let acks = Mutex::new(acks);
    thread::scope(|scope| {
        let running: Vec<_> = (0..LANES)
            .map(|lane| {
                let (store, acks) = (&store, &acks);
                scope.spawn(move || fill(store, lane, acks))
            })
            .collect();
        running
            .into_iter()
            .try_for_each(|lane| lane.join().unwrap_or_else(|_| Err(Error::Failed("a lane panicked".into()))))
    })
}

fn fill(store: &Store, lane: u16, acks: &Mutex<impl Write>) -> Result<(), Error> {
    for sequence in next(store, lane)?.. {
        if let Outcome::Committed(position) = store.commit(Record::new(lane, sequence).batch()?)? {
            let line = format!("{}\n", Ack { lane, sequence, position });
            let told = acks.lock().is_ok_and(|mut acks| acks.write_all(line.as_bytes()).is_ok());
            if !told {
                break;
            }
        }
    }
    Ok(())
}

/// One more than the highest sequence of the lane in the database.
fn next(store: &Store, lane: u16) -> Result<u64, Error> {
    let (mut next, mut within) = (0, Within::prefix(&(lane,)));
    loop {
        let page = store.scan(&RECORDS, &within)?;
        next = page.rows.iter().map(|(_, row)| row.value.sequence + 1).fold(next, u64::max);
        match page.next {
            Some(cursor) => within = within.after(Some(cursor)),
            None => return Ok(next),
        }
    }
}

/// Opens the database after a cut and answers every promise that is broken: an acknowledged row, index entry,
/// outcome or feed entry that is not there, a batch of which only a part is.
///
/// # Errors
/// Those of opening and reading: a database that does not read is as good as lost.
pub fn check(directory: &Path, acknowledged: &Acknowledged) -> Result<Vec<String>, Error> {
    let store = Store::open(&SCHEMA, Options::of(directory))?;
    let mut broken = Vec::new();
    let mut latest = BTreeMap::new();
    for ((lane, sequence), position) in &acknowledged.0 {
        latest.insert(Record::new(*lane, *sequence).key(), (*sequence, *position));
    }
    for (key, (sequence, position)) in &latest {
        let Some(row) = store.row(&RECORDS, key)? else {
            broken.push(format!("row {key:?} of sequence {sequence} is lost"));
            continue;
        };
        let (lane, there) = (key.0, row.value.sequence);
        if there < *sequence || row.value != Record::new(lane, there) {
            broken.push(format!("row {key:?} is of sequence {there}, {sequence} was acknowledged"));
        }
        if store.row(&TALLY, key)?.is_none_or(|tally| tally.value != there) {
            broken.push(format!("row {key:?} of sequence {there} stands in one of two tables"));
        }
        let by_sequence = store.find(&RECORDS, &BY_SEQUENCE, &Within::prefix(&(there, lane)))?;
        let by_remainder = store.find(&RECORDS, &BY_REMAINDER, &Within::prefix(&(there % 10, there)))?;
        for found in [by_sequence, by_remainder] {
            if !found.rows.iter().any(|(at, _)| at == key) {
                broken.push(format!("an index entry of row {key:?} of sequence {there} is lost"));
            }
        }
        if there == *sequence {
            let again = store.commit(Record::new(lane, there).batch()?)?;
            if again != Outcome::Committed(*position) {
                broken.push(format!("the outcome of {key:?} was {position:?}, now it is {again:?}"));
            }
        }
    }
    if store.verify(&RECORDS)? != store.verify(&TALLY)? {
        broken.push("the tables differ in their rows".to_owned());
    }
    broken.extend(untold(&store, acknowledged)?);
    Ok(broken)
}

/// The acknowledged commits that the feed does not tell.
fn untold(store: &Store, acknowledged: &Acknowledged) -> Result<Vec<String>, Error> {
    let mut at = match store.feed(Position(0), 1) {
        Err(Error::Trimmed { kept }) => kept,
        other => other.map(|_| Position(0))?,
    };
    let mut missing: BTreeMap<_, _> = acknowledged
        .0
        .iter()
        .filter(|(_, position)| **position > at)
        .map(|(name, at)| (*at, *name))
        .collect();
    loop {
        let feed = store.feed(at, 1000)?;
        for commit in &feed.commits {
            missing.remove(&commit.position);
        }
        if feed.resume == at {
            return Ok(missing
                .iter()
                .map(|(at, name)| format!("the feed lost {at:?} of {name:?}"))
                .collect());
        }
        at = feed.resume;
    }
}
