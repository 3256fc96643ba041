//! Durable records a second, alone and in groups, beside the disk's own fdatasync. One record has about 547
//! bytes of JSON and two index entries.

use bench::{Failure, Figures, Syncs, folder, resident};
use serde::{Deserialize, Serialize};
use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};
use store::{Batch, BatchId, Expect, Index, Options, Schema, Store, Table};
use types::Uid;

const SPELL: Duration = Duration::from_secs(3);
/// How many batches are under way at once in groups.
const CROWD: usize = 200;

#[derive(Serialize, Deserialize)]
struct Record {
    number: u64,
    agent: u64,
    text: String,
}

static BY_AGENT: Index<Record, (u64, u64)> =
    Index::new("agent", |record| vec![(record.agent, record.number)]);
static BY_TIME: Index<Record, (u64, u64)> =
    Index::new("time", |record| vec![(record.number / 7, record.number)]);
static RECORDS: Table<[u8; 16], Record> = Table::new("records", &[&BY_AGENT, &BY_TIME]);
const SCHEMA: Schema = Schema { name: "bench", version: 1, upgrades: &[] };

fn main() -> Result<(), Failure> {
    let directory = folder()?;
    let syncs = Syncs::before(directory.path())?;
    let store = Store::open(&SCHEMA, Options::of(directory.path().join("db")))?;
    let mut numbers = 0..;

    let mut alone = 0;
    let start = Instant::now();
    while start.elapsed() < SPELL {
        store.commit(batch(&mut numbers)?)?;
        alone += 1;
    }
    let alone = f64::from(alone) / start.elapsed().as_secs_f64();

    let mut grouped = 0;
    let mut under_way = VecDeque::new();
    let start = Instant::now();
    while start.elapsed() < SPELL {
        under_way.push_back(store.submit(batch(&mut numbers)?)?);
        if under_way.len() == CROWD
            && let Some(oldest) = under_way.pop_front()
        {
            oldest.wait()?;
            grouped += 1;
        }
    }
    for pending in under_way {
        pending.wait()?;
        grouped += 1;
    }
    let grouped = f64::from(grouped) / start.elapsed().as_secs_f64();

    let written = numbers.start;
    let mut read = 0_u32;
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(1) {
        let number = u64::from(read).wrapping_mul(0x9e37_79b9_7f4a_7c15) % written;
        store.row(&RECORDS, &key(number))?.ok_or("a record is not there")?;
        read += 1;
    }
    let read = f64::from(read) / start.elapsed().as_secs_f64();

    let memory = resident()?;
    let size = store.size_on_disk()?;
    let syncs = syncs.after()?;
    drop(store);
    let start = Instant::now();
    let store = Store::open(&SCHEMA, Options::of(directory.path().join("db")))?;
    let opening = start.elapsed();
    let rows = store.verify(&RECORDS)?;

    let mut figures = Figures::of("store");
    let single = figures.beside("durable records, one at a time", "1/s", alone, ("fdatasync", syncs));
    figures.beside("durable records, in groups", "1/s", grouped, ("fdatasync", syncs));
    figures.alone("random reads, one thread", "1/s", read);
    figures.alone("records", "", rows as f64);
    figures.alone("a record on the disk", "bytes", size as f64 / rows.max(1) as f64);
    figures.alone("resident memory", "MiB", memory as f64 / f64::from(1 << 20));
    figures.alone("opening", "ms", opening.as_secs_f64() * 1e3);
    figures.end(&format!(
        "the limit is one fdatasync a group: a record alone reaches {:.0} % of it",
        single * 100.0
    ))
}

fn batch(numbers: &mut impl Iterator<Item = u64>) -> Result<Batch, Failure> {
    let number = numbers.next().ok_or("out of numbers")?;
    let text = format!("{:016x}", number.wrapping_mul(0x9e37_79b9_7f4a_7c15)).repeat(32);
    let record = Record { number, agent: number % 50, text };
    let id = BatchId(Uid(key(number)));
    Ok(Batch::new(id).put(&RECORDS, &key(number), &record, Expect::Absent)?)
}

/// As scattered as a call's random id.
fn key(number: u64) -> [u8; 16] {
    u128::from(number + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835).to_be_bytes()
}
