//! `cargo run --release -p audit-log --example rate -- DIR`: durable entries a second in groups, each beside the
//! fdatasync rate of the same disk in the same run, and how fast a log opens again.

use audit_log::{Body, ClockState, Draft, Folder, Kind, Log, Outcome, Reading, Settings};
use std::error::Error;
use std::fs::File;
use std::io::{Write, stdout};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

fn main() -> Result<(), Box<dyn Error>> {
    let root = PathBuf::from(std::env::args().nth(1).ok_or("usage: rate DIR")?);
    for group in [1u64, 20, 100, 1000] {
        let syncs = syncs_a_second(&root)?;
        let folder = root.join(format!("groups-of-{group}"));
        let mut log = open(&folder)?;
        let begun = Instant::now();
        let mut number = 0;
        while begun.elapsed() < Duration::from_secs(4) {
            for _entry in 0..group {
                log.stage(draft(number), reading(number))?;
                number += 1;
            }
            log.commit()?;
        }
        let rate = number as f64 / begun.elapsed().as_secs_f64();
        drop(log);
        let begun = Instant::now();
        let size = open(&folder)?.size();
        let replay = size as f64 / begun.elapsed().as_secs_f64();
        writeln!(
            stdout(),
            "groups of {group}: {rate:.0} durable entries/s, {:.2} a fdatasync ({syncs:.0}/s); opened at {replay:.0} entries/s",
            rate / syncs
        )?;
    }
    Ok(())
}

fn open(folder: &Path) -> Result<Log<Folder>, Box<dyn Error>> {
    let settings = Settings { keys: Vec::new(), segment_bytes: audit_log::log::SEGMENT };
    Ok(Log::open(Arc::new(Folder::open(folder)?), settings)?.0)
}

/// Of a file that grows by 300 bytes each time, as the segment does.
fn syncs_a_second(root: &Path) -> std::io::Result<f64> {
    std::fs::create_dir_all(root)?;
    let file = File::create(root.join("syncs"))?;
    let begun = Instant::now();
    let mut count = 0;
    while begun.elapsed() < Duration::from_secs(2) {
        file.write_all_at(&[7; 300], count * 300)?;
        file.sync_data()?;
        count += 1;
    }
    Ok(count as f64 / begun.elapsed().as_secs_f64())
}

fn draft(number: u64) -> Draft {
    let body = Body {
        person: Some("wang.fang".to_owned()),
        daemon: Some("record".to_owned()),
        from: Some("192.0.2.7".to_owned()),
        object: Some(format!("{number:032x}")),
        outcome: Some(Outcome::Done),
        reason: Some("客户投诉核查".to_owned()),
        facts: [("format".to_owned(), "wav".to_owned())].into(),
        ..Body::default()
    };
    Draft { kind: Kind(84), body }
}

fn reading(number: u64) -> Reading {
    let monotonic = Duration::from_millis(number);
    let utc_nanos = i64::try_from(monotonic.as_nanos()).unwrap_or(i64::MAX);
    Reading { boot: [7; 16], monotonic, utc_nanos, clock: ClockState::Unknown }
}
