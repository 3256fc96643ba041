//! Somebody on a phone of the house hands the caller on: blind to a phone, a queue, a flow or a number outside;
//! attended to the other side of a conversation that the same phone has.
//!
//! The caller is never lost: what cannot be done is refused before anything changes, and what comes to nothing
//! brings the caller back ([`super::reaching`]). The recording goes on: it is bound to the conversation.
//!
//! ```text
//!  blind      A ═══ caller        A ─── caller ♪ ··· B        caller ═══ B      A is told and let go
//!  attended   A ═══ caller   A ═══ B                          caller ═══ B      both of A's legs are let go
//! ```

use super::{
    Link, Router,
    reaching::{Reached, Target},
};
use crate::{
    agent::{Agent, Next, State},
    call::{Call, OfferStep, Reach, Stage, Talk},
    flows::Position,
    memo,
};
use report_api::Disposition;
use route_api::{Cause, Endpoint, MediaCommand, SignallingCommand, TransferProgress};
use settings::route::{Deed, Where};
use types::{AgentId, CallId, LegId, QueueId};

impl Router {
    /// The far side of a leg asks for it.
    pub(super) fn transferring(&mut self, call: &mut Call, id: LegId, to: String, replaces: Option<LegId>) {
        let now = self.now.utc;
        let to: String = to.chars().take(64).collect();
        let outcome = match &call.stage {
            Stage::Talking(talk) if talk.leg == id => {
                let talk = talk.clone();
                call.decide(now, "transfer.asked", format!("{} asks for {to}", who(call, &talk)));
                match replaces {
                    Some(consulted) => self.hand_over(call, talk, consulted),
                    None => self.send_on(call, talk, to),
                }
            }
            // Said again by an edge that has not heard that it is tried.
            Stage::Reaching(Reach { instead: Some(talk), .. }) if talk.leg == id => {
                return self.tell(id, TransferProgress::Accepted);
            }
            // A carrier does not send our callers about, nor anybody who is not in a conversation.
            _ => Err((Cause::CallRejected, "only who talks with the caller hands it on")),
        };
        if let Err((cause, why)) = outcome {
            call.decide(now, "transfer.refused", why);
            self.tell(id, TransferProgress::Failed { cause });
        }
    }

    /// Blind.
    fn send_on(&mut self, call: &mut Call, talk: Talk, to: String) -> Result<(), (Cause, &'static str)> {
        let from = call.leg(talk.leg).map(|leg| leg.over.clone());
        let from = from.filter(|over| matches!(over, Endpoint::Phone(_)));
        let from = from.ok_or((Cause::CallRejected, "only a phone of the house hands a caller on"))?;
        let target = self.target(&to, &from)?;
        // Media that is away opens the leg as it comes back: that a phone asks just then is no reason to refuse.
        if self.media != Link::Attached && mutant::mutant("route-transfer-needs-media") {
            return Err((Cause::TemporaryFailure, "media is away"));
        }
        let reached = match target {
            Target::Flow(flow) => {
                let present = self.flows.present(&flow);
                let (version, _) = present.ok_or((Cause::UnallocatedNumber, "its flow does not exist"))?;
                self.hand_on(call, talk, &to);
                call.position = Some(Position { flow, version, step: 0, name: None });
                self.begin_flow(call);
                return Ok(());
            }
            Target::Queue(queue) => {
                if self.step_of_queue(call, &queue).is_none() {
                    return Err((Cause::UnallocatedNumber, "no flow leads to this queue"));
                }
                self.hand_on(call, talk, &to);
                self.send_to_queue(call, &queue);
                return Ok(());
            }
            Target::Phone(phone, agent) => Reached::Phone(phone, agent),
            Target::Outside(ways) => Reached::Outside(self.first_way(call, ways)?),
        };
        self.tell(talk.leg, TransferProgress::Accepted);
        self.sound(MediaCommand::Part { leg: call.caller.id });
        let queue = talk.queue.clone();
        self.comfort(call, queue.as_ref());
        self.reach(call, to, reached, Some(talk));
        Ok(())
    }

