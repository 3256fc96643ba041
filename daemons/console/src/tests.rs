//! The whole way of a request, from the browser's headers to daemons that the tests play.

mod house;
mod live;
mod look;
mod openapi;
mod page;
mod roles;
mod sound;
mod wire;

use axum::http::{Method, StatusCode};
use house::{HOST, House, refusal};
use serde_json::json;
use std::{sync::atomic::Ordering, time::Duration};

#[tokio::test]
async fn a_log_in_gives_the_browser_a_strict_cookie_and_nothing_of_auth() {
    let house = House::new();
    let entered = house.enter().await;
    assert_eq!(entered.status, StatusCode::OK);
    let cookie = entered.header("set-cookie");
    let (pair, attributes) = cookie.split_once("; ").unwrap();
    let secret = pair.strip_prefix("__Host-session=").unwrap();
    assert_eq!(secret.len(), 64, "256 bits");
    let mut attributes: Vec<&str> = attributes.split("; ").collect();
    attributes.sort_unstable();
    assert_eq!(attributes, ["HttpOnly", "Path=/", "SameSite=Strict", "Secure"]);
    let body = entered.json();
    assert_eq!((&body["person"], &body["roles"]), (&json!("zhao"), &json!(["supervisor"])));
    for hidden in [house::TOKEN, "assertion", secret] {
        assert!(!entered.body.contains(hidden), "{hidden} in {}", entered.body);
    }
    let (method, login) = house.asked_of("auth").remove(0);
    assert_eq!((method.as_str(), &login["origin"]), ("Login", &json!({ "address": "192.0.2.9" })));

    let again = house.enter().await;
    assert_ne!(again.header("set-cookie"), cookie);
}

#[tokio::test]
async fn what_is_asked_carries_the_persons_own_assertion() {
    let house = House::new();
    house.log_in().await;
    for path in ["/calls/live", "/agents", "/queues", "/endpoints", "/calls?limit=2&agent=li"] {
        let answer = house.get(path).await;
        assert_eq!(answer.status, StatusCode::OK, "{path}: {}", answer.body);
        assert_eq!(answer.header("cache-control"), "no-store");
    }
    let asked: Vec<_> = house.asked_of("route").into_iter().chain(house.asked_of("report")).collect();
    let methods: Vec<&str> = asked.iter().map(|(method, _)| method.as_str()).collect();
    assert_eq!(methods, ["LiveCalls", "Agents", "Queues", "Endpoints", "List"]);
    assert!(asked.iter().all(|(_, parameters)| parameters["assertion"] == "assertion-0"));
    let list = &asked[4].1;
    assert_eq!((&list["limit"], &list["agent"], &list["reason"]), (&json!(2), &json!("li"), &json!(null)));
}

#[tokio::test]
async fn without_a_session_there_is_nothing() {
    let house = House::new();
    for path in ["/session", "/calls/live", "/calls", "/agents", "/queues", "/endpoints"] {
        let answer = house.get(path).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{path}");
        assert_eq!(answer.json()["code"], "console.no-session");
    }
    house.carry(&format!("__Host-session={}", "0".repeat(64)));
    assert_eq!(house.get("/agents").await.status, StatusCode::UNAUTHORIZED);
    assert!(house.asked_of("route").is_empty());
}

#[tokio::test]
async fn a_foreign_page_can_do_nothing() {
    let house = House::new();
    let log_in = json!({ "person": "zhao", "password": "right" });
    for origin in [None, Some("null"), Some("https://evil.example"), Some("http://yanmen.test:8443")] {
        let answer = house.send(Method::POST, "/session", origin, None, Some(log_in.clone())).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{origin:?}");
        assert_eq!(answer.json()["code"], "console.foreign-origin");
    }
    assert!(house.asked_of("auth").is_empty(), "nothing reached auth");

    let csrf = house.log_in().await;
    let ours = format!("https://{HOST}");
    for token in [None, Some(""), Some("0000"), Some(&csrf[1..])] {
        let answer = house.send(Method::DELETE, "/session", Some(&ours), token, None).await;
        assert_eq!((answer.status, answer.code()), (StatusCode::FORBIDDEN, "console.no-token".to_owned()));
    }
    assert_eq!(house.get("/session").await.status, StatusCode::OK, "still logged in");
}

