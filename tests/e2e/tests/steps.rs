//! Hang-ups at every step from every side, on one house, each call in a queue of its own and all at once: whoever
//! ends, crosses, refuses, or falls silent, the call has one record that says so, the agent is where they should be,
//! and nothing is left.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use e2e::{
    floor::{self, Floor, Queue, Scene, number},
    ua::{Dialog, Line},
    voice::{self, Voice},
};
use serde_json::{Value, json};
use std::time::Duration;

const SCENES: [(Queue, Scene); 19] = [
    (Queue::of(0), in_one_breath_with_the_invite),
    (Queue::of(0), between_answer_and_ack),
    (Queue::of(0), no_ack_and_no_answer_to_the_bye),
    (Queue { greeting: true, ..Queue::of(0) }, in_the_greeting),
    (Queue::of(0), in_the_queue),
    (Queue::of(1), while_the_phone_has_said_nothing),
    (Queue::of(1), while_the_phone_rings),
    (Queue::of(1), as_the_phone_answers),
    (Queue::of(1), the_caller_while_talking),
    (Queue::of(1), the_phone_while_talking),
    (Queue::of(1), the_phone_at_once),
    (Queue::of(1), both_at_once),
    (Queue::of(6), one_agent_after_the_other_refuses),
    (Queue { max_wait: "10s", ..Queue::of(0) }, the_house_and_a_caller_who_does_not_answer_the_bye),
    (Queue::of(1), the_caller_falls_silent),
    (Queue::of(1), the_phone_falls_silent_and_does_not_answer_the_bye),
    (Queue::of(0), never_a_packet),
    (Queue::of(0), an_invite_three_times),
    (Queue::of(1), the_agent_takes_the_phone_off_while_it_rings),
];

#[test]
fn whoever_ends_a_call_at_whatever_step() {
    let queues = SCENES.map(|(queue, _)| queue);
    let floor = Floor::start(&queues);
    floor.play(SCENES.map(|(_, scene)| scene));
    floor.nothing_is_left();
}

fn in_one_breath_with_the_invite(floor: &Floor, queue: u8) {
    let voice = Voice::new(1);
    let mut call = floor.carrier.dial(&number(queue), &voice.sdp(1));
    call.cancel();
    assert_eq!(call.last("CANCEL").status, Some(200));
    let answer = call.last("INVITE");
    if answer.status == Some(200) {
        // The answer was quicker: as RFC 3261 §9.1 wants it, the caller confirms and hangs up.
        call.taken(&answer);
        call.ack(answer.number(), "");
        call.bye();
    } else {
        assert_eq!(answer.status, Some(487));
        call.ack_refusal(&answer);
    }
    ended_in_flow(&floor.record(&call.call_id));
}

fn between_answer_and_ack(floor: &Floor, queue: u8) {
    let mut call = floor.carrier.dial(&number(queue), &Voice::new(2).sdp(1));
    call.answered();
    call.bye();
    assert_eq!(call.count("BYE", Duration::from_secs(1)), 0, "the house hangs up too");
    ended_in_flow(&floor.record(&call.call_id));
}

fn no_ack_and_no_answer_to_the_bye(floor: &Floor, queue: u8) {
    let mut call = floor.carrier.dial(&number(queue), &Voice::new(3).sdp(1));
    call.answered();
    // 200 is repeated (RFC 3261 §13.3.1.4), then the house hangs up, and then nobody answers it.
    call.asked("BYE");
    let record = floor.record(&call.call_id);
    assert_eq!(record["disposition"], "failed", "{record:#}");
    assert_eq!(leg(&record, "trunk")["by"], "failure", "{record:#}");
}

fn in_the_greeting(floor: &Floor, queue: u8) {
    let voice = Voice::new(4);
    let mut call = floor.carrier.dial(&number(queue), &voice.sdp(1));
    voice.speak_to(&call.confirmed());
    floor.until_stage(queue, "announcing");
    call.bye();
    ended_in_flow(&floor.record(&call.call_id));
}

fn in_the_queue(floor: &Floor, queue: u8) {
    let (mut call, _voice) = waiting(floor, queue, 5);
    call.bye();
    abandoned(&floor.record(&call.call_id));
}

