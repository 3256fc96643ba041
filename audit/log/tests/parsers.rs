//! Parsers of outside bytes: what is written is read, and nothing else has a second form.

use audit_log::cbor::{CborFault, Value};
use audit_log::{Body, Checkpoint, ClockState, Entry, Kind, Moment, Outcome, VerifierKey};
use proptest::prelude::*;
use std::time::Duration;

#[test]
fn integers_of_rfc_8949_appendix_a() {
    for (value, encoded) in [
        (Value::Unsigned(0), &b"\x00"[..]),
        (Value::Unsigned(23), b"\x17"),
        (Value::Unsigned(24), b"\x18\x18"),
        (Value::Unsigned(1000), b"\x19\x03\xe8"),
        (Value::Unsigned(1_000_000), b"\x1a\x00\x0f\x42\x40"),
        (Value::Unsigned(u64::MAX), b"\x1b\xff\xff\xff\xff\xff\xff\xff\xff"),
        (Value::Negative(0), b"\x20"),
        (Value::Negative(999), b"\x39\x03\xe7"),
        (Value::Bool(false), b"\xf4"),
        (Value::Bytes(vec![1, 2, 3, 4]), b"\x44\x01\x02\x03\x04"),
        (Value::Text("水".into()), b"\x63\xe6\xb0\xb4"),
        (Value::Array(vec![Value::Unsigned(1), Value::Array(vec![])]), b"\x82\x01\x80"),
        (Value::Map(vec![(Value::Text("a".into()), Value::Unsigned(1))]), b"\xa1\x61a\x01"),
    ] {
        assert_eq!(value.encode(), encoded);
        assert_eq!(Value::decode(encoded).unwrap(), value);
    }
}

#[test]
fn what_is_not_deterministic_is_refused() {
    for (bytes, fault) in [
        (&b"\x18\x17"[..], CborFault::NotShortest),
        (b"\x19\x00\xff", CborFault::NotShortest),
        (b"\x1b\x00\x00\x00\x00\xff\xff\xff\xff", CborFault::NotShortest),
        (b"\xa2\x02\x00\x01\x00", CborFault::KeyOrder),
        (b"\xa2\x01\x00\x01\x00", CborFault::KeyOrder),
        (b"\xa2\x62aa\x00\x61b\x00", CborFault::KeyOrder),
        (b"\x5f\x41a\xff", CborFault::Unsupported),
        (b"\xf6", CborFault::Unsupported),
        (b"\xfb\x00\x00\x00\x00\x00\x00\x00\x00", CborFault::Unsupported),
        (b"\xc0\x00", CborFault::Unsupported),
        (b"\x61\xff", CborFault::NotUtf8),
        (b"\x81\x81\x81\x81\x80", CborFault::TooDeep),
        (b"\x9b\xff\xff\xff\xff\xff\xff\xff\xff", CborFault::Truncated),
        (b"\x7b\xff\xff\xff\xff\xff\xff\xff\xff", CborFault::Truncated),
        (b"\x00\x00", CborFault::Trailing),
        (b"", CborFault::Truncated),
    ] {
        assert_eq!(Value::decode(bytes).unwrap_err().fault, fault, "{bytes:02x?}");
    }
}

prop_compose! {
    fn entry()(
        kind in any::<u16>(), sequence in any::<u64>(), boot in any::<[u8; 16]>(), boot_counter in any::<u64>(),
        monotonic in any::<u64>(), utc_nanos in any::<i64>(), person in any::<Option<String>>(),
        reason in any::<Option<String>>(), facts in proptest::collection::btree_map(any::<String>(), any::<String>(), 0..4),
        personal in proptest::collection::btree_map(any::<String>(), any::<[u8; 32]>(), 0..4),
    ) -> Entry {
        let outcome = Some(Outcome::Failed);
        Entry {
            kind: Kind(kind), sequence,
            moment: Moment {
                boot, boot_counter, monotonic: Duration::from_nanos(monotonic), utc_nanos,
                clock: ClockState::Unknown,
            },
            body: Body { person, reason, outcome, facts, personal, ..Body::default() },
        }
    }
}

proptest! {
    #[test]
    fn an_entry_is_read_as_it_was_written(entry in entry()) {
        let bytes = entry.encode().unwrap();
        prop_assert_eq!(Entry::decode(&bytes).unwrap(), entry);
    }

    #[test]
    fn a_changed_entry_is_refused_or_another_one(entry in entry(), at in any::<prop::sample::Index>(), bit in 0u8..8) {
        let mut bytes = entry.encode().unwrap();
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        if let Ok(other) = Entry::decode(&bytes) {
            prop_assert_eq!(other.encode().unwrap(), bytes);
        }
    }

    #[test]
    fn cbor_that_is_read_has_one_form(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
        if let Ok(value) = Value::decode(&bytes) {
            prop_assert_eq!(value.encode(), bytes);
        }
    }

    #[test]
    fn a_note_that_is_read_has_one_form(text in "[a-z +\n—0-9A-Za-z/=]{0,200}") {
        if let Ok((note, rest)) = Checkpoint::parse(&text) {
            prop_assert_eq!(note.to_text() + rest, text);
        }
    }
}

#[test]
fn a_verifier_key_is_read_as_it_was_written() {
    let key = gm::sm2::SigningKey::from_bytes(&[0x11; 32]).unwrap();
    let key = VerifierKey::new("yanmen.test/audit", key.verifying_key().clone()).unwrap();
    let text = key.to_text();
    assert_eq!(VerifierKey::parse(&text).unwrap(), key);
    for wrong in [text.replace("test", "text"), text.replacen('+', "", 1), format!("{text}=")] {
        assert!(VerifierKey::parse(&wrong).is_err(), "{wrong}");
    }
    assert!(
        VerifierKey::new("a b", gm::sm2::SigningKey::from_bytes(&[1; 32]).unwrap().verifying_key().clone())
            .is_err()
    );
}
