//! Session timers (RFC 4028): refreshed by us, by the peer, by nobody.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may stop at once")]

mod house;

use house::*;
use route_api::{Cause, EndedBy, SignallingCommand, SignallingEvent};
use sip_core::message::{Message, Method, Name, Request, Response, Status};
use std::time::Duration;
use types::LegId;

fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// A call that came in with these headers and talks: its leg, our tag, our 2xx.
fn established(house: &mut House, headers: &str) -> (LegId, String, Response) {
    let invite = house.invite("c1", headers);
    house.datagram(CARRIER, &invite);
    house.sent();
    let Some(SignallingEvent::Offered { leg, .. }) = house.events().pop() else { panic!("not offered") };
    let (description, memo) = (description(ANSWER), memo("talking"));
    house.command(SignallingCommand::Answer { leg, description, memo });
    let success = house.response();
    let tag = tag_of(&success);
    house.datagram(CARRIER, &request("ACK", "sip:192.0.2.1:5060", "ack", "c1", &tag, 1, ""));
    house.events();
    (leg, tag, success)
}

fn header(headers: &sip_core::message::Headers, name: &Name) -> String {
    String::from_utf8(headers.first(name).unwrap_or_default().to_vec()).unwrap()
}

/// The one request that we sent.
fn refresh(house: &mut House, method: Method) -> Request {
    let request = house.request();
    assert_eq!(request.method, method);
    assert_eq!(request.head.headers.tokens(&Name::Supported), [b"timer".to_vec()]);
    request
}

fn answer(house: &mut House, request: &Request, status: u16, expires: &str) {
    let mut response =
        request.respond(Status(status)).with(Name::Contact, "<sip:13800138000@198.51.100.7:5060>");
    if !expires.is_empty() {
        response = response.with(Name::SessionExpires, expires);
    }
    house.datagram(CARRIER, &response.to_bytes());
}

const BRIEF: &str = "Session-Expires: 10\r\n";
const OVER: (Cause, EndedBy) = (Cause::RecoveryOnTimerExpiry, EndedBy::Failure);

fn ended(house: &mut House) -> (Cause, EndedBy) {
    let ends = house.ends();
    let [(_, cause, by)] = ends[..] else { panic!("{ends:?}") };
    (cause, by)
}

#[test]
fn who_refreshes_follows_from_what_the_peer_says() {
    let ours = "1800;refresher=uas";
    for (headers, expires, required) in [
        ("", ours, ""),
        ("Supported: timer\r\n", "1800;refresher=uac", "timer"),
        ("Supported: timer\r\nSession-Expires: 600;refresher=uac\r\n", "600;refresher=uac", "timer"),
        ("k: timer\r\nx: 600 ; refresher=uas\r\n", "600;refresher=uas", ""),
        ("Require: timer\r\nSupported: timer\r\nSession-Expires: 90\r\n", "90;refresher=uac", "timer"),
        ("Session-Expires: 600\r\n", "600;refresher=uas", ""),
        ("Supported: timer\r\nMin-SE: 3600\r\n", "3600;refresher=uac", "timer"),
        ("Session-Expires: 99999999999\r\n", ours, ""),
    ] {
        let mut house = House::new();
        let (_, _, success) = established(&mut house, headers);
        let fields = &success.head.headers;
        assert_eq!(header(fields, &Name::SessionExpires), expires, "{headers}");
        assert_eq!(header(fields, &Name::Require), required, "{headers}");
    }
}

#[test]
fn an_interval_too_small_is_refused_with_the_least() {
    let mut house = House::new();
    let invite = house.invite("c1", "Supported: timer\r\nSession-Expires: 60\r\n");
    house.datagram(CARRIER, &invite);
    let refused = house.response();
    assert_eq!((refused.status.0, header(&refused.head.headers, &Name::MinSe).as_str()), (422, "90"));
    let mut house = House::new();
    let (_, tag, _) = established(&mut house, "");
    let update =
        request("UPDATE", "sip:192.0.2.1", "u", "c1", &tag, 2, &format!("Supported: timer\r\n{BRIEF}"));
    house.datagram(CARRIER, &update);
    assert_eq!(house.statuses(), [422]);
    // A proxy asked for it, on the way of a peer that would not understand 422 (RFC 4028 §8.1).
    let update = request("UPDATE", "sip:192.0.2.1", "p", "c1", &tag, 3, BRIEF);
    house.datagram(CARRIER, &update);
    let taken = house.response();
    assert_eq!(header(&taken.head.headers, &Name::SessionExpires), "90;refresher=uas");
}

