//! What peers ask within a call: other descriptions, digits, and what we do not do. All of it is answered.

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "a test may stop at once")]

mod house;

use house::*;
use route_api::{Cause, EndedBy, SignallingCommand, SignallingEvent};
use sip_core::message::Name;
use std::time::Duration;

const HELD: &str =
    "v=0\r\no=- 1 2 IN IP4 198.51.100.7\r\ns=-\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\na=sendonly\r\n";

fn offer(method: &str, branch: &str, tag: &str, number: u32) -> Vec<u8> {
    let rest = with_sdp("sip:new@198.51.100.8:5062", HELD);
    request(method, "sip:192.0.2.1:5060", branch, "c1", tag, number, &rest)
}

#[test]
fn a_re_invite_is_put_to_route_and_answered() {
    let mut house = House::new();
    let (leg, tag) = house.established("c1");
    house.datagram(CARRIER, &offer("INVITE", "r", &tag, 2));
    assert_eq!(house.statuses(), [100]);
    assert_eq!(house.events(), [SignallingEvent::Changing { leg, description: description(HELD) }]);
    house.datagram(CARRIER, &offer("INVITE", "r2", &tag, 3));
    let second = house.response();
    assert_eq!(second.status.0, 500, "one at a time (RFC 3261 §14.2)");
    assert!(second.head.headers.first(&Name::RetryAfter).is_some());
    house.datagram(CARRIER, &request("ACK", "sip:192.0.2.1", "r2", "c1", &tag, 3, ""));
    house.command(SignallingCommand::Change { leg, description: Some(description("v=0\r\na=recvonly\r\n")) });
    let ok = house.response();
    assert_eq!((ok.status.0, ok.body.as_slice()), (200, &b"v=0\r\na=recvonly\r\n"[..]));
    house.pass(Duration::from_millis(600));
    assert_eq!(house.statuses(), [200], "repeated until its ACK");
    house.datagram(CARRIER, &offer("INVITE", "r3", &tag, 4));
    assert_eq!(house.statuses(), [491], "glare with our unacknowledged 2xx");
    house.datagram(CARRIER, &request("ACK", "sip:192.0.2.1", "r3", "c1", &tag, 4, ""));
    house.datagram(CARRIER, &request("ACK", "sip:192.0.2.1", "ra", "c1", &tag, 2, ""));
    house.pass(Duration::from_secs(40));
    assert!(house.sent().is_empty() && house.events().is_empty());
    house.command(SignallingCommand::HangUp { leg, cause: Cause::NormalClearing });
    let (to, bye) = house.sent_to().pop().unwrap();
    assert_eq!(to, "198.51.100.8:5062".parse().unwrap(), "the new target");
    assert!(
        matches!(bye, sip_core::message::Message::Request(r) if r.uri.to_bytes() == b"sip:new@198.51.100.8:5062")
    );
}

#[test]
fn a_re_invite_that_route_refuses_or_forgets_is_refused() {
    let mut house = House::new();
    let (leg, tag) = house.established("c1");
    house.datagram(CARRIER, &offer("INVITE", "r", &tag, 2));
    house.sent();
    house.command(SignallingCommand::Change { leg, description: None });
    assert_eq!(house.statuses(), [488]);
    house.datagram(CARRIER, &request("ACK", "sip:192.0.2.1", "r", "c1", &tag, 2, ""));
    house.datagram(CARRIER, &offer("INVITE", "r2", &tag, 3));
    house.sent();
    house.pass(Duration::from_secs(8));
    assert_eq!(house.statuses(), [488]);
    let bye = request("BYE", "sip:192.0.2.1", "b", "c1", &tag, 4, "");
    house.events();
    house.datagram(CARRIER, &bye);
    let ended = house.ended(leg, Cause::NormalClearing, EndedBy::Peer, "talking");
    assert_eq!(house.events(), [ended]);
}

#[test]
fn update_and_a_re_invite_without_an_offer() {
    let mut house = House::new();
    let (leg, tag) = house.established("c1");
    house.datagram(CARRIER, &request("UPDATE", "sip:192.0.2.1", "u", "c1", &tag, 2, ""));
    assert_eq!(house.statuses(), [200], "a keep-alive");
    house.datagram(CARRIER, &offer("UPDATE", "u2", &tag, 3));
    assert_eq!(house.events(), [SignallingEvent::Changing { leg, description: description(HELD) }]);
    house.command(SignallingCommand::Change { leg, description: Some(description(ANSWER)) });
    assert_eq!(house.statuses(), [200]);
    house.pass(Duration::from_secs(40));
    assert!(house.sent().is_empty(), "no ACK is owed to an UPDATE");
    let bare = request("INVITE", "sip:192.0.2.1", "i", "c1", &tag, 4, "Contact: <sip:a@198.51.100.7>\r\n");
    house.datagram(CARRIER, &bare);
    let ok = house.response();
    assert_eq!((ok.status.0, ok.body.as_slice()), (200, ANSWER.as_bytes()));
}

#[test]
fn digits_by_info() {
    let mut house = House::new();
    let (leg, tag) = house.established("c1");
    for (number, (kind, body, digit)) in [
        ("application/dtmf-relay", "Signal=5\r\nDuration=160\r\n", Some('5')),
        ("application/dtmf-relay", "signal= *\r\n", Some('*')),
        ("application/dtmf", "11", Some('#')),
        ("application/dtmf", "d", Some('D')),
        ("application/dtmf-relay", "Duration=160\r\n", None),
        ("application/dtmf", "55", None),
    ]
    .into_iter()
    .enumerate()
    {
        let rest = format!("Content-Type: {kind}\r\n\r\n{body}");
        let info =
            request("INFO", "sip:192.0.2.1", &format!("n{number}"), "c1", &tag, number as u32 + 2, &rest);
        house.datagram(CARRIER, &info);
        assert_eq!(house.statuses(), [if digit.is_some() { 200 } else { 400 }], "{body}");
        let events: Vec<_> = digit.map(|digit| SignallingEvent::Digit { leg, digit }).into_iter().collect();
        assert_eq!(house.events(), events, "{body}");
        house.datagram(CARRIER, &info);
        assert!(house.events().is_empty(), "a copy is no second digit");
        house.sent();
    }
}

#[test]
fn the_rest_is_answered_too() {
    let mut house = House::new();
    let (leg, tag) = house.established("c1");
    let mut number = 1;
    for (method, status) in [
        ("OPTIONS", 200),
        ("REFER", 400),
        ("MESSAGE", 405),
        ("PRACK", 481),
        ("NOTIFY", 405),
        ("DANCE", 501),
        ("INFO", 200),
    ] {
        number += 1;
        house.datagram(CARRIER, &request(method, "sip:192.0.2.1", method, "c1", &tag, number, ""));
        assert_eq!(house.statuses(), [status], "{method}");
    }
    house.datagram(CARRIER, &request("INFO", "sip:192.0.2.1", "old", "c1", &tag, 2, ""));
    assert_eq!(house.statuses(), [500], "out of order (§12.2.2)");
    house.datagram(CARRIER, &request("INFO", "sip:192.0.2.1", "other", "c1", "no-such-tag", 99, ""));
    assert_eq!(house.statuses(), [481]);
    assert!(house.events().is_empty());
    assert_eq!(house.core.attach().legs.iter().map(|live| live.leg).collect::<Vec<_>>(), [leg]);
}
