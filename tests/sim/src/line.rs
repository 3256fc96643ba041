//! One party's half of one dialog: a SIP user agent written by hand after RFC 3261, so that it shares no
//! mistake with the core it talks to.
//!
//! ```text
//!   Caller:  Inviting ──2xx──► Talking ──BYE──► Leaving ──► Over
//!               │ CANCEL                └─ BYE comes ─────────► Over
//!               ▼
//!           Cancelling ── final response ──► Over
//!   Called:  Ringing ── 200 ──► Talking …       Ringing ── CANCEL, refusal ──► Refused ── ACK ──► Over
//! ```

use media_core::g711::Law;
use sip_core::message::{Method, Name, Request, Response, Status};
use std::{net::SocketAddr, time::Duration};
use types::Monotonic;

/// RFC 3261 §17.1.1.1.
const T1: Duration = Duration::from_millis(500);
const T2: Duration = Duration::from_secs(4);
/// 64 · T1: timers B, F and H.
const LIMIT: Duration = Duration::from_secs(32);
/// A payload of a party begins with this; prompts do not.
const MAGIC: [u8; 4] = *b"\x13geo";
/// The number of somebody who is on no call.
pub const STRANGER: u32 = u32::MAX;

/// Who the party is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Calls the house over the trunk.
    Caller,
    /// An agent's phone, by its place in the list.
    Phone(usize),
}

/// How far the party is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// INVITE sent, no final response.
    Inviting,
    /// Gave up before a final response.
    Cancelling,
    /// INVITE taken, no final response sent.
    Ringing,
    /// Refused or was cancelled; the ACK is missing.
    Refused,
    /// Both agreed.
    Talking,
    /// BYE sent.
    Leaving,
    /// Over.
    Over,
    /// Says and hears nothing any more.
    Vanished,
}

/// How a party ends its call when nothing else did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Invite,
    Cancel,
    Bye,
    Refer,
    Success,
    Refusal,
    /// A provisional response whose PRACK is missing (RFC 3262 §3).
    Provisional,
}

/// A message that is repeated until something stops it.
#[derive(Clone, Debug)]
struct Retry {
    kind: Kind,
    bytes: Vec<u8>,
    at: Monotonic,
    pause: Duration,
    until: Monotonic,
}

/// One half of a dialog.
#[derive(Clone, Debug)]
pub struct Line {
    pub number: u32,
    pub side: Side,
    pub sip: SocketAddr,
    pub rtp: SocketAddr,
    pub law: Law,
    pub state: State,
    /// Where the house wants RTP.
    pub house_rtp: Option<SocketAddr>,
    /// Packet times spoken so far.
    pub spoken: u32,
    /// Packets sent beyond one in each of them.
    events: u32,
    /// Whether its phone has keys.
    pub keys: bool,
    pub sequence: u16,
    pub outbox: Vec<Vec<u8>>,
    /// Final status that the house gave or got.
    pub status: u16,
    /// Whether the house hung up while both talked.
    pub ended_by_house: bool,
    pub call_id: String,
    house: SocketAddr,
    local: String,
    remote: String,
    target: String,
    offering: Offering,
    provisional: bool,
    numbers: u32,
    retries: Vec<Retry>,
    invite: Option<Request>,
    /// A called party's last response.
    last: Option<Vec<u8>>,
    /// Our ACK of the 2xx that made the dialog.
    ack: Option<Vec<u8>>,
    /// The number of a re-INVITE that has no final response.
    changing: Option<u32>,
    /// The RSeq of the last reliable response; none before the first.
    rseq: u32,
    /// PRACKs that fitted.
    pub pracks: u32,
    /// The answer waits for a PRACK.
    answers: bool,
    /// Whether the phone speaks before it answers.
    pub early: bool,
    /// Whether the phone has put the other side on hold.
    pub holds: bool,
    /// The last word on the transfer that this phone asked for: a status, 0 while there is none.
    pub transferred: Option<u16>,
    /// re-INVITEs that the house accepted.
    pub changes: u32,
    /// Whose place it wants, where it wants one.
    pub wants: Option<u32>,
}

