//! What a called side says before it answers, and who hears it.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may stop")]

mod support;

use route_api::{AgentState, Cause, MediaEvent, SignallingEvent, Stage};
use route_core::{Edge, Input};
use std::time::Duration;
use support::{World, sdp};
use types::LegId;

/// The called side that was dialled last rings, with a description or without.
fn rings(world: &mut World, early: Option<&str>) -> LegId {
    let leg = *world.dialled.last().unwrap();
    world.from_sip.push_back(SignallingEvent::Ringing { leg, description: early.map(sdp) });
    world.settle();
    leg
}

fn hears(world: &World, leg: LegId) -> Option<(LegId, &str)> {
    world.media[&leg].hears.as_ref().map(|(from, answer)| (*from, answer.0.as_str()))
}

/// A phone of the house has dialled a number outside.
fn dialling() -> (World, LegId) {
    let mut world = World::new();
    let caller = world.call_from_phone("8001", "01088886666");
    (world, caller)
}

/// Guarded by the mutant `route-early-unheard`.
#[test]
fn a_phone_hears_the_carrier_before_it_is_answered() {
    let (mut world, caller) = dialling();
    let outside = rings(&mut world, None);
    assert_eq!(world.rung, [(caller, None)], "180");
    assert!(hears(&world, caller).is_none());
    assert_eq!(rings(&mut world, Some("announcement")), outside);
    assert_eq!(world.rung[1..], [(caller, Some(sdp("ours")))], "183, with media's answer");
    assert_eq!(hears(&world, caller), Some((outside, "announcement")));
    assert_eq!(world.playing(caller).as_deref(), Some("tone.ringback"), "until something comes");
    assert!(world.media[&outside].hears.is_none() && world.media[&outside].bridged.is_none(), "one way");
    assert!(
        world.media.values().all(|side| side.tapped.is_none()),
        "nobody has answered, nothing is recorded"
    );
    rings(&mut world, Some("another"));
    assert_eq!(hears(&world, caller), Some((outside, "another")));
    assert_eq!(world.rung.len(), 2, "the caller hears it by the description that it has");
    world.answer();
    assert_eq!(world.media[&caller].bridged, Some(outside));
    assert!(hears(&world, caller).is_none() && world.playing(caller).is_none());
    world.hang_up(caller);
    let record = &world.saved[0];
    let early = record.decisions.iter().filter(|decision| decision.what == "early.heard").count();
    assert_eq!(early, 1);
}

#[test]
fn what_was_said_early_may_be_the_whole_answer() {
    let (mut world, caller) = dialling();
    let outside = rings(&mut world, Some("announcement"));
    world.from_sip.push_back(SignallingEvent::Answered { leg: outside, description: None });
    world.settle();
    assert_eq!(world.media[&caller].bridged, Some(outside));
    assert_eq!(world.commands.iter().filter(|command| *command == "Accept").count(), 0);
    assert_eq!(world.router.live_calls()[0].stage, Stage::Talking);
}

/// "The number that you have dialled …", and then 404.
#[test]
fn an_announcement_may_be_all_there_is() {
    let (mut world, caller) = dialling();
    let outside = rings(&mut world, Some("announcement"));
    world.pass(Duration::from_secs(20));
    world.ended(outside, Cause::UnallocatedNumber);
    world.settle();
    assert_eq!(world.hung_up, [(caller, Cause::UnallocatedNumber)]);
    assert!(world.media.is_empty());
}

/// A phone need not send anything before it is answered.
#[test]
fn a_phone_that_waits_for_an_answer_is_not_taken_for_dead() {
    let (mut world, caller) = dialling();
    rings(&mut world, Some("announcement"));
    world.give(Input::Media(MediaEvent::Silent { leg: caller }));
    world.settle();
    assert!(world.hung_up.is_empty());
    world.answer();
    world.give(Input::Media(MediaEvent::Silent { leg: caller }));
    world.settle();
    assert_eq!(world.hung_up.len(), 2, "in a conversation it is");
}

