//! INVITE with Replaces (RFC 3891): which dialog it names, and what comes of it.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may stop at once")]

mod house;

use house::*;
use route_api::{Cause, Memo, SignallingCommand, SignallingEvent, Wanted};
use sip_core::{
    digest::Algorithm,
    message::{Method, Name, Request},
};
use std::time::Duration;
use types::LegId;

/// A phone that is registered.
fn house() -> House {
    let mut house = House::new();
    house.register(1, PASSWORD);
    house.events();
    house
}

/// An INVITE of the phone with these header lines, proved.
fn proved(house: &mut House, call: &str, headers: &str) -> Vec<u8> {
    let invite = |number: u32, more: &str| {
        let rest = format!("{headers}{more}{}", with_sdp("sip:8001@10.0.0.5:5070", OFFER));
        request("INVITE", "sip:400@192.0.2.1", &format!("{call}{number}"), call, "", number, &rest)
    };
    house.datagram(PHONE, &invite(1, ""));
    let challenged = house.response();
    assert_eq!(challenged.status.0, 401, "whoever wants a place proves who it is");
    invite(2, &format!("Authorization: {}\r\n", prove(&challenged, Algorithm::Sha256, PASSWORD)))
}

/// What the phone is answered to an INVITE with this Replaces, and what route is told.
fn asks(house: &mut House, call: &str, headers: &str) -> (Vec<u16>, Vec<SignallingEvent>) {
    let invite = proved(house, call, headers);
    house.datagram(PHONE, &invite);
    (house.statuses(), house.events())
}

fn naming(call: &str, ours: &str, theirs: &str) -> String {
    format!("Replaces: {call};to-tag={ours};from-tag={theirs}\r\n")
}

/// The phone talks: by our call to it, which has its tag `desk`.
fn talking(house: &mut House) -> Request {
    let (_, invite) = house.dial(leg(9));
    house.reply(&invite, 200, "desk", OFFER);
    house.sent();
    house.events();
    invite
}

fn name(invite: &Request, theirs: &str) -> String {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    naming(&text(&invite.head.call_id), &text(invite.head.from.tag().unwrap()), theirs)
}

fn wants(house: &House, events: &[SignallingEvent], call: &str) -> (LegId, LegId, Wanted) {
    let [SignallingEvent::Replacing { leg, at, over, replaces, wanted, description: given, reference }] =
        events
    else {
        panic!("{events:?}")
    };
    assert_eq!((*at, over, reference.as_str()), (house.now, &phone(), call));
    assert_eq!(given, &Some(description(OFFER)));
    (*leg, *replaces, *wanted)
}

#[test]
fn a_second_device_may_want_the_place_of_a_phone_that_talks() {
    let mut house = house();
    let invite = talking(&mut house);
    let (statuses, events) =
        asks(&mut house, "n", &format!("Require: replaces\r\n{}", name(&invite, "desk")));
    assert_eq!(statuses, [100], "route decides");
    let (new, replaced, wanted) = wants(&house, &events, "n");
    assert_eq!((replaced, wanted), (leg(9), Wanted::Always));
    // Route that died before it said anything is told again what it is.
    let SignallingEvent::Replacing { leg: again, .. } = house.again()[0] else { panic!("not said again") };
    assert_eq!(again, new);
    let written = house.written();
    house.restart(&written);
    assert_eq!(house.again().len(), 1);
    let memo = Memo("taken".into());
    house.command(SignallingCommand::Answer { leg: new, description: description(ANSWER), memo });
    let success = house.response();
    assert_eq!(success.status.0, 200);
    let supported = success.head.headers.tokens(&Name::Supported);
    assert!(supported.contains(&b"replaces".to_vec()));
    house.command(SignallingCommand::HangUp { leg: leg(9), cause: Cause::NormalClearing });
    let bye = house.sent().into_iter().find_map(|message| match message {
        sip_core::message::Message::Request(bye) => Some(bye),
        sip_core::message::Message::Response(_) => None,
    });
    let bye = bye.unwrap();
    assert_eq!((bye.method, &bye.head.call_id), (Method::Bye, &invite.head.call_id));
}

/// Guarded by the mutant `sip-early-only-ignored`.
#[test]
fn who_answered_keeps_the_call_where_only_ringing_is_wanted() {
    let mut house = house();
    let (_, invite) = house.dial(leg(9));
    let early = format!("{};early-only\r\n", name(&invite, "desk").trim_end());
    assert_eq!(asks(&mut house, "n0", &early).0, [481], "the phone has not said a word");
    house.reply(&invite, 180, "desk", "");
    house.events();
    let (statuses, events) = asks(&mut house, "n1", &early);
    assert_eq!(statuses, [100]);
    assert_eq!(wants(&house, &events, "n1").1, leg(9));
    assert_eq!(wants(&house, &events, "n1").2, Wanted::Ringing);
    house.reply(&invite, 200, "desk", OFFER);
    house.sent();
    house.events();
    assert_eq!(asks(&mut house, "n2", &early), (vec![486], vec![]));
}

#[test]
fn what_is_not_alive_or_not_ours_to_give_is_refused() {
    let mut house = house();
    let invite = talking(&mut house);
    let ours = String::from_utf8(invite.head.from.tag().unwrap().to_vec()).unwrap();
    let call = String::from_utf8(invite.head.call_id.clone()).unwrap();
    // A caller whom nobody has answered.
    house.offered("c1");
    let right = name(&invite, "desk");
    for (n, (headers, status)) in [
        (naming("c1", "x", "caller"), 481),
        (naming(&call, &ours, "other"), 481),
        (naming(&call, "other", "desk"), 481),
        (naming("other", &ours, "desk"), 481),
        // As the phone sees it, not as it is to be written for us.
        (naming(&call, "desk", &ours), 481),
        (format!("Replaces: {call};to-tag={ours}\r\n"), 400),
        ("Replaces: ;to-tag=a;from-tag=b\r\n".to_owned(), 400),
        ("Replaces: a\r\n".to_owned(), 400),
        (format!("{right}{right}"), 400),
        (format!("{right}Join: {call};to-tag={ours};from-tag=desk\r\n"), 400),
    ]
    .into_iter()
    .enumerate()
    {
        assert_eq!(asks(&mut house, &format!("w{n}"), &headers), (vec![status], vec![]), "{headers}");
    }
    let options = request("OPTIONS", "sip:192.0.2.1", "o", "o", "", 1, &right);
    house.datagram(CARRIER, &options);
    assert_eq!(house.statuses(), [400], "only an INVITE wants a place");
    // One that is over is known to have been, for a while.
    house.command(SignallingCommand::HangUp { leg: leg(9), cause: Cause::NormalClearing });
    house.pass(Duration::from_secs(40));
    house.sent();
    house.events();
    assert_eq!(asks(&mut house, "late", &right), (vec![603], vec![]));
}

#[test]
fn a_caller_who_is_not_answered_keeps_its_place() {
    let mut house = house();
    let offered = house.offered("c1");
    house.command(SignallingCommand::Ring { leg: offered, description: None, memo: memo("rings") });
    let tag = tag_of(&house.response());
    assert_eq!(asks(&mut house, "n", &naming("c1", &tag, "caller")), (vec![481], vec![]));
}

/// Guarded by the mutant `sip-carrier-replaces`.
#[test]
fn a_carrier_takes_nobodys_place() {
    let mut house = house();
    let invite = talking(&mut house);
    let wanted = house.invite("c1", &name(&invite, "desk"));
    house.datagram(CARRIER, &wanted);
    assert_eq!((house.statuses(), house.events()), (vec![403], vec![]));
}