/// Whose description comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Offering {
    /// Ours, in the INVITE.
    Early,
    /// The house's, in its 2xx; ours comes in the ACK.
    Late,
    /// Ours, and nobody can meet it.
    Unmeetable,
}

/// How a phone asks for the place of another.
pub struct Replacing {
    /// Only while that rings.
    pub early: bool,
    /// The answer to a challenge.
    pub proof: Option<String>,
}

/// Who a new party is.
pub struct Birth {
    pub number: u32,
    pub side: Side,
    pub sip: SocketAddr,
    pub rtp: SocketAddr,
    pub law: Law,
    pub house: SocketAddr,
    pub sequence: u16,
}

impl Line {
    fn new(birth: Birth, call_id: String) -> Self {
        let Birth { number, side, sip, rtp, law, house, sequence } = birth;
        Self {
            number,
            side,
            sip,
            rtp,
            law,
            state: State::Over,
            house_rtp: None,
            spoken: 0,
            events: 0,
            keys: false,
            sequence,
            outbox: Vec::new(),
            status: 0,
            ended_by_house: false,
            call_id,
            house,
            local: String::new(),
            remote: String::new(),
            target: String::new(),
            offering: Offering::Early,
            provisional: false,
            numbers: 1,
            retries: Vec::new(),
            invite: None,
            last: None,
            ack: None,
            changing: None,
            rseq: 0,
            pracks: 0,
            answers: false,
            early: false,
            holds: false,
            transferred: None,
            changes: 0,
            wants: None,
        }
    }

    /// A caller dials.
    pub fn dial(now: Monotonic, birth: Birth, dialled: &str, offering: Offering) -> Self {
        let number = birth.number;
        let mut line = Self::new(birth, format!("call-{number}@carrier"));
        line.local = format!("<sip:1380000{number:04}@{}>;tag=c{number}", line.sip.ip());
        line.remote = format!("<sip:{dialled}@{}>", line.house.ip());
        line.target = format!("sip:{dialled}@{}", line.house);
        line.offering = offering;
        line.state = State::Inviting;
        let body = if offering == Offering::Late { String::new() } else { line.description() };
        let invite = line.request("INVITE", 1, "i", &body);
        line.repeat(now, Kind::Invite, invite);
        line
    }

    /// A phone wants the place of another line (INVITE with Replaces, RFC 3891): a device beside it, or a colleague.
    pub fn replace(now: Monotonic, birth: Birth, extension: &str, of: &Self, how: &Replacing) -> Self {
        let number = birth.number;
        let mut line = Self::new(birth, format!("device-{number}@phone"));
        line.local = format!("<sip:{extension}@{}>;tag=d{number}", line.sip.ip());
        line.remote = format!("<sip:{extension}@{}>", line.house.ip());
        line.target = Self::own_uri(extension, line.house);
        line.state = State::Inviting;
        line.wants = Some(of.number);
        let tag =
            |address: &str| address.rsplit_once(";tag=").map(|(_, tag)| tag.to_owned()).unwrap_or_default();
        let (ours, theirs) = (tag(&of.remote), tag(&of.local));
        let early = if how.early { ";early-only" } else { "" };
        let proof = how.proof.as_ref().map(|proof| format!("Authorization: {proof}\r\n")).unwrap_or_default();
        let headers =
            format!("\r\nReplaces: {};to-tag={ours};from-tag={theirs}{early}\r\n{proof}Contact:", of.call_id);
        let invite = line.request("INVITE", 1, "i", &line.description());
        let invite = text(&invite).replacen("\r\nContact:", &headers, 1);
        line.repeat(now, Kind::Invite, invite.into_bytes());
        line
    }

    /// What a phone dials for its own place.
    pub fn own_uri(extension: &str, house: SocketAddr) -> String {
        format!("sip:{extension}@{house}")
    }

