//! Edges that break off and come back, and route itself killed in the middle of calls.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may stop")]

mod support;

use record_api::RecordingState;
use report_api::{Disposition, NotRecorded, Recorded};
use route_api::{AgentState, Cause, EndedBy, Endpoint, MediaEvent, MediaRefusal, SignallingEvent, Stage};
use route_core::{Edge, Input};
use std::time::Duration;
use support::{World, agent, seconds};
use types::Pii;

#[test]
fn calls_in_progress_go_on_talking_when_route_begins_anew() {
    for media_first in [true, false] {
        let mut world = World::new();
        let caller = world.waiting_caller();
        world.ready("alice", "8001");
        let phone = world.answer();
        let recording = world.media[&caller].tapped.unwrap().0;
        world.hung_up.clear();
        world.restart();
        world.attach(media_first);
        assert!(world.hung_up.is_empty(), "{:?}", world.hung_up);
        let call = &world.router.live_calls()[0];
        assert_eq!((call.stage, call.recording), (Stage::Talking, Some(recording)));
        assert_eq!(world.state("alice"), AgentState::Talking);
        assert_eq!(world.entry("alice").phone, Some("8001".parse().unwrap()));
        world.hang_up(caller);
        assert!(world.sip.is_empty() && world.media.is_empty(), "{phone} is left");
        let [record] = &world.saved[..] else { panic!("{} call records", world.saved.len()) };
        assert!(matches!(&record.recording, Recorded::Yes { recording: kept, .. } if *kept == recording));
        assert_eq!((record.legs.len(), record.disposition), (2, Disposition::Answered));
        assert_eq!(world.finished, [recording]);
        assert_eq!(world.state("alice"), AgentState::WrapUp);
    }
}

#[test]
fn waiting_callers_keep_their_order_and_ready_agents_stay_ready() {
    let mut world = World::new();
    let callers: Vec<_> = (0..5)
        .map(|_| {
            world.pass(seconds(1));
            world.waiting_caller()
        })
        .collect();
    let before = world.router.queues()[0].waiting.clone();
    world.restart();
    world.attach(true);
    assert_eq!(world.router.queues()[0].waiting, before);
    world.ready("bob", "8002");
    world.restart();
    world.attach(false);
    assert_eq!(world.state("bob"), AgentState::Offered);
    let phone = world.answer();
    assert_eq!(world.media[&phone].bridged, Some(callers[0]));
}

#[test]
fn a_phone_that_rings_goes_on_ringing() {
    let mut world = World::new();
    let caller = world.waiting_caller();
    world.ready("alice", "8001");
    let phone = *world.dialled.last().unwrap();
    world.restart();
    world.attach(false);
    assert_eq!(world.state("alice"), AgentState::Offered);
    assert_eq!(world.answer(), phone);
    assert_eq!(world.media[&caller].bridged, Some(phone));
}

#[test]
fn an_edge_that_comes_back_without_a_leg_ends_its_call() {
    let mut world = World::new();
    let caller = world.waiting_caller();
    world.ready("alice", "8001");
    let phone = world.answer();
    world.lose(Edge::Signalling);
    world.sip.remove(&caller);
    world.attach_sip();
    world.settle();
    assert!(world.hung_up.contains(&(phone, Cause::NormalClearing)));
    assert_eq!((world.saved.len(), world.state("alice")), (1, AgentState::WrapUp));
}

#[test]
fn media_that_lost_a_bridge_sets_it_again() {
    let mut world = World::new();
    let caller = world.waiting_caller();
    world.ready("alice", "8001");
    let phone = world.answer();
    world.lose(Edge::Media);
    for side in world.media.values_mut() {
        (side.bridged, side.tapped) = (None, None);
    }
    world.attach_media();
    assert_eq!(world.media[&caller].bridged, Some(phone));
    assert!(world.media[&caller].tapped.is_some() && world.media[&phone].tapped.is_some());
}

/// Guarded by the mutant `route-answer-said-once`.
#[test]
fn media_that_died_before_it_kept_an_answer_is_told_it_again() {
    let mut world = World::new();
    world.waiting_caller();
    world.ready("alice", "8001");
    let phone = world.answer();
    let accepts = |world: &World| world.commands.iter().filter(|command| *command == "Accept").count();
    assert_eq!(accepts(&world), 1);
    world.lose(Edge::Media);
    world.attach_media();
    world.settle();
    assert_eq!((accepts(&world), world.state("alice")), (2, AgentState::Talking));
    // A later offer takes its place.
    let description = support::sdp("another offer");
    world.give(Input::Signalling(SignallingEvent::Changing { leg: phone, description }));
    world.settle();
    world.lose(Edge::Media);
    world.attach_media();
    assert_eq!(accepts(&world), 2);
}