fn while_the_phone_has_said_nothing(floor: &Floor, queue: u8) {
    let phone = floor.sit(queue, 0);
    let (mut call, _voice) = waiting(floor, queue, 6);
    let ringing = phone.called();
    call.bye();
    // RFC 3261 §9.1: a CANCEL waits for the first word of the phone.
    assert_eq!(ringing.count("CANCEL", Duration::from_millis(700)), 0, "a CANCEL before any response");
    ringing.say(180, "");
    cancelled(&ringing);
    let record = floor.record(&call.call_id);
    abandoned(&record);
    assert_eq!(offers(&record), ["abandoned"], "{record:#}");
    floor.until_state(queue, 0, &json!("ready"));
}

fn while_the_phone_rings(floor: &Floor, queue: u8) {
    let phone = floor.sit(queue, 0);
    let (mut call, _voice) = waiting(floor, queue, 7);
    let ringing = phone.called();
    ringing.say(180, "");
    call.bye();
    cancelled(&ringing);
    abandoned(&floor.record(&call.call_id));
    floor.until_state(queue, 0, &json!("ready"));
}

fn as_the_phone_answers(floor: &Floor, queue: u8) {
    let phone = floor.sit(queue, 0);
    let (mut call, _voice) = waiting(floor, queue, 8);
    let mut ringing = phone.called();
    ringing.say(180, "");
    call.bye();
    let cancel = ringing.asked("CANCEL");
    // Its answer has crossed the CANCEL: taken and ended, so that the phone does not stay off the hook.
    ringing.say(200, &Voice::new(9).sdp(1));
    ringing.reply(&cancel, 200, "");
    ringing.asked("ACK");
    ringing.hung_up();
    ringing.let_go();
    abandoned(&floor.record(&call.call_id));
    floor.until_state(queue, 0, &json!("ready"));
}

fn the_caller_while_talking(floor: &Floor, queue: u8) {
    let talk = Talk::begin(floor, queue, 10);
    let (mut call, mut phone) = (talk.call, talk.phone);
    call.bye();
    let bye = phone.hung_up();
    assert!(bye.header("Reason").is_some_and(|reason| reason.contains("cause=16")), "{bye:?}");
    phone.let_go();
    let record = floor.record(&call.call_id);
    assert_eq!(record["disposition"], "answered", "{record:#}");
    assert_eq!(
        [&leg(&record, "trunk")["by"], &leg(&record, "phone")["by"]],
        [&json!("peer"), &json!("house")],
        "{record:#}"
    );
    floor.sound(&record);
}

fn the_phone_while_talking(floor: &Floor, queue: u8) {
    let mut talk = Talk::begin(floor, queue, 12);
    talk.phone.bye();
    talk.call.hung_up();
    let record = floor.record(&talk.call.call_id);
    assert_eq!(record["disposition"], "answered", "{record:#}");
    assert_eq!(
        [&leg(&record, "trunk")["by"], &leg(&record, "phone")["by"]],
        [&json!("house"), &json!("peer")],
        "{record:#}"
    );
}

fn the_phone_at_once(floor: &Floor, queue: u8) {
    let phone = floor.sit(queue, 0);
    let (mut call, _voice) = waiting(floor, queue, 14);
    let mut ringing = phone.called();
    ringing.say(200, &Voice::new(15).sdp(1));
    ringing.bye();
    // Whether they were connected for an instant or not, the caller is not left without a word.
    floor.house.until("the call has gone on", e2e::ua::PATIENCE, |house| {
        let live = house.ask_as("wang", &["calls", "live"]);
        let mut calls = live["calls"].as_array().unwrap().iter();
        calls.all(|live| live["dialled"] != number(queue).as_str() || live["stage"] == "waiting")
    });
    let kept = floor.house.ask_as("wang", &["calls", "list", "--limit", "200"]).to_string();
    if kept.contains(&call.call_id) {
        call.hung_up();
    } else {
        call.bye();
    }
    floor.record(&call.call_id);
    floor.until_settled(queue, 0);
}

