//! The live state as people see it. Numbers are masked here, so that nobody can forget it.

use super::Router;
use crate::{
    agent::{Agent, State},
    call::{Call, Stage},
};
use route_api::{
    AgentCounts, AgentEntry, AgentState, Endpoint, LiveCall, QueueEntry, Reachability, Stage as Shown,
    TrunkEntry, TrunkStanding,
};
use types::{AgentId, CallId, LegId, QueueId, TrunkId, Utc};

impl Router {
    /// The calls of this moment, the oldest first.
    pub fn live_calls(&self) -> Vec<LiveCall> {
        let mut calls: Vec<_> = self.calls.values().map(|call| self.live(call)).collect();
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

    /// How trunks stand, by name.
    pub fn trunks(&self) -> Vec<TrunkEntry> {
        let entry = |(trunk, (standing, since)): (&TrunkId, &(TrunkStanding, Utc))| TrunkEntry {
            trunk: trunk.clone(),
            reachable: self.endpoints.get(&Endpoint::Trunk(trunk.clone())).copied(),
            standing: standing.clone(),
            since: *since,
        };
        self.standings.iter().map(entry).collect()
    }

    /// Takes how a trunk stands. It stands so since it became so: another round trip is no change.
    pub(super) fn stands(&mut self, trunk: TrunkId, standing: TrunkStanding) {
        let same = |old: &TrunkStanding| {
            let targets = |standing: &TrunkStanding| -> Vec<_> {
                standing.targets.iter().map(|target| (target.address.clone(), target.health)).collect()
            };
            old.registration == standing.registration && targets(old) == targets(&standing)
        };
        let old = self.standings.get(&trunk).filter(|(old, _)| same(old));
        let since = old.map_or(self.now.utc, |(_, since)| *since);
        self.standings.insert(trunk, (standing, since));
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
            until: agent.and_then(|agent| match agent.state {
                State::WrapUp { until } => Some(self.now.utc.plus(until.since(self.now.monotonic))),
                _ => None,
            }),
            call: agent.and_then(Agent::call),
            queues: row
                .map_or_else(Vec::new, |row| row.queues.iter().map(|skill| skill.queue.clone()).collect()),
        }
    }

    fn queue_entry(&self, name: &QueueId) -> QueueEntry {
        let mut agents = AgentCounts::default();
        for (_, agent) in self.roster.0.iter().filter(|(id, _)| self.plan.level(id, name).is_some()) {
            match agent.state {
                State::SignedOut => {}
                State::Aux { .. } => agents.aux += 1,
                State::Ready => agents.ready += 1,
                State::Offered { .. } => agents.offered += 1,
                State::Talking { .. } => agents.talking += 1,
                State::WrapUp { .. } => agents.wrap_up += 1,
            }
        }
        let waiting: Vec<_> =
            self.queues.get(name).map_or_else(Vec::new, |waiting| waiting.values().copied().collect());
        let first = waiting.first().and_then(|call| self.calls.get(call));
        let longest = first.and_then(|call| match &call.stage {
            Stage::Waiting(wait) | Stage::Offering(wait, _) => Some(wait.entered),
            _ => None,
        });
        QueueEntry { queue: name.clone(), waiting, longest, agents }
    }

    /// The call as people see it.
    fn live(&self, call: &Call) -> LiveCall {
        let (stage, queue) = match &call.stage {
            Stage::Arriving(_) => (Shown::Arriving, None),
            Stage::Playing(_) => (Shown::Announcing, None),
            Stage::Choosing(_) => (Shown::Choosing, None),
            Stage::Waiting(wait) => (Shown::Waiting, Some(wait.queue.clone())),
            Stage::Offering(wait, _) => (Shown::Offering, Some(wait.queue.clone())),
            Stage::Reaching(reach) => {
                (Shown::Reaching, reach.instead.as_ref().and_then(|talk| talk.queue.clone()))
            }
            Stage::Talking(talk) => (Shown::Talking, talk.queue.clone()),
            Stage::Ending { .. } => (Shown::Ending, call.queued.last().map(|stay| stay.queue.clone())),
        };
        LiveCall {
            call: call.id,
            offered: call.offered,
            from: call.from.number.masked(),
            dialled: call.dialled.clone(),
            stage,
            step: self.step_called(call),
            queue,
            agent: call.agent().cloned(),
            recording: call.recording(),
            legs: call.legs().map(|leg| leg.id).collect(),
        }
    }

    fn step_called(&self, call: &Call) -> Option<String> {
        let position = call.position.as_ref()?;
        let flow = self.flows.version(position.version)?;
        Some(flow.called(position.step))
    }
}
