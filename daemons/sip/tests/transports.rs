//! The real process over TCP, TLS and IPv6: what it answers, whom it believes, and what of it survives kill -9.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test may stop"
)]

use route_api::{
    Cause, EndedBy, Endpoint, LegState, Memo, Party, Reachability, SessionDescription, SignallingCommand,
    SignallingEvent, TargetHealth, Trouble,
};
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection, StreamOwned,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
};
use serde_json::json;
use sip_core::{
    digest::{Challenge, Credentials, Protected},
    message::{Frame, Framer, Message, Method, Name, Request, Response, Status, parse},
};
use stage::{PASSWORD, Signalling, free};
use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    os::unix::fs::PermissionsExt,
    sync::Arc,
    time::{Duration, Instant},
};
use types::{LegId, Pii, Uid};

const PROGRAM: &str = env!("CARGO_BIN_EXE_sip");
const SDP: &str = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n";

/// A carrier or a phone that speaks by hand over a stream.
struct Peer<S> {
    stream: S,
    framer: Framer,
    transport: &'static str,
    from: SocketAddr,
}

fn patient(stream: TcpStream) -> TcpStream {
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream
}

impl Peer<TcpStream> {
    fn tcp(to: &str) -> Self {
        let stream = patient(TcpStream::connect(to).unwrap());
        Self { from: stream.local_addr().unwrap(), stream, framer: Framer::default(), transport: "TCP" }
    }
}

impl Peer<StreamOwned<ClientConnection, TcpStream>> {
    /// A phone that knows the certificate which lies in that file.
    fn tls(to: SocketAddr, certificate: &std::path::Path) -> Self {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(certificate).unwrap()).unwrap();
        let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let connection = ClientConnection::new(Arc::new(config), ServerName::from(to.ip())).unwrap();
        let stream = patient(TcpStream::connect(to).unwrap());
        let from = stream.local_addr().unwrap();
        Self {
            stream: StreamOwned::new(connection, stream),
            framer: Framer::default(),
            transport: "TLS",
            from,
        }
    }
}

impl<S: Read + Write> Peer<S> {
    fn of(stream: S, transport: &'static str, from: SocketAddr) -> Self {
        Self { stream, framer: Framer::default(), transport, from }
    }

    fn send(&mut self, method: &str, branch: &str, to_tag: &str, number: u32, rest: &str) {
        let (headers, body) = rest.split_once("\r\n\r\n").unwrap_or((rest, ""));
        let addr = self.from;
        let tag = if to_tag.is_empty() { String::new() } else { format!(";tag={to_tag}") };
        let headers = if headers.is_empty() { String::new() } else { format!("{}\r\n", headers.trim_end()) };
        let text = format!(
            "{method} sip:400@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/{} {addr};branch=z9hG4bK{branch}\r\n\
             From: <sip:8001@127.0.0.1>;tag=peer\r\nTo: <sip:8001@127.0.0.1>{tag}\r\nCall-ID: {addr}\r\n\
             CSeq: {number} {method}\r\nContact: <sip:8001@{addr}>\r\n{headers}Content-Length: {}\r\n\r\n{body}",
            self.transport,
            body.len()
        );
        self.stream.write_all(text.as_bytes()).unwrap();
    }

    fn reply(&mut self, request: &Request, status: u16, sdp: &str) {
        let mut response = request.respond(Status(status)).tagged(b"peer");
        response = response.with(Name::Contact, format!("<sip:8001@{}>", self.from));
        if !sdp.is_empty() {
            response = response.with(Name::ContentType, "application/sdp");
            response.body = sdp.as_bytes().to_vec();
        }
        self.stream.write_all(&response.to_bytes()).unwrap();
    }

    fn message(&mut self) -> Message {
        let mut buffer = [0; 4096];
        loop {
            match self.framer.next_frame().unwrap() {
                Some(Frame::Whole(bytes)) => return parse(&bytes).unwrap(),
                Some(Frame::Ping) => {}
                None => {
                    let length = self.stream.read(&mut buffer).unwrap();
                    assert!(length > 0, "the connection was closed");
                    self.framer.push(&buffer[..length]);
                }
            }
        }
    }

    fn response(&mut self) -> Response {
        match self.message() {
            Message::Response(response) => response,
            Message::Request(request) => panic!("{request:?}"),
        }
    }

    fn request(&mut self) -> Request {
        match self.message() {
            Message::Request(request) => request,
            Message::Response(response) => panic!("{response:?}"),
        }
    }

