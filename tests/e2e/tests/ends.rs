//! How calls end otherwise: the phone hangs up, the caller gives up in the queue, a daemon dies in between.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use e2e::{
    House,
    peer::{self, Caller, HangUp, Phone},
};
use std::{process::Command, thread, time::Duration};

#[test]
fn calls_end_from_either_side_and_outlive_daemons() {
    let house = House::start();
    house.people();
    let (caller_speech, phone_speech) = peer::speech(house.folder.path());

    // Nobody is ready: the caller hears the announcement, waits, gives up.
    let mut caller = Caller::call(&house, &caller_speech, HangUp::Caller { after: 20_000 });
    house.until_stage("waiting");
    ended(&house, &mut caller);
    let record = house.call_record(1);
    assert_eq!(record["disposition"], "abandoned", "{record:#}");
    assert_eq!(record["recording"]["no"]["reason"], "no_conversation", "{record:#}");

    // The phone ends the call.
    let mut phone = Phone::register(&house, &phone_speech);
    house.agent_ready();
    let mut caller = Caller::call(&house, &caller_speech, HangUp::Callee);
    house.until_stage("talking");
    thread::sleep(Duration::from_secs(3));
    phone.hang_up();
    ended(&house, &mut caller);
    let record = house.call_record(2);
    assert_eq!(record["disposition"], "answered", "{record:#}");
    let by_phone =
        record["legs"].as_array().unwrap().iter().find(|leg| leg["over"]["phone"] == "8001").unwrap();
    assert_eq!(
        (&by_phone["by"], &by_phone["cause"]),
        (&"peer".into(), &"normal_clearing".into()),
        "{record:#}"
    );
    let about = recorded(&house, &record, "sealed");
    assert!(about["packets"].as_u64().unwrap() > 100, "{about:#}");

    // Every daemon on the way of a call dies while it goes on: the two go on talking, the call ends as it
    // should, and its record and recording are there.
    house.until("the agent is ready again", Duration::from_secs(15), |house| {
        house.ask_as("wang", &["agents", "list"]).to_string().contains(r#""state":"ready""#)
    });
    let mut caller = Caller::call(&house, &caller_speech, HangUp::Callee);
    house.until_stage("talking");
    thread::sleep(Duration::from_secs(2));
    for daemon in ["sip", "media", "route", "record", "audit", "key", "report", "auth", "host"] {
        let pid = house.daemon(daemon)["pid"].clone();
        assert!(Command::new("kill").args(["-KILL", &pid.to_string()]).status().unwrap().success());
        house.until(&format!("{daemon} is back"), Duration::from_secs(15), |house| {
            let now = house.daemon(daemon);
            now["stage"] == "running" && now["pid"] != pid && now["restarts"] == 1
        });
        assert_eq!(caller.ended(), None, "{daemon}: the call is gone");
    }
    house.until_stage("talking");
    phone.hang_up();
    ended(&house, &mut caller);
    let record = house.call_record(3);
    assert_eq!(record["disposition"], "answered", "{record:#}");
    let about = recorded(&house, &record, "truncated");
    // Both lives of record are in the export: at most the last second of the first one is missing.
    let out = house.folder.path().join("call.wav");
    let path = out.display().to_string();
    let recording = about["recording"].as_str().unwrap();
    house.ym_as("wang", &["recordings", "export", recording, "--reason", "complaint", "--out", &path], "");
    let wav = std::fs::read(&out).unwrap();
    let lasted = Duration::from_nanos(about["ended"].as_u64().unwrap() - about["began"].as_u64().unwrap());
    let sounding = [0, 2].map(|side| {
        let pairs = wav[44..].chunks_exact(4);
        let frames: Vec<&[u8]> = wav[44..].chunks(4 * 160).collect();
        assert!(
            Duration::from_secs(1) * u32::try_from(pairs.len()).unwrap() / 8_000
                <= lasted + Duration::from_secs(1)
        );
        frames.iter().filter(|frame| frame.chunks_exact(4).any(|pair| pair[side..side + 2] != [0, 0])).count()
    });
    let talked = lasted.saturating_sub(Duration::from_secs(1)).as_millis() / 20;
    assert!(
        sounding.iter().all(|frames| *frames as u128 * 10 >= talked * 7),
        "{sounding:?} frames of {talked}: {about:#}"
    );
    let verified = house.ask_as("auditadmin", &["audit", "verify"]);
    assert_eq!(verified["damage"], serde_json::Value::Null);
}

fn ended(house: &House, caller: &mut Caller) {
    house.until("the caller's call is over", Duration::from_secs(30), |_| caller.ended().is_some());
    assert_eq!(caller.ended(), Some(true), "SIPp is content");
}

fn recorded(house: &House, record: &serde_json::Value, state: &str) -> serde_json::Value {
    let recording = record["recording"]["yes"]["recording"].as_str().unwrap_or_else(|| panic!("{record:#}"));
    let about = house.ask_as("wang", &["recordings", "show", recording]);
    assert_eq!(about["state"], state, "{about:#}");
    about
}
