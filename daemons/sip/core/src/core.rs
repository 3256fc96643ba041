//! The core's one entrance and one exit.

use crate::{
    Flow, Settings,
    connections::{Connection, Connections, Disconnect},
    counters::Counters,
    digest::Nonces,
    flow::{ConnectionId, Protocol},
    ladder::{self, Ladders, Rungs},
    message::{Fault, Malformed, Message, Method, Name, Request, Response, Status, Uri, Via, parse},
    random::{Random, Seed},
    registrar::{Binding, Registrar},
    sources::{Offence, Report, Source, Sources},
    transaction::{Happened, Incoming, Transaction, TransactionId, Transactions},
    trunk::{Standing, Trunks},
    useragent::{Ended, EndedLegs, Leg, Legs, Partings},
};
use route_api::{AttachSignalling, Endpoint, LiveLeg, Reachability, SignallingCommand, SignallingEvent, Way};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeSet, VecDeque};
use types::{Extension, LegId, Monotonic, TrunkId};

/// What the shell hands in.
pub enum Input<'a> {
    /// A datagram came.
    Datagram {
        /// By which socket, from whom.
        flow: Flow,
        /// What.
        bytes: &'a [u8],
    },
    /// Bytes came on a connection.
    Bytes {
        /// Which, as [`Output::Open`] or [`Core::admit`] named it.
        connection: ConnectionId,
        /// What.
        bytes: &'a [u8],
    },
    /// A connection is open, its TLS handshake included.
    Opened(ConnectionId),
    /// A connection is over, or could not be opened.
    Closed(ConnectionId, Disconnect),
    /// The connections that outlived the process: to be said once, after [`Core::restore`].
    Kept(&'a [ConnectionId]),
    /// Route wants something.
    Command(SignallingCommand),
    /// Route is there, or is not: without it no new call is taken.
    Route(Presence),
    /// [`Core::next_wake`] has come.
    Tick,
}

/// Whether route is attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// Events reach it.
    Attached,
    /// They do not.
    Absent,
}

/// What the shell has to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// Send a datagram, or bytes on the flow's connection.
    Send {
        /// By which socket or connection, to whom.
        flow: Flow,
        /// What.
        bytes: Vec<u8>,
    },
    /// A message of a watched leg came, or goes: it is sent as well.
    Seen {
        /// Whose.
        leg: LegId,
        /// From whom to whom.
        way: Way,
        /// By which path.
        flow: Flow,
        /// The whole message.
        bytes: Vec<u8>,
    },
    /// Open a connection, from the address of that listener.
    Open {
        /// Its name.
        connection: ConnectionId,
        /// From where to where.
        flow: Flow,
        /// Whose certificate to expect, on TLS.
        trunk: Option<TrunkId>,
    },
    /// Close a connection; it has been forgotten.
    Close(ConnectionId),
    /// Enter into the audit log what a source did.
    Report(Report),
    /// Tell route, in order.
    Event(SignallingEvent),
}

/// One piece of state as it is now. The latest change of each piece is the whole state: see
/// [`Core::each_change`].
#[derive(Clone, Serialize, Deserialize)]
pub enum Change {
    /// A leg, or that it is over.
    Leg(LegId, Option<Leg>),
    /// The end of a leg, or that route has forgotten it.
    Ended(LegId, Option<Ended>),
    /// A transaction, or that it is over.
    Transaction(TransactionId, Option<Transaction>),
    /// The bindings of a phone; none where it is not registered.
    Bindings(Extension, Vec<Binding>),
    /// A connection, or that it is over.
    Connection(ConnectionId, Option<Connection>),
    /// How a trunk stands, or that it is gone.
    Trunk(TrunkId, Option<Standing>),
    /// The ladder of a leg, or that route has forgotten it.
    Ladder(LegId, Option<Rungs>),
}

