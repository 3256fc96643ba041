//! The real route process between fake neighbours: host, record, report and audit answer on real sockets,
//! sip, media and ctl are clients of the test.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may stop")]

use auth_api::{Assertion, Role};
use route_api::{
    AttachMedia, AttachSignalling, Endpoint, Hear, LiveLeg, LiveMedia, MediaCommand, MediaEvent,
    Reachability, Route, Signal, SignallingCommand, SignallingEvent,
};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use service::{Client, Stream};
use stage::{Answers, Stage};
use std::{
    os::{fd::OwnedFd, unix::net::UnixListener},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

const CALLERS: [&str; 3] = ["ctl", "media", "sip"];
const SETTINGS: &str = r#"
[[sip.phones]]
extension = "8001"
password = "Geese-fly-North-1"
[[route.numbers]]
dialled = "95555"
flow = "service"
[[route.flows]]
name = "service"
steps = [{ announce = "recorded" }, { queue = "service" }]
[[route.queues]]
name = "service"
music = "waiting"
[[route.agents]]
name = "alice"
extension = "8001"
queues = [{ queue = "service" }]
"#;

/// What a fake neighbour was asked, in order.
pub type Asked = Arc<Mutex<Vec<(String, Value)>>>;

/// The daemon route between fake neighbours.
pub struct House {
    pub stage: Stage,
    sockets: [UnixListener; 3],
    pub asked: Asked,
    /// Whether audit refuses every entry.
    pub audit_away: Arc<AtomicBool>,
}

impl House {
    pub fn new() -> Self {
        let stage = Stage::new("route", env!("CARGO_BIN_EXE_route"));
        let sockets = CALLERS.map(|caller| UnixListener::bind(stage.socket("route", caller)).unwrap());
        stage.settings(SETTINGS);
        let asked = Asked::default();
        let audit_away = Arc::<AtomicBool>::default();
        for daemon in ["record", "report", "audit"] {
            let (asked, away) = (Arc::clone(&asked), Arc::clone(&audit_away));
            stage.neighbour(daemon, move |call, answers| {
                let number = {
                    let mut asked = asked.lock().unwrap();
                    asked.push((call.method.clone(), call.parameters.clone()));
                    asked.iter().filter(|(name, _)| *name == call.method).count()
                };
                if call.method == "Append" && away.load(Ordering::Relaxed) {
                    return answers.refuse("Unavailable");
                }
                answer(&call.method, &call.parameters, number, answers);
            });
        }
        Self { stage, sockets, asked, audit_away }
    }

    /// Starts the daemon. Its sockets stay open while it is dead.
    pub fn start(&mut self) {
        let handed = [0, 1, 2].map(|at| {
            let socket = OwnedFd::from(self.sockets[at].try_clone().unwrap());
            (format!("peer.{}", CALLERS[at]), socket)
        });
        self.stage.start(handed);
    }

    /// kill -9.
    pub fn kill(&mut self) {
        self.stage.kill();
    }

    pub fn client(&self, caller: &str) -> Client<Route> {
        self.stage.client(caller)
    }

    pub fn assertion(&self, person: &str, role: Role) -> Assertion {
        self.stage.assertion(person, role)
    }

    /// Waits until a neighbour has been asked this so often; the parameters of the last time.
    pub async fn was_asked(&self, method: &str, times: usize) -> Value {
        let end = Instant::now() + Duration::from_secs(20);
        loop {
            let found: Vec<Value> = self.times(method);
            if let (Some(last), true) = (found.last(), found.len() >= times) {
                return last.clone();
            }
            assert!(Instant::now() < end, "{method} was asked {} times, not {times}", found.len());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    pub fn times(&self, method: &str) -> Vec<Value> {
        let asked = self.asked.lock().unwrap();
        asked.iter().filter(|(name, _)| name == method).map(|(_, parameters)| parameters.clone()).collect()
    }
}

fn answer(method: &str, parameters: &Value, number: usize, answers: &mut Answers) {
    match method {
        "Append" => answers.only(&json!({ "sequence": number })),
        "Finish" => answers.only(&json!({
            "recording": parameters["recording"], "call": "00".repeat(16), "began": 1, "ended": 2,
            "state": "sealed", "tracks": [], "size": 1, "digest": "", "packets": 1, "lost": 0,
        })),
        // The first time report and record are away: everything has to be said again.
        "Save" | "Begin" if number == 1 => answers.refuse("Unavailable"),
        "Save" => answers.only(&json!({ "digest": "ab" })),
        _ => answers.only(&json!({})),
    }
}

/// A fake signalling edge.
pub struct Sip {
    client: Client<Route>,
    commands: Stream<SignallingCommand>,
}

impl Sip {
    pub async fn attach(house: &House, legs: Vec<LiveLeg>) -> Self {
        let client = house.client("sip");
        let endpoints = vec![(Endpoint::Phone("8001".parse().unwrap()), Reachability::Reachable)];
        let standing = AttachSignalling { legs, endpoints, ..Default::default() };
        let (pages, last) = standing.in_pages(1);
        for page in pages {
            client.call(page).await.unwrap();
        }
        let mut commands = client.stream(last).await.unwrap();
        let first = next(&mut commands).await;
        assert_eq!(first, SignallingCommand::Attached {});
        Self { client, commands }
    }

    /// Says something before it attaches.
    pub async fn tell(house: &House, event: SignallingEvent) {
        house.client("sip").call(Signal { event }).await.unwrap();
    }

    pub async fn say(&self, event: SignallingEvent) {
        self.client.call(Signal { event }).await.unwrap();
    }

    /// The next command that the test is interested in.
    pub async fn until<T>(&mut self, mut wanted: impl FnMut(SignallingCommand) -> Option<T>) -> T {
        loop {
            if let Some(found) = wanted(next(&mut self.commands).await) {
                return found;
            }
        }
    }
}

/// A fake media edge.
pub struct Media {
    client: Client<Route>,
    commands: Stream<MediaCommand>,
}

impl Media {
    pub async fn attach(house: &House, legs: Vec<LiveMedia>) -> Self {
        let client = house.client("media");
        let (pages, last) = AttachMedia { legs, ..Default::default() }.in_pages(1);
        for page in pages {
            client.call(page).await.unwrap();
        }
        let mut commands = client.stream(last).await.unwrap();
        assert_eq!(next(&mut commands).await, MediaCommand::Attached {});
        Self { client, commands }
    }

    pub async fn say(&self, event: MediaEvent) {
        self.client.call(Hear { event }).await.unwrap();
    }

    /// The next command that the test is interested in.
    pub async fn until<T>(&mut self, mut wanted: impl FnMut(MediaCommand) -> Option<T>) -> T {
        loop {
            if let Some(found) = wanted(next(&mut self.commands).await) {
                return found;
            }
        }
    }
}

async fn next<R: DeserializeOwned>(stream: &mut Stream<R>) -> R {
    let next = tokio::time::timeout(Duration::from_secs(20), stream.next());
    next.await.expect("a command comes").unwrap().expect("the stream goes on")
}
