//! Waiting, offering and the agents' states.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may stop")]

mod support;

use report_api::{Disposition, OfferOutcome};
use route_api::{AgentState, Cause, Endpoint, Extent, Reachability, SignallingEvent, Stage};
use route_core::{DeskError, Input};
use support::{World, agent, seconds};

/// Commands to both edges for one call from the queue to its end: dial, open, accept, bridge, taps, closings, memos.
const MESSAGES: usize = 21;

fn aux(reason: &str) -> AgentState {
    AgentState::Aux(reason.to_owned())
}

/// RONA: the agent goes to Aux, the caller keeps its place. Mutant route-lose-place-on-rona.
#[test]
fn who_was_not_answered_keeps_the_place() {
    let mut world = World::new();
    let first = world.waiting_caller();
    world.pass(seconds(1));
    let second = world.waiting_caller();
    world.ready("alice", "8001");
    let phone = *world.dialled.last().unwrap();
    world.give(Input::Signalling(SignallingEvent::Ringing { leg: phone, description: None }));
    world.pass(seconds(15));
    assert_eq!(world.state("alice"), aux("rona"));
    assert!(world.hung_up.contains(&(phone, Cause::NoAnswer)));
    let queue = &world.router.queues()[0];
    let calls: Vec<_> = world.router.live_calls().iter().map(|call| call.call).collect();
    assert_eq!(queue.waiting, calls, "the queue is not in the order of arrival");
    world.ready("bob", "8002");
    let bobs = world.answer();
    assert_eq!(world.media[&bobs].bridged, Some(first));
    world.hang_up(first);
    let offers: Vec<_> = world.saved[0].queued[0].offers.iter().map(|offer| offer.outcome).collect();
    assert_eq!(offers, [OfferOutcome::NoAnswer, OfferOutcome::Answered]);
    assert_eq!(world.router.live_calls()[0].legs[0], second);
}

/// Mutants route-stuck-agent and route-no-call-record.
#[test]
fn a_caller_who_gives_up_while_it_rings_leaves_the_agent_as_they_were() {
    let mut world = World::new();
    world.ready("alice", "8001");
    let caller = world.waiting_caller();
    assert_eq!(world.state("alice"), AgentState::Offered);
    let phone = *world.dialled.last().unwrap();
    world.hang_up(caller);
    assert_eq!(world.state("alice"), AgentState::Ready);
    assert!(world.hung_up.contains(&(phone, Cause::NormalClearing)));
    let [record] = &world.saved[..] else { panic!("{} call records", world.saved.len()) };
    assert_eq!(record.disposition, Disposition::Abandoned);
    assert_eq!(record.queued[0].offers[0].outcome, OfferOutcome::Abandoned);
}

#[test]
fn an_answer_that_crosses_the_hang_up_joins_nobody() {
    let mut world = World::new();
    world.ready("alice", "8001");
    let caller = world.waiting_caller();
    let phone = *world.dialled.last().unwrap();
    world.ended(caller, Cause::NormalClearing);
    world.step_sip();
    world.give(Input::Signalling(SignallingEvent::Answered {
        leg: phone,
        description: Some(support::sdp("late")),
    }));
    world.settle();
    assert_eq!(world.state("alice"), AgentState::Ready);
    assert_eq!(world.saved.len(), 1);
    assert!(world.sip.is_empty() && world.media.is_empty());
}

#[test]
fn the_highest_skill_counts_then_the_longest_idle() {
    let mut world = World::new();
    world.ready("bob", "8002");
    world.pass(seconds(100));
    world.ready("alice", "8001");
    let first = world.waiting_caller();
    assert_eq!((world.state("alice"), world.state("bob")), (AgentState::Offered, AgentState::Ready));
    world.waiting_caller();
    assert_eq!(world.state("bob"), AgentState::Offered);
    world.hang_up(first);
    assert_eq!(world.entry("alice").state, AgentState::Ready);
}

#[test]
fn a_phone_that_cannot_be_reached_is_not_rung() {
    let mut world = World::new();
    world.ready("alice", "8001");
    let endpoint = || Endpoint::Phone("8001".parse().unwrap());
    let reachable = |reachable| SignallingEvent::Reachable { endpoint: endpoint(), reachable };
    world.give(Input::Signalling(reachable(Reachability::Unreachable)));
    assert_eq!(world.state("alice"), aux("phone-lost"));
    world.waiting_caller();
    assert_eq!(world.state("alice"), aux("phone-lost"));
    let refused = world.router.set_state(world.now, &agent("alice"), AgentState::Ready).err();
    assert_eq!(refused, Some(DeskError::PhoneLost("8001".parse().unwrap())));
    world.give(Input::Signalling(reachable(Reachability::Reachable)));
    assert_eq!(world.state("alice"), aux("phone-lost"), "who is back says so");
    world.set("alice", AgentState::Ready);
    assert_eq!(world.state("alice"), AgentState::Offered);
}

