//! The published vector `tests/vectors`: the good log of docs/formats/audit-log.md. The format may not drift
//! from it.
#![allow(clippy::unwrap_used, reason = "what the tests share")]

#[path = "../../log/tests/common/mod.rs"]
mod common;

use audit_log::personal::Personal;
use audit_log::{Disk, Draft, Folder, Kind, Log, Phase, VerifierKey};
use audit_verify::{Extent, Verdict, verify};
use common::{Memory, TestKey, checkpoint, draft, reading, settings};
use std::path::Path;
use std::sync::Arc;

const VECTORS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors");

/// Twenty entries of every shape in several segments: a set clock, a restart, personal values, three
/// checkpoints and three entries that none covers.
fn sample<D: Disk>(disk: &Arc<D>) {
    let mut log = Log::open(Arc::clone(disk), settings(1200)).unwrap().0;
    for number in 0..20 {
        let Draft { mut body, .. } = draft(number);
        if number.is_multiple_of(3) {
            let caller = Personal::new([number as u8; 16], format!("1380013{number:04}")).unwrap();
            body.personal.insert("caller".into(), caller.digest());
            log.keep(&caller);
        }
        if number.is_multiple_of(4) {
            body.facts = [("format", "wav"), ("原因", "投诉核查")].map(|(k, v)| (k.into(), v.into())).into();
            (body.phase, body.outcome) = (Phase::Begun, None);
            (body.from, body.reason) = (Some("192.0.2.7".into()), Some("客户投诉".into()));
        }
        let mut reading = reading(number);
        if number > 8 {
            reading.utc_nanos -= 3_600_000_000_000;
        }
        if number > 14 {
            reading.boot = [8; 16];
        }
        log.stage(Draft { kind: Kind(84), body }, reading).unwrap();
        if number % 2 == 1 {
            log.commit().unwrap();
        }
        if number == 5 || number == 11 || number == 17 {
            checkpoint(&mut log);
        }
    }
}

/// `YANMEN_WRITE_VECTORS=1` writes the vector anew (SM2 signatures are random, so it changes).
#[test]
fn the_vector_is_what_this_code_writes_and_passes() {
    let folder = Path::new(VECTORS).join("log");
    let key = Path::new(VECTORS).join("key.txt");
    if std::env::var_os("YANMEN_WRITE_VECTORS").is_some() {
        let _none_yet = std::fs::remove_dir_all(VECTORS);
        sample(&Arc::new(Folder::open(&folder).unwrap()));
        std::fs::remove_file(folder.join("lock")).unwrap();
        std::fs::write(&key, TestKey::new().verifier().to_text() + "\n").unwrap();
    }
    let memory = Arc::new(Memory::default());
    sample(&memory);
    memory.with(|state| {
        for (name, bytes) in state.files.iter().filter(|(name, _file)| !name.ends_with(".checkpoints")) {
            assert_eq!(&std::fs::read(folder.join(name)).unwrap(), bytes, "{name}");
        }
    });
    let trusted = VerifierKey::parse(std::fs::read_to_string(key).unwrap().trim()).unwrap();
    let report = verify(&Folder::read_only(&folder).unwrap(), &[trusted], Extent::Whole);
    assert_eq!((report.verdict, report.entries, report.covered), (Verdict::Passed, 21, 19), "{report:?}");
}
