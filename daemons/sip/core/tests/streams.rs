//! Connections: framing, reuse, what breaks with one, what outlives the process.

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "a test may stop at once")]

mod house;

use house::*;
use route_api::{
    Cause, EndedBy, Endpoint, Party, Path, Reachability, SignallingCommand, SignallingEvent, Way,
};
use sip_core::{
    ConnectionId, Core, Disconnect, Input, Listener, Network, Protocol, Seed, Settings, Trunk,
    digest::Algorithm,
    message::{Message, Method, Name, Request, Response, parse},
};
use std::time::Duration;
use types::Pii;

const LISTENS: &str = "198.51.100.7:5060";
const PEER: &str = "203.0.113.9:50001";

/// UDP, TCP and TLS; a carrier by TCP.
fn settings_with(protocol: Protocol) -> Settings {
    let listener = |protocol, port| Listener {
        network: Network(0),
        protocol,
        advertised: format!("192.0.2.1:{port}").parse().unwrap(),
    };
    let mut trunk = Trunk::at("carrier".parse().unwrap(), LISTENS.parse().unwrap());
    trunk.protocol = protocol;
    Settings {
        listeners: vec![
            listener(Protocol::Udp, 5060),
            listener(Protocol::Tcp, 5060),
            listener(Protocol::Tls, 5061),
        ],
        trunks: vec![trunk],
        ..settings()
    }
}

fn house(protocol: Protocol) -> House {
    House::of(Core::new(settings_with(protocol), Seed([7; 32])))
}

impl House {
    fn accept(&mut self, listener: u8, remote: &str) -> ConnectionId {
        self.core.admit(self.now, listener, remote.parse().unwrap()).unwrap()
    }

    fn bytes(&mut self, connection: ConnectionId, bytes: &[u8]) {
        self.hand(Input::Bytes { connection, bytes });
    }

    /// REGISTER over a connection, with the proof.
    fn register_over(&mut self, connection: ConnectionId, transport: &str, number: u32) -> Response {
        let text = |house: &Self, number, headers: &str| {
            let text = String::from_utf8(house.registering(number, headers)).unwrap();
            text.replace("/UDP", &format!("/{transport}"))
                .replace("\r\n\r\n", "\r\nContent-Length: 0\r\n\r\n")
        };
        let first = text(self, number, "").into_bytes();
        self.bytes(connection, &first);
        let challenged = self.response();
        let proof = format!("Authorization: {}\r\n", prove(&challenged, Algorithm::Sha256, PASSWORD));
        let again = text(self, number + 1, &proof);
        self.bytes(connection, again.as_bytes());
        self.response()
    }

    fn dial_carrier(&mut self, n: u8, description_text: &str) {
        self.command(SignallingCommand::Dial {
            leg: leg(n),
            over: carrier(),
            number: "95588".into(),
            from: Party { number: Pii::new("400".into()), display: None },
            description: description(description_text),
            memo: memo("out"),
            silence_ms: None,
        });
    }

    fn only_open(&mut self) -> ConnectionId {
        let opened = std::mem::take(&mut self.opened);
        assert_eq!(opened.len(), 1, "{opened:?}");
        opened[0].0
    }

    fn response_of(&mut self, connection: ConnectionId, request: &Request, status: u16, sdp: &str) {
        let mut response = request.respond(sip_core::message::Status(status)).tagged(b"far");
        response = response.with(Name::Contact, "<sip:gw@198.51.100.7:5060;transport=tcp>");
        if !sdp.is_empty() {
            response = response.with(Name::ContentType, "application/sdp");
            response.body = sdp.as_bytes().to_vec();
        }
        self.bytes(connection, &response.to_bytes());
    }
}

fn by(bytes: &[u8], transport: &str) -> Vec<u8> {
    String::from_utf8(bytes.to_vec()).unwrap().replace("/UDP", &format!("/{transport}")).into_bytes()
}

