//! The ladder that goes with the end of a leg: every message of it, in order, and nothing of a person.

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "a test may stop at once")]

mod house;

use house::*;
use route_api::{Cause, Ladder, SignallingCommand, Way};
use std::time::Duration;

fn drawn(ladder: &Ladder) -> Vec<String> {
    let steps = ladder.steps.iter().map(|step| {
        let way = match step.way {
            Way::Received => ">",
            Way::Sent => "<",
        };
        let ms = step.after_us / 1000;
        format!("{way} {} ({}) {ms} ×{}", step.message, step.exchange, 1 + step.repeated)
    });
    steps.collect()
}

/// Guarded by the mutant `sip-ladder-of-sent-alone`.
#[test]
fn a_call_that_came_in_is_told_from_its_invite_to_its_bye() {
    let mut house = House::new();
    let leg = house.offered("c1");
    let invite = house.invite("c1", "");
    house.pass(Duration::from_millis(100));
    house.datagram(CARRIER, &invite);
    house.command(SignallingCommand::Ring { leg, memo: memo("rings") });
    house.pass(Duration::from_millis(400));
    house.sent();
    let description = description(ANSWER);
    house.command(SignallingCommand::Answer { leg, description, memo: memo("talking") });
    let tag = tag_of(&house.response());
    house.pass(Duration::from_millis(700));
    // Another call does not get into it.
    house.offered("c2");
    let written = house.written();
    let mut all = written.clone();
    house.restart(&written);
    house.datagram(CARRIER, &request("ACK", "sip:192.0.2.1:5060", "ack", "c1", &tag, 1, ""));
    house.pass(Duration::from_secs(5));
    house.datagram(CARRIER, &request("BYE", "sip:192.0.2.1", "b", "c1", &tag, 2, ""));
    let [ladder] = &house.ladders[..] else { panic!("{:?}", house.ladders) };
    let expected = [
        "> INVITE (1 INVITE) 0 ×2",
        "< 100 Trying (1 INVITE) 0 ×2",
        "< 180 Ringing (1 INVITE) 100 ×1",
        "< 200 OK (1 INVITE) 500 ×2",
        "> ACK (1 ACK) 1200 ×1",
        "> BYE (2 BYE) 6200 ×1",
        "< 200 OK (2 BYE) 6200 ×1",
    ];
    assert_eq!(drawn(ladder), expected);
    let text = format!("{ladder:?}");
    assert!(!text.contains("138") && !text.contains("198.51") && !text.contains("m=audio"), "{text}");

    // It lies with the end until route has kept it, whoever is killed.
    all.extend(house.written());
    house.restart(&all);
    assert_eq!(ladder_of(&house), Some(house.ladders[0].clone()));
    house.command(SignallingCommand::Forget { leg });
    all.extend(house.written());
    house.restart(&all);
    assert_eq!(ladder_of(&house), None);
    let kept = house.core.snapshot();
    let ladders = kept.iter().filter(|change| matches!(change, sip_core::Change::Ladder(..))).count();
    assert_eq!(ladders, 1, "that of the call that goes on");
}

#[test]
fn a_call_that_we_dial_is_told_with_its_refusal() {
    let mut house = House::new();
    house.register(1, PASSWORD);
    house.events();
    let leg = leg(9);
    let (_, invite) = house.dial(leg);
    house.pass(Duration::from_millis(600));
    house.reply(&invite, 180, "t", "");
    house.pass(Duration::from_secs(2));
    house.reply(&invite, 486, "t", "");
    let [ladder] = &house.ladders[..] else { panic!("{:?}", house.ladders) };
    let expected = [
        "< INVITE (1 INVITE) 0 ×2",
        "> 180 Ringing (1 INVITE) 600 ×1",
        "> 486 Busy Here (1 INVITE) 2600 ×1",
        "< ACK (1 ACK) 2600 ×1",
    ];
    assert_eq!(drawn(ladder), expected);
}

#[test]
fn a_call_that_the_house_ends_is_told_with_its_bye() {
    let mut house = House::new();
    let (leg, _) = house.established("c1");
    house.command(SignallingCommand::HangUp { leg, cause: Cause::NormalClearing });
    assert_eq!(drawn(&house.ladders[0]).last().unwrap(), "< BYE (1 BYE) 0 ×1");
}

fn ladder_of(house: &House) -> Option<Ladder> {
    house.core.again().into_iter().find_map(|event| match event {
        route_api::SignallingEvent::Ended { ladder, .. } => Some(ladder),
        _ => None,
    })
}
