//! What people ask of the live state. Who may ask what, and the audit entry before it, are the shell's.

use super::Router;
use super::offering::Fate;
use crate::{
    agent::{Agent, Next, State},
    call::Stage,
    input::{DeskError, Moment},
};
use report_api::{Disposition, OfferOutcome};
use route_api::{AgentEntry, AgentState, Cause, Endpoint, Reachability};
use std::time::Duration;
use types::{AgentId, CallId, Extension};

/// What an agent who has just signed in does.
const SIGNED_IN: &str = "sign-in";

impl Router {
    /// Signs an agent in at a phone, or out.
    ///
    /// # Errors
    /// [`DeskError`].
    pub fn sign_in(
        &mut self,
        now: Moment,
        id: &AgentId,
        phone: Option<Extension>,
    ) -> Result<AgentEntry, DeskError> {
        self.arrive_at(now);
        let Some(phone) = phone else { return self.set_state(now, id, AgentState::SignedOut) };
        self.may_sit(id, &phone)?;
        let now = self.now;
        let agent = self.roster.0.get_or(id, || Agent::signed_out(now.utc));
        match &agent.state {
            State::Offered { .. } | State::Talking { .. } if agent.phone.as_ref() != Some(&phone) => {
                return Err(DeskError::OnCall);
            }
            State::SignedOut => {
                agent.phone = Some(phone);
                self.set_agent(id, State::Aux { reason: SIGNED_IN.to_owned() });
            }
            _ => agent.phone = Some(phone),
        }
        self.dispatch();
        Ok(self.agent_entry(id))
    }

    fn may_sit(&self, id: &AgentId, phone: &Extension) -> Result<(), DeskError> {
        if self.plan.agent(id).is_none() {
            return Err(DeskError::UnknownAgent);
        }
        if !self.endpoints.contains_key(&Endpoint::Phone(phone.clone())) {
            return Err(DeskError::UnknownPhone);
        }
        let taken =
            self.roster.0.iter().any(|(other, agent)| other != id && agent.phone.as_ref() == Some(phone));
        if taken { Err(DeskError::PhoneTaken) } else { Ok(()) }
    }

    /// Sets an agent's state: Ready, Aux or SignedOut.
    ///
    /// # Errors
    /// [`DeskError`].
    pub fn set_state(
        &mut self,
        now: Moment,
        id: &AgentId,
        wanted: AgentState,
    ) -> Result<AgentEntry, DeskError> {
        self.arrive_at(now);
        let Some(agent) = self.roster.0.get(id) else { return Err(DeskError::UnknownAgent) };
        let present = agent.state.clone();
        self.may_be(agent, &wanted)?;
        match (present, wanted) {
            (_, AgentState::Offered | AgentState::Talking | AgentState::WrapUp) => {
                return Err(DeskError::NotSettable);
            }
            (State::SignedOut, AgentState::SignedOut) | (State::Ready, AgentState::Ready) => {}
            (State::SignedOut, _) => return Err(DeskError::SignedOut),
            (State::Offered { .. }, AgentState::Ready) => {}
            (State::Offered { call }, wanted) => {
                self.withdraw(call);
                self.set_agent(id, asked(wanted));
            }
            (State::Talking { call, .. }, wanted) => {
                let next = match wanted {
                    AgentState::Aux(reason) => Next::Aux { reason },
                    AgentState::SignedOut => Next::SignedOut,
                    _ => Next::WrapUp { lasting: None },
                };
                self.set_agent(id, State::Talking { call, next });
            }
            (_, AgentState::Ready) => self.make_ready(id),
            (_, wanted) => self.set_agent(id, asked(wanted)),
        }
        self.dispatch();
        Ok(self.agent_entry(id))
    }

    /// Whether settings and phone allow this state.
    fn may_be(&self, agent: &Agent, wanted: &AgentState) -> Result<(), DeskError> {
        match (wanted, &agent.phone) {
            (AgentState::Ready, Some(phone)) => match self.endpoints.get(&Endpoint::Phone(phone.clone())) {
                Some(Reachability::Unreachable) => Err(DeskError::PhoneLost(phone.clone())),
                _ => Ok(()),
            },
            (AgentState::Aux(reason), _) => {
                let reasons = &self.plan.route.aux_reasons;
                if reasons.is_empty() || reasons.iter().any(|known| known.as_str() == reason) {
                    return Ok(());
                }
                let known: Vec<&str> = reasons.iter().map(types::Name::as_str).collect();
                Err(DeskError::AuxReason(known.join(", ")))
            }
            _ => Ok(()),
        }
    }

    /// Sets how long after-call work lasts from now on; of a call that goes on, from its end.
    ///
    /// # Errors
    /// [`DeskError`].
    pub fn wrap_up(&mut self, now: Moment, id: &AgentId, lasting: Duration) -> Result<AgentEntry, DeskError> {
        self.arrive_at(now);
        let Some(agent) = self.roster.0.get(id) else { return Err(DeskError::UnknownAgent) };
        match agent.state {
            State::WrapUp { .. } => {
                let since = agent.since;
                self.set_agent(id, State::WrapUp { until: self.now.monotonic.plus(lasting) });
                if let Some(agent) = self.roster.0.get_mut(id) {
                    agent.since = since;
                }
            }
            State::Talking { call, .. } => {
                let next = Next::WrapUp { lasting: Some(lasting) };
                self.set_agent(id, State::Talking { call, next });
            }
            State::SignedOut => return Err(DeskError::SignedOut),
            State::Aux { .. } | State::Ready | State::Offered { .. } => {
                return Err(DeskError::NothingToWrapUp);
            }
        }
        self.dispatch();
        Ok(self.agent_entry(id))
    }

    /// Takes an offer back; the caller waits again, at its place.
    fn withdraw(&mut self, call: CallId) {
        self.with_call(call, |router, call| {
            let cause = Cause::NormalClearing;
            router.reach_failed(call, Cause::CallRejected, "taken back");
            router.offer_failed(call, OfferOutcome::Failed, Fate::Aux("withdrawn"), cause, "taken back");
        });
    }

    /// Ends a call.
    ///
    /// # Errors
    /// [`DeskError::UnknownCall`].
    pub fn hang_up(&mut self, now: Moment, call: CallId) -> Result<(), DeskError> {
        self.arrive_at(now);
        if !self.calls.contains_key(&call) {
            return Err(DeskError::UnknownCall);
        }
        self.with_call(call, |router, call| {
            call.decide(router.now.utc, "call.hung-up", "a person ended it");
            let disposition = match call.stage {
                Stage::Talking(_) => Disposition::Answered,
                Stage::Reaching(ref reach) if reach.instead.is_some() => Disposition::Answered,
                _ => Disposition::Refused,
            };
            router.end(call, disposition, Cause::NormalClearing);
        });
        self.dispatch();
        Ok(())
    }

    /// Whether this agent talks on this call.
    pub fn talks(&self, agent: &AgentId, call: CallId) -> bool {
        matches!(self.calls.get(&call).map(|call| &call.stage), Some(Stage::Talking(talk)) if talk.agent.as_ref() == Some(agent))
    }
}

/// Only called with what people set.
fn asked(wanted: AgentState) -> State {
    match wanted {
        AgentState::Aux(reason) => State::Aux { reason },
        AgentState::Ready => State::Ready,
        AgentState::SignedOut | AgentState::Offered | AgentState::Talking | AgentState::WrapUp => {
            State::SignedOut
        }
    }
}