#[test]
fn the_caller_of_a_transfer_hears_it_over_the_music_and_it_is_not_recorded() {
    let mut world = World::new();
    let caller = world.waiting_caller();
    world.ready("alice", "8001");
    let alice = world.answer();
    world.set("alice", AgentState::Aux("tea".to_owned()));
    world.transfer(alice, "01088886666", None);
    let outside = rings(&mut world, Some("announcement"));
    assert_eq!(hears(&world, caller), Some((outside, "announcement")));
    assert_eq!(world.playing(caller).as_deref(), Some("waiting"), "until something comes");
    assert!(world.rung.is_empty(), "the caller is answered");
    assert!(world.media[&outside].tapped.is_none(), "who has not answered is not recorded");
    // media dies and comes back: the caller hears it again.
    world.lose(Edge::Media);
    world.media.get_mut(&caller).unwrap().hears = None;
    world.attach_media();
    world.settle();
    assert_eq!(hears(&world, caller), Some((outside, "announcement")));
    world.ended(outside, Cause::UserBusy);
    world.settle();
    assert_eq!(world.media[&caller].bridged, Some(alice));
    assert!(hears(&world, caller).is_none());
}

/// Consulted while it rings: who consulted heard it, and the caller does from now on.
#[test]
fn who_is_handed_to_a_ringing_side_hears_it() {
    let mut world = World::new();
    let caller = world.waiting_caller();
    world.ready("alice", "8001");
    let alice = world.answer();
    let consult = world.call_from_phone("8001", "01088886666");
    let outside = rings(&mut world, Some("announcement"));
    assert_eq!(hears(&world, consult), Some((outside, "announcement")));
    world.transfer(alice, "01088886666", Some(consult));
    assert_eq!(hears(&world, caller), Some((outside, "announcement")));
    assert!(!world.media.contains_key(&consult));
}

/// The caller of a queue has its music: an agent's phone has nothing to say before it answers.
#[test]
fn an_agents_phone_is_not_heard_early() {
    let mut world = World::new();
    let caller = world.waiting_caller();
    world.ready("alice", "8001");
    rings(&mut world, Some("a joke"));
    assert!(hears(&world, caller).is_none());
    assert_eq!(world.playing(caller).as_deref(), Some("waiting"));
}

/// RFC 3311: either side may change its mind before the answer.
#[test]
fn a_change_in_an_early_dialog_reaches_media() {
    let (mut world, caller) = dialling();
    let outside = rings(&mut world, None);
    let changing = |leg| SignallingEvent::Changing { leg, description: sdp("new") };
    world.from_sip.push_back(changing(outside));
    world.settle();
    assert_eq!(world.changed, [(outside, None)], "nothing is agreed that could be changed");
    rings(&mut world, Some("announcement"));
    for leg in [outside, caller] {
        world.from_sip.push_back(changing(leg));
        world.settle();
    }
    assert_eq!(world.changed[1..], [(outside, Some(sdp("ours"))), (caller, Some(sdp("ours")))]);
    world.answer();
    assert_eq!(world.media[&caller].bridged, Some(outside));
}

/// route dies while it rings: it rings on, is answered, and both talk.
#[test]
fn a_call_of_a_phone_rings_on_over_a_kill_of_route() {
    for early in [None, Some("announcement")] {
        let (mut world, caller) = dialling();
        let outside = rings(&mut world, early);
        world.restart();
        world.attach(early.is_some());
        assert!(world.hung_up.is_empty(), "{:?}", world.hung_up);
        assert_eq!(hears(&world, caller).map(|(from, _)| from), early.map(|_| outside), "media goes on");
        rings(&mut world, Some("another"));
        assert_eq!(hears(&world, caller), Some((outside, "another")));
        world.answer();
        assert_eq!(world.media[&caller].bridged, Some(outside));
        assert!(world.sip[&caller].answered_by_us);
        world.hang_up(caller);
        assert!(world.sip.is_empty() && world.media.is_empty());
    }
}

/// What is kept of a call holds no key of SRTP. Guarded by the mutant `route-srtp-keys-kept`.
#[test]
fn keys_are_not_kept_over_a_kill() {
    let mut world = World::new();
    world.ours = "v=0\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:d0Rm\r\n".to_owned();
    let caller = world.call_from_phone("8001", "01088886666");
    rings(&mut world, None);
    assert!(
        !world.sip[&caller].memo.0.contains("crypto") && world.sip[&caller].memo.0.contains("01088886666")
    );
    world.answer();
    assert!(world.sip[&caller].answered_by_us, "in this life it is known all the same");
}
