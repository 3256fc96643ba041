//! A core on a clock of the test, with a carrier and a phone that speak by hand.
#![allow(dead_code, reason = "each test file uses its part")]

use route_api::{
    Cause, EndedBy, Endpoint, Ladder, Memo, Party, SessionDescription, SignallingCommand, SignallingEvent,
    TrunkStanding, Way,
};
use sip_core::{
    Bounds, Change, ConnectionId, Core, Flow, Input, Limits, Listener, Output, Phone, Presence, Report, Room,
    Seed, Settings, Trunk,
    digest::{Algorithm, Challenge, Protected},
    message::{Message, Method, Name, Request, Response, parse},
};
use std::{net::SocketAddr, time::Duration};
use types::{LegId, Monotonic, Pii, TrunkId, Uid};

pub const CARRIER: &str = "198.51.100.7:5060";
pub const PHONE: &str = "203.0.113.9:40000";
pub const OURS: &str = "192.0.2.1:5060";
pub const PASSWORD: &str = "Yanmen-8001-demo";
pub const OFFER: &str = "v=0\r\no=- 1 1 IN IP4 198.51.100.7\r\ns=-\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n";
pub const ANSWER: &str = "v=0\r\no=- 2 2 IN IP4 192.0.2.1\r\ns=-\r\nt=0 0\r\nm=audio 6000 RTP/AVP 0\r\n";

pub struct House {
    pub core: Core,
    pub now: Monotonic,
    pub events: Vec<SignallingEvent>,
    /// Of each leg that ended.
    pub ladders: Vec<Ladder>,
    /// Messages of legs that are watched.
    pub seen: Vec<(LegId, Way, Vec<u8>)>,
    pub sent: Vec<(SocketAddr, Message)>,
    /// The paths of what was sent, in the same order.
    pub flows: Vec<Flow>,
    pub opened: Vec<(ConnectionId, Flow)>,
    pub closed: Vec<ConnectionId>,
    pub reports: Vec<Report>,
    pub standings: Vec<(TrunkId, TrunkStanding)>,
    /// Line ends that keep a path open.
    pub pings: Vec<(Flow, Vec<u8>)>,
}

pub fn settings() -> Settings {
    Settings {
        listeners: vec![Listener::udp(OURS.parse().unwrap())],
        realm: "yanmen".into(),
        algorithms: vec![Algorithm::Sha256, Algorithm::Md5],
        trunks: vec![Trunk::at("carrier".parse().unwrap(), CARRIER.parse().unwrap())],
        phones: vec![Phone::new("8001".parse().unwrap(), PASSWORD.into())],
        phone_check: None,
        bounds: Bounds { legs: 3, transactions: 40, ended: Room { legs: 2, bytes: 1_000 }, connections: 40 },
        limits: Limits::default(),
    }
}

pub fn description(text: &str) -> SessionDescription {
    SessionDescription(text.into())
}

pub fn memo(text: &str) -> Memo {
    Memo(text.into())
}

pub fn carrier() -> Endpoint {
    Endpoint::Trunk("carrier".parse().unwrap())
}

pub fn phone() -> Endpoint {
    Endpoint::Phone("8001".parse().unwrap())
}

pub fn leg(n: u8) -> LegId {
    LegId(Uid([n; 16]))
}

