//! No text makes the verifier of assertions panic; what it reads has one form only, and nobody but the
//! house makes it believe anything.
#![no_main]

use auth_api::{Assertion, Claims, Verifier};
use gm::sm2::SigningKey;
use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;
use types::Utc;

static VERIFIER: LazyLock<Verifier> = LazyLock::new(|| {
    let key = SigningKey::from_bytes(&[7; 32]).expect("a constant in [1, n-2]");
    Verifier::new(key.verifying_key().clone())
});

fuzz_target!(|bytes: &[u8]| {
    if let Some(claims) = Claims::from_bytes(bytes) {
        assert_eq!(claims.to_bytes(), bytes);
    }
    if let Ok(text) = std::str::from_utf8(bytes) {
        // The seed is signed by another house, so that believing anything at all is a fault.
        assert!(VERIFIER.verify(&Assertion::from(text.to_owned()), Utc(1_800_000_000_000_000_001)).is_err());
    }
});
