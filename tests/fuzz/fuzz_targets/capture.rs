//! What an edge says of a capture, read by the program of the asker; and any message with its secrets blanked:
//! nothing panics, and no length changes.
#![no_main]

use libfuzzer_sys::fuzz_target;
use route_api::capture::{Word, read};
use sip_core::message::blanked;

fuzz_target!(|bytes: &[u8]| {
    if let Some(Word::Packet { length, bytes: told, .. }) = read(bytes) {
        assert!(told.len() <= length as usize);
    }
    let shown = blanked(bytes);
    assert_eq!(shown.len(), bytes.len());
    assert_eq!(blanked(&shown), shown, "blanked twice is blanked once");
});
