//! A checkpoint and a verifier key: what is read has one text, and nothing panics.
#![no_main]

use audit_log::{Checkpoint, VerifierKey};

libfuzzer_sys::fuzz_target!(|text: &str| {
    if let Ok((note, rest)) = Checkpoint::parse(text) {
        assert_eq!(note.to_text() + rest, text);
        assert!(note.verify(&[]).is_err());
    }
    if let Ok(key) = VerifierKey::parse(text) {
        assert_eq!(key.to_text(), text);
    }
});
