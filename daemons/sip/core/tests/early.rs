//! What those say who have not answered our call: reliably or not (RFC 3262 §4), one or several of them.

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "a test may stop at once")]

mod house;

use house::*;
use route_api::{Cause, EndedBy, SignallingCommand, SignallingEvent};
use sip_core::{
    Account, Core, Seed,
    digest::Credentials,
    message::{Message, Method, Name, Request, Status},
};
use std::time::Duration;

const OTHER: &str = "v=0\r\no=- 7 7 IN IP4 203.0.113.8\r\ns=-\r\nt=0 0\r\nm=audio 5000 RTP/AVP 0\r\n";

/// A call to the registered phone, and its INVITE.
fn dialled() -> (House, Request) {
    let mut house = House::new();
    assert_eq!(house.register(1, PASSWORD).status.0, 200);
    house.events();
    let (_, invite) = house.dial(leg(1));
    (house, invite)
}

/// A provisional response that wants to be acknowledged.
fn reliable(house: &mut House, invite: &Request, status: u16, tag: &str, rseq: u32, sdp: &str) {
    let mut response = invite.respond(Status(status)).tagged(tag.as_bytes());
    response = response.with(Name::Contact, format!("<sip:{tag}@10.0.0.5:5070>"));
    response = response.with(Name::Require, "100rel").with(Name::RSeq, rseq.to_string());
    if !sdp.is_empty() {
        response = response.with(Name::ContentType, "application/sdp");
        response.body = sdp.as_bytes().to_vec();
    }
    house.datagram(PHONE, &response.to_bytes());
}

fn rings(sdp: Option<&str>) -> SignallingEvent {
    SignallingEvent::Ringing { leg: leg(1), description: sdp.map(description) }
}

/// A PRACK of ours, as the phone reads it.
fn prack(house: &mut House) -> (String, Request) {
    let request = house.request();
    assert_eq!((&request.method, request.head.cseq.method.clone()), (&Method::Prack, Method::Prack));
    let rack = request.head.headers.first(&Name::RAck).unwrap();
    (String::from_utf8(rack.to_vec()).unwrap(), request)
}

/// A request of the phone within an early dialog.
fn asks(house: &mut House, invite: &Request, method: &str, tag: &str, number: u32, sdp: &str) {
    let from = String::from_utf8(invite.head.to.to_bytes()).unwrap();
    let to = String::from_utf8(invite.head.from.to_bytes()).unwrap();
    let call = String::from_utf8(invite.head.call_id.clone()).unwrap();
    let kind = if sdp.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
    let text = format!(
        "{method} sip:192.0.2.1:5060 SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.5:5070;branch=z9hG4bK{tag}{number};rport\r\n\
         From: {from};tag={tag}\r\nTo: {to}\r\nCall-ID: {call}\r\nCSeq: {number} {method}\r\nMax-Forwards: 70\r\n\
         Contact: <sip:{tag}@10.0.0.5:5070>\r\n{kind}Content-Length: {}\r\n\r\n{sdp}",
        sdp.len()
    );
    house.datagram(PHONE, text.as_bytes());
}

/// Guarded by the mutant `sip-rseq-in-any-order`.
#[test]
fn reliable_responses_are_acknowledged_in_order_and_once() {
    let (mut house, invite) = dialled();
    assert!(invite.head.headers.tokens(&Name::Supported).contains(&b"100rel".to_vec()));
    reliable(&mut house, &invite, 180, "p", 7, "");
    let (rack, first) = prack(&mut house);
    assert_eq!(rack, "7 1 INVITE");
    assert_eq!(first.uri.to_bytes(), b"sip:p@10.0.0.5:5070", "to the Contact of the early dialog");
    assert_eq!((first.head.to.tag(), first.head.cseq.number), (Some(&b"p"[..]), 2));
    assert_eq!(house.events(), [rings(None)]);
    reliable(&mut house, &invite, 180, "p", 7, "");
    reliable(&mut house, &invite, 183, "p", 9, OFFER);
    assert!(house.sent().is_empty() && house.events().is_empty(), "a copy, and one that comes too soon");
    house.pass(Duration::from_millis(600));
    assert_eq!(prack(&mut house).0, "7 1 INVITE", "its transaction repeats it");
    house.reply(&first, 200, "", "");
    reliable(&mut house, &invite, 183, "p", 8, OFFER);
    let (rack, second) = prack(&mut house);
    assert_eq!((rack.as_str(), second.head.cseq.number), ("8 1 INVITE", 3));
    assert_eq!(house.events(), [rings(Some(OFFER))]);
    house.reply(&second, 200, "", "");
    // RFC 3261 §13.2.1: what is described after the answer is not looked at.
    reliable(&mut house, &invite, 183, "p", 9, OTHER);
    let (_, third) = prack(&mut house);
    house.reply(&third, 200, "", "");
    assert!(house.events().is_empty());
    house.reply(&invite, 200, "p", OTHER);
    assert_eq!(
        house.events(),
        [SignallingEvent::Answered { leg: leg(1), description: Some(description(OFFER)) }]
    );
    assert_eq!(house.request().method, Method::Ack);
    house.command(SignallingCommand::HangUp { leg: leg(1), cause: Cause::NormalClearing });
    let bye = house.request();
    assert_eq!((bye.method, bye.head.cseq.number), (Method::Bye, 5), "the numbers go on");
}

