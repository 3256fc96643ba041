//! What is sealed comes back: in one go, in drops, from any chunk on.

#![allow(clippy::unwrap_used, reason = "a test ends where its preparation fails")]

mod common;

use common::{dek, header, media, records, sealed, small_file};
use envelope::{
    Body, CHUNK_LIMIT, CHUNK_SPAN, Ending, Error, FRAME_LEN, Frame, HEADER_LEN, Header, Index, Opener,
    Position, Record, Sealer, Track,
};
use proptest::prelude::*;
use std::{collections::HashSet, time::Duration};

fn opener(file: &[u8]) -> Opener {
    Opener::new(&dek(), file.first_chunk().unwrap()).unwrap()
}

fn index(file: &[u8]) -> Index {
    let mut index = Index::new();
    while let Some(offset) = index.wanted() {
        let Some(frame) = file.get(offset as usize..).and_then(|rest| rest.first_chunk::<FRAME_LEN>()) else {
            break;
        };
        index.push(frame).unwrap();
    }
    index
}

/// The records of `file`, fed in pieces of `step` bytes, as text.
fn opened(file: &[u8], step: usize) -> (Vec<String>, Ending) {
    let mut opener = opener(file);
    let mut shown = Vec::new();
    for piece in file[HEADER_LEN..].chunks(step) {
        opener.feed(piece);
        while let Some(chunk) = opener.poll().unwrap() {
            shown.extend(chunk.records().map(|record| format!("{record:?}")));
        }
    }
    (shown, opener.end())
}

