//! Protected legs: what is on the wire is sealed, what is recorded and passed on is what was said, and a killed
//! process reuses nothing.

#![allow(clippy::unwrap_used, clippy::panic)] // A test fails by panicking.

mod support;

use media_core::{
    Event, Input,
    rtp::{Packet, rtcp},
    sdp::{Crypto, Description},
    session::{Core, Port, Track},
    srtp::{Inbound, LEAP, Master, Outbound, Policy, Protection, Suite},
};
use std::{collections::BTreeSet, time::Duration};
use support::*;

const A: types::LegId = leg(1);
const B: types::LegId = leg(2);
const KEPT: types::RecordingId = recording(9);

/// The party's ends of a protected leg.
struct Seal {
    outbound: Outbound,
    inbound: Inbound,
}

/// Opens a leg by an offer of a key for this suite, and gives the party's ends.
fn secure(house: &mut House, leg: types::LegId, port: u16, suite: Suite) -> Seal {
    house.policy = Policy::Required;
    let ours = Master::new(&vec![port as u8; 16 + suite.salt()]).unwrap();
    let line = Crypto::write(3, suite, &ours);
    let text = format!("{}a=rtcp-mux\r\na=crypto:{}\r\n", offer(port, "8 101"), line.reveal());
    let answer = house.open(leg, Some(&text.replace("RTP/AVP", "RTP/SAVP"))).unwrap();
    house.policy = Policy::Off;
    let answer = Description::parse(answer.as_bytes()).unwrap();
    assert_eq!(answer.streams[0].protocol, "RTP/SAVP");
    let theirs = Crypto::read(&answer.streams[0].crypto[0]).unwrap();
    assert_eq!((theirs.tag, theirs.suite), (3, suite));
    let protection = Protection { suite, theirs: theirs.master, mki: None };
    Seal { outbound: Outbound::new(suite, ours), inbound: Inbound::new(&protection) }
}

impl Seal {
    fn seal(&mut self, mut packet: Vec<u8>) -> Vec<u8> {
        assert!(self.outbound.seal_rtp(&mut packet, 0));
        packet
    }

    fn open(&mut self, sent: &Sent) -> Vec<u8> {
        let mut packet = sent.datagram.clone();
        assert_eq!(self.inbound.open_rtp(&mut packet), Ok(()));
        packet
    }
}

#[test]
fn sealed_on_the_wire_and_plain_between() {
    for suite in Suite::ALL {
        let mut house = House::new();
        let mut seal = secure(&mut house, A, 4000, suite);
        house.open(B, Some(&offer(5000, "8 101"))).unwrap();
        house.handle(Input::Bridge(A, B)).unwrap();
        house.handle(Input::Tap(A, KEPT, Track(0))).unwrap();
        let (mut a, mut b) = (Phone::new(4000, PCMA), Phone::new(5000, PCMA));
        for n in 0..100 {
            house.hear(A, a.address, &seal.seal(a.speak()));
            house.hear(B, b.address, &b.speak());
            let (to_b, to_a) = (house.take_rtp(B), house.take_rtp(A));
            assert_eq!(to_b[0].packet().payload, a.payload(n), "{suite:?}");
            assert!(
                !to_a[0].datagram.windows(16).any(|piece| b.payload(n).starts_with(piece)),
                "in the clear"
            );
            let opened = seal.open(&to_a[0]);
            assert_eq!(Packet::parse(&opened).unwrap().payload, b.payload(n));
            // The same again, and a plain one that would be next.
            let before = house.take_rtp(B).len();
            let sealed = seal.seal(a.speak());
            a.spoken -= 1;
            house.hear(A, a.address, &sealed);
            house.hear(A, a.address, &sealed);
            let plain = a.packet(false, PCMA, a.timestamp, &[1; 160]);
            a.sequence = a.sequence.wrapping_sub(1);
            house.hear(A, a.address, &plain);
            assert_eq!(house.take_rtp(B).len(), before + 1);
        }
        house.pass(Duration::from_millis(200));
        assert!(
            house
                .tapped
                .iter()
                .all(|(_, _, record, payload)| record.payload_type == PCMA && payload.len() == 160)
        );
        assert_eq!(house.tapped.len(), 200);
        let quality = house.core.quality(A).unwrap();
        assert_eq!(
            (quality.protection, quality.dropped.replayed, quality.dropped.forged),
            (Some(suite), 100, 100)
        );
    }
}

