//! Callers who are handed on, calls from phones, and what becomes of them when it comes to nothing.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may stop")]

mod support;

use report_api::{Disposition, Recorded};
use route_api::{
    AgentState, Cause, Endpoint, MediaEvent, Reachability, SignallingEvent, Stage, TransferProgress,
};
use route_core::Input;
use std::time::Duration;
use support::{World, decided, recorded_whole, seconds};
use types::LegId;

use TransferProgress::{Accepted, Done, Ringing};

fn ring(world: &mut World) -> LegId {
    let leg = *world.dialled.last().unwrap();
    world.from_sip.push_back(SignallingEvent::Ringing { leg, description: None });
    world.settle();
    leg
}

fn failed(cause: Cause) -> TransferProgress {
    TransferProgress::Failed { cause }
}

fn progress(world: &mut World, leg: LegId) -> Vec<TransferProgress> {
    let told = std::mem::take(&mut world.told);
    told.into_iter().filter(|(to, _)| *to == leg).map(|(_, progress)| progress).collect()
}

#[test]
fn a_blind_transfer_joins_the_caller_with_another_phone_in_one_recording() {
    let (mut world, caller, alice, recording) = World::talking();
    world.transfer(alice, "8002", None);
    assert_eq!(world.router.live_calls()[0].stage, Stage::Reaching);
    assert_eq!(world.playing(caller).as_deref(), Some("waiting"), "music meanwhile");
    assert_eq!(world.media[&caller].tapped, Some((recording, 0)), "and the recording goes on");
    let bob = ring(&mut world);
    assert_eq!(world.state("bob"), AgentState::Offered);
    assert_eq!(world.answer(), bob);
    assert_eq!(progress(&mut world, alice), [Accepted, Ringing, Done]);
    assert_eq!(world.hung_up, [(alice, Cause::NormalClearing)]);
    assert_eq!((world.state("alice"), world.state("bob")), (AgentState::WrapUp, AgentState::Talking));
    assert_eq!(world.media[&caller].bridged, Some(bob));
    assert_eq!(world.media[&bob].tapped, Some((recording, 2)), "a track of its own");
    assert!(world.finished.is_empty());
    world.hang_up(caller);
    assert_eq!(world.state("bob"), AgentState::Aux("tea".to_owned()), "as before");
    let record = world.only();
    recorded_whole(record, recording, &[caller, alice, bob]);
    assert_eq!((record.legs.len(), record.disposition), (3, Disposition::Answered));
    assert_eq!(decided(record, "transfer."), ["transfer.asked", "transfer.done"]);
    assert_eq!(world.finished, [recording]);
    assert!(world.sip.is_empty() && world.media.is_empty());
}

/// Guarded by the mutant `route-transfer-loses-caller`.
#[test]
fn a_transfer_that_fails_brings_the_caller_back() {
    for (cause, ringing) in [(Cause::UserBusy, false), (Cause::NoAnswer, true)] {
        let (mut world, caller, alice, recording) = World::talking();
        world.transfer(alice, "8002", None);
        let bob = *world.dialled.last().unwrap();
        if ringing {
            ring(&mut world);
            world.pass(seconds(45));
        } else {
            world.ended(bob, cause);
            world.settle();
        }
        assert_eq!(progress(&mut world, alice).last(), Some(&failed(cause)));
        assert_eq!(world.media[&caller].bridged, Some(alice));
        assert_eq!(world.playing(caller), None);
        assert_eq!(world.state("bob"), AgentState::Aux("tea".to_owned()));
        assert_eq!(
            (world.state("alice"), world.router.live_calls()[0].stage),
            (AgentState::Talking, Stage::Talking)
        );
        assert!(!world.sip.contains_key(&bob) && !world.media.contains_key(&bob));
        // And another attempt may be made.
        world.transfer(alice, "8009", None);
        world.answer();
        assert_eq!(progress(&mut world, alice), [Accepted, Done]);
        world.hang_up(caller);
        recorded_whole(world.only(), recording, &[caller, alice, *world.dialled.last().unwrap()]);
        assert_eq!(
            decided(world.only(), "transfer."),
            ["transfer.asked", "transfer.failed", "transfer.asked", "transfer.done"]
        );
    }
}

