//! A console before daemons that answer what a test wants.

use crate::{
    api::{self, Desk},
    guard, pages,
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

pub struct House {
    directory: TempDir,
    router: Router,
    asked: Asked,
    script: Script,
    jar: Mutex<(String, String)>,
    /// Seconds that an assertion lives.
    pub life: Arc<AtomicU64>,
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
        for daemon in ["auth", "route", "report"] {
            play(directory.path(), daemon, asked.clone(), script.clone(), life.clone());
        }
        let desk = desk(directory.path());
        let peer: SocketAddr = "[::ffff:192.0.2.9]:50000".parse().unwrap();
        let router = pages::router()
            .merge(api::router(desk))
            .layer(DefaultBodyLimit::max(guard::LONGEST_BODY))
            .layer(middleware::from_fn(guard::every))
            .layer(Extension(ConnectInfo(peer)));
        Self { directory, router, asked, script, jar: Mutex::default(), life }
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
    Desk::new(Client::at(at("auth")), Client::at(at("route")), Client::at(at("report")))
}

/// Answers as the daemon would: by the script, else something plausible.
pub fn play(directory: &Path, daemon: &'static str, asked: Asked, script: Script, life: Arc<AtomicU64>) {
    let listener = UnixListener::bind(directory.join(daemon)).unwrap();
    tokio::spawn(async move {
        loop {
            let mut connection = Connection::new(listener.accept().await.unwrap().0);
            let (asked, script, life) = (asked.clone(), script.clone(), life.clone());
            tokio::spawn(async move {
                while let Ok(Some((bytes, _))) = connection.read().await {
                    let call: Value = serde_json::from_slice(&bytes).unwrap();
                    let method = call["method"].as_str().unwrap().rsplit('.').next().unwrap().to_owned();
                    asked.lock().unwrap().push((
                        daemon.to_owned(),
                        method.clone(),
                        call["parameters"].clone(),
                    ));
                    let scripted = script.lock().unwrap().get(&(daemon.to_owned(), method.clone())).cloned();
                    let seconds = life.load(Ordering::Relaxed);
                    let answer =
                        scripted.unwrap_or_else(|| json!({ "parameters": plausible(&method, seconds) }));
                    connection.write(&answer, &[]).await.unwrap();
                }
            });
        }
    });
}

fn plausible(method: &str, life: u64) -> Value {
    let issued = clock::utc();
    let expires = issued.plus(Duration::from_secs(life));
    let claims = json!({ "person": "zhao", "roles": ["supervisor"], "session": "07".repeat(16),
                         "issued": issued, "expires": expires });
    match method {
        "Login" => {
            json!({ "outcome": "entered", "token": TOKEN, "assertion": "assertion-0", "claims": claims })
        }
        "Renew" => json!({ "assertion": "assertion-1", "claims": claims }),
        "LiveCalls" => json!({ "calls": [] }),
        "Agents" => json!({ "agents": [] }),
        "Queues" => json!({ "queues": [] }),
        "Endpoints" => json!({ "endpoints": [] }),
        "List" => json!({ "calls": [], "more": false }),
        _ => json!({}),
    }
}