#[test]
fn early_media_is_told_once_and_again_where_it_is_another() {
    let (mut house, invite) = dialled();
    house.reply(&invite, 183, "p", OFFER);
    house.reply(&invite, 183, "p", OFFER);
    assert_eq!(house.events(), [rings(Some(OFFER))]);
    house.reply(&invite, 180, "p", "");
    assert!(house.events().is_empty(), "that it rings was told with the sound");
    house.reply(&invite, 183, "p", OTHER);
    assert_eq!(house.events(), [rings(Some(OTHER))]);
    // It should have said it again (RFC 3261 §13.2.1); not all do.
    house.reply(&invite, 200, "p", "");
    assert_eq!(
        house.events(),
        [SignallingEvent::Answered { leg: leg(1), description: Some(description(OTHER)) }]
    );
}

#[test]
fn a_2xx_without_any_description_is_no_answer() {
    let (mut house, invite) = dialled();
    house.reply(&invite, 180, "p", "");
    house.events();
    house.reply(&invite, 200, "p", "");
    let sent = house.sent();
    let methods: Vec<_> =
        sent.iter().map(|m| if let Message::Request(r) = m { &r.method } else { panic!() }).collect();
    assert_eq!(methods, [&Method::Ack, &Method::Bye]);
    assert_eq!(house.ends(), [(leg(1), Cause::Interworking, EndedBy::Failure)]);
}

#[test]
fn an_acknowledged_answer_need_not_be_given_again() {
    let (mut house, invite) = dialled();
    reliable(&mut house, &invite, 183, "p", 1, OFFER);
    let (_, ours) = prack(&mut house);
    house.reply(&ours, 200, "", "");
    house.events();
    house.reply(&invite, 200, "p", "");
    assert_eq!(
        house.events(),
        [SignallingEvent::Answered { leg: leg(1), description: Some(description(OFFER)) }]
    );
}

/// Guarded by the mutant `sip-fork-numbers-forgotten`.
#[test]
fn each_device_that_rings_has_its_own_dialog_and_the_2xx_decides() {
    let (mut house, invite) = dialled();
    reliable(&mut house, &invite, 183, "one", 100, OFFER);
    let (rack, first) = prack(&mut house);
    assert_eq!(rack, "100 1 INVITE");
    reliable(&mut house, &invite, 183, "two", 5, OTHER);
    let (rack, second) = prack(&mut house);
    assert_eq!((rack.as_str(), second.head.cseq.number), ("5 1 INVITE", 2), "each dialog counts for itself");
    assert_eq!(second.uri.to_bytes(), b"sip:two@10.0.0.5:5070");
    assert_eq!(house.events(), [rings(Some(OFFER)), rings(Some(OTHER))], "the latest is heard");
    reliable(&mut house, &invite, 183, "one", 100, OFFER);
    assert!(house.events().is_empty(), "a copy does not bring the first back");
    house.reply(&first, 200, "", "");
    house.reply(&second, 200, "", "");
    house.sent();
    // The first answers, with what it said early.
    house.reply(&invite, 200, "one", OFFER);
    assert_eq!(
        house.events(),
        [SignallingEvent::Answered { leg: leg(1), description: Some(description(OFFER)) }]
    );
    assert_eq!(house.request().head.to.tag(), Some(&b"one"[..]));
    // The other has answered as well, before the proxy could stop it.
    house.reply(&invite, 200, "two", OTHER);
    let [Message::Request(ack), Message::Request(bye)] = &house.sent()[..] else { panic!("not two") };
    assert_eq!((&ack.method, ack.head.to.tag(), ack.head.cseq.number), (&Method::Ack, Some(&b"two"[..]), 1));
    assert_eq!((&bye.method, bye.head.to.tag()), (&Method::Bye, Some(&b"two"[..])));
    assert_eq!(bye.head.cseq.number, 3, "after its PRACK");
    assert!(house.events().is_empty());
}

