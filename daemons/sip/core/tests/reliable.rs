//! Provisional responses of ours that the caller acknowledges (RFC 3262 §3), and requests within its early dialog.

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "a test may stop at once")]

mod house;

use house::*;
use route_api::{Cause, EndedBy, SessionDescription, SignallingCommand, SignallingEvent};
use sip_core::message::{Message, Name, RSeq, Response};
use std::time::Duration;
use types::LegId;

const RELIABLE: &str = "Require: 100rel\r\n";
const OTHER: &str = "v=0\r\no=- 1 2 IN IP4 198.51.100.7\r\ns=-\r\nt=0 0\r\nm=audio 4002 RTP/AVP 0\r\n";

/// A caller who wants to be told reliably.
fn offered(house: &mut House, headers: &str) -> LegId {
    let invite = house.invite("c1", headers);
    house.datagram(CARRIER, &invite);
    assert_eq!(house.statuses(), [100]);
    match house.events().pop() {
        Some(SignallingEvent::Offered { leg, .. }) => leg,
        other => panic!("not offered: {other:?}"),
    }
}

fn ring(house: &mut House, leg: LegId, sdp: Option<&str>) {
    house.command(SignallingCommand::Ring { leg, description: sdp.map(description), memo: memo("rings") });
}

fn answer(house: &mut House, leg: LegId) {
    let (description, memo) = (description(ANSWER), memo("talks"));
    house.command(SignallingCommand::Answer { leg, description, memo });
}

fn rseq(response: &Response) -> u32 {
    let RSeq(rseq) = response.head.headers.first(&Name::RSeq).and_then(RSeq::parse).unwrap();
    assert_eq!(response.head.headers.tokens(&Name::Require), [b"100rel"]);
    rseq
}

fn within(method: &str, tag: &str, number: u32, headers: &str, sdp: &str) -> Vec<u8> {
    let body =
        if sdp.is_empty() { String::new() } else { with_sdp("sip:13800138000@198.51.100.7:5060", sdp) };
    let branch = format!("{method}{number}");
    request(method, "sip:192.0.2.1:5060", &branch, "c1", tag, number, &format!("{headers}{body}"))
}

fn prack(tag: &str, number: u32, rseq: u32, sdp: &str) -> Vec<u8> {
    within("PRACK", tag, number, &format!("RAck: {rseq} 1 INVITE\r\n"), sdp)
}

#[test]
fn who_does_not_ask_is_told_once_and_without_a_number() {
    let mut house = House::new();
    let leg = offered(&mut house, "Supported: 100rel\r\n");
    ring(&mut house, leg, None);
    let rings = house.response();
    assert_eq!(rings.status.0, 180);
    assert!(rings.head.headers.first(&Name::RSeq).is_none());
    ring(&mut house, leg, Some(ANSWER));
    let sounds = house.response();
    assert_eq!((sounds.status.0, sounds.body.as_slice()), (183, ANSWER.as_bytes()));
    house.pass(Duration::from_secs(40));
    assert!(house.sent().is_empty());
    answer(&mut house, leg);
    assert_eq!(house.response().body, ANSWER.as_bytes(), "what was not acknowledged is given again");
}

#[test]
fn who_is_answered_at_once_needs_no_other_word() {
    let mut house = House::new();
    let leg = offered(&mut house, RELIABLE);
    answer(&mut house, leg);
    let answered = house.response();
    assert_eq!((answered.status.0, answered.body.as_slice()), (200, ANSWER.as_bytes()));
    let invite = house.invite("c2", "Require: 100rel, foo\r\n");
    house.datagram(CARRIER, &invite);
    let refused = house.response();
    assert_eq!(refused.status.0, 420);
    assert_eq!(refused.head.headers.tokens(&Name::Unsupported), [b"foo"], "100rel is known");
}

/// A table of RFC 3262 §3: T1, doubling without a cap, 64·T1. Guarded by the mutants `sip-never-reliable` and
/// `sip-18x-said-once`.
#[test]
fn it_is_said_again_until_its_prack_and_refused_with_504_where_none_comes() {
    let mut house = House::new();
    let leg = offered(&mut house, RELIABLE);
    let start = house.now;
    ring(&mut house, leg, None);
    let first = house.response();
    assert_eq!(first.status.0, 180);
    let number = rseq(&first);
    assert!((1..1 << 31).contains(&number), "{number}");
    let mut copies = vec![];
    while house.now < start.plus(Duration::from_millis(31_990)) {
        house.pass(Duration::from_millis(10));
        for message in house.sent() {
            let Message::Response(copy) = message else { panic!("{message:?}") };
            assert_eq!((copy.status.0, rseq(&copy)), (180, number));
            copies.push(house.now.since(start).as_millis());
        }
    }
    assert_eq!(copies, [500, 1_500, 3_500, 7_500, 15_500, 31_500]);
    house.pass(Duration::from_millis(20));
    assert_eq!(house.statuses(), [504]);
    assert_eq!(house.ends(), [(leg, Cause::RecoveryOnTimerExpiry, EndedBy::Failure)]);
}

