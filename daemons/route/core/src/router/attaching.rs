//! Edges that come, go and come back; calls that come back with them.
//!
//! Nothing that was said on a stream before it broke is taken for done: when an edge attaches, what each leg
//! should be is compared with what the edge says it is, and the difference is commanded anew.
//!
//! | route wants      | the edge has it alive | has its end            | knows nothing of it          |
//! |------------------|-----------------------|------------------------|------------------------------|
//! | alive            | goes on               | it ended, at that time | the leg has ended, a failure |
//! | ended            | ended again           | it is over             | it is over                   |
//! | knows it not     | its memo's call comes back, else ended | its memo's call comes back and ends, else forgotten | - |

use super::{Link, MEDIA, RETURN, Router, Staffing, Timer};
use crate::{
    agent::{Agent, Next, State},
    call::{Arrival, Call, OfferStep, Offerer, Reach, Recording, Stage},
    input::Edge,
    leg::{Leg, Line, Negotiation, Sound},
    memo::{self, Memory},
};
use mutant::mutant;
use report_api::Disposition;
use route_api::{
    AttachMedia, AttachSignalling, Cause, EndedBy, Endpoint, LegState, LiveLeg, LiveMedia, MediaCommand,
    SignallingCommand,
};
use std::collections::BTreeMap;
use types::{AgentId, CallId, Extension, LegId};

impl Router {
    pub(super) fn lost(&mut self, edge: Edge) {
        let since = self.now.monotonic;
        *self.link(edge) = Link::Away { since };
        self.agenda.insert((since.plus(RETURN), Timer::Edge(edge)));
    }

    fn link(&mut self, edge: Edge) -> &mut Link {
        match edge {
            Edge::Signalling => &mut self.signalling,
            Edge::Media => &mut self.media,
        }
    }

    /// The edge is not back in time: its legs are gone.
    pub(super) fn given_up(&mut self, edge: Edge) {
        let now = self.now.monotonic;
        match *self.link(edge) {
            Link::Away { since } if now >= since.plus(RETURN) => {}
            Link::Away { .. } | Link::Attached => return,
        }
        let calls: Vec<CallId> = self.calls.keys().copied().collect();
        for call in calls {
            self.with_call(call, |router, call| match edge {
                Edge::Signalling => {
                    router.end_left(call);
                    router.reconcile_lines(call, &BTreeMap::new());
                }
                Edge::Media => router.reconcile_sounds(call, &BTreeMap::new()),
            });
        }
    }

    pub(super) fn signalling_attached(&mut self, attach: AttachSignalling) {
        self.signalling = Link::Attached;
        self.endpoints = attach.endpoints.into_iter().collect();
        self.roster.0.unseat_all();
        let live: BTreeMap<LegId, LiveLeg> = attach.legs.into_iter().map(|leg| (leg.leg, leg)).collect();
        let calls: Vec<CallId> = self.calls.keys().copied().collect();
        for call in calls {
            self.with_call(call, |router, call| {
                // The memo that the edge has may be an older one.
                call.remembered.clear();
                router.end_left(call);
                router.reconcile_lines(call, &live);
            });
        }
        // Who is alive comes first: an agent is on that call, whatever one that is over says.
        let over = self.left.iter().map(|(leg, left)| (*leg, left.memo.clone()));
        let memos: Vec<_> = live.values().map(|leg| (leg.leg, leg.memo.clone())).chain(over).collect();
        for (leg, memo) in memos {
            if let Some(Memory::Call(call)) = Memory::read(&memo) {
                self.restore(*call, leg, &live);
            }
        }
        self.let_go_of_left();
        for leg in live.keys().filter(|leg| !self.legs.contains_key(leg)).copied().collect::<Vec<_>>() {
            self.signal(SignallingCommand::HangUp { leg, cause: Cause::TemporaryFailure });
        }
        self.close_unclaimed();
        self.judge_what_was_left();
    }

    pub(super) fn media_attached(&mut self, attach: AttachMedia) {
        self.media = Link::Attached;
        let live: BTreeMap<LegId, LiveMedia> = attach.legs.into_iter().map(|leg| (leg.leg, leg)).collect();
        let calls: Vec<CallId> = self.calls.keys().copied().collect();
        for call in calls {
            self.with_call(call, |router, call| router.reconcile_sounds(call, &live));
        }
        self.unclaimed = live.into_iter().filter(|(leg, _)| !self.legs.contains_key(leg)).collect();
        if self.signalling == Link::Attached {
            self.close_unclaimed();
        }
    }