#[test]
fn a_fork_that_crosses_our_cancel_is_ended_with_its_own_numbers() {
    let (mut house, invite) = dialled();
    reliable(&mut house, &invite, 180, "one", 1, "");
    let (_, ours) = prack(&mut house);
    house.reply(&ours, 200, "", "");
    house.events();
    house.command(SignallingCommand::HangUp { leg: leg(1), cause: Cause::NormalClearing });
    assert_eq!(house.request().method, Method::Cancel);
    house.reply(&invite, 200, "one", OFFER);
    let [Message::Request(ack), Message::Request(bye)] = &house.sent()[..] else { panic!("not two") };
    assert_eq!((&ack.method, &bye.method, bye.head.cseq.number), (&Method::Ack, &Method::Bye, 3));
}

/// Guarded by the mutant `sip-forks-without-end`.
#[test]
fn not_more_than_eight_are_heard() {
    let (mut house, invite) = dialled();
    for device in 0..20 {
        reliable(&mut house, &invite, 180, &format!("d{device}"), 1, "");
    }
    assert_eq!(house.sent().len(), 8);
    assert_eq!(house.core.counters().forks_unheard, 12);
    house.reply(&invite, 200, "d15", OFFER);
    assert_eq!(house.events().len(), 2, "one that was not heard may answer all the same");
}

#[test]
fn a_new_offer_of_the_called_side_is_put_to_route() {
    let (mut house, invite) = dialled();
    house.reply(&invite, 183, "p", OFFER);
    house.events();
    asks(&mut house, &invite, "UPDATE", "p", 1, OTHER);
    assert_eq!(house.statuses(), [491], "RFC 3311 §5.2: our offer has no answer that was acknowledged");
    asks(&mut house, &invite, "UPDATE", "x", 1, OTHER);
    assert_eq!(house.statuses(), [481], "no such dialog");
    reliable(&mut house, &invite, 183, "p", 1, OFFER);
    let (_, ours) = prack(&mut house);
    house.reply(&ours, 200, "", "");
    house.events();
    asks(&mut house, &invite, "UPDATE", "p", 2, OTHER);
    assert_eq!(house.events(), [SignallingEvent::Changing { leg: leg(1), description: description(OTHER) }]);
    asks(&mut house, &invite, "UPDATE", "p", 3, OTHER);
    assert_eq!(house.statuses(), [500]);
    house.command(SignallingCommand::Change { leg: leg(1), description: Some(description(ANSWER)) });
    let ok = house.response();
    assert_eq!((ok.status.0, ok.body.as_slice()), (200, ANSWER.as_bytes()));
    asks(&mut house, &invite, "PRACK", "p", 4, "");
    asks(&mut house, &invite, "INFO", "p", 5, "");
    asks(&mut house, &invite, "BYE", "p", 6, "");
    asks(&mut house, &invite, "UPDATE", "p", 6, "");
    assert_eq!(
        house.statuses(),
        [481, 200, 500, 500],
        "a callee has no BYE before it answers (RFC 3261 §15)"
    );
    house.reply(&invite, 200, "p", "");
    assert_eq!(
        house.events(),
        [SignallingEvent::Answered { leg: leg(1), description: None }],
        "media has it"
    );
    house.sent();
    asks(&mut house, &invite, "BYE", "p", 7, "");
    assert_eq!(house.statuses(), [200]);
}