    /// Whom the caller talked with is done.
    fn hand_on(&mut self, call: &mut Call, talk: Talk, to: &str) {
        call.decide(self.now.utc, "transfer.done", format!("{to} takes the caller"));
        self.tell(talk.leg, TransferProgress::Done);
        self.after_talk(&talk);
        if let Some(leg) = call.leg(talk.leg) {
            self.hang_up_leg(leg, Cause::NormalClearing);
        }
        self.sound(MediaCommand::Part { leg: call.caller.id });
        call.stage = Stage::Talking(Talk { agent: None, ..talk });
        call.unasked = 0;
    }

    /// Attended: the caller takes the place of who consulted.
    fn hand_over(
        &mut self,
        call: &mut Call,
        talk: Talk,
        consulted: LegId,
    ) -> Result<(), (Cause, &'static str)> {
        const NONE: (Cause, &str) = (Cause::CallRejected, "there is no such conversation of the same phone");
        let other = self.legs.get(&consulted).copied().filter(|other| *other != call.id).ok_or(NONE)?;
        let from = call.leg(talk.leg).map(|leg| leg.over.clone()).ok_or(NONE)?;
        let own = self.calls.get(&other).is_some_and(|other| {
            let own = other.caller.id == consulted && other.caller.over == from;
            own && matches!(from, Endpoint::Phone(_))
        });
        if !own && !mutant::mutant("route-transfers-any-leg") {
            return Err(NONE);
        }
        let mut other = self.take(other).ok_or(NONE)?;
        let outcome = match other.stage.clone() {
            Stage::Talking(with) => {
                self.move_leg(&mut other, call, with.leg);
                other.stage = Stage::Talking(Talk { agent: None, ..with.clone() });
                let seat = (with.agent.clone(), self.next_of(with.agent.as_ref()));
                call.decide(self.now.utc, "transfer.done", format!("{} takes the caller", other.dialled));
                let queue = talk.queue.clone();
                self.talk_instead(call, with.leg, seat, queue, Some(talk));
                self.join_recording(call, with.leg);
                Ok(())
            }
            Stage::Reaching(reach) if reach.instead.is_none() => {
                self.move_leg(&mut other, call, reach.leg);
                other.stage = Stage::Talking(Talk { agent: None, ..talk.clone() });
                if let Some(agent) = &reach.agent {
                    self.set_agent(agent, State::Offered { call: call.id });
                }
                self.tell(talk.leg, TransferProgress::Accepted);
                if reach.step == OfferStep::Ringing {
                    self.tell(talk.leg, TransferProgress::Ringing);
                }
                self.sound(MediaCommand::Part { leg: call.caller.id });
                let queue = talk.queue.clone();
                self.comfort(call, queue.as_ref());
                call.stage = Stage::Reaching(Reach { instead: Some(talk), ..reach });
                self.hear_early_again(call);
                Ok(())
            }
            _ => Err((Cause::TemporaryFailure, "the other conversation has not begun")),
        };
        if outcome.is_ok() {
            other.decide(self.now.utc, "call.handed-over", format!("its other side is in call {}", call.id));
            self.end(&mut other, Disposition::Answered, Cause::NormalClearing);
        }
        self.put_back(other);
        outcome
    }

    /// Moves a leg from one call to another. Its own memo says so first: after a kill in between it belongs
    /// to the call that this memo names.
    fn move_leg(&mut self, from: &mut Call, to: &mut Call, id: LegId) {
        let Some(at) = from.agents.iter().position(|leg| leg.id == id) else { return };
        let leg = from.agents.remove(at);
        let memo = memo::part_of(to.id);
        self.signal(SignallingCommand::Remember { leg: id, memo: memo.clone() });
        self.sound(MediaCommand::Remember { leg: id, memo });
        self.legs.insert(id, to.id);
        to.agents.push(leg);
    }

