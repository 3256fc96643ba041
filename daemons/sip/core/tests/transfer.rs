//! A peer asks to be replaced (REFER), and is told how it goes.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may stop at once")]

mod house;

use house::*;
use route_api::{Cause, EndedBy, SignallingCommand, SignallingEvent, TransferProgress};
use sip_core::message::{Message, Method, Name, Request};
use std::time::Duration;
use types::LegId;

fn refer(branch: &str, tag: &str, number: u32, headers: &str) -> Vec<u8> {
    request("REFER", "sip:192.0.2.1:5060", branch, "c1", tag, number, headers)
}

fn goes(leg: LegId, progress: TransferProgress) -> SignallingCommand {
    SignallingCommand::Transfer { leg, progress }
}

fn header(request: &Request, name: &Name) -> String {
    String::from_utf8(request.head.headers.first(name).unwrap_or_default().to_vec()).unwrap()
}

/// What the one NOTIFY says: its fragment, and the state of the subscription.
fn notified(house: &mut House, number: u32) -> (String, String) {
    let notify = house.request();
    assert_eq!((notify.method.clone(), notify.head.cseq.number), (Method::Notify, number));
    assert_eq!(header(&notify, &Name::Event), "refer;id=2");
    assert_eq!(header(&notify, &Name::ContentType), "message/sipfrag;version=2.0");
    house.datagram(CARRIER, &notify.respond(sip_core::message::Status(200)).to_bytes());
    let fragment = String::from_utf8(notify.body.clone()).unwrap();
    (fragment, header(&notify, &Name::SubscriptionState))
}

/// Guarded by the mutant `sip-transferor-not-told`.
#[test]
fn the_transferor_is_told_how_it_goes() {
    let mut house = House::new();
    let (leg, tag) = house.established("c1");
    house.datagram(CARRIER, &refer("r", &tag, 2, "Refer-To: <sip:8002@192.0.2.1>\r\n"));
    let asked = SignallingEvent::Transferring { leg, to: "8002".into(), replaces: None };
    assert_eq!(house.events(), [asked]);
    assert!(house.sent().is_empty(), "route decides");
    house.command(goes(leg, TransferProgress::Accepted));
    let mut sent = house.sent();
    assert!(matches!(&sent[0], Message::Response(accepted) if accepted.status.0 == 202));
    let Message::Request(notify) = sent.remove(1) else { panic!("no NOTIFY") };
    assert_eq!(notify.body, b"SIP/2.0 100 Trying\r\n");
    assert_eq!(header(&notify, &Name::SubscriptionState), "active;expires=180");
    house.datagram(CARRIER, &notify.respond(sip_core::message::Status(200)).to_bytes());
    house.datagram(CARRIER, &refer("r2", &tag, 3, "Refer-To: <sip:8003@192.0.2.1>\r\n"));
    assert_eq!(house.statuses(), [500], "one at a time");
    house.command(goes(leg, TransferProgress::Ringing));
    assert_eq!(notified(&mut house, 2).0, "SIP/2.0 180 Ringing\r\n");
    house.command(goes(leg, TransferProgress::Done));
    let last = ("SIP/2.0 200 OK\r\n".to_owned(), "terminated;reason=noresource".to_owned());
    assert_eq!(notified(&mut house, 3), last);
    house.command(goes(leg, TransferProgress::Done));
    house.command(SignallingCommand::HangUp { leg, cause: Cause::NormalClearing });
    assert_eq!(house.request().method, Method::Bye);
}

#[test]
fn a_transfer_that_fails_leaves_the_call_and_may_be_asked_again() {
    let mut house = House::new();
    let (leg, tag) = house.established("c1");
    house.datagram(CARRIER, &refer("r", &tag, 2, "r: tel:+86-10-8002;phone-context=+86\r\n"));
    let asked = SignallingEvent::Transferring { leg, to: "+86108002".into(), replaces: None };
    assert_eq!(house.events(), [asked]);
    house.command(goes(leg, TransferProgress::Accepted));
    house.sent();
    house.command(goes(leg, TransferProgress::Failed { cause: Cause::UserBusy }));
    let last = ("SIP/2.0 486 Busy Here\r\n".to_owned(), "terminated;reason=noresource".to_owned());
    assert_eq!(notified(&mut house, 2), last);
    house.pass(Duration::from_secs(40));
    house.sent();
    house.datagram(CARRIER, &refer("r3", &tag, 3, "Refer-To: <sip:8003@192.0.2.1>\r\n"));
    assert_eq!(house.events().len(), 1);
    house.command(goes(leg, TransferProgress::Failed { cause: Cause::CallRejected }));
    let refused = house.response();
    assert_eq!(refused.status.0, 603, "the dialog goes on (RFC 5057)");
    assert_eq!(refused.head.headers.first(&Name::Reason).unwrap(), b"Q.850;cause=21");
    assert_eq!(house.core.attach().legs.len(), 1);
}

