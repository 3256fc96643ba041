//! Many recorded calls: as many call records, as many recordings or reasons, entries for all, and `ym reconcile`
//! agrees; also where daemons are killed in the middle of it. `YANMEN_CALLS`, `YANMEN_AGENTS` and `YANMEN_KILLS` say
//! how many; a release does with 2,000 calls and 20 kills of each daemon.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use e2e::crowd::{Crowd, number};
use std::{collections::BTreeMap, process::Command, thread, time::Duration};
use tempfile::TempDir;

const TALK: Duration = Duration::from_secs(2);

/// How many calls a second leave no caller waiting long: a call occupies an agent for about as long as it talks.
fn rate(agents: usize) -> f64 {
    agents as f64 / (TALK.as_secs_f64() + 2.0)
}

/// How many calls may begin while media is away, which is half a second a kill (docs/survival.md); and one more a kill,
/// for they come one by one.
fn met(kills: usize, rate: f64) -> usize {
    (kills as f64 * (1.0 + rate / 2.0)) as usize
}

#[test]
fn every_call_has_its_record_its_recording_and_its_entries() {
    let (calls, agents) = (number("YANMEN_CALLS", 24), number("YANMEN_AGENTS", 4));
    let crowd = Crowd::start(TempDir::new().unwrap(), agents, TALK, "");
    let began = std::time::Instant::now();
    let mut callers = crowd.call(calls, rate(agents));
    callers.ended().unwrap_or_else(|errors| panic!("{errors}"));
    let verdict = crowd.reconciled(calls, Duration::from_secs(150));
    println!("{calls} calls in {:?}: {verdict}", began.elapsed());
    let number = |what: &str| verdict[what].as_u64().unwrap() as usize;
    assert_eq!((number("recorded"), number("recordings")), (calls, calls), "{verdict:#}");
    assert_eq!((number("truncated"), number("lossy")), (0, 0), "{verdict:#}");
    assert!(verdict["entries"].as_u64().unwrap() >= 3 * calls as u64, "{verdict:#}");
    let said = crowd.house.ym_as("auditadmin", &["reconcile"], "");
    assert!(said.contains("一致"), "{said}");

    // Whoever takes something away is found out, and the exit status says so.
    let recordings = crowd.house.home().join("record/recordings");
    let some = std::fs::read_dir(&recordings).unwrap().next().unwrap().unwrap().path();
    std::fs::rename(&some, crowd.house.folder.path().join("taken")).unwrap();
    let output = crowd.house.try_ym_as("auditadmin", &["reconcile", "--young", "1s"], "");
    let said = String::from_utf8_lossy(&output.stdout);
    let taken = some.file_name().unwrap().to_string_lossy().into_owned();
    assert!(said.contains(&taken) && output.status.code() == Some(1), "{said}");
    let refused = crowd.house.try_ym_as("agent0", &["reconcile"], "");
    assert_eq!(refused.status.code(), Some(3), "an agent reads no books");
}

#[test]
fn the_books_agree_however_often_daemons_are_killed_in_mid_call() {
    let kills = number("YANMEN_KILLS", 1);
    let agents = number("YANMEN_AGENTS", 4);
    let daemons = ["record", "key", "audit", "media"];
    // A kill every three seconds, and calls for as long as that takes.
    let lasting = 3.0 * (kills * daemons.len()) as f64 + 4.0;
    let calls = (lasting * rate(agents)) as usize;
    let crowd = Crowd::start(TempDir::new().unwrap(), agents, TALK, "");
    let mut callers = crowd.call(calls, rate(agents));
    thread::sleep(Duration::from_secs(3));
    let mut done = 0;
    for kill in 0..kills * daemons.len() {
        // Each is killed after each other one, and never at the same moment of a call.
        let daemon = daemons[(kill + kill / daemons.len()) % daemons.len()];
        let pid = crowd.house.daemon(daemon)["pid"].as_u64().unwrap().to_string();
        assert!(Command::new("kill").args(["-9", &pid]).status().unwrap().success());
        done += usize::from(!callers.over());
        thread::sleep(Duration::from_millis(2_000 + 613 * kill as u64 % 2_000));
    }
    // Who calls while media is away waits for it; whoever was taken is not cut off.
    let complaints = callers.ended().err().unwrap_or_default();
    assert!(!complaints.contains("Aborting call"), "{complaints}");
    let verdict = crowd.reconciled(calls, Duration::from_secs(240));
    println!("{done} kills in mid-call, {calls} calls: {verdict}");
    // Who had not heard the announcement to its end when media died is not recorded, and the record says so.
    let reasons = verdict["unrecorded"].as_object().unwrap();
    assert!(reasons.keys().all(|why| why == "no_consent" || why == "no_conversation"), "{verdict:#}");
    let unrecorded: u64 = reasons.values().map(|many| many.as_u64().unwrap()).sum();
    let recorded = verdict["recorded"].as_u64().unwrap();
    assert_eq!(recorded + unrecorded, calls as u64, "{verdict:#}");
    let may = 2 * met(kills, rate(agents));
    assert!(
        unrecorded <= may as u64,
        "{unrecorded} calls are unrecorded by {kills} kills of media, {may} may be: {:#?}",
        endings(&crowd)
    );
    println!("unrecorded: {:#?}", endings(&crowd));
    assert_eq!(verdict["disagreements"].as_array().unwrap().len(), 0);
    if kills >= 5 {
        assert!(verdict["truncated"].as_u64().unwrap() > 0, "no kill of record met a recording: {verdict:#}");
    }
    assert!(done * 10 >= kills * daemons.len() * 9, "{done} kills fell into calls");
    let verified = crowd.house.ask_as("auditadmin", &["audit", "verify"]);
    assert_eq!(verified["damage"], serde_json::Value::Null);
    let recordings = crowd.house.ask_as("wang", &["recordings", "list", "--limit", "1000"]);
    for recording in recordings["recordings"].as_array().unwrap() {
        let id = recording["recording"].as_str().unwrap();
        crowd.house.ym_as("wang", &["recordings", "verify", id, "--reason", "after kills"], "");
    }
}

/// How the calls without a recording ended, and how often: the last decisions of each.
fn endings(crowd: &Crowd) -> BTreeMap<String, usize> {
    let list = crowd.house.ask_as("wang", &["calls", "list", "--limit", "1000"]);
    let mut endings = BTreeMap::new();
    for call in list["calls"].as_array().unwrap().iter().filter(|call| call["recording"]["no"].is_object()) {
        let decisions = call["decisions"].as_array().unwrap().iter().rev().take(3);
        let decisions: Vec<_> =
            decisions.map(|decision| format!("{} {}", decision["what"], decision["why"])).collect();
        let causes: Vec<_> = call["legs"]
            .as_array()
            .unwrap()
            .iter()
            .map(|leg| format!("{} {}", leg["cause"], leg["by"]))
            .collect();
        *endings.entry(format!("{} {decisions:?} {causes:?}", call["disposition"])).or_default() += 1;
    }
    endings
}
