//! SIPp as the caller: every call is set up, talks and ends, at a rate. (What that costs: `make bench BENCH=sip`.)

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "a test may stop")]

use route_api::{Memo, SessionDescription, SignallingCommand, SignallingEvent};
use serde_json::json;
use stage::{
    Signalling, free,
    sipp::{self, Over},
};
use std::net::{IpAddr, SocketAddr, UdpSocket};

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
