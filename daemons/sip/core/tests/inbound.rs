//! Calls that come in over a trunk: offer, ring, answer, cancel, hang up.

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "a test may stop at once")]

mod house;

use house::*;
use route_api::{Cause, EndedBy, Party, SignallingCommand, SignallingEvent};
use sip_core::message::{Message, Method, Name, Status};
use std::time::Duration;
use types::Pii;

fn answer(leg: types::LegId) -> SignallingCommand {
    SignallingCommand::Answer { leg, description: description(ANSWER), memo: memo("m") }
}

#[test]
fn an_invite_is_tried_at_once_and_offered() {
    let mut house = House::new();
    let invite = house.invite("c1", "");
    house.datagram(CARRIER, &invite);
    assert_eq!(house.response().status.0, 100);
    let events = house.events();
    let [SignallingEvent::Offered { over, from, dialled, description: offer, reference, .. }] = &events[..]
    else {
        panic!("{events:?}")
    };
    assert_eq!(*over, carrier());
    assert_eq!(*from, Party { number: Pii::new("13800138000".into()), display: Some(Pii::new("Li".into())) });
    assert_eq!((dialled.as_str(), reference.as_str()), ("400", "c1"));
    assert_eq!(*offer, Some(description(OFFER)));
    house.datagram(CARRIER, &invite);
    assert_eq!(house.response().status.0, 100, "a copy is answered, not offered again");
    assert!(house.events().is_empty());
}

#[test]
fn ring_answer_ack_and_the_callers_bye() {
    let mut house = House::new();
    let invite = house.invite("c1", "Record-Route: <sip:198.51.100.1;lr>\r\n");
    house.datagram(CARRIER, &invite);
    house.sent();
    let Some(SignallingEvent::Offered { leg, .. }) = house.events().pop() else { panic!("not offered") };
    house.command(SignallingCommand::Ring { leg, description: None, memo: memo("ringing") });
    let ringing = house.response();
    assert_eq!(ringing.status.0, 180);
    house.command(answer(leg));
    let ok = house.response();
    assert_eq!((ok.status.0, ok.body.as_slice()), (200, ANSWER.as_bytes()));
    assert_eq!(tag_of(&ok), tag_of(&ringing), "one dialog");
    assert_eq!(ok.head.headers.first(&Name::RecordRoute), Some(&b"<sip:198.51.100.1;lr>"[..]));
    assert_eq!(ok.head.headers.first(&Name::Contact), Some(&b"<sip:192.0.2.1:5060>"[..]));
    let ack = request("ACK", "sip:192.0.2.1:5060", "a", "c1", &tag_of(&ok), 1, "");
    house.datagram(CARRIER, &ack);
    assert_eq!(house.events(), [SignallingEvent::Confirmed { leg, description: None }]);
    house.pass(Duration::from_secs(40));
    assert!(house.sent().is_empty(), "nothing is repeated after the ACK");
    let bye = request("BYE", "sip:192.0.2.1:5060", "b", "c1", &tag_of(&ok), 2, "Reason: Q.850;cause=17\r\n");
    house.datagram(CARRIER, &bye);
    assert_eq!(house.response().status.0, 200);
    assert_eq!(house.ends(), [(leg, Cause::UserBusy, EndedBy::Peer)]);
    house.datagram(CARRIER, &bye);
    assert_eq!(house.response().status.0, 200, "a copy of the BYE is answered by its transaction");
    let late = request("BYE", "sip:192.0.2.1:5060", "b2", "c1", &tag_of(&ok), 3, "");
    house.datagram(CARRIER, &late);
    assert_eq!(house.response().status.0, 481);
    assert!(house.events().is_empty(), "one end for each leg");
}

