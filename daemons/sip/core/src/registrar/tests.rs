//! Adding, refreshing, removing, expiring.

use super::*;
use crate::message::{Message, parse};

fn register(number: u32, rest: &str) -> Request {
    let text = format!(
        "REGISTER sip:h SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.5;branch=z9hG4bKx\r\nFrom: <sip:8001@h>;tag=1\r\n\
         To: <sip:8001@h>\r\nCall-ID: c\r\nCSeq: {number} REGISTER\r\n{rest}\r\n"
    );
    match parse(text.as_bytes()).unwrap() {
        Message::Request(request) => request,
        Message::Response(_) => unreachable!(),
    }
}

fn at(seconds: u64) -> Monotonic {
    Monotonic(seconds * 1_000_000_000)
}

#[test]
fn bindings_come_change_and_go() {
    let phone: Extension = "8001".parse().unwrap();
    let flow = Flow::udp(0, "203.0.113.9:40000".parse().unwrap());
    let mut registrar = Registrar::default();
    let step = |registrar: &mut Registrar, now, number, rest: &str| {
        registrar.register(at(now), &phone, &register(number, rest), flow)
    };
    assert_eq!(step(&mut registrar, 0, 1, "Contact: <sip:8001@10.0.0.5:5070>;expires=120\r\n"), Ok(()));
    let binding = registrar.binding(&phone).unwrap();
    assert_eq!((binding.flow, binding.until), (flow, at(120)), "reached where it came from");
    assert_eq!(
        step(&mut registrar, 60, 2, "Contact: <sip:8001@10.0.0.5:5070>\r\nExpires: 99999\r\n"),
        Ok(())
    );
    assert_eq!(registrar.binding(&phone).unwrap().until, at(60 + 3_600), "refreshed, at most an hour");
    let old = step(&mut registrar, 61, 2, "Contact: <sip:8001@10.0.0.5:5070>;expires=600\r\n");
    assert_eq!(old, Err(Status(500)), "an old CSeq changes nothing");
    let brief = step(&mut registrar, 62, 3, "Contact: <sip:8001@10.0.0.6>;expires=5\r\n");
    assert_eq!(brief, Err(Status(423)));
    assert_eq!(step(&mut registrar, 63, 4, "Contact: *\r\nExpires: 60\r\n"), Err(Status(400)));
    assert_eq!(registrar.bindings(&phone).len(), 1);
    assert_eq!(step(&mut registrar, 64, 5, "Contact: <sip:8001@10.0.0.6>;expires=100\r\n"), Ok(()));
    assert_eq!(registrar.bindings(&phone).len(), 2);
    assert_eq!(registrar.pings(at(64)), [flow, flow], "it is seen elsewhere than it says");
    assert_eq!(registrar.next_wake(), Some(at(89)), "and the path to it is kept open");
    assert!(registrar.expire(at(164)).is_empty(), "one of two is left");
    assert_eq!(step(&mut registrar, 165, 6, "Contact: *\r\nExpires: 0\r\n"), Ok(()));
    assert!(registrar.binding(&phone).is_none());
}

#[test]
fn the_last_binding_that_expires_is_told_once() {
    let phone: Extension = "8001".parse().unwrap();
    let flow = Flow::udp(0, "203.0.113.9:40000".parse().unwrap());
    let mut registrar = Registrar::default();
    let request = register(1, "Contact: <sip:8001@10.0.0.5>;expires=60\r\n");
    registrar.register(at(0), &phone, &request, flow).unwrap();
    assert!(registrar.expire(at(59)).is_empty());
    assert_eq!(registrar.expire(at(60)), [phone]);
    assert!(registrar.expire(at(61)).is_empty());
}
