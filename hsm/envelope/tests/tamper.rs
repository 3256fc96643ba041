//! What is changed, cut, moved or opened with another key is refused; what a crash left is found.

#![allow(clippy::unwrap_used, reason = "a test ends where its preparation fails")]

mod common;

use common::{DEK, dek, header, media, records, sealed, small_file};
use envelope::{Dek, Ending, Error, FRAME_LEN, Frame, HEADER_LEN, Header, Opener, Sealer, Segment, salvage};

/// Everything that a careful reader does: every chunk, and the end.
fn open(dek: &Dek, file: &[u8]) -> Result<usize, Error> {
    let (header, rest) = file.split_first_chunk().ok_or(Error::Malformed("no header"))?;
    let mut opener = Opener::new(dek, header)?;
    opener.feed(rest);
    let mut records = 0;
    while let Some(chunk) = opener.poll()? {
        records += chunk.records().count();
    }
    match opener.end() {
        Ending::Complete => Ok(records),
        Ending::Truncated { .. } => Err(Error::Malformed("truncated")),
    }
}

/// Where each chunk of `file` lies.
fn chunks(file: &[u8]) -> Vec<std::ops::Range<usize>> {
    let (mut chunks, mut at) = (Vec::new(), HEADER_LEN);
    while let Some(frame) = file[at..].first_chunk::<FRAME_LEN>() {
        let end = at + FRAME_LEN + Frame::from_bytes(frame).unwrap().sealed_len;
        chunks.push(at..end);
        at = end;
    }
    chunks
}

fn arranged(file: &[u8], order: &[usize]) -> Vec<u8> {
    let chunks = chunks(file);
    let mut arranged = file[..HEADER_LEN].to_vec();
    order.iter().for_each(|at| arranged.extend_from_slice(&file[chunks[*at].clone()]));
    arranged
}

#[test]
fn every_flipped_byte_is_refused() {
    let file = small_file();
    assert_eq!(open(&dek(), &file).unwrap(), records().len());
    for at in 0..file.len() {
        for flip in [1, 0x80, 0xff] {
            let mut changed = file.clone();
            changed[at] ^= flip;
            assert!(open(&dek(), &changed).is_err(), "byte {at} ^ {flip:02x}");
        }
    }
}

#[test]
fn a_changed_header_is_refused_before_any_chunk() {
    let file = small_file();
    for at in 0..HEADER_LEN {
        let mut header: [u8; HEADER_LEN] = *file.first_chunk().unwrap();
        header[at] ^= 1;
        assert!(Opener::new(&dek(), &header).is_err(), "byte {at}");
    }
}

#[test]
fn a_wrong_key_is_refused_by_the_commitment() {
    let file = small_file();
    for bit in 0..128 {
        let mut other = DEK;
        other[bit / 8] ^= 1 << (bit % 8);
        let refused = Opener::new(&Dek::from_bytes(other), file.first_chunk().unwrap());
        assert!(matches!(refused, Err(Error::WrongKey)), "bit {bit}");
    }
}

#[test]
fn every_truncation_is_noticed() {
    let file = small_file();
    let bounds: Vec<_> = chunks(&file).iter().map(|chunk| chunk.end).collect();
    for len in 0..file.len() {
        assert!(open(&dek(), &file[..len]).is_err(), "cut at {len}");
        if len < HEADER_LEN {
            assert!(salvage(&dek(), &file[..len], drop).is_err());
            continue;
        }
        let whole = bounds.iter().filter(|end| **end <= len).count() as u32;
        let torn = len - bounds.iter().filter(|end| **end <= len).max().unwrap_or(&HEADER_LEN);
        let found = salvage(&dek(), &file[..len], drop).unwrap();
        assert_eq!(found.opened, whole, "every whole chunk opens");
        assert_eq!(found.ending, Ending::Truncated { missing: whole, torn });
        assert!(found.damaged.is_empty());
    }
}