fn shown(records: &[Record<'_>]) -> Vec<String> {
    records.iter().map(|record| format!("{record:?}")).collect()
}

#[test]
fn records_come_back_in_order_however_the_bytes_arrive() {
    let file = small_file();
    for step in [1, 7, 16, 100, file.len()] {
        assert_eq!(opened(&file, step), (shown(&records()), Ending::Complete), "in pieces of {step}");
    }
}

#[test]
fn the_header_can_be_read_without_a_key() {
    let file = small_file();
    assert_eq!(Header::from_bytes(file.first_chunk().unwrap()).unwrap(), header());
    assert_eq!(*opener(&file).header(), header());
}

#[test]
fn an_empty_file_is_a_header_and_a_last_chunk() {
    let file = sealed(&[]);
    assert_eq!(file.len(), HEADER_LEN + FRAME_LEN + 8 + 16);
    assert_eq!(opened(&file, 5), (vec![], Ending::Complete));
}

#[test]
fn chunks_keep_their_limits() {
    let payload = [1; 1000];
    let records: Vec<_> = (0..200).map(|n| media(0, n * 20, &payload)).collect();
    let file = sealed(&records);
    let index = index(&file);
    for chunk in index.chunks() {
        assert!(chunk.frame.sealed_len <= CHUNK_LIMIT + 16);
    }
    // 16 records of 1017 bytes fit beside the 8 bytes of the time, and span 300 ms.
    assert_eq!(index.chunks().len(), 200_usize.div_ceil(16) + 1);
    let sparse: Vec<_> = (0..10).map(|n| media(0, n * 251, &[])).collect();
    let file = sealed(&sparse);
    let mut opener = opener(&file);
    opener.feed(&file[HEADER_LEN..]);
    while let Some(chunk) = opener.poll().unwrap() {
        let times: Vec<_> = chunk.records().map(|record| record.time).collect();
        assert!(times.iter().all(|time| *time <= chunk.time() + CHUNK_SPAN));
        assert!(times.len() <= 2);
    }
}

#[test]
fn records_out_of_order_keep_the_span() {
    let records = [media(0, 700, b"a"), media(1, 650, b"b"), media(0, 199, b"c"), media(1, 720, b"d")];
    let file = sealed(&records);
    assert_eq!(opened(&file, 9), (shown(&records), Ending::Complete));
    let times: Vec<_> = index(&file).chunks().iter().map(|chunk| chunk.frame.time.as_millis()).collect();
    assert_eq!(times, [650, 199, 720, 720]);
}

#[test]
fn seeking_opens_no_chunk_before_the_wanted_one() {
    let records: Vec<_> = (0..100).map(|n| media(0, n * 100, &[3; 80])).collect();
    let file = sealed(&records);
    let index = index(&file);
    let chunk = index.seek(Duration::from_millis(5050)).unwrap();
    let mut opener = opener(&file);
    opener.feed(b"what was fed before is forgotten");
    opener.seek(&chunk);
    opener.feed(&file[chunk.offset as usize..]);
    let mut times = Vec::new();
    while let Some(chunk) = opener.poll().unwrap() {
        times.extend(chunk.records().map(|record| record.time.as_millis()));
    }
    assert_eq!(opener.end(), Ending::Complete);
    assert!(times[0] <= 5100 && times[0] >= 4500, "{}", times[0]);
    assert_eq!(*times.last().unwrap(), 9900);
    assert!(index.seek(Duration::from_secs(3600)).is_none());
}

#[test]
fn any_chunk_opens_alone() {
    let file = small_file();
    let opener = opener(&file);
    for chunk in index(&file).chunks().iter().rev() {
        let begin = chunk.offset as usize + FRAME_LEN;
        let opened = opener.open(chunk.frame, &file[begin..begin + chunk.frame.sealed_len]).unwrap();
        assert_eq!(opened.index(), chunk.frame.index);
        assert_eq!(opened.time(), chunk.frame.time);
    }
}

/// A nonce used twice gives the exclusive-or of two plaintexts away, and the key of the tag.
#[test]
fn no_nonce_is_used_twice() {
    let (mut sealer, header) = Sealer::new(&dek(), header());
    let mut file = header.to_vec();
    for _ in 0..3 {
        sealer.push(&media(0, 20, &[0xd5; 160]), &mut file).unwrap();
        sealer.flush(&mut file).unwrap();
    }
    sealer.finish(&mut file).unwrap();
    let frame_at = |at: usize| Frame::from_bytes(file[at..].first_chunk().unwrap()).unwrap();
    let (mut nonces, mut ciphertexts, mut at) = (HashSet::new(), HashSet::new(), HEADER_LEN);
    while at < file.len() {
        let frame = frame_at(at);
        let sealed = &file[at + FRAME_LEN..at + FRAME_LEN + frame.sealed_len];
        assert!(nonces.insert((frame.index, frame.position == Position::Last)), "nonce {}", frame.index);
        assert!(ciphertexts.insert(sealed[..8].to_vec()), "equal plaintext gave equal ciphertext");
        at += FRAME_LEN + frame.sealed_len;
    }
    assert_eq!(nonces.len(), 4);
}

#[test]
fn what_has_no_place_is_refused_and_leaves_no_trace() {
    let (mut sealer, header) = Sealer::new(&dek(), header());
    let mut file = header.to_vec();
    let long = "x".repeat(256);
    let at = |body| Record { track: Track(0), time: Duration::ZERO, body };
    let mut refused = |record: Record<'_>| {
        let mut out = Vec::new();
        let error = sealer.push(&record, &mut out).unwrap_err();
        assert!(out.is_empty());
        error
    };
    let biggest = CHUNK_LIMIT - 8 - 12 - 5;
    assert!(matches!(refused(media(0, 0, &vec![0; biggest + 1])), Error::RecordTooLong));
    assert!(matches!(refused(at(Body::MaskBegin { reason: &long })), Error::RecordTooLong));
    assert!(matches!(refused(at(Body::Other { kind: 127, bytes: b"" })), Error::Unsealable(_)));
    let never = Record { time: Duration::MAX, ..media(0, 0, b"") };
    assert!(matches!(refused(never), Error::Unsealable(_)));
    sealer.push(&media(0, 0, &vec![0; biggest]), &mut file).unwrap();
    sealer.finish(&mut file).unwrap();
    assert_eq!(opened(&file, 100).0.len(), 1);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn whatever_is_sealed_comes_back(
        packets in prop::collection::vec((any::<u8>(), 0..5000_u64, prop::collection::vec(any::<u8>(), 0..600)), 0..80),
        step in 1..3000_usize,
    ) {
        let records: Vec<_> = packets.iter().map(|(track, at, payload)| media(*track, *at, payload)).collect();
        prop_assert_eq!(opened(&sealed(&records), step), (shown(&records), Ending::Complete));
    }
}
