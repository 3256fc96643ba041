//! The published vectors: this crate writes and reads exactly them. `YANMEN_BLESS=1` writes the sealed file
//! anew, after a change of version and never otherwise.

#![allow(clippy::unwrap_used, reason = "a test ends where its preparation fails")]

mod common;

use common::{DEK, dek, header, records, small_file};
use envelope::{Ending, Epoch, Kek, KekId, ObjectId, WrappedDek, salvage};
use types::Uid;

const SEALED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/sealed-file.bin");
const WRAPPED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/wrapped-dek.bin");

/// The KEK of the vector: master 01 × 16, epoch 3, secret 02 × 32.
fn kek() -> Kek {
    Kek::new(KekId(Uid([1; 16])), Epoch(3), &[2; 32])
}

#[test]
fn the_sealed_file_of_the_vector() {
    if std::env::var_os("YANMEN_BLESS").is_some() {
        std::fs::write(SEALED, small_file()).unwrap();
        std::fs::write(WRAPPED, kek().wrap(header().object, &dek()).unwrap().to_bytes()).unwrap();
    }
    let vector = std::fs::read(SEALED).unwrap();
    assert_eq!(vector, small_file(), "the format changed without a new version");
    let mut shown = 0;
    let found = salvage(&dek(), &vector, |chunk| shown += chunk.records().count()).unwrap();
    assert_eq!((shown, found.opened, found.ending), (records().len(), 4, Ending::Complete));
}

#[test]
fn the_wrapped_key_of_the_vector() {
    let wrapped = WrappedDek::from_bytes(&std::fs::read(WRAPPED).unwrap()).unwrap();
    assert_eq!((wrapped.kek, wrapped.epoch), (KekId(Uid([1; 16])), Epoch(3)));
    assert_eq!(wrapped.object, ObjectId(Uid(*b"object-of-a-test")));
    assert_eq!(kek().unwrap(&wrapped).unwrap().bytes(), &DEK);
}
