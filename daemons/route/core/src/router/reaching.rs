//! One leg that is called for a caller: the other side of a call from a phone, and of a transfer.
//!
//! ```text
//!  reach ─► Opening ─► Dialling ─► Ringing ─► Connecting ─► they talk
//!              └───────────┴───────────┴──────────┴─► failed: back to whom the caller talked with,
//!                                                     else to the queue, else the end
//! ```
//!
//! The caller of a transfer hears the queue's music meanwhile; the caller of a call from a phone hears that
//! it rings, and is answered when the other is. Both hear what the other side says early ([`super::early`]).

use super::{
    MEDIA, Router, SIGN, consent,
    elsewhere::{SETUP, SILENCE},
};
use crate::{
    agent::{Agent, Next, State},
    call::{Call, Hold, OfferStep, Reach, Stage, Talk},
    leg::{Leg, Line, Sound},
    memo,
    outside::{NotCalled, Way, Ways},
};
use report_api::Disposition;
use route_api::{
    Cause, EndedBy, Endpoint, MediaCommand, Reachability, SessionDescription, SignallingCommand,
    TransferProgress,
};
use std::{collections::VecDeque, time::Duration};
use types::{AgentId, Extension, LegId, Name, QueueId};

/// How long the other may let it ring.
const PATIENCE: Duration = Duration::from_secs(45);

/// How soon a phone hangs up by itself as it is told that its transfer has failed: some do (baresip 1.0), and no hand is
/// as quick.
const REFLEX: Duration = Duration::from_millis(700);

/// Where a number leads that somebody of the house has dialled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Target {
    Flow(Name),
    Queue(QueueId),
    /// A phone, and who sits there.
    Phone(Extension, Option<(AgentId, Next)>),
    /// A number outside, and the ways to it.
    Outside(VecDeque<Way>),
}

/// Who is called for a caller.
pub(super) enum Reached {
    /// A phone, and who sits there.
    Phone(Extension, Option<(AgentId, Next)>),
    /// A number outside.
    Outside(Ways),
}

impl Router {
    /// Where a number leads, for whom it is dialled from there.
    pub(super) fn target(&self, to: &str, from: &Endpoint) -> Result<Target, NotCalled> {
        if self.plan.is_emergency(to) {
            return self.ways_outside(to).map(Target::Outside);
        }
        if let Some(flow) = self.plan.flow(to) {
            return Ok(Target::Flow(flow.clone()));
        }
        if let Some(queue) = self.plan.route.queues.iter().find(|queue| queue.name.to_string() == to) {
            return Ok(Target::Queue(queue.name.clone()));
        }
        let phone = to.parse::<Extension>().ok();
        match phone.and_then(|phone| Some((self.endpoints.get(&Endpoint::Phone(phone.clone()))?, phone))) {
            Some((_, phone)) if *from == Endpoint::Phone(phone.clone()) => {
                Err((Cause::UserBusy, "it is the phone that asks"))
            }
            Some((Reachability::Unreachable, _)) => {
                Err((Cause::DestinationOutOfOrder, "the phone cannot be reached"))
            }
            Some((_, phone)) => {
                let seat = self.roster.0.iter().find(|(_, agent)| agent.phone.as_ref() == Some(&phone));
                let agent = match seat {
                    None => None,
                    Some((id, agent)) => {
                        let busy = (Cause::UserBusy, "its agent is on a call");
                        Some((id.clone(), free(agent).ok_or(busy)?))
                    }
                };
                Ok(Target::Phone(phone, agent))
            }
            None => self.ways_outside(to).map(Target::Outside),
        }
    }

    /// Calls the other side of a call that came from a phone.
    pub(super) fn reach_dialled(&mut self, call: &mut Call) {
        let dialled = call.dialled.clone();
        match self.target(&dialled, &call.caller.over) {
            Ok(Target::Phone(phone, agent)) => {
                self.reach(call, dialled, Reached::Phone(phone, agent), None);
            }
            Ok(Target::Outside(ways)) => match self.outward(call, ways) {
                Ok(ways) => self.reach(call, dialled, Reached::Outside(ways), None),
                Err((cause, why)) => self.not_called(call, cause, why),
            },
            Ok(Target::Flow(_) | Target::Queue(_)) => {
                self.not_called(call, Cause::UnallocatedNumber, "it is not dialled from a phone");
            }
            Err((cause, why)) => self.not_called(call, cause, why),
        }
    }

