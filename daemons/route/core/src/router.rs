//! The one owner of live state.

mod arriving;
mod attaching;
mod choosing;
mod consent;
mod cut_off;
mod desk;
mod disk;
mod early;
mod elsewhere;
mod ending;
mod flowing;
mod indices;
mod live;
mod offering;
mod planning;
mod queueing;
mod reaching;
mod replacing;
mod settling;
mod staffing;
mod talking;
mod transferring;

use crate::{
    agent::Roster,
    bench::Bench,
    call::{Call, Hold, Place, Stage},
    digits::Source,
    estimate::Pace,
    flows::Flows,
    ids::{Ids, call_of},
    input::{Edge, Input, Moment, Output},
    leg::{Leg, Line, Sound},
    memo,
    plan::Plan,
};
use queueing::Unserved;
use record_api::{DiskHealth, Finish, Outcome};
use replacing::Newcomer;
use route_api::{
    Cause, Endpoint, Extent, LiveMedia, MediaCommand, MediaEvent, Reachability, SignallingCommand,
    SignallingEvent, TrunkStanding,
};
use settings::{record::Record, route::Route};
use settling::{Left, Settling};
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::Duration,
};
use types::{AgentId, CallId, Extension, LegId, Monotonic, QueueId, RecordingId, TrunkId, Utc};

/// How long media may take to open or accept.
const MEDIA: Duration = Duration::from_secs(5);
/// How long a caller may take to confirm our answer: beyond RFC 3261 §17.2.1 Timer H (32 s), which the edge
/// keeps.
const CONFIRMATION: Duration = Duration::from_secs(40);
/// How long an edge may take to say that a leg is over: beyond RFC 3261 §17.1.2.2 Timer F (32 s).
const CLOSING: Duration = Duration::from_secs(40);
/// How long a prompt may take: far beyond every sensible one.
const PROMPT: Duration = Duration::from_secs(600);
/// How long a lost edge is waited for: it is back from its snapshot within a second.
const RETURN: Duration = Duration::from_secs(15);
/// How long a phone may take to say that it rings: one that says nothing is not there.
const SIGN: Duration = Duration::from_secs(6);
/// How long after a failure of the house the next offer is made; times the failures, at most a minute.
const HOLD: Duration = Duration::from_secs(2);
/// How long a full disk is taken for full before the next call tries it.
const FULL: Duration = Duration::from_secs(10);
/// Call records that report has not taken: above this many no call is taken at all.
const UNSAVED: usize = 10_000;
/// Said of callers whose queue is taken away.
const REMOVED: &str = "the settings have this queue no more";
/// Calls that are over and must not come back by a late memo.
const FINISHED: usize = 4096;
/// Ends of legs that an edge may say before it attaches: more than it keeps.
const LEFT: usize = 32_768;

/// Live calls, queues and agents. See the crate's documentation.
#[derive(Clone, Debug)]
pub struct Router {
    ids: Ids,
    plan: Plan,
    now: Moment,
    signalling: Link,
    media: Link,
    /// In boxes: each is taken out and put back whenever something happens to it.
    calls: BTreeMap<CallId, Box<Call>>,
    legs: BTreeMap<LegId, CallId>,
    recordings: BTreeMap<RecordingId, CallId>,
    /// Who waits or is being offered, in order.
    queues: BTreeMap<QueueId, BTreeMap<Place, CallId>>,
    /// The callers whom nobody is being offered, in order.
    seeking: BTreeSet<(Place, CallId)>,
    roster: Roster,
    bench: Bench,
    /// The phones on which somebody calls.
    dialling: BTreeMap<CallId, Extension>,
    staffing: Staffing,
    flows: Flows,
    /// How long conversations of each queue occupy somebody; learned anew in each life.
    paces: BTreeMap<QueueId, Pace>,
    endpoints: BTreeMap<Endpoint, Reachability>,
    /// How trunks stand, and since when: for people to see.
    standings: BTreeMap<TrunkId, (TrunkStanding, Utc)>,
    /// Media of legs that no call has claimed yet: their calls come when signalling attaches.
    unclaimed: BTreeMap<LegId, LiveMedia>,
    /// Ends that the edge said before it attached.
    left: BTreeMap<LegId, Left>,
    settling: BTreeMap<CallId, Settling>,
    /// What record has of calls that may be gone, until the edge has said which ones live.
    behind: BTreeMap<CallId, Outcome>,
    /// Calls that a loss of power ended, until their call records are kept; with what record is told then.
    cut_off: BTreeMap<CallId, Option<Finish>>,
    /// Legs that are over, of calls that are not: the edge has the ladder of each.
    held: BTreeMap<CallId, VecDeque<LegId>>,
    finished: VecDeque<CallId>,
    unsaved: BTreeSet<CallId>,
    agenda: BTreeSet<(Monotonic, Timer)>,
    /// Where the settings want no unrecorded call: none is taken before this moment.
    full_until: Monotonic,
    /// How the disk of recordings is, as far as record has told.
    disk: DiskHealth,
    orders: u64,
    output: VecDeque<Output>,
}

