//! Random lives: callers, agents, phones, lost edges, lost and repeated events, kills of route itself. After
//! every step the invariants hold, and in the end nobody is left over.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may stop")]

mod support;

use proptest::prelude::*;
use route_api::{
    AgentState, Cause, Endpoint, Extent, LegState, MediaEvent, MediaRefusal, Quality, Reachability,
    SignallingEvent, Stage, Wanted,
};
use route_core::{Edge, Input, NotBegun};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};
use support::{World, agent, sdp};
use types::{CallId, LegId};

#[derive(Clone, Debug)]
enum Act {
    Call(bool),
    PartyEnds(u8, u8),
    PhoneRings(u8),
    PhoneAnswers(u8),
    Sip,
    Media,
    Record,
    NoRecord(u8),
    PromptEnds(u8, bool),
    MediaRefuses(u8),
    MediaCloses(u8),
    Silent(u8),
    Change(u8),
    Transfer(u8, u8),
    Consult(u8, u8),
    Replace(u8, u8, bool),
    RepeatSip,
    RepeatMedia,
    State(bool, u8),
    WrapUp(bool, u16),
    Press(u8, u8, bool),
    NotPlayed(u8),
    Settings(bool),
    SignIn(bool, bool),
    HangUp(u8),
    Reachable(bool, bool),
    Lose(bool),
    Attach(bool),
    ForgetLeg(u8, bool),
    Pass(u16),
    Restart(bool),
}

fn act(restarts: bool) -> impl Strategy<Value = Act> {
    let any8 = any::<u8>();
    prop_oneof![
        6 => any::<bool>().prop_map(move |known| Act::Call(known || restarts)),
        4 => (any8, any8).prop_map(|(leg, cause)| Act::PartyEnds(leg, cause)),
        3 => any8.prop_map(Act::PhoneRings),
        8 => any8.prop_map(Act::PhoneAnswers),
        20 => Just(Act::Sip),
        20 => Just(Act::Media),
        8 => Just(Act::Record),
        1 => any8.prop_map(Act::NoRecord),
        12 => (any8, any::<bool>()).prop_map(|(leg, whole)| Act::PromptEnds(leg, whole)),
        1 => any8.prop_map(Act::MediaRefuses),
        1 => any8.prop_map(Act::MediaCloses),
        1 => any8.prop_map(Act::Silent),
        2 => any8.prop_map(Act::Change),
        6 => (any8, any8).prop_map(|(leg, to)| Act::Transfer(leg, to)),
        4 => (any8, any8).prop_map(|(phone, to)| Act::Consult(phone, to)),
        6 => (any8, any8, any::<bool>()).prop_map(|(phone, of, early)| Act::Replace(phone, of, early)),
        3 => Just(Act::RepeatSip),
        3 => Just(Act::RepeatMedia),
        8 => (any::<bool>(), any8).prop_map(|(who, state)| Act::State(who, state)),
        2 => (any::<bool>(), 0_u16..200).prop_map(|(who, lasting)| Act::WrapUp(who, lasting)),
        12 => (any8, any8, any::<bool>()).prop_map(|(leg, key, media)| Act::Press(leg, key, media)),
        2 => any8.prop_map(Act::NotPlayed),
        2 => any::<bool>().prop_map(Act::Settings),
        3 => (any::<bool>(), any::<bool>()).prop_map(|(who, inn)| Act::SignIn(who, inn)),
        1 => any8.prop_map(Act::HangUp),
        2 => (any::<bool>(), any::<bool>()).prop_map(|(who, yes)| Act::Reachable(who, yes)),
        2 => any::<bool>().prop_map(Act::Lose),
        3 => any::<bool>().prop_map(Act::Attach),
        1 => (any8, any::<bool>()).prop_map(move |(leg, edge)| Act::ForgetLeg(leg, edge && !restarts)),
        6 => (0_u16..400).prop_map(Act::Pass),
        2 => any::<bool>().prop_map(move |lost| if restarts { Act::Restart(lost) } else { Act::Sip }),
    ]
}

struct Life {
    world: World,
    offered: BTreeSet<LegId>,
    last_sip: Option<SignallingEvent>,
    last_media: Option<MediaEvent>,
    order: Vec<CallId>,
}

