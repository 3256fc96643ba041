//! The 49 messages of RFC 4475 put to the real process, by UDP and by TCP: each gets the answer that its section of
//! the RFC asks for, or silence where nobody can be answered; nothing of them stays, in memory or in the state that
//! outlives the process, and it goes on serving.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may stop")]

use route_api::{Cause, SignallingCommand, SignallingEvent};
use serde_json::json;
use stage::Signalling;
use std::{
    fs,
    io::{ErrorKind, Read, Write},
    net::{TcpStream, UdpSocket},
    path::PathBuf,
    sync::atomic::{AtomicU32, Ordering},
    thread,
    time::Duration,
};

/// What one message comes to.
enum Expected {
    /// This final response, by both transports.
    Answer(u16),
    /// Silence: a response, or a request whose own words leave no way back.
    Silence,
    /// By UDP this response; a connection on which it came cannot be read any further, and is ended.
    AnswerAndEnd(u16),
    /// By UDP this response; a connection on which it came is refused with 400, and ended.
    AnswerByDatagram(u16),
    /// By UDP this response; on a connection the rest of it is waited for.
    AnswerOrWait(u16),
}
use Expected::{Answer, AnswerAndEnd, AnswerByDatagram, AnswerOrWait, Silence};

/// In the order of the RFC. The house is called by its carrier and is busy: 486 is a call that was taken as one.
const TABLE: [(&str, Expected); 49] = [
    // §3.1.1 Valid messages
    ("wsinv", Answer(481)), // within a dialog that is not ours
    ("intmeth", Answer(501)),
    ("esc01", Answer(486)),
    ("escnull", Answer(401)),
    ("esc02", Answer(501)),
    ("lwsdisp", Answer(200)),
    ("longreq", Answer(486)),
    // Two in one: a datagram ends after the first (RFC 3261 §18.3), a stream goes on with the second, whose body is
    // longer than it says.
    ("dblreq", AnswerAndEnd(401)),
    ("semiuri", Answer(200)),
    ("transports", Answer(200)),
    ("mpart01", Answer(405)),
    ("unreason", Silence),
    ("noreason", Silence),
    // §3.1.2 Invalid messages
    ("badinv01", Silence), // in its Via
    ("clerr", AnswerOrWait(400)),
    ("ncl", AnswerAndEnd(400)),
    ("scalar02", Silence), // in its CSeq
    ("scalarlg", Silence),
    ("quotbal", Silence), // in its To
    ("ltgtruri", Answer(400)),
    ("lwsruri", Answer(400)),
    ("lwsstart", Answer(400)),
    ("trws", Answer(400)),
    ("escruri", Answer(400)),
    ("baddate", Answer(400)),
    ("regbadct", Answer(400)),
    ("badaspec", Silence), // in its To
    ("baddn", Silence),    // in its From
    ("badvers", Answer(505)),
    ("mismatch01", Answer(400)),
    ("mismatch02", Answer(400)),
    ("bigcode", Silence),
    // §3.2 Transaction layer
    ("badbranch", Answer(200)),
    // §3.3 Application layer
    ("insuf", Silence), // nothing to send back
    ("unkscm", Answer(416)),
    ("novelsc", Answer(416)),
    ("unksm2", Answer(401)),
    ("bext01", Answer(420)),
    ("invut", Answer(415)),
    ("regaut01", Answer(401)),
    ("multi01", Answer(400)),
    ("mcl01", AnswerAndEnd(400)),
    ("bcast", Silence),
    ("zeromf", Answer(200)),
    ("cparam01", Answer(401)),
    ("cparam02", Answer(401)),
    ("regescrt", Answer(401)),
    ("sdp01", Answer(406)),
    // §3.4 Backward compatibility: a caller without branch, tag and Contact is served; a stream needs a length.
    ("inv2543", AnswerByDatagram(486)),
];

/// How often all of them come, before memory is looked at and again after.
const ROUNDS: usize = 200;
/// More than the memory of an answered INVITE lasts (timer H, 64 × T1).
const FORGOTTEN: Duration = Duration::from_secs(34);
static NEXT: AtomicU32 = AtomicU32::new(0);

