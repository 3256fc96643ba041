//! INVITE with Replaces (RFC 3891) with real daemons: an agent goes on at another device, a colleague picks up what
//! rings, and nobody takes what is not theirs. To the packet it is heard who hears whom, and what is recorded.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use e2e::{
    House,
    floor::{self, Floor, PASSWORD, Queue, Scene, agent, extension, number},
    ua::{Dialog, Line},
    voice::{self, Voice},
};
use serde_json::{Value, json};
use std::time::Duration;

const SCENES: [(Queue, Scene); 4] = [
    (Queue::of(2), an_agent_goes_on_at_another_device),
    (Queue::of(2), a_colleague_picks_up_what_rings),
    (Queue::of(2), nobody_takes_what_is_not_theirs),
    (Queue::of(1), a_device_that_says_nothing_more_takes_nothing),
];

#[test]
fn a_place_is_taken_by_whom_it_belongs_to() {
    let floor = Floor::start(&SCENES.map(|(queue, _)| queue));
    floor.play(SCENES.map(|(_, scene)| scene));
    floor.nothing_is_left();
}

/// A caller in the queue.
fn waiting(floor: &Floor, queue: u8, voice: u8) -> (Dialog, Voice) {
    let voice = Voice::new(voice);
    let mut call = floor.carrier.dial(&number(queue), &voice.sdp(1));
    voice.speak_to(&call.confirmed());
    floor.house.until("the caller has come to the queue", e2e::ua::PATIENCE, |house| {
        let live = house.ask_as("wang", &["calls", "live"]);
        let mut calls = live["calls"].as_array().unwrap().iter();
        let there = |live: &Value| live["stage"] == "waiting" || live["stage"] == "offering";
        calls.any(|live| live["dialled"] == number(queue).as_str() && there(live))
    });
    (call, voice)
}

/// The same, who talks with the first seat.
fn talking(floor: &Floor, queue: u8, voices: u8) -> (Dialog, Voice, Dialog, Voice) {
    let phone = floor.sit(queue, 0);
    let (call, voice) = waiting(floor, queue, voices);
    let desk = phone.called();
    let at_desk = Voice::new(voices + 1);
    at_desk.speak_to(&desk.invite.as_ref().unwrap().body);
    desk.pick_up(&at_desk.sdp(1));
    floor::talk(&voice, &at_desk);
    (call, voice, desk, at_desk)
}

/// A device of a seat asks for a place.
fn asks(house: &House, queue: u8, seat: u8, replaces: &str, sdp: &str) -> Dialog {
    let extension = extension(queue, seat);
    let device = Line::unregistered(house, &extension, "127.0.0.1");
    device.dial_proved(&extension, PASSWORD, &format!("Require: replaces\r\n{replaces}\r\n"), sdp)
}

fn decided(record: &Value) -> Vec<String> {
    let decisions = record["decisions"].as_array().unwrap().iter();
    let what = decisions.filter_map(|decision| decision["what"].as_str());
    what.filter(|what| what.starts_with("place.")).map(str::to_owned).collect()
}

fn an_agent_goes_on_at_another_device(floor: &Floor, queue: u8) {
    let (mut call, voice, desk, at_desk) = talking(floor, queue, 1);
    let mobile = Voice::new(3);
    let mut device = asks(&floor.house, queue, 0, &desk.replaces(), &mobile.sdp(1));
    mobile.speak_to(&device.confirmed());
    floor::talk(&voice, &mobile);
    let bye = desk.hung_up();
    assert!(bye.header("Reason").is_some_and(|reason| reason.contains("cause=16")), "{bye:?}");
    at_desk.mute();
    let deaf = at_desk.heard().len();
    floor::talk(&voice, &mobile);
    assert_eq!(at_desk.heard().len(), deaf, "the first device hears nothing more");
    floor.until_state(queue, 0, &json!("talking"));
    call.bye();
    device.hung_up();
    let record = floor.record(&call.call_id);
    assert_eq!(record["disposition"], "answered", "{record:#}");
    assert_eq!(decided(&record), ["place.asked", "place.taken"]);
    let references: Vec<&Value> =
        record["legs"].as_array().unwrap().iter().map(|leg| &leg["reference"]).collect();
    assert_eq!(references[0], call.call_id.as_str(), "{record:#}");
    assert_eq!(references[2], device.call_id.as_str(), "{record:#}");
    // One recording, with a track of each of the three.
    assert_eq!(record["recording"]["yes"]["consents"].as_array().unwrap().len(), 3, "{record:#}");
    let sound = floor.sound(&record);
    for (channel, speaker) in [(0, &voice), (1, &at_desk), (1, &mobile)] {
        let (stamps, _) = voice::stamps(&sound, channel);
        let of = stamps.iter().filter(|stamp| stamp.who == speaker.who()).count();
        assert!(of >= 25, "channel {channel} has {of} packets of {}", speaker.who());
    }
}