    fn register(&mut self, number: u32) {
        self.send("REGISTER", &format!("r{number}"), "", number, "Expires: 60\r\n");
        let challenged = self.response();
        let challenge =
            Challenge::parse(challenged.head.headers.first(&Name::WwwAuthenticate).unwrap()).unwrap();
        let credentials = Credentials { user: "8001".into(), password: PASSWORD.into() };
        let protected = Protected { method: b"REGISTER", body: b"" };
        let answer = challenge.answer(&credentials, b"sip:400@127.0.0.1".to_vec(), b"c".to_vec(), protected);
        let answer = String::from_utf8(answer.to_bytes()).unwrap();
        let headers = format!("Expires: 60\r\nAuthorization: {answer}\r\n");
        self.send("REGISTER", &format!("s{number}"), "", number + 1, &headers);
        assert_eq!(self.response().status.0, 200);
    }
}

fn quiet(_: &SignallingEvent) -> Vec<SignallingCommand> {
    Vec::new()
}

fn dial(n: u8, over: Endpoint) -> SignallingCommand {
    SignallingCommand::Dial {
        leg: LegId(Uid([n; 16])),
        over,
        number: "95588".into(),
        from: Party { number: Pii::new("400".into()), display: None },
        description: SessionDescription(SDP.into()),
        memo: Memo("talks".into()),
        silence_ms: None,
    }
}

fn phone() -> Endpoint {
    Endpoint::Phone("8001".parse().unwrap())
}

fn is_now(stage: &Signalling, reachable: Reachability) {
    assert_eq!(stage.event(), SignallingEvent::Reachable { endpoint: phone(), reachable });
}

/// Guarded by the mutant `sip-connections-not-kept`.
#[test]
fn a_call_over_tcp_survives_kill_9_on_its_own_connection() {
    let mut stage = Signalling::with(PROGRAM, &json!({}), quiet);
    stage.attached();
    let mut peer = Peer::tcp(&stage.address());
    peer.register(1);
    is_now(&stage, Reachability::Reachable);
    stage.command(dial(1, phone()));
    let invite = peer.request();
    peer.reply(&invite, 200, SDP);
    assert_eq!(peer.request().method, Method::Ack);
    assert!(matches!(stage.event(), SignallingEvent::Answered { .. }));
    stage.until("the connection is kept", || stage.kept().iter().any(|name| name.starts_with("stream.")));
    stage.kill();
    // It asks for something while nobody is there: the connection holds it.
    let tag = String::from_utf8(invite.head.from.tag().unwrap().to_vec()).unwrap();
    let call = String::from_utf8(invite.head.call_id.clone()).unwrap();
    let info = format!(
        "INFO sip:x SIP/2.0\r\nVia: SIP/2.0/TCP {};branch=z9hG4bKi\r\nFrom: <sip:8001@127.0.0.1>;tag=peer\r\n\
         To: <sip:x@127.0.0.1>;tag={tag}\r\nCall-ID: {call}\r\nCSeq: 1 INFO\r\nContent-Length: 0\r\n\r\n",
        peer.from
    );
    peer.stream.write_all(info.as_bytes()).unwrap();
    let killed = Instant::now();
    stage.start();
    let attached = stage.attached();
    assert_eq!(attached.legs.iter().map(|live| live.state).collect::<Vec<_>>(), [LegState::Established]);
    assert_eq!(peer.response().status.0, 200);
    println!("INFO answered {} ms after the start that followed kill -9", killed.elapsed().as_millis());
    stage.command(SignallingCommand::HangUp { leg: LegId(Uid([1; 16])), cause: Cause::NormalClearing });
    let bye = peer.request();
    assert_eq!(bye.method, Method::Bye, "on the connection of the life before");
    peer.reply(&bye, 200, "");
    // And no other connection was opened for it.
    assert_eq!(
        stage.kept().iter().filter(|name| name.starts_with("stream.")).count(),
        1,
        "{:?}",
        stage.kept()
    );
}

