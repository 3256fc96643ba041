//! Calls from phones to numbers outside: what may be dialled, over which trunk, and what is tried where one fails.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may stop")]

mod support;

use record_api::Consent;
use report_api::{CallRecord, Disposition, Recorded};
use route_api::{Cause, EndedBy, Endpoint, Reachability, SignallingEvent, Stage};
use route_core::Input;
use support::{Dialled, SETTINGS, World, sdp, seconds};
use types::LegId;

const RULES: &str = r#"
[[route.dial_plan]]
begins = "0"
over = [
    { trunk = "carrier", caller = "02155550000" },
    { trunk = "backup", strip = 1, prepend = "+86" },
    { trunk = "last" },
]
"#;

fn world() -> World {
    let mut world = World::new();
    let trunk = |name: &str| {
        format!("\n[[sip.trunks]]\nname = \"{name}\"\naddress = \"192.0.2.{}:5060\"\n", name.len())
    };
    world.settings(&[SETTINGS, &trunk("carrier"), &trunk("backup"), &trunk("last"), RULES].concat());
    for name in ["carrier", "backup", "last"] {
        reach(&mut world, name, Reachability::Reachable);
    }
    world
}

fn reach(world: &mut World, trunk: &str, reachable: Reachability) {
    let endpoint = Endpoint::Trunk(trunk.parse().unwrap());
    world.give(Input::Signalling(SignallingEvent::Reachable { endpoint, reachable }));
}

/// The last leg that was dialled, as `trunk:number from caller`.
fn dialled(world: &World) -> String {
    let Dialled { over, number, from, .. } = world.dials.last().unwrap();
    let Endpoint::Trunk(trunk) = over else { panic!("{over:?}") };
    format!("{trunk}:{number} from {from}")
}

fn fails(world: &mut World, cause: Cause, by: EndedBy) {
    let leg = *world.dialled.last().unwrap();
    world.over(leg, cause, by);
    world.settle();
}

fn rings(world: &mut World) -> LegId {
    let leg = *world.dialled.last().unwrap();
    world.give(Input::Signalling(SignallingEvent::Ringing { leg, description: None }));
    world.settle();
    leg
}

/// Over which trunks legs went, with the number of each cause.
fn tried(record: &CallRecord) -> Vec<(String, u8)> {
    let legs = record.legs[1..].iter();
    let trunk = |over: &Endpoint| match over {
        Endpoint::Trunk(trunk) => trunk.to_string(),
        Endpoint::Phone(phone) => phone.to_string(),
    };
    legs.map(|leg| (trunk(&leg.over), leg.cause.q850())).collect()
}

#[test]
fn a_number_goes_out_by_its_rule_and_both_talk_and_are_recorded_by_the_rule_of_consent() {
    let mut world = world();
    let phone = world.call_from_phone("8001", "01088886666");
    assert_eq!(dialled(&world), "carrier:01088886666 from 02155550000");
    assert!(world.begins.is_empty(), "nothing is recorded of a call that nobody answers");
    rings(&mut world);
    let outside = world.answer();
    assert_eq!(world.media[&phone].bridged, Some(outside));
    assert_eq!(world.router.live_calls()[0].stage, Stage::Talking);
    assert_eq!(world.media[&phone].tapped.map(|(_, track)| track), Some(0));
    world.hang_up(outside);
    let record = world.only();
    assert_eq!(record.disposition, Disposition::Answered);
    let Recorded::Yes { consents, .. } = &record.recording else { panic!("{:?}", record.recording) };
    assert_eq!(consents[..], [(phone, Consent::Employed {}), (outside, Consent::Refused {})]);
    assert_eq!(world.parties, ["Agent", "Outside"]);
}

/// Guarded by the mutant `route-no-fail-over`.
#[test]
fn a_trunk_that_fails_is_followed_by_the_next_and_the_record_names_each() {
    for (cause, by) in [
        (Cause::NetworkOutOfOrder, EndedBy::Failure),
        (Cause::TemporaryFailure, EndedBy::Peer),
        (Cause::NoCircuitAvailable, EndedBy::Peer),
        (Cause::RecoveryOnTimerExpiry, EndedBy::Failure),
        (Cause::RecoveryOnTimerExpiry, EndedBy::Peer),
        (Cause::NoUserResponding, EndedBy::Failure),
        (Cause::DestinationOutOfOrder, EndedBy::Failure),
    ] {
        let mut world = world();
        let phone = world.call_from_phone("8001", "01088886666");
        fails(&mut world, cause, by);
        assert_eq!(dialled(&world), "backup:+861088886666 from 13800138000", "{cause:?} {by:?}");
        fails(&mut world, Cause::TemporaryFailure, EndedBy::Peer);
        assert_eq!(dialled(&world), "last:01088886666 from 13800138000");
        let outside = world.answer();
        assert_eq!(world.media[&phone].bridged, Some(outside));
        world.hang_up(phone);
        let record = world.only();
        let causes = [cause.q850(), 41, 16];
        let expected: Vec<_> =
            ["carrier", "backup", "last"].map(str::to_owned).into_iter().zip(causes).collect();
        assert_eq!(tried(record), expected);
        assert_eq!(record.decisions.iter().filter(|decision| decision.what == "trunk.failed").count(), 2);
        assert!(world.sip.is_empty() && world.media.is_empty(), "nothing is left");
    }
}

