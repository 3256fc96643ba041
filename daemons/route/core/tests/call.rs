//! One call from its offer to its record, and every way in which it can end before.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may stop")]

mod support;

use record_api::Consent;
use record_api::DiskHealth;
use report_api::{Disposition, NotRecorded, OfferOutcome, Recorded};
use route_api::{AgentState, Cause, EndedBy, Extent, MediaEvent, MediaRefusal, SignallingEvent, Stage};
use route_core::{Input, NotBegun};
use settings::record::{OnDiskFull, Record, When};
use support::{World, seconds};

#[test]
fn a_caller_hears_the_announcement_waits_talks_and_is_recorded() {
    let mut world = World::new();
    let caller = world.waiting_caller();
    assert_eq!(world.playing(caller).as_deref(), Some("waiting"));
    assert_eq!(world.router.live_calls()[0].stage, Stage::Waiting);
    assert_eq!(world.router.live_calls()[0].from, "138******00");
    world.pass(seconds(7));
    world.ready("alice", "8001");
    assert_eq!(world.state("alice"), AgentState::Offered);
    let phone = *world.dialled.last().unwrap();
    world.give(Input::Signalling(SignallingEvent::Ringing { leg: phone, description: None }));
    world.pass(seconds(3));
    assert_eq!(world.answer(), phone);
    assert_eq!(world.state("alice"), AgentState::Talking);
    assert_eq!(world.media[&caller].bridged, Some(phone));
    let (recording, track) = world.media[&caller].tapped.unwrap();
    assert_eq!((track, world.media[&phone].tapped), (0, Some((recording, 1))));
    world.pass(seconds(60));
    world.hang_up(phone);
    assert_eq!(world.hung_up.last(), Some(&(caller, Cause::NormalClearing)));
    assert_eq!(world.state("alice"), AgentState::WrapUp);
    assert_eq!(world.finished, [recording]);

    let [record] = &world.saved[..] else { panic!("{} call records", world.saved.len()) };
    assert_eq!(
        (record.disposition, record.flow.split_once('@').unwrap().0),
        (Disposition::Answered, "service")
    );
    let Recorded::Yes { recording: kept, consents } = &record.recording else {
        panic!("{:?}", record.recording)
    };
    assert_eq!((*kept, consents.len()), (recording, 2));
    assert!(
        matches!(&consents[0], (leg, Consent::Announced { prompt, .. }) if *leg == caller && prompt.as_str() == "recorded")
    );
    assert_eq!(consents[1], (phone, Consent::Employed {}));
    assert_eq!(record.queued[0].left.since(record.queued[0].entered), seconds(10));
    assert_eq!(record.queued[0].offers[0].outcome, OfferOutcome::Answered);
    assert_eq!(record.queued[0].offers[0].until.since(record.queued[0].offers[0].at), seconds(3));
    let ends: Vec<_> = record.legs.iter().map(|leg| (leg.leg, leg.cause, leg.by)).collect();
    let normal = Cause::NormalClearing;
    assert_eq!(ends, [(caller, normal, EndedBy::House), (phone, normal, EndedBy::Peer)]);
    assert!(record.legs.iter().all(|leg| leg.quality.is_some() && leg.answered.is_some()));
    let made = record.decisions.iter().find(|decision| decision.what == "offer.made").unwrap();
    assert!(made.why.contains("alice (level 8, idle 0 s) of 1 ready"), "{}", made.why);

    world.pass(seconds(5));
    assert_eq!(world.state("alice"), AgentState::Ready);
    assert!(world.router.live_calls().is_empty() && world.sip.is_empty() && world.media.is_empty());
}

#[test]
fn a_number_that_is_not_there_is_unallocated_and_recorded() {
    let mut world = World::new();
    let caller = world.call("12345");
    world.settle();
    assert_eq!(world.hung_up, [(caller, Cause::UnallocatedNumber)]);
    assert_eq!((world.saved.len(), world.saved[0].disposition), (1, Disposition::Refused));
    assert_eq!(world.saved[0].flow, "");
}

#[test]
fn one_call_too_many_finds_no_circuit() {
    let mut world = World::new();
    world.plan.max_calls = 2;
    world.give(Input::Settings(Box::new(world.plan.clone())));
    let legs: Vec<_> = (0..3).map(|_| world.call("95555")).collect();
    world.settle();
    assert_eq!(world.hung_up, [(legs[2], Cause::NoCircuitAvailable)]);
    world.hang_up(legs[0]);
    world.call("95555");
    assert_eq!(world.hung_up.len(), 1);
}

