//! Any bytes as a wrapped key: what is read is written again as it was, and nothing forged is unwrapped.
#![no_main]

use envelope::{Epoch, Kek, KekId, WrappedDek};
use libfuzzer_sys::fuzz_target;
use types::Uid;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(wrapped) = WrappedDek::from_bytes(bytes) {
        assert_eq!(wrapped.to_bytes(), bytes);
        let kek = Kek::new(KekId(Uid([9; 16])), Epoch(3), &[9; 32]);
        assert!(kek.unwrap(&wrapped).is_err());
    }
});
