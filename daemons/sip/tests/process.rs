//! The real process over loopback: it answers, registers, offers, and survives kill -9 in the middle of calls.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test may stop"
)]

use route_api::{Cause, EndedBy, Endpoint, LegState, Memo, Reachability, SessionDescription};
use route_api::{SignallingCommand, SignallingEvent};
use sip_core::{
    digest::{Challenge, Credentials, Protected},
    message::{Message, Method, Name, Request, Response, Status, parse},
};
use stage::{PASSWORD, Signalling};
use std::{
    net::UdpSocket,
    time::{Duration, Instant},
};
use types::LegId;

const SDP: &str = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n";

/// A carrier or a phone that speaks by hand.
struct Peer(UdpSocket);

impl Peer {
    fn new() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        Self(socket)
    }

    fn send(&self, stage: &Signalling, method: &str, branch: &str, to_tag: &str, number: u32, rest: &str) {
        let (headers, body) = rest.split_once("\r\n\r\n").unwrap_or((rest, ""));
        let addr = self.0.local_addr().unwrap();
        let tag = if to_tag.is_empty() { String::new() } else { format!(";tag={to_tag}") };
        let headers = if headers.is_empty() { String::new() } else { format!("{}\r\n", headers.trim_end()) };
        let text = format!(
            "{method} sip:400@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP {addr};branch=z9hG4bK{branch};rport\r\n\
             From: <sip:8001@127.0.0.1>;tag=peer\r\nTo: <sip:8001@127.0.0.1>{tag}\r\nCall-ID: {addr}\r\n\
             CSeq: {number} {method}\r\nContact: <sip:8001@{addr}>\r\n{headers}Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        self.0.send_to(text.as_bytes(), stage.address()).unwrap();
    }

    fn message(&self) -> Message {
        let mut buffer = [0; 4096];
        let length = self.0.recv(&mut buffer).unwrap();
        parse(&buffer[..length]).unwrap()
    }

    fn response(&self) -> Response {
        match self.message() {
            Message::Response(response) => response,
            Message::Request(request) => panic!("{request:?}"),
        }
    }

    fn request(&self) -> Request {
        match self.message() {
            Message::Request(request) => request,
            Message::Response(response) => panic!("{response:?}"),
        }
    }

    /// Calls, is answered, and gives our tag.
    fn talk(&self, stage: &Signalling, memo: &str) -> (LegId, String) {
        let offer = format!("Content-Type: application/sdp\r\n\r\n{SDP}");
        for attempt in 0.. {
            self.send(stage, "INVITE", &format!("i{attempt}"), "", 1, &offer);
            match self.response().status.0 {
                100 => break,
                // Route was told of us, but we do not know it yet: no call is taken.
                503 if attempt < 50 => self.send(stage, "ACK", &format!("i{attempt}"), "x", 1, ""),
                other => panic!("INVITE was answered {other}"),
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        let SignallingEvent::Offered { leg, .. } = stage.event() else { panic!("not offered") };
        let (description, memo) = (SessionDescription(SDP.into()), Memo(memo.into()));
        stage.command(SignallingCommand::Answer { leg, description, memo });
        let ok = self.response();
        assert_eq!(ok.status.0, 200);
        let tag = String::from_utf8(ok.head.to.tag().unwrap().to_vec()).unwrap();
        self.send(stage, "ACK", "a", &tag, 1, "");
        assert_eq!(stage.event(), SignallingEvent::Confirmed { leg, description: None });
        (leg, tag)
    }
}

#[test]
fn options_register_and_a_call() {
    let (carrier, phone) = (Peer::new(), Peer::new());
    let stage = Signalling::new(env!("CARGO_BIN_EXE_sip"), &[&carrier.0], |_| Vec::new());
    let attached = stage.attached();
    assert_eq!((attached.legs.len(), attached.endpoints.len()), (0, 2));

    carrier.send(&stage, "OPTIONS", "o", "", 1, "");
    assert_eq!(carrier.response().status.0, 200);

    phone.send(&stage, "REGISTER", "r", "", 1, "Expires: 60\r\n");
    let challenged = phone.response();
    assert_eq!(challenged.status.0, 401);
    let challenges = challenged.head.headers.all(&Name::WwwAuthenticate).filter_map(Challenge::parse);
    let challenge = Challenge::strongest(challenges).unwrap();
    let credentials = Credentials { user: "8001".into(), password: PASSWORD.into() };
    let protected = Protected { method: b"REGISTER", body: b"" };
    let answer = challenge.answer(&credentials, b"sip:400@127.0.0.1".to_vec(), b"c".to_vec(), protected);
    let answer = String::from_utf8(answer.to_bytes()).unwrap();
    phone.send(&stage, "REGISTER", "r2", "", 2, &format!("Expires: 60\r\nAuthorization: {answer}\r\n"));
    assert_eq!(phone.response().status.0, 200);
    let endpoint = Endpoint::Phone("8001".parse().unwrap());
    let reachable = Reachability::Reachable;
    assert_eq!(stage.event(), SignallingEvent::Reachable { endpoint, reachable });

    let (leg, tag) = carrier.talk(&stage, "m");
    carrier.send(&stage, "BYE", "b", &tag, 2, "");
    assert_eq!(carrier.response().status.0, 200);
    assert_eq!(stage.end(), (leg, Cause::NormalClearing, EndedBy::Peer));
}

#[test]
fn kill_9_in_the_middle_of_calls() {
    let peers = [Peer::new(), Peer::new()];
    let mut stage = Signalling::new(env!("CARGO_BIN_EXE_sip"), &[&peers[0].0, &peers[1].0], |_| Vec::new());
    stage.attached();
    let talking: Vec<_> = peers.iter().map(|peer| peer.talk(&stage, "talks")).collect();
    stage.kill();
    // It hangs up while nobody is there: the socket holds it.
    peers[0].send(&stage, "BYE", "b", &talking[0].1, 2, "");
    let killed = Instant::now();
    stage.start();
    let (again, attached) = stage.attached_again();
    println!("attached {} ms after kill -9", killed.elapsed().as_millis());
    assert_eq!(peers[0].response().status.0, 200);
    println!("BYE answered {} ms after kill -9", killed.elapsed().as_millis());
    let legs: Vec<_> = attached.legs.iter().map(|live| (live.state, live.memo.0.as_str())).collect();
    assert!(legs.contains(&(LegState::Established, "talks")), "{legs:?}");
    // The BYE that waited was taken before or after the list was made: either way route learns of it.
    let (leg, ended) =
        (talking[0].0, if attached.legs.len() == 2 { stage.event() } else { again[0].clone() });
    assert!(matches!(&ended, SignallingEvent::Ended { leg: id, by: EndedBy::Peer, memo, .. }
        if *id == leg && memo.0 == "talks"));
    // Until route forgets it, it is said to every life of route, whatever became of ours.
    stage.kill();
    stage.start();
    let (again, attached) = stage.attached_again();
    assert_eq!((again, attached.legs.len()), (vec![ended], 1));
    stage.command(SignallingCommand::Forget { leg });
    stage.command(SignallingCommand::HangUp { leg: talking[1].0, cause: Cause::NormalClearing });
    let bye = peers[1].request();
    assert_eq!((&bye.method, bye.head.cseq.number), (&Method::Bye, 1));
    peers[1].0.send_to(&bye.respond(Status(200)).to_bytes(), stage.address()).unwrap();
    assert_eq!(stage.end(), (talking[1].0, Cause::NormalClearing, EndedBy::House));
    stage.kill();
    stage.start();
    let (again, attached) = stage.attached_again();
    let [SignallingEvent::Ended { leg, .. }] = &again[..] else { panic!("{again:?}") };
    assert_eq!((*leg, attached.legs.len()), (talking[1].0, 0), "the other is forgotten");
}