/// Guarded by the mutant `route-fails-over-on-busy`.
#[test]
fn what_the_called_party_answers_is_nobody_else_s_to_try() {
    for (cause, by) in [
        (Cause::UserBusy, EndedBy::Peer),
        (Cause::CallRejected, EndedBy::Peer),
        (Cause::UnallocatedNumber, EndedBy::Peer),
        (Cause::NoUserResponding, EndedBy::Peer),
        (Cause::NoAnswer, EndedBy::Peer),
        (Cause::DestinationOutOfOrder, EndedBy::Peer),
        (Cause::BearerCapabilityNotImplemented, EndedBy::Peer),
    ] {
        let mut world = world();
        let phone = world.call_from_phone("8001", "01088886666");
        fails(&mut world, cause, by);
        assert_eq!(world.dialled.len(), 1, "{cause:?}");
        assert_eq!(world.hung_up.last(), Some(&(phone, cause)));
        assert_eq!(tried(world.only()), [("carrier".to_owned(), cause.q850())]);
    }
}

#[test]
fn once_it_has_rung_only_a_broken_trunk_is_left() {
    for (cause, others) in [
        (Cause::TemporaryFailure, true),
        (Cause::NetworkOutOfOrder, true),
        (Cause::RecoveryOnTimerExpiry, false),
        (Cause::UserBusy, false),
    ] {
        let mut world = world();
        world.call_from_phone("8001", "01088886666");
        rings(&mut world);
        fails(&mut world, cause, EndedBy::Peer);
        assert_eq!(world.dialled.len() == 2, others, "{cause:?}");
    }
    let mut world = world();
    world.call_from_phone("8001", "01088886666");
    rings(&mut world);
    world.pass(seconds(46));
    assert_eq!((world.dialled.len(), world.only().legs[0].cause), (1, Cause::NoAnswer));
}

/// Guarded by the mutant `route-dead-trunk-tried`.
#[test]
fn a_trunk_that_is_known_to_be_down_is_passed_over_at_once() {
    let mut world = world();
    reach(&mut world, "carrier", Reachability::Unreachable);
    let phone = world.call_from_phone("8001", "01088886666");
    assert_eq!(dialled(&world), "backup:+861088886666 from 13800138000");
    reach(&mut world, "last", Reachability::Unreachable);
    fails(&mut world, Cause::TemporaryFailure, EndedBy::Peer);
    assert_eq!(world.hung_up.last(), Some(&(phone, Cause::TemporaryFailure)));
    let decisions = world.decisions();
    let passed = |trunk: &str| decisions.contains(&format!("trunk.passed-over {trunk} cannot be reached"));
    assert!(passed("carrier") && passed("last"), "{decisions:?}");
    reach(&mut world, "backup", Reachability::Unreachable);
    let phone = world.call_from_phone("8001", "01088886666");
    assert_eq!(world.hung_up.last(), Some(&(phone, Cause::NoCircuitAvailable)), "none is left");
}

/// However many trunks say nothing, the caller is not kept for ever.
#[test]
fn the_time_for_trunks_is_bounded() {
    let mut world = world();
    let phone = world.call_from_phone("8001", "01088886666");
    for tried in 1..=3 {
        assert_eq!(world.dialled.len(), tried);
        assert_eq!(world.dials.last().unwrap().silence_ms, (tried < 3).then_some(4_000), "{tried}");
        world.pass(seconds(12));
    }
    assert_eq!(world.dialled.len(), 3, "the last one has the time that trunks have");
    world.pass(seconds(33));
    assert_eq!(world.hung_up.last(), Some(&(phone, Cause::NoUserResponding)));
    let mut slow = self::world();
    slow.call_from_phone("8001", "01088886666");
    slow.pass(seconds(11));
    fails(&mut slow, Cause::TemporaryFailure, EndedBy::Peer);
    slow.now.monotonic = slow.now.monotonic.plus(seconds(20));
    fails(&mut slow, Cause::TemporaryFailure, EndedBy::Peer);
    assert_eq!(slow.dialled.len(), 2, "after 30 s no other is tried");
}

