//! A menu: keys that really come by RFC 4733 in the stream of the speech lead to a queue, also when route is
//! killed between two of them; and `ym` shows flows, tries them, and tells what a call decided.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use e2e::{
    House,
    keys::KeyCaller,
    peer::{self, Phone},
    repository,
};
use serde_json::Value;
use std::{fs, process::Command, time::Duration};

#[test]
fn keys_lead_through_a_menu_to_a_person() {
    let house = House::start();
    house.people();

    // The demonstration's flow, drawn and tried at times of its calendar.
    let drawn = house.ym_as("wang", &["flows", "show", "menu"], "");
    assert!(drawn.contains("menu  menu menu") && drawn.contains("↑ menu"), "{drawn}");
    for (at, keys, ends) in [
        ("2026-10-12T10:00", "*,1", "waits in queue service"),
        ("2026-10-12T20:00", "0", "ended, cause 16"),
        ("2026-10-01T10:00", "", "ended, cause 16"),
    ] {
        // Times are those of this machine: tried in the zone of the calendar.
        let tried =
            house.ym_in("wang", "Asia/Shanghai", &["flows", "try", "menu", "--at", at, "--digits", keys]);
        assert!(tried.contains(ends), "{at} {keys}: {tried}");
    }

    // Open round the clock, so that the hour of the test does not matter; and first with a prompt that is not
    // there.
    let settings = fs::read_to_string(house.folder.path().join("appliance.toml")).unwrap();
    let begin = settings.find("holidays = [").unwrap();
    let end = settings.find("[[route.flows]]").unwrap();
    let open = format!("{}\n{}", &settings[..begin], &settings[end..])
        .replace("mon-fri 09:00-18:00", "mon-sun 00:00-24:00");
    let file = house.folder.path().join("open.toml");
    let path = file.display().to_string();
    fs::write(&file, open.replace(r#"prompt = "invalid""#, r#"prompt = "invalit""#)).unwrap();
    let apply = ["settings", "apply", &path, "--reason", "round the clock"];
    let refused = house.try_ym_as("sysadmin", &apply, "");
    let told = String::from_utf8_lossy(&refused.stdout).into_owned();
    assert!(!refused.status.success() && told.contains("invalit"), "{told}");
    fs::write(&file, open).unwrap();
    house.ym_as("sysadmin", &apply, "");

    let (_caller_speech, phone_speech) = peer::speech(house.folder.path());
    let _phone = Phone::register(&house, &phone_speech);
    house.agent_ready();
    house.ym_as("alice", &["agents", "aux", "lunch"], "");
    let refused = house.try_ym_as("alice", &["agents", "aux", "golf"], "");
    let told = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(told.contains("aux_reasons"), "{told}");

    // Into the menu, back to it, and route dies under the caller's fingers.
    let caller = KeyCaller::call(&house, "95556");
    house.until_stage("choosing");
    caller.press("*");
    house.until("the key has come", Duration::from_secs(10), |house| step(house) == "menu");
    let route = house.daemon("route")["pid"].as_u64().unwrap();
    Command::new("kill").args(["-KILL", &route.to_string()]).status().unwrap();
    house.until("route is back", Duration::from_secs(15), |house| {
        house.daemon("route")["pid"].as_u64().is_some_and(|pid| pid != route)
    });
    house.until_stage("choosing");
    caller.press("0");
    house.until_stage("waiting");
    let queues = house.ym_as("wang", &["queues"], "");
    assert!(queues.lines().any(|line| line.starts_with("service  1")), "{queues}");

    // Somebody is ready, both talk, and the record tells the way.
    house.ym_as("alice", &["agents", "ready"], "");
    house.until_stage("talking");
    house.ym_as("alice", &["agents", "wrap-up", "--for", "1m"], "");
    caller.hang_up();
    let record = house.call_record(1);
    assert_eq!(record["disposition"], "answered", "{record:#}");
    assert!(record["flow"].as_str().unwrap().starts_with("menu@"), "{record:#}");
    let decided: Vec<String> = record["decisions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|decision| {
            format!("{} {}", decision["what"].as_str().unwrap(), decision["why"].as_str().unwrap())
        })
        .collect();
    for line in ["menu.chosen menu: * → menu", "call.restored", "menu.chosen menu: 0 → hours", "hours.open"]
    {
        assert!(decided.iter().any(|decision| decision.starts_with(line)), "{line}: {decided:#?}");
    }
    let agents = house.ask_as("wang", &["agents", "list"]);
    assert!(agents.to_string().contains("wrap_up"), "asked for in the conversation: {agents:#}");

    // Nobody is signed in: the caller is told so and let go.
    house.ym_as("wang", &["agents", "sign-out", "--agent", "alice"], "");
    let forced = house.ask_as("auditadmin", &["audit", "list", "--limit", "1000"]);
    assert!(forced.to_string().contains("route.agent-state-forced"));
    let caller = KeyCaller::call(&house, "95556");
    house.until_stage("choosing");
    caller.press("0");
    caller.ended(Duration::from_secs(20));
    let record = house.call_record(2);
    assert_eq!(record["disposition"], "refused", "{record:#}");
    assert!(repository().join("configs/demo/prompts/number-7.en.wav").is_file());
}

fn step(house: &House) -> Value {
    house.ask_as("wang", &["calls", "live"])["calls"][0]["step"].clone()
}