    fn not_called(&mut self, call: &mut Call, cause: Cause, why: &str) {
        let why = format!("{} cannot be called, cause {}: {why}", call.dialled, cause.q850());
        self.refuse(call, Disposition::Refused, cause, why);
    }

    /// A phone may have so many calls outside as the settings say; those for help do not count.
    fn outward(&self, call: &mut Call, ways: VecDeque<Way>) -> Result<Ways, NotCalled> {
        let most = usize::try_from(self.plan.route.outside_calls).unwrap_or(usize::MAX);
        if let Endpoint::Phone(phone) = &call.caller.over
            && self.outside_calls(phone) >= most
            && !self.plan.is_emergency(&call.dialled)
            && !mutant::mutant("route-endless-outside-calls")
        {
            return Err((
                Cause::CallRejected,
                "the phone has as many calls outside as it may (route.outside_calls)",
            ));
        }
        self.first_way(call, ways)
    }

    /// Calls somebody for the caller; `instead` is the conversation whose place it takes.
    pub(super) fn reach(&mut self, call: &mut Call, to: String, reached: Reached, instead: Option<Talk>) {
        let now = self.now;
        let (over, seat, ways) = match reached {
            Reached::Phone(phone, seat) => (Endpoint::Phone(phone), seat, None),
            Reached::Outside(ways) => (Endpoint::Trunk(ways.present.trunk.clone()), None, Some(ways)),
        };
        let (agent, next) = match seat {
            Some((agent, next)) => (Some(agent), next),
            None => (None, Next::WrapUp { lasting: None }),
        };
        if ways.is_some() && matches!(call.caller.over, Endpoint::Phone(_)) {
            // Whoever sits there knows; whether the other is recorded too is for the settings to say.
            call.consent.get_or_insert(consent::of_joining(&call.caller.over, self.plan.rule.outside));
        }
        let leg = self.open_leg(call, over, agent.clone());
        if let Some(agent) = &agent {
            self.set_agent(agent, State::Offered { call: call.id });
        }
        let until = now.monotonic.plus(MEDIA);
        let step = OfferStep::Opening;
        call.stage = Stage::Reaching(Reach { to, leg, agent, next, at: now.utc, step, until, instead, ways });
    }

    /// media made our description for the leg; `false` where this leg is no such one.
    pub(super) fn reach_opened(
        &mut self,
        call: &mut Call,
        id: LegId,
        description: &SessionDescription,
    ) -> bool {
        let now = self.now;
        let Stage::Reaching(reach) = &mut call.stage else { return false };
        if reach.leg != id || reach.step != OfferStep::Opening {
            return false;
        }
        reach.step = OfferStep::Dialling;
        reach.at = now.utc;
        let (to, ways) = (reach.to.clone(), reach.ways.clone());
        let (call_id, from) = (call.id, call.from.clone());
        let Some(leg) = call.leg(id) else { return false };
        (leg.sound, leg.line, leg.began) = (Sound::Open, Line::Ringing, now.utc);
        let over = leg.over.clone();
        let others = ways.as_ref().is_some_and(|ways| !ways.rest.is_empty() && now.monotonic < ways.until);
        if let Stage::Reaching(reach) = &mut call.stage {
            // A trunk takes its time; a phone that says nothing is not there.
            let patience = match over {
                Endpoint::Phone(_) => SIGN,
                Endpoint::Trunk(_) if others => SETUP,
                Endpoint::Trunk(_) => PATIENCE,
            };
            reach.until = now.monotonic.plus(patience);
        }
        // The call's own memo goes first: after a crash between the two the leg is known as this call's.
        self.remember(call);
        let (description, memo) = (description.clone(), memo::part_of(call_id));
        let (number, from) = match ways {
            Some(Ways { present, .. }) => (present.number.clone(), present.shown(from)),
            None => (to, from),
        };
        let silence_ms = others.then(|| u32::try_from(SILENCE.as_millis()).unwrap_or(u32::MAX));
        self.signal(SignallingCommand::Dial { leg: id, over, number, from, description, memo, silence_ms });
        true
    }

