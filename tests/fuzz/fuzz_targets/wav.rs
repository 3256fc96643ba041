//! No file makes the reader of prompts panic, and both laws have the same length.
#![no_main]

use libfuzzer_sys::fuzz_target;
use media_core::{g711::Law, wav::Audio};

fuzz_target!(|bytes: &[u8]| {
    if let Ok(audio) = Audio::parse(bytes) {
        assert_eq!(audio.octets(Law::A).len(), audio.octets(Law::Mu).len());
        assert!(audio.duration().as_micros() >= 125);
    }
});
