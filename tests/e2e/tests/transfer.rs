//! A caller is put on hold, taken back, and handed on to another phone: one recording, whole through all of it.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use e2e::{
    House,
    peer::{self, Answers, Caller, HangUp, Phone, Speaking},
    reader::{read_independently, within},
    wire::{Capture, Rtp},
};
use std::{process::Command, thread, time::Duration};

#[test]
fn a_caller_is_held_and_handed_on_in_one_recording() {
    held_and_handed_on(Route::Lives);
}

#[test]
fn a_caller_is_handed_on_though_route_dies() {
    held_and_handed_on(Route::Dies);
}

/// What becomes of route while the agent hands the caller on.
#[derive(PartialEq)]
enum Route {
    Lives,
    Dies,
}

fn held_and_handed_on(route: Route) {
    let _alone = e2e::alone();
    let house = House::start();
    house.people();
    let (caller_speech, phone_speech) = peer::speech(house.folder.path());
    let mut phone = Phone::register(&house, &phone_speech);
    let extension = "8002";
    let _other = Phone::at(&house, extension, Answers::ByItself, None, &phone_speech, Speaking::PLAIN);
    house.agent_ready();
    let reachable = format!(r#"[{{"phone":"{extension}"}},"reachable"]"#);
    house.until("the other phone is there", Duration::from_secs(10), |house| {
        house.ask_as("wang", &["trunks"])["endpoints"].to_string().contains(&reachable)
    });

    let capture = Capture::begin(&house);
    let mut caller = Caller::call(&house, &caller_speech, HangUp::Caller { after: 28_000 });
    house.until_stage("talking");
    thread::sleep(Duration::from_secs(2));
    phone.hold();
    thread::sleep(Duration::from_secs(2));
    phone.resume();
    thread::sleep(Duration::from_secs(1));
    let pid = house.daemon("route")["pid"].take();
    phone.transfer(extension);
    if route == Route::Dies {
        assert!(Command::new("kill").args(["-KILL", &pid.to_string()]).status().unwrap().success());
        house.until("route is back", Duration::from_secs(15), |house| {
            let now = house.daemon("route");
            now["stage"] == "running" && now["pid"] != pid
        });
    }
    house.until("the caller talks with the other phone, or no more", Duration::from_secs(20), |house| {
        let live = house.ask_as("wang", &["calls", "live"])["calls"].take();
        let with = |call: &serde_json::Value| call["stage"] == "talking" && call["agent"].is_null();
        live.as_array().unwrap().iter().all(with)
    });
    house.until("the caller has hung up", Duration::from_secs(40), |_| caller.ended().is_some());
    assert_eq!(caller.ended(), Some(true), "SIPp is content: {:#}", house.call_record(1));
    let record = house.call_record(1);
    let wire = capture.end();

    assert_eq!(record["legs"].as_array().unwrap().len(), 3, "{record:#}");
    let decisions: Vec<&str> =
        record["decisions"].as_array().unwrap().iter().filter_map(|d| d["what"].as_str()).collect();
    for what in ["call.held", "call.resumed", "transfer.asked", "transfer.done"] {
        assert!(decisions.contains(&what), "{what}: {decisions:?}");
    }
    let recording = record["recording"]["yes"]["recording"].as_str().unwrap_or_else(|| panic!("{record:#}"));
    assert_eq!(record["recording"]["yes"]["consents"].as_array().unwrap().len(), 3, "{record:#}");
    let about = house.ask_as("wang", &["recordings", "show", recording]);
    assert_eq!((&about["state"], &about["lost"]), (&"sealed".into(), &0.into()), "{about:#}");

    // Each party's track is what it sent, packet after packet, through hold and transfer.
    let tracks: [Vec<u8>; 3] = read_independently(&house, recording);
    let to_house = wire.into_iter().filter(|p| house.media.contains(&p.to) && !house.media.contains(&p.from));
    let (caller_sent, phones): (Vec<Rtp>, Vec<Rtp>) =
        to_house.partition(|packet| (caller.media..caller.media + 100).contains(&packet.from));
    let first = phones[0].from;
    let (alice, other): (Vec<Rtp>, Vec<Rtp>) = phones.into_iter().partition(|packet| packet.from == first);
    let customer = within(&caller_sent, &tracks[0], "the caller's track");
    let [agent, colleague] = [(&alice, &tracks[1]), (&other, &tracks[2])]
        .map(|(sent, track)| within(sent, track, "a phone's track").len());
    let talked = Duration::from_micros(customer[customer.len() - 1].at_us - customer[0].at_us);
    assert!(talked >= Duration::from_secs(12), "{talked:?}");
    assert!(agent >= 100 && colleague >= 100, "{agent} and {colleague} packets");
}