/// A request as a peer writes it; `rest` are header lines, each with its CRLF, then perhaps a body.
pub fn request(
    method: &str,
    uri: &str,
    branch: &str,
    call: &str,
    to_tag: &str,
    number: u32,
    rest: &str,
) -> Vec<u8> {
    let (headers, body) = rest.split_once("\r\n\r\n").map_or((rest, ""), |(h, b)| (h, b));
    let headers = headers.trim_end();
    let gap = if headers.is_empty() { "" } else { "\r\n" };
    let tag = if to_tag.is_empty() { String::new() } else { format!(";tag={to_tag}") };
    format!(
        "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP 198.51.100.7:5060;branch=z9hG4bK{branch};rport\r\n\
         From: \"Li\" <sip:13800138000@198.51.100.7>;tag=caller\r\nTo: <sip:400@192.0.2.1>{tag}\r\n\
         Call-ID: {call}\r\nCSeq: {number} {method}\r\nMax-Forwards: 70\r\n{headers}{gap}\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

pub fn with_sdp(contact: &str, sdp: &str) -> String {
    format!("Contact: <{contact}>\r\nContent-Type: application/sdp\r\n\r\n{sdp}")
}

impl House {
    pub fn new() -> Self {
        Self::of(Core::new(settings(), Seed([7; 32])))
    }

    pub fn of(core: Core) -> Self {
        let mut house = Self {
            core,
            now: Monotonic(1_000_000_000_000),
            events: vec![],
            ladders: vec![],
            seen: vec![],
            sent: vec![],
            flows: vec![],
            opened: vec![],
            closed: vec![],
            reports: vec![],
            standings: vec![],
            pings: vec![],
        };
        house.hand(Input::Route(Presence::Attached));
        house
    }

    pub fn hand(&mut self, input: Input<'_>) {
        self.core.handle(self.now, input);
        while let Some(output) = self.core.poll() {
            match output {
                Output::Send { flow, bytes } if bytes.iter().all(|b| b"\r\n".contains(b)) => {
                    self.pings.push((flow, bytes));
                }
                Output::Send { flow, bytes } => {
                    let message = parse(&bytes).unwrap_or_else(|m| panic!("we sent nonsense: {}", m.fault));
                    self.sent.push((flow.remote, message));
                    self.flows.push(flow);
                }
                Output::Event(SignallingEvent::Standing { trunk, standing }) => {
                    self.standings.push((trunk, standing));
                }
                Output::Event(SignallingEvent::Ended { leg, at, cause, by, memo, ladder }) => {
                    self.ladders.push(ladder);
                    let ladder = Ladder::default();
                    self.events.push(SignallingEvent::Ended { leg, at, cause, by, memo, ladder });
                }
                Output::Event(event) => self.events.push(event),
                Output::Open { connection, flow, .. } => self.opened.push((connection, flow)),
                Output::Seen { leg, way, bytes, .. } => self.seen.push((leg, way, bytes)),
                Output::Close(connection) => self.closed.push(connection),
                Output::Report(report) => self.reports.push(report),
            }
        }
    }

    pub fn datagram(&mut self, from: &str, bytes: &[u8]) {
        self.hand(Input::Datagram { flow: Flow::udp(0, from.parse().unwrap()), bytes });
    }

    pub fn command(&mut self, command: SignallingCommand) {
        self.hand(Input::Command(command));
    }

    /// Lets time pass, waking the core when it asks.
    pub fn pass(&mut self, time: Duration) {
        let end = self.now.plus(time);
        while let Some(wake) = self.core.next_wake().filter(|wake| *wake <= end) {
            self.now = wake.max(self.now);
            self.hand(Input::Tick);
        }
        self.now = end;
    }

    /// Takes what was sent so far.
    pub fn sent(&mut self) -> Vec<Message> {
        self.sent_to().into_iter().map(|(_, message)| message).collect()
    }

    pub fn sent_to(&mut self) -> Vec<(SocketAddr, Message)> {
        std::mem::take(&mut self.sent)
    }

    /// The end of a leg, now.
    pub fn ended(&self, leg: LegId, cause: Cause, by: EndedBy, text: &str) -> SignallingEvent {
        SignallingEvent::Ended { leg, at: self.now, cause, by, memo: memo(text), ladder: Ladder::default() }
    }

    /// What is said again, without ladders.
    pub fn again(&self) -> Vec<SignallingEvent> {
        let mut again = self.core.again();
        for event in &mut again {
            if let SignallingEvent::Ended { ladder, .. } = event {
                *ladder = Ladder::default();
            }
        }
        again
    }

    /// Who ended which leg and why, where nothing else happened.
    pub fn ends(&mut self) -> Vec<(LegId, Cause, EndedBy)> {
        let end = |event| match event {
            SignallingEvent::Ended { leg, cause, by, .. } => (leg, cause, by),
            other => panic!("{other:?}"),
        };
        self.events().into_iter().map(end).collect()
    }

    pub fn events(&mut self) -> Vec<SignallingEvent> {
        std::mem::take(&mut self.events)
    }

    /// The one response sent since the last look.
    pub fn response(&mut self) -> Response {
        let mut sent = self.sent();
        assert_eq!(sent.len(), 1, "{sent:?}");
        match sent.pop() {
            Some(Message::Response(response)) => response,
            other => panic!("no response: {other:?}"),
        }
    }

    /// The one request sent since the last look.
    pub fn request(&mut self) -> Request {
        let mut sent = self.sent();
        assert_eq!(sent.len(), 1, "{sent:?}");
        match sent.pop() {
            Some(Message::Request(request)) => request,
            other => panic!("no request: {other:?}"),
        }
    }

    pub fn statuses(&mut self) -> Vec<u16> {
        let sent = self.sent().into_iter();
        sent.map(|message| if let Message::Response(r) = message { r.status.0 } else { 0 }).collect()
    }

    /// A leg that came in over the carrier and is not answered.
    pub fn offered(&mut self, call: &str) -> LegId {
        let invite = self.invite(call, "");
        self.datagram(CARRIER, &invite);
        self.sent();
        match self.events().pop() {
            Some(SignallingEvent::Offered { leg, .. }) => leg,
            other => panic!("not offered: {other:?}"),
        }
    }

    pub fn invite(&self, call: &str, headers: &str) -> Vec<u8> {
        let rest = format!("{headers}{}", with_sdp("sip:13800138000@198.51.100.7:5060", OFFER));
        request("INVITE", "sip:400@192.0.2.1", &format!("inv{call}"), call, "", 1, &rest)
    }

    /// A leg that came in and talks; with our tag.
    pub fn established(&mut self, call: &str) -> (LegId, String) {
        let leg = self.offered(call);
        self.command(SignallingCommand::Answer {
            leg,
            description: description(ANSWER),
            memo: memo("talking"),
        });
        let tag = tag_of(&self.response());
        let ack = request("ACK", "sip:192.0.2.1:5060", &format!("ack{call}"), call, &tag, 1, "");
        self.datagram(CARRIER, &ack);
        assert_eq!(self.events(), [SignallingEvent::Confirmed { leg, description: None }]);
        (leg, tag)
    }

    /// REGISTER as a phone does it: challenged, then proved.
    pub fn register(&mut self, number: u32, password: &str) -> Response {
        let first = self.registering(number, "");
        self.datagram(PHONE, &first);
        let challenged = self.response();
        let proof = prove(&challenged, Algorithm::Sha256, password);
        let second = self.registering(number + 1, &format!("Authorization: {proof}\r\n"));
        self.datagram(PHONE, &second);
        self.response()
    }

    pub fn registering(&self, number: u32, headers: &str) -> Vec<u8> {
        format!(
            "REGISTER sip:192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.5:5070;branch=z9hG4bKreg{number};rport\r\n\
             From: <sip:8001@192.0.2.1>;tag=r\r\nTo: <sip:8001@192.0.2.1>\r\nCall-ID: reg\r\n\
             CSeq: {number} REGISTER\r\nContact: <sip:8001@10.0.0.5:5070>;expires=600\r\n{headers}\r\n"
        )
        .into_bytes()
    }

    /// Dials the registered phone and gives the INVITE that goes out.
    pub fn dial(&mut self, leg: LegId) -> (SocketAddr, Request) {
        self.command(SignallingCommand::Dial {
            leg,
            over: phone(),
            number: String::new(),
            from: Party { number: Pii::new("13800138000".into()), display: Some(Pii::new("李".into())) },
            description: description(ANSWER),
            memo: memo("dialled"),
            silence_ms: None,
        });
        match self.sent_to().pop() {
            Some((to, Message::Request(request))) => (to, request),
            other => panic!("no INVITE: {other:?}"),
        }
    }

    /// Dials a number over the carrier.
    pub fn dial_number(&mut self, leg: LegId, number: &str) {
        self.command(SignallingCommand::Dial {
            leg,
            over: carrier(),
            number: number.to_owned(),
            from: Party { number: Pii::new("8001".into()), display: None },
            description: description(ANSWER),
            memo: memo("dialled"),
            silence_ms: None,
        });
    }

    /// A phone's answer to a request of ours.
    pub fn reply(&mut self, request: &Request, status: u16, tag: &str, sdp: &str) {
        let mut response = request.respond(sip_core::message::Status(status));
        if !tag.is_empty() {
            response = response.tagged(tag.as_bytes());
        }
        response = response.with(Name::Contact, "<sip:8001@10.0.0.5:5070>");
        if !sdp.is_empty() {
            response = response.with(Name::ContentType, "application/sdp");
            response.body = sdp.as_bytes().to_vec();
        }
        self.datagram(PHONE, &response.to_bytes());
    }

    /// kill -9 and a new start: only what was written down comes along.
    pub fn restart(&mut self, written: &[u8]) {
        self.restart_with(written, settings(), &[]);
    }

    /// The same with other settings, and with the connections that the supervisor kept.
    pub fn restart_with(&mut self, written: &[u8], settings: Settings, kept: &[ConnectionId]) {
        let mut changes = Vec::new();
        let mut rest = written;
        while !rest.is_empty() {
            let (change, tail) = postcard::take_from_bytes::<Change>(rest).unwrap();
            changes.push(change);
            rest = tail;
        }
        self.core = Core::restore(settings, Seed([8; 32]), changes);
        self.hand(Input::Kept(kept));
        self.hand(Input::Route(Presence::Attached));
    }

    /// What changed, as the shell writes it down.
    pub fn written(&mut self) -> Vec<u8> {
        let mut written = Vec::new();
        self.core.each_change(|change| written.extend(postcard::to_stdvec(&change).unwrap()));
        written
    }
}

/// The `Authorization` that answers a 401 to REGISTER.
pub fn prove(challenged: &Response, algorithm: Algorithm, password: &str) -> String {
    let challenges = challenged.head.headers.all(&Name::WwwAuthenticate).filter_map(Challenge::parse);
    let challenge = challenges.into_iter().find(|challenge| challenge.algorithm == algorithm).unwrap();
    let credentials = Phone::new("8001".parse().unwrap(), password.into()).credentials();
    let method = challenged.head.cseq.method.as_bytes();
    let uri =
        if challenged.head.cseq.method == Method::Register { "sip:192.0.2.1" } else { "sip:400@192.0.2.1" };
    let answer =
        challenge.answer(&credentials, uri.into(), b"cnonce".to_vec(), Protected { method, body: b"" });
    String::from_utf8(answer.to_bytes()).unwrap()
}

pub fn tag_of(response: &Response) -> String {
    String::from_utf8(response.head.to.tag().unwrap().to_vec()).unwrap()
}