#[test]
fn what_may_not_be_dialled_is_refused_with_its_reason() {
    for (number, cause, why) in [
        ("13900139000", Cause::UnallocatedNumber, "the settings allow no such number"),
        ("00441234", Cause::CallRejected, "the settings bar it"),
        ("no-one", Cause::UnallocatedNumber, "no number"),
        ("95555", Cause::UnallocatedNumber, ""),
    ] {
        let mut world = world();
        let mut plan = world.plan.clone();
        plan.outside = vec!["0".parse().unwrap()];
        plan.barred = vec!["00".parse().unwrap()];
        world.give(Input::Settings(Box::new(plan)));
        let phone = world.call_from_phone("8001", number);
        if number == "95555" {
            assert!(world.hung_up.is_empty(), "a number of the house leads to its flow");
            continue;
        }
        assert_eq!(world.hung_up, [(phone, cause)], "{number}");
        assert!(world.dialled.is_empty());
        let decisions = world.decisions();
        assert!(decisions.iter().any(|decision| decision.contains(why)), "{decisions:?}");
    }
}

/// Guarded by the mutant `route-endless-outside-calls`.
#[test]
fn a_phone_has_so_many_calls_outside_and_no_more() {
    let mut world = world();
    world.call_from_phone("8001", "01088886666");
    world.answer();
    world.call_from_phone("8001", "01088886667");
    let third = world.call_from_phone("8001", "01088886668");
    assert_eq!(world.hung_up, [(third, Cause::CallRejected)]);
    let other = world.call_from_phone("8002", "01088886668");
    assert_eq!(world.router.call_of(other).map(|_| world.dialled.len()), Some(3), "each phone has its own");
    world.hung_up.clear();
    world.call_from_phone("8001", "120");
    assert_eq!((dialled(&world), world.hung_up.len()), ("backup:120 from 13800138000".to_owned(), 0));
}

/// Guarded by the mutant `route-emergency-as-any-other`.
#[test]
fn help_is_reached_when_the_house_is_full() {
    let mut world = world();
    let mut plan = world.plan.clone();
    plan.max_calls = 1;
    world.give(Input::Settings(Box::new(plan)));
    world.waiting_caller();
    let refused = world.call_from_phone("8001", "01088886666");
    assert_eq!(world.hung_up, [(refused, Cause::NoCircuitAvailable)]);
    world.call_from_phone("8001", "110");
    assert_eq!(dialled(&world), "backup:110 from 13800138000", "no rule carries it: every trunk by name");
    fails(&mut world, Cause::TemporaryFailure, EndedBy::Peer);
    assert_eq!(dialled(&world), "carrier:110 from 13800138000");
}

#[test]
fn a_transfer_goes_on_to_the_next_trunk_too() {
    let mut world = world();
    let caller = world.waiting_caller();
    world.ready("alice", "8001");
    let alice = world.answer();
    world.transfer(alice, "01088886666", None);
    fails(&mut world, Cause::TemporaryFailure, EndedBy::Peer);
    assert_eq!(dialled(&world), "backup:+861088886666 from 13800138000");
    let outside = world.answer();
    assert_eq!(world.media[&caller].bridged, Some(outside));
    world.hang_up(caller);
    assert_eq!(tried(world.only())[1..], [("carrier".to_owned(), 41), ("backup".to_owned(), 16)]);
}

/// route dies while the first trunk is tried: the next life goes on with the second.
#[test]
fn the_ways_that_are_left_outlive_route() {
    let mut world = world();
    let caller = world.waiting_caller();
    world.ready("alice", "8001");
    let alice = world.answer();
    world.transfer(alice, "01088886666", None);
    world.restart();
    world.attach(false);
    for name in ["carrier", "backup", "last"] {
        reach(&mut world, name, Reachability::Reachable);
    }
    fails(&mut world, Cause::TemporaryFailure, EndedBy::Peer);
    assert_eq!(dialled(&world), "backup:+861088886666 from 13800138000");
    let outside = world.answer();
    assert_eq!(world.media[&caller].bridged, Some(outside));
}

/// A carrier that says that all lines are busy, in its own voice, and then refuses: the next one is heard instead.
#[test]
fn what_a_failed_trunk_said_before_an_answer_makes_room_for_the_next() {
    let mut world = world();
    let phone = world.call_from_phone("8001", "01088886666");
    for _ in 0..2 {
        let leg = *world.dialled.last().unwrap();
        let early = SignallingEvent::Ringing { leg, description: Some(sdp("early")) };
        world.give(Input::Signalling(early));
        world.settle();
        let heard = world.commands.iter().filter(|command| *command == "Early").count();
        assert_eq!(heard, world.dialled.len());
        if world.dialled.len() == 1 {
            fails(&mut world, Cause::TemporaryFailure, EndedBy::Peer);
        }
    }
    assert_eq!(dialled(&world), "backup:+861088886666 from 13800138000");
    let outside = world.answer();
    assert_eq!(world.media[&phone].bridged, Some(outside));
    assert_eq!(world.media.len(), 2, "the first one's sound is closed");
}
