//! What is heard before anybody has answered: a carrier's announcement, its ringing tone, the house's own where
//! nothing comes; acknowledged on both sides (RFC 3262) and not. What the caller hears is compared, packet for packet,
//! with what the carrier sent; who has not answered hears nothing, and nothing of it is in a recording.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use e2e::{
    floor::{self, Floor, PASSWORD, Queue, Scene, extension, number},
    message::Message,
    ua::{Dialog, Line},
    voice::{self, Voice},
};
use std::{thread, time::Duration};

const SCENES: [Scene; 6] = [
    an_announcement_and_no_answer,
    a_carrier_that_announces_sound_and_sends_none,
    words_that_are_acknowledged_on_both_sides,
    a_caller_who_gives_up_before_the_prack,
    two_devices_ring_and_the_first_answers,
    a_caller_who_is_handed_on_hears_it_over_the_music,
];

#[test]
fn what_is_said_before_an_answer_is_heard() {
    let floor = Floor::start_as(&[Queue::of(1); SCENES.len()], |settings| {
        settings.replacen("[route]\n", "[route]\noutside = [\"010\"]\n", 1)
    });
    for (scene, queue) in SCENES.into_iter().zip(0..) {
        scene(&floor, queue);
    }
    floor.nothing_is_left();
}

/// The phone of a seat, where nobody has signed in.
fn phone(floor: &Floor, queue: u8) -> Line {
    Line::phone(&floor.house, &extension(queue, 0), PASSWORD)
}

/// That phone dials a number outside; its call, and the one that reaches the carrier.
fn dialled(floor: &Floor, line: &Line, voice: &Voice, headers: &str) -> (Dialog, Dialog) {
    let call = line.dial_proved("01088886666", PASSWORD, headers, &voice.sdp(1));
    (call, floor.carrier.called())
}

fn invite(called: &Dialog) -> &Message {
    called.invite.as_ref().unwrap()
}