/// Some phones hang up as they are told of the failure, and their user has wanted none of it. Guarded by the mutant
/// `route-reflex-loses-caller`.
#[test]
fn a_phone_that_hangs_up_as_its_transfer_fails_does_not_lose_the_caller() {
    for (after, waits) in [(5, true), (800, false)] {
        let (mut world, caller, alice, recording) = World::talking();
        world.transfer(alice, "8002", None);
        world.ended(*world.dialled.last().unwrap(), Cause::UserBusy);
        world.settle();
        assert_eq!(world.media[&caller].bridged, Some(alice));
        world.pass(Duration::from_millis(after));
        world.hang_up(alice);
        assert_eq!(world.sip.contains_key(&caller), waits, "{after} ms later");
        if waits {
            assert_eq!(world.router.live_calls()[0].stage, Stage::Waiting);
            assert_eq!(world.state("alice"), AgentState::WrapUp);
            assert_eq!(world.media[&caller].tapped, Some((recording, 0)), "the recording goes on");
            world.set("bob", AgentState::Ready);
            world.settle();
            let bob = world.answer();
            assert_eq!(world.media[&caller].bridged, Some(bob));
            world.hang_up(bob);
        }
        assert!(world.sip.is_empty() && world.media.is_empty());
        assert_eq!(world.saved.len(), 1);
    }
}

/// Guarded by the mutant `route-transfer-loses-caller`.
#[test]
fn a_caller_whose_agent_left_during_the_transfer_waits_again() {
    let (mut world, caller, alice, recording) = World::talking();
    world.transfer(alice, "8009", None);
    ring(&mut world);
    world.hang_up(alice);
    assert_eq!(world.state("alice"), AgentState::WrapUp);
    world.set("alice", AgentState::Aux("tea".to_owned()));
    assert_eq!(world.router.live_calls()[0].stage, Stage::Reaching, "it rings on");
    world.pass(seconds(46));
    assert_eq!(world.router.live_calls()[0].stage, Stage::Waiting);
    assert_eq!(world.router.queues()[0].waiting.len(), 1);
    assert_eq!(world.media[&caller].tapped, Some((recording, 0)), "the recording goes on");
    world.set("bob", AgentState::Ready);
    world.settle();
    let bob = world.answer();
    assert_eq!(world.media[&caller].bridged, Some(bob));
    world.hang_up(caller);
    let record = world.only();
    recorded_whole(record, recording, &[caller, alice, bob]);
    assert_eq!((record.legs.len(), record.queued.len()), (4, 2));
}

#[test]
fn a_caller_is_sent_to_a_queue_or_a_flow() {
    for (to, stage) in [("service", Stage::Waiting), ("95555", Stage::Announcing)] {
        let (mut world, caller, alice, recording) = World::talking();
        world.transfer(alice, to, None);
        assert_eq!(progress(&mut world, alice), [Done]);
        assert_eq!(world.router.live_calls()[0].stage, stage, "{to}");
        assert_eq!(world.state("alice"), AgentState::WrapUp);
        assert!(!world.sip.contains_key(&alice) && world.sip.contains_key(&caller));
        assert_eq!(world.media[&caller].tapped, Some((recording, 0)));
        world.hang_up(caller);
        assert_eq!(world.only().legs.len(), 2);
    }
}

/// Guarded by the mutant `route-anywhere-outside`.
#[test]
fn a_number_outside_is_called_where_the_settings_allow_it() {
    let (mut world, caller, alice, recording) = World::talking();
    world.transfer(alice, "13900139000", None);
    assert_eq!(progress(&mut world, alice), [failed(Cause::UnallocatedNumber)]);
    assert_eq!(world.media[&caller].bridged, Some(alice), "nothing has changed");
    world.transfer(alice, "01088886666", None);
    let outside = world.answer();
    assert_eq!(progress(&mut world, alice), [Accepted, Done]);
    world.hang_up(outside);
    let record = world.only();
    assert_eq!(record.legs[2].over, Endpoint::Trunk("carrier".parse().unwrap()));
    recorded_whole(record, recording, &[caller, alice, outside]);
}

