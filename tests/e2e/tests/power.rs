//! The power goes while everybody talks: the house lies on a disk of its own, which is cut off with its journal
//! unflushed at a moment that a seed chose, and every process is killed. What comes back is held to what was promised.
//! `YANMEN_POWER_CALLS` and `YANMEN_POWER_CUTS` say how many; a release does with 50 calls and 8 cuts.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use e2e::crowd::{Crowd, number};
use envelope::{Body, Dek, Opener};
use power_cut::Disk;
use serde_json::Value;
use std::{
    collections::BTreeSet,
    fs, thread,
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use tempfile::TempDir;

/// What a loss of power takes of a recording at most (ARCHITECTURE.md, What survives a kill -9).
const LOST: Duration = Duration::from_secs(5);
/// Nobody hangs up before the power goes.
const TALK: Duration = Duration::from_secs(300);

#[test]
fn a_loss_of_power_takes_five_seconds_of_each_recording_and_nothing_that_was_acknowledged() {
    let calls = number("YANMEN_POWER_CALLS", 6);
    let mut disk = match Disk::new(2048) {
        Ok(disk) => disk,
        Err(error) => {
            return println!("SKIPPED: no disk whose power can be cut (root, ext4, loop devices): {error}");
        }
    };
    let mut crowd = Crowd::start(TempDir::new_in(disk.root()).unwrap(), calls, TALK, "");
    for cut in 1..=number("YANMEN_POWER_CUTS", 1) {
        let mut callers = crowd.call(calls, 10.0);
        crowd.house.until("all talk", Duration::from_secs(60), |house| {
            let live = house.ask_as("wang", &["calls", "live"])["calls"].take();
            live.as_array().unwrap().iter().filter(|call| call["stage"] == "talking").count() == calls
        });
        thread::sleep(LOST + Duration::from_millis(cut as u64 * 2_654_435_761 % 4_000));
        let listed = entries(&crowd);
        disk.cut().unwrap();
        let moment = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        crowd.lose_power();
        callers.vanish();
        disk.restore().unwrap();
        crowd.come_back();
        let verdict = crowd.reconciled(cut * calls, Duration::from_secs(60));
        let (worst, lost) = survivors(&crowd, moment, cut * calls);
        println!("cut {cut}: {worst:?} of a recording lost at most, {lost} recordings cut off; {verdict}");
        assert!(worst <= LOST, "{worst:?} of a recording are lost");
        assert_eq!((lost, &verdict["truncated"]), (calls, &Value::from(cut * calls)), "{verdict:#}");
        assert_eq!(verdict["recorded"], cut * calls, "{verdict:#}");
        let missing: Vec<_> = listed.difference(&entries(&crowd)).cloned().collect();
        assert!(missing.is_empty(), "entries that were acknowledged: {missing:?}");
        assert_eq!(crowd.house.ask_as("auditadmin", &["audit", "verify"])["damage"], Value::Null);
    }
}

/// The leaves of the newest entries.
fn entries(crowd: &Crowd) -> BTreeSet<String> {
    let list = crowd.house.ask_as("auditadmin", &["audit", "list", "--limit", "1000"]);
    let entries = list["entries"].as_array().unwrap().iter();
    entries.map(|entry| format!("{} {}", entry["sequence"], entry["leaf"])).collect()
}

/// Of those whom the cut at this moment met: the most that one lost of its sound, and how many there are. Each is found
/// to be whole as far as it goes, and its call record says what became of it.
fn survivors(crowd: &Crowd, moment: Duration, calls: usize) -> (Duration, usize) {
    let (mut worst, mut many) = (Duration::ZERO, 0);
    let records = crowd.house.ask_as("wang", &["calls", "list", "--limit", "1000"]);
    let records = records["calls"].as_array().unwrap();
    assert_eq!(records.len(), calls);
    for record in records {
        let recording =
            record["recording"]["yes"]["recording"].as_str().unwrap_or_else(|| panic!("{record:#}"));
        assert_eq!(
            (&record["outcome"]["state"], &record["disposition"]),
            (&"truncated".into(), &"answered".into())
        );
        assert_eq!(record["legs"].as_array().unwrap().len(), 2, "{record:#}");
        let last = last_sound(crowd, recording);
        // Those of earlier cuts are looked at once.
        if moment.saturating_sub(last) > Duration::from_secs(60) {
            continue;
        }
        worst = worst.max(moment.saturating_sub(last));
        many += 1;
        crowd.house.ym_as("wang", &["recordings", "verify", recording, "--reason", "power"], "");
    }
    (worst, many)
}

/// When the last packet came that is in a recording, since 1970.
fn last_sound(crowd: &Crowd, recording: &str) -> Duration {
    let key = crowd.house.data_key(recording, 0);
    let bytes = |at: usize| u8::from_str_radix(&key[2 * at..2 * at + 2], 16).unwrap();
    let dek = Dek::from_bytes(std::array::from_fn(bytes));
    let file = fs::read(crowd.house.home().join(format!("record/recordings/{recording}/0.sealed"))).unwrap();
    let (header, chunks) = file.split_first_chunk().unwrap_or_else(|| panic!("{} bytes", file.len()));
    let mut opener = Opener::new(&dek, header).unwrap();
    let start = Duration::from_nanos(opener.header().start.0.unsigned_abs());
    opener.feed(chunks);
    let mut last = [Duration::ZERO; 2];
    while let Ok(Some(chunk)) = opener.poll() {
        for record in chunk.records() {
            if let Body::Media(_) = record.body {
                last[usize::from(record.track.0)] = start + record.time;
            }
        }
    }
    // Both sides are there.
    last.into_iter().min().unwrap()
}
