#![allow(clippy::unwrap_used, reason = "tests")]

use super::*;
use proptest::prelude::*;

#[test]
fn a_payload_stands_for_its_frames_and_a_description_at_its_end() {
    for (length, frames) in
        [(0, 0), (1, 0), (2, 1), (9, 0), (10, 1), (11, 1), (12, 2), (20, 2), (22, 3), (60, 6), (63, 6)]
    {
        assert_eq!(samples(length), frames * SAMPLES, "{length} octets");
        let mut out = vec![];
        Decoder::default().decode(&vec![0x5a; length], &mut out);
        assert_eq!(out.len(), frames * SAMPLES, "{length} octets");
    }
}

proptest! {
    /// Whatever comes, in whatever order: as many samples as it stands for, and no panic.
    #[test]
    fn anything_is_heard(payloads in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..64), 0..40)) {
        let (mut decoder, mut out, mut expected) = (Decoder::default(), vec![], 0);
        for payload in payloads {
            decoder.decode(&payload, &mut out);
            expected += samples(payload.len());
            if payload.first().is_some_and(|octet| octet % 3 == 0) {
                decoder.conceal(&mut out);
                expected += SAMPLES;
            }
            prop_assert_eq!(out.len(), expected);
        }
    }
}
