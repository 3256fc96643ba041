//! Nothing that comes on a feed makes the recorder panic, and whatever came, the file is sound: it opens to its
//! end, holds as many packets as were counted, nothing of a party without consent, and becomes sound again. The
//! input is packets, each behind its length in two bytes.
#![no_main]

use envelope::{Body, Dek, Ending, Header, KeyReference, NoncePrefix, ObjectId, Opener, Segment};
use libfuzzer_sys::fuzz_target;
use record_api::{Consent, PartyRole, Track, tap};
use record_core::{Stereo, Take};
use types::{LegId, Monotonic, Uid, Utc};

const REFUSED: u8 = 2;
/// A minute: what is placed later than now is left out, so this bounds the sound.
const NOW: Monotonic = Monotonic(60_000_000_000);

fuzz_target!(|bytes: &[u8]| {
    let dek = Dek::from_bytes([7; 16]);
    let header = Header {
        object: ObjectId(Uid([1; 16])),
        key: KeyReference(Uid([2; 16])),
        segment: Segment(0),
        start: Utc(0),
        prefix: NoncePrefix([3; 7]),
    };
    let (mut take, head) = Take::new(&dek, header, Monotonic(1));
    for (track, consent) in
        [(0, Consent::Employed {}), (1, Consent::Employed {}), (REFUSED, Consent::Refused {})]
    {
        take.join(&Track { track, leg: LegId(Uid([track; 16])), party: PartyRole::Customer, consent });
    }
    let (mut file, mut rest) = (Vec::new(), bytes);
    while let Some((length, after)) = rest.split_first_chunk() {
        let (packet, after) = after.split_at(usize::from(u16::from_be_bytes(*length)).min(after.len()));
        rest = after;
        again(packet);
        // Malformed, or a record too long for a chunk: left out.
        let _left_out = take.batch(NOW, packet, &mut file);
    }
    let counted = take.finish(&mut file).expect("a file can be ended").packets;

    let mut opener = Opener::new(&dek, &head).expect("our own header");
    opener.feed(&file);
    let (mut stereo, mut sound, mut found) = (Stereo::default(), Vec::new(), 0);
    while let Some(chunk) = opener.poll().expect("our own chunk") {
        for record in chunk.records() {
            assert_ne!(record.track.0, REFUSED);
            found += u64::from(matches!(record.body, Body::Media(_)));
            stereo.push(&record, &mut sound);
        }
    }
    assert_eq!((opener.end(), found), (Ending::Complete, counted));
    assert_eq!(stereo.finish(&mut sound) * 4, sound.len() as u64);
});

/// What can be read is written again to the same bytes.
fn again(packet: &[u8]) {
    let Some((kind, frames)) = tap::read(packet) else { return };
    let mut batch = tap::Batch::default();
    let written = match (kind, &frames[..]) {
        (tap::Kind::Audio, []) => return,
        (tap::Kind::Audio, frames) if packet.len() <= tap::MAX_BATCH => {
            assert!(frames.iter().all(|frame| batch.push(frame)));
            batch.take()
        }
        (tap::Kind::Audio, _) => return,
        (tap::Kind::Dropped, [only]) => {
            assert_eq!(tap::read(&tap::Batch::dropped(only.timestamp, only.media_time)).map(|(kind, _)| kind), Some(kind));
            return;
        }
        (tap::Kind::Dropped, _) => panic!("one word a packet"),
    };
    assert_eq!(written, packet);
}