#[tokio::test]
async fn a_log_out_ends_the_session_here_and_at_auth() {
    let house = House::new();
    let csrf = house.log_in().await;
    let ours = format!("https://{HOST}");
    let answer = house.send(Method::DELETE, "/session", Some(&ours), Some(&csrf), None).await;
    assert_eq!(answer.status, StatusCode::NO_CONTENT);
    assert!(answer.header("set-cookie").contains("Max-Age=0"));
    assert_eq!(house.get("/session").await.status, StatusCode::UNAUTHORIZED);
    let (method, logout) = house.asked_of("auth").pop().unwrap();
    assert_eq!((method.as_str(), &logout["token"]), ("Logout", &json!(house::TOKEN)));
}

#[tokio::test]
async fn refusals_keep_their_kind_and_code() {
    let house = House::new();
    house.log_in().await;
    for (kind, status) in [
        ("NotPermitted", 403),
        ("NotFound", 404),
        ("Conflict", 409),
        ("Busy", 429),
        ("Unavailable", 503),
        ("Invalid", 400),
    ] {
        house.script("route", "Agents", refusal(kind, "route.some-code", "one sentence"));
        let answer = house.get("/agents").await;
        assert_eq!(answer.status.as_u16(), status, "{kind}");
        assert_eq!(answer.header("content-type"), "application/problem+json");
        let told = answer.json();
        assert_eq!((&told["code"], &told["detail"]), (&json!("route.some-code"), &json!("one sentence")));
        assert_eq!(
            (&told["status"], &told["type"]),
            (&json!(status), &json!("urn:yanmen:problem:route.some-code"))
        );
        assert!(
            told["title"].as_str().is_some_and(|title| !title.is_empty() && !title.contains('.')),
            "{told}"
        );
    }
    house.script("auth", "Login", refusal("NotPermitted", "auth.credentials", "english"));
    let answer = house.enter().await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
    let message = answer.json()["detail"].as_str().unwrap().to_owned();
    assert!(message.starts_with("用户名或口令错误"), "in the browser's language: {message}");
}

#[tokio::test]
async fn a_one_time_password_opens_its_change_only() {
    let house = House::new();
    house.script("auth", "Login", json!({ "parameters": { "outcome": "must-change" } }));
    let answer = house.enter().await;
    assert_eq!((answer.status, answer.code()), (StatusCode::FORBIDDEN, "auth.must-change".to_owned()));
    assert!(!answer.headers.contains_key("set-cookie"));
    let change = json!({ "person": "zhao", "old": "right", "new": "better" });
    assert_eq!(house.post("/password", change).await.status, StatusCode::NO_CONTENT);
    let (method, asked) = house.asked_of("auth").pop().unwrap();
    assert_eq!((method.as_str(), &asked["new"]), ("ChangePassword", &json!("better")));
}

#[tokio::test]
async fn the_officers_are_named_once() {
    let house = House::new();
    assert_eq!(house.get("/setup").await.json(), json!({ "officers": "unknown" }));
    let officer = |person: &str| json!({ "person": person, "password": "first" });
    let naming = json!({ "password": "set-up", "system": officer("qian"), "security": officer("sun"),
                         "audit": officer("li") });
    house.script("auth", "Setup", refusal("Conflict", "auth.set-up-done", "done"));
    assert_eq!(house.post("/setup", naming.clone()).await.status, StatusCode::CONFLICT);
    assert_eq!(house.get("/setup").await.json(), json!({ "officers": "named" }));

    let house = House::new();
    assert_eq!(house.post("/setup", naming).await.status, StatusCode::NO_CONTENT);
    assert_eq!(house.get("/setup").await.json(), json!({ "officers": "named" }));
    let (_, asked) = house.asked_of("auth").pop().unwrap();
    assert_eq!(asked["audit"], officer("li"));
    assert_eq!(asked["origin"], json!({ "address": "192.0.2.9" }));
}

