//! Route sets, order, and the way of ACK and BYE.

use super::*;
use crate::message::{Message, Status, parse};

fn invite(contact: &str, record_routes: &str) -> Request {
    let text = format!(
        "INVITE sip:b@203.0.113.1 SIP/2.0\r\nVia: SIP/2.0/UDP 198.51.100.7;branch=z9hG4bKx\r\n\
         From: <sip:a@h>;tag=theirs\r\nTo: <sip:b@h>\r\nCall-ID: c\r\nCSeq: 7 INVITE\r\n\
         Contact: <{contact}>\r\n{record_routes}\r\n"
    );
    match parse(text.as_bytes()).unwrap() {
        Message::Request(request) => request,
        Message::Response(_) => unreachable!(),
    }
}

fn flow() -> Flow {
    Flow::udp(0, "198.51.100.7:5060".parse().unwrap())
}

fn via() -> Via {
    Via::ours("UDP", "203.0.113.1:5060".parse().unwrap(), b"z9hG4bKy")
}

fn routes(request: &Request) -> Vec<Vec<u8>> {
    request.head.headers.all(&Name::Route).map(<[u8]>::to_vec).collect()
}

const TWO: &str = "Record-Route: <sip:198.51.100.1;lr>, <sip:198.51.100.2:5080;lr>\r\n";

#[test]
fn uas_takes_the_route_set_in_order() {
    let mut dialog = Dialog::uas(&invite("sip:a@198.51.100.9", TWO), b"ours", flow(), Reach::Target).unwrap();
    let bye = dialog.request(Method::Bye, via());
    assert_eq!(routes(&bye), [&b"<sip:198.51.100.1;lr>"[..], b"<sip:198.51.100.2:5080;lr>"]);
    assert_eq!(bye.uri.to_bytes(), b"sip:a@198.51.100.9");
    assert_eq!(bye.head.from.tag(), Some(&b"ours"[..]));
    assert_eq!(bye.head.to.tag(), Some(&b"theirs"[..]));
    assert_eq!(dialog.next_hop().remote, "198.51.100.1:5060".parse().unwrap());
}

#[test]
fn uac_takes_the_route_set_reversed_and_acknowledges_along_it() {
    let request = invite("sip:us@203.0.113.1", "");
    let mut success = request.respond(Status(200)).tagged(b"far");
    success.head.headers.push(Name::RecordRoute, "<sip:198.51.100.1;lr>, <sip:198.51.100.2:5080;lr>");
    success.head.headers.push(Name::Contact, "<sip:b@192.0.2.8:5070>");
    let dialog = Dialog::uac(&request, &success, flow(), Reach::Target).unwrap();
    let ack = dialog.ack(7, via());
    assert_eq!(ack.uri.to_bytes(), b"sip:b@192.0.2.8:5070");
    assert_eq!(routes(&ack), [&b"<sip:198.51.100.2:5080;lr>"[..], b"<sip:198.51.100.1;lr>"]);
    assert_eq!((ack.head.cseq.number, ack.head.cseq.method), (7, Method::Ack));
    assert_eq!(dialog.next_hop().remote, "198.51.100.2:5080".parse().unwrap());
}

#[test]
fn a_strict_router_becomes_the_request_uri() {
    let strict = "Record-Route: <sip:198.51.100.1>\r\n";
    let mut dialog =
        Dialog::uas(&invite("sip:a@198.51.100.9", strict), b"ours", flow(), Reach::Target).unwrap();
    let bye = dialog.request(Method::Bye, via());
    assert_eq!(bye.uri.to_bytes(), b"sip:198.51.100.1");
    assert_eq!(routes(&bye), [b"<sip:a@198.51.100.9>"]);
}

#[test]
fn the_next_hop_follows_what_reaches_farther() {
    for (contact, reach, expected) in [
        // A public Contact is believed on a trunk: the ACK goes there, not where the answer came from.
        ("sip:a@198.51.100.9:5070", Reach::Target, "198.51.100.9:5070"),
        // A private Contact from a public source is a peer behind address translation.
        ("sip:a@10.0.0.5:5070", Reach::Target, "198.51.100.7:5060"),
        ("sip:a@pbx.example.com", Reach::Target, "198.51.100.7:5060"),
        // A phone is reached where its packets come from, whatever it says.
        ("sip:a@198.51.100.9:5070", Reach::Source, "198.51.100.7:5060"),
    ] {
        let dialog = Dialog::uas(&invite(contact, ""), b"ours", flow(), reach).unwrap();
        assert_eq!(dialog.next_hop().remote, expected.parse().unwrap(), "{contact} {reach:?}");
    }
}

#[test]
fn requests_come_in_order() {
    let mut dialog = Dialog::uas(&invite("sip:a@h", ""), b"ours", flow(), Reach::Source).unwrap();
    let mut next = invite("sip:a@h", "");
    next.head.to = next.head.to.tagged(b"ours");
    assert!(dialog.is_of(&next));
    assert_eq!(dialog.receive(&next), Order::Behind);
    next.head.cseq.number = 8;
    assert_eq!(dialog.receive(&next), Order::Next);
    assert_eq!(dialog.receive(&next), Order::Behind);
    next.head.from = next.head.from.tagged(b"someone else");
    assert!(!dialog.is_of(&next));
}
