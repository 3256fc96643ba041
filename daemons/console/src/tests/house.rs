//! A console before daemons that answer what a test wants.

use crate::{
    api::{self, Desk, Floors},
    certificate::Facts,
    guard, live, pages,
};
use axum::{
    Extension, Router,
    body::{Body, to_bytes},
    extract::{ConnectInfo, DefaultBodyLimit},
    http::{HeaderMap, Method, Request, StatusCode},
    middleware,
};
use serde_json::{Value, json};
use service::{Client, Connection, clock};
use std::{
    collections::HashMap,
    fs,
    net::SocketAddr,
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tempfile::TempDir;
use tokio::net::UnixListener;
use tower::ServiceExt;

/// What the browser asked for.
pub const HOST: &str = "yanmen.test:8443";
/// auth's own token, which no browser may see.
pub const TOKEN: &str = "token-of-auth";

type Asked = Arc<Mutex<Vec<(String, String, Value)>>>;
type Script = Arc<Mutex<HashMap<(String, String), Value>>>;

/// The daemons that a console asks.
pub const DAEMONS: [&str; 6] = ["host", "auth", "route", "record", "report", "audit"];
/// The roles of whoever logs in.
pub type Holding = Arc<Mutex<Vec<&'static str>>>;

pub struct House {
    directory: TempDir,
    router: Router,
    asked: Asked,
    script: Script,
    jar: Mutex<(String, String)>,
    /// Seconds that an assertion lives.
    pub life: Arc<AtomicU64>,
    /// The roles of whoever logs in.
    pub holding: Holding,
    /// What record writes where sound is asked for.
    pub sound: Arc<Mutex<Vec<u8>>>,
    /// The desk behind the router.
    pub desk: Desk,
}

/// A response, read to its end.
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: String,
}