#[test]
fn a_description_that_media_cannot_meet_is_cause_65() {
    let mut world = World::new();
    let caller = world.call("95555");
    world.from_media.clear();
    let refused =
        MediaEvent::Refused { leg: caller, reason: MediaRefusal::NotAcceptable, detail: "G.729".into() };
    world.give(Input::Media(refused));
    world.settle();
    assert_eq!(world.hung_up, [(caller, Cause::BearerCapabilityNotImplemented)]);
    assert_eq!(world.saved[0].disposition, Disposition::Failed);
}

#[test]
fn who_hangs_up_before_the_queue_ended_in_the_flow() {
    let mut world = World::new();
    let caller = world.call("95555");
    world.settle();
    world.hang_up(caller);
    assert_eq!(world.saved[0].disposition, Disposition::EndedInFlow);
    assert_eq!(world.saved[0].recording, Recorded::No { reason: NotRecorded::NoConversation });
}

/// The proof of consent guards the recording: mutant route-record-without-consent.
#[test]
fn who_has_not_heard_the_whole_announcement_is_not_recorded() {
    let mut world = World::new();
    let caller = world.call("95555");
    world.settle();
    world.prompt_ends(caller, Extent::Whole);
    world.settle();
    world.prompt_ends(caller, Extent::Part);
    world.settle();
    world.ready("alice", "8001");
    let phone = world.answer();
    assert!(world.media[&caller].tapped.is_none() && world.media[&phone].tapped.is_none());
    world.hang_up(caller);
    assert_eq!(world.saved[0].recording, Recorded::No { reason: NotRecorded::NoConsent });
    assert_eq!(world.saved[0].disposition, Disposition::Answered);
}

#[test]
fn an_announcement_that_cannot_be_played_is_no_consent() {
    let mut world = World::new();
    let caller = world.call("95555");
    world.settle();
    for play in 1..=2 {
        let event = MediaEvent::NotPlayed {
            leg: caller,
            play,
            prompt: "recorded".parse().unwrap(),
            detail: "no such file".into(),
        };
        world.give(Input::Media(event));
    }
    world.ready("alice", "8001");
    let phone = world.answer();
    assert!(world.begins.is_empty() && world.media[&phone].tapped.is_none());
    assert_eq!(world.media[&caller].bridged, Some(phone));
}

#[test]
fn the_bridge_does_not_wait_for_record() {
    let mut world = World::new();
    let caller = world.waiting_caller();
    world.router.sign_in(world.now, &support::agent("alice"), Some("8001".parse().unwrap())).unwrap();
    world.set("alice", AgentState::Ready);
    while world.step_sip() || world.step_media() {}
    let phone = *world.dialled.last().unwrap();
    world.give(Input::Signalling(SignallingEvent::Answered {
        leg: phone,
        description: Some(support::sdp("phone")),
    }));
    while world.step_media() {}
    assert_eq!(world.media[&caller].bridged, Some(phone));
    assert!(world.media[&caller].tapped.is_none());
    world.step_record();
    assert!(world.media[&caller].tapped.is_some() && world.media[&phone].tapped.is_none());
    world.step_record();
    assert!(world.media[&phone].tapped.is_some());
}

#[test]
fn why_there_is_no_recording_stands_in_the_call_record() {
    for (when, reason) in [(When::Never, NotRecorded::ByRule), (When::Announced, NotRecorded::Failed)] {
        let mut world = World::new();
        world.give(Input::Rule(Box::new(Record { when, ..Record::default() })));
        let caller = world.waiting_caller();
        world.router.sign_in(world.now, &support::agent("alice"), Some("8001".parse().unwrap())).unwrap();
        world.set("alice", AgentState::Ready);
        assert_eq!(world.begins.is_empty(), when == When::Never);
        if let Some(begin) = world.begins.pop_front() {
            world.give(Input::NotBegun(begin.recording, NotBegun::DiskFull));
        }
        world.settle();
        world.answer();
        world.hang_up(caller);
        assert_eq!(world.saved[0].recording, Recorded::No { reason });
        assert!(world.finished.is_empty());
    }
}

