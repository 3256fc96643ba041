//! New settings: what they mean for agents, for those who wait, and for versions of flows.

use super::{REMOVED, Router, Staffing, queueing::Unserved};
use crate::{agent::Agent, call::Stage};
use std::collections::BTreeSet;

impl Router {
    /// Agents come and go with the settings; who is on a call stays until its end.
    pub(super) fn follow_plan(&mut self) {
        for agent in &self.plan.route.agents {
            self.roster.0.get_or(&agent.name, || Agent::signed_out(self.now.utc));
        }
        let plan = &self.plan;
        self.staffing = Staffing::Fewer;
        self.roster.0.retain(|id, agent| agent.call().is_some() || plan.agent(id).is_some());
        let gone: Vec<_> = self
            .queues
            .iter()
            .filter(|(queue, _)| self.plan.queue(queue).is_none())
            .flat_map(|(_, waiting)| waiting.values().copied())
            .collect();
        for call in gone {
            self.with_call(call, |router, call| {
                if matches!(call.stage, Stage::Waiting(_)) {
                    router.overflow(call, Unserved::Removed, REMOVED);
                }
            });
        }
    }

    /// Forgets versions of flows that no call is in.
    pub(super) fn forget_flows(&mut self) {
        let in_use: BTreeSet<_> =
            self.calls.values().filter_map(|call| call.position.as_ref()).map(|p| p.version).collect();
        self.flows.forget(|version| in_use.contains(&version));
    }
}