    pub(super) fn next_of(&self, agent: Option<&AgentId>) -> Next {
        match agent.and_then(|agent| self.roster.0.get(agent)) {
            Some(Agent { state: State::Talking { next, .. }, .. }) => next.clone(),
            _ => Next::WrapUp { lasting: None },
        }
    }

    /// Whether a phone hangs up as it is told that its transfer has failed.
    pub(super) fn is_reflex(&self, call: &Call) -> bool {
        let soon = call.back_until.is_some_and(|until| self.now.monotonic < until);
        soon && !mutant::mutant("route-reflex-loses-caller")
    }

    /// The phone that hands a caller on has gone, and nobody has taken the caller: who came by a queue waits there again.
    pub(super) fn wait_again(&mut self, call: &mut Call, talk: Talk) {
        call.back_until = None;
        let Some(queue) = talk.queue.clone() else {
            return self.end(call, Disposition::Answered, Cause::NormalClearing);
        };
        call.decide(self.now.utc, "transfer.hung-up", "its phone hung up as it was told of the failure");
        self.after_talk(&talk);
        call.stage = Stage::Talking(Talk { agent: None, ..talk });
        self.send_to_queue(call, &queue);
    }

    /// Lets the caller wait in a queue, by a step of a flow that does so; where there is none the call ends.
    pub(super) fn send_to_queue(&mut self, call: &mut Call, queue: &QueueId) {
        let Some(position) = self.step_of_queue(call, queue) else {
            call.decide(self.now.utc, "queue.removed", format!("no flow leads to {queue}"));
            return self.end(call, Disposition::Answered, Cause::TemporaryFailure);
        };
        let at = position.step;
        call.position = Some(position);
        call.unasked = 0;
        self.sound(MediaCommand::Part { leg: call.caller.id });
        self.go_on(call, Where::Step(at));
    }

    /// Where a flow lets callers wait in this queue: the call's own flow first.
    fn step_of_queue(&self, call: &Call, queue: &QueueId) -> Option<Position> {
        let own = call.position.as_ref().map(|position| (position.flow.clone(), position.version));
        let others = self.plan.route.flows.iter().filter_map(|flow| {
            let (version, _) = self.flows.present(&flow.name)?;
            Some((flow.name.clone(), version))
        });
        own.into_iter().chain(others).find_map(|(flow, version)| {
            let steps = self.flows.version(version)?;
            let leads = |does: &Deed| matches!(does, Deed::Queue(queueing) if queueing.name == *queue);
            let step = steps.steps.iter().position(|step| leads(&step.does))?;
            Some(Position { flow, version, step, name: steps.steps.get(step)?.name.clone() })
        })
    }

    /// Of a call that came back: legs that another call has taken over meanwhile are that one's.
    pub(super) fn disown(call: &mut Call, owner: impl Fn(LegId) -> Option<CallId>) {
        let id = call.id;
        call.agents.retain(|leg| owner(leg.id).is_none_or(|owner| owner == id));
    }

    /// Whether the call came back without whom it was with.
    pub(super) fn is_bereft(call: &mut Call) -> bool {
        let with = match &call.stage {
            Stage::Talking(talk) => talk.leg,
            Stage::Reaching(reach) => reach.leg,
            _ => return false,
        };
        call.leg(with).is_none()
    }
}

/// Who talks with the caller.
fn who(call: &Call, talk: &Talk) -> String {
    match (&talk.agent, call.legs().find(|leg| leg.id == talk.leg).map(|leg| &leg.over)) {
        (Some(agent), _) => agent.to_string(),
        (None, Some(Endpoint::Phone(phone))) => format!("phone {phone}"),
        (None, Some(Endpoint::Trunk(trunk))) => format!("trunk {trunk}"),
        (None, None) => "nobody".to_owned(),
    }
}