/// Guarded by the mutant `route-lost-phone-ready`.
#[test]
fn a_phone_that_is_lost_while_it_rings_gives_its_caller_to_the_next() {
    let mut world = World::new();
    world.ready("alice", "8001");
    world.ready("bob", "8002");
    let caller = world.waiting_caller();
    let alices = *world.dialled.last().unwrap();
    let endpoint = Endpoint::Phone("8001".parse().unwrap());
    world.give(Input::Signalling(SignallingEvent::Reachable {
        endpoint,
        reachable: Reachability::Unreachable,
    }));
    world.settle();
    assert_eq!((world.state("alice"), world.state("bob")), (aux("phone-lost"), AgentState::Offered));
    assert!(world.hung_up.contains(&(alices, Cause::DestinationOutOfOrder)));
    let bobs = world.answer();
    assert_eq!(world.media[&bobs].bridged, Some(caller));
    world.hang_up(caller);
    assert!(
        world.decisions().contains(&"offer.failed alice: phone 8001 cannot be reached any more".to_owned())
    );
}

#[test]
fn a_phone_that_gives_no_sign_is_taken_for_lost_within_seconds() {
    let mut world = World::new();
    world.ready("alice", "8001");
    world.waiting_caller();
    world.pass(seconds(6));
    assert_eq!(world.state("alice"), aux("phone-lost"));
    assert_eq!(world.router.live_calls()[0].stage, Stage::Waiting);
}

#[test]
fn a_phone_that_is_lost_in_a_conversation_keeps_its_agent_from_the_next() {
    let mut world = World::new();
    world.ready("alice", "8001");
    let caller = world.waiting_caller();
    world.answer();
    let endpoint = Endpoint::Phone("8001".parse().unwrap());
    world.give(Input::Signalling(SignallingEvent::Reachable {
        endpoint,
        reachable: Reachability::Unreachable,
    }));
    assert_eq!(world.state("alice"), AgentState::Talking);
    world.hang_up(caller);
    assert_eq!(world.state("alice"), aux("phone-lost"));
}

#[test]
fn wrap_up_is_once_ended_early_and_extended() {
    let mut world = World::new();
    world.ready("alice", "8001");
    let talk = |world: &mut World| {
        let caller = world.waiting_caller();
        world.answer();
        caller
    };
    let caller = talk(&mut world);
    world.hang_up(caller);
    assert_eq!(world.state("alice"), AgentState::WrapUp);
    // Ended early.
    world.set("alice", AgentState::Ready);
    assert_eq!(world.state("alice"), AgentState::Ready);
    // Extended: the time of the settings ends nothing.
    let caller = talk(&mut world);
    world.hang_up(caller);
    world.pass(seconds(3));
    let until = world.router.wrap_up(world.now, &agent("alice"), seconds(120)).unwrap().until;
    assert_eq!(until, Some(world.now.utc.plus(seconds(120))));
    world.pass(seconds(119));
    assert_eq!(world.state("alice"), AgentState::WrapUp);
    world.pass(seconds(1));
    assert_eq!(world.state("alice"), AgentState::Ready);
    // Asked for in the conversation.
    let caller = talk(&mut world);
    world.router.wrap_up(world.now, &agent("alice"), seconds(60)).unwrap();
    world.hang_up(caller);
    world.pass(seconds(59));
    assert_eq!(world.state("alice"), AgentState::WrapUp);
    world.pass(seconds(1));
    assert_eq!(world.state("alice"), AgentState::Ready);
    let refused = world.router.wrap_up(world.now, &agent("alice"), seconds(60)).err();
    assert_eq!(refused, Some(DeskError::NothingToWrapUp));
}

#[test]
fn auxiliary_work_has_the_reasons_of_the_settings() {
    let mut world = World::new();
    world.ready("alice", "8001");
    world.plan.aux_reasons = vec!["lunch".parse().unwrap(), "培训".parse().unwrap()];
    world.give(Input::Settings(Box::new(world.plan.clone())));
    let refused = world.router.set_state(world.now, &agent("alice"), aux("tea")).err();
    assert_eq!(refused, Some(DeskError::AuxReason("lunch, 培训".to_owned())));
    world.set("alice", aux("lunch"));
    assert_eq!(world.state("alice"), aux("lunch"));
}

#[test]
fn the_queue_shows_who_waits_since_when_and_who_serves() {
    let mut world = World::new();
    world.waiting_caller();
    let began = world.now.utc;
    world.pass(seconds(9));
    world.waiting_caller();
    world.ready("alice", "8001");
    let queue = world.router.queues().remove(0);
    assert_eq!((queue.waiting.len(), queue.longest), (2, Some(began)));
    assert_eq!((queue.agents.offered, queue.agents.signed_in()), (1, 1));
}