fn a_colleague_picks_up_what_rings(floor: &Floor, queue: u8) {
    // The colleague is at the desk and takes no callers of the queue.
    let _desk = floor.sit(queue, 1);
    floor.house.ym_as(&agent(queue, 1), &["agents", "aux", "break"], "");
    let phone = floor.sit(queue, 0);
    let (mut call, voice) = waiting(floor, queue, 5);
    let ringing = phone.called();
    ringing.say(180, "");
    let at_colleague = Voice::new(6);
    let mut colleague =
        asks(&floor.house, queue, 1, &format!("{};early-only", ringing.replaces()), &at_colleague.sdp(1));
    at_colleague.speak_to(&colleague.confirmed());
    let cancel = ringing.asked("CANCEL");
    ringing.reply(&cancel, 200, "");
    ringing.say(487, "");
    floor::talk(&voice, &at_colleague);
    floor.until_state(queue, 0, &json!("ready"));
    floor.until_state(queue, 1, &json!("talking"));
    call.bye();
    colleague.hung_up();
    let record = floor.record(&call.call_id);
    let offers: Vec<[&Value; 2]> = record["queued"][0]["offers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|offer| [&offer["agent"], &offer["outcome"]])
        .collect();
    assert_eq!(
        offers,
        [[&json!(agent(queue, 0)), &json!("taken")], [&json!(agent(queue, 1)), &json!("answered")]],
        "{record:#}"
    );
    floor.until_state(queue, 1, &json!({ "aux": "break" }));
    floor.sound(&record);
}

fn nobody_takes_what_is_not_theirs(floor: &Floor, queue: u8) {
    let (call, voice, mut desk, at_desk) = talking(floor, queue, 8);
    let other = Voice::new(10);
    let refused = |replaces: &str, seat: u8, status: u16| {
        let dialog = asks(&floor.house, queue, seat, replaces, &other.sdp(1));
        let answer = dialog.last("INVITE");
        assert_eq!(answer.status, Some(status), "{replaces}: {answer:?}");
        dialog.ack_refusal(&answer);
    };
    let theirs = desk.replaces();
    refused(&theirs, 1, 403);
    refused(&format!("{theirs};early-only"), 0, 486);
    refused(&call.replaces(), 0, 403);
    refused(&theirs.replace("from-tag=", "from-tag=x"), 0, 481);
    refused(&format!("{theirs}\r\n{theirs}"), 0, 400);
    // A carrier's word for it is none.
    let mut stranger = floor.carrier.dial("400", "");
    stranger.ack_refusal(&stranger.last("INVITE"));
    stranger.ask_with("INVITE", &format!("{theirs}\r\n"), &other.sdp(1));
    let answer = stranger.last("INVITE");
    assert_eq!(answer.status, Some(403), "{answer:?}");
    stranger.ack_refusal(&answer);
    floor::talk(&voice, &at_desk);
    desk.bye();
    call.hung_up();
    refused(&theirs, 0, 603);
    assert_eq!(other.packets(), 0);
    let record = floor.record(&call.call_id);
    assert_eq!(decided(&record), ["place.refused", "place.refused"], "{record:#}");
    assert_eq!(record["legs"].as_array().unwrap().len(), 2);
}

fn a_device_that_says_nothing_more_takes_nothing(floor: &Floor, queue: u8) {
    let (mut call, voice, desk, at_desk) = talking(floor, queue, 11);
    let mobile = Voice::new(13);
    let mut device = asks(&floor.house, queue, 0, &desk.replaces(), &mobile.sdp(1));
    // It takes the answer, and never says that it has it.
    device.answered();
    floor::talk(&voice, &at_desk);
    // RFC 3261 §13.3.1.4: after 32 s of repeating it the house gives up.
    device.hung_up();
    assert_eq!(desk.count("BYE", Duration::ZERO), 0);
    floor::talk(&voice, &at_desk);
    call.bye();
    desk.hung_up();
    let record = floor.record(&call.call_id);
    assert_eq!(decided(&record), ["place.asked", "place.kept"], "{record:#}");
}
