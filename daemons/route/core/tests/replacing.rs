//! A new leg takes the place of another (INVITE with Replaces): who may, and that nothing is lost by it.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may stop")]

mod support;

use report_api::OfferOutcome;
use route_api::{AgentState, Cause, SignallingEvent, Stage, TransferProgress, Wanted};
use route_core::{Edge, Input};
use support::{World, decided, recorded_whole, sdp, seconds};
use types::LegId;

use Wanted::{Always, Ringing};

/// A caller is offered to alice, whose phone rings; bob is at his, in aux.
fn ringing() -> (World, LegId, LegId) {
    let mut world = World::new();
    let caller = world.waiting_caller();
    world.ready("alice", "8001");
    let leg = *world.dialled.last().unwrap();
    rings(&mut world, leg);
    world.ready("bob", "8002");
    world.set("bob", AgentState::Aux("tea".to_owned()));
    (world, caller, leg)
}

fn rings(world: &mut World, leg: LegId) {
    world.from_sip.push_back(SignallingEvent::Ringing { leg, description: None });
    world.settle();
}

/// Guarded by the mutant `route-replaced-leg-left`.
#[test]
fn an_agent_goes_on_at_another_device_in_one_recording() {
    let (mut world, caller, alice, recording) = World::talking();
    world.from_media.push_back(route_api::MediaEvent::Held { leg: alice });
    world.settle();
    let device = world.replace("8001", alice, Always);
    assert!(world.sip[&device].answered_by_us);
    assert_eq!(world.media[&caller].bridged, Some(device));
    assert_eq!(world.playing(caller), None, "the hold was the other device's");
    assert_eq!(world.media[&device].tapped, Some((recording, 2)), "a track of its own");
    assert_eq!(world.media[&caller].tapped, Some((recording, 0)));
    assert_eq!(world.hung_up, [(alice, Cause::NormalClearing)]);
    assert_eq!(world.state("alice"), AgentState::Talking);
    assert!(world.finished.is_empty());
    // It is the phone that talks, in everything that follows.
    world.transfer(device, "8002", None);
    let bob = world.answer();
    assert_eq!(world.told.last(), Some(&(device, TransferProgress::Done)));
    assert_eq!(world.state("alice"), AgentState::WrapUp);
    world.hang_up(caller);
    let record = world.only();
    recorded_whole(record, recording, &[caller, alice, device, bob]);
    assert_eq!(decided(record, "place."), ["place.asked", "place.taken"]);
    assert!(
        record.legs.iter().all(|leg| leg.answered.is_some()
            && leg.reference.is_empty() == (leg.leg != caller && leg.leg != device))
    );
    assert!(world.sip.is_empty() && world.media.is_empty() && world.ended.is_empty());
}

/// Guarded by the mutant `route-anybody-takes-a-place`.
#[test]
fn nobody_takes_what_is_not_theirs() {
    let (mut world, caller, alice, recording) = World::talking();
    for (phone, of, wanted, cause) in [
        ("8002", alice, Always, Cause::CallRejected),
        ("8009", alice, Always, Cause::CallRejected),
        ("8001", caller, Always, Cause::CallRejected),
        ("8001", alice, Ringing, Cause::UserBusy),
    ] {
        let newcomer = world.replace(phone, of, wanted);
        assert_eq!(world.hung_up.pop(), Some((newcomer, cause)), "{phone}");
        assert!(world.hung_up.is_empty() && !world.media.contains_key(&newcomer));
    }
    let nobodys = world.replace("8001", LegId(types::Uid([9; 16])), Always);
    assert_eq!(world.hung_up.pop(), Some((nobodys, Cause::NormalClearing)));
    assert_eq!((world.media[&caller].bridged, world.state("alice")), (Some(alice), AgentState::Talking));
    world.hang_up(caller);
    let record = world.only();
    recorded_whole(record, recording, &[caller, alice]);
    assert_eq!(decided(record, "place."), ["place.refused"; 4]);
    assert!(world.ended.is_empty(), "{:?}", world.ended);
}

