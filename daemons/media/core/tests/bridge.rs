//! Two parties: what one says is what the other hears and what the recording gets, byte for byte.

#![allow(clippy::unwrap_used, clippy::panic)] // A test fails by panicking.

mod support;

use media_core::{
    Error, Event, Input,
    g711::Law,
    session::{Core, Port, Record, Track},
};
use std::time::Duration;
use support::*;
use types::{Monotonic, RecordingId};

const A: types::LegId = leg(1);
const B: types::LegId = leg(2);
const KEPT: RecordingId = recording(9);

/// Two agreed legs, bridged and tapped; their phones.
fn talking(formats_a: &str, formats_b: &str) -> (House, Phone, Phone) {
    let mut house = House::new();
    house.open(A, Some(&offer(4000, formats_a))).unwrap();
    house.open(B, Some(&offer(5000, formats_b))).unwrap();
    house.handle(Input::Bridge(A, B)).unwrap();
    house.handle(Input::Tap(A, KEPT, Track(0))).unwrap();
    house.handle(Input::Tap(B, KEPT, Track(1))).unwrap();
    let kind = |formats: &str| if formats.starts_with('8') { PCMA } else { PCMU };
    (house, Phone::new(4000, kind(formats_a)), Phone::new(5000, kind(formats_b)))
}

fn track(house: &House, track: u8) -> Vec<(Record, Vec<u8>)> {
    let of_track = house.tapped.iter().filter(|(_, _, record, _)| record.track == Track(track));
    of_track.map(|(_, _, record, payload)| (*record, payload.clone())).collect()
}

#[test]
fn bridge_and_tap_are_byte_exact_both_ways() {
    let (mut house, mut a, mut b) = talking("8 0 101", "8 101");
    for _ in 0..200 {
        house.hear(A, a.address, &a.speak());
        house.hear(B, b.address, &b.speak());
        house.tick();
    }
    for (leg, to, from) in [(B, 5000, &a), (A, 4000, &b)] {
        let heard = house.take_rtp(leg);
        assert_eq!(heard.len(), 200);
        for (number, sent) in heard.iter().enumerate() {
            let packet = sent.packet();
            assert_eq!(sent.to, address(to));
            assert_eq!(packet.sequence, 65_530u16.wrapping_add(number as u16));
            assert_eq!(packet.timestamp, (u32::MAX - 1000).wrapping_add(number as u32 * 160));
            assert_eq!((packet.payload_type, packet.marker), (PCMA, number == 0));
            assert_eq!(packet.payload, from.payload(number as u32));
        }
    }
    house.handle(Input::Untap(A)).unwrap();
    house.handle(Input::Untap(B)).unwrap();
    for (number, phone) in [(0, &a), (1, &b)] {
        let records = track(&house, number);
        assert_eq!(records.len(), 200, "track {number}");
        for (at, (record, payload)) in records.iter().enumerate() {
            assert_eq!(*payload, phone.payload(at as u32));
            assert_eq!(record.sequence, 65_500u16.wrapping_add(at as u16));
            assert_eq!(record.timestamp, (u32::MAX - 3000).wrapping_add(at as u32 * 160));
        }
    }
}

/// Both parties spoke the n-th packet at the same moment, and B's way here is up to 15 ms longer.
#[test]
fn tracks_lie_on_one_line_of_time() {
    let (mut house, mut a, mut b) = talking("8 101", "8 101");
    let begin = house.now;
    let spoken = |at: usize| begin.plus(Duration::from_millis(20) * at as u32);
    let underway = |at: usize| Duration::from_millis(at as u64 * 7 % 16);
    for at in 0..100 {
        house.now = spoken(at);
        house.hear(A, a.address, &a.speak());
        house.now = spoken(at).plus(underway(at));
        house.hear(B, b.address, &b.speak());
        house.handle(Input::Tick).unwrap();
    }
    house.handle(Input::Close(A)).unwrap();
    house.handle(Input::Close(B)).unwrap();
    let times = |number| track(&house, number).iter().map(|(r, _)| r.media_time).collect::<Vec<_>>();
    assert_eq!(times(0), (0..100).map(spoken).collect::<Vec<_>>());
    assert_eq!(times(1), (0..100).map(|at| spoken(at).plus(underway(at))).collect::<Vec<_>>());
}

#[test]
fn batches_go_in_time_and_are_numbered() {
    let (mut house, mut a, _) = talking("8 101", "8 101");
    for _ in 0..100 {
        house.hear(A, a.address, &a.speak());
        let spoken = house.now;
        let before = house.tapped.len();
        house.tick();
        if let Some((_, _, oldest, _)) = house.tapped.get(before) {
            assert!(spoken.since(oldest.media_time) <= Duration::from_millis(200));
        }
    }
    let numbers: Vec<u64> = house.tapped.iter().map(|(_, number, _, _)| *number).collect();
    assert!(numbers.is_sorted() && numbers[0] == 0);
    assert!((9..=13).contains(&(numbers[numbers.len() - 1] + 1)), "{numbers:?}");
}

