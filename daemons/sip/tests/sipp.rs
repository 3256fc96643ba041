//! SIPp as the caller: every call is set up, talks and ends, at a rate. (What that costs: `make bench BENCH=sip`.)

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "a test may stop")]

use route_api::{
    Cause, EndedBy, Endpoint, Memo, Party, SessionDescription, SignallingCommand, SignallingEvent,
};
use serde_json::json;
use stage::{
    Signalling, free,
    sipp::{self, Over},
};
use std::net::{IpAddr, SocketAddr, UdpSocket};
use types::{LegId, Pii, Uid};

const CALLS: u32 = 200;
const ANSWER: &str =
    "v=0\r\no=- 2 2 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 6000 RTP/AVP 0\r\n";

/// Runs where SIPp is installed (`apt-get install sip-tester`); elsewhere it says so and proves nothing.
#[test]
fn two_hundred_calls_of_sipp() {
    if !sipp::installed() {
        println!("SKIPPED: sipp is not installed");
        return;
    }
    let carrier = UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = carrier.local_addr().unwrap().port();
    let signalling = Signalling::new(env!("CARGO_BIN_EXE_sip"), &[&carrier], answer);
    signalling.attached();
    // The port is SIPp's from here on.
    drop(carrier);
    let times = sipp::call(port, &signalling.address(), CALLS, 50).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(times.len(), CALLS as usize);
    let mut ended = 0;
    signalling.until("every call has ended", || {
        let events = signalling.events();
        ended += events.iter().filter(|event| matches!(event, SignallingEvent::Ended { .. })).count();
        ended == CALLS as usize
    });
}

/// The same calls over one connection, and over IPv6 by both.
#[test]
fn calls_of_sipp_over_tcp_and_ipv6() {
    if !sipp::installed() {
        println!("SKIPPED: sipp is not installed");
        return;
    }
    for (over, ip) in [(Over::Tcp, "127.0.0.1"), (Over::Udp, "::1"), (Over::Tcp, "::1")] {
        let ip: IpAddr = ip.parse().unwrap();
        let (from, bind) = (SocketAddr::new(ip, free().port()), SocketAddr::new(ip, free().port()));
        let transport = if over == Over::Tcp { "tcp" } else { "udp" };
        let trunk = json!({ "name": "carrier", "address": from, "transport": transport, "check": "5s" });
        let settings = json!({ "bind": [bind], "trunks": [trunk] });
        let program = env!("CARGO_BIN_EXE_sip");
        let signalling = Signalling::with(program, &settings, answer);
        signalling.attached();
        let times = sipp::call_over(over, from, &bind.to_string(), 100, 100)
            .unwrap_or_else(|error| panic!("{over:?} {ip}: {error}"));
        assert_eq!(times.len(), 100, "{over:?} {ip}");
    }
}

/// SIPp requires 100rel, and loses one in five of the words that it wants: each call hears 180 and 183 in order, each
/// acknowledged, and is answered after that.
#[test]
fn callers_of_sipp_who_acknowledge_what_they_are_told() {
    if !sipp::installed() {
        println!("SKIPPED: sipp is not installed");
        return;
    }
    let carrier = UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = carrier.local_addr().unwrap().port();
    let signalling = Signalling::new(env!("CARGO_BIN_EXE_sip"), &[&carrier], |event| {
        let mut commands = answer(event);
        if let (SignallingEvent::Offered { leg, .. }, false) = (event, commands.is_empty()) {
            let description = Some(SessionDescription(ANSWER.into()));
            commands.insert(1, SignallingCommand::Ring { leg: *leg, description, memo: Memo::default() });
        }
        commands
    });
    signalling.attached();
    drop(carrier);
    let caller = sipp::play(sipp::RELIABLE_CALLER, port, Some(&signalling.address()), 60, 20);
    caller.done().unwrap_or_else(|error| panic!("{error}"));
    let mut ended = Vec::new();
    signalling.until("every call has ended", || {
        ended.extend(signalling.events().into_iter().filter_map(|event| match event {
            SignallingEvent::Ended { cause, by, .. } => Some((cause, by)),
            _ => None,
        }));
        ended.len() == 60
    });
    assert!(ended.iter().all(|end| *end == (Cause::NormalClearing, EndedBy::Peer)), "{ended:?}");
}

/// SIPp is called, rings and sends early media reliably over the same losses, and answers without a description.
#[test]
fn a_called_sipp_whose_words_are_acknowledged() {
    if !sipp::installed() {
        println!("SKIPPED: sipp is not installed");
        return;
    }
    let carrier = UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = carrier.local_addr().unwrap().port();
    let signalling = Signalling::new(env!("CARGO_BIN_EXE_sip"), &[&carrier], |event| match event {
        SignallingEvent::Ended { leg, .. } => vec![SignallingCommand::Forget { leg: *leg }],
        SignallingEvent::Answered { leg, .. } => {
            vec![SignallingCommand::HangUp { leg: *leg, cause: Cause::NormalClearing }]
        }
        _ => Vec::new(),
    });
    signalling.attached();
    drop(carrier);
    let called = sipp::play(sipp::RELIABLE_CALLED, port, None, 40, 20);
    std::thread::sleep(std::time::Duration::from_millis(500));
    for number in 0..40_u8 {
        signalling.command(SignallingCommand::Dial {
            leg: LegId(Uid([number + 1; 16])),
            over: Endpoint::Trunk("trunk0".parse().unwrap()),
            number: "01088886666".into(),
            from: Party { number: Pii::new("8001".into()), display: None },
            description: SessionDescription(ANSWER.into()),
            memo: Memo::default(),
            silence_ms: None,
        });
    }
    called.done().unwrap_or_else(|error| panic!("{error}"));
    let mut told = std::collections::BTreeMap::<LegId, Vec<&str>>::new();
    let mut ended = 0;
    signalling.until("every call has ended", || {
        for event in signalling.events() {
            let (leg, what) = match event {
                SignallingEvent::Ringing { leg, description: None } => (leg, "rings"),
                SignallingEvent::Ringing { leg, description: Some(_) } => (leg, "sounds"),
                SignallingEvent::Answered { leg, description: Some(_) } => (leg, "answers"),
                SignallingEvent::Ended { cause: Cause::NormalClearing, .. } => {
                    ended += 1;
                    continue;
                }
                other => panic!("{other:?}"),
            };
            told.entry(leg).or_default().push(what);
        }
        ended == 40
    });
    assert!(told.values().all(|told| *told == ["rings", "sounds", "answers"]), "{told:?}");
}

/// Rings, answers, and forgets what is over.
fn answer(event: &SignallingEvent) -> Vec<SignallingCommand> {
    match event {
        SignallingEvent::Offered { leg, .. } => vec![
            SignallingCommand::Ring { leg: *leg, description: None, memo: Memo::default() },
            SignallingCommand::Answer {
                leg: *leg,
                description: SessionDescription(ANSWER.into()),
                memo: Memo(format!("{leg}")),
            },
        ],
        SignallingEvent::Ended { leg, .. } => vec![SignallingCommand::Forget { leg: *leg }],
        _ => Vec::new(),
    }
}