#[test]
fn an_announcement_that_broke_off_is_played_again() {
    let mut world = World::new();
    let caller = world.call("95555");
    world.settle();
    world.prompt_ends(caller, route_api::Extent::Whole);
    world.settle();
    assert_eq!(world.playing(caller).as_deref(), Some("recorded"));
    world.lose(Edge::Media);
    world.media.get_mut(&caller).unwrap().playing = None;
    world.attach_media();
    assert_eq!(world.playing(caller).as_deref(), Some("recorded"));
}

#[test]
fn an_edge_that_stays_away_ends_its_calls() {
    for edge in [Edge::Signalling, Edge::Media] {
        let mut world = World::new();
        world.waiting_caller();
        world.lose(edge);
        world.pass(seconds(14));
        assert!(world.saved.is_empty());
        world.pass(seconds(1));
        world.pass(seconds(60));
        let [record] = &world.saved[..] else { panic!("{} call records", world.saved.len()) };
        assert_eq!(record.disposition, Disposition::Failed);
    }
}

#[test]
fn a_call_that_was_recorded_does_not_come_back_by_a_late_memo() {
    let mut world = World::new();
    let caller = world.waiting_caller();
    let memo = world.sip[&caller].memo.clone();
    world.hang_up(caller);
    world.lose(Edge::Signalling);
    let side = support::SipLeg {
        state: route_api::LegState::Established,
        memo,
        dialled_by_us: false,
        answered_by_us: true,
    };
    world.sip.insert(caller, side);
    world.attach_sip();
    world.settle();
    assert_eq!((world.saved.len(), world.sip.len()), (1, 0));
}

/// Mutant route-ended-at-return.
#[test]
fn a_caller_who_hangs_up_while_route_is_dead_has_a_call_record_of_that_time() {
    for (media_first, twice) in [(true, false), (false, true)] {
        let mut world = World::new();
        let caller = world.waiting_caller();
        world.ready("alice", "8001");
        let phone = world.answer();
        let recording = world.media[&caller].tapped.unwrap().0;
        world.restart();
        world.pass(seconds(2));
        let at = world.now.utc;
        world.ended(caller, Cause::NormalClearing);
        world.from_sip.clear();
        world.pass(seconds(3));
        if twice {
            // Killed again before anything came of it.
            world.attach_sip();
            world.restart();
        }
        world.attach(media_first);
        let [record] = &world.saved[..] else { panic!("{} call records", world.saved.len()) };
        assert_eq!((record.legs[0].leg, record.legs[0].ended), (caller, at));
        assert_eq!((record.legs[0].cause, record.legs[0].by), (Cause::NormalClearing, EndedBy::Peer));
        assert_eq!(record.disposition, Disposition::Answered);
        assert!(matches!(&record.recording, Recorded::Yes { recording: kept, .. } if *kept == recording));
        assert!(world.finished.contains(&recording));
        assert!(world.hung_up.contains(&(phone, Cause::NormalClearing)));
        assert!(world.ended.is_empty() && world.sip.is_empty(), "what is kept is forgotten at the edge");
        assert_eq!(world.state("alice"), AgentState::WrapUp);
    }
}

#[test]
fn a_caller_who_gives_up_in_the_queue_while_route_is_dead_waited_until_then() {
    let mut world = World::new();
    let caller = world.waiting_caller();
    world.restart();
    world.pass(seconds(2));
    let at = world.now.utc;
    world.ended(caller, Cause::NormalClearing);
    world.pass(seconds(60));
    world.attach(true);
    let [record] = &world.saved[..] else { panic!("{} call records", world.saved.len()) };
    assert_eq!((record.disposition, record.ended, record.queued[0].left), (Disposition::Abandoned, at, at));
}

/// Mutant route-forgets-before-save.
#[test]
fn call_records_that_report_has_not_kept_outlive_route() {
    let mut world = World::new();
    world.unsaved = Some(Vec::new());
    let caller = world.waiting_caller();
    world.ready("alice", "8001");
    let phone = world.answer();
    world.hang_up(caller);
    let before = world.unsaved.clone().unwrap();
    assert_eq!((before.len(), world.saved.len()), (1, 0));
    assert!(world.ended.contains_key(&caller));
    for _ in 0..2 {
        world.restart();
        world.pass(seconds(100));
        world.attach(true);
    }
    // Said again by the edge alone, without a kill: nothing comes of it.
    world.lose(Edge::Signalling);
    world.attach(true);
    assert!(world.ended.contains_key(&caller));
    world.report_returns();
    let [record] = &world.saved[..] else { panic!("{} call records", world.saved.len()) };
    assert_eq!((record.call, record.ended), (before[0].call, before[0].ended));
    assert_eq!(record.legs.iter().map(|leg| leg.leg).collect::<Vec<_>>(), [caller, phone]);
    assert_eq!(record.legs[1].ended, before[0].legs[1].ended);
    assert!(world.ended.is_empty());
    assert_eq!(world.state("alice"), AgentState::Ready, "the wrap-up was over long ago");
}