    /// A phone is called.
    pub fn called(birth: Birth, invite: Request) -> Self {
        let mut line = Self::new(birth, text(&invite.head.call_id));
        line.local = format!("{};tag=p{}", text(invite.head.to.to_bytes()), line.number);
        line.remote = text(invite.head.from.to_bytes());
        let contact = invite.head.headers.first(&Name::Contact).map(text).unwrap_or_default();
        line.target = contact.trim_matches(['<', '>']).to_owned();
        line.house_rtp = remote_rtp(&invite.body);
        line.state = State::Ringing;
        line.invite = Some(invite);
        line
    }

    /// Whether something is still owed to the house.
    pub fn due(&self) -> Option<Monotonic> {
        self.retries.iter().map(|retry| retry.at).min()
    }

    /// Repeats what is due.
    pub fn fire(&mut self, now: Monotonic) {
        let mut expired = Vec::new();
        for retry in &mut self.retries {
            if retry.until <= now {
                expired.push(retry.kind);
            } else if retry.at <= now {
                self.outbox.push(retry.bytes.clone());
                retry.pause *= 2;
                if !matches!(retry.kind, Kind::Invite | Kind::Provisional) {
                    retry.pause = retry.pause.min(T2);
                }
                retry.at = now.plus(retry.pause).min(retry.until);
            }
        }
        for kind in expired {
            self.stop(kind);
            match kind {
                // RFC 3261 §14.1: a re-INVITE without an answer changes nothing.
                Kind::Invite if self.changing.take().is_some() => {}
                Kind::Refer => self.transferred = Some(408),
                Kind::Invite | Kind::Bye | Kind::Refusal => self.state = State::Over,
                // RFC 3261 §9.1: without a 487 the INVITE counts as over.
                Kind::Cancel if self.state == State::Cancelling => self.state = State::Over,
                Kind::Cancel => {}
                Kind::Success => self.bye(now),
                // RFC 3262 §3: no PRACK in 64·T1.
                Kind::Provisional => self.respond(now, 504, false),
            }
        }
    }

    /// Falls silent for ever.
    pub fn vanish(&mut self) {
        self.state = State::Vanished;
        self.retries.clear();
        self.outbox.clear();
    }

    /// Gives up before an answer, or hangs up after it.
    pub fn hang_up(&mut self, now: Monotonic) {
        match self.state {
            State::Inviting => {
                self.state = State::Cancelling;
                if self.provisional {
                    self.cancel(now);
                }
            }
            State::Talking => self.bye(now),
            State::Ringing => self.respond(now, 603, false),
            _ => {}
        }
    }

    /// A re-INVITE (RFC 3261 §14.1) with the same description: a session that is refreshed.
    pub fn change(&mut self, now: Monotonic) {
        if self.state == State::Talking && self.changing.is_none() && self.retries.is_empty() {
            self.numbers += 1;
            self.changing = Some(self.numbers);
            let body = self.description();
            let invite = self.request("INVITE", self.numbers, &format!("i{}", self.numbers), &body);
            self.repeat(now, Kind::Invite, invite);
        }
    }

    /// Asks to be replaced (REFER, RFC 3515).
    pub fn transfer(&mut self, now: Monotonic, to: &str) {
        if self.state == State::Talking && self.transferred.is_none_or(|status| status >= 200) {
            self.transferred = Some(0);
            self.numbers += 1;
            let refer = self.request("REFER", self.numbers, &format!("r{}", self.numbers), "");
            let refer = String::from_utf8_lossy(&refer).into_owned();
            let target = format!("\r\nRefer-To: <sip:{to}@{}>\r\nContent-Length", self.house.ip());
            self.repeat(now, Kind::Refer, refer.replacen("\r\nContent-Length", &target, 1).into_bytes());
        }
    }

    fn cancel(&mut self, now: Monotonic) {
        let cancel = self.request("CANCEL", 1, "i", "");
        self.repeat(now, Kind::Cancel, cancel);
    }

    fn bye(&mut self, now: Monotonic) {
        self.state = State::Leaving;
        self.retries.clear();
        self.numbers += 1;
        let bye = self.request("BYE", self.numbers, &format!("b{}", self.numbers), "");
        self.repeat(now, Kind::Bye, bye);
    }