/// Guarded by the mutant `sip-no-2xx-retransmission`.
#[test]
fn a_2xx_is_repeated_until_its_ack() {
    let mut house = House::new();
    let leg = house.offered("c1");
    house.command(answer(leg));
    let tag = tag_of(&house.response());
    house.pass(Duration::from_millis(3_600));
    assert_eq!(house.statuses(), [200, 200, 200], "after 0.5, 1.5 and 3.5 s");
    house.datagram(CARRIER, &request("ACK", "sip:192.0.2.1", "a", "c1", &tag, 1, ""));
    house.pass(Duration::from_secs(60));
    assert!(house.sent().is_empty());
}

#[test]
fn without_an_ack_the_dialog_is_ended() {
    let mut house = House::new();
    let leg = house.offered("c1");
    house.command(answer(leg));
    house.sent();
    house.pass(Duration::from_secs(33));
    let requests: Vec<_> = house.sent().into_iter().filter(|m| matches!(m, Message::Request(_))).collect();
    let Message::Request(bye) = &requests[0] else { panic!("no BYE") };
    assert_eq!(bye.method, Method::Bye);
    assert_eq!(house.ends(), [(leg, Cause::RecoveryOnTimerExpiry, EndedBy::Failure)]);
}

#[test]
fn cancel_ends_what_is_not_answered() {
    let mut house = House::new();
    let leg = house.offered("c1");
    house.datagram(CARRIER, &request("CANCEL", "sip:400@192.0.2.1", "invc1", "c1", "", 1, ""));
    assert_eq!(house.statuses(), [200, 487]);
    assert_eq!(house.ends(), [(leg, Cause::NormalUnspecified, EndedBy::Peer)]);
    house.command(answer(leg));
    assert!(house.sent().is_empty(), "a command that crossed the CANCEL is dropped");
    house.pass(Duration::from_millis(600));
    assert_eq!(house.statuses(), [487], "Timer G");
    let ack = request("ACK", "sip:400@192.0.2.1", "invc1", "c1", "x", 1, "");
    house.datagram(CARRIER, &ack);
    house.pass(Duration::from_secs(40));
    assert!(house.sent().is_empty());
    house.datagram(CARRIER, &request("CANCEL", "sip:400@192.0.2.1", "none", "c1", "", 1, ""));
    assert_eq!(house.statuses(), [481]);
}

#[test]
fn cancel_after_the_answer_changes_nothing() {
    let mut house = House::new();
    let leg = house.offered("c1");
    house.command(answer(leg));
    house.sent();
    house.datagram(CARRIER, &request("CANCEL", "sip:400@192.0.2.1", "invc1", "c1", "", 1, ""));
    assert_eq!(house.statuses(), [200]);
    assert!(house.events().is_empty());
}

#[test]
fn route_refuses_with_a_cause() {
    for (cause, status) in [
        (Cause::UserBusy, 486),
        (Cause::UnallocatedNumber, 404),
        (Cause::NoCircuitAvailable, 503),
        (Cause::TemporaryFailure, 503),
        (Cause::BearerCapabilityNotImplemented, 488),
        (Cause::NormalClearing, 480),
    ] {
        let mut house = House::new();
        let leg = house.offered("c1");
        house.command(SignallingCommand::HangUp { leg, cause });
        let refusal = house.response();
        assert_eq!(refusal.status.0, status);
        let reason = format!("Q.850;cause={}", cause.q850());
        assert_eq!(refusal.head.headers.first(&Name::Reason), Some(reason.as_bytes()));
        let again = (cause == Cause::TemporaryFailure).then_some(&b"2"[..]);
        assert_eq!(refusal.head.headers.first(&Name::RetryAfter), again, "what passes is worth another call");
        let tag = tag_of(&refusal);
        house.datagram(CARRIER, &request("ACK", "sip:400@192.0.2.1", "invc1", "c1", &tag, 1, ""));
        assert_eq!(house.ends(), [(leg, cause, EndedBy::House)]);
    }
}