#[test]
fn each_of_the_49_is_answered_as_its_rfc_says_and_nothing_stays() {
    let address = address();
    let carrier = Datagrams::at(&address);
    let mut signalling = signalling(&address);
    signalling.attached();
    let (to, pid) = (signalling.address(), signalling.pid());
    let round = || {
        let mut wrong = Vec::new();
        for (name, expected) in &TABLE {
            let (by_datagram, by_stream) = match expected {
                Answer(status) => (vec![*status], (vec![*status], false)),
                Silence => (Vec::new(), (Vec::new(), false)),
                AnswerAndEnd(status) => (vec![*status], (vec![*status], true)),
                AnswerByDatagram(status) => (vec![*status], (vec![400], true)),
                AnswerOrWait(status) => (vec![*status], (Vec::new(), false)),
            };
            let bytes = message(name);
            let datagram = carrier.put(&to, &by("UDP", &bytes));
            wrong.extend((datagram != by_datagram).then(|| format!("{name} by UDP: {datagram:?}")));
            // The file lacks the empty line at its end: what comes next belongs to it, and is no SIP then.
            let by_stream = if *name == "baddn" { (Vec::new(), true) } else { by_stream };
            let stream = by_connection(&to, &by("TCP", &bytes));
            wrong.extend((stream != by_stream).then(|| format!("{name} by TCP: {stream:?}")));
        }
        assert_eq!(wrong, Vec::<String>::new());
    };
    round();
    let before = resident(pid);
    let flood = || {
        for _ in 0..ROUNDS {
            TABLE.iter().for_each(|(name, _)| drop(carrier.put(&to, &by("UDP", &message(name)))));
        }
    };
    flood();
    let (full, open) = (resident(pid), descriptors(pid));
    thread::sleep(FORGOTTEN);
    flood();
    let (again, now) = (resident(pid), descriptors(pid));
    // The second flood lives in what the first one left. What grows beside is the allocator's and the state's own, and
    // stays as it is from the third flood on.
    let grown = full - before;
    assert!(
        again <= full + grown * 3 / 4,
        "{before} KiB, {full} after {ROUNDS} rounds, {again} after as many more"
    );
    assert!(now <= open, "{open} descriptors, then {now}");

    // Every call that was offered has ended, and the next life takes none of them back.
    let count = |events: &[SignallingEvent]| {
        let [mut offered, mut ended] = [0_u32; 2];
        for event in events {
            offered += u32::from(matches!(event, SignallingEvent::Offered { .. }));
            ended += u32::from(matches!(event, SignallingEvent::Ended { .. }));
        }
        (offered, ended)
    };
    let mut events = Vec::new();
    signalling.until("every call has ended", || {
        events.extend(signalling.events());
        let (offered, ended) = count(&events);
        offered == ended && offered >= 4 * ROUNDS as u32
    });
    signalling.kill();
    signalling.start();
    let (again, attached) = signalling.attached_again();
    assert_eq!((again.len(), attached.legs.len()), (0, 0));
    round();
}

/// An address of loopback that no other run has: what names no port in its Via is answered at 5060.
fn address() -> String {
    let [_, _, high, low] = std::process::id().to_be_bytes();
    format!("127.45.{high}.{low}")
}

fn signalling(address: &str) -> Signalling {
    let trunk = json!({
        "name": "carrier", "address": format!("{address}:5060"), "sources": ["127.0.0.1/32"], "check": "0s"
    });
    let settings = json!({ "trunks": [trunk] });
    Signalling::with(env!("CARGO_BIN_EXE_sip"), &settings, |event| match event {
        SignallingEvent::Offered { leg, .. } => {
            vec![SignallingCommand::HangUp { leg: *leg, cause: Cause::UserBusy }]
        }
        SignallingEvent::Ended { leg, .. } => vec![SignallingCommand::Forget { leg: *leg }],
        _ => Vec::new(),
    })
}

fn message(name: &str) -> Vec<u8> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/sip-torture");
    fs::read(folder.join(format!("{name}.dat"))).unwrap()
}