#[test]
fn a_call_over_tls_survives_kill_9_once_the_phone_is_back() {
    let tls = free();
    let mut stage = Signalling::with(PROGRAM, &json!({ "tls": [tls] }), quiet);
    stage.attached();
    let file = stage.directory().join("tls.pem");
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let mut peer = Peer::tls(tls, &file);
    peer.register(1);
    is_now(&stage, Reachability::Reachable);
    stage.command(dial(1, phone()));
    let invite = peer.request();
    assert!(
        String::from_utf8_lossy(invite.head.headers.first(&Name::Contact).unwrap()).contains("transport=tls")
    );
    peer.reply(&invite, 200, SDP);
    assert_eq!(peer.request().method, Method::Ack);
    assert!(matches!(stage.event(), SignallingEvent::Answered { .. }));
    stage.kill();
    stage.start();
    let attached = stage.attached();
    assert_eq!(attached.legs.len(), 1, "the talk goes on");
    assert!(attached.endpoints.contains(&(phone(), Reachability::Unreachable)), "{:?}", attached.endpoints);
    // The certificate is still the same, so the phone still knows us; its keys were nobody else's.
    let mut peer = Peer::tls(tls, &file);
    peer.register(3);
    is_now(&stage, Reachability::Reachable);
    stage.command(SignallingCommand::HangUp { leg: LegId(Uid([1; 16])), cause: Cause::NormalClearing });
    assert_eq!(peer.request().method, Method::Bye);
    assert_eq!(stage.end(), (LegId(Uid([1; 16])), Cause::NormalClearing, EndedBy::House));
}

/// A carrier under TLS, with a certificate of its own authority; what it was asked by SNI.
struct Carrier {
    listener: TcpListener,
    config: Arc<ServerConfig>,
    authority: String,
    pin: String,
}

impl Carrier {
    fn new() -> Self {
        let authority_key = rcgen::KeyPair::generate().unwrap();
        let mut params = rcgen::CertificateParams::new(Vec::<String>::new()).unwrap();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let authority = params.self_signed(&authority_key).unwrap();
        let issuer = rcgen::Issuer::new(params, authority_key);
        let key = rcgen::KeyPair::generate().unwrap();
        let own = rcgen::CertificateParams::new(vec!["sip.carrier.example".to_owned()]).unwrap();
        let own = own.signed_by(&key, &issuer).unwrap();
        let digest = ring::digest::digest(&ring::digest::SHA256, own.der());
        let pin = digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![own.der().clone()],
                PrivateKeyDer::from_pem_slice(key.serialize_pem().as_bytes()).unwrap(),
            )
            .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        Self { listener, config: Arc::new(config), authority: authority.pem(), pin }
    }

    fn address(&self) -> SocketAddr {
        self.listener.local_addr().unwrap()
    }

    fn accept(&self) -> Peer<StreamOwned<ServerConnection, TcpStream>> {
        let (stream, _) = self.listener.accept().unwrap();
        let connection = ServerConnection::new(Arc::clone(&self.config)).unwrap();
        Peer::of(StreamOwned::new(connection, patient(stream)), "TLS", self.address())
    }

    fn trunk(&self, tls: &serde_json::Value) -> serde_json::Value {
        json!({ "name": "carrier", "address": self.address(), "transport": "tls", "check": "5s", "tls": tls })
    }
}

#[test]
fn a_carrier_is_known_by_its_authority_and_by_its_pin() {
    let carrier = Carrier::new();
    let folder = tempfile::tempdir().unwrap();
    let authority = folder.path().join("authority.pem");
    std::fs::write(&authority, &carrier.authority).unwrap();
    for tls in [
        json!({ "server_name": "sip.carrier.example", "authorities": authority }),
        json!({ "pin": carrier.pin }),
    ] {
        let stage =
            Signalling::with(PROGRAM, &json!({ "tls": [free()], "trunks": [carrier.trunk(&tls)] }), quiet);
        stage.attached();
        let mut peer = carrier.accept();
        let options = peer.request();
        assert_eq!(
            (&options.method, options.head.vias[0].transport.as_slice()),
            (&Method::Options, &b"TLS"[..])
        );
        peer.reply(&options, 200, "");
        let standing = stage.standing(|standing| standing.targets[0].health == TargetHealth::Up);
        assert!(standing.targets[0].round_trip_us.is_some());
        // The SNI is the name, not the address.
        let name = peer.stream.conn.server_name().map(str::to_owned);
        assert_eq!(name.as_deref(), tls["server_name"].as_str());
        // A call shares the connection.
        stage.command(dial(1, Endpoint::Trunk("carrier".parse().unwrap())));
        let invite = peer.request();
        peer.reply(&invite, 486, "");
        assert_eq!(peer.request().method, Method::Ack);
    }
}