/// Guarded by the mutant `sip-dead-session-lives`.
#[test]
fn a_session_that_the_peer_does_not_refresh_is_over() {
    let wish = "Supported: timer\r\nSession-Expires: 600;refresher=uac\r\n";
    let mut house = House::new();
    let (_, tag, _) = established(&mut house, wish);
    house.pass(seconds(500));
    let update = request("UPDATE", "sip:192.0.2.1", "u", "c1", &tag, 2, wish);
    house.datagram(CARRIER, &update);
    let success = house.response();
    assert_eq!(header(&success.head.headers, &Name::SessionExpires), "600;refresher=uac");
    house.pass(seconds(567));
    assert!(house.sent().is_empty() && house.events().is_empty(), "refreshed");
    house.pass(seconds(2));
    let bye = house.sent().remove(0);
    assert!(matches!(bye, Message::Request(bye) if bye.method == Method::Bye));
    assert_eq!(ended(&mut house), OVER);
}

#[test]
fn we_refresh_by_update_where_the_peer_knows_it() {
    let mut house = House::new();
    established(&mut house, "Allow: INVITE, UPDATE\r\n");
    // What the peer answers holds from then on; where it says nothing, what held before.
    for (interval, answered) in [(1_800, "300;refresher=uac"), (300, ""), (300, "")] {
        house.pass(seconds(interval / 2 - 1));
        assert!(house.sent().is_empty());
        house.pass(seconds(1));
        let update = refresh(&mut house, Method::Update);
        assert!(update.body.is_empty());
        assert_eq!(header(&update.head.headers, &Name::SessionExpires), format!("{interval};refresher=uac"));
        answer(&mut house, &update, 200, answered);
    }
    assert!(house.events().is_empty());
}

#[test]
fn we_refresh_by_re_invite_where_it_does_not_and_glare_is_tried_again() {
    let mut house = House::new();
    let (leg, tag, _) = established(&mut house, "");
    house.pass(seconds(900));
    let invite = refresh(&mut house, Method::Invite);
    assert_eq!(invite.body, ANSWER.as_bytes(), "what we said last");
    // A re-INVITE of the peer meets it (RFC 3261 §14.2).
    let theirs =
        request("INVITE", "sip:192.0.2.1", "t", "c1", &tag, 2, &with_sdp("sip:a@198.51.100.7", OFFER));
    house.datagram(CARRIER, &theirs);
    assert_eq!(house.statuses(), [491]);
    house.datagram(CARRIER, &request("ACK", "sip:192.0.2.1", "t", "c1", &tag, 2, ""));
    answer(&mut house, &invite, 491, "");
    assert_eq!(house.request().method, Method::Ack);
    house.pass(seconds(2));
    assert!(house.sent().is_empty(), "not sooner than 2.1 s (RFC 3261 §14.1)");
    house.pass(seconds(2));
    let Some(Message::Request(again)) = house.sent().pop() else { panic!("not tried again") };
    answer(&mut house, &again, 200, "");
    let ack = house.request();
    assert_eq!((ack.method.clone(), ack.head.cseq.number), (Method::Ack, again.head.cseq.number));
    house.pass(seconds(890));
    assert!(house.sent().is_empty() && house.events().is_empty());
    house.command(SignallingCommand::HangUp { leg, cause: Cause::NormalClearing });
    assert_eq!(house.request().method, Method::Bye);
}

#[test]
fn a_peer_that_is_gone_is_found_out() {
    for status in [481, 408, 0] {
        let mut house = House::new();
        established(&mut house, "Allow: UPDATE\r\n");
        house.pass(seconds(900));
        let update = refresh(&mut house, Method::Update);
        if status > 0 {
            answer(&mut house, &update, status, "");
        } else {
            house.pass(seconds(33));
        }
        let sent = house.sent();
        assert!(matches!(sent.last(), Some(Message::Request(bye)) if bye.method == Method::Bye), "{status}");
        assert_eq!(ended(&mut house), OVER, "{status}");
        assert!(house.core.attach().legs.is_empty());
    }
}