/// A [`Change`] to be written, without a copy of the piece: the same variants in the same order, and so the same bytes.
#[derive(Serialize)]
#[allow(missing_docs, reason = "they are those of `Change`")]
pub enum Changed<'a> {
    Leg(LegId, Option<&'a Leg>),
    Ended(LegId, Option<&'a Ended>),
    Transaction(TransactionId, Option<&'a Transaction>),
    Bindings(&'a Extension, &'a [Binding]),
    Connection(ConnectionId, Option<&'a Connection>),
    Trunk(&'a TrunkId, Option<&'a Standing>),
    Ladder(LegId, Option<&'a Rungs>),
}

/// SIP: trunks, phones and legs.
pub struct Core {
    pub(crate) settings: Settings,
    pub(crate) random: Random,
    pub(crate) nonces: Nonces,
    pub(crate) transactions: Transactions,
    pub(crate) registrar: Registrar,
    pub(crate) legs: Legs,
    pub(crate) ended_legs: EndedLegs,
    pub(crate) ladders: Ladders,
    pub(crate) partings: Partings,
    /// Legs whose messages somebody may see as they come and go: see [`Self::watch`].
    watched: BTreeSet<LegId>,
    /// Legs that the house ended while the input in hand was handled.
    pub(crate) ends: Vec<LegId>,
    pub(crate) counters: Counters,
    pub(crate) connections: Connections,
    pub(crate) sources: Sources,
    pub(crate) trunks: Trunks,
    /// The moment of the input in hand.
    pub(crate) now: Monotonic,
    pub(crate) outputs: VecDeque<Output>,
    /// Paths over which a message could not be sent at all.
    pub(crate) unsent: Vec<Flow>,
    presence: Presence,
}

impl Core {
    /// A core without state.
    pub fn new(settings: Settings, seed: Seed) -> Self {
        let mut random = Random::new(seed);
        let nonces = Nonces::new(random.bytes());
        let transactions = Transactions::new(settings.bounds.transactions);
        let mut trunks = Trunks::default();
        trunks.follow(&settings.trunks);
        let mut registrar = Registrar::default();
        registrar.look_after(Monotonic(0), settings.phone_check);
        Self {
            settings,
            random,
            nonces,
            transactions,
            registrar,
            legs: Legs::default(),
            ended_legs: EndedLegs::default(),
            ladders: Ladders::default(),
            partings: Partings::default(),
            watched: BTreeSet::new(),
            ends: Vec::new(),
            counters: Counters::default(),
            connections: Connections::default(),
            sources: Sources::default(),
            trunks,
            now: Monotonic(0),
            outputs: VecDeque::new(),
            unsent: Vec::new(),
            presence: Presence::Absent,
        }
    }

    /// A core that goes on where another stopped: `changes` are all that [`Core::changes`] gave, in order.
    /// Nonces begin anew: phones are challenged once more.
    pub fn restore(settings: Settings, seed: Seed, changes: impl IntoIterator<Item = Change>) -> Self {
        let mut core = Self::new(settings, seed);
        for change in changes {
            match change {
                Change::Leg(id, leg) => {
                    core.legs.take(id);
                    if let Some(leg) = leg {
                        core.legs.put(id, leg);
                    }
                }
                Change::Ended(id, ended) => core.ended_legs.restore(id, ended),
                Change::Ladder(id, rungs) => core.ladders.restore(id, rungs),
                Change::Transaction(id, transaction) => core.transactions.restore(id, transaction),
                Change::Bindings(extension, bindings) => core.registrar.replace(extension, bindings),
                Change::Connection(id, connection) => core.connections.restore(id, connection),
                Change::Trunk(id, standing) => core.trunks.restore(id, standing),
            }
        }
        // The settings may be others by now.
        core.trunks.follow(&core.settings.trunks);
        core.each_change(|_| {});
        core
    }

    /// Takes other settings: phones that are gone lose their bindings, trunks and passwords hold from now on.
    /// The listeners stay those of the start.
    pub fn obey(&mut self, settings: Settings) {
        let mut old = std::mem::replace(&mut self.settings, settings);
        self.settings.listeners = std::mem::take(&mut old.listeners);
        let named = |settings: &Settings| -> BTreeSet<Endpoint> {
            let trunks = settings.trunks.iter().map(|trunk| Endpoint::Trunk(trunk.id.clone()));
            trunks
                .chain(settings.phones.iter().map(|phone| Endpoint::Phone(phone.extension.clone())))
                .collect()
        };
        self.trunks.follow(&self.settings.trunks);
        self.look_after_phones();
        let (before, after) = (named(&old), named(&self.settings));
        for gone in before.difference(&after).cloned() {
            if let Endpoint::Phone(extension) = &gone {
                self.registrar.replace(extension.clone(), Vec::new());
            }
            self.event(SignallingEvent::Reachable { endpoint: gone, reachable: Reachability::Removed });
        }
        for new in after.difference(&before).cloned() {
            let reachable = match new {
                Endpoint::Trunk(_) => Reachability::Unknown,
                Endpoint::Phone(_) => Reachability::Unreachable,
            };
            self.event(SignallingEvent::Reachable { endpoint: new, reachable });
        }
    }

    /// Takes one input. Then drain [`Core::poll`], keep [`Core::each_change`], and come back at
    /// [`Core::next_wake`].
    pub fn handle(&mut self, now: Monotonic, input: Input<'_>) {
        self.now = now;
        self.ladders.arrive_at(now);
        self.fire(now);
        match input {
            Input::Datagram { flow, bytes } => self.receive(now, flow, bytes),
            Input::Bytes { connection, bytes } => self.read(now, connection, bytes),
            Input::Opened(connection) => self.opened(now, connection),
            Input::Closed(connection, why) => self.closed(now, connection, why),
            Input::Kept(connections) => self.kept(now, connections),
            Input::Command(command) => self.command(now, command),
            Input::Route(presence) => {
                self.presence = presence;
                if presence == Presence::Attached {
                    self.tell_standings();
                }
                self.ask_again();
            }
            Input::Tick => {}
        }
        self.settle(now);
        self.tell_ends(now);
    }

    /// From now on each message of these legs comes out as [`Output::Seen`], too.
    pub fn watch(&mut self, legs: BTreeSet<LegId>) {
        self.watched = legs;
    }

    /// What to do next; `None` when all is done.
    pub fn poll(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When to hand in [`Input::Tick`].
    pub fn next_wake(&self) -> Option<Monotonic> {
        let calls = [self.transactions.next_wake(), self.legs.next_wake(), self.registrar.next_wake()];
        let lines = [self.connections.next_wake(), self.trunks.next_wake(), self.partings.next_wake()];
        calls.into_iter().chain(lines).flatten().min()
    }

    /// Tells every piece of state that changed since the last call.
    pub fn each_change(&mut self, mut tell: impl FnMut(Changed<'_>)) {
        self.legs.changes().for_each(|(id, leg)| tell(Changed::Leg(id, leg)));
        self.ended_legs.changes().for_each(|(id, ended)| tell(Changed::Ended(id, ended)));
        self.transactions.changes().for_each(|(id, transaction)| tell(Changed::Transaction(id, transaction)));
        for (extension, bindings) in self.registrar.changes() {
            tell(Changed::Bindings(&extension, &bindings));
        }
        self.ladders.changes().for_each(|(id, rungs)| tell(Changed::Ladder(id, rungs)));
        for (id, connection) in self.connections.changes() {
            tell(Changed::Connection(id, connection.as_ref()));
        }
        for (id, standing) in self.trunks.changes() {
            tell(Changed::Trunk(&id, standing.as_ref()));
        }
    }

    /// The whole state to be written, for a fresh start of the record of changes.
    pub fn pieces(&self) -> impl Iterator<Item = Changed<'_>> {
        let legs = self.legs.iter().map(|(id, leg)| Changed::Leg(id, Some(leg)));
        let ended = self.ended_legs.iter().map(|(id, ended)| Changed::Ended(id, Some(ended)));
        let transactions = self.transactions.iter();
        let transactions = transactions.map(|(id, transaction)| Changed::Transaction(id, Some(transaction)));
        let bindings = self.registrar.iter().map(|(extension, all)| Changed::Bindings(extension, all));
        let ladders = self.ladders.iter().map(|(id, rungs)| Changed::Ladder(id, Some(rungs)));
        let connections = self.connections.iter();
        let connections = connections.map(|(id, connection)| Changed::Connection(id, Some(connection)));
        let trunks = self.trunks.iter().map(|(id, standing)| Changed::Trunk(id, Some(standing)));
        let calls = legs.chain(ended).chain(transactions);
        calls.chain(bindings).chain(ladders).chain(connections).chain(trunks)
    }

    /// A copy of the whole state.
    pub fn snapshot(&self) -> Vec<Change> {
        let legs = self.legs.iter().map(|(id, leg)| Change::Leg(id, Some(leg.clone())));
        let ended = self.ended_legs.iter().map(|(id, ended)| Change::Ended(id, Some(ended.clone())));
        let transactions = self.transactions.iter();
        let transactions =
            transactions.map(|(id, transaction)| Change::Transaction(id, Some(transaction.clone())));
        let bindings = self.registrar.iter();
        let bindings = bindings.map(|(extension, all)| Change::Bindings(extension.clone(), all.to_vec()));
        let ladders = self.ladders.iter().map(|(id, rungs)| Change::Ladder(id, Some(rungs.clone())));
        let connections = self.connections.iter();
        let connections =
            connections.map(|(id, connection)| Change::Connection(id, Some(connection.clone())));
        let trunks = self.trunks.iter();
        let trunks = trunks.map(|(id, standing)| Change::Trunk(id.clone(), Some(standing.clone())));
        let calls = legs.chain(ended).chain(transactions);
        calls.chain(bindings).chain(ladders).chain(connections).chain(trunks).collect()
    }

    /// What route is told before we attach, though an earlier life of it may have heard: the offers of legs
    /// that have no memo, then the ends of those that it has not forgotten, the oldest first.
    pub fn again(&self) -> Vec<SignallingEvent> {
        let alive = self.legs.iter().filter_map(|(leg, state)| Some(state.offer()?.event(leg)));
        let over = self.ended_legs.offers().map(|(leg, offer)| offer.event(leg));
        let ends = self.ended_legs.iter().map(|(leg, ended)| ended.event(leg, self.ladders.of(leg)));
        alive.chain(over).chain(ends).collect()
    }

    /// What route is told when we attach: every leg that is alive, every endpoint.
    pub fn attach(&self) -> AttachSignalling {
        let live = self.legs.iter().filter_map(|(leg, state)| {
            let memo = state.memo().clone();
            Some(LiveLeg { leg, state: state.state()?, memo })
        });
        let trunks = self.settings.trunks.iter().map(|trunk| {
            let standing = self.trunks.get(&trunk.id);
            let reachable = standing.map_or(Reachability::Unknown, |s| s.reachability(trunk.check));
            (Endpoint::Trunk(trunk.id.clone()), reachable)
        });
        let phones = self.settings.phones.iter().map(|phone| {
            let reachable = match self.registrar.is_reachable(&phone.extension) {
                true => Reachability::Reachable,
                false => Reachability::Unreachable,
            };
            (Endpoint::Phone(phone.extension.clone()), reachable)
        });
        AttachSignalling {
            legs: live.collect(),
            endpoints: trunks.chain(phones).collect(),
            ..AttachSignalling::default()
        }
    }

    /// The sources that are slowed at the moment.
    pub fn slowed(&self, now: Monotonic) -> Vec<Source> {
        self.sources.slowed(now)
    }

    /// How every trunk stands.
    pub fn trunks(&self) -> impl Iterator<Item = (&TrunkId, &Standing)> {
        self.trunks.iter()
    }

    /// What was counted since the start.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    pub(crate) fn receive(&mut self, now: Monotonic, flow: Flow, bytes: &[u8]) {
        self.counters.received += 1;
        let source = Source::of(flow.remote.ip());
        let trunk = self.trunk_at(flow).map(|trunk| trunk.id.clone());
        let admitted = match &trunk {
            Some(trunk) => self.sources.admit_trunk(now, trunk),
            None => self.sources.admit(now, source, &self.settings.limits),
        };
        if !admitted {
            self.counters.too_fast += 1;
            return;
        }
        let parsed = parse(bytes);
        if let Ok(message) = &parsed {
            let leg = self.ladders.received(message, self.path(flow));
            self.see(leg, Way::Received, flow, bytes);
        }
        match parsed {
            Ok(Message::Request(request)) => self.receive_request(now, flow, request),
            // RFC 3261 §8.1.3.3: a response with another Via below ours was meant for someone else.
            Ok(Message::Response(response)) if response.head.vias.len() == 1 => {
                self.transactions.receive_response(now, response);
            }
            Ok(Message::Response(_)) => self.counters.malformed += 1,
            // A keep-alive (RFC 5626 §3.5.1).
            Err(malformed) if malformed.fault == Fault::Empty => {}
            Err(malformed) => {
                if trunk.is_none() {
                    self.sources.note(now, source, Offence::Malformed, &self.settings.limits);
                }
                self.refuse(flow, malformed);
            }
        }
    }

    fn receive_request(&mut self, now: Monotonic, source: Flow, mut request: Request) {
        let Some(via) = request.head.vias.first_mut() else { return };
        via.receive(source.remote);
        let flow = back(source, via);
        match self.transactions.receive_request(now, &request, flow) {
            Incoming::Absorbed => {}
            Incoming::Ack => self.acknowledged(now, &request),
            Incoming::New(transaction) => self.dispatch(now, transaction, source, request),
            Incoming::Full => {
                self.counters.no_room += 1;
                let busy = self.tagged(request.respond(Status(503))).with(Name::RetryAfter, "10");
                self.transmit(flow, busy.to_bytes());
            }
        }
    }

    /// Answers a malformed request without a transaction.
    pub(crate) fn refuse(&mut self, source: Flow, malformed: Malformed) {
        self.counters.malformed += 1;
        if let Some(mut answer) = malformed.answer
            && let Some(via) = answer.head.vias.first_mut()
        {
            via.receive(source.remote);
            let flow = back(source, via);
            let answer = self.tagged(*answer);
            self.transmit(flow, answer.to_bytes());
        }
    }

    fn fire(&mut self, now: Monotonic) {
        self.transactions.fire(now);
        self.settle(now);
        while let Some(leg) = self.legs.due(now) {
            self.leg_due(now, leg);
        }
        for extension in self.registrar.expire(now) {
            self.reachable(extension, Reachability::Unreachable);
        }
        for flow in self.registrar.pings(now) {
            // Keeps the path through an address translator open (RFC 5626 §3.5).
            self.outputs.push_back(Output::Send { flow, bytes: b"\r\n\r\n".to_vec() });
        }
        self.connections_due(now);
        self.errands_due(now);
        self.phones_due(now);
    }

    /// Brings what transactions did to the legs and to the wire.
    pub(crate) fn settle(&mut self, now: Monotonic) {
        loop {
            for (flow, bytes) in self.transactions.sends() {
                self.transmit(flow, bytes);
            }
            for flow in std::mem::take(&mut self.unsent) {
                self.transactions.fail(|path| path == flow);
            }
            let happened = self.transactions.happened();
            if happened.is_empty() {
                break;
            }
            for one in happened {
                match one {
                    Happened::Response(id, leg, response) => self.responded(now, id, leg, *response),
                    Happened::TimedOut(id, leg) => self.timed_out(now, id, leg),
                    Happened::Failed(id, leg) => self.failed(now, id, leg),
                }
            }
        }
        for trunk in self.trunks.stirred() {
            self.tell_standing(&trunk);
        }
        for report in self.sources.reports() {
            self.outputs.push_back(Output::Report(report));
        }
    }

    pub(crate) fn presence(&self) -> Presence {
        self.presence
    }

    pub(crate) fn event(&mut self, event: SignallingEvent) {
        self.outputs.push_back(Output::Event(event));
    }

    pub(crate) fn reachable(&mut self, extension: Extension, reachable: Reachability) {
        self.event(SignallingEvent::Reachable { endpoint: Endpoint::Phone(extension), reachable });
    }

    /// Tells route whether a phone can be reached, where that is not as it was before.
    pub(crate) fn turned(&mut self, extension: Extension, before: bool) {
        match (before, self.registrar.is_reachable(&extension)) {
            (false, true) => self.reachable(extension, Reachability::Reachable),
            (true, false) => self.reachable(extension, Reachability::Unreachable),
            _ => {}
        }
    }

    /// Sends bytes that no transaction repeats: an ACK, a copy of a 2xx.
    pub(crate) fn send(&mut self, flow: Flow, bytes: Vec<u8>) {
        // What transactions sent before goes out before.
        for (flow, bytes) in self.transactions.sends() {
            self.transmit(flow, bytes);
        }
        self.transmit(flow, bytes);
    }

    /// A message of ours goes out by that path.
    pub(crate) fn goes(&mut self, flow: Flow, bytes: &[u8]) {
        let leg = self.ladders.sent(bytes, self.path(flow));
        self.see(leg, Way::Sent, flow, bytes);
    }

    fn see(&mut self, leg: Option<LegId>, way: Way, flow: Flow, bytes: &[u8]) {
        if let Some(leg) = leg.filter(|leg| self.watched.contains(leg)) {
            self.outputs.push_back(Output::Seen { leg, way, flow, bytes: bytes.to_vec() });
        }
    }

    pub(crate) fn path(&self, flow: Flow) -> ladder::Path {
        ladder::Path { protocol: flow.protocol, house: self.advertised(flow), far: flow.remote }
    }

    pub(crate) fn respond(&mut self, now: Monotonic, id: TransactionId, response: &Response) {
        self.transactions.respond(now, id, response);
    }

    /// Refuses or answers a request that makes no dialog.
    pub(crate) fn answer(&mut self, now: Monotonic, id: TransactionId, request: &Request, status: u16) {
        let response = self.tagged(request.respond(Status(status)));
        self.respond(now, id, &response);
    }

    pub(crate) fn tagged(&mut self, response: Response) -> Response {
        let tag = self.random.tag();
        response.tagged(&tag)
    }

    /// Our Via for a request that goes out by that socket.
    pub(crate) fn via(&mut self, flow: Flow) -> Via {
        let branch = self.random.branch();
        Via::ours(flow.protocol.token(), self.advertised(flow), &branch)
    }

    /// Our Contact for peers beyond that socket.
    pub(crate) fn contact(&self, flow: Flow) -> Vec<u8> {
        self.contact_of(None, flow)
    }

    /// The Contact of a user of ours for peers beyond that socket.
    pub(crate) fn contact_of(&self, user: Option<&[u8]>, flow: Flow) -> Vec<u8> {
        let uri = Uri::at(user, self.advertised(flow)).over(flow.protocol);
        [b"<", &uri.to_bytes()[..], b">"].concat()
    }

    pub(crate) fn advertised(&self, flow: Flow) -> std::net::SocketAddr {
        let listener = self.settings.listeners.get(usize::from(flow.listener));
        // The shell numbers flows by the same list; an unknown one can only lack a settings entry.
        listener.map_or(flow.remote, |listener| listener.advertised)
    }

    fn dispatch(&mut self, now: Monotonic, id: TransactionId, source: Flow, request: Request) {
        if request.method != Method::Invite && request.head.headers.first(&Name::Replaces).is_some() {
            // RFC 3891 §3.
            self.answer(now, id, &request, 400);
        } else if request.method == Method::Cancel {
            self.cancelled(now, id, &request);
        } else if request.head.to.tag().is_some() {
            self.within(now, id, source, request);
        } else {
            self.outside(now, id, source, request);
        }
    }
}

/// Where the response to a request goes that came from there (RFC 3261 §18.2.2): back on its connection, or
/// to the address that its Via names.
fn back(source: Flow, via: &Via) -> Flow {
    match source.protocol {
        Protocol::Udp => Flow { remote: via.reply_to(source.remote), ..source },
        Protocol::Tcp | Protocol::Tls => source,
    }
}
