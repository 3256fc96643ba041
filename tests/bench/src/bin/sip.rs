//! What a signalled call costs: SIPp calls the daemon sip, whose route (this program) rings and answers at
//! once; each talks for a second. Beside it an answerer that knows no SIP: it copies headers back, so it costs
//! what the kernel takes for the same datagrams.
#![allow(clippy::print_stdout, reason = "a peer says how to reach it, and what is not installed is said")]

use bench::{Failure, Figures, Peer, program, used};
use route_api::{Memo, SessionDescription, SignallingCommand, SignallingEvent};
use stage::{Signalling, sipp};
use std::net::UdpSocket;

const CALLS: u32 = 3000;
const RATE: u32 = 200;
const ANSWER: &str =
    "v=0\r\no=- 2 2 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 6000 RTP/AVP 0\r\n";

fn main() -> Result<(), Failure> {
    if std::env::args().nth(1).is_some() {
        return answer();
    }
    if !sipp::installed() {
        println!("sip: SIPp is not installed (apt-get install sip-tester): nothing was measured\n");
        return Ok(());
    }
    let carrier = UdpSocket::bind("127.0.0.1:0")?;
    let port = carrier.local_addr()?.port();
    let signalling = Signalling::new(program("sip")?, &[&carrier], |event| match event {
        SignallingEvent::Offered { leg, .. } => vec![
            SignallingCommand::Ring { leg: *leg, description: None, memo: Memo::default() },
            SignallingCommand::Answer {
                leg: *leg,
                description: SessionDescription(ANSWER.to_owned()),
                memo: Memo(leg.to_string()),
            },
        ],
        SignallingEvent::Ended { leg, .. } => vec![SignallingCommand::Forget { leg: *leg }],
        _ => Vec::new(),
    });
    signalling.attached();
    // The port is SIPp's from here on.
    drop(carrier);
    let bare = Peer::start("answer")?;
    // Warm, and as large as it gets.
    sipp::call(port, &signalling.address(), RATE, RATE)?;
    let before = used(signalling.pid())?;
    sipp::call(port, &signalling.address(), CALLS, RATE)?;
    let ours = (used(signalling.pid())? - before).as_secs_f64() * 1e3 / f64::from(CALLS);
    let before = bare.used()?;
    sipp::call(port, &bare.address, CALLS, RATE)?;
    let reference = (bare.used()? - before).as_secs_f64() * 1e3 / f64::from(CALLS);

    let mut figures = Figures::of("sip");
    let name = "a bare answerer";
    let over = figures.beside("a signalled call", "CPU ms", ours, (name, reference));
    figures.end(&format!(
        "the limit is the kernel's cost of a call's datagrams: a call costs {over:.1} × that, {:.0} calls/s a core",
        1e3 / ours
    ))
}

/// Answers for ever, one datagram after another, whatever they are.
fn answer() -> Result<(), Failure> {
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    let address = socket.local_addr()?;
    println!("{address}");
    let mut buffer = [0; 4096];
    loop {
        let (length, from) = socket.recv_from(&mut buffer)?;
        let text = String::from_utf8_lossy(&buffer[..length]);
        let reply = |status: &str, body: &str| {
            let mut reply = format!("SIP/2.0 {status}\r\n");
            for line in text.lines() {
                if ["Via:", "From:", "Call-ID:", "CSeq:"].iter().any(|name| line.starts_with(name)) {
                    reply += &format!("{line}\r\n");
                } else if line.starts_with("To:") {
                    reply += &format!("{line}{}\r\n", if line.contains(";tag=") { "" } else { ";tag=bare" });
                }
            }
            reply +=
                &format!("Contact: <sip:bare@{address}>\r\nContent-Length: {}\r\n\r\n{body}", body.len());
            socket.send_to(reply.as_bytes(), from).map(drop)
        };
        if text.starts_with("INVITE") {
            reply("100 Trying", "")?;
            reply("180 Ringing", "")?;
            reply("200 OK", ANSWER)?;
        } else if text.starts_with("BYE") {
            reply("200 OK", "")?;
        }
    }
}
