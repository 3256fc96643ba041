//! Carriers and phones that send a call elsewhere: 301, 302, 305.

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "a test may stop at once")]

mod house;

use house::*;
use route_api::{Cause, EndedBy, SignallingEvent};
use sip_core::{
    Account, Core, Redirects, Seed,
    digest::Credentials,
    message::{Message, Method, Name, Request, Status},
};
use std::net::SocketAddr;

const STANDBY: &str = "198.51.100.9:5060";
const STRANGER: &str = "203.0.113.66:5060";

fn house(redirects: Redirects) -> House {
    let mut settings = settings();
    settings.trunks[0].redirects = redirects;
    settings.trunks[0].targets.push(STANDBY.parse().unwrap());
    settings.trunks[0].account = Some(Account {
        credentials: Credentials { user: "021".into(), password: PASSWORD.into() },
        user: "021".into(),
        domain: "ims.example.cn".into(),
        register: None,
    });
    House::of(Core::new(settings, Seed([7; 32])))
}

fn dial(house: &mut House) -> Request {
    house.dial_number(leg(1), "01088886666");
    invite(house).unwrap().1
}

fn invite(house: &mut House) -> Option<(SocketAddr, Request)> {
    house.sent_to().into_iter().find_map(|(to, message)| match message {
        Message::Request(request) if request.method == Method::Invite => Some((to, request)),
        _ => None,
    })
}

fn send_on(house: &mut House, from: SocketAddr, invite: &Request, status: u16, contacts: &str) {
    let response = invite.respond(Status(status)).tagged(b"r").with(Name::Contact, contacts);
    house.datagram(&from.to_string(), &response.to_bytes());
}

fn refused(house: &mut House) {
    assert!(invite(house).is_none(), "nobody else is called");
    assert_eq!(house.ends(), [(leg(1), Cause::RedirectionToNewDestination, EndedBy::Peer)]);
}

/// Guarded by the mutant `sip-redirected-anywhere`.
#[test]
fn by_default_no_call_is_sent_elsewhere() {
    for status in [300, 301, 302, 305, 380] {
        let mut house = house(Redirects::Refused);
        let first = dial(&mut house);
        send_on(&mut house, CARRIER.parse().unwrap(), &first, status, "<sip:1@198.51.100.9:5060>");
        refused(&mut house);
    }
}

/// Guarded by the mutant `sip-redirected-anywhere`.
#[test]
fn a_trunk_may_send_it_to_its_own_addresses_alone() {
    let strange = [
        "<sip:00882@203.0.113.66>",
        "<sip:00882@elsewhere.example>",
        "<sips:00882@198.51.100.9>",
        "<tel:+8821234>",
        "<mailto:a@b>",
    ];
    for contact in strange {
        let mut house = house(Redirects::Trunk);
        let first = dial(&mut house);
        send_on(&mut house, CARRIER.parse().unwrap(), &first, 302, contact);
        refused(&mut house);
    }
    let mut house = house(Redirects::Trunk);
    let first = dial(&mut house);
    let list =
        "<sip:3@203.0.113.66>;q=1.0, <sip:2@198.51.100.9:5080?Subject=x>;q=0.3, <sip:1@ims.example.cn>;q=0.7";
    send_on(&mut house, CARRIER.parse().unwrap(), &first, 302, list);
    let (to, second) = invite(&mut house).unwrap();
    assert_eq!((to, second.uri.to_bytes()), (CARRIER.parse().unwrap(), b"sip:1@ims.example.cn".to_vec()));
    assert!(second.head.to == first.head.to && second.head.call_id == first.head.call_id);
    assert_eq!((second.head.cseq.number, second.head.from == first.head.from), (2, true));
    assert_ne!(second.head.vias[0].branch(), first.head.vias[0].branch());
    assert!(house.events().is_empty() && house.core.counters().redirected == 1);
    // The wanted one cannot: the next one is tried.
    send_on(&mut house, to, &second, 503, "<sip:x@198.51.100.7>");
    let (to, third) = invite(&mut house).unwrap();
    assert_eq!(
        (to, third.uri.to_bytes()),
        ("198.51.100.9:5080".parse().unwrap(), b"sip:2@198.51.100.9:5080".to_vec())
    );
    house.datagram(&to.to_string(), &third.respond(Status(486)).tagged(b"b").to_bytes());
    assert_eq!(house.ends(), [(leg(1), Cause::UserBusy, EndedBy::Peer)]);
}

#[test]
fn to_a_proxy_goes_what_was_asked() {
    let mut house = house(Redirects::Trunk);
    let first = dial(&mut house);
    send_on(&mut house, CARRIER.parse().unwrap(), &first, 305, "<sip:198.51.100.9:5060;lr>");
    let (to, second) = invite(&mut house).unwrap();
    assert_eq!((to, second.uri.to_bytes()), (STANDBY.parse().unwrap(), first.uri.to_bytes()));
    let ok = second.respond(Status(200)).tagged(b"ok").with(Name::Contact, "<sip:198.51.100.9:5060>");
    let mut ok = ok.with(Name::ContentType, "application/sdp");
    ok.body = OFFER.as_bytes().to_vec();
    house.datagram(STANDBY, &ok.to_bytes());
    assert!(matches!(house.events()[..], [SignallingEvent::Answered { .. }]));
}

#[test]
fn it_goes_on_only_so_often_and_to_no_place_twice() {
    let mut house = house(Redirects::Trunk);
    let mut last = dial(&mut house);
    let mut to = CARRIER.parse().unwrap();
    for hop in 0..5 {
        send_on(&mut house, to, &last, 302, &format!("<sip:{hop}@198.51.100.9:5060>"));
        (to, last) = invite(&mut house).unwrap_or_else(|| panic!("hop {hop}"));
    }
    send_on(&mut house, to, &last, 302, "<sip:9@198.51.100.9:5060>");
    refused(&mut house);

    let mut house = self::house(Redirects::Trunk);
    let first = dial(&mut house);
    send_on(&mut house, CARRIER.parse().unwrap(), &first, 302, "<sip:1@198.51.100.9:5060>");
    let (to, second) = invite(&mut house).unwrap();
    send_on(&mut house, to, &second, 302, "<sip:1@198.51.100.9:5060>");
    refused(&mut house);
}

/// A stranger is told where the settings say so; the trunk's password is not even hashed for it.
#[test]
fn anywhere_is_where_the_settings_say_so() {
    let mut house = house(Redirects::Anywhere);
    let first = dial(&mut house);
    send_on(&mut house, CARRIER.parse().unwrap(), &first, 301, "<sip:00882@203.0.113.66>");
    let (to, second) = invite(&mut house).unwrap();
    assert_eq!((to, second.uri.to_bytes()), (STRANGER.parse().unwrap(), b"sip:00882@203.0.113.66".to_vec()));
    let challenge = "Digest realm=\"x\", nonce=\"n\", algorithm=MD5, qop=\"auth\"";
    let response = second.respond(Status(407)).tagged(b"r").with(Name::ProxyAuthenticate, challenge);
    house.datagram(STRANGER, &response.to_bytes());
    assert!(invite(&mut house).is_none());
    assert_eq!(house.ends(), [(leg(1), Cause::CallRejected, EndedBy::Peer)]);
}

#[test]
fn a_phone_sends_no_call_elsewhere() {
    let mut house = house(Redirects::Anywhere);
    assert_eq!(house.register(1, PASSWORD).status.0, 200);
    house.events();
    let (_, first) = house.dial(leg(1));
    send_on(&mut house, PHONE.parse().unwrap(), &first, 302, "<sip:00882@203.0.113.66>");
    refused(&mut house);
}
