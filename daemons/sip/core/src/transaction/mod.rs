//! Transactions (RFC 3261 §17 with the corrections of RFC 6026) and the table of those that live.
//!
//! Owns retransmission, matching and every timer A to M; the clock is handed in. Never looks into a dialog
//! and never decides an answer.

mod client;
mod key;
mod server;
mod timers;

pub use client::{Client, InviteClient};
pub use key::Key;
pub use server::{Acknowledged, InviteServer, Server};
pub use timers::{Retransmit, T1, T2, T4, TIMEOUT, TIMER_D, Transport};

use crate::{
    Flow,
    agenda::Agenda,
    message::{Method, Request, Response},
};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use types::{LegId, Monotonic};

/// What a state machine asks for.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Send these bytes where the transaction's peer is.
    Send(Vec<u8>),
    /// Give this response to the user agent.
    Deliver(Box<Response>),
    /// Tell the user agent that no answer (timers B, F) or no ACK (timer H) came.
    TimedOut,
}

/// One live transaction, in this process and the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TransactionId(pub u64);

/// A transaction and whose it is.
#[derive(Clone, Serialize, Deserialize)]
pub struct Transaction {
    key: Key,
    flow: Flow,
    leg: Option<LegId>,
    machine: Machine,
}

#[derive(Clone, Serialize, Deserialize)]
enum Machine {
    InviteClient(Box<InviteClient>),
    Client(Client),
    InviteServer(InviteServer),
    Server(Server),
}

/// What the table tells the user agent.
#[derive(Debug)]
pub enum Happened {
    /// A response to a request of ours.
    Response(TransactionId, Option<LegId>, Box<Response>),
    /// No final response came in time (timers B and F).
    TimedOut(TransactionId, Option<LegId>),
    /// The request could not be sent, or the connection on which its answer would come is gone
    /// (RFC 3261 §17.1.4).
    Failed(TransactionId, Option<LegId>),
}

/// What a request is to the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Incoming {
    /// The first of a new transaction: the user agent must respond.
    New(TransactionId),
    /// A retransmission, or an ACK of a refusal: done.
    Absorbed,
    /// An ACK that no transaction takes: the dialog's.
    Ack,
    /// No room for one more transaction.
    Full,
}

/// Every live transaction.
#[derive(Default)]
pub struct Transactions {
    live: BTreeMap<TransactionId, Transaction>,
    by_key: HashMap<Key, TransactionId>,
    agenda: Agenda<TransactionId>,
    next: u64,
    limit: usize,
    sends: Vec<(Flow, Vec<u8>)>,
    happened: Vec<Happened>,
    /// Failed, and forgotten with the next look at what is due.
    ended: Vec<TransactionId>,
    touched: BTreeSet<TransactionId>,
}

impl Transactions {
    /// An empty table for at most `limit` transactions.
    pub fn new(limit: usize) -> Self {
        Self { limit, ..Self::default() }
    }

    /// Opens a client transaction and sends its request. `None` where there is no room.
    pub fn request(
        &mut self,
        now: Monotonic,
        request: Request,
        flow: Flow,
        leg: Option<LegId>,
    ) -> Option<TransactionId> {
        let branch = request.head.vias.first()?.branch()?.to_vec();
        let key = Key::Client(branch, request.method.clone());
        let mut actions = Vec::new();
        let machine = match request.method {
            Method::Invite => Machine::InviteClient(Box::new(InviteClient::start(
                now,
                request,
                flow.transport(),
                &mut actions,
            ))),
            _ => Machine::Client(Client::start(now, &request, flow.transport(), &mut actions)),
        };
        let id = self.insert(Transaction { key, flow, leg, machine })?;
        self.settle(id, actions);
        Some(id)
    }

    /// Takes a response to the transaction it answers; drops one that answers none.
    pub fn receive_response(&mut self, now: Monotonic, response: Response) {
        let id = Key::of_response(&response).and_then(|key| self.by_key.get(&key).copied());
        let Some((id, transaction)) = id.and_then(|id| Some((id, self.live.get_mut(&id)?))) else { return };
        let mut actions = Vec::new();
        match &mut transaction.machine {
            Machine::InviteClient(machine) => machine.receive(now, response, &mut actions),
            Machine::Client(machine) => machine.receive(now, response, &mut actions),
            Machine::InviteServer(_) | Machine::Server(_) => {}
        }
        self.settle(id, actions);
    }