#[test]
fn a_refusal_leaves_no_offer_without_an_answer() {
    let (mut house, invite) = dialled();
    reliable(&mut house, &invite, 183, "p", 1, OFFER);
    let (_, ours) = prack(&mut house);
    house.reply(&ours, 200, "", "");
    asks(&mut house, &invite, "UPDATE", "p", 2, OTHER);
    house.events();
    house.reply(&invite, 486, "p", "");
    let mut statuses = house.statuses();
    statuses.sort_unstable();
    assert_eq!(statuses, [0, 487], "ACK of the refusal, and 487 to the UPDATE");
    assert_eq!(house.ends(), [(leg(1), Cause::UserBusy, EndedBy::Peer)]);
}

#[test]
fn a_prack_without_an_answer_does_not_end_the_call() {
    let (mut house, invite) = dialled();
    reliable(&mut house, &invite, 180, "p", 1, "");
    house.events();
    house.pass(Duration::from_secs(40));
    let pracks = house.sent().len();
    assert_eq!(pracks, 11, "RFC 3261 §17.1.2.2, timer E");
    assert!(house.events().is_empty());
    house.reply(&invite, 200, "p", OFFER);
    assert_eq!(
        house.events(),
        [SignallingEvent::Answered { leg: leg(1), description: Some(description(OFFER)) }]
    );
}

/// A carrier may want a proof with each request (RFC 3261 §22.2).
#[test]
fn a_prack_is_proved_where_the_carrier_asks() {
    let mut settings = settings();
    settings.trunks[0].account = Some(Account {
        credentials: Credentials { user: "021".into(), password: PASSWORD.into() },
        user: "021".into(),
        domain: "ims.example.cn".into(),
        register: None,
    });
    let mut house = House::of(Core::new(settings, Seed([7; 32])));
    house.dial_number(leg(1), "01088886666");
    let invite = house.request();
    let mut sounds = invite.respond(Status(183)).tagged(b"p").with(Name::Require, "100rel");
    sounds = sounds.with(Name::RSeq, "4").with(Name::Contact, "<sip:p@198.51.100.7:5060>");
    sounds = sounds.with(Name::ContentType, "application/sdp");
    sounds.body = OFFER.as_bytes().to_vec();
    house.datagram(CARRIER, &sounds.to_bytes());
    let first = house.request();
    let challenge = "Digest realm=\"x\", nonce=\"n\", algorithm=MD5, qop=\"auth\"";
    let asked = first.respond(Status(407)).with(Name::ProxyAuthenticate, challenge);
    house.datagram(CARRIER, &asked.to_bytes());
    let second = house.request();
    assert!(second.method == Method::Prack && second.head.headers.first(&Name::ProxyAuthorization).is_some());
    assert_eq!(
        (second.head.headers.first(&Name::RAck), second.head.cseq.number),
        (Some(&b"4 1 INVITE"[..]), 3)
    );
    house.datagram(CARRIER, &second.respond(Status(200)).to_bytes());
    house.command(SignallingCommand::HangUp { leg: leg(1), cause: Cause::NormalClearing });
    house.sent();
    let mut ok = invite.respond(Status(200)).tagged(b"p").with(Name::Contact, "<sip:p@198.51.100.7:5060>");
    ok.body.clear();
    house.datagram(CARRIER, &ok.to_bytes());
    let [Message::Request(_), Message::Request(bye)] = &house.sent()[..] else { panic!("not two") };
    assert_eq!((&bye.method, bye.head.cseq.number), (&Method::Bye, 4), "its number counts");
}

#[test]
fn a_kill_forgets_no_early_dialog() {
    let (mut house, invite) = dialled();
    reliable(&mut house, &invite, 183, "one", 3, OFFER);
    reliable(&mut house, &invite, 180, "two", 9, "");
    house.sent();
    let written = house.written();
    house.restart(&written);
    house.events();
    house.sent();
    reliable(&mut house, &invite, 183, "one", 3, OFFER);
    assert!(house.sent().is_empty() && house.events().is_empty(), "a copy of what an earlier life has taken");
    house.pass(Duration::from_millis(600));
    assert_eq!(house.sent().len(), 2, "its PRACKs are repeated");
    reliable(&mut house, &invite, 183, "two", 10, OTHER);
    assert_eq!(prack(&mut house).0, "10 1 INVITE");
    assert_eq!(house.events(), [rings(Some(OTHER))]);
    house.reply(&invite, 200, "one", "");
    assert_eq!(
        house.events(),
        [SignallingEvent::Answered { leg: leg(1), description: Some(description(OFFER)) }]
    );
}