/// RFC 5761: reports on the port of RTP, sealed too, both ways; what they say is told.
#[test]
fn reports_share_the_port_and_are_sealed() {
    let mut house = House::new();
    let mut seal = secure(&mut house, A, 4000, Suite::Sha1Tag32);
    let mut a = Phone::new(4000, PCMA);
    house.hear(A, a.address, &seal.seal(a.speak()));
    house.pass(Duration::from_secs(6));
    let (_, port, to, datagram) =
        house.sent.iter().find(|(_, _, _, datagram)| datagram[1] == 201).unwrap().clone();
    assert_eq!((port, to), (Port::Rtp, a.address));
    let mut report = datagram;
    assert_eq!(seal.inbound.open_rtcp(&mut report), Ok(()));
    let Some(Ok(rtcp::Report::Report { block: Some(block), .. })) = rtcp::parse(&report).next() else {
        panic!("no report")
    };
    assert_eq!((block.ssrc.0, block.lost), (a.ssrc, 0));
    // The party's report on what it heard of us: 5 lost, 7 ms of jitter, an answer after 30 ms.
    let theirs = rtcp::Block {
        ssrc: media_core::rtp::Ssrc(1),
        fraction_lost: 10,
        lost: 5,
        highest: 9,
        jitter: 56,
        last_report: rtcp::middle(rtcp::ntp(house.now)),
        delay: 0,
    };
    let mut report = vec![];
    rtcp::write_report(&mut report, media_core::rtp::Ssrc(a.ssrc), None, Some(theirs), "phone");
    let plain = report.clone();
    assert!(seal.outbound.seal_rtcp(&mut report, 0));
    house.now = house.now.plus(Duration::from_millis(30));
    house.hear(A, a.address, &plain);
    assert_eq!(house.core.quality(A).unwrap().far, None, "a plain one is nobody's");
    house.hear(A, a.address, &report);
    let quality = house.core.quality(A).unwrap();
    let far = quality.far.unwrap();
    assert_eq!((far.lost, far.jitter), (5, Duration::from_millis(7)));
    assert!((29..=31).contains(&quality.round_trip.unwrap().as_millis()));
    house.handle(Input::Close(A)).unwrap();
    let goodbye = house.sent.last().unwrap().3.clone();
    assert_eq!(seal.inbound.open_rtcp(&mut goodbye.clone()), Ok(()));
    let closed = house.take_events();
    assert!(matches!(closed.last(), Some(Event::Closed { quality, .. }) if quality.mos.is_some()));
}

/// Kill -9: whatever was said after the snapshot, no index is sealed twice, and the party opens all that comes.
#[test]
fn a_killed_process_seals_nothing_twice() {
    for spoken_after in [0, 1, 40, 20_000] {
        let mut house = House::new();
        let mut seal = secure(&mut house, A, 4000, Suite::Sha1Tag80);
        house.open(B, Some(&offer(5000, "8 101"))).unwrap();
        house.handle(Input::Bridge(A, B)).unwrap();
        let (mut a, mut b) = (Phone::new(4000, PCMA), Phone::new(5000, PCMA));
        let mut wire: Vec<Vec<u8>> = vec![];
        let mut talk = |house: &mut House, b: &mut Phone, packets: u32| {
            for _ in 0..packets {
                house.hear(B, b.address, &b.speak());
            }
            let heard = house.take_rtp(A);
            for sent in &heard {
                seal.open(sent);
            }
            wire.extend(heard.into_iter().map(|sent| sent.datagram));
        };
        house.hear(A, a.address, &a.speak());
        talk(&mut house, &mut b, 50);
        let snapshot = serde_json::to_vec(&house.core).unwrap();
        house.handle(Input::Kept).unwrap();
        talk(&mut house, &mut b, spoken_after);
        house.core = serde_json::from_slice::<Core>(&snapshot).unwrap();
        // Another prompt, another party, silence: the next life need not say what the last one said.
        talk(&mut house, &mut b, 50);
        house.tick();
        // After a gap of 20,000 the other party's stream begins anew, with its second packet (RFC 3550 A.1).
        let again = if spoken_after > 16_384 { 49 } else { 50 };
        let said = 50 + (spoken_after as usize).min(16_384) + again;
        assert_eq!(wire.len(), said, "as far as the snapshot grants");
        let numbers: Vec<u16> =
            wire.iter().map(|datagram| u16::from_be_bytes([datagram[2], datagram[3]])).collect();
        let used: BTreeSet<u16> = numbers.iter().copied().collect();
        assert_eq!(used.len(), numbers.len(), "no keystream twice");
        let first = numbers[wire.len() - again];
        assert_eq!(first, numbers[49].wrapping_add(1).wrapping_add(LEAP as u16), "it leapt");
    }
}

