//! A frame of the audit log and all that is in it: what is read has one encoding, and nothing panics.
#![no_main]

use audit_log::cbor::Value;
use audit_log::entry::Entry;
use audit_log::frame;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Ok(value) = Value::decode(bytes) {
        assert_eq!(value.encode(), bytes);
    }
    if let Ok(entry) = Entry::decode(bytes) {
        assert_eq!(entry.encode().unwrap(), bytes);
    }
    let _torn_or_whole = frame::read_frame(bytes);
    if let Some((edge, length)) = frame::read_segment_header(bytes) {
        assert_eq!(frame::segment_header(&edge), &bytes[..length]);
    }
    if bytes.len() < 4096 {
        frame::later_group(bytes, 0);
    }
});
