//! A console to look at while working on its page, before daemons that answer out of a file's worth of JSON:
//! `cargo test -p console look -- --ignored --nocapture`, then https://127.0.0.1:8443/, any name and password.

use super::house::{Cast, DAEMONS, desk, play};
use crate::{api, certificate::Certificate, pages, serving::Server};
use serde_json::{Value, json};
use service::clock;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, atomic::AtomicU64},
    time::Duration,
};
use tokio::net::TcpListener;

/// How long it can be looked at.
const TIME: Duration = Duration::from_secs(1_800);

#[tokio::test]
#[ignore = "for eyes, not for a verdict"]
async fn look() {
    let directory = tempfile::tempdir().unwrap();
    let mut script = HashMap::new();
    for (daemon, method, answer) in [
        ("route", "LiveCalls", live_calls()),
        ("route", "Agents", agents()),
        ("route", "Queues", queues()),
        ("route", "Endpoints", endpoints()),
        ("report", "List", records()),
    ] {
        script.insert((daemon.to_owned(), method.to_owned()), json!({ "parameters": answer }));
    }
    let script = Arc::new(Mutex::new(script));
    for daemon in DAEMONS {
        let (life, holding) = (Arc::new(AtomicU64::new(300)), Arc::new(Mutex::new(vec!["supervisor"])));
        let (asked, sound, script) = (Arc::default(), Arc::default(), script.clone());
        play(directory.path(), Cast { daemon, asked, script, life, holding, sound });
    }
    let listener = TcpListener::bind("127.0.0.1:8443").await.unwrap();
    let certificate = Certificate::of(directory.path(), listener.local_addr().unwrap()).unwrap();
    let server =
        Server::new(&certificate, pages::router().merge(api::router(desk(directory.path())))).unwrap();
    server.run(listener, tokio::time::sleep(TIME)).await;
}

fn ago(seconds: i64) -> i64 {
    clock::utc().0 - seconds * 1_000_000_000
}

fn uid(number: u8) -> String {
    format!("{number:02x}").repeat(16)
}

fn live_calls() -> Value {
    let call = |number: u8,
                from: &str,
                seconds,
                stage: &str,
                queue: Value,
                agent: Value,
                recording: Value| {
        json!({ "call": uid(number), "offered": ago(seconds), "from": from, "dialled": "95588", "stage": stage,
                "queue": queue, "agent": agent, "recording": recording, "legs": [] })
    };
    let no = Value::Null;
    json!({ "calls": [
        call(1, "138******00", 247, "talking", json!("贷款"), json!("李明"), json!(uid(9))),
        call(2, "139******41", 96, "talking", json!("信用卡"), json!("王芳"), json!(uid(8))),
        call(3, "021****12", 41, "offering", json!("贷款"), json!("张伟"), no.clone()),
        call(4, "136******77", 33, "waiting", json!("信用卡"), no.clone(), no.clone()),
        call(5, "", 12, "waiting", json!("信用卡"), no.clone(), no.clone()),
        call(6, "150******28", 4, "announcing", no.clone(), no.clone(), no),
    ] })
}

fn agents() -> Value {
    let agent = |name: &str, phone: Value, state: Value, seconds| json!({ "agent": name, "phone": phone, "state": state, "since": ago(seconds), "queues": ["贷款"] });
    json!({ "agents": [
        agent("李明", json!("8001"), json!("talking"), 240),
        agent("王芳", json!("8002"), json!("talking"), 90),
        agent("张伟", json!("8003"), json!("offered"), 6),
        agent("刘洋", json!("8004"), json!("ready"), 312),
        agent("陈静", json!("8005"), json!("wrap_up"), 21),
        agent("赵磊", json!("8006"), json!({ "aux": "午餐" }), 1_204),
        agent("黄丽", json!("8007"), json!("signed_out"), 9_876),
    ] })
}

fn queues() -> Value {
    let queue = |name: &str, waiting: &[u8], ready: u32, signed_in: u32| {
        let waiting: Vec<String> = waiting.iter().map(|number| uid(*number)).collect();
        let agents =
            json!({ "ready": ready, "offered": 0, "talking": signed_in - ready, "wrap_up": 0, "aux": 0 });
        json!({ "queue": name, "waiting": waiting, "agents": agents })
    };
    json!({ "queues": [queue("贷款", &[], 1, 4), queue("信用卡", &[4, 5], 0, 3), queue("VIP", &[], 1, 2)] })
}

fn endpoints() -> Value {
    let phone = |number: u32, reach: &str| json!([{ "phone": number.to_string() }, reach]);
    json!({ "endpoints": [
        [{ "trunk": "电信主用" }, "reachable"], [{ "trunk": "联通备用" }, "unreachable"],
        phone(8001, "reachable"), phone(8002, "reachable"), phone(8003, "reachable"), phone(8004, "reachable"),
        phone(8005, "reachable"), phone(8006, "reachable"), phone(8007, "unknown"),
    ] })
}

fn records() -> Value {
    let record = |number: u8,
                  seconds: i64,
                  length: i64,
                  agent: Option<&str>,
                  disposition: &str,
                  recording: Value| {
        let (offered, ended) = (ago(seconds), ago(seconds - length));
        let leg = |agent: Option<&str>| {
            json!({ "leg": uid(number), "over": { "phone": "8001" }, "agent": agent, "began": offered,
                    "ended": ended, "cause": "normal_clearing", "by": "peer", "reference": "" })
        };
        let queued = json!([{ "queue": "贷款", "entered": offered, "left": ended, "offers": [] }]);
        json!({ "call": uid(number), "offered": offered, "ended": ended, "from": { "number": "138******00" },
                "dialled": "95588", "flow": "main 1", "legs": [leg(None), leg(agent)], "decisions": [],
                "queued": if disposition == "ended_in_flow" { json!([]) } else { queued },
                "disposition": disposition, "recording": recording })
    };
    let kept = || json!({ "yes": { "recording": uid(9), "consents": [] } });
    let not = |reason: &str| json!({ "no": { "reason": reason } });
    json!({ "more": true, "calls": [
        record(1, 320, 187, Some("李明"), "answered", kept()),
        record(2, 700, 62, Some("王芳"), "answered", kept()),
        record(3, 1_100, 41, None, "abandoned", not("no_conversation")),
        record(4, 2_600, 7, None, "ended_in_flow", not("no_conversation")),
        record(5, 4_100, 433, Some("张伟"), "answered", not("failed")),
        record(6, 5_000, 2, None, "refused", not("no_conversation")),
    ] })
}
