//! Calls that we dial: to a registered phone and over a trunk.

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "a test may stop at once")]

mod house;

use house::*;
use route_api::{Cause, EndedBy, Party, SignallingCommand, SignallingEvent};
use sip_core::message::{Message, Method, Name};
use std::time::Duration;
use types::Pii;

fn ringing_phone() -> House {
    let mut house = House::new();
    assert_eq!(house.register(1, PASSWORD).status.0, 200);
    house.events();
    house
}

#[test]
fn a_phone_is_rung_answers_and_is_hung_up() {
    let mut house = ringing_phone();
    let (to, invite) = house.dial(leg(1));
    assert_eq!(to, PHONE.parse().unwrap(), "where its REGISTER came from, not its private Contact");
    assert_eq!(invite.uri.to_bytes(), b"sip:8001@10.0.0.5:5070");
    assert_eq!(invite.head.from.display().unwrap(), "李");
    assert_eq!(invite.body, ANSWER.as_bytes());
    house.reply(&invite, 100, "", "");
    house.reply(&invite, 180, "p", "");
    house.reply(&invite, 180, "p", "");
    assert_eq!(house.events(), [SignallingEvent::Ringing { leg: leg(1), description: None }]);
    house.reply(&invite, 183, "p", OFFER);
    assert_eq!(
        house.events(),
        [SignallingEvent::Ringing { leg: leg(1), description: Some(description(OFFER)) }]
    );
    house.reply(&invite, 200, "p", OFFER);
    let sent = house.sent_to();
    let [(to, Message::Request(ack))] = &sent[..] else { panic!("{sent:?}") };
    assert_eq!((&ack.method, ack.head.cseq.number, *to), (&Method::Ack, 1, PHONE.parse().unwrap()));
    assert_eq!(
        house.events(),
        [SignallingEvent::Answered { leg: leg(1), description: Some(description(OFFER)) }]
    );
    house.reply(&invite, 200, "p", OFFER);
    assert_eq!(house.request().method, Method::Ack, "each copy of the 2xx is acknowledged");
    assert!(house.events().is_empty(), "and told once");
    house.command(SignallingCommand::HangUp { leg: leg(1), cause: Cause::NormalClearing });
    let bye = house.request();
    assert_eq!((&bye.method, bye.head.cseq.number), (&Method::Bye, 2));
    house.reply(&bye, 200, "", "");
    assert_eq!(house.ends(), [(leg(1), Cause::NormalClearing, EndedBy::House)]);
}

#[test]
fn the_phone_hangs_up() {
    let mut house = ringing_phone();
    let (_, invite) = house.dial(leg(1));
    house.reply(&invite, 200, "p", OFFER);
    house.sent();
    house.events();
    let tag =
        |address: &sip_core::message::NameAddr| String::from_utf8_lossy(address.tag().unwrap()).into_owned();
    let bye = format!(
        "BYE sip:192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.5:5070;branch=z9hG4bKb;rport\r\n\
         From: <sip:8001@10.0.0.5>;tag=p\r\nTo: <sip:x@192.0.2.1>;tag={}\r\nCall-ID: {}\r\nCSeq: 1 BYE\r\n\r\n",
        tag(&invite.head.from),
        String::from_utf8_lossy(&invite.head.call_id)
    );
    house.datagram(PHONE, bye.as_bytes());
    assert_eq!(house.response().status.0, 200);
    assert_eq!(house.ends(), [(leg(1), Cause::NormalClearing, EndedBy::Peer)]);
}

#[test]
fn refusals_and_silence_have_their_causes() {
    for (status, cause) in
        [(486, Cause::UserBusy), (480, Cause::NoUserResponding), (603, Cause::CallRejected)]
    {
        let mut house = ringing_phone();
        let (_, invite) = house.dial(leg(1));
        house.reply(&invite, status, "p", "");
        assert_eq!(house.request().method, Method::Ack);
        assert_eq!(house.ends(), [(leg(1), cause, EndedBy::Peer)]);
    }
    let mut house = ringing_phone();
    house.dial(leg(1));
    house.pass(Duration::from_secs(33));
    assert_eq!(house.sent().len(), 6, "Timer A");
    assert_eq!(house.ends(), [(leg(1), Cause::NoUserResponding, EndedBy::Failure)], "Timer B");
}

