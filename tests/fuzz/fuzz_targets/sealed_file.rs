//! Any bytes as a sealed file; and, since the tags stop a fuzzer at the door, any bytes as the plaintext of a
//! chunk whose tag is right.
#![no_main]

use envelope::{
    Dek, FRAME_LEN, Frame, HEADER_LEN, Header, Index, KeyReference, NoncePrefix, ObjectId, Opener, Sealer,
    Segment, salvage,
};
use gm::{sm3, sm4};
use libfuzzer_sys::fuzz_target;
use types::{Uid, Utc};

const DEK: [u8; 16] = *b"\x00\x11\x22\x33\x44\x55\x66\x77\x88\x99\xaa\xbb\xcc\xdd\xee\xff";
const OBJECT: [u8; 16] = [7; 16];

fuzz_target!(|bytes: &[u8]| match bytes.split_first() {
    Some((0, plaintext)) => authentic(plaintext),
    Some((1, chunks)) => whole(&[&header()[..], chunks].concat()),
    _ => whole(bytes),
});

fn header() -> [u8; HEADER_LEN] {
    let header = Header {
        object: ObjectId(Uid(OBJECT)),
        key: KeyReference(Uid([1; 16])),
        segment: Segment(0),
        start: Utc(0),
        prefix: NoncePrefix([3; 7]),
    };
    Sealer::new(&Dek::from_bytes(DEK), header).1
}

fn whole(file: &[u8]) {
    let _refused_or_found = salvage(&Dek::from_bytes(DEK), file, |chunk| assert!(chunk.records().count() < 2000));
    let mut index = Index::new();
    while let Some(offset) = index.wanted() {
        let frame = usize::try_from(offset).ok().and_then(|at| file.get(at..)?.first_chunk::<FRAME_LEN>());
        if frame.is_none_or(|frame| index.push(frame).is_err()) {
            break;
        }
    }
}

fn authentic(plaintext: &[u8]) {
    let header = header();
    let mut frame = [0; FRAME_LEN];
    frame[2..4].copy_from_slice(&((plaintext.len() + 16) as u16).to_be_bytes());
    if let Some(time) = plaintext.first_chunk::<8>() {
        frame[8..].copy_from_slice(time);
    }
    let Ok(frame) = Frame::from_bytes(&frame) else { return };
    let mut sealed = plaintext.to_vec();
    let aad = [&sm3::digest(&header).0[..], &OBJECT].concat();
    let nonce = sm4::Nonce([3, 3, 3, 3, 3, 3, 3, 0, 0, 0, 0, 0]);
    let Ok(tag) = sm4::Key::new(&DEK).seal_in_place(&nonce, &aad, &mut sealed) else { return };
    sealed.extend_from_slice(&tag.0);
    let Ok(opener) = Opener::new(&Dek::from_bytes(DEK), &header) else { return };
    if let Ok(chunk) = opener.open(frame, &sealed) {
        assert!(chunk.records().all(|record| record.time >= chunk.time()));
    }
}