#[test]
fn overtaken_packets_are_put_in_order_and_duplicates_dropped() {
    let (mut house, mut a, _) = talking("8 101", "8 101");
    let spoken: Vec<_> = (0..40).map(|_| a.speak()).collect();
    // 2 comes after 5; 7 comes twice; 9 never; 20 comes after 35.
    let mut order: Vec<usize> = (0..40).filter(|n| ![2, 9, 20].contains(n)).collect();
    order.insert(5, 2);
    order.insert(8, 7);
    let after_35 = order.iter().position(|n| *n == 35).unwrap() + 1;
    order.insert(after_35, 20);
    for number in order {
        house.hear(A, a.address, &spoken[number]);
    }
    house.pass(Duration::from_millis(400));
    let heard = house.take_rtp(B);
    assert_eq!(heard.len(), 39, "each but 9, once, at once");
    let records: Vec<u16> = track(&house, 0).iter().map(|(r, _)| r.sequence.wrapping_sub(65_500)).collect();
    let (late, in_order): (Vec<u16>, Vec<u16>) = records.iter().partition(|n| **n == 20);
    assert_eq!(late, [20], "handed over late rather than lost");
    assert_eq!(in_order, (0..40).filter(|n| ![9, 20].contains(n)).collect::<Vec<_>>());
    let quality = house.core.quality(A).unwrap();
    assert_eq!((quality.received.duplicates, quality.received.lost), (1, 1));
}

#[test]
fn a_record_side_that_does_not_drain_loses_batches_and_no_audio() {
    let (mut house, mut a, _) = talking("8 101", "8 101");
    for _ in 0..50 {
        house.hear(A, a.address, &a.speak());
        let before = house.tapped.len();
        house.tick();
        if house.tapped.len() > before {
            house.handle(Input::TapRefused(KEPT)).unwrap();
        }
    }
    assert_eq!(house.take_rtp(B).len(), 50);
    house.handle(Input::Close(A)).unwrap();
    house.handle(Input::Close(B)).unwrap();
    let lost: u64 = house
        .take_events()
        .iter()
        .map(|event| if let Event::TapLost { batches, .. } = event { *batches } else { 0 })
        .sum();
    assert!((4..=6).contains(&lost), "{lost}");
}

#[test]
fn only_the_locked_source_is_heard() {
    let (mut house, mut a, mut b) = talking("8 101", "8 101");
    house.hear(A, a.address, &a.speak());
    let mut stranger = Phone::new(6666, PCMA);
    stranger.ssrc = a.ssrc;
    stranger.sequence = a.sequence;
    for _ in 0..10 {
        house.hear(A, stranger.address, &stranger.speak());
    }
    house.hear(A, a.address, &a.speak());
    house.hear(B, b.address, &b.speak());
    let heard = house.take_rtp(B);
    assert_eq!(heard.len(), 2);
    assert_eq!(heard[1].packet().payload, a.payload(1));
    assert_eq!(house.take_rtp(A)[0].to, a.address, "audio is not pulled away");
    assert_eq!(house.core.quality(A).unwrap().foreign, 10);
    house.pass(Duration::from_millis(200));
    assert_eq!(track(&house, 0).len(), 2);
}

/// What STUN, DTLS, ZRTP and TURN begin with is told apart on the port of RTP (RFC 7983), and is neither heard nor
/// recorded nor taken for a broken packet.
#[test]
fn packets_of_another_protocol_are_counted_apart() {
    let (mut house, mut a, _) = talking("8 101", "8 101");
    house.hear(A, a.address, &a.speak());
    house.take_rtp(B);
    let kinds: [u8; 5] = [0, 16, 22, 64, 127];
    for first in kinds {
        let mut datagram = a.speak();
        datagram[0] = first;
        house.hear(A, a.address, &datagram);
    }
    assert!(house.take_rtp(B).is_empty());
    house.hear(A, a.address, &a.speak());
    assert_eq!(house.take_rtp(B).len(), 1, "speech goes on");
    let dropped = house.core.quality(A).unwrap().dropped;
    assert_eq!((dropped.other_class, dropped.malformed), (kinds.len() as u64, 0));
    house.pass(Duration::from_millis(200));
    assert_eq!(track(&house, 0).len(), 2);
}