#[test]
fn only_a_phone_that_talks_hands_a_caller_on() {
    let (mut world, caller, alice, _) = World::talking();
    for (who, to, cause) in [
        (caller, "8002", Cause::CallRejected),
        (alice, "8001", Cause::UserBusy),
        (alice, "no-one", Cause::UnallocatedNumber),
        (alice, "", Cause::UnallocatedNumber),
    ] {
        world.transfer(who, to, None);
        assert_eq!(progress(&mut world, who), [failed(cause)], "{to}");
    }
    let lost = Endpoint::Phone("8009".parse().unwrap());
    let lost = SignallingEvent::Reachable { endpoint: lost, reachable: Reachability::Unreachable };
    world.give(Input::Signalling(lost));
    world.transfer(alice, "8009", None);
    assert_eq!(progress(&mut world, alice), [failed(Cause::DestinationOutOfOrder)]);
    assert_eq!(world.router.live_calls()[0].stage, Stage::Talking);
}

#[test]
fn a_caller_who_gives_up_ends_it_all() {
    let (mut world, caller, _, recording) = World::talking();
    let alice = world.media[&caller].bridged.unwrap();
    world.transfer(alice, "8002", None);
    ring(&mut world);
    world.hang_up(caller);
    assert!(world.sip.is_empty() && world.media.is_empty());
    assert_eq!(world.state("bob"), AgentState::Aux("tea".to_owned()));
    assert_eq!(world.state("alice"), AgentState::WrapUp);
    assert_eq!(
        (world.only().disposition, world.finished.as_slice()),
        (Disposition::Answered, &[recording][..])
    );
}

#[test]
fn phones_call_each_other_and_are_answered_when_the_other_is() {
    let mut world = World::new();
    let alice = world.call_from_phone("8001", "8002");
    assert!(!world.sip[&alice].answered_by_us);
    let bob = ring(&mut world);
    assert!(world.commands.contains(&"Ring".to_owned()) && !world.sip[&alice].answered_by_us);
    assert_eq!(world.answer(), bob);
    assert!(world.sip[&alice].answered_by_us);
    assert_eq!(world.media[&alice].bridged, Some(bob));
    world.hang_up(bob);
    let record = world.only();
    assert_eq!((record.disposition, record.legs.len()), (Disposition::Answered, 2));
    assert!(record.legs.iter().all(|leg| leg.answered.is_some()));
    assert!(matches!(record.recording, Recorded::No { .. }), "colleagues are not recorded");
    // What comes to nothing reaches who dialled, with its cause.
    let alice = world.call_from_phone("8001", "8002");
    world.ended(*world.dialled.last().unwrap(), Cause::UserBusy);
    world.settle();
    assert_eq!(world.hung_up.last(), Some(&(alice, Cause::UserBusy)));
    let alice = world.call_from_phone("8001", "4711");
    assert_eq!(world.hung_up.last(), Some(&(alice, Cause::UnallocatedNumber)));
    assert!(world.router.live_calls().is_empty() && world.media.is_empty());
}

/// Guarded by the mutant `route-transfers-any-leg`.
#[test]
fn an_attended_transfer_joins_the_caller_with_whom_was_consulted() {
    let (mut world, caller, alice, recording) = World::talking();
    let consulting = world.call_from_phone("8001", "8002");
    let bob = world.answer();
    assert_eq!(world.media[&consulting].bridged, Some(bob));
    // A phone cannot give away what another one has.
    let stranger = world.call_from_phone("8009", "01012345678");
    world.answer();
    world.transfer(alice, "8002", Some(stranger));
    assert_eq!(progress(&mut world, alice), [failed(Cause::CallRejected)]);
    world.transfer(alice, "8002", Some(consulting));
    assert_eq!(progress(&mut world, alice), [Done]);
    assert_eq!(world.media[&caller].bridged, Some(bob));
    assert_eq!(world.media[&bob].tapped, Some((recording, 2)));
    assert!(!world.sip.contains_key(&alice) && !world.sip.contains_key(&consulting));
    assert_eq!((world.state("alice"), world.state("bob")), (AgentState::WrapUp, AgentState::Talking));
    world.hang_up(stranger);
    world.hang_up(caller);
    assert!(world.sip.is_empty() && world.media.is_empty() && world.ended.is_empty());
    let of = |leg: LegId| world.saved.iter().find(|record| record.legs[0].leg == leg).unwrap();
    recorded_whole(of(caller), recording, &[caller, alice, bob]);
    assert_eq!(of(consulting).legs.len(), 1);
    assert!(of(consulting).decisions.iter().any(|decision| decision.what == "call.handed-over"));
    assert_eq!(world.saved.len(), 3);
}

