//! What is kept along for speed says the same as what it follows from: looked at after every input wherever debug
//! assertions are on, and so in every test.

use super::{Router, Timer};
use crate::{
    agent::State,
    bench::{Rank, Ready},
    call::{Place, Stage},
};
use route_api::{Endpoint, Reachability};
use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
};
use types::{CallId, Extension, QueueId};

impl Router {
    /// Whether each index is what a search would find.
    pub(super) fn is_indexed(&self) -> bool {
        let waits = |(id, stage): (&CallId, &Stage)| match stage {
            Stage::Waiting(wait) => Some((wait.place, *id)),
            _ => None,
        };
        let seeking: BTreeSet<(Place, CallId)> =
            self.calls.iter().map(|(id, call)| (id, &call.stage)).filter_map(waits).collect();
        let dials = self.calls.iter().filter(|(_, call)| !call.caller.line_over());
        let dialling: BTreeMap<CallId, Extension> = dials
            .filter_map(|(id, call)| match &call.caller.over {
                Endpoint::Phone(phone) => Some((*id, phone.clone())),
                Endpoint::Trunk(_) => None,
            })
            .collect();
        let on_agenda = self.agenda.iter().filter(|(_, timer)| matches!(timer, Timer::Call(_))).count();
        let has_due = self.calls.values().filter(|call| call.due.is_some()).count();
        let seated = || self.plan.route.queues.iter().all(|queue| self.bench_of(&queue.name));
        let listed = self.seeking == seeking && self.dialling == dialling && on_agenda == has_due;
        listed && (self.roster.0.is_unseated() || seated())
    }

    fn bench_of(&self, queue: &QueueId) -> bool {
        let mut ready = Ready::new();
        for (id, agent) in self.roster.0.iter().filter(|(_, agent)| agent.state == State::Ready) {
            let Some(phone) = &agent.phone else { continue };
            let reachable = self.endpoints.get(&Endpoint::Phone(phone.clone()));
            if let Some(level) = self.plan.level(id, queue)
                && reachable == Some(&Reachability::Reachable)
            {
                let rank = Rank { level: Reverse(level), idle: agent.idle, agent: id.clone() };
                ready.insert(rank, phone.clone());
            }
        }
        self.bench.of(queue).cloned().unwrap_or_default() == ready
    }
}