#[test]
fn a_cut_at_a_chunk_is_truncated_not_complete() {
    let file = small_file();
    let last = chunks(&file).pop().unwrap();
    let mut opener = Opener::new(&dek(), file.first_chunk().unwrap()).unwrap();
    opener.feed(&file[HEADER_LEN..last.start]);
    while opener.poll().unwrap().is_some() {}
    assert_eq!(opener.end(), Ending::Truncated { missing: 3, torn: 0 });
}

#[test]
fn chunks_out_of_place_are_refused() {
    let file = small_file();
    assert_eq!(chunks(&file).len(), 4);
    open(&dek(), &arranged(&file, &[0, 1, 2, 3])).unwrap();
    for order in [
        &[1, 0, 2, 3][..],
        &[0, 2, 1, 3],
        &[0, 0, 1, 2, 3],
        &[0, 1, 1, 2, 3],
        &[0, 2, 3],
        &[0, 1, 3],
        &[1, 2, 3],
        &[3],
    ] {
        let refused = open(&dek(), &arranged(&file, order));
        assert!(matches!(refused, Err(Error::Order { .. })), "{order:?}");
    }
    assert!(matches!(open(&dek(), &arranged(&file, &[0, 1, 2, 3, 3])), Err(Error::Trailing)));
    assert!(matches!(open(&dek(), &[&file[..], &[0]].concat()), Err(Error::Trailing)));
}

/// The frame of a moved chunk can be rewritten by anyone; its nonce cannot.
#[test]
fn renumbered_chunks_are_refused() {
    let file = small_file();
    let chunks = chunks(&file);
    let mut swapped = arranged(&file, &[1, 0, 2, 3]);
    let second = HEADER_LEN + chunks[1].len();
    swapped[HEADER_LEN + 4..HEADER_LEN + 8].copy_from_slice(&0_u32.to_be_bytes());
    swapped[second + 4..second + 8].copy_from_slice(&1_u32.to_be_bytes());
    assert!(matches!(open(&dek(), &swapped), Err(Error::NotAuthentic(0))));
}

/// A file cut short whose now last chunk is made to claim that it is the last.
#[test]
fn a_forged_last_flag_is_refused() {
    let file = small_file();
    let mut cut = arranged(&file, &[0, 1, 2]);
    cut[chunks(&file)[2].start] = 1;
    assert!(matches!(open(&dek(), &cut), Err(Error::NotAuthentic(2))));
}

#[test]
fn a_chunk_of_another_file_under_the_same_key_is_refused() {
    let one = small_file();
    let (mut sealer, other_header) = Sealer::new(&dek(), Header { segment: Segment(2), ..header() });
    let mut other = other_header.to_vec();
    for record in records() {
        sealer.push(&record, &mut other).unwrap();
    }
    sealer.flush(&mut other).unwrap();
    sealer.finish(&mut other).unwrap();
    let mixed = [&one[..HEADER_LEN], &other[HEADER_LEN..]].concat();
    open(&dek(), &other).unwrap();
    assert!(matches!(open(&dek(), &mixed), Err(Error::NotAuthentic(0))));
}

#[test]
fn salvage_steps_over_a_damaged_chunk() {
    let payload = [9; 160];
    let records: Vec<_> = (0..100).map(|n| media(0, n * 20, &payload)).collect();
    let file = sealed(&records);
    let chunks = chunks(&file);
    let mut damaged = file.clone();
    damaged[chunks[1].start + FRAME_LEN + 40] ^= 1;
    let mut times = Vec::new();
    let found = salvage(&dek(), &damaged, |chunk| times.extend(chunk.records().map(|r| r.time))).unwrap();
    assert_eq!(
        (found.opened as usize, found.damaged, found.ending),
        (chunks.len() - 1, vec![1], Ending::Complete)
    );
    assert!(times.len() < 100 && times.len() > 60);
    // A crash left zeros where the next chunk was to be.
    let zeros = [&file[..chunks[2].start], &[0; 4096]].concat();
    let found = salvage(&dek(), &zeros, drop).unwrap();
    assert_eq!((found.opened, found.ending), (2, Ending::Truncated { missing: 2, torn: 4096 }));
    salvage(&Dek::from_bytes([0; 16]), &file, drop).unwrap_err();
}