#[test]
fn a_call_comes_in_pieces_over_tcp_and_is_answered_on_its_connection() {
    let mut house = house(Protocol::Tcp);
    let connection = house.accept(1, "198.51.100.7:41000");
    let invite = by(&house.invite("c1", ""), "TCP");
    for piece in invite.chunks(100) {
        house.bytes(connection, piece);
    }
    assert_eq!(house.statuses(), [100]);
    let events = house.events();
    let [SignallingEvent::Offered { leg, over, .. }] = &events[..] else { panic!("{events:?}") };
    assert_eq!(*over, carrier(), "a carrier is known by its address, not by the port of its connection");
    let leg = *leg;
    house.command(SignallingCommand::Answer { leg, description: description(ANSWER), memo: memo("") });
    assert_eq!(house.flows.last().unwrap().connection, Some(connection));
    let ok = house.response();
    assert_eq!(ok.head.headers.first(&Name::Contact), Some(&b"<sip:192.0.2.1:5060;transport=tcp>"[..]));
    house.pass(Duration::from_millis(600));
    assert_eq!(house.statuses(), [200], "a 2xx is repeated on every transport (RFC 3261 §13.3.1.4)");
    let ack = request("ACK", "sip:192.0.2.1:5060", "a", "c1", &tag_of(&ok), 1, "");
    house.bytes(connection, &by(&ack, "TCP"));
    house.events();
    // Its BYE goes back on the same connection, though the Contact names the port where the carrier listens.
    house.command(SignallingCommand::HangUp { leg, cause: Cause::NormalClearing });
    let flow = *house.flows.last().unwrap();
    assert_eq!((flow.connection, house.request().method), (Some(connection), Method::Bye));
    assert!(house.opened.is_empty());
}

#[test]
fn a_ladder_over_tls_names_the_addresses_and_a_watched_leg_is_seen_in_clear_whole_messages() {
    let mut house = house(Protocol::Tls);
    let connection = house.accept(2, "198.51.100.7:41000");
    house.bytes(connection, &by(&house.invite("c1", ""), "TLS"));
    let Some(SignallingEvent::Offered { leg, .. }) = house.events().pop() else { panic!("not offered") };
    house.core.watch([leg].into());
    let cancel = by(&request("CANCEL", "sip:400@192.0.2.1", "invc1", "c1", "", 1, ""), "TLS");
    for piece in cancel.chunks(50) {
        house.bytes(connection, piece);
    }
    let [ladder] = &house.ladders[..] else { panic!("{:?}", house.ladders) };
    let path =
        Path { protocol: "TLS".into(), house: "192.0.2.1:5061".into(), far: "198.51.100.7:41000".into() };
    assert_eq!(ladder.paths, [path]);
    let said: Vec<&str> = ladder.steps.iter().map(|step| &*step.message).collect();
    assert_eq!(said, ["INVITE", "100 Trying", "CANCEL", "200 OK", "487 Request Terminated"]);
    let seen: Vec<_> = house.seen.iter().map(|(_, way, bytes)| (*way, bytes.len() > 200)).collect();
    assert_eq!(seen, [(Way::Received, true), (Way::Sent, true), (Way::Sent, true)]);
    assert_eq!(house.seen[0].2, cancel, "a message is one, in however many pieces it came");
}

