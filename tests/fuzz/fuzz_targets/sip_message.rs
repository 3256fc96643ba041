//! SIP datagrams: nothing panics, and what parses is written as it parses.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sip_core::message::parse;

fuzz_target!(|datagram: &[u8]| {
    match parse(datagram) {
        Ok(message) => match parse(&message.to_bytes()) {
            Ok(again) => assert!(again == message, "read differently the second time"),
            // What we write has a Content-Length more, and folded lines as one: only a bound may be passed.
            Err(malformed) => assert_eq!(malformed.fault, sip_core::message::Fault::TooLarge),
        },
        Err(malformed) => {
            if let Some(answer) = malformed.answer {
                assert!(parse(&answer.to_bytes()).is_ok(), "our refusal is malformed");
            }
        }
    }
});