fn both_at_once(floor: &Floor, queue: u8) {
    let mut talk = Talk::begin(floor, queue, 16);
    // Neither waits for the other: each BYE is answered, and each side's BYE of the house too where it comes.
    talk.call.ask("BYE", "");
    talk.phone.ask("BYE", "");
    for side in [&talk.call, &talk.phone] {
        assert!(matches!(side.last("BYE").status, Some(200 | 481)));
    }
    let record = floor.record(&talk.call.call_id);
    assert_eq!(record["disposition"], "answered", "{record:#}");
    floor.until_settled(queue, 0);
}

/// The caller keeps its place while 486, 603, 480, silence of the hand and silence of the phone pass by, and the
/// sixth answers.
fn one_agent_after_the_other_refuses(floor: &Floor, queue: u8) {
    let phones: Vec<Line> = (0..6).map(|seat| floor.sit(queue, seat)).collect();
    let (mut call, voice) = waiting(floor, queue, 18);
    for (phone, status) in phones.iter().zip([486, 603, 480]) {
        let ringing = phone.called();
        ringing.say(180, "");
        ringing.say(status, "");
        ringing.asked("ACK");
    }
    let ringing = phones[3].called();
    ringing.say(180, "");
    cancelled(&ringing);
    // The phone of the fifth is off: its INVITE is repeated, and no CANCEL may follow.
    let dead = phones[4].called();
    let answering = phones[5].called();
    assert_eq!(dead.count("CANCEL", Duration::ZERO), 0);
    let other = Voice::new(19);
    other.speak_to(&answering.invite.as_ref().unwrap().body);
    answering.pick_up(&other.sdp(1));
    floor::talk(&voice, &other);
    call.bye();
    answering.hung_up();
    let record = floor.record(&call.call_id);
    assert_eq!(
        offers(&record),
        ["failed", "failed", "failed", "no_answer", "failed", "answered"],
        "{record:#}"
    );
    for (seat, reason) in [(0, "busy"), (1, "refused"), (2, "phone-lost"), (3, "rona"), (4, "phone-lost")] {
        assert_eq!(floor.state(queue, seat), json!({ "aux": reason }), "seat {seat}");
    }
    let causes: Vec<&Value> =
        record["legs"].as_array().unwrap().iter().map(|leg| &leg["cause"]).take(3).collect();
    assert_eq!(causes[1..], [&json!("user_busy"), &json!("call_rejected")], "{record:#}");
}

fn the_house_and_a_caller_who_does_not_answer_the_bye(floor: &Floor, queue: u8) {
    let (call, _voice) = waiting(floor, queue, 20);
    call.asked("BYE");
    // RFC 3261 §17.1.2.2: it is repeated, at 0.5, 1.5, 3.5, 7.5 s, then every 4 s until timer F.
    assert!(call.count("BYE", Duration::from_secs(9)) >= 4, "the BYE is repeated");
    let record = floor.record(&call.call_id);
    assert_eq!(record["disposition"], "refused", "{record:#}");
}

fn the_caller_falls_silent(floor: &Floor, queue: u8) {
    let talk = Talk::begin(floor, queue, 22);
    talk.voices.0.mute();
    let mut sides = [talk.call, talk.phone];
    for side in &mut sides {
        let bye = side.hung_up();
        assert!(bye.header("Reason").is_some_and(|reason| reason.contains("cause=102")), "{bye:?}");
    }
    let record = floor.record(&sides[0].call_id);
    assert_eq!(record["disposition"], "answered", "{record:#}");
    assert!(record["decisions"].to_string().contains("media.silent"), "{record:#}");
    floor.sound(&record);
}

fn the_phone_falls_silent_and_does_not_answer_the_bye(floor: &Floor, queue: u8) {
    let talk = Talk::begin(floor, queue, 24);
    talk.voices.1.mute();
    talk.call.hung_up();
    talk.phone.asked("BYE");
    let record = floor.record(&talk.call.call_id);
    assert_eq!(record["disposition"], "answered", "{record:#}");
    floor.until_settled(queue, 0);
}

fn never_a_packet(floor: &Floor, queue: u8) {
    let mut call = floor.carrier.dial(&number(queue), &Voice::new(26).sdp(1));
    call.confirmed();
    call.hung_up();
    let record = floor.record(&call.call_id);
    assert_eq!(record["disposition"], "failed", "{record:#}");
    assert!(record["decisions"].to_string().contains("media.silent"), "{record:#}");
}

