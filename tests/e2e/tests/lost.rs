//! A phone that stands still without a word: its agent is offered no call, and says when they are back.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use e2e::{
    House,
    peer::{self, Caller, HangUp, Phone},
};
use serde_json::Value;
use std::time::{Duration, Instant};

#[test]
fn a_phone_that_stands_still_is_lost_within_seconds_and_its_agent_is_offered_no_call() {
    let house = House::start_as(50, |_, settings| {
        settings.replace("realm = \"demo.yanmen\"\n", "realm = \"demo.yanmen\"\nphone_check = \"5s\"\n")
    });
    house.people();
    let (caller_speech, phone_speech) = peer::speech(house.folder.path());
    let phone = Phone::register(&house, &phone_speech);
    house.agent_ready();
    // baresip answers OPTIONS: it is there for as long as it likes.
    std::thread::sleep(Duration::from_secs(12));
    assert_eq!(state(&house), "ready");

    let began = Instant::now();
    phone.freeze();
    house.until("the phone is lost", Duration::from_secs(30), |house| state(house)["aux"] == "phone-lost");
    println!("lost after {:?}", began.elapsed());
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    assert!(unreachable(&house), "and shown so");
    let ready = house.try_ym_as("alice", &["agents", "ready"], "");
    assert!(!ready.status.success(), "nobody is ready at a phone that rings for nobody");

    // A caller waits, and no phone is rung in vain.
    let mut caller = Caller::call(&house, &caller_speech, HangUp::Caller { after: 20_000 });
    house.until_stage("waiting");
    phone.thaw();
    house.until("the phone is back", Duration::from_secs(15), |house| !unreachable(house));
    assert_eq!(state(&house)["aux"], "phone-lost", "whether they are back is for the agent to say");
    house.ym_as("alice", &["agents", "ready"], "");
    house.until_stage("talking");
    house.until("the caller has hung up", Duration::from_secs(40), |_| caller.ended().is_some());
    let record = house.call_record(1);
    let offers = record["queued"][0]["offers"].as_array().unwrap_or_else(|| panic!("{record:#}"));
    assert_eq!(offers.len(), 1, "{record:#}");
}

fn state(house: &House) -> Value {
    let mut list = house.ask_as("wang", &["agents", "list"]);
    let agents = list["agents"].as_array_mut().unwrap();
    agents.iter_mut().find(|agent| agent["agent"] == "alice").unwrap()["state"].take()
}

fn unreachable(house: &House) -> bool {
    let endpoints = house.ask_as("wang", &["trunks"])["endpoints"].to_string();
    endpoints.contains(r#"[{"phone":"8001"},"unreachable"]"#)
}