#[test]
fn who_wants_no_word_gets_none() {
    let mut house = House::new();
    let (leg, tag) = house.established("c1");
    let headers = "Refer-To: <sip:8002@h>\r\nRefer-Sub: false\r\nRequire: norefersub\r\n";
    house.datagram(CARRIER, &refer("r", &tag, 2, headers));
    house.events();
    house.command(goes(leg, TransferProgress::Accepted));
    let accepted = house.response();
    assert_eq!((accepted.status.0, accepted.head.headers.first(&Name::ReferSub)), (200, Some(&b"false"[..])));
    house.command(goes(leg, TransferProgress::Done));
    assert!(house.sent().is_empty());
}

#[test]
fn replaces_names_another_leg_of_the_same_house() {
    let mut house = House::new();
    let (leg, tag) = house.established("c1");
    let (consulted, other) = house.established("c2");
    let replaces = format!("<sip:8002@h?Replaces=c2%3Bto-tag%3D{other}%3Bfrom-tag%3Dcaller>");
    house.datagram(CARRIER, &refer("r", &tag, 2, &format!("Refer-To: {replaces}\r\n")));
    let asked = SignallingEvent::Transferring { leg, to: "8002".into(), replaces: Some(consulted) };
    assert_eq!(house.events(), [asked]);
    house.command(goes(leg, TransferProgress::Done));
    let sent = house.sent();
    assert!(matches!(&sent[0], Message::Response(accepted) if accepted.status.0 == 202));
    assert!(matches!(&sent[1], Message::Request(last) if last.body == b"SIP/2.0 200 OK\r\n"));
    let mut number = 2;
    for unknown in ["c3%3Bto-tag%3Dx%3Bfrom-tag%3Dcaller", "c2%3Bto-tag%3Dx", "c2", "%3B%3B%3B"] {
        number += 1;
        let headers = format!("Refer-To: <sip:8002@h?Replaces={unknown}>\r\n");
        house.datagram(CARRIER, &refer(&format!("u{number}"), &tag, number, &headers));
        assert_eq!(house.statuses(), [603], "{unknown}");
    }
    assert!(house.events().is_empty());
}

#[test]
fn what_is_no_transfer_is_refused() {
    let mut house = House::new();
    let (_, tag) = house.established("c1");
    for (number, headers, status) in [
        (2, "", 400),
        (3, "Refer-To: <sip:a@h>, <sip:b@h>\r\n", 400),
        (4, "Refer-To: <sip:8002@h;method=BYE>\r\n", 400),
        (5, "Refer-To: <http://h/>\r\n", 400),
        (6, "Refer-To: <sip:h>\r\n", 400),
        (7, "Refer-To: <sip:8002@h>\r\nRequire: teleport\r\n", 420),
    ] {
        house.datagram(CARRIER, &refer(&format!("n{number}"), &tag, number, headers));
        assert_eq!(house.statuses(), [status], "{headers}");
    }
    assert!(house.events().is_empty());
}

#[test]
fn route_that_says_nothing_and_a_peer_that_hangs_up_leave_nothing_open() {
    let mut house = House::new();
    let (leg, tag) = house.established("c1");
    house.datagram(CARRIER, &refer("r", &tag, 2, "Refer-To: <sip:8002@h>\r\n"));
    house.pass(Duration::from_secs(8));
    assert_eq!(house.statuses(), [500]);
    house.datagram(CARRIER, &refer("r3", &tag, 3, "Refer-To: <sip:8002@h>\r\n"));
    house.events();
    let written = house.written();
    house.restart(&written);
    // What was asked is known after a kill, and said again to a route that may not have heard it.
    let asked = SignallingEvent::Transferring { leg, to: "8002".into(), replaces: None };
    assert_eq!(house.events(), [asked]);
    house.command(goes(leg, TransferProgress::Accepted));
    assert_eq!(house.sent().len(), 2);
    house.pass(Duration::from_secs(200));
    let last = house.sent().pop().unwrap();
    assert!(matches!(last, Message::Request(last) if last.body == b"SIP/2.0 408 Request Timeout\r\n"));
    house.datagram(CARRIER, &refer("r4", &tag, 4, "Refer-To: <sip:8002@h>\r\n"));
    house.events();
    house.datagram(CARRIER, &request("BYE", "sip:192.0.2.1", "b", "c1", &tag, 5, ""));
    assert_eq!(house.statuses(), [200, 487]);
    assert_eq!(house.ends(), [(leg, Cause::NormalClearing, EndedBy::Peer)]);
    house.command(goes(leg, TransferProgress::Done));
    assert!(house.sent().is_empty());
}