#[test]
fn a_house_that_wants_no_unrecorded_call_ends_it_and_takes_none_while_the_disk_is_full() {
    let mut world = World::new();
    world.give(Input::Rule(Box::new(Record { on_disk_full: OnDiskFull::EndCalls, ..Record::default() })));
    let caller = world.waiting_caller();
    world.router.sign_in(world.now, &support::agent("alice"), Some("8001".parse().unwrap())).unwrap();
    world.set("alice", AgentState::Ready);
    let begin = world.begins.pop_front().unwrap();
    world.give(Input::NotBegun(begin.recording, NotBegun::DiskFull));
    world.settle();
    assert!(world.hung_up.contains(&(caller, Cause::TemporaryFailure)));
    assert_eq!((world.saved[0].disposition, world.state("alice")), (Disposition::Failed, AgentState::Ready));
    let next = world.call("95555");
    assert_eq!(world.hung_up.last(), Some(&(next, Cause::NoCircuitAvailable)));
    world.pass(seconds(10));
    let later = world.call("95555");
    assert!(world.sip.contains_key(&later));
}

/// Mutant route-talks-unrecorded.
#[test]
fn a_disk_that_stalls_ends_the_calls_where_the_settings_want_none_unrecorded() {
    for on_disk_full in [OnDiskFull::Continue, OnDiskFull::EndCalls] {
        let mut world = World::new();
        world.give(Input::Rule(Box::new(Record { on_disk_full, ..Record::default() })));
        let caller = world.waiting_caller();
        world.router.sign_in(world.now, &support::agent("alice"), Some("8001".parse().unwrap())).unwrap();
        world.set("alice", AgentState::Ready);
        world.settle();
        world.answer();
        world.settle();
        world.give(Input::Disk(DiskHealth::Full));
        world.settle();
        assert!(world.hung_up.is_empty(), "there is room for what goes on");
        world.give(Input::Disk(DiskHealth::Stalled));
        world.settle();
        let ended = world.hung_up.contains(&(caller, Cause::TemporaryFailure));
        assert_eq!(ended, on_disk_full == OnDiskFull::EndCalls, "{on_disk_full:?}");
        let refused = world.call("95555");
        let taken = !world.hung_up.contains(&(refused, Cause::NoCircuitAvailable));
        assert_eq!(taken, on_disk_full == OnDiskFull::Continue);
        world.give(Input::Disk(DiskHealth::Good));
        let later = world.call("95555");
        assert!(!world.hung_up.contains(&(later, Cause::NoCircuitAvailable)), "it is well again");
        if on_disk_full == OnDiskFull::Continue {
            world.hang_up(caller);
        }
        let record = &world.saved[0];
        assert_eq!(record.disposition, Disposition::Answered);
        assert!(record.decisions.iter().any(|decision| decision.what == "recording.stalled"));
    }
}

#[test]
fn a_re_invite_is_answered_by_media_or_refused_and_the_call_goes_on() {
    let mut world = World::new();
    let caller = world.waiting_caller();
    world.give(Input::Signalling(SignallingEvent::Changing {
        leg: caller,
        description: support::sdp("hold"),
    }));
    world.settle();
    let changes = |world: &World| world.commands.iter().filter(|command| *command == "Change").count();
    assert_eq!(changes(&world), 1);
    world.give(Input::Signalling(SignallingEvent::Changing {
        leg: caller,
        description: support::sdp("video"),
    }));
    world.from_media.clear();
    let refused =
        MediaEvent::Refused { leg: caller, reason: MediaRefusal::NotAcceptable, detail: String::new() };
    world.give(Input::Media(refused));
    assert_eq!(changes(&world), 2);
    assert_eq!(world.router.live_calls()[0].stage, Stage::Waiting);
}

#[test]
fn an_end_that_never_comes_does_not_keep_the_call_record_back() {
    let mut world = World::new();
    let caller = world.waiting_caller();
    world.ready("alice", "8001");
    let phone = world.answer();
    world.ended(caller, Cause::NormalClearing);
    world.step_sip();
    world.from_sip.clear();
    world.settle();
    assert!(world.saved.is_empty());
    world.pass(seconds(41));
    let [record] = &world.saved[..] else { panic!("{} call records", world.saved.len()) };
    let leg = record.legs.iter().find(|leg| leg.leg == phone).unwrap();
    assert_eq!((leg.cause, leg.by), (Cause::NormalClearing, EndedBy::Failure));
}
