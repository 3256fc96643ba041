//! Good logs pass, every changed byte is found and named, and what cannot be known is not claimed.

#![allow(clippy::unwrap_used, reason = "what the tests share")]

#[path = "../../log/tests/common/mod.rs"]
mod common;

use audit_log::entry::{Entry, HEADER};
use audit_log::hash::{Sm3, TreeHash};
use audit_log::{Disk, Log, VerifierKey, frame};
use audit_verify::{Extent, Notice, Report, Verdict, verify};
use common::{Memory, TestKey, checkpoint, settings, write};
use std::sync::Arc;

const SEGMENT: &str = "00000000000000000000.segment";
const NOTES: &str = "00000000000000000000.checkpoints";

fn judge(disk: &Memory) -> Report {
    verify(disk, &[TestKey::new().verifier()], Extent::Whole)
}

/// Twelve entries, three checkpoints; with small segments, several files.
fn good(segment_bytes: u64) -> Arc<Memory> {
    let disk = Arc::new(Memory::default());
    let mut log = Log::open(Arc::clone(&disk), settings(segment_bytes)).unwrap().0;
    for at in 0..3 {
        write(&mut log, at * 4, at * 4 + 4, 3);
        checkpoint(&mut log);
    }
    disk
}

fn changed(disk: &Memory, name: &str, change: impl FnOnce(&mut Vec<u8>)) -> Memory {
    let copy = Memory::default();
    disk.with(|state| copy.with(|copied| copied.files = state.files.clone()));
    copy.with(|state| change(state.files.get_mut(name).unwrap()));
    copy
}

/// Where each frame of the first segment begins, and its end.
fn frames(disk: &Memory) -> Vec<usize> {
    let bytes = disk.with(|state| state.files[SEGMENT].clone());
    let mut at = vec![16];
    while let Ok(frame) = frame::read_frame(&bytes[*at.last().unwrap()..]) {
        at.push(at.last().unwrap() + frame.length);
    }
    at
}

#[test]
fn a_good_log_passes_in_one_segment_and_in_many() {
    for segment_bytes in [1 << 20, 600] {
        let report = judge(&good(segment_bytes));
        assert_eq!(report.verdict, Verdict::Passed, "{report:?}");
        assert_eq!((report.entries, report.covered, report.checkpoints), (12, 12, 3));
        assert!(report.notices.is_empty());
    }
}

#[test]
fn every_changed_byte_of_a_segment_is_found_in_its_entry() {
    let disk = good(1 << 20);
    let frames = frames(&disk);
    for at in 0..*frames.last().unwrap() {
        let report = judge(&changed(&disk, SEGMENT, |file| file[at] ^= 4));
        let fault = report.fault.as_ref().unwrap();
        assert_eq!((report.verdict, fault.file.as_str()), (Verdict::Failed, SEGMENT), "byte {at}");
        let entry = frames.partition_point(|start| *start <= at);
        let whole = entry.checked_sub(1).map_or(0..16, |entry| frames[entry]..frames[entry + 1]);
        assert!(whole.contains(&(fault.offset as usize)), "byte {at}: {fault:?} not in {whole:?}");
    }
}

#[test]
fn every_changed_byte_of_the_checkpoints_is_found() {
    let disk = good(1 << 20);
    let whole = disk.with(|state| state.files[NOTES].clone());
    for at in 0..whole.len() - 1 {
        let report = judge(&changed(&disk, NOTES, |file| file[at] ^= 1));
        assert_eq!(report.verdict, Verdict::Failed, "byte {at}");
    }
    // Without its last line feed the newest note is a torn one: what it alone covers is not vouched for.
    let report = judge(&changed(&disk, NOTES, |file| file.truncate(file.len() - 1)));
    assert_eq!((report.verdict, report.covered), (Verdict::Passed, 8));
    assert!(matches!(report.notices[..], [Notice::TornNote { .. }]));
}

#[test]
fn a_segment_cut_anywhere_is_found() {
    let disk = good(1 << 20);
    let whole = disk.with(|state| state.files[SEGMENT].clone());
    for cut in 0..whole.len() {
        let report = judge(&changed(&disk, SEGMENT, |file| file.truncate(cut)));
        assert_eq!(report.verdict, Verdict::Failed, "cut to {cut}");
    }
    let many = good(600);
    let names = many.names().unwrap();
    let mut segments: Vec<&String> = names.iter().filter(|name| name.ends_with(".segment")).collect();
    segments.sort();
    assert!(segments.len() >= 3);
    for gone in &segments[1..] {
        let copy = changed(&many, gone, Vec::clear);
        assert_eq!(judge(&copy).verdict, Verdict::Failed, "{gone} empty");
        copy.with(|state| state.files.remove(*gone));
        assert_eq!(judge(&copy).verdict, Verdict::Failed, "{gone} gone");
    }
}