fn pick<T: Copy>(from: impl Iterator<Item = T>, at: u8) -> Option<T> {
    let all: Vec<T> = from.collect();
    (!all.is_empty()).then(|| all[usize::from(at) % all.len()])
}

/// A menu before the queue, in two versions: what one calls `people` is `staff` in the other.
fn settings(other: bool) -> String {
    let people = if other { "staff" } else { "people" };
    format!(
        r#"{}
[[route.numbers]]
dialled = "95556"
flow = "menu"
[[route.flows]]
name = "menu"
[[route.flows.steps]]
play = "greeting"
[[route.flows.steps]]
announce = "recorded"
[[route.flows.steps]]
name = "menu"
[route.flows.steps.menu]
prompt = "menu"
choices = {{ "1" = "{people}", "12" = "secret", "*" = "menu" }}
invalid = {{ next = "bye" }}
no_input = {{ prompt = "silent", next = "{people}" }}
[[route.flows.steps]]
name = "secret"
[route.flows.steps.menu]
prompt = "pin"
barge_in = {other}
type_ahead = {other}
sensitive = true
choices = {{ "12" = "{people}", "3" = "menu" }}
[[route.flows.steps]]
name = "{people}"
queue = {{ name = "service", overdue = "bye", unstaffed = "bye" }}
[[route.flows.steps]]
name = "bye"
hang_up = "normal-clearing"
"#,
        support::SETTINGS.replace(
            "music = ",
            r#"while_waiting = { every = "30s", position = true, estimate = true, languages = ["en"] }
music = "#
        )
    )
}

const TARGETS: [&str; 7] = ["8001", "8002", "8009", "service", "95555", "01012345678", "no-one"];
const NAMES: [(&str, &str); 2] = [("alice", "8001"), ("bob", "8002")];

impl Life {
    fn new() -> Self {
        let mut world = World::new();
        world.settings(&settings(false));
        world.ready("alice", "8001");
        Self { world, offered: BTreeSet::new(), last_sip: None, last_media: None, order: Vec::new() }
    }