#[test]
fn a_bye_of_ours_waits_for_the_ack() {
    let mut house = House::new();
    let leg = house.offered("c1");
    house.command(answer(leg));
    let tag = tag_of(&house.response());
    house.command(SignallingCommand::HangUp { leg, cause: Cause::NormalClearing });
    assert!(house.sent().is_empty(), "RFC 3261 §15");
    house.datagram(CARRIER, &request("ACK", "sip:192.0.2.1", "a", "c1", &tag, 1, ""));
    let bye = house.request();
    assert_eq!((&bye.method, house.events()), (&Method::Bye, vec![]));
    house.reply(&bye, 200, "", "");
    assert_eq!(house.ends(), [(leg, Cause::NormalClearing, EndedBy::House)]);
}

#[test]
fn our_bye_is_repeated_until_answered() {
    let mut house = House::new();
    let (leg, _) = house.established("c1");
    house.command(SignallingCommand::HangUp { leg, cause: Cause::NormalClearing });
    let bye = house.request();
    assert_eq!(bye.uri.to_bytes(), b"sip:13800138000@198.51.100.7:5060");
    assert_eq!(bye.head.headers.first(&Name::Reason), Some(&b"Q.850;cause=16"[..]));
    house.pass(Duration::from_millis(600));
    assert_eq!(house.request(), bye, "Timer E");
    house.reply(&bye, 200, "", "");
    assert_eq!(house.ends(), [(leg, Cause::NormalClearing, EndedBy::House)]);
    house.pass(Duration::from_secs(40));
    assert!(house.sent().is_empty());
}

#[test]
fn an_invite_without_an_offer_asks_for_ours() {
    let mut house = House::new();
    let invite =
        request("INVITE", "sip:400@192.0.2.1", "i", "c1", "", 1, "Contact: <sip:a@198.51.100.7>\r\n");
    house.datagram(CARRIER, &invite);
    house.sent();
    let Some(SignallingEvent::Offered { leg, description: None, .. }) = house.events().pop() else {
        panic!("not offered")
    };
    house.command(answer(leg));
    let tag = tag_of(&house.response());
    let rest = format!("Content-Type: application/sdp\r\n\r\n{OFFER}");
    house.datagram(CARRIER, &request("ACK", "sip:192.0.2.1", "a", "c1", &tag, 1, &rest));
    assert_eq!(house.events(), [SignallingEvent::Confirmed { leg, description: Some(description(OFFER)) }]);
}

#[test]
fn a_gbk_caller_name_is_offered_in_chinese() {
    let mut house = House::new();
    let mut invite = house.invite("c1", "");
    let at = invite.windows(4).position(|w| w == b"\"Li\"").unwrap();
    invite.splice(at..at + 4, [&b"\""[..], &[0xd5, 0xc5, 0xd5, 0x5c], b"\""].concat());
    house.datagram(CARRIER, &invite);
    let Some(SignallingEvent::Offered { from, .. }) = house.events().pop() else { panic!("not offered") };
    assert_eq!(from.display.unwrap().reveal(), "张誠");
}

