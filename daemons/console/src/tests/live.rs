//! The live stream on a real socket.

use super::house::{HOST, House};
use serde_json::{Value, json};
use std::{net::SocketAddr, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

/// One call, of this agent.
fn call(number: u8, agent: &str) -> Value {
    json!({ "call": format!("{number:02x}").repeat(16), "offered": 1, "from": "138******00", "dialled": "95555",
            "stage": "talking", "agent": agent, "legs": [] })
}

async fn serve(house: &House) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = house.router();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let service = hyper_util::service::TowerToHyperService::new(router.clone());
            let served = hyper::server::conn::http1::Builder::new()
                .serve_connection(hyper_util::rt::TokioIo::new(stream), service)
                .with_upgrades();
            tokio::spawn(served);
        }
    });
    address
}

/// A browser's end of a socket: frames as RFC 6455 §5.2 has them.
struct Browser(TcpStream);

enum Frame {
    Text(Value),
    Ping,
    Closed(u16),
}

impl Browser {
    /// The handshake; with what it was answered where it was refused.
    async fn open(address: SocketAddr, cookie: &str, origin: &str) -> Result<Self, String> {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = format!(
            "GET /api/v1/live HTTP/1.1\r\nHost: {HOST}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nOrigin: {origin}\r\n\
             Cookie: {cookie}\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.unwrap());
        }
        let head = String::from_utf8(head).unwrap();
        if head.starts_with("HTTP/1.1 101 ") {
            // RFC 6455 §1.3.
            assert!(head.contains("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), "{head}");
            return Ok(Self(stream));
        }
        Err(head)
    }

    async fn next(&mut self) -> Frame {
        tokio::time::timeout(Duration::from_secs(5), self.frame())
            .await
            .expect("something within five seconds")
    }

    async fn frame(&mut self) -> Frame {
        let kind = self.0.read_u8().await.unwrap() & 0xf;
        let length = match self.0.read_u8().await.unwrap() {
            126 => usize::from(self.0.read_u16().await.unwrap()),
            127 => usize::try_from(self.0.read_u64().await.unwrap()).unwrap(),
            short => usize::from(short),
        };
        let mut bytes = vec![0; length];
        self.0.read_exact(&mut bytes).await.unwrap();
        match kind {
            1 => Frame::Text(serde_json::from_slice(&bytes).unwrap()),
            8 => Frame::Closed(u16::from_be_bytes([bytes[0], bytes[1]])),
            9 => Frame::Ping,
            other => panic!("a frame of kind {other}"),
        }
    }

    /// The next state that says something of calls.
    async fn calls(&mut self) -> Value {
        loop {
            if let Frame::Text(told) = self.next().await
                && told["kind"] == "state"
                && (told.get("calls").is_some() || told.get("ended").is_some())
            {
                return told;
            }
        }
    }

    async fn closed(&mut self) -> u16 {
        loop {
            if let Frame::Closed(code) = self.next().await {
                return code;
            }
        }
    }
}

fn ours() -> String {
    format!("https://{HOST}")
}

/// Mutant console-live-any-origin.
#[tokio::test]
async fn a_foreign_page_and_a_stranger_open_no_socket() {
    let house = House::new();
    let address = serve(&house).await;
    let refused = Browser::open(address, "theme=dark", &ours()).await.err().unwrap();
    assert!(refused.starts_with("HTTP/1.1 401 "), "{refused}");
    house.log_in().await;
    for origin in ["null", "https://evil.example", &format!("http://{HOST}")] {
        let refused = Browser::open(address, &house.cookie(), origin).await.err();
        let refused = refused.unwrap_or_else(|| panic!("{origin} was let in"));
        assert!(refused.starts_with("HTTP/1.1 403 "), "{origin}: {refused}");
    }
    assert_eq!(house.get("/live").await.code(), "console.foreign-origin");
}

#[tokio::test]
async fn what_route_tells_is_pushed_and_each_sees_what_is_theirs() {
    let house = House::new();
    let replies = json!([
        { "scope": "whole", "calls": [call(1, "zhao"), call(2, "li")] },
        { "scope": "since", "ended": [call(1, "zhao")["call"]] },
        { "scope": "since", "calls": [call(3, "li")] },
    ]);
    house.script("route", "Watch", replies);
    let address = serve(&house).await;
    house.log_in().await;
    let mut leader = Browser::open(address, &house.cookie(), &ours()).await.unwrap();
    let whole = leader.calls().await;
    assert_eq!(whole["calls"].as_array().unwrap().len(), 2, "{whole}");
    assert_eq!(leader.calls().await["ended"], json!([call(1, "zhao")["call"]]));
    assert_eq!(leader.calls().await["calls"], json!([call(3, "li")]));
    // Who comes later begins with what is known.
    let mut late = Browser::open(address, &house.cookie(), &ours()).await.unwrap();
    let known = late.calls().await;
    assert_eq!((&known["scope"], &known["calls"]), (&json!("whole"), &json!([call(2, "li"), call(3, "li")])));
    assert_eq!(
        house.asked_of("route").iter().filter(|(method, _)| method == "Watch").count(),
        1,
        "one stream for all"
    );

    house.hold(&["agent"]);
    house.log_in().await;
    let mut agent = Browser::open(address, &house.cookie(), &ours()).await.unwrap();
    let own = agent.calls().await;
    assert_eq!(own.get("calls"), None, "zhao talks to nobody: {own}");
}

#[tokio::test]
async fn the_end_of_the_session_closes_its_sockets() {
    let house = House::new();
    house.script("route", "Watch", json!([{ "scope": "whole", "calls": [call(1, "zhao")] }]));
    let address = serve(&house).await;
    let csrf = house.log_in().await;
    let mut browser = Browser::open(address, &house.cookie(), &ours()).await.unwrap();
    browser.calls().await;
    house.send(axum::http::Method::DELETE, "/session", Some(&ours()), Some(&csrf), None).await;
    assert_eq!(browser.closed().await, 4401);
}

#[tokio::test]
async fn sockets_are_bounded_and_a_place_is_free_again() {
    let house = House::new();
    let address = serve(&house).await;
    house.log_in().await;
    let mut open = Vec::new();
    for _ in 0..4 {
        open.push(Browser::open(address, &house.cookie(), &ours()).await.unwrap());
    }
    let refused = Browser::open(address, &house.cookie(), &ours()).await.err().unwrap();
    assert!(refused.starts_with("HTTP/1.1 429 "), "{refused}");
    drop(open);
    for _ in 0..50 {
        if Browser::open(address, &house.cookie(), &ours()).await.is_ok() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("no place was free again");
}

#[tokio::test]
async fn a_browser_that_reads_nothing_is_dropped_and_the_others_go_on() {
    let house = House::new();
    // Twenty megabytes: more than any socket buffers.
    let long = "x".repeat(1 << 19);
    let mut replies = vec![json!({ "scope": "whole" })];
    for number in 0..40_u8 {
        let mut call = call(number, "li");
        call["dialled"] = json!(long);
        replies.push(json!({ "scope": "since", "calls": [call] }));
    }
    house.script("route", "Watch", Value::Array(replies));
    let address = serve(&house).await;
    house.log_in().await;
    let deaf = Browser::open(address, &house.cookie(), &ours()).await.unwrap();
    let mut other = Browser::open(address, &house.cookie(), &ours()).await.unwrap();
    for _ in 0..40 {
        other.calls().await;
    }
    for _ in 0..100 {
        if house.desk.sockets().load(std::sync::atomic::Ordering::Relaxed) == 1 {
            drop(deaf);
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("the deaf one keeps its place");
}
