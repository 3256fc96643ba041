//! Who may register and call, and who may not.

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "a test may stop at once")]

mod house;

use house::*;
use route_api::{Endpoint, Reachability, SignallingEvent};
use sip_core::{
    Input,
    digest::Algorithm,
    message::{Name, Response},
};
use std::time::Duration;

fn reachable(reachable: Reachability) -> SignallingEvent {
    SignallingEvent::Reachable { endpoint: phone(), reachable }
}

fn challenges(response: &Response) -> Vec<String> {
    let values = response.head.headers.all(&Name::WwwAuthenticate);
    values.map(|value| String::from_utf8(value.to_vec()).unwrap()).collect()
}

#[test]
fn a_phone_registers_with_its_password_and_expires() {
    let mut house = House::new();
    let ok = house.register(1, PASSWORD);
    assert_eq!(ok.status.0, 200);
    assert_eq!(ok.head.headers.first(&Name::Contact), Some(&b"<sip:8001@10.0.0.5:5070>;expires=600"[..]));
    assert_eq!(house.events(), [reachable(Reachability::Reachable)]);
    assert_eq!(house.core.attach().endpoints[1], (phone(), Reachability::Reachable));
    house.pass(Duration::from_secs(300));
    assert_eq!(house.register(3, PASSWORD).status.0, 200);
    assert!(house.events().is_empty(), "a refresh is no news");
    house.pass(Duration::from_secs(599));
    assert!(house.events().is_empty());
    house.pass(Duration::from_secs(1));
    assert_eq!(house.events(), [reachable(Reachability::Unreachable)]);
}

#[test]
fn the_challenge_offers_what_the_settings_allow() {
    let mut house = House::new();
    let first = house.registering(1, "");
    house.datagram(PHONE, &first);
    let challenged = house.response();
    let offered = challenges(&challenged);
    assert!(offered[0].contains("algorithm=SHA-256") && offered[1].contains("algorithm=MD5"), "{offered:?}");
    let proof = prove(&challenged, Algorithm::Md5, PASSWORD);
    let second = house.registering(2, &format!("Authorization: {proof}\r\n"));
    house.datagram(PHONE, &second);
    assert_eq!(house.response().status.0, 200);
}

#[test]
fn a_wrong_password_is_challenged_again_and_not_called_stale() {
    let mut house = House::new();
    let refused = house.register(1, "wrong");
    assert_eq!(refused.status.0, 401);
    assert!(challenges(&refused).iter().all(|challenge| !challenge.contains("stale")));
    assert_eq!(house.core.counters().unproved, 2);
    assert!(house.events().is_empty());
}

/// Guarded by the mutant `sip-stale-nonce-accepted`.
#[test]
fn an_old_nonce_and_a_replay_are_stale() {
    let mut house = House::new();
    let first = house.registering(1, "");
    house.datagram(PHONE, &first);
    let challenged = house.response();
    let proof = format!("Authorization: {}\r\n", prove(&challenged, Algorithm::Sha256, PASSWORD));
    let second = house.registering(2, &proof);
    house.datagram(PHONE, &second);
    assert_eq!(house.response().status.0, 200);
    let replay = house.registering(3, &proof);
    house.datagram(PHONE, &replay);
    let refused = house.response();
    assert_eq!(refused.status.0, 401);
    assert!(challenges(&refused).iter().all(|challenge| challenge.ends_with("stale=true")));
    house.pass(Duration::from_secs(301));
    let late = house.registering(4, &proof);
    house.datagram(PHONE, &late);
    assert_eq!(house.response().status.0, 401);
}

#[test]
fn a_phone_registers_no_other() {
    let mut house = House::new();
    let first = house.registering(1, "");
    house.datagram(PHONE, &first);
    let proof = prove(&house.response(), Algorithm::Sha256, PASSWORD);
    let text = String::from_utf8(house.registering(2, &format!("Authorization: {proof}\r\n"))).unwrap();
    house.datagram(PHONE, text.replace("To: <sip:8001@", "To: <sip:8002@").as_bytes());
    assert_eq!(house.response().status.0, 403);
    assert!(house.events().is_empty());
}

#[test]
fn a_phone_calls_with_its_password_and_a_stranger_not_at_all() {
    let mut house = House::new();
    let invite = house.invite("c1", "");
    house.datagram(PHONE, &invite);
    let challenged = house.response();
    assert_eq!(challenged.status.0, 401);
    assert!(house.events().is_empty());
    let proof = format!("Authorization: {}\r\n", prove(&challenged, Algorithm::Sha256, PASSWORD));
    let text = String::from_utf8(house.invite("c1", &proof)).unwrap();
    let again = text.replace("z9hG4bKinvc1", "z9hG4bKsecond").replace("CSeq: 1", "CSeq: 2");
    house.datagram(PHONE, again.as_bytes());
    assert_eq!(house.response().status.0, 100);
    let events = house.events();
    let [SignallingEvent::Offered { over, .. }] = &events[..] else { panic!("{events:?}") };
    assert_eq!(*over, phone());
}

#[test]
fn new_settings_tell_which_endpoints_came_and_went() {
    let mut house = House::new();
    house.register(1, PASSWORD);
    house.events();
    let mut changed = settings();
    changed.phones[0].extension = "8002".parse().unwrap();
    changed.trunks[0].id = "other".parse().unwrap();
    house.core.obey(changed);
    house.hand(Input::Tick);
    let news = |endpoint, reachable| SignallingEvent::Reachable { endpoint, reachable };
    let other: Endpoint = Endpoint::Trunk("other".parse().unwrap());
    let next: Endpoint = Endpoint::Phone("8002".parse().unwrap());
    assert_eq!(
        house.events(),
        [
            news(carrier(), Reachability::Removed),
            reachable(Reachability::Removed),
            news(other.clone(), Reachability::Unknown),
            news(next.clone(), Reachability::Unreachable),
        ]
    );
    assert_eq!(
        house.core.attach().endpoints,
        [(other, Reachability::Unknown), (next, Reachability::Unreachable)]
    );
}