/// The snapshot of a protected leg keeps what it heard: an old packet does not come in again after a restart.
#[test]
fn nothing_is_heard_twice_over_a_restart() {
    let mut house = House::new();
    let mut seal = secure(&mut house, A, 4000, Suite::Gcm128);
    let mut a = Phone::new(4000, PCMA);
    let sealed: Vec<_> = (0..40).map(|_| seal.seal(a.speak())).collect();
    for packet in &sealed {
        house.hear(A, a.address, packet);
    }
    let snapshot = serde_json::to_vec(&house.core).unwrap();
    house.core = serde_json::from_slice::<Core>(&snapshot).unwrap();
    for packet in &sealed {
        house.hear(A, a.address, packet);
    }
    assert_eq!(house.core.quality(A).unwrap().dropped.replayed, 40);
    house.hear(A, a.address, &seal.seal(a.speak()));
    assert_eq!(house.core.quality(A).unwrap().received.received, 41);
}

/// A re-INVITE with the same key changes nothing; one with another key begins anew; hold keeps all.
#[test]
fn a_new_offer_keeps_or_changes_the_key() {
    let mut house = House::new();
    let mut seal = secure(&mut house, A, 4000, Suite::Sha1Tag80);
    let mut a = Phone::new(4000, PCMA);
    let old = seal.seal(a.speak());
    house.hear(A, a.address, &old);
    secure(&mut house, A, 4000, Suite::Sha1Tag80);
    house.hear(A, a.address, &old);
    assert_eq!(house.core.quality(A).unwrap().dropped.replayed, 1, "the same key goes on");
    house.hear(A, a.address, &seal.seal(a.speak()));
    assert_eq!(house.core.quality(A).unwrap().received.received, 2);
    let mut other = secure(&mut house, A, 4100, Suite::Sha1Tag80);
    house.hear(A, a.address, &seal.seal(a.speak()));
    assert_eq!(house.core.quality(A).unwrap().dropped.forged, 1, "the old key is over");
    a.address = address(4100);
    house.hear(A, a.address, &other.seal(a.speak()));
    assert_eq!(house.core.quality(A).unwrap().received.received, 3);
}

/// Our own offer under each policy, with both kinds of answer.
#[test]
fn our_offer_is_taken_or_declined() {
    let mut house = House::new();
    house.policy = Policy::Offered;
    let ours = Description::parse(house.open(A, None).unwrap().as_bytes()).unwrap();
    assert_eq!((ours.streams[0].protocol.as_str(), ours.streams[0].crypto.len()), ("RTP/AVP", 3));
    house.handle(Input::Accept(A, offer(4000, "8 101").as_bytes())).unwrap();
    assert_eq!(house.core.quality(A).unwrap().protection, None);
    let theirs = Master::new(&[9; 30]).unwrap();
    house.open(B, None).unwrap();
    let line = Crypto::write(2, Suite::Sha1Tag80, &theirs);
    let answer = format!("{}a=crypto:{}\r\n", offer(5000, "8 101"), line.reveal());
    house.handle(Input::Accept(B, answer.as_bytes())).unwrap();
    assert_eq!(house.core.quality(B).unwrap().protection, Some(Suite::Sha1Tag80));
    house.policy = Policy::Required;
    house.open(leg(3), None).unwrap();
    assert!(house.handle(Input::Accept(leg(3), offer(6000, "8 101").as_bytes())).is_err(), "in the clear");
}