    fn live(&mut self, act: Act) {
        let world = &mut self.world;
        match act {
            Act::Call(known) if world.sip_attached => {
                // Every second caller meets a menu.
                let number = if self.offered.len().is_multiple_of(2) { "95555" } else { "95556" };
                self.offered.insert(world.call(if known { number } else { "1" }));
            }
            Act::Call(_) => {}
            Act::PartyEnds(at, cause) => {
                let causes = [
                    Cause::NormalClearing,
                    Cause::UserBusy,
                    Cause::CallRejected,
                    Cause::NoAnswer,
                    Cause::DestinationOutOfOrder,
                    Cause::NetworkOutOfOrder,
                ];
                if let Some(leg) = pick(world.sip.keys().copied(), at) {
                    world.ended(leg, causes[usize::from(cause) % causes.len()]);
                }
            }
            Act::PhoneRings(at) => {
                if let Some(leg) = self.ringing(at) {
                    self.world.from_sip.push_back(SignallingEvent::Ringing { leg, description: None });
                }
            }
            Act::PhoneAnswers(at) => {
                if let Some(leg) = self.ringing(at) {
                    self.world.sip.get_mut(&leg).unwrap().state = LegState::Established;
                    self.world
                        .from_sip
                        .push_back(SignallingEvent::Answered { leg, description: Some(sdp("phone")) });
                }
            }
            Act::Sip => {
                self.last_sip = world.from_sip.front().cloned();
                world.step_sip();
            }
            Act::Media => {
                self.last_media = world.from_media.front().cloned();
                world.step_media();
            }
            Act::Record => {
                world.step_record();
            }
            Act::NoRecord(why) => {
                if let Some(begin) = world.begins.pop_front() {
                    let why = [NotBegun::Failed, NotBegun::DiskFull][usize::from(why) % 2];
                    world.give(Input::NotBegun(begin.recording, why));
                } else if let Some(join) = world.joins.pop_front() {
                    world.give(Input::NotJoined(join.recording, join.track.track));
                }
            }
            Act::PromptEnds(at, whole) => {
                let playing =
                    world.media.iter().filter(|(_, leg)| leg.playing.is_some()).map(|(leg, _)| *leg);
                if let Some(leg) = pick(playing, at) {
                    world.prompt_ends(leg, if whole { Extent::Whole } else { Extent::Part });
                }
            }
            Act::MediaRefuses(at) => {
                if let Some(leg) = pick(world.media.keys().copied(), at) {
                    let detail = String::new();
                    let reason = [MediaRefusal::NotAcceptable, MediaRefusal::NoPort][usize::from(at) % 2];
                    world.media.remove(&leg);
                    world.from_media.push_back(MediaEvent::Refused { leg, reason, detail });
                }
            }
            Act::MediaCloses(at) => {
                if let Some(leg) = pick(world.media.keys().copied(), at) {
                    world.media.remove(&leg);
                    world.from_media.push_back(MediaEvent::Closed { leg, quality: Quality::default() });
                }
            }
            Act::Silent(at) => {
                if let Some(leg) = pick(world.media.keys().copied(), at) {
                    world.from_media.push_back(MediaEvent::Silent { leg });
                }
            }
            Act::Change(at) => {
                if let Some(leg) = pick(world.sip.keys().copied(), at) {
                    world.from_sip.push_back(SignallingEvent::Changing { leg, description: sdp("again") });
                }
            }
            Act::Transfer(at, to) => {
                let Some(leg) = pick(world.sip.keys().copied(), at) else { return };
                let replaces = pick(world.sip.keys().copied(), to).filter(|_| to % 2 == 0);
                let to = TARGETS[usize::from(to) % TARGETS.len()].to_owned();
                world.from_sip.push_back(SignallingEvent::Transferring { leg, to, replaces });
            }
            Act::Consult(phone, to) if world.sip_attached => {
                let phone = ["8001", "8002", "8009"][usize::from(phone) % 3];
                let to = TARGETS[usize::from(to) % TARGETS.len()];
                self.offered.insert(world.call_from(Endpoint::Phone(phone.parse().unwrap()), to));
            }
            Act::Consult(..) => {}
            Act::Replace(phone, of, early) if world.sip_attached => {
                let Some(of) = pick(world.sip.keys().copied(), of) else { return };
                let wanted = if early { Wanted::Ringing } else { Wanted::Always };
                let description = (phone % 4 > 0).then(|| sdp("theirs"));
                let phone = ["8001", "8002", "8009"][usize::from(phone) % 3];
                world.come_for(phone, of, wanted, description);
            }
            Act::Replace(..) => {}
            Act::RepeatSip => {
                if let (true, Some(event)) = (world.sip_attached, self.last_sip.clone()) {
                    if let SignallingEvent::Offered { leg, .. } = &event {
                        self.offered.insert(*leg);
                    }
                    self.world.give(Input::Signalling(event));
                }
            }
            Act::RepeatMedia => {
                if let (true, Some(event)) = (world.media_attached, self.last_media.clone()) {
                    self.world.give(Input::Media(event));
                }
            }
            Act::State(who, state) => {
                let state = match state % 5 {
                    0 => AgentState::Aux("tea".to_owned()),
                    1 => AgentState::SignedOut,
                    _ => AgentState::Ready,
                };
                let _may_be_signed_out =
                    world.router.set_state(world.now, &agent(NAMES[usize::from(who)].0), state);
                world.drain();
            }
            Act::WrapUp(who, lasting) => {
                let lasting = Duration::from_secs(u64::from(lasting));
                let _may_have_no_call =
                    world.router.wrap_up(world.now, &agent(NAMES[usize::from(who)].0), lasting);
                world.drain();
            }
            Act::Press(at, key, by_media) => {
                if let Some(leg) = pick(world.media.keys().copied(), at) {
                    let digit = char::from(b"1239*#0A"[usize::from(key) % 8]);
                    match by_media {
                        true => world.from_media.push_back(MediaEvent::Digit { leg, digit }),
                        false => world.from_sip.push_back(SignallingEvent::Digit { leg, digit }),
                    }
                }
            }
            Act::NotPlayed(at) => {
                let playing =
                    world.media.iter().filter(|(_, leg)| leg.playing.is_some()).map(|(leg, _)| *leg);
                if let Some(leg) = pick(playing, at) {
                    let (play, prompts) = world.media.get_mut(&leg).unwrap().playing.take().unwrap();
                    let (prompt, detail) = (prompts[0].parse().unwrap(), String::new());
                    world.from_media.push_back(MediaEvent::NotPlayed { leg, play, prompt, detail });
                }
            }
            Act::Settings(other) => world.settings(&settings(other)),
            Act::SignIn(who, inn) => {
                let (name, phone) = NAMES[usize::from(who)];
                let phone = inn.then(|| phone.parse().unwrap());
                let _may_be_on_call = world.router.sign_in(world.now, &agent(name), phone);
                world.drain();
            }
            Act::HangUp(at) => {
                if let Some(call) = pick(world.router.live_calls().iter().map(|call| call.call), at) {
                    world.router.hang_up(world.now, call).unwrap();
                    world.drain();
                }
            }
            Act::Reachable(who, yes) => {
                let endpoint = Endpoint::Phone(NAMES[usize::from(who)].1.parse().unwrap());
                let reachable = if yes { Reachability::Reachable } else { Reachability::Unreachable };
                world.from_sip.push_back(SignallingEvent::Reachable { endpoint, reachable });
            }
            Act::Lose(true) if world.sip_attached => world.lose(Edge::Signalling),
            Act::Lose(false) if world.media_attached => world.lose(Edge::Media),
            Act::Lose(_) => {}
            Act::Attach(true) if !world.sip_attached => world.attach_sip(),
            Act::Attach(false) if !world.media_attached => world.attach_media(),
            Act::Attach(_) => {}
            Act::ForgetLeg(at, true) if !world.sip_attached => {
                if let Some(leg) = pick(world.sip.keys().copied(), at) {
                    world.sip.remove(&leg);
                }
            }
            Act::ForgetLeg(at, false) if !world.media_attached => {
                if let Some(leg) = pick(world.media.keys().copied(), at) {
                    world.media.remove(&leg);
                }
            }
            Act::ForgetLeg(..) => {}
            Act::Pass(tenths) => {
                let time = Duration::from_millis(u64::from(tenths) * 100);
                world.now.monotonic = world.now.monotonic.plus(time);
                world.now.utc = world.now.utc.plus(time);
                world.give(Input::Tick);
            }
            Act::Restart(lost) => {
                world.flows_are_lost = lost;
                world.restart();
                self.order.clear();
            }
        }
        self.check();
    }