    pub(super) fn reach_rings(&mut self, call: &mut Call, id: LegId, early: Option<SessionDescription>) {
        let until = self.now.monotonic.plus(PATIENCE);
        let Stage::Reaching(reach) = &mut call.stage else { return };
        if reach.leg != id || !matches!(reach.step, OfferStep::Dialling | OfferStep::Ringing) {
            return;
        }
        let first = reach.step == OfferStep::Dialling;
        if first {
            (reach.step, reach.until) = (OfferStep::Ringing, until);
        }
        let transferor = reach.instead.as_ref().map(|talk| talk.leg);
        let sounds = early.is_some() && call.leg(id).is_none_or(|leg| leg.said_early.is_none());
        match transferor {
            Some(leg) if first => self.tell(leg, TransferProgress::Ringing),
            None if call.caller.line == Line::Ringing && (first || sounds) => {
                let description = call.caller.early.clone().filter(|_| sounds);
                let memo = memo::of_call(call);
                call.remembered.clone_from(&memo.0);
                self.signal(SignallingCommand::Ring { leg: call.caller.id, description, memo });
            }
            Some(_) | None => {}
        }
        if let Some(description) = early {
            self.hear_early(call, id, description);
        }
    }

    /// media took the answer: they talk.
    pub(super) fn reach_connected(&mut self, call: &mut Call, id: LegId) {
        let Stage::Reaching(reach) = &call.stage else { return };
        if reach.leg != id || !matches!(reach.step, OfferStep::Connecting { .. }) {
            return;
        }
        let reach = reach.clone();
        let what = if reach.instead.is_some() { "transfer.done" } else { "call.answered" };
        call.decide(self.now.utc, what, format!("{} answered", reach.to));
        self.reached(call, id, (reach.agent, reach.next), reach.instead);
    }

    /// Who was called, or who takes the call for them, talks with the caller, who is answered now.
    pub(super) fn reached(
        &mut self,
        call: &mut Call,
        leg: LegId,
        seat: (Option<AgentId>, Next),
        instead: Option<Talk>,
    ) {
        let queue = instead.as_ref().and_then(|talk| talk.queue.clone());
        self.talk_instead(call, leg, seat, queue, instead);
        if call.caller.line == Line::Ringing
            && let Some(description) = call.caller.early.clone()
        {
            call.caller.answered = Some(self.now.utc);
            self.answer(call, description);
        }
    }

    /// Caller and this leg talk from now on, instead of the conversation before.
    pub(super) fn talk_instead(
        &mut self,
        call: &mut Call,
        leg: LegId,
        (agent, next): (Option<AgentId>, Next),
        queue: Option<QueueId>,
        instead: Option<Talk>,
    ) {
        if let Some(agent) = &agent {
            self.set_agent(agent, State::Talking { call: call.id, next });
        }
        call.stage = Stage::Talking(Talk { agent, leg, queue, since: self.now.monotonic, hold: Hold::None });
        self.sound(MediaCommand::Bridge { leg: call.caller.id, with: leg });
        if let Some(before) = instead {
            self.tell(before.leg, TransferProgress::Done);
            self.after_talk(&before);
            if let Some(leg) = call.leg(before.leg) {
                self.hang_up_leg(leg, Cause::NormalClearing);
            }
        }
        self.tap(call);
    }