#[tokio::test]
async fn an_assertion_is_renewed_in_time_and_only_a_person_stays_awake() {
    let house = House::new();
    house.life.store(59, Ordering::Relaxed);
    house.log_in().await;
    house.get("/agents").await;
    let (method, renew) = house.asked_of("auth").pop().unwrap();
    assert_eq!((method.as_str(), &renew["presence"]), ("Renew", &json!("idle")), "the page asked by itself");
    assert_eq!(house.asked_of("route").pop().unwrap().1["assertion"], "assertion-1");

    // auth is away: its last word holds until it expires, no longer.
    house.script("auth", "Renew", refusal("Unavailable", "auth.unavailable", "away"));
    assert_eq!(house.get("/agents").await.status, StatusCode::OK);
    let house = House::new();
    house.life.store(0, Ordering::Relaxed);
    house.log_in().await;
    house.script("auth", "Renew", refusal("Unavailable", "auth.unavailable", "away"));
    assert_eq!(house.get("/agents").await.status, StatusCode::SERVICE_UNAVAILABLE);

    // auth says that it is over: it stays over.
    house.script("auth", "Renew", refusal("NotPermitted", "auth.session-ended", "over"));
    assert_eq!(house.get("/agents").await.status, StatusCode::UNAUTHORIZED);
    house.unscript();
    assert_eq!(house.get("/agents").await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn what_is_not_of_the_agreed_form_is_refused_without_an_echo() {
    let house = House::new();
    let ours = format!("https://{HOST}");
    let long = "x".repeat(crate::guard::LONGEST_BODY);
    for (body, status) in [
        (json!({ "person": "no name", "password": "hunter2" }), StatusCode::BAD_REQUEST),
        (json!({ "person": "zhao", "password": ["hunter2"] }), StatusCode::BAD_REQUEST),
        (json!({ "person": "zhao", "password": "hunter2", "more": 1 }), StatusCode::BAD_REQUEST),
        (json!({ "person": "zhao", "password": long }), StatusCode::PAYLOAD_TOO_LARGE),
    ] {
        let answer = house.send(Method::POST, "/session", Some(&ours), None, Some(body)).await;
        assert_eq!(answer.status, status);
        assert!(!answer.body.contains("hunter2") && answer.body.contains("code"), "{}", answer.body);
    }
    house.log_in().await;
    assert_eq!(house.get("/calls?number=13800138000").await.status, StatusCode::BAD_REQUEST);
    assert_eq!(house.get("/nothing").await.code(), "console.no-such-path");
    let answer = house.post("/agents", json!({})).await;
    assert_eq!((answer.status, answer.code()), (StatusCode::FORBIDDEN, "console.no-token".to_owned()));
    let answer = house.send(Method::PUT, "/agents", Some(&ours), Some(&house.csrf()), None).await;
    assert_eq!(
        (answer.status, answer.code()),
        (StatusCode::METHOD_NOT_ALLOWED, "console.no-such-method".into())
    );
}

#[tokio::test]
async fn an_integer_is_one_however_it_is_written() {
    let house = House::new();
    let (ours, csrf) = (format!("https://{HOST}"), house.log_in().await);
    for (seconds, status) in
        [("7", 200), ("7.0", 200), ("7.5", 400), ("1e400", 400), ("-1.0", 400), ("99999999999999999999", 400)]
    {
        let body: serde_json::Value = match serde_json::from_str(&format!("{{\"seconds\":{seconds}}}")) {
            Ok(body) => body,
            Err(_no_number) => continue,
        };
        house.script(
            "route",
            "WrapUp",
            json!({ "parameters": { "agent": "li", "state": "ready", "since": 1, "queues": [] } }),
        );
        let answer =
            house.send(Method::POST, "/agents/li/wrap-up", Some(&ours), Some(&csrf), Some(body)).await;
        assert_eq!(answer.status.as_u16(), status, "{seconds}: {}", answer.body);
    }
}

#[tokio::test]
async fn a_daemon_that_is_away_is_said_to_be() {
    let house = House::new();
    house.log_in().await;
    house.silence("route");
    let answer = tokio::time::timeout(Duration::from_secs(5), house.get("/agents")).await.unwrap();
    assert_eq!(
        (answer.status, answer.code()),
        (StatusCode::SERVICE_UNAVAILABLE, "house.unavailable".to_owned())
    );
}
