//! A small sealed file, the same in every run.

#![allow(clippy::unwrap_used, dead_code, reason = "each test uses its part, and ends where that fails")]

use envelope::{
    Body, Dek, Header, KeyReference, Media, NoncePrefix, ObjectId, PayloadType, Record, RtpTimestamp, Sealer,
    Segment, Track, TrackDescription,
};
use std::time::Duration;
use types::{Uid, Utc};

pub const DEK: [u8; 16] = *b"\x00\x11\x22\x33\x44\x55\x66\x77\x88\x99\xaa\xbb\xcc\xdd\xee\xff";

pub fn dek() -> Dek {
    Dek::from_bytes(DEK)
}

pub fn header() -> Header {
    Header {
        object: ObjectId(Uid(*b"object-of-a-test")),
        key: KeyReference(Uid(*b"where-the-key-is")),
        segment: Segment(1),
        start: Utc(1_790_000_000_123_456_789),
        prefix: NoncePrefix([0xa0, 0xa1, 0xa2, 0xa3, 0xa4, 0xa5, 0xa6]),
    }
}

pub fn media(track: u8, millis: u64, payload: &[u8]) -> Record<'_> {
    Record {
        track: Track(track),
        time: Duration::from_millis(millis),
        body: Body::Media(Media {
            timestamp: RtpTimestamp((millis as u32).wrapping_mul(8).wrapping_add(0xffff_f000)),
            payload_type: PayloadType(8),
            payload,
        }),
    }
}

/// Every kind of record, in four chunks of which the last holds none.
pub fn records() -> Vec<Record<'static>> {
    let at = |track, millis, body| Record { track: Track(track), time: Duration::from_millis(millis), body };
    let described = |party| {
        Body::Track(TrackDescription {
            payload_type: PayloadType(8),
            party,
            codec: "PCMA/8000",
            parameters: "",
        })
    };
    vec![
        at(0, 0, described("caller")),
        at(1, 0, described("坐席 8001")),
        media(0, 20, &[0xd5; 24]),
        media(1, 25, b"alaw of the other party."),
        media(0, 500, &[0x55; 24]),
        at(1, 520, Body::MaskBegin { reason: "card-number" }),
        media(0, 560, &[]),
        at(1, 900, Body::MaskEnd),
        at(0, 1100, Body::Gap { lasting: Duration::from_millis(140), cause: "overrun" }),
        at(0, 1240, Body::Other { kind: 200, bytes: b"of a later version" }),
    ]
}

pub fn sealed(records: &[Record<'_>]) -> Vec<u8> {
    let (mut sealer, header) = Sealer::new(&dek(), header());
    let mut file = header.to_vec();
    for record in records {
        sealer.push(record, &mut file).unwrap();
    }
    sealer.flush(&mut file).unwrap();
    sealer.finish(&mut file).unwrap();
    file
}

pub fn small_file() -> Vec<u8> {
    sealed(&records())
}