/// Guarded by the mutant `sip-any-rack`.
#[test]
fn a_prack_ends_the_copies_and_one_that_fits_nothing_gets_481() {
    let mut house = House::new();
    let leg = offered(&mut house, RELIABLE);
    ring(&mut house, leg, None);
    let rings = house.response();
    let (tag, number) = (tag_of(&rings), rseq(&rings));
    for (at, wrong) in
        [format!("{} 1 INVITE", number + 1), format!("{number} 2 INVITE"), format!("{number} 1 UPDATE")]
            .iter()
            .enumerate()
    {
        house.datagram(CARRIER, &within("PRACK", &tag, 2 + at as u32, &format!("RAck: {wrong}\r\n"), ""));
        assert_eq!(house.statuses(), [481], "{wrong}");
    }
    house.datagram(CARRIER, &within("PRACK", &tag, 5, "RAck: nonsense\r\n", ""));
    assert_eq!(house.statuses(), [400]);
    house.pass(Duration::from_millis(600));
    assert_eq!(house.statuses(), [180], "none of them counted");
    house.datagram(CARRIER, &prack(&tag, 6, number, ""));
    assert_eq!(house.statuses(), [200]);
    house.datagram(CARRIER, &prack(&tag, 6, number, ""));
    assert_eq!(house.statuses(), [200], "a copy of it is answered by its transaction");
    house.datagram(CARRIER, &prack(&tag, 7, number, ""));
    assert_eq!(house.statuses(), [481], "another one acknowledges nothing");
    house.datagram(CARRIER, &prack(&tag, 3, number, ""));
    assert_eq!(house.statuses(), [481], "that was the transaction of a wrong one");
    house.pass(Duration::from_secs(40));
    assert!(house.sent().is_empty() && house.events().is_empty());
    answer(&mut house, leg);
    assert_eq!(house.response().status.0, 200);
}

/// RFC 3262 §3: one at a time, and no 2xx while a description waits. Guarded by the mutant
/// `sip-answer-before-prack`.
#[test]
fn words_come_one_after_the_other_and_the_answer_last() {
    let mut house = House::new();
    let leg = offered(&mut house, RELIABLE);
    ring(&mut house, leg, None);
    let rings = house.response();
    let (tag, number) = (tag_of(&rings), rseq(&rings));
    ring(&mut house, leg, Some(ANSWER));
    ring(&mut house, leg, None);
    answer(&mut house, leg);
    assert!(house.sent().is_empty(), "the first word waits for its PRACK");
    house.datagram(CARRIER, &prack(&tag, 2, number, ""));
    let [Message::Response(ok), Message::Response(sounds)] = &house.sent()[..] else { panic!("not two") };
    assert_eq!((ok.status.0, sounds.status.0, rseq(sounds)), (200, 183, number + 1));
    assert_eq!(sounds.body, ANSWER.as_bytes(), "a description is not lost by a later word without one");
    house.datagram(CARRIER, &prack(&tag, 3, number + 1, ""));
    let [Message::Response(ok), Message::Response(answered)] = &house.sent()[..] else { panic!("not two") };
    assert_eq!((ok.status.0, answered.status.0), (200, 200));
    assert!(answered.body.is_empty(), "RFC 3261 §13.2.1: the answer was given, and acknowledged");
    assert!(answered.head.headers.first(&Name::ContentType).is_none());
    house.datagram(CARRIER, &request("ACK", "sip:192.0.2.1:5060", "a", "c1", &tag, 1, ""));
    assert_eq!(house.events(), [SignallingEvent::Confirmed { leg, description: None }]);
    house.datagram(CARRIER, &within("BYE", &tag, 4, "", ""));
    assert_eq!(house.statuses(), [200], "the numbers of the early dialog go on");
    assert_eq!(house.ends(), [(leg, Cause::NormalClearing, EndedBy::Peer)]);
}

