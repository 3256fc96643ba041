//! Client transactions.
//!
//! ```text
//!  INVITE (RFC 3261 §17.1.1, RFC 6026 §8.4)      non-INVITE (RFC 3261 §17.1.2)
//!
//!  Calling ──1xx──► Proceeding                   Trying ──1xx──► Proceeding
//!   │A send │B timed out │                        │E send │F timed out │E send │F
//!   ├──2xx───────────────┤► Accepted ─M─► end     └──────final─────────┴► Completed ─K─► end
//!   └──3xx–6xx, ACK──────┴► Completed ─D─► end
//! ```

use super::Action;
use super::timers::{Retransmit, T2, T4, TIMEOUT, TIMER_D, Transport};
use crate::message::{CSeq, Head, Headers, Message, Method, Name, Request, Response, parse};
use serde::{Deserialize, Serialize};
use types::Monotonic;

/// An INVITE client transaction.
#[derive(Clone, Serialize, Deserialize)]
pub struct InviteClient {
    request: Request,
    transport: Transport,
    state: InviteState,
}

#[derive(Clone, Serialize, Deserialize)]
enum InviteState {
    Calling { a: Option<Retransmit>, b: Monotonic },
    Proceeding,
    Completed { ack: Vec<u8>, d: Monotonic },
    Accepted { m: Monotonic },
    Terminated,
}

impl InviteClient {
    /// Sends the request and starts timers A and B.
    pub fn start(now: Monotonic, request: Request, transport: Transport, actions: &mut Vec<Action>) -> Self {
        actions.push(Action::Send(request.to_bytes()));
        let state = InviteState::Calling { a: transport.retransmit(now), b: now.plus(TIMEOUT) };
        Self { request, transport, state }
    }

    /// The request that opened the transaction.
    pub fn request(&self) -> &Request {
        &self.request
    }

    /// Whether a provisional response came and no final one: only then may CANCEL be sent (§9.1).
    pub fn is_proceeding(&self) -> bool {
        matches!(self.state, InviteState::Proceeding)
    }

    /// Whether a final response may still come.
    pub fn is_waiting(&self) -> bool {
        matches!(self.state, InviteState::Calling { .. } | InviteState::Proceeding)
    }

    /// The transport failed: no response can come.
    pub fn fail(&mut self) {
        self.state = InviteState::Terminated;
    }

    /// Repeats the request no more.
    pub fn abandon(&mut self) {
        if let InviteState::Calling { a, .. } = &mut self.state {
            *a = None;
        }
    }

    /// A response of this transaction came.
    pub fn receive(&mut self, now: Monotonic, response: Response, actions: &mut Vec<Action>) {
        use InviteState::{Accepted, Calling, Completed, Proceeding, Terminated};
        let status = response.status;
        match &mut self.state {
            Calling { .. } | Proceeding if status.is_provisional() => {
                self.state = Proceeding;
                actions.push(Action::Deliver(Box::new(response)));
            }
            Calling { .. } | Proceeding if status.is_success() => {
                self.state = Accepted { m: now.plus(TIMEOUT) };
                actions.push(Action::Deliver(Box::new(response)));
            }
            Calling { .. } | Proceeding => {
                let ack = self.ack(&response).to_bytes();
                actions.push(Action::Send(ack.clone()));
                self.state = Completed { ack, d: now.plus(self.transport.linger(TIMER_D)) };
                actions.push(Action::Deliver(Box::new(response)));
            }
            Completed { ack, .. } if !status.is_provisional() && !status.is_success() => {
                actions.push(Action::Send(ack.clone()));
            }
            Accepted { .. } if status.is_success() => actions.push(Action::Deliver(Box::new(response))),
            Completed { .. } | Accepted { .. } | Terminated => {}
        }
    }

    /// The clock stands at `now`: fires what is due.
    pub fn fire(&mut self, now: Monotonic, actions: &mut Vec<Action>) {
        match &mut self.state {
            InviteState::Calling { b, .. } if *b <= now => {
                self.state = InviteState::Terminated;
                actions.push(Action::TimedOut);
            }
            InviteState::Calling { a: Some(a), .. } if a.at <= now => {
                a.again(now, TIMEOUT);
                actions.push(Action::Send(self.request.to_bytes()));
            }
            InviteState::Completed { d: end, .. } | InviteState::Accepted { m: end } if *end <= now => {
                self.state = InviteState::Terminated;
            }
            _ => {}
        }
    }

    /// When [`Self::fire`] has something to do; `None` while it only waits.
    pub fn deadline(&self) -> Option<Monotonic> {
        match &self.state {
            InviteState::Calling { a, b } => Some(a.map_or(*b, |a| a.at.min(*b))),
            InviteState::Completed { d: end, .. } | InviteState::Accepted { m: end } => Some(*end),
            InviteState::Proceeding | InviteState::Terminated => None,
        }
    }

