//! The writer: one sync a group, refusals, rolling over, reading beside it.

mod common;

use audit_log::hash::Sm3;
use audit_log::log::SEGMENT;
use audit_log::personal::Personal;
use audit_log::proof::{self, Head};
use audit_log::{Checkpoint, Error, Folder, Kind, Log};
use common::{Memory, TestKey, checkpoint, draft, open, reading, settings, write};
use std::sync::Arc;

#[test]
fn a_group_is_one_sync_of_the_segment_and_no_other() {
    let disk = Arc::new(Memory::default());
    let mut log = open(&disk);
    let segment = "00000000000000000000.segment".to_owned();
    for group in 1..=20u64 {
        let before = disk.with(|state| state.syncs.len());
        let first = log.size();
        for number in first..first + group {
            log.stage(draft(number), reading(number)).unwrap();
        }
        assert_eq!(log.commit().unwrap(), first..first + group);
        disk.with(|state| {
            assert_eq!(
                &state.syncs[before..],
                std::slice::from_ref(&segment),
                "what is acknowledged is durable"
            );
            assert_eq!(state.durable.get(&segment), state.files.get(&segment));
        });
    }
}

#[test]
fn what_is_acknowledged_is_there_again() {
    for segment_bytes in [SEGMENT, 4096] {
        let disk = Arc::new(Memory::default());
        let mut log = Log::open(Arc::clone(&disk), settings(segment_bytes)).unwrap().0;
        write(&mut log, 0, 1000, 7);
        checkpoint(&mut log);
        write(&mut log, 1000, 1100, 3);
        let root = log.reader().root(1100).unwrap();
        drop(log);
        let (log, torn) = Log::open(Arc::clone(&disk), settings(segment_bytes)).unwrap();
        assert_eq!((log.size(), log.covered(), torn), (1100, 1000, None));
        let reader = log.reader();
        assert_eq!(reader.root(1100).unwrap(), root);
        for number in 0..1100 {
            let entry = reader.entry(number).unwrap();
            assert_eq!((entry.sequence, entry.body), (number, draft(number).body));
        }
        assert!(matches!(reader.entry(1100), Err(Error::Beyond(1100))));
    }
}

#[test]
fn proofs_from_disk_hold_across_segments_and_tiles() {
    let disk = Arc::new(Memory::default());
    let mut log = Log::open(Arc::clone(&disk), settings(16_384)).unwrap().0;
    write(&mut log, 0, 70_000, 500);
    let reader = log.reader();
    let head = |size| Head { size, root: reader.root(size).unwrap() };
    for (old, size) in
        [(1, 70_000), (255, 256), (256, 257), (65_535, 65_537), (65_536, 70_000), (69_999, 70_000)]
    {
        let path = reader.consistency(old, size).unwrap();
        assert!(proof::verify_consistency::<Sm3>(&head(old), &head(size), &path));
        let (leaf, path) = reader.inclusion(old - 1, size).unwrap();
        assert!(proof::verify_inclusion::<Sm3>(leaf, old - 1, size, &path, &head(size).root));
    }
}

#[test]
fn derived_files_are_made_again() {
    let disk = Arc::new(Memory::default());
    let mut log = Log::open(Arc::clone(&disk), settings(4096)).unwrap().0;
    write(&mut log, 0, 600, 5);
    let root = log.reader().root(600).unwrap();
    drop(log);
    for damage in 0..3 {
        disk.with(|state| match damage {
            0 => state.files.retain(|name, _file| name.ends_with(".segment")),
            1 => state.files.get_mut("level.0").unwrap()[40] ^= 1,
            _ => state.files.get_mut("level.1").unwrap().clear(),
        });
        let log = Log::open(Arc::clone(&disk), settings(4096)).unwrap().0;
        assert_eq!(log.reader().root(600).unwrap(), root);
        assert_eq!(log.reader().entry(17).unwrap().body, draft(17).body);
    }
}

#[test]
fn a_full_disk_refuses_the_group_and_the_log_goes_on() {
    let disk = Arc::new(Memory::default());
    let mut log = open(&disk);
    write(&mut log, 0, 10, 1);
    disk.with(|state| state.room = Some(100));
    log.stage(draft(10), reading(10)).unwrap();
    assert!(matches!(log.commit(), Err(Error::Disk { act: "writing", .. })));
    disk.with(|state| state.room = None);
    assert_eq!(log.size(), 10);
    write(&mut log, 11, 20, 1);
    assert_eq!((log.size(), log.reader().entry(10).unwrap().body), (19, draft(11).body));
    drop(log);
    assert_eq!(open(&disk).size(), 19);
}

#[test]
fn a_full_disk_at_a_new_segment_refuses_and_the_log_goes_on() {
    let disk = Arc::new(Memory::default());
    let mut log = Log::open(Arc::clone(&disk), settings(1024)).unwrap().0;
    write(&mut log, 0, 5, 1);
    disk.with(|state| state.room = Some(0));
    log.stage(draft(5), reading(5)).unwrap();
    assert!(matches!(log.commit(), Err(Error::Disk { .. })));
    disk.with(|state| state.room = None);
    write(&mut log, 5, 50, 1);
    drop(log);
    assert_eq!(Log::open(Arc::clone(&disk), settings(1024)).unwrap().0.size(), 50);
}

#[test]
fn a_failed_sync_stops_the_log_for_good() {
    let disk = Arc::new(Memory::default());
    let mut log = open(&disk);
    disk.with(|state| state.sync_fails = true);
    log.stage(draft(0), reading(0)).unwrap();
    assert!(matches!(log.commit(), Err(Error::Stopped(_))));
    disk.with(|state| state.sync_fails = false);
    assert!(matches!(log.stage(draft(0), reading(0)), Err(Error::Stopped(_))));
    assert!(matches!(log.commit(), Err(Error::Stopped(_))));
    assert_eq!(disk.with(|state| state.syncs.len()), 1, "no fsync is tried twice");
}

