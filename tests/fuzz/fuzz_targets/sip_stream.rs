//! A stream of bytes in pieces: what comes out of the framer is the same wherever the stream is cut.

#![no_main]

use libfuzzer_sys::fuzz_target;
use sip_core::message::{Broken, Frame, Framer, MAX_MESSAGE, parse};

fn frames(pieces: impl Iterator<Item = Vec<u8>>) -> (Vec<Frame>, Option<Broken>) {
    let mut framer = Framer::default();
    let mut all = Vec::new();
    for piece in pieces {
        framer.push(&piece);
        loop {
            match framer.next_frame() {
                Ok(Some(frame)) => all.push(frame),
                Ok(None) => break,
                Err(broken) => return (all, Some(broken)),
            }
        }
        assert!(framer.rest().len() <= MAX_MESSAGE);
    }
    (all, None)
}

fuzz_target!(|input: (u8, Vec<u8>)| {
    let (size, bytes) = input;
    let size = usize::from(size).max(1);
    let (pieces, broken) = frames(bytes.chunks(size).map(<[u8]>::to_vec));
    for frame in &pieces {
        if let Frame::Whole(message) = frame {
            // Whatever it is, the parser says so without a panic.
            let _judged = parse(message);
        }
    }
    // Cut at every byte: the same messages, and broken or not alike where the whole of it was seen.
    let (single, alike) = frames(bytes.iter().map(|byte| vec![*byte]));
    if broken.is_none() && alike.is_none() {
        assert_eq!(pieces, single);
    }
});
