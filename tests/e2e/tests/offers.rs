//! Offers and answers as unfriendly peers make them, on one house, each call in a queue of its own: a late offer, early
//! media, a port that moves by a new offer or without a word, two new offers at once, a stranger who speaks in
//! between. Whatever it is, both hear each other, and the recording holds both and nobody else.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use e2e::{
    floor::{self, Floor, Queue, Scene, number},
    ua::{Dialog, Line},
    voice::{self, Stamp, Voice},
};
use serde_json::Value;
use std::{net::UdpSocket, thread, time::Duration};

const SCENES: [Scene; 10] = [
    a_late_offer,
    a_late_offer_without_an_answer,
    early_media,
    the_caller_moves_by_a_new_offer,
    the_phone_moves_by_a_new_offer,
    the_caller_moves_without_a_word,
    a_stranger_speaks_in_between,
    a_new_offer_before_the_ack,
    two_new_offers_at_once,
    an_offer_that_cannot_be_met,
];

#[test]
fn whatever_the_offer_both_hear_each_other() {
    let floor = Floor::start(&[Queue::of(1); SCENES.len()]);
    floor.play(SCENES);
    floor.nothing_is_left();
}

fn a_late_offer(floor: &Floor, queue: u8) {
    let line = floor.sit(queue, 0);
    let caller = Voice::new(1);
    let mut call = floor.carrier.dial(&number(queue), "");
    let offer = call.answered();
    assert!(offer.body.contains("PCMA/8000"), "{offer:?}");
    call.ack(offer.number(), &caller.sdp(1));
    caller.speak_to(&offer.body);
    let (phone, other) = picked_up(&line, 2);
    floor::talk(&caller, &other);
    call.bye();
    phone.hung_up();
    both_recorded(floor, &call, &caller, &other, 20);
}

fn a_late_offer_without_an_answer(floor: &Floor, queue: u8) {
    let mut call = floor.carrier.dial(&number(queue), "");
    let offer = call.answered();
    call.ack(offer.number(), "");
    call.hung_up();
    assert_eq!(floor.record(&call.call_id)["disposition"], "failed");
}

/// The phone sends 183 with a description and speaks before it answers.
fn early_media(floor: &Floor, queue: u8) {
    let line = floor.sit(queue, 0);
    let (mut call, caller) = called(floor, queue, 3);
    let (phone, other) = (line.called(), Voice::new(4));
    other.speak_to(&phone.invite.as_ref().unwrap().body);
    phone.say(183, &other.sdp(1));
    let before = other.said();
    while other.said() < before + 25 {
        thread::sleep(Duration::from_millis(20));
    }
    phone.pick_up(&other.sdp(1));
    let answered = other.said();
    floor::talk(&caller, &other);
    call.bye();
    phone.hung_up();
    let (_, of_phone) = both_recorded(floor, &call, &caller, &other, 20);
    // What was said before anybody had answered is no conversation.
    assert!(of_phone[0].number + 1 >= answered, "recorded from {:?}, answered at {answered}", of_phone[0]);
}

fn the_caller_moves_by_a_new_offer(floor: &Floor, queue: u8) {
    let (mut call, mut phone, caller, other) = talking(floor, queue, 5);
    caller.mute();
    caller.move_port();
    let number = call.ask("INVITE", &caller.sdp(2));
    let answer = call.last("INVITE");
    assert_eq!(answer.status, Some(200), "{answer:?}");
    call.ack(number, "");
    caller.speak_to(&answer.body);
    caller.unmute();
    floor::talk(&caller, &other);
    assert_eq!(phone.count("BYE", Duration::ZERO), 0);
    phone.bye();
    call.hung_up();
    both_recorded(floor, &call, &caller, &other, 50);
}