/// The stream to an edge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Link {
    Attached,
    Away { since: Monotonic },
}

/// Whether somebody has signed out since queues were looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Staffing {
    Settled,
    Fewer,
}

/// What becomes due.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Timer {
    Call(CallId),
    Agent(AgentId),
    Edge(Edge),
}

impl Router {
    /// A router that knows its settings and, after a restart, its agents and the versions of flows that its
    /// calls may be in. `seed` is random.
    pub fn new(
        now: Moment,
        seed: [u8; 16],
        settings: Route,
        rule: Record,
        roster: Roster,
        flows: Flows,
    ) -> Self {
        let away = Link::Away { since: now.monotonic };
        let mut router = Self {
            ids: Ids::new(seed),
            plan: Plan::new(settings, rule),
            bench: Bench::default(),
            seeking: BTreeSet::new(),
            dialling: BTreeMap::new(),
            full_until: Monotonic::default(),
            disk: DiskHealth::default(),
            now,
            signalling: away,
            media: away,
            calls: BTreeMap::new(),
            legs: BTreeMap::new(),
            recordings: BTreeMap::new(),
            queues: BTreeMap::new(),
            roster,
            staffing: Staffing::Settled,
            flows,
            paces: BTreeMap::new(),
            endpoints: BTreeMap::new(),
            standings: BTreeMap::new(),
            unclaimed: BTreeMap::new(),
            left: BTreeMap::new(),
            settling: BTreeMap::new(),
            behind: BTreeMap::new(),
            cut_off: BTreeMap::new(),
            held: BTreeMap::new(),
            finished: VecDeque::new(),
            unsaved: BTreeSet::new(),
            agenda: BTreeSet::new(),
            orders: 0,
            output: VecDeque::new(),
        };
        router.return_to_work();
        router.flows.follow(&router.plan.route.flows);
        router.follow_plan();
        router
    }

    /// Takes one input. Time never goes back: an earlier moment counts as the last one.
    pub fn handle(&mut self, now: Moment, input: Input) {
        self.arrive_at(now);
        match input {
            Input::SignallingAttached(attach) => self.signalling_attached(attach),
            Input::MediaAttached(attach) => self.media_attached(attach),
            Input::Lost(edge) => self.lost(edge),
            Input::Signalling(event) => self.signalled(event),
            Input::Media(event) => self.heard(event),
            Input::Begun(recording) => self.begun(recording),
            Input::NotBegun(recording, why) => self.not_begun(recording, why),
            Input::Joined(recording, track) => self.joined(recording, track),
            Input::NotJoined(recording, track) => self.not_joined(recording, track),
            Input::Finished(recording) => self.finished(recording),
            Input::Saved(call) => self.saved(call),
            Input::Disk(health) => self.disk(health),
            Input::Settings(route) => {
                self.plan.follow(*route);
                self.flows.follow(&self.plan.route.flows);
                self.forget_flows();
                self.follow_plan();
            }
            Input::Rule(rule) => self.plan.rule = *rule,
            Input::LeftBehind(outcome) => self.left_behind(*outcome),
            Input::Tick => {}
        }
        self.dispatch();
        debug_assert!(self.is_indexed(), "what is kept for speed has fallen behind");
    }

    /// The next thing to do; `None` when all is drained.
    pub fn poll(&mut self) -> Option<Output> {
        self.output.pop_front()
    }

    /// When [`Input::Tick`] is due at the latest.
    pub fn wake(&self) -> Option<Monotonic> {
        self.agenda.first().map(|(at, _)| *at)
    }

    /// The agents, for the next life.
    pub fn roster(&self) -> &Roster {
        &self.roster
    }

    /// Has the agents kept, where one may have changed since.
    pub fn keep_roster(&mut self, keep: impl FnOnce(&Roster)) {
        if self.roster.0.is_unkept() {
            keep(&self.roster);
            self.roster.0.kept();
        }
    }

    /// The section `[route]` in force.
    pub fn settings(&self) -> &Route {
        &self.plan.route
    }

    /// The flows that calls are or can be in, for the next life.
    pub fn flows(&self) -> &Flows {
        &self.flows
    }

    /// The one call of a trial.
    pub(crate) fn only_call(&self) -> Option<&Call> {
        self.calls.values().next().map(|call| &**call)
    }

