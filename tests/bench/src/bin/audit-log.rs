//! Durable entries of the audit log a second, alone and in groups, beside the disk's own fdatasync; and how
//! fast a log opens again.

use audit_log::{Body, ClockState, Draft, Folder, Kind, Log, Outcome, Reading, Settings};
use bench::{Failure, Figures, Syncs, folder};
use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

const SPELL: Duration = Duration::from_secs(3);

fn main() -> Result<(), Failure> {
    let root = folder()?;
    let mut figures = Figures::of("audit-log");
    let (mut alone, mut opened) = (0.0, 0.0);
    for group in [1u32, 20, 100, 1000] {
        let syncs = Syncs::before(root.path())?;
        let folder = root.path().join(format!("groups-of-{group}"));
        let mut log = open(&folder)?;
        let began = Instant::now();
        let mut number = 0;
        while began.elapsed() < SPELL {
            for _entry in 0..group {
                log.stage(draft(number), reading(number))?;
                number += 1;
            }
            log.commit()?;
        }
        let groups = number as f64 / f64::from(group) / began.elapsed().as_secs_f64();
        let figure = format!("durable groups of {group}");
        let ratio = figures.beside(&figure, "1/s", groups, ("fdatasync", syncs.after()?));
        figures.alone(&format!("entries, in groups of {group}"), "1/s", groups * f64::from(group));
        if group == 1 {
            alone = ratio;
        }
        drop(log);
        let began = Instant::now();
        let size = open(&folder)?.size();
        opened = size as f64 / began.elapsed().as_secs_f64();
    }
    figures.alone("entries read again at opening", "1/s", opened);
    figures.end(&format!(
        "the limit is one fdatasync a group: an entry alone reaches {:.0} % of it",
        alone * 100.0
    ))
}

fn open(folder: &Path) -> Result<Log<Folder>, Failure> {
    let settings = Settings { keys: Vec::new(), segment_bytes: audit_log::log::SEGMENT };
    Ok(Log::open(Arc::new(Folder::open(folder)?), settings)?.0)
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