    pub(super) fn reach_overdue(&mut self, call: &mut Call) {
        let Stage::Reaching(reach) = &call.stage else { return };
        let (cause, why) = match reach.step {
            OfferStep::Dialling => (Cause::NoUserResponding, "there was no sign of ringing"),
            OfferStep::Ringing => (Cause::NoAnswer, "it rang, nobody answered"),
            OfferStep::Opening | OfferStep::Connecting { .. } => {
                (Cause::TemporaryFailure, "media did not answer in time")
            }
        };
        let step = reach.step.clone();
        if step == OfferStep::Dialling && self.tried_elsewhere(call, cause, EndedBy::House, why) {
            return;
        }
        self.reach_failed(call, cause, why);
    }

    /// Nobody was reached.
    pub(super) fn reach_failed(&mut self, call: &mut Call, cause: Cause, why: &str) {
        let Stage::Reaching(reach) = call.stage.clone() else { return };
        self.give_up_reach(call, &reach, cause);
        let Some(talk) = reach.instead else {
            call.decide(self.now.utc, "call.failed", format!("{}: {why}", reach.to));
            return self.end(call, Disposition::Refused, cause);
        };
        call.decide(self.now.utc, "transfer.failed", format!("{}: {why}", reach.to));
        self.tell(talk.leg, TransferProgress::Failed { cause });
        let stays = |leg: &Leg| leg.line == Line::Established && leg.sound == Sound::Open;
        if call.leg(talk.leg).is_some_and(|leg| stays(leg)) && !mutant::mutant("route-transfer-loses-caller")
        {
            call.stage = Stage::Talking(talk);
            call.back_until = Some(self.now.monotonic.plus(REFLEX));
            return self.rejoin(call);
        }
        match talk.queue.clone().filter(|_| !mutant::mutant("route-transfer-loses-caller")) {
            Some(queue) => {
                call.stage = Stage::Talking(Talk { agent: None, ..talk });
                self.send_to_queue(call, &queue);
            }
            None => self.end(call, Disposition::Answered, cause),
        }
    }

    /// Takes back what was begun; the stage is to be set afterwards.
    pub(super) fn give_up_reach(&mut self, call: &mut Call, reach: &Reach, cause: Cause) {
        if let Some(leg) = call.leg(reach.leg) {
            self.hang_up_leg(leg, cause);
        }
        let Some(agent) = &reach.agent else { return };
        match &reach.next {
            Next::Aux { reason } if self.offered_by(agent, call) => {
                self.set_agent(agent, State::Aux { reason: reason.clone() });
            }
            _ => self.release(agent),
        }
    }

    fn offered_by(&self, agent: &AgentId, call: &Call) -> bool {
        self.roster.0.get(agent).is_some_and(|agent| agent.call() == Some(call.id))
    }

    /// Whom the caller was talking with has gone, while another is called.
    pub(super) fn transferor_gone(&mut self, call: &mut Call) {
        if let Stage::Reaching(Reach { instead: Some(talk), .. }) = &mut call.stage {
            let before = talk.clone();
            talk.agent = None;
            self.after_talk(&before);
        }
    }

    /// The music of a queue for the caller; silence where it has none.
    pub(super) fn comfort(&mut self, call: &mut Call, queue: Option<&QueueId>) {
        let queue = queue.and_then(|queue| self.plan.queue(queue));
        match queue.and_then(|queue| queue.music.as_ref()).and_then(crate::plan::prompt) {
            Some(music) => {
                self.play(call, vec![music], route_api::Times::Endless);
            }
            None => self.sound(MediaCommand::Stop { leg: call.caller.id }),
        }
    }

    /// Tells who asked for a transfer how it goes.
    pub(super) fn tell(&mut self, leg: LegId, progress: TransferProgress) {
        self.signal(SignallingCommand::Transfer { leg, progress });
    }
}

/// What an agent who can be called does afterwards; `None` for one who is on a call.
pub(super) fn free(agent: &Agent) -> Option<Next> {
    match &agent.state {
        State::Offered { .. } | State::Talking { .. } => None,
        State::Aux { reason } => Some(Next::Aux { reason: reason.clone() }),
        State::Ready | State::WrapUp { .. } | State::SignedOut => Some(Next::WrapUp { lasting: None }),
    }
}