#[test]
fn a_ping_is_answered_and_what_is_no_sip_ends_the_connection() {
    let mut house = house(Protocol::Tcp);
    let connection = house.accept(1, PEER);
    house.bytes(connection, b"\r\n\r\n");
    assert_eq!(house.pings.pop().unwrap().1, b"\r\n");
    house.bytes(connection, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_eq!(house.closed, [connection]);
    // A request whose length cannot be told is answered, then the connection ends (RFC 3261 §18.3).
    let connection = house.accept(1, PEER);
    let text =
        String::from_utf8(by(&request("OPTIONS", "sip:192.0.2.1", "o", "o", "", 1, ""), "TCP")).unwrap();
    house.bytes(connection, text.replace("Content-Length: 0\r\n", "").as_bytes());
    assert_eq!(house.statuses(), [400]);
    assert_eq!(house.closed.last(), Some(&connection));
}

#[test]
fn who_opens_a_connection_and_says_nothing_loses_it() {
    let mut house = house(Protocol::Tcp);
    let silent = house.accept(1, PEER);
    let slow = house.accept(1, "203.0.113.9:50002");
    house.bytes(slow, b"OPTIONS sip:h SIP/2.0\r\nVia: ");
    for _ in 0..29 {
        house.pass(Duration::from_secs(1));
        house.bytes(slow, b"x");
    }
    assert!(house.closed.is_empty());
    house.pass(Duration::from_secs(2));
    assert_eq!(house.closed, [silent, slow], "one byte a second is no message within 30 s");
}

#[test]
fn connections_of_one_source_are_bounded() {
    let mut house = house(Protocol::Tcp);
    let limit = settings().limits.connections;
    let mut admitted = |from: &str, n: usize| {
        (0..n)
            .filter(|p| {
                house.core.admit(house.now, 1, format!("{from}:{}", 10_000 + p).parse().unwrap()).is_some()
            })
            .count()
    };
    // The room of all is 40, a quarter of it kept for those who are known.
    assert_eq!(admitted("203.0.113.9", 100), 30.min(limit));
    assert_eq!(admitted("198.51.100.7", 100), 10, "the carrier still comes in");
    assert_eq!(house.core.counters().no_room, 160);
}

/// Guarded by the mutant `sip-broken-connection-unnoticed`.
#[test]
fn a_connection_that_cannot_be_opened_fails_its_call_at_once() {
    let mut house = house(Protocol::Tcp);
    house.dial_carrier(1, ANSWER);
    let connection = house.only_open();
    assert!(house.sent().is_empty(), "the INVITE waits for the connection");
    house.hand(Input::Closed(connection, Disconnect::Refused));
    assert!(matches!(
        house.events()[..],
        [SignallingEvent::Ended { cause: Cause::NetworkOutOfOrder, by: EndedBy::Failure, .. }]
    ));
    // One that nobody refuses either: after 4 s.
    house.dial_carrier(2, ANSWER);
    let connection = house.only_open();
    house.pass(Duration::from_millis(3_900));
    assert!(house.events().is_empty());
    house.pass(Duration::from_millis(200));
    assert!(matches!(house.events()[..], [SignallingEvent::Ended { cause: Cause::NetworkOutOfOrder, .. }]));
    assert_eq!(house.closed, [connection]);
}

#[test]
fn timers_of_a_reliable_transport_send_nothing_twice() {
    let mut house = house(Protocol::Tcp);
    house.dial_carrier(1, ANSWER);
    let connection = house.only_open();
    house.hand(Input::Opened(connection));
    assert_eq!(house.request().method, Method::Invite);
    house.pass(Duration::from_secs(31));
    assert!(house.sent().is_empty(), "no Timer A");
    house.pass(Duration::from_secs(2));
    assert!(
        matches!(house.events()[..], [SignallingEvent::Ended { cause: Cause::NoUserResponding, .. }]),
        "Timer B"
    );
}

#[test]
fn calls_share_a_connection_and_the_ack_never_stalls() {
    let mut house = house(Protocol::Tcp);
    house.dial_carrier(1, ANSWER);
    let connection = house.only_open();
    house.hand(Input::Opened(connection));
    let invite = house.request();
    assert!(invite.head.vias[0].transport == b"TCP" && invite.uri.param("transport") == Some(b"tcp"));
    house.dial_carrier(2, ANSWER);
    assert!(house.opened.is_empty());
    assert_eq!(house.request().method, Method::Invite);
    house.response_of(connection, &invite, 200, OFFER);
    assert_eq!(house.flows.last().unwrap().connection, Some(connection));
    assert_eq!(house.request().method, Method::Ack);
    house.events();
    // The connection breaks: the other call fails, this one goes on, and its BYE opens a new one.
    house.hand(Input::Closed(connection, Disconnect::Closed));
    let events = house.events();
    let [SignallingEvent::Ended { leg: other, cause: Cause::NetworkOutOfOrder, .. }] = events[..] else {
        panic!("{events:?}")
    };
    assert_eq!(other, leg(2));
    house.command(SignallingCommand::HangUp { leg: leg(1), cause: Cause::NormalClearing });
    let (again, flow) = house.opened.pop().unwrap();
    assert_eq!(flow.remote, LISTENS.parse().unwrap(), "where the carrier listens");
    house.hand(Input::Opened(again));
    assert_eq!(house.request().method, Method::Bye);
}

#[test]
fn a_response_whose_connection_is_gone_goes_to_its_via() {
    let mut house = house(Protocol::Tcp);
    let connection = house.accept(1, "198.51.100.7:41000");
    let invite = by(&house.invite("c1", ""), "TCP");
    house.bytes(connection, &invite);
    house.sent();
    let Some(SignallingEvent::Offered { leg, .. }) = house.events().pop() else { panic!("not offered") };
    house.hand(Input::Closed(connection, Disconnect::Closed));
    house.command(SignallingCommand::Answer { leg, description: description(ANSWER), memo: memo("") });
    let (again, flow) = house.opened.pop().unwrap();
    assert_eq!(flow.remote, "198.51.100.7:5060".parse().unwrap(), "RFC 3261 §18.2.2");
    house.hand(Input::Opened(again));
    assert_eq!(house.statuses(), [200]);
}

#[test]
fn a_phone_is_reached_by_its_connection_and_gone_with_it() {
    let mut house = house(Protocol::Tcp);
    let phone_at = house.accept(2, PEER);
    assert_eq!(house.register_over(phone_at, "TLS", 1).status.0, 200);
    house.events();
    let (_, invite) = house.dial(leg(1));
    assert_eq!(house.flows.last().map(|flow| flow.connection), Some(Some(phone_at)));
    assert_eq!(invite.head.headers.first(&Name::Contact), Some(&b"<sip:192.0.2.1:5061;transport=tls>"[..]));
    house.sent();
    house.hand(Input::Closed(phone_at, Disconnect::Closed));
    let gone = SignallingEvent::Reachable { endpoint: phone(), reachable: Reachability::Unreachable };
    let events = house.events();
    assert_eq!(events[0], gone);
    assert!(matches!(
        events[1..],
        [SignallingEvent::Ended { cause: Cause::NetworkOutOfOrder, by: EndedBy::Failure, .. }]
    ));
}

/// Guarded by the mutant `sip-connection-not-succeeded`.
#[test]
fn a_talk_over_tls_outlives_a_kill_once_the_phone_has_registered_anew() {
    let mut house = house(Protocol::Tcp);
    let phone_at = house.accept(2, PEER);
    house.register_over(phone_at, "TLS", 1);
    let (_, invite) = house.dial(leg(1));
    house.response_of(phone_at, &invite, 200, OFFER);
    house.sent();
    let written = house.written();
    house.restart_with(&written, settings_with(Protocol::Tcp), &[]);
    assert_eq!(house.core.attach().legs.len(), 1, "the talk goes on");
    let endpoint = |endpoint: &Endpoint| *endpoint == phone();
    let phones =
        |house: &House| house.core.attach().endpoints.into_iter().find(|(e, _)| endpoint(e)).unwrap().1;
    assert_eq!(phones(&house), Reachability::Unreachable);
    let again = house.accept(2, "203.0.113.9:50077");
    assert_eq!(house.register_over(again, "TLS", 3).status.0, 200);
    assert_eq!(phones(&house), Reachability::Reachable);
    house.command(SignallingCommand::HangUp { leg: leg(1), cause: Cause::NormalClearing });
    assert_eq!(house.flows.last().unwrap().connection, Some(again), "by the phone's new connection");
    assert_eq!(house.request().method, Method::Bye);
}

/// Guarded by the mutant `sip-stream-rest-lost`.
#[test]
fn a_kept_connection_goes_on_in_the_middle_of_a_message() {
    let mut house = house(Protocol::Tcp);
    let mut written = house.written();
    let connection = house.accept(1, "198.51.100.7:41000");
    written.extend(house.written());
    let invite = by(&house.invite("c1", ""), "TCP");
    house.bytes(connection, &invite[..200]);
    written.extend(house.written());
    house.restart_with(&written, settings_with(Protocol::Tcp), &[connection]);
    house.bytes(connection, &invite[200..]);
    assert_eq!(house.statuses(), [100]);
}

#[test]
fn a_large_request_goes_by_tcp_and_by_udp_where_that_is_refused() {
    let mut house = house(Protocol::Udp);
    let large = format!("{ANSWER}a=x:{}\r\n", "y".repeat(1_300));
    house.dial_carrier(1, &large);
    let connection = house.only_open();
    assert!(house.sent().is_empty());
    house.hand(Input::Opened(connection));
    let invite = house.request();
    assert_eq!(invite.head.vias[0].transport, b"TCP", "RFC 3261 §18.1.1");
    house.response_of(connection, &invite, 486, "");
    house.hand(Input::Closed(connection, Disconnect::Closed));
    house.sent();
    house.events();
    house.dial_carrier(2, &large);
    let connection = house.only_open();
    house.hand(Input::Closed(connection, Disconnect::Refused));
    let flow = *house.flows.last().unwrap();
    assert_eq!(
        (flow.protocol, house.request().head.vias[0].transport.as_slice()),
        (Protocol::Udp, &b"UDP"[..])
    );
    house.command(SignallingCommand::HangUp { leg: leg(2), cause: Cause::NormalClearing });
    house.pass(Duration::from_secs(4));
    let ladder = house.ladders.last().unwrap();
    let path = Path { protocol: "UDP".into(), house: "192.0.2.1:5060".into(), far: LISTENS.into() };
    assert_eq!(
        (&ladder.paths[..], &*ladder.steps[0].message),
        (&[path][..], "INVITE"),
        "what went, where it went"
    );
    house.sent();
    // For ten minutes nobody tries again.
    house.dial_carrier(3, &large);
    assert!(house.opened.is_empty());
    house.dial_carrier(4, ANSWER);
    assert!(house.opened.is_empty(), "a small one needs no TCP");
}

/// The 49 messages of RFC 4475, each over a connection of its own.
#[test]
fn the_torture_messages_over_tcp_are_answered_or_end_the_connection() {
    let folder =
        std::path::PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../tests/golden/sip-torture");
    let mut seen = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "dat") {
            continue;
        }
        let bytes = std::fs::read(&path).unwrap();
        for cut in [bytes.len(), 1, 7] {
            let mut house = house(Protocol::Tcp);
            let connection = house.accept(1, "198.51.100.7:41000");
            for piece in bytes.chunks(cut) {
                house.bytes(connection, piece);
            }
            let sent = house.sent();
            assert!(sent.iter().all(|message| parse(&message.to_bytes()).is_ok()));
            let refused = |message: &Message| matches!(message, Message::Response(r) if r.status.0 >= 400);
            if let Err(malformed) = parse(&bytes)
                && malformed.answer.is_some()
                && house.closed.is_empty()
            {
                // A length that promises more than came leaves the peer to send it.
                let waits = path.ends_with("clerr.dat");
                assert!(waits || sent.iter().any(refused), "{}: {sent:?}", path.display());
            }
        }
        seen += 1;
    }
    assert_eq!(seen, 49);
}