    fn arrive_at(&mut self, now: Moment) {
        self.now = Moment { monotonic: now.monotonic.max(self.now.monotonic), utc: now.utc };
        let later = self.agenda.split_off(&(
            self.now.monotonic.plus(Duration::from_nanos(1)),
            Timer::Call(CallId(types::Uid([0; 16]))),
        ));
        for (_, timer) in std::mem::replace(&mut self.agenda, later) {
            match timer {
                Timer::Call(call) => self.with_call(call, Self::expire),
                Timer::Agent(agent) => self.wrapped_up(&agent),
                Timer::Edge(edge) => self.given_up(edge),
            }
        }
    }

    fn signalled(&mut self, event: SignallingEvent) {
        match event {
            SignallingEvent::Offered { leg, at, over, from, dialled, description, reference } => {
                self.offered(leg, at, over, from, dialled, description, reference);
            }
            SignallingEvent::Replacing { leg, at, over, replaces, wanted, description, reference } => {
                self.replacing(Newcomer { leg, at, over, replaces, wanted, description, reference });
            }
            SignallingEvent::Ringing { leg, description } => {
                self.with_leg(leg, |router, call, leg| router.rings(call, leg, description));
            }
            SignallingEvent::Answered { leg, .. } if !self.legs.contains_key(&leg) => {
                self.signal(SignallingCommand::HangUp { leg, cause: Cause::NormalClearing });
            }
            SignallingEvent::Answered { leg, description } => {
                self.with_leg(leg, |router, call, leg| router.answered(call, leg, description));
            }
            SignallingEvent::Confirmed { leg, description } => {
                self.with_leg(leg, |router, call, leg| router.confirmed(call, leg, description));
            }
            SignallingEvent::Changing { leg, description } => {
                self.with_leg(leg, |router, call, leg| router.changing(call, leg, description));
            }
            SignallingEvent::Transferring { leg, to, replaces } => {
                self.with_leg(leg, |router, call, leg| router.transferring(call, leg, to, replaces));
            }
            SignallingEvent::Ended { leg, at, cause, by, memo, ladder } => {
                self.left(leg, Left { at, cause, by, memo, ladder });
            }
            SignallingEvent::Reachable { endpoint, reachable: Reachability::Removed } => {
                if let Endpoint::Trunk(trunk) = &endpoint {
                    self.standings.remove(trunk);
                }
                self.endpoints.remove(&endpoint);
                self.phone_turned(&endpoint);
                self.phone_lost(&endpoint);
            }
            SignallingEvent::Standing { trunk, standing } => self.stands(trunk, standing),
            SignallingEvent::Reachable { endpoint, reachable } => {
                self.endpoints.insert(endpoint.clone(), reachable);
                self.phone_turned(&endpoint);
                if reachable == Reachability::Unreachable {
                    self.phone_lost(&endpoint);
                }
            }
            SignallingEvent::Digit { leg, digit } => self.digit(leg, digit, Source::Signalling),
        }
    }

    fn heard(&mut self, event: MediaEvent) {
        match event {
            MediaEvent::Opened { leg, .. } if !self.legs.contains_key(&leg) => {
                self.sound(MediaCommand::Close { leg });
            }
            MediaEvent::Opened { leg, description } => {
                self.with_leg(leg, |router, call, leg| router.opened(call, leg, description));
            }
            MediaEvent::Accepted { leg } => self.with_leg(leg, Self::accepted),
            MediaEvent::Refused { leg, reason, detail } => {
                if !mutant::mutant("route-late-refusal-unheard") {
                    self.unclaimed.remove(&leg);
                }
                self.with_leg(leg, |router, call, leg| router.refused(call, leg, reason, &detail));
            }
            MediaEvent::Played { leg, play, prompts, ended, extent, .. } => {
                self.with_leg(leg, |router, call, leg| {
                    if leg == call.caller.id {
                        router.played(call, play, &prompts, ended, extent);
                    } else {
                        let whole = prompts.into_iter().next().filter(|_| extent == Extent::Whole);
                        router.outside_heard(call, leg, play, whole.map(|prompt| (prompt, ended)));
                    }
                });
            }
            MediaEvent::NotPlayed { leg, play, detail, .. } => {
                self.with_leg(leg, |router, call, leg| match leg == call.caller.id {
                    true => router.not_played(call, play, &detail),
                    false => router.outside_heard(call, leg, play, None),
                });
            }
            MediaEvent::Held { leg } => {
                self.with_leg(leg, |router, call, leg| router.held(call, leg, Hold::Held));
            }
            MediaEvent::Resumed { leg } => {
                self.with_leg(leg, |router, call, leg| router.held(call, leg, Hold::None));
            }
            MediaEvent::Silent { leg } => self.with_leg(leg, Self::silent),
            MediaEvent::Closed { leg, quality } => {
                self.unclaimed.remove(&leg);
                self.with_leg(leg, |router, call, leg| router.sound_closed(call, leg, quality));
            }
            MediaEvent::TapLost { recording, batches } => {
                if let Some(call) = self.recordings.get(&recording).copied() {
                    self.with_call(call, |router, call| {
                        call.decide(
                            router.now.utc,
                            "recording.lossy",
                            format!("{batches} batches were not taken"),
                        );
                    });
                }
            }
            MediaEvent::Digit { leg, digit } => self.digit(leg, digit, Source::Media),
        }
    }