fn an_invite_three_times(floor: &Floor, queue: u8) {
    let sdp = Voice::new(27).sdp(1);
    let mut call = floor.carrier.dial(&number(queue), &sdp);
    call.repeat(&sdp);
    call.repeat(&sdp);
    call.confirmed();
    call.repeat(&sdp);
    floor.until_stage(queue, "waiting");
    call.bye();
    // `record` finds one, or fails.
    abandoned(&floor.record(&call.call_id));
}

fn the_agent_takes_the_phone_off_while_it_rings(floor: &Floor, queue: u8) {
    let phone = floor.sit(queue, 0);
    let (mut call, voice) = waiting(floor, queue, 28);
    let ringing = phone.called();
    ringing.say(180, "");
    floor.house.ym_as(&floor::agent(queue, 0), &["agents", "aux", "break"], "");
    cancelled(&ringing);
    floor.until_stage(queue, "waiting");
    // The caller kept its place, and the agent is back.
    floor.ready(queue, 0);
    let answering = phone.called();
    let other = Voice::new(29);
    other.speak_to(&answering.invite.as_ref().unwrap().body);
    answering.pick_up(&other.sdp(1));
    floor::talk(&voice, &other);
    call.bye();
    answering.hung_up();
    floor.record(&call.call_id);
}

/// Two who talk.
struct Talk {
    call: Dialog,
    phone: Dialog,
    voices: (Voice, Voice),
    _line: Line,
}

impl Talk {
    fn begin(floor: &Floor, queue: u8, voice: u8) -> Self {
        let line = floor.sit(queue, 0);
        let (call, caller) = waiting(floor, queue, voice);
        let (phone, other) = (line.called(), Voice::new(voice + 1));
        other.speak_to(&phone.invite.as_ref().unwrap().body);
        phone.say(180, "");
        phone.pick_up(&other.sdp(1));
        floor::talk(&caller, &other);
        let (first, last) = voice::one_voice(&other.heard(), &caller, "what the phone heard");
        assert!(last > first);
        Self { call, phone, voices: (caller, other), _line: line }
    }
}

/// A caller in the queue, or on the way to a phone.
fn waiting(floor: &Floor, queue: u8, voice: u8) -> (Dialog, Voice) {
    let voice = Voice::new(voice);
    let mut call = floor.carrier.dial(&number(queue), &voice.sdp(1));
    voice.speak_to(&call.confirmed());
    floor.house.until("the caller has come to the queue", e2e::ua::PATIENCE, |house| {
        let live = house.ask_as("wang", &["calls", "live"]);
        let mut calls = live["calls"].as_array().unwrap().iter();
        calls.any(|live| {
            live["dialled"] == number(queue).as_str()
                && (live["stage"] == "waiting" || live["stage"] == "offering")
        })
    });
    (call, voice)
}

/// The house withdraws what rings.
fn cancelled(ringing: &Dialog) {
    let cancel = ringing.asked("CANCEL");
    ringing.reply(&cancel, 200, "");
    ringing.say(487, "");
    ringing.asked("ACK");
}

fn leg<'r>(record: &'r Value, over: &str) -> &'r Value {
    let mut legs = record["legs"].as_array().unwrap().iter();
    legs.find(|leg| leg["over"][over].is_string()).unwrap_or_else(|| panic!("no {over}: {record:#}"))
}

fn offers(record: &Value) -> Vec<&str> {
    let offers = record["queued"][0]["offers"].as_array().unwrap();
    offers.iter().map(|offer| offer["outcome"].as_str().unwrap()).collect()
}

fn ended_in_flow(record: &Value) {
    assert_eq!(record["disposition"], "ended_in_flow", "{record:#}");
    assert_eq!(leg(record, "trunk")["by"], "peer", "{record:#}");
}

fn abandoned(record: &Value) {
    assert_eq!(record["disposition"], "abandoned", "{record:#}");
    assert_eq!(leg(record, "trunk")["by"], "peer", "{record:#}");
    assert_eq!(record["recording"]["no"]["reason"], "no_conversation", "{record:#}");
}