/// A report from elsewhere than the party would tell of a line that nobody has.
#[test]
fn a_report_of_a_stranger_is_not_believed() {
    let (mut house, mut a, mut b) = talking("8 101", "8 101");
    house.hear(A, a.address, &a.speak());
    house.hear(B, b.address, &b.speak());
    let ours = house.take_rtp(A)[0].packet().ssrc.0;
    // RFC 3550 §6.4.2: a quarter of what we sent is lost, 7 packets in all.
    let mut report = vec![0x81, 201, 0, 7];
    report.extend(a.ssrc.to_be_bytes());
    report.extend(ours.to_be_bytes());
    report.extend([64, 0, 0, 7]);
    report.extend([0; 16]);
    let stranger = ([203, 0, 113, 9], 4001).into();
    house.handle(Input::Datagram { leg: A, port: Port::Rtcp, source: stranger, bytes: &report }).unwrap();
    let quality = house.core.quality(A).unwrap();
    assert_eq!((quality.far, quality.dropped.foreign_rtcp), (None, 1));
    let theirs = address(4001);
    house.handle(Input::Datagram { leg: A, port: Port::Rtcp, source: theirs, bytes: &report }).unwrap();
    let quality = house.core.quality(A).unwrap();
    assert_eq!((quality.far.map(|far| far.lost), quality.dropped.foreign_rtcp), (Some(7), 1));
}

#[test]
fn a_party_behind_nat_is_answered_where_it_speaks_from() {
    let (mut house, mut a, mut b) = talking("8 101", "8 101");
    a.address = "203.0.113.5:40000".parse().unwrap();
    for _ in 0..3 {
        house.hear(A, a.address, &a.speak());
    }
    house.hear(B, b.address, &b.speak());
    assert_eq!(house.take_rtp(A)[0].to, a.address);
    assert_eq!(house.core.quality(A).unwrap().dropped.doubtful, 1, "the first of two in sequence");
    // A new description opens the lock at once.
    house.open(A, Some(&offer(4400, "8 101"))).unwrap();
    a.address = address(4400);
    house.hear(A, a.address, &a.speak());
    house.hear(B, b.address, &b.speak());
    assert_eq!(house.take_rtp(A)[0].to, a.address);
    assert_eq!(house.core.quality(A).unwrap().foreign, 0);
}

#[test]
fn legs_of_different_laws_are_transcoded_and_the_tap_keeps_what_came() {
    let (mut house, mut a, mut b) = talking("8 101", "0 101");
    house.hear(A, a.address, &a.speak());
    house.hear(B, b.address, &b.speak());
    let (to_b, to_a) = (house.take_rtp(B), house.take_rtp(A));
    let convert = |octets: Vec<u8>, from: Law, to: Law| -> Vec<u8> {
        octets.into_iter().map(|octet| from.convert(octet, to)).collect()
    };
    assert_eq!(to_b[0].packet().payload_type, PCMU);
    assert_eq!(to_b[0].packet().payload, convert(a.payload(0), Law::A, Law::Mu));
    assert_eq!(to_a[0].packet().payload_type, PCMA);
    assert_eq!(to_a[0].packet().payload, convert(b.payload(0), Law::Mu, Law::A));
    house.pass(Duration::from_millis(200));
    assert_eq!(track(&house, 1)[0].1, b.payload(0));
    assert_eq!(track(&house, 1)[0].0.payload_type, PCMU);
}

#[test]
fn keys_are_told_once_and_passed_on_under_the_peers_payload_type() {
    let mut house = House::new();
    house.open(A, Some(&offer(4000, "8 101"))).unwrap();
    let with_96 = offer(5000, "8 96").replace("rtpmap:101", "rtpmap:96");
    house.open(B, Some(&with_96)).unwrap();
    house.handle(Input::Bridge(A, B)).unwrap();
    let mut a = Phone::new(4000, PCMA);
    house.hear(A, a.address, &a.speak());
    let timestamp = a.timestamp;
    for (end, duration) in [(0, 160u16), (0, 320), (0x80, 480), (0x80, 480), (0x80, 480)] {
        let [high, low] = duration.to_be_bytes();
        let event = a.packet(duration == 160, EVENTS, timestamp, &[11, end | 10, high, low]);
        house.hear(A, a.address, &event);
    }
    a.timestamp = a.timestamp.wrapping_add(480);
    house.hear(A, a.address, &a.speak());
    let digits: Vec<char> = house
        .take_events()
        .iter()
        .filter_map(|event| if let Event::Digit { digit, .. } = event { Some((*digit).into()) } else { None })
        .collect();
    assert_eq!(digits, ['#']);
    let heard = house.take_rtp(B);
    let kinds: Vec<u8> = heard.iter().map(|sent| sent.packet().payload_type.0).collect();
    assert_eq!(kinds, [8, 96, 96, 96, 96, 96, 8]);
    assert!(heard.windows(2).all(|w| w[0].packet().sequence.wrapping_add(1) == w[1].packet().sequence));
}

