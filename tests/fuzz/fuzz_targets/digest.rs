//! Digest headers: nothing panics; what we answer to any challenge is written as it reads, is proved by the password it
//! was made with, and by no other.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sip_core::digest::{Authorization, Challenge, Credentials, Protected, next_nonce};

fuzz_target!(|value: &[u8]| {
    let protected = Protected { method: b"REGISTER", body: value };
    next_nonce(value);
    if let Some(answer) = Authorization::parse(value) {
        let again = Authorization::parse(&answer.to_bytes());
        // Which script a header is in shows in the whole of it: put together anew it may read as another one.
        let same = again == Some(counted(answer.clone()));
        assert!(same || !value.is_ascii(), "read differently the second time");
        assert!(!answer.proves("a password that nobody has", protected));
    }
    if let Some(challenge) = Challenge::parse(value) {
        let known = Credentials { user: "8001".into(), password: "right".into() };
        let answer = challenge.answer(&known, b"sip:house".to_vec(), b"c".to_vec(), protected);
        let read = Authorization::parse(&answer.to_bytes());
        let Some(read) = read.filter(|_| value.is_ascii()) else {
            assert!(!value.is_ascii(), "our own answer cannot be read");
            return;
        };
        assert!(read == counted(answer), "read differently than it was made");
        assert!(read.proves("right", protected) && !read.proves("wrong", protected));
    }
});

/// Without a quality (RFC 2069) there is no count on the wire.
fn counted(answer: Authorization) -> Authorization {
    let count = answer.quality.map_or(0, |_| answer.count);
    Authorization { count, ..answer }
}
