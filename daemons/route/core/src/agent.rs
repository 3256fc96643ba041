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
    collections::{BTreeMap, BTreeSet},
    ops::Deref,
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
    /// The agents that are not as they were `before`; `None` where one of those is gone. Looks only at those that
    /// were touched since [`Router::keep_roster`](crate::Router::keep_roster).
    pub fn changes(&self, before: &Self) -> Option<Self> {
        let mut changed = Self::default();
        let mut look = |id: &AgentId| match (self.0.get(id), before.0.get(id)) {
            (None, Some(_)) => None,
            (Some(agent), then) if then != Some(agent) => {
                changed.0.agents.insert(id.clone(), agent.clone());
                Some(())
            }
            _ => Some(()),
        };
        match &self.0.unkept {
            Touched::All => before.0.keys().chain(self.0.keys()).try_for_each(&mut look)?,
            Touched::Only(some) => some.iter().try_for_each(&mut look)?,
        }
        Some(changed)
    }

    /// Takes changes over.
    pub fn follow(&mut self, changes: Self) {
        self.0.agents.extend(changes.0.agents);
    }
}

/// Agents by name. Remembers who was touched, so that what does not concern an agent costs nothing for keeping them
/// and for knowing who is ready.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Agents {
    agents: BTreeMap<AgentId, Agent>,
    /// Since they were kept.
    #[serde(skip)]
    unkept: Touched,
    /// Since it was asked who is ready.
    #[serde(skip)]
    unseated: Touched,
}

/// Which agents may be others than before.
#[derive(Clone, Debug, Default)]
pub(crate) enum Touched {
    #[default]
    All,
    Only(BTreeSet<AgentId>),
}

impl Touched {
    fn add(&mut self, id: &AgentId) {
        if let Self::Only(some) = self
            && !some.contains(id)
        {
            some.insert(id.clone());
        }
    }

    fn take(&mut self) -> Self {
        std::mem::replace(self, Self::Only(BTreeSet::new()))
    }

    fn is_none(&self) -> bool {
        matches!(self, Self::Only(some) if some.is_empty())
    }
}

impl Agents {
    /// Whether one may have changed since they were kept.
    pub(crate) fn is_unkept(&self) -> bool {
        !self.unkept.is_none()
    }

    /// They are kept as they are.
    pub(crate) fn kept(&mut self) {
        self.unkept = Touched::Only(BTreeSet::new());
    }

    /// Who may have become ready, or be it no more, since this was last asked.
    pub(crate) fn take_unseated(&mut self) -> Option<Touched> {
        (!self.unseated.is_none()).then(|| self.unseated.take())
    }

    /// Whether it is to be asked again who is ready.
    pub(crate) fn is_unseated(&self) -> bool {
        !self.unseated.is_none()
    }

    /// What makes any of them ready is another.
    pub(crate) fn unseat_all(&mut self) {
        self.unseated = Touched::All;
    }

    /// Whether this phone can be reached is another.
    pub(crate) fn unseat(&mut self, phone: &Extension) {
        for (id, _) in self.agents.iter().filter(|(_, agent)| agent.phone.as_ref() == Some(phone)) {
            self.unseated.add(id);
        }
    }

    pub(crate) fn get_mut(&mut self, id: &AgentId) -> Option<&mut Agent> {
        self.touch(id);
        self.agents.get_mut(id)
    }

    /// The agent, a `new` one where there is none.
    pub(crate) fn get_or(&mut self, id: &AgentId, new: impl FnOnce() -> Agent) -> &mut Agent {
        self.touch(id);
        self.agents.entry(id.clone()).or_insert_with(new)
    }

    pub(crate) fn remove(&mut self, id: &AgentId) {
        self.touch(id);
        self.agents.remove(id);
    }

    pub(crate) fn retain(&mut self, keep: impl FnMut(&AgentId, &mut Agent) -> bool) {
        (self.unkept, self.unseated) = (Touched::All, Touched::All);
        self.agents.retain(keep);
    }

    fn touch(&mut self, id: &AgentId) {
        self.unkept.add(id);
        self.unseated.add(id);
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

impl FromIterator<(AgentId, Agent)> for Agents {
    fn from_iter<T: IntoIterator<Item = (AgentId, Agent)>>(agents: T) -> Self {
        Self { agents: agents.into_iter().collect(), ..Self::default() }
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