    /// A provisional response that the house has to acknowledge; one at a time.
    pub fn respond_reliably(&mut self, now: Monotonic, status: u16, described: bool) {
        let waits = self.retries.iter().any(|retry| retry.kind == Kind::Provisional);
        let Some(invite) = self.invite.as_ref().filter(|_| self.state == State::Ringing && !waits) else {
            return;
        };
        self.rseq = if self.rseq == 0 { 1 + self.number * 7 } else { self.rseq + 1 };
        let tag = format!("p{}", self.number);
        let mut response = invite.respond(Status(status)).tagged(tag.as_bytes());
        response = response.with(Name::Contact, format!("<sip:{}>", self.sip));
        response = response.with(Name::Require, "100rel").with(Name::RSeq, self.rseq.to_string());
        if described {
            response = response.with(Name::ContentType, "application/sdp");
            response.body = self.description().into_bytes();
            self.early = true;
        }
        let bytes = response.to_bytes();
        self.last = Some(bytes.clone());
        self.repeat(now, Kind::Provisional, bytes);
    }

    /// A phone's response to the INVITE. An answer waits for the PRACK of what was said before.
    pub fn respond(&mut self, now: Monotonic, status: u16, described: bool) {
        if self.state != State::Ringing {
            return;
        }
        if status == 200 && self.retries.iter().any(|retry| retry.kind == Kind::Provisional) {
            self.answers = true;
            return;
        }
        if status >= 200 {
            self.stop(Kind::Provisional);
        }
        let Some(invite) = &self.invite else { return };
        let tag = format!("p{}", self.number);
        let mut response = invite.respond(Status(status)).tagged(tag.as_bytes());
        response = response.with(Name::Contact, format!("<sip:{}>", self.sip));
        if described {
            response = response.with(Name::ContentType, "application/sdp");
            response.body = self.description().into_bytes();
        }
        let bytes = response.to_bytes();
        self.last = Some(bytes.clone());
        self.status = status;
        match status {
            ..200 => self.outbox.push(bytes),
            200..300 => {
                self.state = State::Talking;
                self.repeat(now, Kind::Success, bytes);
            }
            _ => {
                self.state = State::Refused;
                self.repeat(now, Kind::Refusal, bytes);
            }
        }
    }

    /// A response came.
    pub fn response(&mut self, now: Monotonic, response: &Response) {
        if self.state == State::Vanished {
            return;
        }
        let number = response.head.cseq.number;
        match (&response.head.cseq.method, response.status) {
            (Method::Invite, status) if number > 1 && !status.is_provisional() => {
                self.changed(number, status.is_success());
            }
            (Method::Invite, status) if status.is_provisional() => {
                self.stop(Kind::Invite);
                let first = !std::mem::replace(&mut self.provisional, true);
                if first && self.state == State::Cancelling {
                    self.cancel(now);
                }
            }
            (Method::Invite, status) if status.is_success() => self.answered(now, response),
            (Method::Invite, status) => {
                self.stop(Kind::Invite);
                self.stop(Kind::Cancel);
                self.remote = text(response.head.to.to_bytes());
                let ack = self.request("ACK", 1, "i", "");
                self.outbox.push(ack);
                if matches!(self.state, State::Inviting | State::Cancelling) {
                    (self.state, self.status) = (State::Over, status.0);
                }
            }
            (Method::Bye, status) if !status.is_provisional() => {
                self.stop(Kind::Bye);
                if self.state == State::Leaving {
                    self.state = State::Over;
                }
            }
            (Method::Refer, status) if !status.is_provisional() => {
                self.stop(Kind::Refer);
                if !status.is_success() {
                    self.transferred = Some(status.0);
                }
            }
            // CANCEL: the 487 to the INVITE is what ends it.
            _ => {}
        }
    }