fn the_phone_moves_by_a_new_offer(floor: &Floor, queue: u8) {
    let (mut call, mut phone, caller, other) = talking(floor, queue, 7);
    other.mute();
    other.move_port();
    let number = phone.ask("INVITE", &other.sdp(2));
    let answer = phone.last("INVITE");
    assert_eq!(answer.status, Some(200), "{answer:?}");
    phone.ack(number, "");
    other.speak_to(&answer.body);
    other.unmute();
    floor::talk(&caller, &other);
    call.bye();
    phone.hung_up();
    both_recorded(floor, &call, &caller, &other, 50);
}

/// As behind an address translation that forgot the path: after 5 s of silence another port is the party's.
fn the_caller_moves_without_a_word(floor: &Floor, queue: u8) {
    let (mut call, phone, caller, other) = talking(floor, queue, 9);
    caller.mute();
    thread::sleep(Duration::from_millis(5500));
    caller.move_port();
    let moved = caller.said();
    caller.unmute();
    floor::talk(&caller, &other);
    call.bye();
    phone.hung_up();
    let record = floor.record(&call.call_id);
    let wav = floor.sound(&record);
    let (of_caller, strange) = voice::stamps(&wav, 0);
    assert_eq!(strange, 0);
    // The first packet from elsewhere only raises the question whose it is; the second answers it.
    let (before, after) = of_caller.split_at(of_caller.partition_point(|stamp| stamp.number < moved));
    let (_, last) = voice::one_voice(before, &caller, "the caller before");
    let (first, _) = voice::one_voice(after, &caller, "the caller afterwards");
    assert_eq!((last + 1, first), (moved, moved + 1));
}

/// Packets from a port that is not the party's: nobody hears them, no recording holds them, nothing is sent there.
fn a_stranger_speaks_in_between(floor: &Floor, queue: u8) {
    let (mut call, phone, caller, other) = talking(floor, queue, 11);
    let stranger = UdpSocket::bind("127.0.0.1:0").unwrap();
    stranger.set_nonblocking(true).unwrap();
    let ports = [caller.target().unwrap(), other.target().unwrap()];
    for number in 0..100_u16 {
        let stamp = Stamp { who: Voice::new(99).who(), number };
        for port in ports {
            stranger.send_to(&stamp.packet(), port).unwrap();
        }
        thread::sleep(Duration::from_millis(10));
    }
    floor::talk(&caller, &other);
    assert!(stranger.recv(&mut [0; 2000]).is_err(), "the stranger hears something");
    call.bye();
    phone.hung_up();
    let (record, _) = both_recorded(floor, &call, &caller, &other, 50);
    let refused = record["legs"].as_array().unwrap().iter().map(|leg| leg["quality"]["foreign"].as_u64());
    assert_eq!(refused.flatten().sum::<u64>(), 200, "{record:#}");
}

/// RFC 5407 §3.1.4: the house waits for an ACK.
fn a_new_offer_before_the_ack(floor: &Floor, queue: u8) {
    let line = floor.sit(queue, 0);
    let caller = Voice::new(13);
    let mut call = floor.carrier.dial(&number(queue), &caller.sdp(1));
    let answer = call.answered();
    let glaring = call.ask("INVITE", &caller.sdp(2));
    let glare = call.response_to("INVITE", glaring);
    assert_eq!(glare.status, Some(491), "{glare:?}");
    call.ack_refusal(&glare);
    call.ack(answer.number(), "");
    caller.speak_to(&answer.body);
    let (phone, other) = picked_up(&line, 14);
    floor::talk(&caller, &other);
    let again = call.ask("INVITE", &caller.sdp(3));
    assert_eq!(call.last("INVITE").status, Some(200));
    call.ack(again, "");
    floor::talk(&caller, &other);
    call.bye();
    phone.hung_up();
    both_recorded(floor, &call, &caller, &other, 40);
}