#[test]
fn who_serves_the_queue_picks_up_what_rings() {
    let (mut world, caller, rung) = ringing();
    // Nobody sits at 8009.
    let stranger = world.replace("8009", rung, Ringing);
    assert_eq!(world.hung_up.pop(), Some((stranger, Cause::CallRejected)));
    let bob = world.replace("8002", rung, Ringing);
    assert_eq!(world.media[&caller].bridged, Some(bob));
    assert_eq!(world.hung_up, [(rung, Cause::NormalClearing)]);
    assert_eq!((world.state("alice"), world.state("bob")), (AgentState::Ready, AgentState::Talking));
    let recording = world.media[&caller].tapped.unwrap().0;
    assert_eq!(world.media[&bob].tapped.unwrap().0, recording);
    assert!(world.router.queues()[0].waiting.is_empty());
    world.hang_up(caller);
    assert_eq!(world.state("bob"), AgentState::Aux("tea".to_owned()), "as before");
    let record = world.only();
    recorded_whole(record, recording, &[caller, bob]);
    let offers: Vec<_> =
        record.queued[0].offers.iter().map(|offer| (offer.agent.to_string(), offer.outcome)).collect();
    assert_eq!(offers, [("alice".into(), OfferOutcome::Taken), ("bob".into(), OfferOutcome::Answered)]);
    assert_eq!(record.legs.iter().filter(|leg| leg.answered.is_some()).count(), 2);
}

#[test]
fn a_second_device_answers_what_rings_at_the_first() {
    let (mut world, caller, rung) = ringing();
    let device = world.replace("8001", rung, Ringing);
    assert_eq!((world.media[&caller].bridged, world.state("alice")), (Some(device), AgentState::Talking));
    world.hang_up(device);
    assert_eq!(world.state("alice"), AgentState::WrapUp);
    let outcomes: Vec<_> = world.only().queued[0].offers.iter().map(|offer| offer.outcome).collect();
    assert_eq!(outcomes, [OfferOutcome::Answered]);
}

#[test]
fn a_colleague_who_is_busy_or_of_no_queue_with_the_other_picks_up_nothing() {
    let (mut world, _, rung) = ringing();
    let dialling = world.call_from_phone("8002", "8009");
    let busy = world.replace("8002", rung, Ringing);
    assert_eq!(world.hung_up.pop(), Some((busy, Cause::UserBusy)));
    world.hang_up(dialling);
    // Of another queue.
    let other = support::SETTINGS
        .replace(
            r#"extension = "8002"
queues = [{ queue = "service", level = 5 }]"#,
            r#"extension = "8002"
queues = [{ queue = "other", level = 5 }]"#,
        )
        .replace(
            "[[route.agents]]\nname = \"alice\"",
            "[[route.queues]]\nname = \"other\"\n[[route.agents]]\nname = \"alice\"",
        );
    world.settings(&other);
    let stranger = world.replace("8002", rung, Ringing);
    assert_eq!(world.hung_up.pop(), Some((stranger, Cause::CallRejected)));
}

#[test]
fn a_call_between_phones_and_a_transfer_are_picked_up_too() {
    // A phone calls alice, who serves a queue with bob.
    let mut world = World::new();
    world.ready("alice", "8001");
    world.ready("bob", "8002");
    let caller = world.call_from_phone("8009", "8001");
    let rung = *world.dialled.last().unwrap();
    rings(&mut world, rung);
    let bob = world.replace("8002", rung, Always);
    assert!(world.sip[&caller].answered_by_us, "who called is answered now");
    assert_eq!(world.media[&caller].bridged, Some(bob));
    assert_eq!((world.state("alice"), world.state("bob")), (AgentState::Ready, AgentState::Talking));
    world.hang_up(bob);
    assert!(world.sip.is_empty() && world.media.is_empty());

    // alice hands a caller of the queue on to a phone where nobody sits.
    let (mut world, caller, alice, recording) = World::talking();
    world.transfer(alice, "8009", None);
    let rung = *world.dialled.last().unwrap();
    rings(&mut world, rung);
    let bob = world.replace("8002", rung, Ringing);
    assert_eq!(world.media[&caller].bridged, Some(bob));
    assert_eq!(world.told.last(), Some(&(alice, TransferProgress::Done)));
    assert_eq!((world.state("alice"), world.state("bob")), (AgentState::WrapUp, AgentState::Talking));
    world.hang_up(caller);
    recorded_whole(world.only(), recording, &[caller, alice, bob]);
}

