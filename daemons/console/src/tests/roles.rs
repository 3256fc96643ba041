//! Every path × every role, by the table that the OpenAPI document publishes.

use super::house::{HOST, House};
use crate::api::{ROLES, document};
use auth_api::Role;
use axum::http::{Method, StatusCode};
use serde_json::{Value, json};

/// One operation of the document.
struct Operation {
    method: Method,
    path: String,
    /// Who may; nobody is named where anybody may.
    roles: Vec<String>,
}

fn operations() -> Vec<Operation> {
    let document = document();
    let mut operations = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let roles =
                operation[ROLES].as_array().unwrap_or_else(|| panic!("{method} {path} names no roles"));
            let roles = roles.iter().map(|role| role.as_str().unwrap().to_owned()).collect();
            assert_eq!(operation.get("security").is_none(), Vec::is_empty(&roles), "{method} {path}");
            let path = path.strip_prefix("/api/v1").unwrap();
            operations.push(Operation {
                method: method.to_uppercase().parse().unwrap(),
                path: filled(path),
                roles,
            });
        }
    }
    operations
}

/// The path with something in place of what varies.
fn filled(path: &str) -> String {
    let parts = path.split('/').map(|part| match part {
        "{call}" | "{recording}" | "{recovery}" | "{session}" => "09".repeat(16),
        "{sequence}" => "7".to_owned(),
        "{role}" => "agent".to_owned(),
        part if part.starts_with('{') => "li".to_owned(),
        part => part.to_owned(),
    });
    parts.collect::<Vec<_>>().join("/")
}

async fn ask(house: &House, operation: &Operation) -> (StatusCode, Value) {
    let ours = format!("https://{HOST}");
    let body = (operation.method == Method::POST).then(|| json!({}));
    let csrf = house.csrf();
    let answer = house.send(operation.method.clone(), &operation.path, Some(&ours), Some(&csrf), body).await;
    (answer.status, serde_json::from_str(&answer.body).unwrap_or_default())
}

#[tokio::test]
async fn without_a_session_every_path_but_the_entrance_is_closed() {
    let house = House::new();
    let mut closed = 0;
    for operation in operations() {
        let (status, told) = ask(&house, &operation).await;
        let name = format!("{} {}", operation.method, operation.path);
        if operation.roles.is_empty() {
            assert_ne!(status, StatusCode::UNAUTHORIZED, "{name}");
        } else {
            assert_eq!(
                (status, &told["code"]),
                (StatusCode::UNAUTHORIZED, &json!("console.no-session")),
                "{name}"
            );
            closed += 1;
        }
    }
    assert!(closed > 40, "{closed}");
    for daemon in ["host", "route", "record", "report", "audit"] {
        assert!(house.asked_of(daemon).is_empty(), "{daemon} was asked");
    }
}

/// Mutant console-any-role.
#[tokio::test]
async fn each_role_comes_through_its_own_doors_alone() {
    for role in Role::ALL.map(Some).into_iter().chain([None]) {
        let house = House::new();
        let name = role.map_or("", Role::as_str);
        house.hold(&role.map(Role::as_str).into_iter().collect::<Vec<_>>());
        let mut refused = 0;
        for operation in operations().iter().filter(|operation| !operation.roles.is_empty()) {
            // A log-out is among the doors, and a session that was ended opens none.
            house.log_in().await;
            let (status, told) = ask(&house, operation).await;
            let asked = format!("{name}: {} {} {told}", operation.method, operation.path);
            // Whoever is logged in may, also without a role, where all five are named and no more is asked.
            let anyone = operation.roles.len() == Role::ALL.len() && operation.path.starts_with("/session");
            if operation.roles.iter().any(|one| one == name) || anyone {
                assert_ne!(told["code"], "console.not-permitted", "{asked}");
                assert_ne!(status, StatusCode::UNAUTHORIZED, "{asked}");
            } else {
                assert_eq!(
                    (status, &told["code"]),
                    (StatusCode::FORBIDDEN, &json!("console.not-permitted")),
                    "{asked}"
                );
                refused += 1;
                for daemon in ["host", "route", "record", "report", "audit"] {
                    assert!(house.asked_of(daemon).is_empty(), "{asked}: {daemon} was asked");
                }
            }
            house.asked_of("route");
            house.asked_of("host");
            house.asked_of("record");
            house.asked_of("report");
            house.asked_of("audit");
        }
        assert!(refused > 10, "{name}: {refused}");
    }
}

#[tokio::test]
async fn what_is_out_of_bounds_is_refused_and_nothing_falls_over() {
    let house = House::new();
    let most = u64::MAX;
    let wide = "9".repeat(40);
    house.hold(&["supervisor"]);
    house.log_in().await;
    for query in [
        format!("/calls?limit={most}"),
        "/calls?limit=0".to_owned(),
        "/calls?limit=1001".to_owned(),
        "/calls?limit=-1".to_owned(),
        format!("/calls?from={most}"),
        format!("/calls?from={wide}"),
        "/calls?from=1e9".to_owned(),
        "/calls?after=zz".to_owned(),
        "/calls?agent=".to_owned(),
        "/calls?agent=%00".to_owned(),
        "/calls?unknown=1".to_owned(),
        format!("/recordings?limit={most}"),
        format!("/recordings/{}/peaks?columns={most}", "09".repeat(16)),
        format!("/recordings/{}/peaks?columns=15", "09".repeat(16)),
        format!("/recordings/{wide}"),
        "/calls/%2e%2e".to_owned(),
        "/calls/%FF".to_owned(),
    ] {
        let answer = house.get(&query).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{query}: {}", answer.body);
        assert_eq!(answer.code(), "console.malformed", "{query}");
    }
    house.hold(&["audit-administrator"]);
    house.log_in().await;
    for query in [
        format!("/audit/entries?limit={most}"),
        format!("/audit/entries?before={wide}"),
        "/audit/entries?before=-1".to_owned(),
        "/audit/entries?kind=none.such".to_owned(),
        format!("/audit/entries?object={}", "x".repeat(200)),
        format!("/audit/entries/{wide}/proof"),
    ] {
        assert_eq!(house.get(&query).await.status, StatusCode::BAD_REQUEST, "{query}");
    }
    // The largest number is a number.
    assert_eq!(house.get(&format!("/audit/entries?before={most}")).await.status, StatusCode::OK);
    let ours = format!("https://{HOST}");
    house.hold(&["supervisor"]);
    let csrf = house.log_in().await;
    for (path, body) in [
        ("/calls/search", json!({ "reason": " ", "number": "138" })),
        ("/calls/search", json!({ "number": "138" })),
        ("/calls/search", json!({ "reason": "case", "number": "138' or 1=1" })),
        ("/calls/search", json!({ "reason": "case", "limit": most })),
        ("/calls/search", json!({ "reason": "x".repeat(501) })),
        ("/calls/search", json!([])),
        ("/agents/li/wrap-up", json!({ "seconds": most })),
        ("/agents/li/state", json!({ "state": "flying" })),
    ] {
        let answer = house.send(Method::POST, path, Some(&ours), Some(&csrf), Some(body.clone())).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{path} {body}: {}", answer.body);
    }
}
