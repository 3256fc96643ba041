//! Nothing that comes to the ports of a leg makes the core panic. The first bit of each piece chooses the
//! port, the next the leg; the second byte is its length.
#![no_main]

use libfuzzer_sys::fuzz_target;
use media_core::{
    Core, Input,
    codec::Codec,
    rtp::{Seed, Ssrc},
    session::{Limits, Opening, Port, Track},
    srtp::{Keying, Policy},
};
use types::{LegId, Monotonic, RecordingId, Uid};

/// One leg of the laws with telephone events, one of G.722 without: what passes between them is transcoded, and keys
/// are told by ear.
const OFFERS: [&[u8]; 2] = [
    b"v=0\no=- 1 1 IN IP4 127.0.0.1\ns=-\nc=IN IP4 127.0.0.1\nt=0 0\n\
    m=audio 4000 RTP/AVP 8 0 101\na=rtpmap:101 telephone-event/8000\na=rtcp-mux\n",
    b"v=0\no=- 1 1 IN IP4 127.0.0.1\ns=-\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio 4000 RTP/AVP 9\n",
];

fuzz_target!(|bytes: &[u8]| {
    let legs = [LegId(Uid([0; 16])), LegId(Uid([1; 16]))];
    let mut core = Core::new(Limits::default());
    let mut now = Monotonic(1);
    for (at, leg) in legs.into_iter().enumerate() {
        let opening = Opening {
            offer: Some(OFFERS[at]),
            memo: "",
            address: ([127, 0, 0, 1], 20_000 + 2 * at as u16).into(),
            session: 1,
            seed: Seed { ssrc: Ssrc(1), sequence: 65_535, timestamp: u32::MAX },
            codecs: &Codec::ALL,
            beside: None,
            policy: Policy::Off,
            keying: &Keying::new([7; Keying::LENGTH]),
        };
        core.handle(now, Input::Open(leg, opening)).expect("the offer is sound");
        core.handle(now, Input::Tap(leg, RecordingId(Uid([9; 16])), Track(at as u8))).expect("the leg is open");
    }
    core.handle(now, Input::Bridge(legs[0], legs[1])).expect("both legs are open");
    let mut rest = bytes;
    while let [which, length, after @ ..] = rest {
        let (piece, after) = after.split_at(after.len().min(usize::from(*length)));
        rest = after;
        now = Monotonic(now.0 + 5_000_000);
        let port = if which & 0x80 == 0 { Port::Rtp } else { Port::Rtcp };
        let leg = legs[usize::from(which & 1)];
        let source = ([127, 0, 0, 1], 4000 + u16::from(port == Port::Rtcp)).into();
        core.handle(now, Input::Datagram { leg, port, source, bytes: piece }).expect("datagrams never fail");
        core.handle(now, Input::Tick).expect("ticks never fail");
        while core.poll().is_some() {}
    }
});