#[test]
fn who_is_consulted_may_still_ring_when_the_caller_is_handed_over() {
    let (mut world, caller, alice, recording) = World::talking();
    let consulting = world.call_from_phone("8001", "8002");
    let bob = ring(&mut world);
    world.transfer(alice, "8002", Some(consulting));
    assert_eq!(progress(&mut world, alice), [Accepted, Ringing]);
    assert!(!world.sip.contains_key(&consulting));
    assert_eq!(world.answer(), bob);
    assert_eq!((progress(&mut world, alice), world.media[&caller].bridged), (vec![Done], Some(bob)));
    world.hang_up(bob);
    let record = world.saved.iter().find(|record| record.legs[0].leg == caller).unwrap();
    recorded_whole(record, recording, &[caller, alice, bob]);
    assert_eq!(world.state("bob"), AgentState::Aux("tea".to_owned()));
}

#[test]
fn route_begins_anew_in_the_middle_of_a_transfer() {
    for media_first in [true, false] {
        for rings in [false, true] {
            let (mut world, caller, alice, recording) = World::talking();
            world.transfer(alice, "8002", None);
            if rings {
                ring(&mut world);
            }
            world.hung_up.clear();
            world.restart();
            world.attach(media_first);
            assert!(world.hung_up.is_empty(), "{:?}", world.hung_up);
            assert_eq!(
                (world.state("alice"), world.state("bob")),
                (AgentState::Talking, AgentState::Offered)
            );
            assert_eq!(world.playing(caller).as_deref(), Some("waiting"));
            let bob = world.answer();
            assert_eq!(progress(&mut world, alice).last(), Some(&Done));
            assert_eq!(world.media[&caller].bridged, Some(bob));
            assert_eq!(world.media[&bob].tapped, Some((recording, 2)));
            world.hang_up(caller);
            recorded_whole(world.only(), recording, &[caller, alice, bob]);
            assert!(world.sip.is_empty() && world.media.is_empty());
        }
    }
}

#[test]
fn route_begins_anew_between_the_two_halves_of_an_attended_transfer() {
    // The memos as they lie when only the first was written: bob's leg says that it is the caller's.
    let (mut world, caller, alice, _) = World::talking();
    let consulting = world.call_from_phone("8001", "8002");
    let bob = world.answer();
    let memo = world.sip[&alice].memo.clone();
    world.sip.get_mut(&bob).unwrap().memo = memo;
    world.restart();
    world.attach_sip();
    world.attach_media();
    world.settle();
    assert_eq!(world.media[&caller].bridged, Some(alice), "the caller talks on");
    assert!(!world.sip.contains_key(&bob) && !world.sip.contains_key(&consulting));
    world.hang_up(caller);
    assert_eq!(world.saved.len(), 2);
    assert!(world.sip.is_empty() && world.media.is_empty());
}

