//! Server transactions.
//!
//! ```text
//!  INVITE (RFC 3261 §17.2.1, RFC 6026 §8.5)            non-INVITE (RFC 3261 §17.2.2)
//!
//!  Proceeding ──2xx──► Accepted ─L─► end               Trying ──1xx──► Proceeding
//!      │ 3xx–6xx                                          └───final──────┴► Completed ─J─► end
//!      ▼
//!  Completed ──ACK──► Confirmed ─I─► end
//!   │G send │H timed out
//! ```

use super::Action;
use super::timers::{Retransmit, T2, T4, TIMEOUT, Transport};
use crate::message::Response;
use serde::{Deserialize, Serialize};
use types::Monotonic;

/// An INVITE server transaction. Retransmitting a 2xx is the user agent's task (§13.3.1.4), not its own.
#[derive(Clone, Serialize, Deserialize)]
pub struct InviteServer {
    transport: Transport,
    state: InviteState,
}

#[derive(Clone, Serialize, Deserialize)]
enum InviteState {
    Proceeding { last: Option<Vec<u8>> },
    Completed { last: Vec<u8>, g: Option<Retransmit>, h: Monotonic },
    Confirmed { i: Monotonic },
    Accepted { l: Monotonic },
    Terminated,
}

/// What became of an ACK.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acknowledged {
    /// It ended the retransmission of a response that is no 2xx.
    Absorbed,
    /// It acknowledges a 2xx: the user agent's.
    Passed,
}

impl InviteServer {
    /// A transaction without a response yet.
    pub fn new(transport: Transport) -> Self {
        Self { transport, state: InviteState::Proceeding { last: None } }
    }

    /// Whether no final response was sent: only then does CANCEL have an effect (§9.2).
    pub fn is_proceeding(&self) -> bool {
        matches!(self.state, InviteState::Proceeding { .. })
    }

    /// The INVITE came once more.
    pub fn repeat(&self, actions: &mut Vec<Action>) {
        match &self.state {
            InviteState::Proceeding { last: Some(last) } | InviteState::Completed { last, .. } => {
                actions.push(Action::Send(last.clone()));
            }
            _ => {}
        }
    }

    /// Sends a response; after a final one nothing more is sent.
    pub fn respond(&mut self, now: Monotonic, response: &Response, actions: &mut Vec<Action>) {
        let InviteState::Proceeding { last } = &mut self.state else { return };
        let bytes = response.to_bytes();
        actions.push(Action::Send(bytes.clone()));
        if response.status.is_provisional() {
            *last = Some(bytes);
        } else if response.status.is_success() {
            self.state = InviteState::Accepted { l: now.plus(TIMEOUT) };
        } else {
            let g = self.transport.retransmit(now);
            self.state = InviteState::Completed { last: bytes, g, h: now.plus(TIMEOUT) };
        }
    }

    /// The ACK came.
    pub fn acknowledge(&mut self, now: Monotonic) -> Acknowledged {
        match &self.state {
            InviteState::Completed { .. } => {
                self.state = InviteState::Confirmed { i: now.plus(self.transport.linger(T4)) };
                Acknowledged::Absorbed
            }
            InviteState::Accepted { .. } => Acknowledged::Passed,
            _ => Acknowledged::Absorbed,
        }
    }

    /// The clock stands at `now`: fires what is due.
    pub fn fire(&mut self, now: Monotonic, actions: &mut Vec<Action>) {
        match &mut self.state {
            InviteState::Completed { h, .. } if *h <= now => {
                self.state = InviteState::Terminated;
                actions.push(Action::TimedOut);
            }
            InviteState::Completed { g: Some(g), last, .. } if g.at <= now => {
                g.again(now, T2);
                actions.push(Action::Send(last.clone()));
            }
            InviteState::Confirmed { i: end } | InviteState::Accepted { l: end } if *end <= now => {
                self.state = InviteState::Terminated;
            }
            _ => {}
        }
    }

    /// When [`Self::fire`] has something to do; `None` while it waits for the user agent.
    pub fn deadline(&self) -> Option<Monotonic> {
        match &self.state {
            InviteState::Completed { g, h, .. } => Some(g.map_or(*h, |g| g.at.min(*h))),
            InviteState::Confirmed { i: end } | InviteState::Accepted { l: end } => Some(*end),
            InviteState::Proceeding { .. } | InviteState::Terminated => None,
        }
    }

    /// Whether the transaction is over.
    pub fn is_terminated(&self) -> bool {
        matches!(self.state, InviteState::Terminated)
    }
}

/// A non-INVITE server transaction.
#[derive(Clone, Serialize, Deserialize)]
pub struct Server {
    transport: Transport,
    state: State,
}

#[derive(Clone, Serialize, Deserialize)]
enum State {
    Trying,
    Proceeding { last: Vec<u8> },
    Completed { last: Vec<u8>, j: Monotonic },
    Terminated,
}

impl Server {
    /// A transaction without a response yet.
    pub fn new(transport: Transport) -> Self {
        Self { transport, state: State::Trying }
    }

    /// The request came once more.
    pub fn repeat(&mut self, actions: &mut Vec<Action>) {
        if let State::Proceeding { last } | State::Completed { last, .. } = &self.state {
            actions.push(Action::Send(last.clone()));
        }
    }

    /// Sends a response; after a final one nothing more is sent.
    pub fn respond(&mut self, now: Monotonic, response: &Response, actions: &mut Vec<Action>) {
        if !matches!(self.state, State::Trying | State::Proceeding { .. }) {
            return;
        }
        let last = response.to_bytes();
        actions.push(Action::Send(last.clone()));
        self.state = match response.status.is_provisional() {
            true => State::Proceeding { last },
            false => State::Completed { last, j: now.plus(self.transport.linger(TIMEOUT)) },
        };
    }

    /// The clock stands at `now`: fires what is due.
    pub fn fire(&mut self, now: Monotonic) {
        if matches!(&self.state, State::Completed { j, .. } if *j <= now) {
            self.state = State::Terminated;
        }
    }

    /// When [`Self::fire`] has something to do.
    pub fn deadline(&self) -> Option<Monotonic> {
        match &self.state {
            State::Completed { j, .. } => Some(*j),
            _ => None,
        }
    }

    /// Whether the transaction is over.
    pub fn is_terminated(&self) -> bool {
        matches!(self.state, State::Terminated)
    }
}