/// "The number that you have dialled does not exist", and then it does not.
fn an_announcement_and_no_answer(floor: &Floor, queue: u8) {
    let (line, caller, carrier) = (phone(floor, queue), Voice::new(1), Voice::new(2));
    let (mut call, called) = dialled(floor, &line, &caller, "");
    called.say(180, "");
    let rings = call.progress(180);
    assert!(rings.body.is_empty() && rings.header("RSeq").is_none(), "{rings:?}");
    called.say(183, &carrier.sdp(1));
    let sounds = call.progress(183);
    caller.speak_to(&sounds.body);
    caller.hears_tones(25);
    carrier.speak_to(&invite(&called).body);
    caller.hears(&carrier, 100);
    // Every packet, in order; and none of the house's tone in between.
    let heard = caller.heard();
    let (first, last) = voice::one_voice(&heard, &carrier, "the caller");
    assert!(first <= 2 && last - first >= 99, "{first} to {last}");
    assert!(carrier.heard().is_empty() && carrier.packets() == 0, "who has not answered hears nothing");
    called.say(404, "");
    called.asked("ACK");
    let refusal = call.last("INVITE");
    assert_eq!(refusal.status, Some(404), "{refusal:?}");
    call.ack_refusal(&refusal);
    let record = floor.record(&call.call_id);
    let decisions: Vec<_> = record["decisions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|decision| decision["what"].as_str().unwrap())
        .collect();
    assert!(decisions.contains(&"early.heard"), "{record:#}");
    assert_eq!(record["legs"][1]["cause"], "unallocated_number", "{record:#}");
}

/// The caller is not left in silence.
fn a_carrier_that_announces_sound_and_sends_none(floor: &Floor, queue: u8) {
    let (line, caller, carrier) = (phone(floor, queue), Voice::new(3), Voice::new(4));
    let (mut call, called) = dialled(floor, &line, &caller, "");
    called.say(183, &carrier.sdp(1));
    let sounds = call.progress(183);
    caller.hears_tones(75);
    caller.speak_to(&sounds.body);
    carrier.speak_to(&invite(&called).body);
    // It answers at last, and only then has it something to say.
    called.pick_up(&carrier.sdp(1));
    let answer = call.answered();
    assert_eq!(answer.body, sounds.body, "the same description: what was not acknowledged is said again");
    call.ack(answer.number(), "");
    floor::talk(&caller, &carrier);
    call.bye();
    called.hung_up();
}

/// `Require: 100rel` of the phone, and of the carrier.
fn words_that_are_acknowledged_on_both_sides(floor: &Floor, queue: u8) {
    let (line, caller, carrier) = (phone(floor, queue), Voice::new(5), Voice::new(6));
    let (mut call, called) = dialled(floor, &line, &caller, "Require: 100rel\r\n");
    let supported = invite(&called).lines("Supported");
    assert!(supported.contains("100rel"), "{supported}");
    called.reply_with(invite(&called), 180, "Require: 100rel\r\nRSeq: 10\r\n", "");
    let prack = called.asked("PRACK");
    let number = invite(&called).number();
    assert_eq!(prack.header("RAck"), Some(format!("10 {number} INVITE").as_str()));
    called.reply(&prack, 200, "");
    let rings = call.progress(180);
    // Said again, in growing pauses, until it is acknowledged (RFC 3262 §3).
    assert_eq!(call.progress(180).header("RSeq"), rings.header("RSeq"));
    assert_eq!(call.prack(&rings), Some(200));
    assert_eq!(call.prack(&rings), Some(481), "there is nothing left to be acknowledged");
    called.reply_with(invite(&called), 183, "Require: 100rel\r\nRSeq: 11\r\n", &carrier.sdp(1));
    let prack = called.asked("PRACK");
    assert_eq!(prack.header("RAck"), Some(format!("11 {number} INVITE").as_str()));
    called.reply(&prack, 200, "");
    carrier.speak_to(&invite(&called).body);
    let sounds = call.progress(183);
    caller.speak_to(&sounds.body);
    caller.hears(&carrier, 25);
    // The carrier answers while the phone has not acknowledged what it hears: the answer waits.
    called.pick_up("");
    thread::sleep(Duration::from_millis(300));
    assert_eq!(call.prack(&sounds), Some(200));
    let answer = call.response_to("INVITE", sounds.number());
    assert_eq!(answer.status, Some(200), "{answer:?}");
    assert!(answer.body.is_empty(), "RFC 3261 §13.2.1: the description was acknowledged, {answer:?}");
    call.ack(answer.number(), "");
    floor::talk(&caller, &carrier);
    call.bye();
    called.hung_up();
}

fn a_caller_who_gives_up_before_the_prack(floor: &Floor, queue: u8) {
    let (line, caller, carrier) = (phone(floor, queue), Voice::new(7), Voice::new(8));
    let (mut call, called) = dialled(floor, &line, &caller, "Require: 100rel\r\n");
    called.reply_with(invite(&called), 183, "Require: 100rel\r\nRSeq: 1\r\n", &carrier.sdp(1));
    called.reply(&called.asked("PRACK"), 200, "");
    call.progress(183);
    call.cancel();
    let refusal = call.last("INVITE");
    assert_eq!(refusal.status, Some(487), "{refusal:?}");
    call.ack_refusal(&refusal);
    called.reply(&called.asked("CANCEL"), 200, "");
    called.say(487, "");
    called.asked("ACK");
    let record = floor.record(&call.call_id);
    assert_eq!(record["legs"][0]["by"], "peer", "{record:#}");
}

/// A proxy behind the carrier makes two devices ring: the latest is heard, whoever answers is talked with.
fn two_devices_ring_and_the_first_answers(floor: &Floor, queue: u8) {
    let (line, caller) = (phone(floor, queue), Voice::new(9));
    let (one, two) = (Voice::new(10), Voice::new(11));
    let (mut call, mut called) = dialled(floor, &line, &caller, "");
    let mut other = called.fork("two");
    called.say(183, &one.sdp(1));
    let sounds = call.progress(183);
    caller.speak_to(&sounds.body);
    one.speak_to(&invite(&called).body);
    caller.hears(&one, 25);
    other.say(183, &two.sdp(1));
    two.speak_to(&invite(&called).body);
    caller.hears(&two, 25);
    called.pick_up(&one.sdp(1));
    let answer = call.answered();
    call.ack(answer.number(), "");
    floor::talk(&caller, &one);
    // The second crossed the proxy's CANCEL: it is acknowledged and ended, and the first talks on.
    other.say(200, &two.sdp(1));
    let bye = called.asked("BYE");
    assert!(bye.header("To").unwrap().contains("tag=two"), "{bye:?}");
    called.reply(&bye, 200, "");
    floor::talk(&caller, &one);
    call.bye();
    let bye = called.asked("BYE");
    assert!(!bye.header("To").unwrap().contains("tag=two"), "{bye:?}");
    called.reply(&bye, 200, "");
    other.let_go();
    called.let_go();
}

/// An agent hands a caller on to a number outside, which announces something and is busy: the caller is back, and
/// the recording has nothing of it.
fn a_caller_who_is_handed_on_hears_it_over_the_music(floor: &Floor, queue: u8) {
    let line = floor.sit(queue, 0);
    let (caller, agent, carrier) = (Voice::new(12), Voice::new(13), Voice::new(14));
    let mut call = floor.carrier.dial(&number(queue), &caller.sdp(1));
    caller.speak_to(&call.confirmed());
    let mut phone = line.called();
    agent.speak_to(&invite(&phone).body);
    phone.pick_up(&agent.sdp(1));
    floor::talk(&caller, &agent);
    phone.ask_with("REFER", "Refer-To: <sip:01088886666@house>\r\n", "");
    assert_eq!(phone.last("REFER").status, Some(202));
    let called = floor.carrier.called();
    called.say(183, &carrier.sdp(1));
    carrier.speak_to(&invite(&called).body);
    caller.hears(&carrier, 50);
    assert_eq!(carrier.packets(), 0, "who has not answered hears nothing");
    called.say(486, "");
    called.asked("ACK");
    floor::talk(&caller, &agent);
    call.bye();
    phone.let_go();
    let record = floor.record(&call.call_id);
    let wav = floor.sound(&record);
    for channel in 0..2 {
        let (stamps, _) = voice::stamps(&wav, channel);
        assert!(
            stamps.len() > 25 && stamps.iter().all(|stamp| stamp.who != carrier.who()),
            "channel {channel}"
        );
    }
}