#[test]
fn a_cancel_and_a_hang_up_in_between_end_it() {
    for by in ["CANCEL", "HangUp", "BYE"] {
        let mut house = House::new();
        let leg = offered(&mut house, RELIABLE);
        ring(&mut house, leg, Some(ANSWER));
        let sounds = house.response();
        let (tag, number) = (tag_of(&sounds), rseq(&sounds));
        answer(&mut house, leg);
        match by {
            "CANCEL" => {
                let cancel = request("CANCEL", "sip:400@192.0.2.1", "invc1", "c1", "", 1, "");
                house.datagram(CARRIER, &cancel);
                assert_eq!(house.statuses(), [200, 487]);
            }
            "BYE" => {
                house.datagram(CARRIER, &within("BYE", &tag, 2, "", ""));
                assert_eq!(house.statuses(), [200, 487]);
            }
            _ => {
                house.command(SignallingCommand::HangUp { leg, cause: Cause::UserBusy });
                assert_eq!(house.statuses(), [486]);
            }
        }
        house.datagram(CARRIER, &request("ACK", "sip:400@192.0.2.1", "invc1", "c1", &tag, 1, ""));
        assert_eq!(house.ends().len(), 1, "{by}");
        house.datagram(CARRIER, &prack(&tag, 3, number, ""));
        assert_eq!(house.statuses(), [481], "{by}: there is no such dialog any more");
        house.pass(Duration::from_secs(40));
        assert!(house.sent().is_empty(), "{by}");
    }
}

#[test]
fn a_new_offer_within_the_early_dialog_is_put_to_route() {
    let mut house = House::new();
    let leg = offered(&mut house, RELIABLE);
    ring(&mut house, leg, Some(ANSWER));
    let sounds = house.response();
    let (tag, number) = (tag_of(&sounds), rseq(&sounds));
    house.datagram(CARRIER, &within("UPDATE", &tag, 2, "", OTHER));
    let early = house.response();
    assert_eq!(early.status.0, 500, "RFC 3311 §5.2: the first offer's answer is not acknowledged");
    assert!(early.head.headers.first(&Name::RetryAfter).is_some());
    house.datagram(CARRIER, &prack(&tag, 3, number, ""));
    assert_eq!(house.statuses(), [200]);
    house.datagram(CARRIER, &within("UPDATE", &tag, 4, "", OTHER));
    assert_eq!(house.events(), [SignallingEvent::Changing { leg, description: description(OTHER) }]);
    house.datagram(CARRIER, &within("UPDATE", &tag, 5, "", OTHER));
    assert_eq!(house.statuses(), [500], "one at a time");
    let new = SessionDescription(ANSWER.replace("6000", "6002"));
    house.command(SignallingCommand::Change { leg, description: Some(new.clone()) });
    let changed = house.response();
    assert_eq!((changed.status.0, changed.body), (200, new.0.clone().into_bytes()));
    assert!(changed.head.headers.first(&Name::Contact).is_some());
    house.datagram(CARRIER, &within("UPDATE", &tag, 6, "", OTHER));
    house.events();
    house.command(SignallingCommand::Change { leg, description: None });
    assert_eq!(house.statuses(), [488]);
    house.datagram(CARRIER, &within("UPDATE", &tag, 7, "", ""));
    assert_eq!(house.statuses(), [200], "one without an offer is a sign of life");
    house.datagram(CARRIER, &within("UPDATE", &tag, 7, "Foo: bar\r\n", ""));
    assert_eq!(house.statuses(), [200], "its copy");
    house.datagram(CARRIER, &within("UPDATE", &tag, 8, "", OTHER));
    house.events();
    house.pass(Duration::from_secs(9));
    assert_eq!(house.statuses(), [488], "route does not answer");
    house.datagram(CARRIER, &within("UPDATE", &tag, 9, "", OTHER));
    house.events();
    house.command(SignallingCommand::HangUp { leg, cause: Cause::UserBusy });
    let mut statuses = house.statuses();
    statuses.sort_unstable();
    assert_eq!(statuses, [486, 487], "what was asked is not left without an answer");
}

#[test]
fn an_offer_in_prack_is_answered_in_its_200() {
    let mut house = House::new();
    let leg = offered(&mut house, RELIABLE);
    ring(&mut house, leg, Some(ANSWER));
    let sounds = house.response();
    let (tag, number) = (tag_of(&sounds), rseq(&sounds));
    house.datagram(CARRIER, &prack(&tag, 2, number, OTHER));
    assert_eq!(house.events(), [SignallingEvent::Changing { leg, description: description(OTHER) }]);
    house.pass(Duration::from_millis(700));
    assert!(house.sent().is_empty(), "it is acknowledged, whatever comes of the offer");
    answer(&mut house, leg);
    assert_eq!(house.response().status.0, 200, "the call is answered, and the offer waits on");
    house.datagram(CARRIER, &request("ACK", "sip:192.0.2.1:5060", "a", "c1", &tag, 1, ""));
    house.command(SignallingCommand::Change { leg, description: Some(description(ANSWER)) });
    let ok = house.response();
    assert_eq!((ok.status.0, ok.body.as_slice()), (200, ANSWER.as_bytes()));
    assert_eq!(ok.head.cseq.number, 2);
}