/// The memory of a process, in KiB.
fn resident(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

fn descriptors(pid: u32) -> usize {
    fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count()
}

/// A carrier by UDP: what has no port in its Via is answered at 5060.
struct Datagrams {
    socket: UdpSocket,
    other: UdpSocket,
}

impl Datagrams {
    fn at(address: &str) -> Self {
        let socket = |port: u16| {
            let socket = UdpSocket::bind((address, port)).unwrap();
            socket.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
            socket
        };
        // One of the messages says that it comes from 5050.
        let other = socket(5050);
        other.set_nonblocking(true).unwrap();
        Self { socket: socket(5060), other }
    }

    /// The final statuses that come back for these bytes. What is not answered is sent again, as by any client on UDP:
    /// refusals that nobody acknowledges are repeated by the thousand, and an answer finds no room behind them.
    fn put(&self, to: &str, bytes: &[u8]) -> Vec<u16> {
        let mut answers = Answers::to(bytes);
        let own = self.socket.local_addr().unwrap().to_string();
        let mut buffer = [0; 65_536];
        for _ in 0..20 {
            self.socket.send_to(bytes, to).unwrap();
            self.socket.send_to(&options("UDP", &own), to).unwrap();
            while !answers.whole()
                && let Ok(length) = self.socket.recv(&mut buffer)
            {
                answers.take(&String::from_utf8_lossy(&buffer[..length]));
            }
            if answers.whole() {
                break;
            }
        }
        assert!(answers.whole(), "the daemon answers: {}", String::from_utf8_lossy(bytes));
        while let Ok(length) = self.other.recv(&mut buffer) {
            answers.take(&String::from_utf8_lossy(&buffer[..length]));
        }
        answers.statuses
    }
}

/// What comes back for one message, up to the answer to a question that was put after it.
struct Answers {
    call_id: Option<String>,
    statuses: Vec<u16>,
    tried: bool,
    after: bool,
}

impl Answers {
    fn to(bytes: &[u8]) -> Self {
        Self {
            call_id: call_id(&String::from_utf8_lossy(bytes)),
            statuses: Vec::new(),
            tried: false,
            after: false,
        }
    }

    fn take(&mut self, text: &str) {
        let id = call_id(text);
        let status = text[8..11].parse().unwrap();
        if id.as_deref() == Some("torture-sync") {
            self.after = true;
        } else if id == self.call_id && status < 200 {
            self.tried = true;
        } else if id == self.call_id && !self.statuses.contains(&status) {
            // A refusal that nobody acknowledges is repeated.
            self.statuses.push(status);
        }
    }

    fn whole(&self) -> bool {
        self.after && (!self.tried || !self.statuses.is_empty())
    }
}

fn call_id(text: &str) -> Option<String> {
    let mut lines = text.lines().filter_map(|line| line.split_once(':'));
    let of =
        |name: &str| name.trim().eq_ignore_ascii_case("call-id") || name.trim().eq_ignore_ascii_case("i");
    lines.find(|(name, _)| of(name)).map(|(_, value)| value.trim().to_owned())
}

fn options(transport: &str, from: &str) -> Vec<u8> {
    format!(
        "OPTIONS sip:a@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/{transport} {from};branch=z9hG4bKsync{}\r\n\
         From: <sip:s@127.0.0.1>;tag=s\r\nTo: <sip:a@127.0.0.1>\r\nCall-ID: torture-sync\r\nCSeq: 1 OPTIONS\r\n\
         Content-Length: 0\r\n\r\n",
        NEXT.fetch_add(1, Ordering::Relaxed)
    )
    .into_bytes()
}

/// The final statuses that come back on a connection for these bytes, and whether it was ended.
fn by_connection(to: &str, bytes: &[u8]) -> (Vec<u16>, bool) {
    let mut answers = Answers::to(bytes);
    let mut stream = TcpStream::connect(to).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
    stream.write_all(bytes).unwrap();
    // It may have been ended already.
    let _closed = stream.write_all(&options("TCP", &stream.local_addr().unwrap().to_string()));
    let (mut text, mut buffer) = (String::new(), [0; 4096]);
    while !answers.whole() {
        match stream.read(&mut buffer) {
            Ok(0) => return (answers.statuses, true),
            Ok(length) => text += &String::from_utf8_lossy(&buffer[..length]),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => break,
            Err(_) => return (answers.statuses, true),
        }
        while let Some(end) = text.find("\r\n\r\n") {
            // None of our answers has a body.
            answers.take(&text.drain(..end + 4).collect::<String>());
        }
    }
    (answers.statuses, false)
}

/// The message as it would be had it come by this transport, in a transaction of its own.
fn by(transport: &str, bytes: &[u8]) -> Vec<u8> {
    let mut out = bytes.to_vec();
    let mut replace = |old: &str, new: &str| {
        let found = out.windows(old.len()).position(|window| window == old.as_bytes());
        if let Some(at) = found {
            out.splice(at..at + old.len(), new.bytes());
        }
        found.is_some()
    };
    let _any = ["UDP", "TCP", "TLS", "SCTP"]
        .iter()
        .any(|other| replace(&format!("SIP/2.0/{other}"), &format!("SIP/2.0/{transport}")));
    // Two of them share a branch, and what came once comes again.
    let next = NEXT.fetch_add(1, Ordering::Relaxed);
    let _branch = replace("branch=z9hG4bK\r", "branch=z9hG4bK\r")
        || replace("branch=z9hG4bK", &format!("branch=z9hG4bK{next}"))
        || replace("=   z9hG4bK", &format!("=   z9hG4bK{next}"));
    let _call =
        ["Call-ID:  ", "Call-ID: ", "I: ", "i: "].iter().any(|name| replace(name, &format!("{name}{next}.")));
    out
}
