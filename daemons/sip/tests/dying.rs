//! A trunk of two gateways that die and come back, before a call and in the middle of one: calls go by the one that
//! lives, the state is told, and no leg stays.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may stop")]

use route_api::{
    Cause, Endpoint, Memo, Party, SessionDescription, SignallingCommand, SignallingEvent, TargetHealth,
    TrunkStanding,
};
use serde_json::json;
use sip_core::message::{Message, Method, Name, Request, Status, parse};
use stage::Signalling;
use std::{
    net::{SocketAddr, UdpSocket},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};
use types::{LegId, Pii, Uid};

const SDP: &str =
    "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n";
/// A call goes on to the next target after 6 s of silence; this is what a straight one may take on a busy machine.
const STRAIGHT: Duration = Duration::from_secs(3);

/// A gateway that takes every call, while it lives.
struct Gateway {
    address: SocketAddr,
    lives: Arc<AtomicBool>,
    seen: Arc<Mutex<Vec<(Method, String)>>>,
}

impl Gateway {
    fn new() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        let lives = Arc::new(AtomicBool::new(true));
        let seen: Arc<Mutex<Vec<(Method, String)>>> = Arc::default();
        let gateway = Self { address, lives: Arc::clone(&lives), seen: Arc::clone(&seen) };
        thread::spawn(move || {
            let mut buffer = [0; 8192];
            while let Ok((length, from)) = socket.recv_from(&mut buffer) {
                let Ok(Message::Request(request)) = parse(&buffer[..length]) else { continue };
                let call = String::from_utf8_lossy(&request.head.call_id).into_owned();
                seen.lock().unwrap().push((request.method.clone(), call));
                if lives.load(Ordering::Relaxed)
                    && let Some(answer) = answer(&request, address)
                {
                    socket.send_to(&answer, from).unwrap();
                }
            }
        });
        gateway
    }

    fn set(&self, lives: bool) {
        self.lives.store(lives, Ordering::Relaxed);
    }

    /// How many different calls it was asked for.
    fn calls(&self) -> usize {
        let seen = self.seen.lock().unwrap();
        let mut calls: Vec<_> = seen.iter().filter(|(method, _)| *method == Method::Invite).collect();
        calls.sort_by(|a, b| a.1.cmp(&b.1));
        calls.dedup_by(|a, b| a.1 == b.1);
        calls.len()
    }

    fn count(&self, wanted: &Method) -> usize {
        self.seen.lock().unwrap().iter().filter(|(method, _)| method == wanted).count()
    }
}

fn answer(request: &Request, address: SocketAddr) -> Option<Vec<u8>> {
    if request.method == Method::Ack {
        return None;
    }
    let mut ok = request.respond(Status(200)).tagged(b"gateway");
    if request.method == Method::Invite {
        ok = ok.with(Name::Contact, format!("<sip:gateway@{address}>"));
        ok = ok.with(Name::ContentType, "application/sdp");
        ok.body = SDP.as_bytes().to_vec();
    }
    Some(ok.to_bytes())
}

/// The daemon, with everything that it told so far.
struct House {
    stage: Signalling,
    ended: Vec<(LegId, Cause)>,
}

impl House {
    fn dial(&self, n: u8) -> LegId {
        let leg = LegId(Uid([n; 16]));
        self.stage.command(SignallingCommand::Dial {
            leg,
            over: Endpoint::Trunk("carrier".parse().unwrap()),
            number: "95588".into(),
            from: Party { number: Pii::new("400".into()), display: None },
            description: SessionDescription(SDP.into()),
            memo: Memo(format!("{n}")),
            silence_ms: None,
        });
        leg
    }

    /// Waits until a leg is answered; gives how long that took.
    fn answered(&mut self, leg: LegId) -> Duration {
        let start = Instant::now();
        loop {
            match self.stage.event() {
                SignallingEvent::Answered { leg: found, .. } if found == leg => return start.elapsed(),
                other => self.note(other),
            }
        }
    }

    /// Waits until a leg has ended.
    fn ended(&mut self, leg: LegId) -> Cause {
        loop {
            if let Some((_, cause)) = self.ended.iter().find(|(found, _)| *found == leg) {
                return *cause;
            }
            let event = self.stage.event();
            self.note(event);
        }
    }

    fn note(&mut self, event: SignallingEvent) {
        if let SignallingEvent::Ended { leg, cause, .. } = event {
            self.ended.push((leg, cause));
            self.stage.command(SignallingCommand::Forget { leg });
        }
    }

    fn hang_up(&self, leg: LegId) {
        self.stage.command(SignallingCommand::HangUp { leg, cause: Cause::NormalClearing });
    }
}

fn health(standing: &TrunkStanding) -> [TargetHealth; 2] {
    [standing.targets[0].health, standing.targets[1].health]
}

#[test]
fn calls_go_by_the_gateway_that_lives() {
    use TargetHealth::{Down, Up};
    let [first, second] = [Gateway::new(), Gateway::new()];
    let trunk = json!({
        "name": "carrier", "address": first.address, "standby": [second.address], "check": "5s", "check_failures": 1
    });
    let stage = Signalling::with(env!("CARGO_BIN_EXE_sip"), &json!({ "trunks": [trunk] }), |_| Vec::new());
    stage.attached();
    stage.standing(|standing| health(standing) == [Up, Up]);
    let mut house = House { stage, ended: Vec::new() };

    // Both live: the first takes the call. It dies in the middle of it, and the next call finds it silent.
    let one = house.dial(1);
    house.answered(one);
    assert_eq!((first.calls(), second.calls()), (1, 0));
    first.set(false);
    let two = house.dial(2);
    house.answered(two);
    assert_eq!((first.calls(), second.calls()), (2, 1), "asked in vain, then the next");

    // Known to be dead: the next call does not even try, whatever hangs in the air.
    house.stage.standing(|standing| health(standing) == [Down, Up]);
    let three = house.dial(3);
    assert!(house.answered(three) < STRAIGHT);
    assert_eq!((first.calls(), second.calls()), (2, 2));

    // The call that was on the dead gateway is hung up: nobody answers the BYE, and it is over all the same.
    house.hang_up(one);
    assert_eq!(house.ended(one), Cause::NormalClearing);
    house.stage.until("the BYE is said again", || first.count(&Method::Bye) >= 2);

    // It comes back and is the first again, while the calls of the other go on and end.
    first.set(true);
    house.stage.standing(|standing| health(standing) == [Up, Up]);
    let four = house.dial(4);
    assert!(house.answered(four) < STRAIGHT);
    assert_eq!((first.calls(), second.calls()), (3, 2));
    for leg in [two, three, four] {
        house.hang_up(leg);
        assert_eq!(house.ended(leg), Cause::NormalClearing);
    }

    // Both die: a call fails with a cause, and is not left hanging.
    first.set(false);
    second.set(false);
    house.stage.standing(|standing| health(standing) == [Down, Down]);
    let five = house.dial(5);
    let cause = house.ended(five);
    assert!(
        matches!(cause, Cause::NoUserResponding | Cause::NetworkOutOfOrder | Cause::DestinationOutOfOrder),
        "{cause:?}"
    );

    // Nothing of all that is taken back by another life.
    house.stage.kill();
    house.stage.start();
    let (again, attached) = house.stage.attached_again();
    assert_eq!((again, attached.legs), (Vec::new(), Vec::new()));
}