    /// A digit of a caller; those of an agent are for the other side.
    fn digit(&mut self, leg: LegId, digit: char, source: Source) {
        self.with_leg(leg, |router, call, leg| {
            if leg == call.caller.id {
                router.pressed(call, digit, source);
            }
        });
    }

    /// Acts on a call with both hands free: it is out of the map meanwhile.
    fn with_call(&mut self, id: CallId, act: impl FnOnce(&mut Self, &mut Call)) {
        let Some(mut call) = self.take(id) else { return };
        act(self, &mut call);
        self.put_back(call);
    }

    /// Takes a call out of every list of calls.
    fn take(&mut self, id: CallId) -> Option<Box<Call>> {
        let mut call = self.calls.remove(&id)?;
        if let Some(due) = call.due.take()
            && !mutant::mutant("route-agenda-never-cleared")
        {
            self.agenda.remove(&(due, Timer::Call(id)));
        }
        if let Stage::Waiting(wait) = &call.stage {
            self.seeking.remove(&(wait.place, id));
        }
        self.dialling.remove(&id);
        Some(call)
    }

    fn with_leg(&mut self, leg: LegId, act: impl FnOnce(&mut Self, &mut Call, LegId)) {
        let Some(call) = self.legs.get(&leg).copied() else { return };
        self.with_call(call, |router, call| act(router, call, leg));
    }

    /// Puts a call back under its deadline, with its memo renewed; or closes it out when nothing more is to
    /// come.
    fn put_back(&mut self, call: impl Into<Box<Call>>) {
        let mut call: Box<Call> = call.into();
        if let Stage::Ending { disposition, until } = call.stage {
            let overdue = self.now.monotonic >= until;
            if overdue || call.legs().all(Leg::sound_over) {
                self.finish_recording(&mut call);
            }
            if overdue || call.legs().all(Leg::over) {
                self.remember(&mut call);
                self.close_out(*call, disposition);
                return;
            }
        } else {
            call.agents.retain(|leg| leg.line != Line::Undone || !leg.sound_over());
        }
        self.remember(&mut call);
        call.due = call.deadline(self.now.monotonic);
        if let Some(due) = call.due {
            self.agenda.insert((due, Timer::Call(call.id)));
        }
        if let Stage::Waiting(wait) = &call.stage {
            self.seeking.insert((wait.place, call.id));
        }
        if let Endpoint::Phone(phone) = &call.caller.over
            && !call.caller.line_over()
        {
            self.dialling.insert(call.id, phone.clone());
        }
        self.calls.insert(call.id, call);
    }

    /// Renews the memo of the caller's leg where the call has changed.
    fn remember(&mut self, call: &mut Call) {
        let memo = memo::of_call(call);
        if memo.0 != call.remembered || mutant::mutant("route-remembers-unchanged") {
            call.remembered.clone_from(&memo.0);
            self.signal(SignallingCommand::Remember { leg: call.caller.id, memo });
        }
    }

    /// Says something to the signalling edge; while it is away the leg's state keeps what is wanted.
    fn signal(&mut self, command: SignallingCommand) {
        if self.signalling == Link::Attached {
            self.output.push_back(Output::Signalling(command));
        }
    }

    /// Says something to media; while it is away the call's stage keeps what is wanted.
    fn sound(&mut self, command: MediaCommand) {
        if self.media == Link::Attached {
            self.output.push_back(Output::Media(command));
        }
    }

    /// Ends a leg on both edges.
    fn hang_up_leg(&mut self, leg: &mut Leg, cause: Cause) {
        match leg.line {
            Line::Undialled => leg.line = Line::Undone,
            Line::Ringing | Line::Established => {
                leg.line = Line::Ending { cause };
                self.signal(SignallingCommand::HangUp { leg: leg.id, cause });
            }
            Line::Undone | Line::Ending { .. } | Line::Ended { .. } => {}
        }
        self.close(leg);
    }

    /// Ends a leg's media.
    fn close(&mut self, leg: &mut Leg) {
        if matches!(leg.sound, Sound::Opening | Sound::Open) {
            leg.sound = Sound::Closing;
            self.sound(MediaCommand::Close { leg: leg.id });
        }
    }
}