#[test]
fn who_answers_first_keeps_a_call_of_which_only_the_ringing_was_wanted() {
    for wanted in [Ringing, Always] {
        let (mut world, caller, rung) = ringing();
        let newcomer = world.come_for("8001", rung, wanted, Some(sdp("theirs")));
        // alice answers while the other device is being answered.
        world.sip.get_mut(&rung).unwrap().state = route_api::LegState::Established;
        world.from_sip.push_front(SignallingEvent::Answered { leg: rung, description: Some(sdp("phone")) });
        while world.step_sip() {}
        world.settle();
        let keeps = if wanted == Ringing { rung } else { newcomer };
        assert_eq!(world.media[&caller].bridged, Some(keeps));
        assert_eq!(world.state("alice"), AgentState::Talking);
        world.hang_up(caller);
        let last = if wanted == Ringing { "place.kept" } else { "place.taken" };
        assert_eq!(decided(world.only(), "place."), ["place.asked", last]);
        assert!(world.sip.is_empty() && world.media.is_empty());
    }
}

/// Guarded by the mutant `route-place-taken-unconfirmed`.
#[test]
fn a_newcomer_that_comes_to_nothing_changes_nothing() {
    let (mut world, caller, alice, recording) = World::talking();
    // Media says nothing, then the newcomer says nothing, then it hangs up.
    let silent = world.come_for("8001", alice, Always, Some(sdp("theirs")));
    world.from_media.clear();
    world.pass(seconds(6));
    assert_eq!(world.hung_up, [(silent, Cause::RecoveryOnTimerExpiry)]);
    let unconfirmed = world.come_for("8001", alice, Always, Some(sdp("theirs")));
    while world.step_media() {}
    assert!(world.sip[&unconfirmed].answered_by_us);
    let second = world.come_for("8001", alice, Always, Some(sdp("theirs")));
    assert_eq!(world.hung_up.pop(), Some((second, Cause::TemporaryFailure)), "one at a time");
    world.from_sip.clear();
    world.ended(second, Cause::NormalClearing);
    world.pass(seconds(41));
    assert_eq!(world.hung_up.last(), Some(&(unconfirmed, Cause::RecoveryOnTimerExpiry)));
    let gone = world.come_for("8001", alice, Always, Some(sdp("theirs")));
    world.ended(gone, Cause::NormalUnspecified);
    world.settle();
    assert_eq!(world.media[&caller].bridged, Some(alice));
    assert_eq!(world.state("alice"), AgentState::Talking);
    // And one that comes to something.
    let device = world.replace("8001", alice, Always);
    assert_eq!(world.media[&caller].bridged, Some(device));
    world.hang_up(caller);
    recorded_whole(world.only(), recording, &[caller, alice, device]);
    assert!(world.sip.is_empty() && world.media.is_empty());
}

#[test]
fn a_newcomer_that_wants_our_offer_answers_it_first() {
    let (mut world, caller, alice, _) = World::talking();
    let device = world.come_for("8001", alice, Always, None);
    while world.step_media() {}
    world.from_sip.clear();
    world.sip.get_mut(&device).unwrap().state = route_api::LegState::Established;
    let confirmed = SignallingEvent::Confirmed { leg: device, description: Some(sdp("phone")) };
    world.from_sip.push_back(confirmed);
    while world.step_sip() {}
    assert_eq!(world.media[&caller].bridged, Some(alice), "media has not taken its answer yet");
    world.settle();
    assert_eq!(world.media[&caller].bridged, Some(device));
    world.hang_up(caller);
    assert!(world.sip.is_empty() && world.media.is_empty());
}