#[test]
fn an_endpoint_that_left_the_settings_is_forgotten() {
    let mut world = World::new();
    let endpoint = Endpoint::Phone("8001".parse().unwrap());
    assert!(world.router.endpoints().iter().any(|(known, _)| *known == endpoint));
    let removed = SignallingEvent::Reachable { endpoint: endpoint.clone(), reachable: Reachability::Removed };
    world.give(Input::Signalling(removed));
    assert!(world.router.endpoints().iter().all(|(known, _)| *known != endpoint));
}

#[test]
fn a_phone_that_refuses_sends_its_agent_to_aux_with_the_reason() {
    for (cause, reason) in [
        (Cause::UserBusy, "busy"),
        (Cause::CallRejected, "refused"),
        (Cause::DestinationOutOfOrder, "phone-failed"),
    ] {
        let mut world = World::new();
        world.ready("alice", "8001");
        world.waiting_caller();
        let phone = *world.dialled.last().unwrap();
        world.ended(phone, cause);
        world.settle();
        assert_eq!(world.state("alice"), aux(reason));
        assert_eq!(world.router.live_calls()[0].stage, Stage::Waiting);
    }
}

#[test]
fn the_longest_wait_ends_with_the_closing_prompt() {
    let mut world = World::new();
    let caller = world.waiting_caller();
    world.pass(seconds(300));
    assert_eq!(world.playing(caller).as_deref(), Some("closing"));
    world.prompt_ends(caller, Extent::Whole);
    world.settle();
    assert_eq!(world.hung_up, [(caller, Cause::NormalClearing)]);
    assert_eq!(world.saved[0].disposition, Disposition::Refused);
    assert_eq!(world.saved[0].queued.len(), 1);
}

#[test]
fn a_full_queue_lets_the_next_caller_go_on() {
    let mut world = World::new();
    world.plan.queues[0].max_waiting = 1;
    world.give(Input::Settings(Box::new(world.plan.clone())));
    world.waiting_caller();
    let second = world.waiting_caller();
    assert_eq!(world.playing(second).as_deref(), Some("closing"));
}

#[test]
fn what_an_agent_asks_for_while_talking_holds_afterwards() {
    let mut world = World::new();
    world.ready("alice", "8001");
    let caller = world.waiting_caller();
    world.answer();
    world.set("alice", aux("lunch"));
    assert_eq!(world.state("alice"), AgentState::Talking);
    world.hang_up(caller);
    assert_eq!(world.state("alice"), aux("lunch"));
    world.set("alice", AgentState::SignedOut);
    assert_eq!(world.state("alice"), AgentState::SignedOut);
}

#[test]
fn an_offer_is_withdrawn_when_its_agent_goes_to_aux() {
    let mut world = World::new();
    world.ready("alice", "8001");
    world.waiting_caller();
    world.set("alice", aux("fire"));
    world.settle();
    assert_eq!(world.state("alice"), aux("fire"));
    assert_eq!(world.router.live_calls()[0].stage, Stage::Waiting);
    assert!(world.sip.len() == 1 && world.media.len() == 1);
}

#[test]
fn two_agents_do_not_share_a_phone_and_nobody_else_signs_in() {
    let mut world = World::new();
    world.ready("alice", "8001");
    let mut sign_in = |name: &str, phone: &str| {
        world.router.sign_in(world.now, &agent(name), Some(phone.parse().unwrap())).err()
    };
    assert_eq!(sign_in("bob", "8001"), Some(DeskError::PhoneTaken));
    assert_eq!(sign_in("bob", "9999"), Some(DeskError::UnknownPhone));
    assert_eq!(sign_in("mallory", "8002"), Some(DeskError::UnknownAgent));
    assert_eq!(
        world.router.set_state(world.now, &agent("bob"), AgentState::Ready).err(),
        Some(DeskError::SignedOut)
    );
    assert_eq!(
        world.router.set_state(world.now, &agent("alice"), AgentState::Talking).err(),
        Some(DeskError::NotSettable)
    );
}

#[test]
fn new_settings_reach_those_who_wait() {
    let mut world = World::new();
    let caller = world.waiting_caller();
    world.plan.queues.clear();
    world.plan.agents.remove(0);
    world.give(Input::Settings(Box::new(world.plan.clone())));
    assert_eq!(world.playing(caller).as_deref(), Some("closing"));
    assert_eq!(world.router.agents().len(), 1);
}

/// What the edges are told of a call is bounded, however long the queue is and however many agents there are. Mutant
/// route-remembers-unchanged.
#[test]
fn an_answered_call_costs_a_bounded_number_of_messages() {
    let said = |waiting: usize| {
        let mut world = World::new();
        let caller = world.waiting_caller();
        for _ in 0..waiting {
            world.waiting_caller();
        }
        world.commands.clear();
        world.ready("alice", "8001");
        world.answer();
        world.hang_up(caller);
        world.commands.len()
    };
    let alone = said(0);
    assert!((1..=MESSAGES).contains(&alone), "{alone} messages to the edges from the queue to the end");
    // The next caller is offered at once: an agent's wrap-up lies between.
    assert_eq!(said(20), alone, "another call's messages grow with the queue");
}
