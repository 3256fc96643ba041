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

use super::{MEDIA, Router, SIGN};
use crate::{
    agent::{Agent, Next, State},
    call::{Call, Hold, OfferStep, Reach, Stage, Talk},
    leg::{Leg, Line, Sound},
    memo,
};
use report_api::Disposition;
use route_api::{
    Cause, Endpoint, MediaCommand, Reachability, SessionDescription, SignallingCommand, TransferProgress,
};
use std::time::Duration;
use types::{AgentId, Extension, LegId, Name, QueueId};

/// How long the other may let it ring.
const PATIENCE: Duration = Duration::from_secs(45);

/// Where a number leads that somebody of the house has dialled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Target {
    Flow(Name),
    Queue(QueueId),
    /// A phone, and who sits there.
    Phone(Extension, Option<(AgentId, Next)>),
    Trunk(Endpoint),
}

impl Router {
    /// Where a number leads, for whom it is dialled from there.
    pub(super) fn target(&self, to: &str, from: &Endpoint) -> Result<Target, Cause> {
        if let Some(flow) = self.plan.flow(to) {
            return Ok(Target::Flow(flow.clone()));
        }
        if let Some(queue) = self.plan.route.queues.iter().find(|queue| queue.name.to_string() == to) {
            return Ok(Target::Queue(queue.name.clone()));
        }
        let phone = to.parse::<Extension>().ok();
        match phone.and_then(|phone| Some((self.endpoints.get(&Endpoint::Phone(phone.clone()))?, phone))) {
            Some((_, phone)) if *from == Endpoint::Phone(phone.clone()) => Err(Cause::UserBusy),
            Some((Reachability::Unreachable, _)) => Err(Cause::DestinationOutOfOrder),
            Some((_, phone)) => {
                let seat = self.roster.0.iter().find(|(_, agent)| agent.phone.as_ref() == Some(&phone));
                let agent = match seat {
                    None => None,
                    Some((id, agent)) => Some((id.clone(), free(agent).ok_or(Cause::UserBusy)?)),
                };
                Ok(Target::Phone(phone, agent))
            }
            None => self.outside(to),
        }
    }

    /// A number beyond the house, which the settings have to allow.
    fn outside(&self, to: &str) -> Result<Target, Cause> {
        let digits = to.strip_prefix('+').unwrap_or(to);
        let sound = (1..=32).contains(&digits.len())
            && digits.bytes().all(|b| b.is_ascii_digit() || b == b'*' || b == b'#');
        let allowed = self.plan.route.outside.iter().any(|prefix| to.starts_with(prefix.as_str()));
        if !sound || !(allowed || mutant::mutant("route-anywhere-outside")) {
            return Err(Cause::UnallocatedNumber);
        }
        let trunk = self.endpoints.iter().find(|(endpoint, reachable)| {
            matches!(endpoint, Endpoint::Trunk(_)) && **reachable != Reachability::Unreachable
        });
        trunk.map(|(trunk, _)| Target::Trunk(trunk.clone())).ok_or(Cause::DestinationOutOfOrder)
    }

    /// Calls the other side of a call that came from a phone.
    pub(super) fn reach_dialled(&mut self, call: &mut Call) {
        match self.target(&call.dialled, &call.caller.over) {
            Ok(Target::Phone(phone, agent)) => {
                self.reach(call, call.dialled.clone(), Endpoint::Phone(phone), agent, None);
            }
            Ok(Target::Trunk(trunk)) => self.reach(call, call.dialled.clone(), trunk, None, None),
            Ok(Target::Flow(_) | Target::Queue(_)) => {
                let why = format!("{} is not dialled from a phone", call.dialled);
                self.refuse(call, Disposition::Refused, Cause::UnallocatedNumber, why);
            }
            Err(cause) => {
                let why = format!("{} cannot be called, cause {}", call.dialled, cause.q850());
                self.refuse(call, Disposition::Refused, cause, why);
            }
        }
    }

    /// Calls somebody for the caller; `instead` is the conversation whose place it takes.
    pub(super) fn reach(
        &mut self,
        call: &mut Call,
        to: String,
        over: Endpoint,
        agent: Option<(AgentId, Next)>,
        instead: Option<Talk>,
    ) {
        let now = self.now;
        let leg = LegId(self.ids.next());
        let (agent, next) = match agent {
            Some((agent, next)) => (Some(agent), next),
            None => (None, Next::WrapUp { lasting: None }),
        };
        let mut side = Leg::ours(leg, over, agent.clone(), now.utc);
        side.sound = Sound::Opening;
        call.agents.push(side);
        self.legs.insert(leg, call.id);
        if let Some(agent) = &agent {
            self.set_agent(agent, State::Offered { call: call.id });
        }
        let until = now.monotonic.plus(MEDIA);
        let step = OfferStep::Opening;
        call.stage = Stage::Reaching(Reach { to, leg, agent, next, at: now.utc, step, until, instead });
        let beside = Some(call.caller.id);
        self.sound(MediaCommand::Open { leg, offer: None, memo: memo::part_of(call.id), beside });
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
        let number = reach.to.clone();
        let (call_id, from) = (call.id, call.from.clone());
        let Some(leg) = call.leg(id) else { return false };
        (leg.sound, leg.line, leg.began) = (Sound::Open, Line::Ringing, now.utc);
        let over = leg.over.clone();
        if let Stage::Reaching(reach) = &mut call.stage {
            // A trunk takes its time; a phone that says nothing is not there.
            let patience = if matches!(over, Endpoint::Phone(_)) { SIGN } else { PATIENCE };
            reach.until = now.monotonic.plus(patience);
        }
        // The call's own memo goes first: after a crash between the two the leg is known as this call's.
        self.remember(call);
        let (description, memo) = (description.clone(), memo::part_of(call_id));
        self.signal(SignallingCommand::Dial { leg: id, over, number, from, description, memo });
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
        let sounds = early.is_some() && !call.leg(id).is_some_and(|leg| leg.said_early.is_some());
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
        let queue = reach.instead.as_ref().and_then(|talk| talk.queue.clone());
        self.talk_instead(call, id, (reach.agent, reach.next), queue, reach.instead);
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

    /// Whether somebody is on a call of their own at this phone.
    pub(super) fn is_dialling(&self, phone: &Extension) -> bool {
        let from = |call: &Call| match &call.caller.over {
            Endpoint::Phone(caller) => caller == phone && !call.caller.line_over(),
            Endpoint::Trunk(_) => false,
        };
        self.calls.values().any(from)
    }
}

/// What an agent who can be called does afterwards; `None` for one who is on a call.
fn free(agent: &Agent) -> Option<Next> {
    match &agent.state {
        State::Offered { .. } | State::Talking { .. } => None,
        State::Aux { reason } => Some(Next::Aux { reason: reason.clone() }),
        State::Ready | State::WrapUp { .. } | State::SignedOut => Some(Next::WrapUp { lasting: None }),
    }
}