    fn answered(&mut self, now: Monotonic, response: &Response) {
        self.stop(Kind::Invite);
        self.stop(Kind::Cancel);
        if let Some(ack) = &self.ack {
            // RFC 3261 §13.2.2.4: every copy of a 2xx has its ACK.
            self.outbox.push(ack.clone());
            return;
        }
        self.remote = text(response.head.to.to_bytes());
        let contact = response.head.headers.first(&Name::Contact).map(text).unwrap_or_default();
        self.target = contact.trim_matches(['<', '>']).to_owned();
        self.house_rtp = remote_rtp(&response.body);
        let body = if self.offering == Offering::Late { self.description() } else { String::new() };
        let ack = self.request("ACK", 1, "a", &body);
        self.ack = Some(ack.clone());
        self.outbox.push(ack);
        let gave_up = self.state != State::Inviting;
        (self.state, self.status) = (State::Talking, 200);
        if gave_up {
            self.bye(now);
        }
    }

    /// The final response to a re-INVITE.
    fn changed(&mut self, number: u32, accepted: bool) {
        self.stop(Kind::Invite);
        self.changes += u32::from(accepted && self.changing == Some(number));
        self.changing = self.changing.filter(|changing| *changing != number);
        let branch = if accepted { format!("a{number}") } else { format!("i{number}") };
        let ack = self.request("ACK", number, &branch, "");
        self.outbox.push(ack);
    }

    /// A request within the dialog came, or the INVITE once more.
    pub fn requested(&mut self, now: Monotonic, request: &Request) {
        if self.state == State::Vanished {
            return;
        }
        match request.method {
            Method::Invite => self.outbox.extend(self.last.clone()),
            Method::Ack => {
                self.stop(Kind::Success);
                self.stop(Kind::Refusal);
                if self.state == State::Refused {
                    self.state = State::Over;
                }
            }
            Method::Cancel => {
                self.answer(request, 200);
                self.respond(now, 487, false);
            }
            Method::Bye => {
                self.answer(request, 200);
                self.retries.clear();
                self.ended_by_house |= self.state == State::Talking;
                self.state = State::Over;
            }
            Method::Prack => {
                let rack = request.head.headers.first(&Name::RAck).map(text).unwrap_or_default();
                let waits = self.retries.iter().any(|retry| retry.kind == Kind::Provisional);
                let fits = rack == format!("{} 1 INVITE", self.rseq);
                // A copy is answered as the first was; nobody else asks.
                self.answer(request, if fits { 200 } else { 481 });
                if fits && waits {
                    self.pracks += 1;
                    self.stop(Kind::Provisional);
                    if std::mem::take(&mut self.answers) {
                        self.respond(now, 200, true);
                    }
                }
            }
            Method::Notify => {
                self.answer(request, 200);
                let status = text(&request.body).split(' ').nth(1).and_then(|status| status.parse().ok());
                // An earlier word that came late says nothing any more.
                if self.transferred.is_some_and(|last| last < 200) {
                    self.transferred = status;
                }
            }
            _ => self.answer(request, 501),
        }
    }

    fn answer(&mut self, request: &Request, status: u16) {
        self.outbox.push(request.respond(Status(status)).tagged(b"late").to_bytes());
    }

    fn repeat(&mut self, now: Monotonic, kind: Kind, bytes: Vec<u8>) {
        self.outbox.push(bytes.clone());
        self.retries.push(Retry { kind, bytes, at: now.plus(T1), pause: T1, until: now.plus(LIMIT) });
    }

    fn stop(&mut self, kind: Kind) {
        self.retries.retain(|retry| retry.kind != kind);
    }

    fn request(&self, method: &str, number: u32, branch: &str, body: &str) -> Vec<u8> {
        let Self { sip, local, remote, target, call_id, .. } = self;
        let kind = if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
        format!(
            "{method} {target} SIP/2.0\r\nVia: SIP/2.0/UDP {sip};branch=z9hG4bK{}{branch};rport\r\n\
             From: {local}\r\nTo: {remote}\r\nCall-ID: {call_id}\r\nCSeq: {number} {method}\r\n\
             Max-Forwards: 70\r\nContact: <sip:{sip}>\r\n{kind}Content-Length: {}\r\n\r\n{body}",
            self.number,
            body.len()
        )
        .into_bytes()
    }