    fn ringing(&self, at: u8) -> Option<LegId> {
        let ringing =
            self.world.sip.iter().filter(|(_, leg)| leg.dialled_by_us && leg.state == LegState::Ringing);
        pick(ringing.map(|(leg, _)| *leg), at)
    }

    fn check(&mut self) {
        if self.world.router.wake().is_some_and(|wake| wake <= self.world.now.monotonic) {
            self.world.give(Input::Tick);
        }
        let router = &self.world.router;
        let calls: BTreeMap<_, _> = router.live_calls().into_iter().map(|call| (call.call, call)).collect();
        let agents = router.agents();
        for entry in &agents {
            let busy = matches!(entry.state, AgentState::Offered | AgentState::Talking);
            assert_eq!(busy, entry.call.is_some(), "{entry:?}");
            if let Some(id) = entry.call {
                let call = calls.get(&id).unwrap_or_else(|| panic!("{entry:?} without a live call"));
                if call.stage == Stage::Reaching {
                    // Both who hands the caller on and who is called for it are on this call.
                    continue;
                }
                assert_eq!(call.agent.as_ref(), Some(&entry.agent), "{call:?}");
                let stage = if entry.state == AgentState::Offered { Stage::Offering } else { Stage::Talking };
                assert_eq!(call.stage, stage, "{entry:?}");
            }
        }
        let waiting = router.queues()[0].waiting.clone();
        for call in calls.values() {
            if let Some(id) = &call.agent {
                let entry = agents.iter().find(|entry| entry.agent == *id);
                assert_eq!(entry.and_then(|entry| entry.call), Some(call.call), "{call:?}");
            }
            let waits = matches!(call.stage, Stage::Waiting | Stage::Offering);
            assert_eq!(waits, waiting.contains(&call.call), "{call:?}");
        }
        // Who is to go on when nobody serves does not wait for nobody.
        let serve = router.queues()[0].agents.signed_in();
        let steps = ["people", "staff"];
        let waits = |call: &&route_api::LiveCall| {
            call.stage == Stage::Waiting && call.step.as_deref().is_some_and(|step| steps.contains(&step))
        };
        assert!(serve > 0 || !calls.values().any(|call| waits(&call)), "{calls:?} and nobody serves");
        let stayed: Vec<_> = self.order.iter().filter(|call| waiting.contains(call)).collect();
        assert!(
            stayed.iter().zip(&waiting).all(|(before, now)| *before == now),
            "{:?} became {waiting:?}",
            self.order
        );
        self.order = waiting;
        // Nobody waits for nothing: whoever does not talk has a moment at which something is done.
        let idle = |call: &&route_api::LiveCall| call.stage != Stage::Talking;
        assert!(router.wake().is_some() || !calls.values().any(|call| idle(&call)), "{calls:?}");
        // Once the time is told, no deadline lies behind us: the shell would spin.
        assert!(router.wake().is_none_or(|wake| wake > self.world.now.monotonic), "a deadline was not met");
        self.check_records();
    }

