//! RSeq and RAck: nothing panics, and what parses is written as it parses.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sip_core::message::{RAck, RSeq};

fuzz_target!(|value: &[u8]| {
    if let Some(rack) = RAck::parse(value) {
        assert_eq!(RAck::parse(&rack.to_bytes()).as_ref(), Some(&rack));
        assert!(rack.rseq.0 > 0 && rack.number < 1 << 31);
    }
    if let Some(rseq) = RSeq::parse(value) {
        assert_eq!(RSeq::parse(rseq.0.to_string().as_bytes()), Some(rseq));
        assert!(rseq.0 > 0 && rseq.next().is_none_or(|next| next > rseq));
    }
});