#[test]
fn who_called_goes_on_at_another_device() {
    let mut world = World::new();
    world.ready("bob", "8002");
    let alice = world.call_from_phone("8001", "8002");
    world.pass(seconds(1));
    let bob = world.answer();
    world.pass(seconds(1));
    let device = world.replace("8001", alice, Always);
    assert_eq!(world.media[&device].bridged, Some(bob));
    assert_eq!(world.hung_up, [(alice, Cause::NormalClearing)]);
    assert_eq!(world.state("bob"), AgentState::Talking);
    // Its leg has the call from now on, for every life of route.
    world.hung_up.clear();
    world.restart();
    world.attach(false);
    assert!(world.hung_up.is_empty(), "{:?}", world.hung_up);
    assert_eq!(world.media[&device].bridged, Some(bob));
    world.hang_up(device);
    let record = world.only();
    let legs: Vec<LegId> = record.legs.iter().map(|leg| leg.leg).collect();
    assert_eq!(legs, [alice, bob, device]);
    assert!(world.sip.is_empty() && world.media.is_empty() && world.ended.is_empty());
}

#[test]
fn edges_and_route_that_die_on_the_way_leave_the_call_whole() {
    // The edge dies before it has our answer: it is answered when it is back.
    let (mut world, caller, alice, _) = World::talking();
    let device = world.come_for("8001", alice, Always, Some(sdp("theirs")));
    world.lose(Edge::Signalling);
    while world.step_media() {}
    world.attach_sip();
    world.settle();
    assert_eq!(world.media[&caller].bridged, Some(device));
    world.hang_up(caller);
    // media dies before it has opened: it gets the offer again.
    let (mut world, caller, alice, _) = World::talking();
    let device = world.come_for("8001", alice, Always, Some(sdp("theirs")));
    world.lose(Edge::Media);
    world.attach_media();
    world.settle();
    assert_eq!(world.media[&caller].bridged, Some(device));
    world.hang_up(caller);
    // route dies at every step: the newcomer is let go, or has the place.
    for steps in 0..3 {
        for media_first in [true, false] {
            let (mut world, caller, alice, recording) = World::talking();
            let device = world.come_for("8001", alice, Always, Some(sdp("theirs")));
            for _ in 0..steps {
                let _one_of_them = world.step_media() || world.step_sip();
            }
            let taken = world.media[&caller].bridged == Some(device);
            world.restart();
            world.attach(media_first);
            let with = if taken { device } else { alice };
            assert_eq!(world.media[&caller].bridged, Some(with), "{steps}");
            assert_eq!(world.sip.contains_key(&device), taken);
            assert_eq!(
                (world.state("alice"), world.router.live_calls()[0].stage),
                (AgentState::Talking, Stage::Talking)
            );
            world.hang_up(caller);
            let parties = if taken { vec![caller, alice, device] } else { vec![caller, alice] };
            recorded_whole(world.only(), recording, &parties);
            assert!(world.sip.is_empty() && world.media.is_empty(), "{steps}");
        }
    }
    // Said again to a route that knows it, it is one newcomer.
    let (mut world, _, alice, _) = World::talking();
    let device = world.come_for("8001", alice, Always, Some(sdp("theirs")));
    let again = SignallingEvent::Replacing {
        leg: device,
        at: world.now.monotonic,
        over: route_api::Endpoint::Phone("8001".parse().unwrap()),
        replaces: alice,
        wanted: Always,
        description: Some(sdp("theirs")),
        reference: String::new(),
    };
    world.give(Input::Signalling(again));
    world.settle();
    assert!(!world.sip.contains_key(&alice) && world.sip.contains_key(&device));
}