#[test]
fn cancel_waits_for_the_first_provisional_response() {
    let mut house = ringing_phone();
    let (_, invite) = house.dial(leg(1));
    house.command(SignallingCommand::HangUp { leg: leg(1), cause: Cause::NormalUnspecified });
    assert!(house.sent().is_empty(), "RFC 3261 §9.1");
    house.reply(&invite, 180, "p", "");
    let cancel = house.request();
    assert_eq!((&cancel.method, cancel.head.cseq.number), (&Method::Cancel, 1));
    assert!(cancel.head.vias == invite.head.vias && cancel.uri == invite.uri);
    house.reply(&cancel, 200, "p", "");
    house.reply(&invite, 487, "p", "");
    assert_eq!(house.request().method, Method::Ack);
    assert_eq!(house.ends(), [(leg(1), Cause::NormalUnspecified, EndedBy::House)]);
    assert_eq!(house.core.attach().legs, []);
}

#[test]
fn an_answer_that_crosses_our_cancel_is_taken_and_ended() {
    let mut house = ringing_phone();
    let (_, invite) = house.dial(leg(1));
    house.reply(&invite, 180, "p", "");
    house.command(SignallingCommand::HangUp { leg: leg(1), cause: Cause::NoAnswer });
    assert_eq!(house.request().method, Method::Cancel);
    house.events();
    house.reply(&invite, 200, "p", OFFER);
    let methods: Vec<_> = house.sent().into_iter().map(method).collect();
    assert_eq!(methods, [Method::Ack, Method::Bye]);
    assert!(house.events().is_empty());
}

#[test]
fn another_branch_of_a_fork_is_taken_and_ended() {
    let mut house = ringing_phone();
    let (_, invite) = house.dial(leg(1));
    house.reply(&invite, 200, "p", OFFER);
    house.sent();
    house.reply(&invite, 200, "other", OFFER);
    let sent = house.sent();
    assert!(
        sent.iter()
            .all(|message| matches!(message, Message::Request(r) if r.head.to.tag() == Some(b"other")))
    );
    assert_eq!(sent.into_iter().map(method).collect::<Vec<_>>(), [Method::Ack, Method::Bye]);
}

#[test]
fn a_phone_that_is_not_there_cannot_be_called() {
    let mut house = House::new();
    house.command(SignallingCommand::Dial {
        leg: leg(1),
        over: phone(),
        number: String::new(),
        from: Party { number: Pii::new(String::new()), display: None },
        description: description(ANSWER),
        memo: memo(""),
        silence_ms: None,
    });
    assert_eq!(house.ends(), [(leg(1), Cause::DestinationOutOfOrder, EndedBy::Failure)]);
    assert!(house.sent().is_empty());
}

#[test]
fn a_number_is_dialled_over_a_trunk() {
    let mut house = House::new();
    house.command(SignallingCommand::Dial {
        leg: leg(1),
        over: carrier(),
        number: "+8610 88".into(),
        from: Party { number: Pii::new("400".into()), display: None },
        description: description(ANSWER),
        memo: memo(""),
        silence_ms: None,
    });
    let (to, message) = house.sent_to().pop().unwrap();
    let Message::Request(invite) = message else { panic!("no request") };
    assert_eq!(to, CARRIER.parse().unwrap());
    assert_eq!(invite.uri.to_bytes(), b"sip:+8610%2088@198.51.100.7:5060");
    assert_eq!(invite.head.headers.first(&Name::Contact), Some(&b"<sip:192.0.2.1:5060>"[..]));
}

fn method(message: Message) -> Method {
    match message {
        Message::Request(request) => request.method,
        Message::Response(_) => panic!("a response"),
    }
}
