//! The ladder that goes with the end of a leg: every message of it, in order, by which path, and
//! nothing of a person.

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "a test may stop at once")]

mod house;

use house::*;
use route_api::{Cause, Ladder, Path, SignallingCommand, Way};
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
    house.command(SignallingCommand::Ring { leg, description: None, memo: memo("rings") });
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
    assert!(!text.contains("13800138000") && !text.contains("m=audio"), "{text}");
    let path = Path { protocol: "UDP".into(), house: "192.0.2.1:5060".into(), far: CARRIER.into() };
    assert_eq!(
        (&ladder.paths[..], ladder.steps.iter().all(|step| step.path == Some(0))),
        (&[path][..], true)
    );

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

/// Guarded by the mutant `sip-last-answer-unheard`.
#[test]
fn a_call_that_the_house_ends_is_told_with_its_bye_and_the_answer() {
    let mut house = House::new();
    let (leg, _) = house.established("c1");
    let written = house.written();
    house.command(SignallingCommand::HangUp { leg, cause: Cause::NormalClearing });
    let bye = house.request();
    house.pass(Duration::from_millis(30));
    assert!(house.ladders.is_empty(), "the answer belongs into it");
    house.reply(&bye, 200, "", "");
    let end = ["< BYE (1 BYE) 0 ×1", "> 200 OK (1 BYE) 30 ×1"];
    assert_eq!(drawn(&house.ladders[0])[4..], end);
    house.pass(Duration::from_secs(40));
    assert_eq!(house.ladders.len(), 1, "told once");

    // Where nobody answers, what there is is told.
    house.restart(&written);
    house.ladders.clear();
    house.command(SignallingCommand::HangUp { leg, cause: Cause::NormalClearing });
    house.pass(Duration::from_secs(3));
    assert!(house.ladders.is_empty());
    house.pass(Duration::from_secs(1));
    assert_eq!(drawn(&house.ladders[0]).last().unwrap(), "< BYE (1 BYE) 40030 ×4");
}

#[test]
fn a_call_that_the_house_gives_up_is_told_to_its_end() {
    let mut house = House::new();
    house.register(1, PASSWORD);
    house.events();
    let leg = leg(9);
    let (_, invite) = house.dial(leg);
    house.reply(&invite, 180, "t", "");
    house.sent();
    house.command(SignallingCommand::HangUp { leg, cause: Cause::NormalClearing });
    let cancel = house.request();
    house.reply(&cancel, 200, "t", "");
    house.reply(&invite, 487, "t", "");
    let expected = [
        "< INVITE (1 INVITE) 0 ×1",
        "> 180 Ringing (1 INVITE) 0 ×1",
        "< CANCEL (1 CANCEL) 0 ×1",
        "> 200 OK (1 CANCEL) 0 ×1",
        "> 487 Request Terminated (1 INVITE) 0 ×1",
        "< ACK (1 ACK) 0 ×1",
    ];
    assert_eq!(drawn(&house.ladders[0]), expected);
}

/// A legs's messages as somebody may see them: whole, each way, of that leg alone.
#[test]
fn the_messages_of_a_watched_leg_come_out_and_no_others() {
    let mut house = House::new();
    let (leg, tag) = house.established("c1");
    house.offered("c2");
    house.core.watch([leg].into());
    house.offered("c3");
    let bye = request("BYE", "sip:192.0.2.1", "b", "c1", &tag, 2, "");
    house.datagram(CARRIER, &bye);
    let [(first, Way::Received, came), (second, Way::Sent, went)] = &house.seen[..] else {
        panic!("{:?}", house.seen)
    };
    assert_eq!((*first, *second, came), (leg, leg, &bye));
    assert!(went.starts_with(b"SIP/2.0 200 OK\r\n"));
    house.core.watch([].into());
    house.datagram(CARRIER, &bye);
    assert_eq!(house.seen.len(), 2);
}

fn ladder_of(house: &House) -> Option<Ladder> {
    house.core.again().into_iter().find_map(|event| match event {
        route_api::SignallingEvent::Ended { ladder, .. } => Some(ladder),
        _ => None,
    })
}