/// Kill -9 and a second without service: what comes back goes on with the next sequence numbers, though
/// the snapshot was older than the last packets sent.
#[test]
fn a_restored_pair_goes_on_with_the_next_sequence_numbers() {
    let (mut house, mut a, mut b) = talking("8 101", "0 101");
    for _ in 0..30 {
        house.hear(A, a.address, &a.speak());
        house.hear(B, b.address, &b.speak());
        house.tick();
    }
    let snapshot = serde_json::to_vec(&house.core).unwrap();
    for _ in 0..10 {
        house.hear(A, a.address, &a.speak());
        house.hear(B, b.address, &b.speak());
        house.tick();
    }
    let last = house.take_rtp(B).pop().unwrap();
    house.take_rtp(A);
    house.core = serde_json::from_slice::<Core>(&snapshot).unwrap();
    house.now = Monotonic(house.now.0 + 1_000_000_000);
    let standing: Vec<_> =
        house.core.legs().map(|l| (l.leg, l.bridged, l.tapped, l.memo.to_owned())).collect();
    let memo = || "memo".to_owned();
    assert_eq!(standing, [(A, Some(B), Some(KEPT), memo()), (B, Some(A), Some(KEPT), memo())]);

    let before = house.tapped.len();
    for _ in 0..10 {
        house.hear(A, a.address, &a.speak());
        house.hear(B, b.address, &b.speak());
        house.tick();
    }
    let heard = house.take_rtp(B);
    assert_eq!(heard[0].packet().sequence, last.packet().sequence.wrapping_add(1));
    assert_eq!(heard[0].packet().timestamp, last.packet().timestamp.wrapping_add(160));
    assert_eq!(heard[0].packet().ssrc, last.packet().ssrc);
    assert!(!heard[0].packet().marker);
    assert_eq!(heard.len(), 10);
    assert_eq!(house.take_rtp(A).len(), 10);
    house.pass(Duration::from_millis(200));
    assert_eq!(house.tapped.len() - before, 20);
}

/// Whoever asks after a restart does not know whether the answer was taken before it.
#[test]
fn an_answer_that_is_said_again_changes_nothing() {
    let mut house = House::new();
    house.open(A, None).unwrap();
    let answer = offer(4000, "8");
    for _ in 0..2 {
        house.handle(Input::Accept(A, answer.as_bytes())).unwrap();
        assert_eq!(house.take_events(), [Event::Accepted { leg: A }]);
    }
    let another = offer(4400, "8");
    assert_eq!(house.handle(Input::Accept(A, another.as_bytes())), Err(Error::NoOfferPending(A)));
}

/// What waited for its order when the snapshot was made has been handed over since.
#[test]
fn nothing_is_recorded_twice_after_a_restart() {
    let (mut house, mut a, _) = talking("8 101", "8 101");
    let spoken: Vec<_> = (0..5).map(|_| a.speak()).collect();
    for number in [0, 1, 3, 4] {
        house.hear(A, a.address, &spoken[number]);
    }
    let snapshot = serde_json::to_vec(&house.core).unwrap();
    house.pass(Duration::from_millis(400));
    assert_eq!(track(&house, 0).len(), 4, "2 never comes");
    house.core = serde_json::from_slice::<Core>(&snapshot).unwrap();
    house.hear(A, a.address, &a.speak());
    house.pass(Duration::from_millis(400));
    let records: Vec<u16> = track(&house, 0).iter().map(|(r, _)| r.sequence.wrapping_sub(65_500)).collect();
    assert_eq!(records, [0, 1, 3, 4, 5]);
}

#[test]
fn closing_one_side_parts_the_other_and_ends_the_track() {
    let (mut house, mut a, mut b) = talking("8 101", "8 101");
    house.hear(A, a.address, &a.speak());
    house.handle(Input::Close(A)).unwrap();
    let events = house.take_events();
    let ended =
        events.iter().find_map(|e| if let Event::TapEnded { totals, .. } = e { Some(*totals) } else { None });
    assert_eq!(ended.map(|totals| (totals.records, totals.octets)), Some((1, 160)));
    assert_eq!(track(&house, 0).len(), 1, "the last batch goes before the word that it was the last");
    assert!(
        matches!(events.last(), Some(Event::Closed { leg, quality }) if *leg == A && quality.received.received == 1)
    );
    house.hear(B, b.address, &b.speak());
    assert!(house.take_rtp(A).is_empty());
    assert!(house.handle(Input::Close(A)).is_err());
    assert_eq!(house.core.legs().map(|l| l.bridged).collect::<Vec<_>>(), [None]);
}