/// Guarded by the mutant `sip-pin-unchecked`.
#[test]
fn a_carrier_with_another_certificate_is_not_believed() {
    let (carrier, other) = (Carrier::new(), Carrier::new());
    let folder = tempfile::tempdir().unwrap();
    let authority = folder.path().join("authority.pem");
    std::fs::write(&authority, &other.authority).unwrap();
    let own = folder.path().join("own.pem");
    std::fs::write(&own, &carrier.authority).unwrap();
    for tls in [
        json!({ "pin": other.pin }),
        json!({ "server_name": "sip.carrier.example", "authorities": authority }),
        // The right authority, another name.
        json!({ "server_name": "sip.elsewhere.example", "authorities": own }),
    ] {
        let stage =
            Signalling::with(PROGRAM, &json!({ "tls": [free()], "trunks": [carrier.trunk(&tls)] }), quiet);
        stage.attached();
        let accepting = carrier.listener.try_clone().unwrap();
        let config = Arc::clone(&carrier.config);
        let carrier_side = std::thread::spawn(move || {
            let (mut stream, _) = accepting.accept().unwrap();
            let mut connection = ServerConnection::new(config).unwrap();
            let mut read = Vec::new();
            let mut stream = rustls::Stream::new(&mut connection, &mut stream);
            _ = stream.read_to_end(&mut read);
            read
        });
        let standing = stage.standing(|standing| standing.targets[0].error.is_some());
        assert_eq!(standing.targets[0].error, Some(Trouble::Untrusted), "{tls}");
        assert!(carrier_side.join().unwrap().is_empty(), "not a word is said to it");
    }
}

#[test]
fn an_ack_never_waits_for_a_dead_address() {
    // The carrier's Contact is an address where no one answers: RFC 5737's TEST-NET-1.
    let carrier = TcpListener::bind("127.0.0.1:0").unwrap();
    let trunk = json!({ "name": "carrier", "address": carrier.local_addr().unwrap(), "transport": "tcp", "check": "0s" });
    let stage = Signalling::with(PROGRAM, &json!({ "trunks": [trunk] }), quiet);
    stage.attached();
    stage.command(dial(1, Endpoint::Trunk("carrier".parse().unwrap())));
    let (stream, _) = carrier.accept().unwrap();
    let mut peer = Peer::of(patient(stream), "TCP", carrier.local_addr().unwrap());
    let invite = peer.request();
    let start = Instant::now();
    let mut ok = invite.respond(Status(200)).tagged(b"peer").with(Name::Contact, "<sip:gw@10.255.255.1>");
    ok = ok.with(Name::ContentType, "application/sdp");
    ok.body = SDP.as_bytes().to_vec();
    peer.stream.write_all(&ok.to_bytes()).unwrap();
    assert_eq!(peer.request().method, Method::Ack);
    assert!(start.elapsed() < Duration::from_secs(1), "by the connection that there is");
}

#[test]
fn ipv6_by_udp_tcp_and_tls() {
    let (bind, tls) = (free().port(), free().port());
    let (bind, tls) = (format!("[::1]:{bind}"), format!("[::1]:{tls}"));
    let stage = Signalling::with(PROGRAM, &json!({ "bind": [bind], "tls": [tls] }), quiet);
    stage.attached();
    let udp = std::net::UdpSocket::bind("[::1]:0").unwrap();
    udp.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let from = udp.local_addr().unwrap();
    let options = format!(
        "OPTIONS sip:{bind} SIP/2.0\r\nVia: SIP/2.0/UDP {from};branch=z9hG4bKo;rport\r\nFrom: <sip:a@{bind}>;tag=1\r\n\
         To: <sip:{bind}>\r\nCall-ID: o\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
    );
    udp.send_to(options.as_bytes(), &bind).unwrap();
    let mut buffer = [0; 4096];
    let length = udp.recv(&mut buffer).unwrap();
    assert!(buffer[..length].starts_with(b"SIP/2.0 200 "));
    let mut tcp = Peer::tcp(&bind);
    tcp.register(1);
    is_now(&stage, Reachability::Reachable);
    stage.command(dial(1, phone()));
    let invite = tcp.request();
    let contact = invite.head.headers.first(&Name::Contact).unwrap();
    assert_eq!(contact, format!("<sip:{bind};transport=tcp>").as_bytes());
    tcp.reply(&invite, 486, "");
    assert_eq!(tcp.request().method, Method::Ack);
    let mut secure = Peer::tls(tls.parse().unwrap(), &stage.directory().join("tls.pem"));
    secure.send("OPTIONS", "o", "", 1, "");
    assert_eq!(secure.response().status.0, 200);
}