/// RFC 3261 §14.2: one at a time. The second may come before the answer to the first (500 with Retry-After) or
/// before its ACK (491); in no case the call suffers.
fn two_new_offers_at_once(floor: &Floor, queue: u8) {
    let (mut call, phone, caller, other) = talking(floor, queue, 15);
    let first = call.ask("INVITE", &caller.sdp(2));
    let second = call.ask("INVITE", &caller.sdp(3));
    let refusal = call.response_to("INVITE", second);
    match refusal.status {
        Some(500) => assert!(refusal.header("Retry-After").is_some(), "{refusal:?}"),
        Some(491) => {}
        _ => panic!("{refusal:?}"),
    }
    call.ack_refusal(&refusal);
    assert_eq!(call.response_to("INVITE", first).status, Some(200));
    call.ack(first, "");
    floor::talk(&caller, &other);
    let third = call.ask("INVITE", &caller.sdp(4));
    assert_eq!(call.last("INVITE").status, Some(200));
    call.ack(third, "");
    call.bye();
    phone.hung_up();
    both_recorded(floor, &call, &caller, &other, 50);
}

/// An offer of a codec that nobody has: 488, in the beginning and in a call, which goes on as it was.
fn an_offer_that_cannot_be_met(floor: &Floor, queue: u8) {
    let strange =
        |voice: &Voice, version| voice.sdp(version).replace("AVP 8", "AVP 96").replace(":8 PCMA", ":96 L24");
    let stranger = Voice::new(17);
    let call = floor.carrier.dial(&number(queue), &strange(&stranger, 1));
    let refusal = call.last("INVITE");
    assert_eq!(refusal.status, Some(488), "{refusal:?}");
    call.ack_refusal(&refusal);
    let record = floor.record(&call.call_id);
    assert_eq!(record["disposition"], "failed", "{record:#}");

    let (mut call, phone, caller, other) = talking(floor, queue, 18);
    call.ask("INVITE", &strange(&caller, 2));
    let refusal = call.last("INVITE");
    assert_eq!(refusal.status, Some(488), "{refusal:?}");
    call.ack_refusal(&refusal);
    floor::talk(&caller, &other);
    call.bye();
    phone.hung_up();
    both_recorded(floor, &call, &caller, &other, 50);
}

fn called(floor: &Floor, queue: u8, voice: u8) -> (Dialog, Voice) {
    let voice = Voice::new(voice);
    let mut call = floor.carrier.dial(&number(queue), &voice.sdp(1));
    voice.speak_to(&call.confirmed());
    (call, voice)
}

fn picked_up(line: &Line, voice: u8) -> (Dialog, Voice) {
    let (phone, voice) = (line.called(), Voice::new(voice));
    voice.speak_to(&phone.invite.as_ref().unwrap().body);
    phone.pick_up(&voice.sdp(1));
    (phone, voice)
}

fn talking(floor: &Floor, queue: u8, voice: u8) -> (Dialog, Dialog, Voice, Voice) {
    let line = floor.sit(queue, 0);
    let (call, caller) = called(floor, queue, voice);
    let (phone, other) = picked_up(&line, voice + 1);
    floor::talk(&caller, &other);
    (call, phone, caller, other)
}

/// Asserts that the recording has at least so many packets of each side, whole and in order; gives the call record
/// and what the agent said.
fn both_recorded(
    floor: &Floor,
    call: &Dialog,
    caller: &Voice,
    phone: &Voice,
    least: u16,
) -> (Value, Vec<Stamp>) {
    let record = floor.record(&call.call_id);
    assert_eq!(record["disposition"], "answered", "{record:#}");
    let wav = floor.sound(&record);
    let mut sides = [(caller, "the caller"), (phone, "the phone")].into_iter().enumerate().map(
        |(channel, (voice, whose))| {
            let (stamps, strange) = voice::stamps(&wav, channel);
            assert_eq!(strange, 0, "samples in the track of {whose} that nobody said");
            let (first, last) = voice::one_voice(&stamps, voice, whose);
            assert!(last - first >= least, "{whose}: {first} to {last}");
            stamps
        },
    );
    let (_, of_phone) = (sides.next().unwrap(), sides.next().unwrap());
    (record, of_phone)
}