    /// Takes a request to the transaction it repeats or acknowledges, or opens a new one.
    pub fn receive_request(&mut self, now: Monotonic, request: &Request, flow: Flow) -> Incoming {
        let Some(key) = Key::of_request(request) else { return Incoming::Absorbed };
        let known = self.by_key.get(&key).copied();
        let Some((id, transaction)) = known.and_then(|id| Some((id, self.live.get_mut(&id)?))) else {
            if request.method == Method::Ack {
                return Incoming::Ack;
            }
            let machine = match request.method {
                Method::Invite => Machine::InviteServer(InviteServer::new(flow.transport())),
                _ => Machine::Server(Server::new(flow.transport())),
            };
            let opened = self.insert(Transaction { key, flow, leg: None, machine });
            return opened.map_or(Incoming::Full, Incoming::New);
        };
        let mut actions = Vec::new();
        let incoming = match &mut transaction.machine {
            Machine::InviteServer(machine) if request.method == Method::Ack => match machine.acknowledge(now)
            {
                Acknowledged::Absorbed => Incoming::Absorbed,
                Acknowledged::Passed => Incoming::Ack,
            },
            Machine::InviteServer(machine) => {
                machine.repeat(&mut actions);
                Incoming::Absorbed
            }
            Machine::Server(machine) => {
                machine.repeat(&mut actions);
                Incoming::Absorbed
            }
            Machine::InviteClient(_) | Machine::Client(_) => Incoming::Absorbed,
        };
        self.settle(id, actions);
        incoming
    }

    /// Sends a response within a server transaction.
    pub fn respond(&mut self, now: Monotonic, id: TransactionId, response: &Response) {
        let mut actions = Vec::new();
        match self.live.get_mut(&id).map(|transaction| &mut transaction.machine) {
            Some(Machine::InviteServer(machine)) => machine.respond(now, response, &mut actions),
            Some(Machine::Server(machine)) => machine.respond(now, response, &mut actions),
            Some(Machine::InviteClient(_) | Machine::Client(_)) | None => {}
        }
        self.settle(id, actions);
    }

    /// Sends the last provisional response of a server transaction once more (RFC 3262 §3).
    pub fn repeat(&mut self, id: TransactionId) {
        let mut actions = Vec::new();
        if let Some(Machine::InviteServer(machine)) =
            self.live.get(&id).map(|transaction| &transaction.machine)
        {
            machine.repeat(&mut actions);
        }
        self.settle(id, actions);
    }

    /// Notes to which leg a transaction belongs.
    pub fn belongs(&mut self, id: TransactionId, leg: LegId) {
        if let Some(transaction) = self.live.get_mut(&id) {
            transaction.leg = Some(leg);
            self.touched.insert(id);
        }
    }

    /// The INVITE that a CANCEL is for, if it has no final response yet, and its leg (§9.2).
    pub fn cancelled_by(&self, cancel: &Request) -> Option<(TransactionId, Option<LegId>)> {
        let id = *self.by_key.get(&Key::cancelled_by(cancel)?)?;
        let transaction = self.live.get(&id)?;
        matches!(transaction.machine, Machine::InviteServer(_)).then_some((id, transaction.leg))
    }

    /// The INVITE client transaction of that id.
    pub fn invite(&self, id: TransactionId) -> Option<(&InviteClient, Flow)> {
        match self.live.get(&id)? {
            Transaction { machine: Machine::InviteClient(machine), flow, .. } => Some((machine, *flow)),
            _ => None,
        }
    }

    /// The request of a client transaction and its path.
    pub fn sent(&self, id: TransactionId) -> Option<(Request, Flow)> {
        let transaction = self.live.get(&id)?;
        let request = match &transaction.machine {
            Machine::InviteClient(machine) => machine.request().clone(),
            Machine::Client(machine) => machine.request()?,
            Machine::InviteServer(_) | Machine::Server(_) => return None,
        };
        Some((request, transaction.flow))
    }

    /// Whether a request of that branch and method is under way.
    pub fn is_sent(&self, branch: &[u8], method: Method) -> bool {
        self.by_key.contains_key(&Key::Client(branch.to_vec(), method))
    }

    /// Nobody waits for that INVITE any more: it is not repeated, and what still comes of it is nobody's leg.
    pub fn abandon(&mut self, id: TransactionId) {
        if let Some(transaction) = self.live.get_mut(&id) {
            transaction.leg = None;
            if let Machine::InviteClient(machine) = &mut transaction.machine {
                machine.abandon();
            }
        }
        self.settle(id, Vec::new());
    }

    /// Ends the client transactions that wait for a response over such a path.
    pub fn fail(&mut self, lost: impl Fn(Flow) -> bool) {
        let waits = |transaction: &Transaction| match &transaction.machine {
            Machine::InviteClient(machine) => machine.is_waiting(),
            Machine::Client(machine) => machine.is_waiting(),
            Machine::InviteServer(_) | Machine::Server(_) => false,
        };
        let failed = self.live.iter().filter(|(_, t)| waits(t) && lost(t.flow));
        let failed: Vec<_> = failed.map(|(id, t)| (*id, t.leg)).collect();
        for (id, leg) in failed {
            self.happened.push(Happened::Failed(id, leg));
            self.touched.insert(id);
            self.agenda.set(id, None);
            match self.live.get_mut(&id).map(|transaction| &mut transaction.machine) {
                Some(Machine::InviteClient(machine)) => machine.fail(),
                Some(Machine::Client(machine)) => machine.fail(),
                Some(Machine::InviteServer(_) | Machine::Server(_)) | None => {}
            }
            // The user agent may still want to send its request elsewhere: it is gone after that.
            self.ended.push(id);
        }
    }