impl House {
    pub fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let (asked, script) = (Asked::default(), Script::default());
        let life = Arc::new(AtomicU64::new(300));
        let holding = Arc::new(Mutex::new(vec!["supervisor"]));
        let sound = Arc::new(Mutex::new(Vec::new()));
        for daemon in DAEMONS {
            let (asked, script, life) = (asked.clone(), script.clone(), life.clone());
            let cast = Cast { daemon, asked, script, life, holding: holding.clone(), sound: sound.clone() };
            play(directory.path(), cast);
        }
        let desk = desk(directory.path());
        live::start(&desk);
        let peer: SocketAddr = "[::ffff:192.0.2.9]:50000".parse().unwrap();
        let router = pages::router()
            .merge(api::router(desk.clone()))
            .layer(DefaultBodyLimit::max(guard::LONGEST_BODY))
            .layer(middleware::from_fn(guard::every))
            .layer(Extension(ConnectInfo(peer)));
        Self { directory, router, asked, script, jar: Mutex::default(), life, holding, sound, desk }
    }

    /// The routes, for a real socket.
    pub fn router(&self) -> Router {
        self.router.clone()
    }

    /// Whoever logs in next holds these roles.
    pub fn hold(&self, roles: &[&'static str]) {
        *self.holding.lock().unwrap() = roles.to_vec();
    }

    /// The cookie that is carried.
    pub fn cookie(&self) -> String {
        self.jar.lock().unwrap().0.clone()
    }

    /// What a daemon was asked since the last look.
    pub fn asked_of(&self, daemon: &str) -> Vec<(String, Value)> {
        let mut asked = self.asked.lock().unwrap();
        let (theirs, others) = asked.drain(..).partition(|(of, ..)| of == daemon);
        *asked = others;
        let theirs: Vec<(String, String, Value)> = theirs;
        theirs.into_iter().map(|(_, method, parameters)| (method, parameters)).collect()
    }

    /// What a daemon shall answer from now on.
    pub fn script(&self, daemon: &str, method: &str, answer: Value) {
        self.script.lock().unwrap().insert((daemon.to_owned(), method.to_owned()), answer);
    }

    pub fn unscript(&self) {
        self.script.lock().unwrap().clear();
    }

    /// Takes the socket away of a daemon that has not been called yet.
    pub fn silence(&self, daemon: &str) {
        fs::remove_file(self.directory.path().join(daemon)).unwrap();
    }

    pub fn carry(&self, cookie: &str) {
        self.jar.lock().unwrap().0 = cookie.to_owned();
    }

    pub fn csrf(&self) -> String {
        self.jar.lock().unwrap().1.clone()
    }

    pub async fn enter(&self) -> Answer {
        self.post("/session", json!({ "person": "zhao", "password": "right" })).await
    }

    /// Logs in, carries the cookie from then on, and returns the token of unsafe requests.
    pub async fn log_in(&self) -> String {
        let entered = self.enter().await;
        let cookie = entered.header("set-cookie").split(';').next().unwrap().to_owned();
        let csrf = entered.json()["csrf"].as_str().unwrap().to_owned();
        *self.jar.lock().unwrap() = (format!("theme=dark; {cookie}"), csrf.clone());
        self.asked.lock().unwrap().clear();
        csrf
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, path, None, None, None).await
    }

    pub async fn post(&self, path: &str, body: Value) -> Answer {
        self.send(Method::POST, path, Some(&format!("https://{HOST}")), None, Some(body)).await
    }

    pub async fn send(
        &self,
        method: Method,
        path: &str,
        origin: Option<&str>,
        token: Option<&str>,
        body: Option<Value>,
    ) -> Answer {
        let mut request =
            Request::builder().method(method).uri(format!("/api/v1{path}")).header("host", HOST);
        let cookie = self.jar.lock().unwrap().0.clone();
        for (name, value) in [("origin", origin), (guard::TOKEN, token), ("cookie", Some(cookie.as_str()))] {
            if let Some(value) = value.filter(|value| name != "cookie" || !value.is_empty()) {
                request = request.header(name, value);
            }
        }
        let body = match body {
            Some(body) => {
                request = request.header("content-type", "application/json");
                Body::from(body.to_string())
            }
            None => Body::empty(),
        };
        self.answer(request.body(body).unwrap()).await
    }

    /// An answer whose body need not be text.
    pub async fn raw(&self, path: &str, headers: &[(&str, &str)]) -> (StatusCode, HeaderMap, Vec<u8>) {
        let mut request = Request::builder().uri(format!("/api/v1{path}")).header("host", HOST);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.header("cookie", self.cookie()).body(Body::empty()).unwrap();
        let (parts, body) = self.router.clone().oneshot(request).await.unwrap().into_parts();
        (parts.status, parts.headers, to_bytes(body, 1 << 20).await.unwrap().to_vec())
    }

    /// A file of the page, with these headers asked for.
    pub async fn file(&self, path: &str, headers: &[(&str, &str)]) -> (StatusCode, HeaderMap, Vec<u8>) {
        let mut request = Request::builder().uri(path).header("host", HOST);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Body::empty()).unwrap();
        let (parts, body) = self.router.clone().oneshot(request).await.unwrap().into_parts();
        (parts.status, parts.headers, to_bytes(body, 1 << 20).await.unwrap().to_vec())
    }

    pub async fn page(&self, path: &str) -> Answer {
        self.answer(Request::builder().uri(path).header("host", HOST).body(Body::empty()).unwrap()).await
    }

    async fn answer(&self, request: Request<Body>) -> Answer {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = to_bytes(body, 1 << 20).await.unwrap();
        let body = String::from_utf8(body.to_vec()).unwrap();
        Answer { status: parts.status, headers: parts.headers, body }
    }
}

