//! The list of recordings, and what is left of its catalogue by a kill at any instant.

use super::*;
use crate::shelf::{About, Shelf};
use record_api::{LegalHold, Recording};
use std::collections::BTreeSet;
use types::Utc;

const NOW: Utc = Utc(1_000_000);
const ROW: usize = 64;

fn recording(n: u8, began: i64) -> Recording {
    Recording {
        recording: RecordingId(Uid([n; 16])),
        call: CallId(Uid([n % 2; 16])),
        began: Utc(began),
        ended: None,
        state: RecordingState::Recording,
        tracks: vec![],
        size: 0,
        digest: String::new(),
        packets: 0,
        lost: 0,
        masked: 0,
        queues: vec![],
        retained_until: None,
        hold: None,
        deleted: None,
    }
}

/// What happens to a recording, one after the other.
fn life() -> [fn(&mut About); 6] {
    [
        |about| {
            about.recording.state = RecordingState::Truncated;
            (about.recording.ended, about.recording.retained_until) = (Some(Utc(10)), Some(Utc(20)));
            about.outcomes = 1;
        },
        |about| about.noted = 1,
        |about| {
            let by = PersonId("zhao".parse().unwrap());
            about.recording.hold = Some(LegalHold { by, at: Utc(11), reason: "case".to_owned(), case: None });
        },
        |about| {
            (about.recording.hold, about.deletion, about.recording.state) =
                (None, Some(3), RecordingState::Deleted)
        },
        |about| (about.recording.deleted, about.outcomes) = (Some(Utc(30)), 2),
        |about| about.noted = 2,
    ]
}

fn listed(shelf: &Shelf) -> BTreeSet<RecordingId> {
    shelf
        .newest(&Page::of(1000), None, None)
        .unwrap()
        .0
        .iter()
        .map(|about| about.recording.recording)
        .collect()
}

/// Mutant record-catalogue-believed.
#[test]
fn whatever_a_kill_leaves_of_the_catalogue_each_recording_is_listed_and_what_is_to_be_done_is_found() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("catalogue");
    let mut all: Vec<About> = Vec::new();
    let mut looked = 0;
    let changes = life().len() + 1;
    for step in 0..3 * changes {
        let shelf = Shelf::at(directory.path()).unwrap();
        let before = fs::read(&path).unwrap();
        let (n, change) = (step / changes, step % changes);
        if change == 0 {
            all.push(About::new(recording(n as u8 + 1, 1 + n as i64)));
        } else {
            life()[change - 1](all.last_mut().unwrap());
        }
        shelf.write_about(all.last().unwrap()).unwrap();
        let after = fs::read(&path).unwrap();
        assert!(after.starts_with(&before) && after.len() <= before.len() + ROW);
        // The file that was before, torn anywhere, or zeros where a row was; and none at all.
        let torn = (before.len()..=after.len()).map(|end| after[..end].to_vec());
        let zeros = [before.clone(), vec![0; ROW]].concat();
        for left in torn.chain([zeros, Vec::new()]) {
            fs::write(&path, &left).unwrap();
            let shelf = Shelf::at(directory.path()).unwrap();
            let wanted: BTreeSet<_> = all.iter().map(|about| about.recording.recording).collect();
            assert_eq!(listed(&shelf), wanted, "step {step}, {} of {} bytes", left.len(), after.len());
            let unsettled = |about: &&About| {
                about.is_unfinished()
                    || about.outcome().is_some()
                    || about.due(&least_free("1 MiB"), Utc(i64::MAX))
            };
            let found: BTreeSet<_> =
                shelf.unsettled(NOW).unwrap().iter().map(|about| about.recording.recording).collect();
            for about in all.iter().filter(unsettled) {
                assert!(
                    found.contains(&about.recording.recording),
                    "step {step}, {} bytes: {about:?}",
                    left.len()
                );
            }
            looked += found.len();
        }
        fs::write(&path, after).unwrap();
    }
    assert!(looked > 0);
    let settled = Shelf::at(directory.path()).unwrap();
    assert_eq!(settled.unsettled(NOW).unwrap().len(), 0, "what is done is not looked at again");
}

#[test]
fn pages_follow_one_another_by_time_and_by_call() {
    let directory = tempfile::tempdir().unwrap();
    let shelf = Shelf::at(directory.path()).unwrap();
    for n in 1..=50_u8 {
        // Three began at the same moment each.
        shelf.write_about(&About::new(recording(n, i64::from(n / 3)))).unwrap();
    }
    let walk = |page: Page, call| {
        let (mut all, mut after) = (Vec::new(), None);
        loop {
            let (found, more) = shelf.newest(&page, after, call).unwrap();
            all.extend(found.iter().map(|about| (about.recording.began, about.recording.recording)));
            after = all.last().copied();
            if !more {
                return all;
            }
        }
    };
    let every = walk(Page::of(7), None);
    assert!(every.len() == 50 && every.is_sorted_by(|newer, older| newer > older));
    let some = Page { from: Some(Utc(4)), until: Some(Utc(9)), limit: Some(4) };
    assert_eq!(
        walk(some, None),
        every.iter().copied().filter(|(at, _)| (4..9).contains(&at.0)).collect::<Vec<_>>()
    );
    assert_eq!(walk(Page::of(5), Some(CallId(Uid([1; 16])))).len(), 25);
    let nothing = Page { from: Some(Utc(9)), until: Some(Utc(9)), limit: None };
    assert_eq!(walk(nothing, None), []);
    fs::remove_file(
        directory.path().join("recordings").join(RecordingId(Uid([50; 16])).to_string()).join("about.json"),
    )
    .unwrap();
    assert_eq!(walk(Page::of(49), None).len(), 49, "one that is gone leaves room for the next");
}

/// Twice as many rows as recordings, and the file is written anew.
#[test]
fn the_catalogue_does_not_grow_with_what_happens() {
    let directory = tempfile::tempdir().unwrap();
    let size = || directory.path().join("catalogue").metadata().unwrap().len();
    for n in 1..=20 {
        let shelf = Shelf::at(directory.path()).unwrap();
        let mut about = About::new(recording(n, i64::from(n)));
        shelf.write_about(&about).unwrap();
        for change in life() {
            change(&mut about);
            shelf.write_about(&about).unwrap();
        }
    }
    drop(Shelf::at(directory.path()).unwrap());
    assert!(size() <= 2 * 20 * ROW as u64, "{} bytes", size());
}