/// RFC 3261 §8.1.1.8 wants a Contact of who calls, RFC 2543 did not, and neither §8.2 nor §12.1.1 has a call refused
/// for the lack of one: RFC 4475 §3.4.1 wants the caller served. It is called back by its From, over the path by which it
/// came. A Contact that is there and of no use is another matter: 400.
#[test]
fn a_caller_of_rfc_2543_without_contact_is_served() {
    let mut house = House::new();
    let old = format!(
        "INVITE sip:400@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP 198.51.100.7\r\nFrom: <sip:13800138000@gw.example.com>\r\n\
         To: sip:400@192.0.2.1\r\nCall-ID: old\r\nCSeq: 56 INVITE\r\nContent-Type: application/sdp\r\n\r\n{OFFER}"
    );
    house.datagram(CARRIER, old.as_bytes());
    house.sent();
    let Some(SignallingEvent::Offered { leg, .. }) = house.events().pop() else { panic!("not offered") };
    house.command(answer(leg));
    let success = house.response();
    let tag = tag_of(&success);
    let ack = format!(
        "ACK sip:192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP 198.51.100.7\r\nFrom: <sip:13800138000@gw.example.com>\r\n\
         To: <sip:400@192.0.2.1>;tag={tag}\r\nCall-ID: old\r\nCSeq: 56 ACK\r\n\r\n"
    );
    house.datagram(CARRIER, ack.as_bytes());
    assert_eq!(house.events(), [SignallingEvent::Confirmed { leg, description: None }], "no tag is a tag");
    house.command(SignallingCommand::HangUp { leg, cause: Cause::NormalClearing });
    let sent = house.sent_to();
    let [(to, Message::Request(bye))] = &sent[..] else { panic!("{sent:?}") };
    assert_eq!(to.to_string(), CARRIER);
    assert_eq!(bye.uri.to_bytes(), b"sip:13800138000@gw.example.com");
    for useless in ["Contact: *\r\n", "Contact: <mailto:a@h>, <\r\n"] {
        let invite = request("INVITE", "sip:400@192.0.2.1", "u", "c9", "", 1, useless);
        let mut house = House::new();
        house.datagram(CARRIER, &invite);
        assert_eq!(house.statuses(), [400], "{useless}");
    }
}

/// A phone that answers without a Contact is off the hook all the same: it is talked with, and let go.
#[test]
fn a_phone_that_answers_without_contact_is_not_left_off_the_hook() {
    let mut house = House::new();
    house.register(1, PASSWORD);
    house.events();
    let (_, invite) = house.dial(leg(9));
    let mut ok = invite.respond(Status(200)).tagged(b"phone").with(Name::ContentType, "application/sdp");
    ok.body = OFFER.as_bytes().to_vec();
    house.datagram(PHONE, &ok.to_bytes());
    assert_eq!(house.request().method, Method::Ack);
    assert!(matches!(house.events()[..], [SignallingEvent::Answered { .. }]));
    house.command(SignallingCommand::HangUp { leg: leg(9), cause: Cause::NormalClearing });
    let bye = house.request();
    assert_eq!((bye.method.clone(), bye.uri.to_bytes()), (Method::Bye, invite.uri.to_bytes()));
}

#[test]
fn nobody_rings_for_ever() {
    let mut house = House::new();
    let leg = house.offered("c1");
    house.pass(Duration::from_secs(181));
    assert_eq!(house.statuses(), [480]);
    assert_eq!(house.ends(), [(leg, Cause::NoAnswer, EndedBy::Failure)]);
}

/// Guarded by the mutant `sip-privacy-ignored`.
#[test]
fn who_calls_is_what_the_carrier_vouches_for_unless_it_is_withheld() {
    let asserted =
        "P-Asserted-Identity: \"Wang\" <sip:01088886666@carrier.example>, <tel:+8601088886666>\r\n";
    for (headers, number, display) in [
        ("", "13800138000", Some("Li")),
        (asserted, "01088886666", Some("Wang")),
        ("P-Asserted-Identity: <tel:+86-10-8888>\r\n", "+86108888", Some("Li")),
        (&format!("{asserted}Privacy: id\r\n"), "", None),
        (&format!("{asserted}Privacy: header;User\r\n"), "", None),
        (&format!("{asserted}Privacy: none\r\n"), "01088886666", Some("Wang")),
        ("P-Asserted-Identity: <sip:carrier.example>\r\n", "13800138000", Some("Li")),
        ("P-Asserted-Identity: \"\r\n", "13800138000", Some("Li")),
    ] {
        let mut house = House::new();
        let invite = house.invite("c1", headers);
        house.datagram(CARRIER, &invite);
        match house.events().pop() {
            Some(SignallingEvent::Offered { from, .. }) => {
                let shown = from.display.map(|display| display.reveal().clone());
                assert_eq!((from.number.reveal().as_str(), shown.as_deref()), (number, display), "{headers}");
            }
            other => panic!("{other:?}: {headers}"),
        }
    }
}
