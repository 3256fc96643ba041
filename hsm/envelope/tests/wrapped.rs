//! Wrapped keys: one encoding, and none that was changed is unwrapped.

#![allow(clippy::unwrap_used, reason = "a test ends where its preparation fails")]

use envelope::{Dek, Epoch, Error, Kek, KekId, ObjectId, WrappedDek};
use proptest::prelude::*;
use types::Uid;

const OBJECT: ObjectId = ObjectId(Uid([7; 16]));

fn kek(epoch: u32, secret: u8) -> Kek {
    Kek::new(KekId(Uid([1; 16])), Epoch(epoch), &[secret; 32])
}

#[test]
fn unwraps_what_it_wrapped() {
    let dek = Dek::generate().unwrap();
    let wrapped = kek(3, 9).wrap(OBJECT, &dek).unwrap();
    let read = WrappedDek::from_bytes(&wrapped.to_bytes()).unwrap();
    assert_eq!(read, wrapped);
    assert_eq!((read.object, read.epoch), (OBJECT, Epoch(3)));
    assert_eq!(kek(3, 9).unwrap(&read).unwrap().bytes(), dek.bytes());
    assert_ne!(kek(3, 9).wrap(OBJECT, &dek).unwrap(), wrapped, "the nonce is drawn anew");
    assert!(!wrapped.to_bytes().windows(16).any(|window| window == dek.bytes()));
}

#[test]
fn another_secret_epoch_or_master_is_refused() {
    let wrapped = kek(3, 9).wrap(OBJECT, &Dek::generate().unwrap()).unwrap();
    let other_master = Kek::new(KekId(Uid([2; 16])), Epoch(3), &[9; 32]);
    for wrong in [kek(3, 8), kek(4, 9), other_master] {
        assert!(matches!(wrong.unwrap(&wrapped), Err(Error::WrongKek)));
    }
}

#[test]
fn every_flipped_bit_and_every_cut_is_refused() {
    let kek = kek(3, 9);
    let good = kek.wrap(OBJECT, &Dek::generate().unwrap()).unwrap().to_bytes();
    assert_eq!(good.len(), WrappedDek::LEN);
    for bit in 0..good.len() * 8 {
        let mut bad = good.clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        assert!(WrappedDek::from_bytes(&bad).and_then(|bad| kek.unwrap(&bad)).is_err(), "bit {bit}");
    }
    for len in 0..good.len() {
        WrappedDek::from_bytes(&good[..len]).unwrap_err();
    }
    WrappedDek::from_bytes(&[&good[..], &[0]].concat()).unwrap_err();
}

/// A wrapped key moved to another object: the ticket for that object must not open it.
#[test]
fn the_object_is_bound() {
    let kek = kek(3, 9);
    let mut moved = kek.wrap(OBJECT, &Dek::generate().unwrap()).unwrap();
    moved.object = ObjectId(Uid([8; 16]));
    assert!(matches!(kek.unwrap(&moved), Err(Error::WrongKek)));
}

proptest! {
    #[test]
    fn what_is_read_is_written_again(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(wrapped) = WrappedDek::from_bytes(&bytes) {
            prop_assert_eq!(wrapped.to_bytes(), bytes);
        }
    }
}
