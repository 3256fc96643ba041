//! No octets make a decoder, the buffer before it, the hiding of losses or the ear for keys panic, and each gives as
//! many samples as it owes. Pieces: two bytes of timestamp, one of length, one of the time that went by.
#![no_main]

use libfuzzer_sys::fuzz_target;
use media_core::{
    codec::{Codec, Decoder, Encoder, Library},
    sound::{Ear, Playout, Pulled, resample},
};
use std::{sync::OnceLock, time::Duration};
use types::Monotonic;

fuzz_target!(|bytes: &[u8]| {
    for codec in Codec::ALL {
        let (mut decoder, mut samples) = (Decoder::new(codec), Vec::new());
        decoder.decode(bytes, &mut samples);
        assert_eq!(samples.len(), decoder.ticks(bytes.len()) as usize);
        // What only a library speaks is heard all the same.
        if let Some(mut encoder) = Encoder::new(codec, library()) {
            let mut again = Vec::new();
            encoder.encode(&samples, &mut again);
            assert_eq!(codec.ticks(again.len()) as usize, samples.len());
        }
        let (made, before) = (decoder.conceal(&mut samples), samples.len());
        assert!(!made || before >= 80);
        Ear::default().listen(samples.iter().copied(), |_| {});
        let _ = resample(&samples, 8000 + u32::from(bytes.first().copied().unwrap_or(0)) * 157);

        let mut playout = Playout::new(Decoder::new(codec));
        let (mut rest, mut now) = (bytes, Monotonic(1));
        while let [high, low, length, later, after @ ..] = rest {
            let (payload, after) = after.split_at(after.len().min(usize::from(*length)));
            rest = after;
            now = now.plus(Duration::from_millis(u64::from(*later)));
            let timestamp = u32::from_be_bytes([0xff, *high, *low, 0]).wrapping_mul(3);
            playout.put(now, timestamp, payload, Duration::from_millis(u64::from(*later)));
            let mut drawn = Vec::new();
            let pulled = playout.pull(now, 160, &mut drawn);
            assert_eq!(drawn.len(), if pulled == Pulled::Samples { 160 } else { 0 });
        }
    }
});

/// The library of G.729, where this machine has it.
fn library() -> &'static Library {
    static LIBRARY: OnceLock<Library> = OnceLock::new();
    LIBRARY.get_or_init(|| bcg729::Library::load(None).map(Library::of).unwrap_or_default())
}