/// An attacker with the code and without the key rewrites an entry and everything that is not signed.
#[test]
fn a_forged_entry_with_a_sound_check_is_found_by_the_signed_root_and_named() {
    let disk = good(1 << 20);
    let frames = frames(&disk);
    for forged in 0..12 {
        let at = frames[forged];
        let copy = changed(&disk, SEGMENT, |file| {
            let frame = frame::read_frame(&file[at..]).unwrap();
            let mut entry = frame.entry;
            entry.body.person = entry.body.person.map(|person| person.replace("person", "nobody"));
            let encoded = entry.encode().unwrap();
            let mut bytes = Vec::new();
            frame::write_frame(&mut bytes, &encoded, &Sm3::leaf(&encoded), frame.group);
            assert_eq!(bytes.len(), frame.length);
            file[at..at + bytes.len()].copy_from_slice(&bytes);
        });
        let report = judge(&copy);
        let fault = report.fault.unwrap();
        assert_eq!((report.verdict, fault.reason.code(), fault.offset), (Verdict::Failed, "root", at as u64));
        copy.with(|state| state.files.remove("level.0"));
        let fault = judge(&copy).fault.unwrap();
        assert_eq!(fault.offset as usize, frames[forged / 4 * 4], "the first that no checkpoint vouches for");
    }
}

#[test]
fn time_that_runs_backwards_is_found_even_if_it_was_signed() {
    let disk = good(1 << 20);
    let at = frames(&disk)[11];
    let copy = changed(&disk, SEGMENT, |file| {
        let frame = frame::read_frame(&file[at..]).unwrap();
        let mut entry: Entry = frame.entry;
        entry.moment.utc_nanos -= 86_400_000_000_000;
        let encoded = entry.encode().unwrap();
        let mut bytes = Vec::new();
        frame::write_frame(&mut bytes, &encoded, &Sm3::leaf(&encoded), frame.group);
        file[at..].copy_from_slice(&bytes);
    });
    let fault = judge(&copy).fault.unwrap();
    assert_eq!((fault.reason.code(), fault.offset as usize), ("time", at + 43));
    assert!(at + 43 < at + HEADER);
}

#[test]
fn a_log_signed_by_another_key_fails_and_without_a_key_nothing_is_claimed() {
    let disk = good(1 << 20);
    let other = gm::sm2::SigningKey::from_bytes(&[0x22; 32]).unwrap();
    let other = VerifierKey::new("yanmen.test/audit", other.verifying_key().clone()).unwrap();
    let report = verify(&*disk, std::slice::from_ref(&other), Extent::Whole);
    assert_eq!((report.verdict, report.fault.unwrap().reason.code()), (Verdict::Failed, "signature"));
    let report = verify(&*disk, &[other, TestKey::new().verifier()], Extent::Whole);
    assert_eq!(report.verdict, Verdict::Passed);
    assert_eq!(verify(&*disk, &[], Extent::Whole).verdict, Verdict::Undetermined);
    assert_eq!(judge(&Memory::default()).verdict, Verdict::Undetermined);
    let unsigned = changed(&disk, NOTES, Vec::clear);
    assert_eq!(judge(&unsigned).verdict, Verdict::Undetermined);
}

#[test]
fn the_tail_above_the_last_checkpoint_is_told_apart() {
    let disk = good(1 << 20);
    let mut log = Log::open(Arc::clone(&disk), settings(1 << 20)).unwrap().0;
    write(&mut log, 12, 15, 3);
    let report = judge(&disk);
    assert_eq!((report.verdict, report.entries, report.covered), (Verdict::Passed, 15, 12));
    let torn = changed(&disk, SEGMENT, |file| file.truncate(file.len() - 1));
    let report = judge(&torn);
    assert_eq!((report.verdict, report.entries), (Verdict::Passed, 14));
    assert!(matches!(report.notices[..], [Notice::TornTail { .. }]));
    write(&mut log, 15, 16, 1);
    let durable = log.size();
    let at = frames(&disk)[13];
    let damaged = changed(&disk, SEGMENT, |file| file[at + 60] ^= 1);
    assert_eq!(judge(&damaged).verdict, Verdict::Failed, "a later group follows: it had been acknowledged");
    let report = verify(&torn, &[TestKey::new().verifier()], Extent::Entries(13));
    assert_eq!((report.verdict, report.entries), (Verdict::Passed, 13));
    assert_eq!(durable, 16);
}

#[test]
fn a_log_whose_oldest_segments_were_dropped_still_passes() {
    let disk = good(600);
    disk.with(|state| {
        state.files.remove(SEGMENT);
        state.files.remove(NOTES);
    });
    let report = judge(&disk);
    assert_eq!((report.verdict, report.entries, report.covered), (Verdict::Passed, 12, 12), "{report:?}");
    assert!(matches!(report.notices[..], [Notice::Dropped { .. }]));
}

#[test]
fn the_verdict_is_told_in_one_line_of_json() {
    let disk = good(1 << 20);
    let json = judge(&disk).json();
    assert!(
        json.starts_with(r#"{"verdict":"passed","entries":12,"covered":12,"checkpoints":3,"root":""#),
        "{json}"
    );
    let json = judge(&changed(&disk, SEGMENT, |file| file[0] ^= 1)).json();
    assert!(
        json.contains(r#""verdict":"failed""#) && json.contains(r#""offset":0,"reason":"header""#),
        "{json}"
    );
    assert!(judge(&disk).text().starts_with("通过"));
}