#[test]
fn a_call_whose_offer_died_with_route_is_offered_again() {
    let mut world = World::new();
    let (alive, over) = (world.call("95555"), world.call("95555"));
    // The memos were on their way.
    for leg in [alive, over] {
        let offered = world.offered(leg, Endpoint::Trunk("carrier".parse().unwrap()), "95555");
        world.unheard.insert(leg, offered);
        world.sip.get_mut(&leg).unwrap().memo = route_api::Memo::default();
    }
    world.restart();
    world.ended(over, Cause::NormalUnspecified);
    world.attach(true);
    assert_eq!(world.saved.iter().map(|record| record.legs[0].leg).collect::<Vec<_>>(), [over]);
    assert_eq!(world.playing(alive).as_deref(), Some("greeting"));
}

#[test]
fn a_long_history_still_fits_into_a_memo() {
    let mut world = World::new();
    world.plan.queues[0].max_wait = settings::Period::hours(4);
    world.give(route_core::Input::Settings(Box::new(world.plan.clone())));
    let caller = world.waiting_caller();
    for _ in 0..40 {
        world.ready("alice", "8001");
        world.pass(seconds(15));
    }
    assert!(world.sip[&caller].memo.0.len() <= route_core::MEMO_MOST);
    world.restart();
    world.attach(false);
    assert_eq!(world.router.live_calls()[0].stage, Stage::Waiting);
}

/// Guarded by the mutant `route-ladder-forgotten`.
#[test]
fn the_record_has_the_ladder_of_a_leg_that_ended_before_route_was_killed() {
    let mut world = World::new();
    let caller = world.waiting_caller();
    world.ready("alice", "8001");
    let refused = *world.dialled.last().unwrap();
    world.ended(refused, Cause::UserBusy);
    world.settle();
    assert_eq!(world.ended.len(), 1, "the edge keeps it");
    world.restart();
    world.attach(true);
    world.ready("bob", "8002");
    world.answer();
    world.hang_up(caller);
    let [record] = &world.saved[..] else { panic!("{} call records", world.saved.len()) };
    assert_eq!(record.legs.len(), 3);
    for leg in &record.legs {
        let told = leg.ladder.as_ref().map(|ladder| (ladder.steps.clone(), ladder.paths.clone()));
        assert_eq!(told, Some((support::ladder().steps, support::ladder().paths)), "{leg:?}");
    }
    assert!(world.ended.is_empty(), "and lets go of all when the record is kept");
}

#[test]
fn of_many_offers_the_edge_keeps_the_last_ones() {
    let mut world = World::new();
    let caller = world.waiting_caller();
    for _ in 0..40 {
        world.ready("alice", "8001");
        let refused = *world.dialled.last().unwrap();
        world.ended(refused, Cause::UserBusy);
        world.settle();
    }
    assert_eq!(world.ended.len(), 16);
    world.hang_up(caller);
    assert!(world.ended.is_empty());
}

/// Guarded by the mutant `route-late-refusal-unheard`.
#[test]
fn media_that_refuses_a_leg_before_its_call_is_back_is_heard() {
    let mut world = World::new();
    let caller = world.call("95555");
    world.settle();
    world.restart();
    world.attach_media();
    world.media.remove(&caller);
    let reason = MediaRefusal::NotAcceptable;
    world.from_media.push_back(MediaEvent::Refused { leg: caller, reason, detail: String::new() });
    world.settle();
    world.attach_sip();
    world.settle();
    assert!(world.router.live_calls().is_empty(), "{:?}", world.router.live_calls());
    assert_eq!((world.saved.len(), world.sip.len()), (1, 0));
}

#[test]
fn a_call_that_ends_as_media_attaches_opens_nothing_more() {
    let mut world = World::new();
    world.ready("bob", "8002");
    let caller = world.call_from(Endpoint::Phone("8001".parse().unwrap()), "8002");
    world.step_media();
    assert_eq!(world.media.len(), 2, "the other side is being opened");
    assert!(world.media.contains_key(&caller));
    world.lose(Edge::Media);
    world.media.clear();
    world.from_media.clear();
    world.attach_media();
    world.settle();
    assert!(world.media.is_empty() && world.sip.is_empty(), "a port is left open for a call that is over");
    assert!(world.router.live_calls().is_empty(), "{:?}", world.router.live_calls());
}