/// Our offer would want an answer in PRACK: such a caller is answered at once, and needs no other word.
#[test]
fn a_late_offer_is_not_told_that_it_rings() {
    let mut house = House::new();
    let rest = format!("{RELIABLE}Contact: <sip:13800138000@198.51.100.7:5060>\r\n");
    let invite = request("INVITE", "sip:400@192.0.2.1", "invc1", "c1", "", 1, &rest);
    house.datagram(CARRIER, &invite);
    house.sent();
    let Some(SignallingEvent::Offered { leg, .. }) = house.events().pop() else { panic!("not offered") };
    ring(&mut house, leg, Some(ANSWER));
    assert!(house.sent().is_empty());
    answer(&mut house, leg);
    assert_eq!(house.response().body, ANSWER.as_bytes());
}

#[test]
fn a_kill_loses_no_word() {
    let mut house = House::new();
    let leg = offered(&mut house, RELIABLE);
    ring(&mut house, leg, Some(ANSWER));
    let sounds = house.response();
    let (tag, number) = (tag_of(&sounds), rseq(&sounds));
    answer(&mut house, leg);
    let written = house.written();
    house.restart(&written);
    house.events();
    house.sent();
    house.pass(Duration::from_millis(600));
    let again = house.response();
    assert_eq!((again.status.0, rseq(&again)), (183, number), "said again by the next life");
    let mut both = written;
    both.extend(house.written());
    house.restart(&both);
    house.events();
    house.sent();
    house.datagram(CARRIER, &prack(&tag, 2, number, ""));
    let [Message::Response(ok), Message::Response(answered)] = &house.sent()[..] else { panic!("not two") };
    assert_eq!((ok.status.0, answered.status.0), (200, 200), "and the answer that waited comes");
}

/// A network that loses, doubles and reorders, and callers who want every word: nobody is told out of order, told
/// twice or left without an answer. One seed is one call.
#[test]
fn over_a_lossy_network_every_call_is_answered() {
    let mut dice = Dice(42);
    let mut copies = 0;
    for seed in 0..400 {
        let mut house = House::new();
        let mut written = vec![];
        let leg = offered(&mut house, RELIABLE);
        let mut number = 2;
        let (mut heard, mut answered) = (vec![], None);
        let mut pracks: Vec<(u32, Vec<u8>, types::Monotonic)> = vec![];
        ring(&mut house, leg, None);
        for step in 0..4_000 {
            match step {
                10 => ring(&mut house, leg, Some(ANSWER)),
                40 => answer(&mut house, leg),
                _ => {}
            }
            let outgoing = house.sent();
            for message in outgoing.iter().filter(|_| dice.roll(100) >= 30) {
                let Message::Response(response) = message else { panic!("{message:?}") };
                match (response.head.cseq.method.as_bytes(), response.status.0) {
                    (b"INVITE", 200) => answered = answered.or(Some(response.body.clone())),
                    (b"INVITE", 180 | 183) => {
                        let (tag, rseq) = (tag_of(response), rseq(response));
                        if heard.last().is_none_or(|last| last + 1 == rseq) {
                            heard.push(rseq);
                            pracks.push((number, prack(&tag, number, rseq, ""), house.now));
                            number += 1;
                        } else {
                            copies += 1;
                            assert!(heard.contains(&rseq), "seed {seed}: {rseq} after {heard:?}");
                        }
                    }
                    (b"PRACK", 200) => pracks.retain(|(number, ..)| *number != response.head.cseq.number),
                    other => panic!("seed {seed}: {other:?}"),
                }
            }
            if answered.is_some() {
                break;
            }
            let now = house.now;
            let due = |(.., since): &&(u32, Vec<u8>, types::Monotonic)| {
                now.since(*since).as_millis().is_multiple_of(500)
            };
            for (_, prack, _) in pracks.clone().iter().filter(due) {
                for _ in 0..1 + usize::from(dice.roll(10) == 0) {
                    if dice.roll(100) >= 30 {
                        house.datagram(CARRIER, prack);
                    }
                }
            }
            if dice.roll(200) == 0 {
                written.extend(house.written());
                let unsent = house.sent();
                house.restart(&written.clone());
                house.events();
                house.sent.splice(0..0, unsent.into_iter().map(|m| (CARRIER.parse().unwrap(), m)));
            }
            house.pass(Duration::from_millis(10));
        }
        // 32 s of copies at 30 % loss each way may all be lost, but not in these seeds.
        let body = answered.unwrap_or_else(|| panic!("seed {seed} was never answered"));
        assert_eq!(
            (heard.len(), body.len()),
            (2, 0),
            "seed {seed}: ringing, then a description, then the answer"
        );
    }
    assert!(copies > 50, "{copies}");
}

struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}