#[test]
fn a_clock_that_was_set_is_told_by_an_entry_of_its_own() {
    let disk = Arc::new(Memory::default());
    let mut log = open(&disk);
    write(&mut log, 0, 3, 1);
    let mut set_back = reading(3);
    set_back.utc_nanos -= 3_600_000_000_000;
    assert_eq!(log.stage(draft(3), set_back).unwrap().sequence, 4);
    assert_eq!(log.commit().unwrap(), 3..5);
    assert_eq!(log.reader().entry(3).unwrap().kind, Kind::CLOCK_STEPPED);
    let mut earlier = reading(2);
    earlier.utc_nanos = set_back.utc_nanos;
    assert!(matches!(log.stage(draft(5), earlier), Err(Error::Order(_))));
    let mut boot = reading(0);
    boot.boot = [8; 16];
    let entry = log.stage(draft(5), boot).unwrap();
    assert_eq!((entry.sequence, entry.moment.boot_counter), (5, 2));
    log.commit().unwrap();
    drop(log);
    assert_eq!(open(&disk).size(), 6);
}

#[test]
fn only_the_offered_head_signed_by_the_trusted_key_is_published() {
    let disk = Arc::new(Memory::default());
    let mut log = open(&disk);
    assert!(log.unsigned().is_none());
    write(&mut log, 0, 3, 1);
    let key = TestKey::new();
    let unsigned = log.unsigned().unwrap();
    write(&mut log, 3, 5, 1);
    let wrong = TestKey(gm::sm2::SigningKey::from_bytes(&[0x22; 32]).unwrap());
    let forged = unsigned.clone().sign(&key.verifier(), &wrong).unwrap();
    assert!(matches!(log.publish(&forged), Err(Error::Note(_))));
    let mut other = unsigned.clone();
    other.head.root[0] ^= 1;
    assert!(matches!(log.publish(&other.sign(&key.verifier(), &key).unwrap()), Err(Error::NotOurs(3))));
    let signed = unsigned.sign(&key.verifier(), &key).unwrap();
    log.publish(&signed).unwrap();
    assert_eq!((log.size(), log.covered()), (5, 3));
    assert!(matches!(log.publish(&signed), Err(Error::NotOurs(3))));
    let text = disk.with(|state| state.durable["00000000000000000000.checkpoints"].clone());
    let (read, rest) = Checkpoint::parse(std::str::from_utf8(&text).unwrap()).unwrap();
    assert_eq!((read, rest), (signed, ""));
}

/// Mutant audit-personal-unsynced.
#[test]
fn a_personal_value_whose_entry_is_acknowledged_outlives_a_loss_of_power() {
    let disk = Arc::new(Memory::default());
    let mut log = Log::open(Arc::clone(&disk), settings(2048)).unwrap().0;
    let value = Personal::new([7; 16], "13800138000".into()).unwrap();
    let mut draft = draft(0);
    draft.body.personal.insert("caller".into(), value.digest());
    log.keep(&value);
    log.stage(draft, reading(0)).unwrap();
    log.commit().unwrap();
    let after = Arc::new(disk.after_power_cut(|| false));
    let log = Log::open(after, settings(2048)).unwrap().0;
    assert_eq!(log.reader().size(), 1);
    assert_eq!(log.reader().personal(&value.digest()).unwrap().unwrap().reveal(), "13800138000");
}

#[test]
fn an_erased_value_is_gone_and_the_proof_stays() {
    let disk = Arc::new(Memory::default());
    let mut log = Log::open(Arc::clone(&disk), settings(2048)).unwrap().0;
    let mut digests = Vec::new();
    for number in 0..40 {
        let value = Personal::new([number as u8; 16], format!("1380013{number:04}")).unwrap();
        let mut draft = draft(number);
        draft.body.personal.insert("caller".into(), value.digest());
        digests.push(value.digest());
        log.keep(&value);
        log.stage(draft, reading(number)).unwrap();
        log.commit().unwrap();
    }
    checkpoint(&mut log);
    let root = log.reader().root(40).unwrap();
    assert_eq!(log.reader().personal(&digests[3]).unwrap().unwrap().reveal(), "13800130003");
    assert!(log.erase(&digests[3]).unwrap());
    assert!(!log.erase(&digests[3]).unwrap());
    assert!(log.reader().personal(&digests[3]).unwrap().is_none());
    assert!(log.reader().personal(&digests[39]).unwrap().is_some());
    disk.with(|state| {
        let left = |file: &Vec<u8>| file.windows(11).any(|window| window == b"13800130003");
        assert!(!state.files.values().any(left) && !state.durable.values().any(left));
    });
    drop(log);
    let log = Log::open(Arc::clone(&disk), settings(2048)).unwrap().0;
    assert_eq!(log.reader().root(40).unwrap(), root);
}

#[test]
fn a_folder_has_one_writer_and_comes_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("audit");
    let disk = Arc::new(Folder::open(&path).unwrap());
    assert!(Folder::open(&path).is_err());
    let mut log = Log::open(Arc::clone(&disk), settings(4096)).unwrap().0;
    write(&mut log, 0, 100, 10);
    checkpoint(&mut log);
    drop((log, disk));
    let log = Log::open(Arc::new(Folder::open(&path).unwrap()), settings(4096)).unwrap().0;
    assert_eq!((log.size(), log.covered()), (100, 100));
    assert_eq!(log.reader().entry(99).unwrap().body, draft(99).body);
}
