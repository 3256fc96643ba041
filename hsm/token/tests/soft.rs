//! The soft token: made once, opened by its passphrase alone, never worn beyond an epoch.

#![allow(clippy::unwrap_used, reason = "a test ends where its preparation fails")]

use std::{fs, os::unix::fs::PermissionsExt, path::PathBuf};
use token::{Cost, EPOCH_OBJECTS, Epoch, Error, ObjectId, Passphrase, Purpose, Soft, Token, WrappedDek};
use types::Uid;

const CHEAP: Cost = Cost { memory_kib: 64, passes: 1 };
const OBJECT: ObjectId = ObjectId(Uid([7; 16]));

fn passphrase(text: &str) -> Passphrase {
    Passphrase::new(text.as_bytes().to_vec())
}

fn made() -> (tempfile::TempDir, PathBuf, Soft) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("token");
    let soft = Soft::create(&path, &passphrase("雁门"), CHEAP).unwrap();
    (directory, path, soft)
}

fn reopened(path: &std::path::Path) -> Soft {
    Soft::open(path, &passphrase("雁门")).unwrap()
}

#[test]
fn keys_outlive_the_process() {
    let (_directory, path, mut soft) = made();
    let (dek, wrapped) = soft.new_dek(OBJECT).unwrap();
    let (public, ticket, id) =
        (soft.verifying_key(Purpose::AuditLog).unwrap(), soft.ticket_key().unwrap(), soft.id());
    drop(soft);
    let soft = reopened(&path);
    assert_eq!(soft.unwrap(&wrapped).unwrap().bytes(), dek.bytes());
    assert_eq!(soft.verifying_key(Purpose::AuditLog).unwrap(), public);
    assert_eq!((soft.ticket_key().unwrap(), soft.id()), (ticket, id));
    let signature = soft.sign(Purpose::AuditLog, b"checkpoint").unwrap();
    public.verify(Purpose::AuditLog.identity(), b"checkpoint", &signature).unwrap();
}

#[test]
fn purposes_have_keys_of_their_own() {
    let (_directory, _path, soft) = made();
    let signature = soft.sign(Purpose::Assertion, b"m").unwrap();
    let log = soft.verifying_key(Purpose::AuditLog).unwrap();
    log.verify(Purpose::AuditLog.identity(), b"m", &signature).unwrap_err();
}

#[test]
fn the_file_is_the_owner_s_alone_and_holds_nothing_in_clear() {
    let (_directory, path, mut soft) = made();
    soft.new_dek(OBJECT).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let (bytes, ticket) = (fs::read(&path).unwrap(), soft.ticket_key().unwrap());
    assert!(!bytes.windows(32).any(|window| window == *ticket));
    assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "nothing is left beside it");
}

#[test]
fn a_wrong_passphrase_and_every_changed_byte_are_refused() {
    let (_directory, path, _soft) = made();
    assert!(matches!(Soft::open(&path, &passphrase("燕门")), Err(Error::WrongPassphrase(_))));
    assert!(matches!(Soft::open(&path, &passphrase("")), Err(Error::WrongPassphrase(_))));
    let good = fs::read(&path).unwrap();
    for at in 0..good.len() {
        let mut bad = good.clone();
        bad[at] ^= 1;
        fs::write(&path, &bad).unwrap();
        assert!(Soft::open(&path, &passphrase("雁门")).is_err(), "byte {at}");
    }
    for len in 0..good.len() {
        fs::write(&path, &good[..len]).unwrap();
        assert!(Soft::open(&path, &passphrase("雁门")).is_err(), "cut at {len}");
    }
    fs::write(&path, &good).unwrap();
    reopened(&path);
}

#[test]
fn a_token_is_never_written_over_by_a_new_one() {
    let (_directory, path, _soft) = made();
    let before = fs::read(&path).unwrap();
    assert!(matches!(Soft::create(&path, &passphrase("x"), CHEAP), Err(Error::File { .. })));
    assert_eq!(fs::read(&path).unwrap(), before);
}

#[test]
fn a_half_written_successor_does_no_harm() {
    let (_directory, path, mut soft) = made();
    fs::write(path.with_extension("new"), b"half").unwrap();
    let (dek, wrapped) = soft.new_dek(OBJECT).unwrap();
    assert_eq!(reopened(&path).unwrap(&wrapped).unwrap().bytes(), dek.bytes());
}

#[test]
fn an_epoch_holds_ten_thousand_objects_and_no_more() {
    let (_directory, path, mut soft) = made();
    let mut in_first = 0;
    // Each restart may skip what was counted ahead, so epoch 0 holds fewer; never more.
    for _ in 0..90 {
        soft.new_dek(OBJECT).unwrap();
        in_first += 1;
        soft = reopened(&path);
    }
    assert_eq!(soft.epoch(), Epoch(0));
    let first: WrappedDek = loop {
        let (_, wrapped) = soft.new_dek(OBJECT).unwrap();
        if wrapped.epoch != Epoch(0) {
            break wrapped;
        }
        in_first += 1;
        assert!(in_first <= EPOCH_OBJECTS - 90 * 99, "epoch 0 is overfull");
    };
    assert_eq!(in_first, 90 + EPOCH_OBJECTS - 90 * 100);
    assert_eq!((first.epoch, soft.epoch()), (Epoch(1), Epoch(1)));
    assert_eq!(reopened(&path).unwrap(&first).unwrap().bytes().len(), 16);
}

#[test]
fn another_token_s_keys_are_refused() {
    let (_one, _, mut one) = made();
    let (_other, _, other) = made();
    let (_, wrapped) = one.new_dek(OBJECT).unwrap();
    assert!(matches!(other.unwrap(&wrapped), Err(Error::Envelope(envelope::Error::WrongKek))));
    let mut later = wrapped;
    later.epoch = Epoch(9);
    assert!(matches!(one.unwrap(&later), Err(Error::NoEpoch(Epoch(9)))));
}

#[test]
fn it_says_that_it_is_not_certified() {
    let (_directory, _path, soft) = made();
    assert!(soft.description().contains("NOT A CERTIFIED"));
    assert!(soft.description().contains("deletion is not provable against copies of this file"));
}
