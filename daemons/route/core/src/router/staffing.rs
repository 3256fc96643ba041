//! Agents' states: what follows when a call, a phone or a person changes them.

use super::offering::Fate;
use super::{RETURN, Router, Staffing, Timer};
use crate::{
    agent::{Agent, Next, State},
    call::{Stage, Talk},
};
use mutant::mutant;
use report_api::OfferOutcome;
use route_api::{Cause, Endpoint};
use std::time::Duration;
use types::AgentId;

/// Why an agent whose phone cannot be reached takes no contacts.
pub(super) const PHONE_LOST: &str = "phone-lost";

impl Router {
    pub(super) fn set_agent(&mut self, id: &AgentId, state: State) {
        let now = self.now;
        let agent = self.roster.0.get_or(id, || Agent::signed_out(now.utc));
        if agent.state == state {
            return;
        }
        agent.state = state;
        agent.since = now.utc;
        match &agent.state {
            State::WrapUp { until } => {
                self.agenda.insert((*until, Timer::Agent(id.clone())));
            }
            State::SignedOut => {
                agent.phone = None;
                self.staffing = Staffing::Fewer;
                if self.plan.agent(id).is_none() {
                    self.roster.0.remove(id);
                }
            }
            State::Aux { .. } | State::Ready | State::Offered { .. } | State::Talking { .. } => {}
        }
    }

    /// Free again, and at the end of the turn.
    pub(super) fn make_ready(&mut self, id: &AgentId) {
        if let Some(agent) = self.roster.0.get_mut(id) {
            agent.idle = self.now.monotonic;
        }
        self.set_agent(id, State::Ready);
    }

    /// The offer is over and it was not the agent's doing: ready, and idle as long as before.
    pub(super) fn release(&mut self, id: &AgentId) {
        if matches!(self.roster.0.get(id), Some(Agent { state: State::Offered { .. }, .. }))
            && !mutant("route-stuck-agent")
        {
            let known = self.plan.agent(id).is_some();
            self.set_agent(id, if known { State::Ready } else { State::SignedOut });
        }
    }

    /// The conversation is over.
    pub(super) fn after_talk(&mut self, talk: &Talk) {
        let Some(id) = &talk.agent else { return };
        let Some(Agent { state: State::Talking { next, .. }, .. }) = self.roster.0.get(id) else { return };
        let queue = talk.queue.as_ref().and_then(|queue| self.plan.queue(queue));
        let wrap_up = queue.map_or(Duration::ZERO, |queue| queue.wrap_up.duration());
        if let Some(queue) = &talk.queue {
            let talked = self.now.monotonic.since(talk.since);
            self.paces.entry(queue.clone()).or_default().took(talked + wrap_up);
        }
        let wrap_up = match next {
            Next::WrapUp { lasting: Some(lasting) } => *lasting,
            _ => wrap_up,
        };
        match next.clone() {
            _ if self.plan.agent(id).is_none() => self.set_agent(id, State::SignedOut),
            Next::SignedOut => self.set_agent(id, State::SignedOut),
            Next::Aux { reason } => self.set_agent(id, State::Aux { reason }),
            Next::WrapUp { .. } if wrap_up.is_zero() => self.make_ready(id),
            Next::WrapUp { .. } => {
                self.set_agent(id, State::WrapUp { until: self.now.monotonic.plus(wrap_up) })
            }
        }
    }

    pub(super) fn wrapped_up(&mut self, id: &AgentId) {
        if let Some(Agent { state: State::WrapUp { until }, .. }) = self.roster.0.get(id)
            && *until <= self.now.monotonic
        {
            self.make_ready(id);
        }
    }

    /// Agents of an earlier life: those who were on a call get it back when signalling attaches.
    pub(super) fn return_to_work(&mut self) {
        let agents: Vec<_> =
            self.roster.0.iter().map(|(id, agent)| (id.clone(), agent.state.clone())).collect();
        for (id, state) in agents {
            match state {
                State::Offered { .. } => self.set_agent(&id, State::Ready),
                State::Talking { .. } => {
                    self.set_agent(&id, State::WrapUp { until: self.now.monotonic.plus(RETURN) });
                }
                State::WrapUp { until } => {
                    self.agenda.insert((until, Timer::Agent(id)));
                }
                State::SignedOut | State::Aux { .. } | State::Ready => {}
            }
        }
    }

    /// Whether a phone can be reached is another.
    pub(super) fn phone_turned(&mut self, endpoint: &Endpoint) {
        if let Endpoint::Phone(phone) = endpoint {
            self.roster.0.unseat(phone);
        }
    }

    /// A phone cannot be reached any more: who sits at it takes no contacts, and what rings there goes to
    /// somebody else. A conversation goes on as long as it can be heard.
    pub(super) fn phone_lost(&mut self, endpoint: &Endpoint) {
        let Endpoint::Phone(phone) = endpoint else { return };
        if mutant("route-lost-phone-ready") {
            return;
        }
        let seat = self.roster.0.iter().find(|(_, agent)| agent.phone.as_ref() == Some(phone));
        let Some((id, state)) = seat.map(|(id, agent)| (id.clone(), agent.state.clone())) else { return };
        let aux = || State::Aux { reason: PHONE_LOST.to_owned() };
        match state {
            State::SignedOut | State::Aux { .. } => {}
            State::Ready | State::WrapUp { .. } => self.set_agent(&id, aux()),
            State::Offered { call } => self.with_call(call, |router, call| {
                if matches!(call.stage, Stage::Reaching(_)) {
                    let why = format!("phone {phone} cannot be reached any more");
                    router.reach_failed(call, Cause::DestinationOutOfOrder, &why);
                    router.set_agent(&id, aux());
                } else if matches!(call.stage, Stage::Offering(..)) {
                    let why = format!("phone {phone} cannot be reached any more");
                    let cause = Cause::DestinationOutOfOrder;
                    router.offer_failed(call, OfferOutcome::Failed, Fate::Aux(PHONE_LOST), cause, &why);
                }
            }),
            State::Talking { call, next: Next::WrapUp { .. } } => {
                let next = Next::Aux { reason: PHONE_LOST.to_owned() };
                self.set_agent(&id, State::Talking { call, next });
            }
            State::Talking { .. } => {}
        }
    }
}
