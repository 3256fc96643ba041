//! Who is ready for which queue, the best first. Kept along with what it follows from (states, phones, settings), so
//! that a choice costs the same however many agents there are.

use settings::route::Skill;
use std::{
    cmp::Reverse,
    collections::{BTreeMap, btree_map},
};
use types::{AgentId, Extension, Monotonic, QueueId};

/// The agents who are ready and whose phones can be reached.
#[derive(Clone, Debug, Default)]
pub(crate) struct Bench {
    queues: BTreeMap<QueueId, Ready>,
    places: BTreeMap<AgentId, Vec<(QueueId, Rank)>>,
}

/// Those of one queue, the best first, with their phones.
pub(crate) type Ready = BTreeMap<Rank, Extension>;

/// The highest skill counts, then the longest idle time, then the name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Rank {
    pub(crate) level: Reverse<u8>,
    pub(crate) idle: Monotonic,
    pub(crate) agent: AgentId,
}

impl Bench {
    /// Whether nobody is ready.
    pub(crate) fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// Who is ready for a queue.
    pub(crate) fn of(&self, queue: &QueueId) -> Option<&Ready> {
        self.queues.get(queue)
    }

    /// Nobody is ready.
    pub(crate) fn clear(&mut self) {
        self.queues.clear();
        self.places.clear();
    }

    /// An agent is ready for none.
    pub(crate) fn leave(&mut self, agent: &AgentId) {
        for (queue, rank) in self.places.remove(agent).unwrap_or_default() {
            if let btree_map::Entry::Occupied(mut ready) = self.queues.entry(queue) {
                ready.get_mut().remove(&rank);
                if ready.get().is_empty() {
                    ready.remove();
                }
            }
        }
    }

    /// An agent who has left is ready for what these skills say.
    pub(crate) fn join(&mut self, agent: &AgentId, phone: &Extension, idle: Monotonic, skills: &[Skill]) {
        let mut places: Vec<(QueueId, Rank)> = Vec::with_capacity(skills.len());
        for skill in skills {
            // As everywhere: where settings name a queue twice, the first counts.
            if places.iter().any(|(queue, _)| *queue == skill.queue) {
                continue;
            }
            let rank = Rank { level: Reverse(skill.level), idle, agent: agent.clone() };
            self.queues.entry(skill.queue.clone()).or_default().insert(rank.clone(), phone.clone());
            places.push((skill.queue.clone(), rank));
        }
        if !places.is_empty() {
            self.places.insert(agent.clone(), places);
        }
    }
}
