//! The real route process between fake neighbours: host, record, report and audit answer on real sockets,
//! sip, media and ctl are clients of the test.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may stop")]

use auth_api::{Assertion, Claims, Role, Roles, SIGNING_ID, SessionId};
use gm::sm2::SigningKey;
use route_api::{
    AttachMedia, AttachSignalling, Endpoint, Hear, LiveLeg, LiveMedia, MediaCommand, MediaEvent,
    Reachability, Route, Signal, SignallingCommand, SignallingEvent,
};
use serde_json::{Value, json};
use service::{Client, Method, Stream};
use std::{
    fs,
    io::{BufRead, BufReader, Write},
    os::{
        fd::OwnedFd,
        unix::net::{UnixListener, UnixStream},
    },
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};
use types::Uid;

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

/// A home with one daemon in it.
pub struct House {
    home: tempfile::TempDir,
    key: SigningKey,
    sockets: [UnixListener; 3],
    child: Option<Child>,
    pub asked: Asked,
}

impl House {
    pub fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        let key = SigningKey::generate().unwrap();
        for directory in ["route", "public", "run/route", "run/host", "run/record", "run/report", "run/audit"]
        {
            fs::create_dir_all(home.path().join(directory)).unwrap();
        }
        fs::write(home.path().join("public/assertion.pem"), key.verifying_key().to_pem().unwrap()).unwrap();
        let sockets =
            CALLERS.map(|caller| UnixListener::bind(home.path().join("run/route").join(caller)).unwrap());
        let house = Self { home, key, sockets, child: None, asked: Asked::default() };
        for daemon in ["host", "record", "report", "audit"] {
            house.fake(daemon);
        }
        house
    }

    /// Starts the daemon as a supervisor does: one listening socket a caller, by sd_listen_fds(3). They stay
    /// open while the daemon is dead.
    pub fn start(&mut self) {
        let script =
            "LISTEN_PID=$$; export LISTEN_PID; exec \"$0\" 3<&0 4<&1 5<&2 </dev/null >/dev/null 2>>log";
        let mut command = Command::new("sh");
        command.args(["-c", script, env!("CARGO_BIN_EXE_route")]).current_dir(self.home.path().join("route"));
        command.env("LISTEN_FDS", "3").env("LISTEN_FDNAMES", CALLERS.map(|c| format!("peer.{c}")).join(":"));
        command.env("YANMEN_PRIVILEGES", "single").env_remove("NOTIFY_SOCKET");
        command.env_remove("YANMEN_PUBLIC").env_remove("YANMEN_RUN");
        let [ctl, media, sip] =
            self.sockets.each_ref().map(|socket| Stdio::from(OwnedFd::from(socket.try_clone().unwrap())));
        self.child = Some(command.stdin(ctl).stdout(media).stderr(sip).spawn().unwrap());
    }

    /// kill -9.
    pub fn kill(&mut self) {
        let mut child = self.child.take().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }

    pub fn client(&self, caller: &str) -> Client<Route> {
        Client::at(self.home.path().join("run/route").join(caller))
    }

    pub fn assertion(&self, person: &str, role: Role) -> Assertion {
        let issued = service::clock::utc();
        let claims = Claims {
            person: person.parse().unwrap(),
            roles: Roles::only(role),
            session: SessionId(Uid([7; 16])),
            issued,
            expires: issued.plus(Duration::from_secs(60)),
        };
        let signature = self.key.sign(SIGNING_ID, &Assertion::message(&claims)).unwrap();
        Assertion::new(&claims, &signature)
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

    fn fake(&self, daemon: &'static str) {
        let path: PathBuf = self.home.path().join("run").join(daemon).join("route");
        let listener = UnixListener::bind(path).unwrap();
        let asked = Arc::clone(&self.asked);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let asked = Arc::clone(&asked);
                thread::spawn(move || serve(stream.unwrap(), &asked));
            }
        });
    }
}

impl Drop for House {
    fn drop(&mut self) {
        if self.child.is_some() {
            self.kill();
        }
        if thread::panicking() {
            eprintln!("{}", read(&self.home.path().join("route/log")));
        }
    }
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

/// One connection of a fake neighbour.
fn serve(mut stream: UnixStream, asked: &Asked) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    loop {
        let mut bytes = Vec::new();
        if reader.read_until(0, &mut bytes).unwrap_or(0) == 0 {
            return;
        }
        bytes.pop();
        let call: Value = serde_json::from_slice(&bytes).unwrap();
        let method = call["method"].as_str().unwrap().rsplit_once('.').unwrap().1.to_owned();
        let number = {
            let mut asked = asked.lock().unwrap();
            asked.push((method.clone(), call["parameters"].clone()));
            asked.iter().filter(|(name, _)| *name == method).count()
        };
        let reply = answer(&method, &call["parameters"], number);
        let mut bytes = serde_json::to_vec(&reply).unwrap();
        bytes.push(0);
        if stream.write_all(&bytes).is_err() {
            return;
        }
    }
}

fn answer(method: &str, parameters: &Value, number: usize) -> Value {
    match method {
        "Follow" => {
            let all = settings::Settings::parse(SETTINGS).unwrap_or_else(|problems| panic!("{problems:?}"));
            let section = |section| all.section(section);
            let sections = json!({
                "route": section(settings::Section::Route), "record": section(settings::Section::Record),
            });
            json!({ "parameters": { "version": 1, "sections": sections }, "continues": true })
        }
        "Append" => json!({ "parameters": { "sequence": number } }),
        "Finish" => json!({ "parameters": {
            "recording": parameters["recording"], "call": "00".repeat(16), "began": 1, "ended": 2,
            "state": "sealed", "tracks": [], "size": 1, "digest": "", "packets": 1, "lost": 0,
        }}),
        // The first time report and record are away: everything has to be said again.
        "Save" | "Begin" if number == 1 => json!({
            "error": "cn.yanmen.Unavailable", "parameters": { "code": "test.away", "message": "away" },
        }),
        "Save" => json!({ "parameters": { "digest": "ab" } }),
        _ => json!({ "parameters": {} }),
    }
}

/// A fake signalling edge.
pub struct Sip {
    client: Client<Route>,
    commands: Stream<AttachSignalling>,
}

impl Sip {
    pub async fn attach(house: &House, legs: Vec<LiveLeg>) -> Self {
        let client = house.client("sip");
        let endpoints = vec![(Endpoint::Phone("8001".parse().unwrap()), Reachability::Reachable)];
        let mut commands = client.stream(AttachSignalling { legs, endpoints }).await.unwrap();
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
    commands: Stream<AttachMedia>,
}

impl Media {
    pub async fn attach(house: &House, legs: Vec<LiveMedia>) -> Self {
        let client = house.client("media");
        let mut commands = client.stream(AttachMedia { legs }).await.unwrap();
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

async fn next<M: Method>(stream: &mut Stream<M>) -> M::Reply {
    let next = tokio::time::timeout(Duration::from_secs(20), stream.next());
    next.await.expect("a command comes").unwrap().expect("the stream goes on")
}