    /// Media that no call has claimed though every call is known.
    fn close_unclaimed(&mut self) {
        for leg in std::mem::take(&mut self.unclaimed).into_keys() {
            if !self.legs.contains_key(&leg) {
                self.sound(MediaCommand::Close { leg });
            }
        }
    }

    /// Takes a call of an earlier life back.
    fn restore(&mut self, mut call: Call, holder: LegId, live: &BTreeMap<LegId, LiveLeg>) {
        let known = self.calls.contains_key(&call.id) || self.is_over(call.id);
        Self::disown(&mut call, |leg| match Memory::read(&live.get(&leg)?.memo)? {
            Memory::PartOf(owner) => Some(owner),
            Memory::Call(_) => None,
        });
        let taken = call.legs().any(|leg| self.legs.contains_key(&leg.id));
        if known || taken || call.caller.id != holder {
            return;
        }
        self.legs.extend(call.legs().filter(|leg| !leg.over()).map(|leg| (leg.id, call.id)));
        match &call.stage {
            Stage::Waiting(wait) | Stage::Offering(wait, _) => {
                self.orders = self.orders.max(wait.place.order);
                self.queues.entry(wait.queue.clone()).or_default().insert(wait.place, call.id);
                self.staffing = Staffing::Fewer;
            }
            Stage::Arriving(_)
            | Stage::Playing(_)
            | Stage::Choosing(_)
            | Stage::Reaching(_)
            | Stage::Talking(_)
            | Stage::Ending { .. } => {}
        }
        self.reclaim_agents(&mut call);
        self.give_up_place(&mut call, Cause::TemporaryFailure, "route began anew");
        if !matches!(call.recording, Recording::None | Recording::Failed(_)) {
            self.ask_record_again(&call);
        }
        self.end_left(&mut call);
        call.decide(self.now.utc, "call.restored", "route began anew, the edge had kept the call");
        self.reconcile_lines(&mut call, live);
        if Self::is_bereft(&mut call) {
            self.end(&mut call, Disposition::Answered, Cause::NormalClearing);
        }
        if matches!(call.stage, Stage::Ending { .. }) {
            self.finish_unknown_recording(&mut call);
        }
        let sounds = self.unclaimed.clone();
        if self.media == Link::Attached {
            self.reconcile_sounds(&mut call, &sounds);
        } else {
            let since = self.now.monotonic;
            self.media = Link::Away { since };
            self.agenda.insert((since.plus(RETURN), Timer::Edge(Edge::Media)));
        }
        self.put_back(call);
    }

    /// The agents of a call that came back are on it again.
    fn reclaim_agents(&mut self, call: &mut Call) {
        let offered = State::Offered { call: call.id };
        let talking = State::Talking { call: call.id, next: Next::WrapUp { lasting: None } };
        let seats = match &call.stage {
            Stage::Offering(_, offer) => vec![(Some(offer.agent.clone()), offer.leg, offered)],
            Stage::Talking(talk) => vec![(talk.agent.clone(), talk.leg, talking)],
            Stage::Reaching(reach) => {
                let before = reach.instead.as_ref().map(|talk| (talk.agent.clone(), talk.leg, talking));
                before.into_iter().chain([(reach.agent.clone(), reach.leg, offered)]).collect()
            }
            Stage::Arriving(_)
            | Stage::Playing(_)
            | Stage::Choosing(_)
            | Stage::Waiting(_)
            | Stage::Ending { .. } => return,
        };
        for (id, leg, state) in seats {
            if let Some(id) = id {
                self.reclaim_agent(call, &id, leg, state);
            }
        }
    }

    fn reclaim_agent(&mut self, call: &mut Call, id: &AgentId, leg: LegId, state: State) {
        if self.roster.0.get(id).is_some_and(|agent| agent.call().is_some()) {
            // Two calls claim one agent: an older memo is wrong, and its leg ends.
            if let Some(leg) = call.leg(leg) {
                self.hang_up_leg(leg, Cause::TemporaryFailure);
            }
            return;
        }
        let phone = call.leg(leg).and_then(|leg| phone_of(leg));
        self.set_agent(id, state);
        self.seat(id, phone);
    }