/// Guarded by the mutant `route-refuses-while-media-is-away`.
#[test]
fn who_calls_while_media_is_away_waits_for_it() {
    let mut world = World::new();
    world.ready("alice", "8001");
    world.lose(Edge::Media);
    let caller = world.call("95555");
    let phone = world.call_from_phone("8002", "8001");
    world.pass(Duration::from_millis(1_900));
    assert!(world.hung_up.is_empty() && world.sip.len() == 2, "both wait");
    world.attach_media();
    world.settle();
    assert_eq!(world.playing(caller).as_deref(), Some("greeting"));
    assert_eq!(world.dialled.len(), 1, "the other phone is called");
    world.pass(Duration::from_secs(4));
    assert!(world.hung_up.is_empty(), "media has had its time anew");
    world.hang_up(caller);
    world.hang_up(phone);
    assert!(world.sip.is_empty() && world.media.is_empty());
}

#[test]
fn who_calls_while_media_stays_away_is_refused_after_two_seconds() {
    let mut world = World::new();
    world.lose(Edge::Media);
    let caller = world.call("95555");
    world.pass(Duration::from_secs(2));
    assert_eq!(world.hung_up, [(caller, Cause::TemporaryFailure)]);
    world.attach_media();
    world.settle();
    let decisions = world.decisions();
    assert!(decisions.contains(&"call.waits media is away".to_owned()), "{decisions:?}");
    assert!(world.media.is_empty(), "nothing is opened for who has gone");
    // Who gives up meanwhile is gone at once.
    world.lose(Edge::Media);
    let other = world.call("95555");
    world.hang_up(other);
    world.attach_media();
    world.settle();
    assert!(world.sip.is_empty() && world.media.is_empty());
}

/// Mutant route-cut-off-forgotten.
#[test]
fn a_loss_of_power_leaves_a_call_record_of_each_call_that_was_recorded() {
    for attached_first in [true, false] {
        let mut world = World::new();
        let caller = world.waiting_caller();
        world.ready("alice", "8001");
        let phone = world.answer();
        let recording = world.media[&caller].tapped.unwrap().0;
        world.pass(seconds(30));
        world.lose_power();
        let left = world.left_behind(recording, RecordingState::Recording);
        if attached_first {
            world.attach(true);
            world.give(left.clone());
        } else {
            world.give(left.clone());
            assert!(world.saved.is_empty(), "the edge may have it yet");
            world.attach(true);
        }
        let [record] = &world.saved[..] else { panic!("{} call records", world.saved.len()) };
        let Recorded::Yes { recording: named, consents } = &record.recording else {
            panic!("{:?}", record.recording)
        };
        assert_eq!((*named, consents.len()), (recording, 2));
        assert_eq!(record.from.number, Pii::new("13800138000".to_owned()));
        assert_eq!(record.disposition, Disposition::Answered);
        assert_eq!(
            (record.legs.len(), record.legs[1].leg, record.legs[1].agent.clone()),
            (2, phone, Some(agent("alice")))
        );
        assert!(record.legs.iter().all(|leg| (leg.ended, leg.by) == (record.ended, EndedBy::Failure)));
        assert_eq!((record.ended, record.queued.len()), (world.now.utc, 1));
        assert_eq!(record.decisions.last().unwrap().what, "call.cut-off");
        assert_eq!(world.finished, [recording], "record may end it, for nobody else will");
        world.give(left);
        assert_eq!((world.saved.len(), world.finished.len()), (1, 1), "told again, nothing more");
    }
}

#[test]
fn what_record_left_of_a_call_that_lives_or_is_over_changes_nothing() {
    let mut world = World::new();
    let caller = world.waiting_caller();
    world.ready("alice", "8001");
    world.answer();
    let recording = world.media[&caller].tapped.unwrap().0;
    let left = world.left_behind(recording, RecordingState::Recording);
    world.give(left.clone());
    world.restart();
    world.give(left.clone());
    world.attach(true);
    assert!(world.saved.is_empty() && world.finished.is_empty());
    assert_eq!(world.router.live_calls().len(), 1);
    world.hang_up(caller);
    world.give(left);
    assert_eq!((world.saved.len(), world.finished.len()), (1, 1));
}

#[test]
fn a_caller_whom_nobody_had_answered_when_the_power_went_is_in_a_call_record() {
    let mut world = World::new();
    world.waiting_caller();
    world.ready("alice", "8001");
    let recording = *world.begun.keys().next().unwrap();
    world.lose_power();
    world.attach(true);
    let left = world.left_behind(recording, RecordingState::Truncated);
    world.give(left);
    let [record] = &world.saved[..] else { panic!("{} call records", world.saved.len()) };
    assert_eq!(record.disposition, Disposition::Failed);
    assert_eq!(record.recording, Recorded::No { reason: NotRecorded::NoConversation });
    assert!(world.finished.is_empty(), "record has ended it already");
}