    /// The clock stands at `now`: fires what is due.
    pub fn fire(&mut self, now: Monotonic) {
        for id in std::mem::take(&mut self.ended) {
            self.restore(id, None);
            self.touched.insert(id);
        }
        while let Some(id) = self.agenda.due(now) {
            let mut actions = Vec::new();
            match self.live.get_mut(&id).map(|transaction| &mut transaction.machine) {
                Some(Machine::InviteClient(machine)) => machine.fire(now, &mut actions),
                Some(Machine::Client(machine)) => machine.fire(now, &mut actions),
                Some(Machine::InviteServer(machine)) => machine.fire(now, &mut actions),
                Some(Machine::Server(machine)) => machine.fire(now),
                None => {}
            }
            self.settle(id, actions);
        }
    }

    /// When [`Self::fire`] has something to do.
    pub fn next_wake(&self) -> Option<Monotonic> {
        self.agenda.next()
    }

    /// Bytes to send since the last call, in order.
    pub fn sends(&mut self) -> Vec<(Flow, Vec<u8>)> {
        std::mem::take(&mut self.sends)
    }

    /// What the user agent has to know since the last call, in order.
    pub fn happened(&mut self) -> Vec<Happened> {
        std::mem::take(&mut self.happened)
    }

    /// The transactions that changed since the last call; `None` for one that is over.
    pub fn changes(&mut self) -> impl Iterator<Item = (TransactionId, Option<&Transaction>)> {
        let touched = std::mem::take(&mut self.touched);
        touched.into_iter().map(|id| (id, self.live.get(&id)))
    }

    /// Every live transaction.
    pub fn iter(&self) -> impl Iterator<Item = (TransactionId, &Transaction)> {
        self.live.iter().map(|(id, transaction)| (*id, transaction))
    }

    /// Puts a transaction back, or away, as [`Self::changes`] gave it.
    pub fn restore(&mut self, id: TransactionId, transaction: Option<Transaction>) {
        self.next = self.next.max(id.0.saturating_add(1));
        if let Some(old) = self.live.remove(&id) {
            self.by_key.remove(&old.key);
            self.agenda.set(id, None);
        }
        let Some(transaction) = transaction else { return };
        self.by_key.insert(transaction.key.clone(), id);
        self.live.insert(id, transaction);
        self.settle(id, Vec::new());
    }

    /// How many live.
    pub fn len(&self) -> usize {
        self.live.len()
    }

    /// Whether none lives.
    pub fn is_empty(&self) -> bool {
        self.live.is_empty()
    }

    fn insert(&mut self, transaction: Transaction) -> Option<TransactionId> {
        if self.live.len() >= self.limit {
            return None;
        }
        let id = TransactionId(self.next);
        self.next += 1;
        self.by_key.insert(transaction.key.clone(), id);
        self.live.insert(id, transaction);
        self.touched.insert(id);
        Some(id)
    }

    /// Carries out what a machine asked for, moves its wake-up, and forgets it when it is over.
    fn settle(&mut self, id: TransactionId, actions: Vec<Action>) {
        let Some(transaction) = self.live.get(&id) else { return };
        for action in actions {
            match action {
                Action::Send(bytes) => self.sends.push((transaction.flow, bytes)),
                Action::Deliver(response) => {
                    self.happened.push(Happened::Response(id, transaction.leg, response));
                }
                // Timer H: no ACK to a refusal. The leg is over already, so nobody needs to know.
                Action::TimedOut if matches!(transaction.machine, Machine::InviteServer(_)) => {}
                Action::TimedOut => self.happened.push(Happened::TimedOut(id, transaction.leg)),
            }
        }
        let (deadline, terminated) = match &transaction.machine {
            Machine::InviteClient(machine) => (machine.deadline(), machine.is_terminated()),
            Machine::Client(machine) => (machine.deadline(), machine.is_terminated()),
            Machine::InviteServer(machine) => (machine.deadline(), machine.is_terminated()),
            Machine::Server(machine) => (machine.deadline(), machine.is_terminated()),
        };
        self.agenda.set(id, deadline);
        self.touched.insert(id);
        if terminated
            && !mutant::mutant("sip-transactions-kept")
            && let Some(over) = self.live.remove(&id)
        {
            self.by_key.remove(&over.key);
        }
    }
}

#[cfg(test)]
mod tests;