    fn seat(&mut self, id: &AgentId, phone: Option<Extension>) {
        if let Some(Agent { phone: seat @ None, .. }) = self.roster.0.get_mut(id) {
            *seat = phone;
        }
    }

    /// Brings the lines of a call and what the signalling edge has of them together.
    fn reconcile_lines(&mut self, call: &mut Call, live: &BTreeMap<LegId, LiveLeg>) {
        let legs: Vec<LegId> = call.legs().map(|leg| leg.id).collect();
        for id in legs {
            // What became of the legs before it may have ended the call.
            let Some(line) = call.leg(id).map(|leg| leg.line.clone()) else { continue };
            match (line, live.get(&id).map(|leg| leg.state)) {
                (Line::Undialled | Line::Undone | Line::Ended { .. }, None) => {}
                (Line::Undialled | Line::Undone | Line::Ended { .. }, Some(_)) => {
                    self.signal(SignallingCommand::HangUp { leg: id, cause: Cause::NormalClearing });
                }
                (Line::Ending { cause }, Some(_)) => {
                    self.signal(SignallingCommand::HangUp { leg: id, cause })
                }
                (Line::Ringing | Line::Established | Line::Ending { .. }, None) => {
                    // Where the edge has it after all, it has heard of it too late to list it.
                    self.signal(SignallingCommand::HangUp { leg: id, cause: Cause::TemporaryFailure });
                    self.line_ended(call, id, Cause::TemporaryFailure, EndedBy::Failure);
                }
                (Line::Established, Some(_)) => self.refuse_change(call, id),
                (Line::Ringing, Some(state)) => self.reconcile_ringing(call, id, state),
            }
        }
    }

    /// A change that was asked for before the edge broke is asked for anew.
    fn refuse_change(&mut self, call: &mut Call, id: LegId) {
        if let Some(leg) = call.leg(id)
            && leg.negotiation == Negotiation::Changing
        {
            leg.negotiation = Negotiation::Settled;
            self.signal(SignallingCommand::Change { leg: id, description: None });
        }
    }

    fn reconcile_ringing(&mut self, call: &mut Call, id: LegId, state: LegState) {
        if self.place_found(call, id, state) {
            return;
        }
        match (&call.stage, state) {
            (Stage::Arriving(Arrival::Answering { description, .. }), LegState::Ringing)
                if id == call.caller.id =>
            {
                match description.clone() {
                    Some(description) => self.answer(call, description),
                    None => self.line_lost(call, id),
                }
            }
            (Stage::Arriving(Arrival::Answering { offerer, .. }), LegState::Established)
                if id == call.caller.id =>
            {
                match offerer {
                    Offerer::Caller => self.confirmed(call, id, None),
                    // Its answer came while nobody listened.
                    Offerer::House => self.line_lost(call, id),
                }
            }
            // The phone's answer came while nobody listened.
            (Stage::Offering(_, offer), LegState::Established) if offer.leg == id => self.line_lost(call, id),
            (Stage::Reaching(reach), LegState::Established) if reach.leg == id => self.line_lost(call, id),
            // A phone that called another: whether it has our answer is known by its state.
            (Stage::Talking(_), LegState::Established) if id == call.caller.id => {
                (call.caller.line, call.caller.early) = (Line::Established, None);
            }
            (Stage::Talking(_) | Stage::Reaching(_), LegState::Ringing) if id == call.caller.id => {
                match (&call.stage, call.caller.early.clone()) {
                    (_, None) => self.line_lost(call, id),
                    (Stage::Talking(_), Some(description)) => self.answer(call, description),
                    (_, Some(_)) => {}
                }
            }
            _ => {}
        }
    }

    /// The edge has the leg, but what was said on it is lost.
    fn line_lost(&mut self, call: &mut Call, id: LegId) {
        self.signal(SignallingCommand::HangUp { leg: id, cause: Cause::TemporaryFailure });
        self.line_ended(call, id, Cause::TemporaryFailure, EndedBy::Failure);
    }