/// Guarded by the mutant `sip-brief-session-repeated`.
#[test]
fn a_peer_that_finds_the_session_too_brief_gets_a_longer_one() {
    // Asked for by the call itself.
    let mut house = House::new();
    house.register(1, PASSWORD);
    house.events();
    let (_, mut invite) = house.dial(leg(9));
    for least in ["3600", "7200"] {
        let refused = invite.respond(Status(422)).tagged(b"phone").with(Name::MinSe, least);
        house.datagram(PHONE, &refused.to_bytes());
        let Some(Message::Request(again)) = house.sent().pop() else { panic!("not asked again") };
        assert_eq!(again.head.cseq.number, invite.head.cseq.number + 1);
        for name in [Name::SessionExpires, Name::MinSe] {
            assert_eq!(header(&again.head.headers, &name), least);
        }
        assert_eq!((&again.head.call_id, &again.body), (&invite.head.call_id, &invite.body));
        invite = again;
    }
    // One that wants no more than it was offered cannot be helped.
    let refused = invite.respond(Status(422)).tagged(b"phone").with(Name::MinSe, "7200");
    house.datagram(PHONE, &refused.to_bytes());
    assert_eq!(house.ends(), [(leg(9), Cause::Interworking, EndedBy::Peer)]);

    // Asked for by a refresh.
    let mut house = House::new();
    established(&mut house, "Allow: UPDATE\r\nSession-Expires: 600\r\n");
    house.pass(seconds(300));
    let update = refresh(&mut house, Method::Update);
    let refused = update.respond(Status(422)).with(Name::MinSe, "3600");
    house.datagram(CARRIER, &refused.to_bytes());
    house.sent();
    while house.sent.is_empty() {
        house.pass(Duration::from_millis(100));
    }
    let again = refresh(&mut house, Method::Update);
    assert_eq!(header(&again.head.headers, &Name::SessionExpires), "3600;refresher=uac");
    answer(&mut house, &again, 200, "3600;refresher=uac");
    house.pass(seconds(1_700));
    assert!(house.sent().is_empty() && house.events().is_empty(), "as long as it wanted");
}

#[test]
fn refusals_are_tried_again_until_the_session_is_over() {
    let mut house = House::new();
    established(&mut house, "Allow: UPDATE\r\nSession-Expires: 120\r\n");
    house.pass(seconds(60));
    let mut asked = 0;
    for _ in 0..100 {
        for message in house.sent() {
            if let Message::Request(update) = message
                && update.method == Method::Update
            {
                asked += 1;
                answer(&mut house, &update, 500, "");
            }
        }
        house.pass(seconds(1));
    }
    assert!((10..40).contains(&asked), "{asked}");
    assert_eq!(ended(&mut house), OVER);
}

#[test]
fn what_we_dial_has_a_timer_too_and_a_kill_does_not_stop_it() {
    let mut house = House::new();
    house.register(1, PASSWORD);
    house.events();
    let (_, invite) = house.dial(leg(9));
    assert_eq!(header(&invite.head.headers, &Name::SessionExpires), "1800");
    let mut response =
        invite.respond(Status(200)).tagged(b"phone").with(Name::Contact, "<sip:8001@10.0.0.5:5070>");
    response =
        response.with(Name::ContentType, "application/sdp").with(Name::SessionExpires, "1800;refresher=uas");
    response.body = OFFER.as_bytes().to_vec();
    house.datagram(PHONE, &response.to_bytes());
    house.sent();
    house.events();
    let written: Vec<u8> =
        house.core.snapshot().iter().flat_map(|change| postcard::to_stdvec(change).unwrap()).collect();
    house.pass(seconds(1_000));
    house.restart(&written);
    let over = |house: &mut House| {
        let events = house.events();
        events
            .into_iter()
            .any(|event| matches!(event, SignallingEvent::Ended { leg: ended, .. } if ended == leg(9)))
    };
    house.pass(seconds(767));
    assert!(!over(&mut house));
    house.pass(seconds(2));
    assert!(over(&mut house));
}
