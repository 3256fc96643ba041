//! Durable records a second, alone and in groups, against the disk's own fdatasync.
//!
//! One argument: the directory, on the disk that is meant (default: the temporary one). One record has about
//! 547 bytes of JSON and two index entries.
#![expect(clippy::print_stdout, reason = "the table is the result")]

use bench::{Figures, resident};
use serde::{Deserialize, Serialize};
use std::{
    collections::VecDeque,
    error::Error,
    fs::{File, OpenOptions},
    io::Write,
    path::{Path, PathBuf},
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

fn main() -> Result<(), Box<dyn Error>> {
    let above = std::env::args_os().nth(1).map_or_else(std::env::temp_dir, PathBuf::from);
    let directory = tempfile::Builder::new().prefix("bench-").tempdir_in(above)?;
    let before = syncs(directory.path())?;
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
    let after = syncs(directory.path())?;
    drop(store);
    let start = Instant::now();
    let store = Store::open(&SCHEMA, Options::of(directory.path().join("db")))?;
    let opening = start.elapsed();
    let rows = store.verify(&RECORDS)?;

    let syncs = f64::midpoint(before, after);
    let mut figures = Figures::default();
    figures.add("fdatasync/s of this disk (before, after)", format!("{before:.0}, {after:.0}"));
    figures.add("durable records/s, one at a time", format!("{alone:.0} = {:.2} × fdatasync", alone / syncs));
    figures.add("durable records/s, in groups", format!("{grouped:.0} = {:.1} × fdatasync", grouped / syncs));
    figures.add("random reads/s, one thread", format!("{read:.0}"));
    figures.add("records", rows);
    figures.add("bytes a record on the disk", size / rows.max(1));
    figures.add("resident memory, MiB", memory >> 20);
    figures.add("opening, ms", opening.as_millis());
    print!("{figures}");
    Ok(())
}

fn batch(numbers: &mut impl Iterator<Item = u64>) -> Result<Batch, Box<dyn Error>> {
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

/// How often a second this disk does an append of 1 KiB and its fdatasync.
fn syncs(directory: &Path) -> Result<f64, Box<dyn Error>> {
    let mut file: File = OpenOptions::new().append(true).create(true).open(directory.join("syncs"))?;
    let (start, mut count) = (Instant::now(), 0);
    while start.elapsed() < SPELL / 2 {
        file.write_all(&[0x5a; 1024])?;
        file.sync_data()?;
        count += 1;
    }
    Ok(f64::from(count) / start.elapsed().as_secs_f64())
}