    fn description(&self) -> String {
        let (ip, port) = (self.rtp.ip(), self.rtp.port());
        let format = match (self.offering, self.law) {
            (Offering::Unmeetable, _) => "18",
            (_, Law::A) => "8",
            (_, Law::Mu) => "0",
        };
        format!(
            "v=0\r\no=- {} 1 IN IP4 {ip}\r\ns=-\r\nc=IN IP4 {ip}\r\nt=0 0\r\nm=audio {port} RTP/AVP {format}{}\r\n{}",
            self.number,
            if self.keys { " 101\r\na=rtpmap:101 telephone-event/8000" } else { "" },
            if self.holds { "a=sendonly\r\n" } else { "" },
        )
    }

    /// The next 20 ms of speech, which name their party and their place.
    pub fn speak(&mut self) -> Vec<u8> {
        let index = self.spoken;
        self.spoken += 1;
        let kind = match self.law {
            Law::A => 8,
            Law::Mu => 0,
        };
        let mut datagram = vec![0x80, kind];
        datagram.extend(self.sequence.wrapping_add((index + self.events) as u16).to_be_bytes());
        datagram.extend((index * 160).to_be_bytes());
        datagram.extend(self.number.to_be_bytes());
        datagram.extend(MAGIC);
        datagram.extend(self.number.to_be_bytes());
        datagram.extend(index.to_be_bytes());
        datagram.resize(12 + 160, index as u8);
        datagram
    }

    /// A key as a telephone event (RFC 4733): on the way of the speech, in its stream and its sequence. Held for
    /// 100 ms, its end said three times (§2.5.1.4).
    pub fn press(&mut self, key: char) -> Vec<Vec<u8>> {
        let code = "0123456789*#ABCD".find(key).unwrap() as u8;
        let timestamp = self.spoken * 160;
        self.spoken += 5;
        let durations = [160_u16, 320, 480, 640, 800, 800, 800];
        let packets = durations.iter().enumerate().map(|(at, duration)| {
            let (marker, end) = (u8::from(at == 0) << 7, u8::from(at >= 4) << 7);
            let mut datagram = vec![0x80, marker | 101];
            let sequence = self.sequence.wrapping_add((self.spoken - 5 + self.events) as u16 + at as u16);
            datagram.extend(sequence.to_be_bytes());
            datagram.extend(timestamp.to_be_bytes());
            datagram.extend(self.number.to_be_bytes());
            datagram.extend([code, end | 10]);
            datagram.extend(duration.to_be_bytes());
            datagram
        });
        let packets: Vec<_> = packets.collect();
        self.events += 2;
        packets
    }
}

/// A packet of somebody who is on no call.
pub fn stray(sequence: u16) -> Vec<u8> {
    let mut datagram = vec![0x80, 8];
    datagram.extend(sequence.to_be_bytes());
    datagram.extend([0; 4]);
    datagram.extend(STRANGER.to_be_bytes());
    datagram.extend(MAGIC);
    datagram.extend(STRANGER.to_be_bytes());
    datagram.resize(12 + 160, 0);
    datagram
}

/// Whose payload this is, and which of theirs.
pub fn spoken_by(payload: &[u8]) -> Option<(u32, u32)> {
    let rest = payload.strip_prefix(&MAGIC)?;
    let (number, rest) = rest.split_first_chunk::<4>()?;
    let (index, _) = rest.split_first_chunk::<4>()?;
    Some((u32::from_be_bytes(*number), u32::from_be_bytes(*index)))
}

fn remote_rtp(body: &[u8]) -> Option<SocketAddr> {
    let body = std::str::from_utf8(body).ok()?;
    let port = body.lines().find_map(|line| line.strip_prefix("m=audio "))?;
    let ip = body.lines().find_map(|line| line.strip_prefix("c=IN IP4 "))?;
    Some(SocketAddr::new(ip.trim().parse().ok()?, port.split(' ').next()?.parse().ok()?))
}

fn text(bytes: impl AsRef<[u8]>) -> String {
    String::from_utf8_lossy(bytes.as_ref()).into_owned()
}