    /// Whether the transaction is over.
    pub fn is_terminated(&self) -> bool {
        matches!(self.state, InviteState::Terminated)
    }

    /// The CANCEL of this request: same Request-URI, Call-ID, To, CSeq number, From, Via and Route (§9.1).
    pub fn cancel(&self) -> Request {
        self.sibling(Method::Cancel)
    }

    /// The ACK of a final response that is no 2xx (§17.1.1.3).
    fn ack(&self, response: &Response) -> Request {
        let mut ack = self.sibling(Method::Ack);
        ack.head.to = response.head.to.clone();
        ack
    }

    fn sibling(&self, method: Method) -> Request {
        let head = &self.request.head;
        let mut headers = Headers::default().with(Name::MaxForwards, "70");
        for route in head.headers.all(&Name::Route) {
            headers.push(Name::Route, route);
        }
        let head = Head {
            vias: head.vias.first().cloned().into_iter().collect(),
            cseq: CSeq { number: head.cseq.number, method: method.clone() },
            headers,
            ..head.clone()
        };
        Request { method, uri: self.request.uri.clone(), head, body: Vec::new() }
    }
}

/// A non-INVITE client transaction.
#[derive(Clone, Serialize, Deserialize)]
pub struct Client {
    bytes: Vec<u8>,
    transport: Transport,
    state: State,
}

#[derive(Clone, Serialize, Deserialize)]
enum State {
    Trying { e: Option<Retransmit>, f: Monotonic },
    Proceeding { e: Option<Retransmit>, f: Monotonic },
    Completed { k: Monotonic },
    Terminated,
}

impl Client {
    /// Sends the request and starts timers E and F.
    pub fn start(now: Monotonic, request: &Request, transport: Transport, actions: &mut Vec<Action>) -> Self {
        let bytes = request.to_bytes();
        actions.push(Action::Send(bytes.clone()));
        let state = State::Trying { e: transport.retransmit(now), f: now.plus(TIMEOUT) };
        Self { bytes, transport, state }
    }

    /// The request that opened the transaction.
    pub fn request(&self) -> Option<Request> {
        match parse(&self.bytes) {
            Ok(Message::Request(request)) => Some(request),
            // We wrote it ourselves.
            Ok(Message::Response(_)) | Err(_) => None,
        }
    }

    /// Whether a final response may still come.
    pub fn is_waiting(&self) -> bool {
        matches!(self.state, State::Trying { .. } | State::Proceeding { .. })
    }

    /// The transport failed: no response can come.
    pub fn fail(&mut self) {
        self.state = State::Terminated;
    }

    /// A response of this transaction came.
    pub fn receive(&mut self, now: Monotonic, response: Response, actions: &mut Vec<Action>) {
        match &mut self.state {
            State::Trying { e, f } | State::Proceeding { e, f } if response.status.is_provisional() => {
                let (mut e, f) = (*e, *f);
                if let Some(e) = &mut e {
                    e.slow(T2);
                }
                self.state = State::Proceeding { e, f };
                actions.push(Action::Deliver(Box::new(response)));
            }
            State::Trying { .. } | State::Proceeding { .. } => {
                self.state = State::Completed { k: now.plus(self.transport.linger(T4)) };
                actions.push(Action::Deliver(Box::new(response)));
            }
            State::Completed { .. } | State::Terminated => {}
        }
    }

    /// The clock stands at `now`: fires what is due.
    pub fn fire(&mut self, now: Monotonic, actions: &mut Vec<Action>) {
        match &mut self.state {
            State::Trying { f, .. } | State::Proceeding { f, .. } if *f <= now => {
                self.state = State::Terminated;
                actions.push(Action::TimedOut);
            }
            State::Trying { e: Some(e), .. } | State::Proceeding { e: Some(e), .. } if e.at <= now => {
                e.again(now, T2);
                actions.push(Action::Send(self.bytes.clone()));
            }
            State::Completed { k } if *k <= now => self.state = State::Terminated,
            _ => {}
        }
    }

    /// When [`Self::fire`] has something to do.
    pub fn deadline(&self) -> Option<Monotonic> {
        match &self.state {
            State::Trying { e, f } | State::Proceeding { e, f } => Some(e.map_or(*f, |e| e.at.min(*f))),
            State::Completed { k } => Some(*k),
            State::Terminated => None,
        }
    }

    /// Whether the transaction is over.
    pub fn is_terminated(&self) -> bool {
        matches!(self.state, State::Terminated)
    }
}
