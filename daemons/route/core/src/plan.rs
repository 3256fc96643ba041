//! The settings as the core asks them: looked up at every decision, so that new settings reach callers who
//! already wait.

use settings::{
    Prompt,
    record::Record,
    route::{Agent, Calendar, Queue, Route},
};
use std::collections::HashMap;
use types::{AgentId, Name, QueueId};

/// The section `[route]`, and the rule of recording.
#[derive(Clone, Debug)]
pub struct Plan {
    pub route: Route,
    pub rule: Record,
    /// Where in the section each agent stands: they are many, and asked for at each offer.
    agents: HashMap<AgentId, usize>,
}

impl Plan {
    /// By these settings.
    pub fn new(route: Route, rule: Record) -> Self {
        let mut plan = Self { route: Route::default(), rule, agents: HashMap::new() };
        plan.follow(route);
        plan
    }

    /// By these from now on.
    pub fn follow(&mut self, route: Route) {
        // As everywhere: where settings name an agent twice, the first counts.
        let agents = route.agents.iter().enumerate().rev();
        self.agents = agents.map(|(at, agent)| (agent.name.clone(), at)).collect();
        self.route = route;
    }

    /// The name of the flow behind a dialled number.
    pub fn flow(&self, dialled: &str) -> Option<&Name> {
        let number = self.route.numbers.iter().find(|number| number.dialled.as_str() == dialled)?;
        Some(&number.flow)
    }

    /// A calendar.
    pub fn calendar(&self, name: &Name) -> Option<&Calendar> {
        self.route.calendars.iter().find(|calendar| calendar.name == *name)
    }

    /// A queue.
    pub fn queue(&self, name: &QueueId) -> Option<&Queue> {
        self.route.queues.iter().find(|queue| queue.name == *name)
    }

    /// An agent.
    pub fn agent(&self, name: &AgentId) -> Option<&Agent> {
        self.agents.get(name).and_then(|at| self.route.agents.get(*at))
    }

    /// How well an agent serves a queue, 1 to 10; `None` where not at all.
    pub fn level(&self, agent: &AgentId, queue: &QueueId) -> Option<u8> {
        self.agent(agent)?.queues.iter().find(|skill| skill.queue == *queue).map(|skill| skill.level)
    }

    /// How many calls may be alive.
    pub fn max_calls(&self) -> usize {
        usize::try_from(self.route.max_calls).unwrap_or(usize::MAX)
    }
}

/// The prompt as media calls it: both are names by the same rule, so nothing is ever lost here.
pub fn prompt(prompt: &Prompt) -> Option<Name> {
    prompt.as_str().parse().ok()
}