    /// Brings the sounds of a call and what media has of them together.
    fn reconcile_sounds(&mut self, call: &mut Call, live: &BTreeMap<LegId, LiveMedia>) {
        let legs: Vec<LegId> = call.legs().map(|leg| leg.id).collect();
        for id in legs {
            // What became of the legs before it may have ended the call.
            let Some(sound) = call.leg(id).map(|leg| leg.sound.clone()) else { continue };
            match (sound, live.contains_key(&id)) {
                (Sound::Unopened | Sound::Closed { .. }, true) | (Sound::Closing, true) => {
                    self.sound(MediaCommand::Close { leg: id });
                }
                (Sound::Unopened | Sound::Closed { .. }, false) => {}
                (Sound::Closing, false) => silence(call, id),
                (Sound::Opening, _) => self.open_again(call, id),
                (Sound::Open, true) => self.refuse_change(call, id),
                (Sound::Open, false) => self.give_up_sound(call, id),
            }
        }
        if self.media == Link::Attached {
            let bridged = live.get(&call.caller.id).and_then(|leg| leg.bridged);
            self.part_again(call, bridged);
            self.accept_again(call);
            self.sound_again(call);
            self.join_again(call, bridged);
        }
    }

    /// `Opened` may have been lost: asked anew, media makes the same or another description.
    fn open_again(&mut self, call: &mut Call, id: LegId) {
        let memo = memo::part_of(call.id);
        let offer = match &call.stage {
            Stage::Arriving(Arrival::Opening { offer: None, offerer: Offerer::Caller, .. }) => {
                // An earlier life had the offer.
                self.give_up_sound(call, id);
                return;
            }
            Stage::Arriving(Arrival::Opening { offer, .. }) if id == call.caller.id => offer.clone(),
            _ => Self::place_offer(call, id),
        };
        if self.media == Link::Attached {
            if let Stage::Arriving(Arrival::Opening { until, .. }) = &mut call.stage {
                *until = self.now.monotonic.plus(MEDIA);
            }
            let over = call.leg(id).map(|leg| leg.over.clone());
            self.sound(MediaCommand::Open { leg: id, offer, memo, beside: None, over });
        } else {
            self.give_up_sound(call, id);
        }
    }

    /// What media has of the leg is of no use any more, if it has anything.
    fn give_up_sound(&mut self, call: &mut Call, id: LegId) {
        silence(call, id);
        self.sound(MediaCommand::Close { leg: id });
        self.sound_lost(call, id);
    }

    /// Who was handed on while media was away is not heard any more by who did so.
    fn part_again(&mut self, call: &Call, bridged: Option<LegId>) {
        let talks = matches!(call.stage, Stage::Talking(_) | Stage::Ending { .. });
        if bridged.is_some() && !talks && !mutant("route-parted-before-media") {
            self.sound(MediaCommand::Part { leg: call.caller.id });
        }
    }

    /// media may have died before it kept that it took an answer: it is told again.
    fn accept_again(&mut self, call: &mut Call) {
        for leg in call.legs().filter(|leg| leg.sound == Sound::Open) {
            if let Some(answer) = leg.answer.clone().filter(|_| !mutant("route-answer-said-once")) {
                self.sound(MediaCommand::Accept { leg: leg.id, answer });
            }
        }
        let (leg, answer) = match &call.stage {
            Stage::Arriving(Arrival::Accepting { answer, .. }) => (call.caller.id, answer.clone()),
            Stage::Offering(_, offer) => match &offer.step {
                OfferStep::Connecting { answer } => (offer.leg, answer.clone()),
                OfferStep::Opening | OfferStep::Dialling | OfferStep::Ringing => return,
            },
            Stage::Reaching(Reach { leg, step: OfferStep::Connecting { answer }, .. }) => {
                (*leg, answer.clone())
            }
            _ => return,
        };
        if answer.is_none() {
            self.line_lost(call, leg);
        }
    }
}

/// The media of a leg is gone, and nothing is known of what it heard.
fn silence(call: &mut Call, id: LegId) {
    if let Some(leg) = call.leg(id) {
        leg.sound = Sound::Closed { quality: None };
    }
}

fn phone_of(leg: &Leg) -> Option<Extension> {
    match &leg.over {
        Endpoint::Phone(extension) => Some(extension.clone()),
        Endpoint::Trunk(_) => None,
    }
}
