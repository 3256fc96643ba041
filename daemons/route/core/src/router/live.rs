//! The live state as people see it. Numbers are masked here, so that nobody can forget it.

use super::Router;
use crate::{
    agent::{Agent, State},
    call::{Call, Stage},
};
use route_api::{AgentEntry, AgentState, Endpoint, LiveCall, QueueEntry, Reachability, Stage as Shown};
use types::{AgentId, CallId, LegId, QueueId};

impl Router {
    /// The calls of this moment, the oldest first.
    pub fn live_calls(&self) -> Vec<LiveCall> {
        let mut calls: Vec<_> = self.calls.values().map(live).collect();
        calls.sort_by_key(|call| (call.offered, call.call));
        calls
    }

    /// The call of a leg that is not over.
    pub fn call_of(&self, leg: LegId) -> Option<CallId> {
        self.legs.get(&leg).copied()
    }

    /// The legs of a live call.
    pub fn legs_of(&self, call: CallId) -> Option<Vec<LegId>> {
        Some(self.calls.get(&call)?.legs().map(|leg| leg.id).collect())
    }

    /// The agents, by name.
    pub fn agents(&self) -> Vec<AgentEntry> {
        self.roster.0.keys().map(|id| self.agent_entry(id)).collect()
    }

    /// The queues, by name.
    pub fn queues(&self) -> Vec<QueueEntry> {
        let mut names: Vec<&QueueId> = self.plan.route.queues.iter().map(|queue| &queue.name).collect();
        names.extend(self.queues.keys().filter(|name| self.plan.queue(name).is_none()));
        names.sort_unstable();
        names.into_iter().map(|name| self.queue_entry(name)).collect()
    }

    /// Trunks and phones, and whether they can be reached.
    pub fn endpoints(&self) -> Vec<(Endpoint, Reachability)> {
        self.endpoints.iter().map(|(endpoint, reachable)| (endpoint.clone(), *reachable)).collect()
    }

    pub(super) fn agent_entry(&self, id: &AgentId) -> AgentEntry {
        let row = self.plan.agent(id);
        let agent = self.roster.0.get(id);
        let seat = row.and_then(|row| row.extension.clone());
        AgentEntry {
            agent: id.clone(),
            phone: agent.and_then(|agent| agent.phone.clone()).or(seat),
            state: agent.map_or(AgentState::SignedOut, Agent::shown),
            since: agent.map_or(self.now.utc, |agent| agent.since),
            call: agent.and_then(Agent::call),
            queues: row
                .map_or_else(Vec::new, |row| row.queues.iter().map(|skill| skill.queue.clone()).collect()),
        }
    }

    fn queue_entry(&self, name: &QueueId) -> QueueEntry {
        let serving = |counted: fn(&State) -> bool| {
            let agents = self.roster.0.iter();
            let count = agents
                .filter(|(id, agent)| counted(&agent.state) && self.plan.level(id, name).is_some())
                .count();
            u32::try_from(count).unwrap_or(u32::MAX)
        };
        QueueEntry {
            queue: name.clone(),
            waiting: self
                .queues
                .get(name)
                .map_or_else(Vec::new, |waiting| waiting.values().copied().collect()),
            ready: serving(|state| *state == State::Ready),
            signed_in: serving(|state| *state != State::SignedOut),
        }
    }
}

fn live(call: &Call) -> LiveCall {
    let (stage, queue) = match &call.stage {
        Stage::Arriving(_) => (Shown::Arriving, None),
        Stage::Playing(_) => (Shown::Announcing, None),
        Stage::Waiting(wait) => (Shown::Waiting, Some(wait.queue.clone())),
        Stage::Offering(wait, _) => (Shown::Offering, Some(wait.queue.clone())),
        Stage::Talking(talk) => (Shown::Talking, Some(talk.queue.clone())),
        Stage::Ending { .. } => (Shown::Ending, call.queued.last().map(|stay| stay.queue.clone())),
    };
    LiveCall {
        call: call.id,
        offered: call.offered,
        from: call.from.number.masked(),
        dialled: call.dialled.clone(),
        stage,
        queue,
        agent: call.agent().cloned(),
        recording: call.recording(),
        legs: call.legs().map(|leg| leg.id).collect(),
    }
}