    fn check_records(&self) {
        let mut calls = BTreeSet::new();
        for record in &self.world.saved {
            assert!(calls.insert(record.call), "two call records of one call");
            let legs: BTreeSet<_> = record.legs.iter().map(|leg| leg.leg).collect();
            assert_eq!(legs.len(), record.legs.len(), "a leg ended twice");
            assert!(record.legs.iter().all(|leg| leg.began <= leg.ended && record.offered <= record.ended));
        }
    }

    /// Everything comes back, and nobody does anything: whoever does not talk is let go in the end. Guarded by
    /// the mutant `route-menu-without-end`.
    fn fall_silent(&mut self) {
        for edge in [true, false] {
            self.live(Act::Attach(edge));
        }
        for _ in 0..120 {
            let heard: Vec<LegId> = self.world.media.keys().copied().collect();
            for leg in heard {
                if self.world.playing(leg).is_some_and(|prompt| prompt != "waiting") {
                    self.world.prompt_ends(leg, Extent::Whole);
                }
            }
            self.world.settle();
            self.check();
            self.world.pass(Duration::from_secs(10));
        }
        let calls = self.world.router.live_calls();
        assert!(calls.iter().all(|call| call.stage == Stage::Talking), "somebody is stuck: {calls:?}");
    }

    /// Everybody hangs up.
    fn end(&mut self) {
        self.fall_silent();
        for _ in 0..20 {
            while let Some(leg) = self.world.sip.keys().next().copied() {
                self.world.ended(leg, Cause::NormalClearing);
            }
            self.world.settle();
            self.check();
            self.world.pass(Duration::from_secs(60));
        }
        assert!(self.world.router.live_calls().is_empty(), "{:?}", self.world.router.live_calls());
        assert!(self.world.sip.is_empty() && self.world.media.is_empty(), "legs are left on an edge");
        assert!(self.world.ended.is_empty(), "{:?} are never forgotten", self.world.ended);
        for entry in self.world.router.agents() {
            let settled =
                matches!(entry.state, AgentState::Ready | AgentState::Aux(_) | AgentState::SignedOut);
            assert!(settled, "{entry:?}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: ProptestConfig::default().cases.max(400),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    /// Every call ends in exactly one call record, whatever happens to the edges.
    #[test]
    fn every_call_ends_in_exactly_one_record(acts in prop::collection::vec(act(false), 1..150)) {
        let mut life = Life::new();
        for act in acts {
            life.live(act);
        }
        life.end();
        let recorded: Vec<_> = life.world.saved.iter().map(|record| record.legs[0].leg).collect();
        let unique: BTreeSet<_> = recorded.iter().copied().collect();
        prop_assert_eq!(unique.len(), recorded.len());
        prop_assert_eq!(unique, life.offered);
        let known: BTreeSet<_> = life.world.saved.iter().flat_map(|record| &record.legs).map(|leg| leg.leg).collect();
        prop_assert!(life.world.dialled.iter().all(|leg| known.contains(leg)), "a leg is in no call record");
    }

    /// Kills of route on top: nobody is left over, and every call is recorded once.
    #[test]
    fn every_call_is_recorded_when_route_is_killed(acts in prop::collection::vec(act(true), 1..150)) {
        let mut life = Life::new();
        for act in acts {
            life.live(act);
        }
        life.end();
        let recorded: BTreeSet<_> = life.world.saved.iter().map(|record| record.legs[0].leg).collect();
        prop_assert_eq!(recorded.len(), life.world.saved.len());
        prop_assert_eq!(recorded, life.offered);
    }
}
