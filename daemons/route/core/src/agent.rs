//! A person who takes contacts: the state that the ACD asks for.
//!
//! ```text
//!  SignedOut ─► Aux ◄─► Ready ─► Offered ─► Talking ─► WrapUp ─► Ready
//!                 ▲                 │           └─ asked for meanwhile: Aux, SignedOut
//!                 └── no answer ────┘  (caller gave up: Ready, idle as long as before)
//! ```

use route_api::AgentState;
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    ops::{Deref, DerefMut},
    time::Duration,
};
use types::{AgentId, CallId, Extension, Monotonic, Utc};

/// One agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Agent {
    pub phone: Option<Extension>,
    pub state: State,
    /// When the state was entered.
    pub since: Utc,
    /// Since when they could have been offered a contact: kept while an offer rings, so that a caller who
    /// gives up costs nobody their turn.
    pub idle: Monotonic,
}

/// An agent's state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum State {
    SignedOut,
    Aux { reason: String },
    Ready,
    Offered { call: CallId },
    Talking { call: CallId, next: Next },
    WrapUp { until: Monotonic },
}

/// What an agent does after the call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Next {
    /// For as long as the queue gives, or as was asked for.
    WrapUp {
        lasting: Option<Duration>,
    },
    Aux {
        reason: String,
    },
    SignedOut,
}

/// Agents as they are, for the next life of route: calls come back by the edges' memos, agents without a call
/// by this.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Roster(pub(crate) Agents);

impl Roster {
    /// The agents that are not as they were `before`; `None` where one of those is gone.
    pub fn changes(&self, before: &Self) -> Option<Self> {
        let gone = before.0.keys().any(|id| !self.0.contains_key(id));
        let changed = self.0.iter().filter(|(id, agent)| before.0.get(*id) != Some(*agent));
        (!gone).then(|| Self(changed.map(|(id, agent)| (id.clone(), agent.clone())).collect()))
    }

    /// Takes changes over.
    pub fn follow(&mut self, changes: Self) {
        self.0.agents.extend(changes.0.agents);
    }
}

/// Agents by name. Remembers whether any was touched since that was last asked, so that what does not concern
/// agents costs nothing for their keeping.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Agents {
    agents: BTreeMap<AgentId, Agent>,
    #[serde(skip)]
    touched: bool,
}

impl Agents {
    /// Whether one may have changed since the last time.
    pub(crate) fn take_touched(&mut self) -> bool {
        std::mem::take(&mut self.touched)
    }
}

impl PartialEq for Agents {
    fn eq(&self, other: &Self) -> bool {
        self.agents == other.agents
    }
}

impl Eq for Agents {}

impl Deref for Agents {
    type Target = BTreeMap<AgentId, Agent>;

    fn deref(&self) -> &Self::Target {
        &self.agents
    }
}

impl DerefMut for Agents {
    fn deref_mut(&mut self) -> &mut Self::Target {
        self.touched = true;
        &mut self.agents
    }
}

impl FromIterator<(AgentId, Agent)> for Agents {
    fn from_iter<T: IntoIterator<Item = (AgentId, Agent)>>(agents: T) -> Self {
        Self { agents: agents.into_iter().collect(), touched: true }
    }
}

impl Agent {
    /// Somebody who has not signed in.
    pub fn signed_out(now: Utc) -> Self {
        Self { phone: None, state: State::SignedOut, since: now, idle: Monotonic::default() }
    }

    /// The call that rings or is talked on.
    pub fn call(&self) -> Option<CallId> {
        match self.state {
            State::Offered { call } | State::Talking { call, .. } => Some(call),
            State::SignedOut | State::Aux { .. } | State::Ready | State::WrapUp { .. } => None,
        }
    }

    /// The state as people see it.
    pub fn shown(&self) -> AgentState {
        match &self.state {
            State::SignedOut => AgentState::SignedOut,
            State::Aux { reason } => AgentState::Aux(reason.clone()),
            State::Ready => AgentState::Ready,
            State::Offered { .. } => AgentState::Offered,
            State::Talking { .. } => AgentState::Talking,
            State::WrapUp { .. } => AgentState::WrapUp,
        }
    }
}