/// Guarded by the mutant `route-held-in-silence`.
#[test]
fn a_caller_on_hold_hears_music_and_is_recorded_on() {
    let (mut world, caller, alice, recording) = World::talking();
    world.from_media.push_back(MediaEvent::Held { leg: alice });
    world.settle();
    assert_eq!(world.playing(caller).as_deref(), Some("waiting"));
    assert_eq!(world.media[&caller].tapped, Some((recording, 0)));
    // A transfer that fails leaves the caller where it was: on hold.
    world.transfer(alice, "8002", None);
    world.ended(*world.dialled.last().unwrap(), Cause::UserBusy);
    world.settle();
    assert_eq!(world.media[&caller].bridged, Some(alice));
    assert_eq!(world.playing(caller).as_deref(), Some("waiting"));
    world.restart();
    world.attach_sip();
    world.attach_media();
    world.settle();
    assert_eq!(world.playing(caller).as_deref(), Some("waiting"));
    world.from_media.push_back(MediaEvent::Resumed { leg: alice });
    world.settle();
    assert_eq!((world.playing(caller), world.media[&caller].bridged), (None, Some(alice)));
    // What the caller itself holds is none of this.
    world.from_media.push_back(MediaEvent::Held { leg: caller });
    world.settle();
    assert_eq!(world.playing(caller), None);
    world.hang_up(caller);
    let record = world.only();
    recorded_whole(record, recording, &[caller, alice]);
    let held = record
        .decisions
        .iter()
        .filter(|decision| decision.what.starts_with("call."))
        .map(|d| d.what.as_str());
    assert!(held.collect::<Vec<_>>().windows(2).any(|pair| pair == ["call.held", "call.restored"]));
}

#[test]
fn a_transfer_that_is_asked_again_is_one_transfer() {
    let (mut world, caller, alice, _) = World::talking();
    world.transfer(alice, "8002", None);
    world.transfer(alice, "8002", None);
    assert_eq!(progress(&mut world, alice), [Accepted, Accepted]);
    let bob = world.answer();
    assert_eq!(world.media[&caller].bridged, Some(bob));
    world.hang_up(caller);
    assert_eq!(world.only().legs.len(), 3);
}

/// A phone says again what a route that died has not answered: as soon as sip is back, which is before media.
/// Guarded by the mutants `route-transfer-needs-media` and `route-parted-before-media`.
#[test]
fn a_transfer_that_is_asked_before_media_is_back_waits_for_it() {
    let (mut world, caller, alice, recording) = World::talking();
    world.restart();
    world.attach_sip();
    world.transfer(alice, "8002", None);
    assert_eq!(progress(&mut world, alice), [Accepted]);
    let dialled = world.dialled.len();
    world.attach_media();
    world.settle();
    assert_eq!(world.dialled.len(), dialled + 1);
    assert_eq!((world.media[&caller].bridged, world.playing(caller).as_deref()), (None, Some("waiting")));
    let bob = world.answer();
    assert_eq!(progress(&mut world, alice), [Done]);
    assert_eq!(world.media[&caller].bridged, Some(bob));
    world.hang_up(caller);
    recorded_whole(world.only(), recording, &[caller, alice, bob]);
    assert_eq!(decided(world.only(), "transfer."), ["transfer.asked", "transfer.done"]);
}

#[test]
fn a_caller_is_back_where_media_stays_away() {
    let (mut world, caller, alice, _) = World::talking();
    world.restart();
    world.attach_sip();
    world.transfer(alice, "8002", None);
    world.pass(seconds(6));
    assert_eq!(progress(&mut world, alice), [Accepted, failed(Cause::TemporaryFailure)]);
    world.attach_media();
    world.settle();
    assert_eq!(world.media[&caller].bridged, Some(alice));
    assert_eq!(world.state("bob"), AgentState::Aux("tea".to_owned()));
    world.hang_up(caller);
    assert_eq!(decided(world.only(), "transfer."), ["transfer.asked", "transfer.failed"]);
}

/// A long history: what was decided goes from the memo first. Guarded by the mutant `route-memo-forgets-talks`.
#[test]
fn everybody_who_talked_is_in_the_record_of_a_call_that_was_handed_on_often() {
    let (mut world, caller, alice, _) = World::talking();
    let mut talked = vec![alice];
    for n in 0..9 {
        let with = *talked.last().unwrap();
        for _ in 0..10 {
            world.transfer(with, "4711", None);
        }
        world.transfer(with, if n % 2 == 0 { "8002" } else { "8001" }, None);
        talked.push(world.answer());
    }
    world.restart();
    world.attach_sip();
    world.attach_media();
    world.settle();
    world.hang_up(caller);
    let record = world.only();
    let legs: Vec<LegId> = record.legs.iter().map(|leg| leg.leg).collect();
    assert_eq!(legs, [&[caller][..], &talked].concat());
    assert!(record.legs.iter().all(|leg| leg.answered.is_some()));
    assert_eq!(record.decisions[0].what, "decisions.lost");
}