impl Answer {
    pub fn header(&self, name: &str) -> String {
        self.headers[name].to_str().unwrap().to_owned()
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    pub fn code(&self) -> String {
        self.json()["code"].as_str().unwrap().to_owned()
    }
}

/// A daemon's refusal on the wire.
pub fn refusal(kind: &str, code: &str, message: &str) -> Value {
    json!({ "error": format!("cn.yanmen.{kind}"), "parameters": { "code": code, "message": message } })
}

/// A console's desk before the sockets of this directory.
pub fn desk(directory: &Path) -> Desk {
    let at = |daemon: &str| directory.join(daemon);
    let floors = Floors {
        host: Client::at(at("host")),
        auth: Client::at(at("auth")),
        route: Client::at(at("route")),
        record: Client::at(at("record")),
        report: Client::at(at("report")),
        audit: Client::at(at("audit")),
    };
    let (subject, issuer) = ("CN=test".to_owned(), "CN=test".to_owned());
    Desk::new(floors, Facts { sha256: "00".repeat(32), subject, issuer, from: None, until: None })
}

/// A daemon that a test plays.
#[derive(Clone)]
pub struct Cast {
    pub daemon: &'static str,
    pub asked: Asked,
    pub script: Script,
    pub life: Arc<AtomicU64>,
    pub holding: Holding,
    pub sound: Arc<Mutex<Vec<u8>>>,
}

/// Answers as the daemon would: by the script, else something plausible. A scripted list is a stream, one reply a
/// tenth of a second.
pub fn play(directory: &Path, cast: Cast) {
    let listener = UnixListener::bind(directory.join(cast.daemon)).unwrap();
    tokio::spawn(async move {
        loop {
            let mut connection = Connection::new(listener.accept().await.unwrap().0);
            let cast = cast.clone();
            tokio::spawn(async move {
                while let Ok(Some((bytes, descriptors))) = connection.read().await {
                    let call: Value = serde_json::from_slice(&bytes).unwrap();
                    let method = call["method"].as_str().unwrap().rsplit('.').next().unwrap().to_owned();
                    let asked = (cast.daemon.to_owned(), method.clone());
                    let parameters = call["parameters"].clone();
                    cast.asked.lock().unwrap().push((asked.0.clone(), method.clone(), parameters.clone()));
                    let scripted = cast.script.lock().unwrap().get(&asked).cloned();
                    if let Some(Value::Array(replies)) = scripted {
                        for reply in replies {
                            let reply = json!({ "parameters": reply, "continues": true });
                            connection.write(&reply, &[]).await.unwrap();
                            tokio::time::sleep(Duration::from_millis(100)).await;
                        }
                        // Open until the caller has left.
                        let _left = connection.read().await;
                        return;
                    }
                    if let (Some(descriptor), None) = (descriptors.into_iter().next(), &scripted) {
                        let sound = cast.sound.lock().unwrap().clone();
                        let write =
                            move || std::io::Write::write_all(&mut fs::File::from(descriptor), &sound);
                        // A reader that has enough closes its end.
                        let _closed = tokio::task::spawn_blocking(write).await.unwrap();
                    }
                    let seconds = cast.life.load(Ordering::Relaxed);
                    let roles = cast.holding.lock().unwrap().clone();
                    let answer = scripted.unwrap_or_else(
                        || json!({ "parameters": plausible(&method, &parameters, seconds, &roles) }),
                    );
                    if connection.write(&answer, &[]).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
}

fn plausible(method: &str, asked: &Value, life: u64, roles: &[&str]) -> Value {
    let issued = clock::utc();
    let expires = issued.plus(Duration::from_secs(life));
    let session = auth_api::SessionToken::from_text(TOKEN).session();
    let claims = json!({ "person": "zhao", "roles": roles, "session": session,
                         "issued": issued, "expires": expires });
    let recording = json!({ "recording": "09".repeat(16), "call": "01".repeat(16), "began": issued, "ended": expires,
        "state": "sealed", "tracks": [], "size": 1, "digest": "00".repeat(32), "packets": 1, "lost": 0 });
    match method {
        "Login" => {
            json!({ "outcome": "entered", "token": TOKEN, "assertion": "assertion-0", "claims": claims })
        }
        "Renew" => json!({ "assertion": "assertion-1", "claims": claims }),
        "Sessions" => json!({ "sessions": [] }),
        "Accounts" => json!({ "accounts": [], "recoveries": [] }),
        "Create" => json!({ "password": "one-time" }),
        "LiveCalls" => json!({ "calls": [] }),
        "Agents" => json!({ "agents": [] }),
        "Queues" => json!({ "queues": [] }),
        "Endpoints" => json!({ "endpoints": [] }),
        // record's, report's and audit's.
        "List" => json!({ "calls": [], "recordings": [], "entries": [], "more": false }),
        "Show" if asked.get("recording").is_some() => recording,
        "Show" => json!({ "version": null, "settings": {} }),
        "Export" => json!({ "size": 1, "digest": "ab".repeat(32), "sequence": 47, "recording": recording }),
        "Hold" | "Release" => recording,
        "Health" => json!({ "version": "0.1.0", "daemons": [] }),
        "Disk" => json!({ "health": "good", "free": 1 }),
        "Versions" => json!({ "current": null, "versions": [] }),
        "Check" => {
            json!({ "problems": [{ "line": 2, "column": 1, "path": "auth.idle", "code": "settings.period",
            "args": { "setting": "auth.idle" } }], "differences": { "changes": [], "left_out": 0 } })
        }
        "Diff" => json!({ "changes": [], "left_out": 0 }),
        "Apply" | "RollBack" => json!({ "unsound": { "problems": [] } }),
        "Checkpoint" => json!({ "size": 1, "note": "note" }),
        _ => json!({}),
    }
}
