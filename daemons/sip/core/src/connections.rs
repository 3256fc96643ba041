//! Streams to peers (RFC 3261 §18): which there are, what has not come whole on them yet, when they end.
//!
//! Owns connections as the core sees them; the shell owns the sockets. Never looks into a message.
//!
//! ```text
//!   open ──► Opening ──Opened──► Open ──silence, broken framing, Closed──► over
//!               └──not within 4 s, Closed──► over: what waited for it fails
//!   accept ────────────────────► Open
//! ```

use crate::{
    Flow,
    agenda::Agenda,
    flow::{ConnectionId, Protocol, RemotePort},
    message::{Broken, Frame, Framer},
    sources::Source,
};
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    net::SocketAddr,
    time::Duration,
};
use types::{Monotonic, TrunkId};

/// How long a peer may take to accept our connection, its TLS handshake included: an ACK or BYE does not
/// stall for as long as the kernel is willing to try.
pub(crate) const OPENING: Duration = Duration::from_secs(4);
/// How long the rest of a message may take, and the first one of a peer that opened a connection.
pub(crate) const WHOLE: Duration = Duration::from_secs(30);
/// How long a connection that nobody needs may be silent.
pub(crate) const IDLE: Duration = Duration::from_secs(600);
/// How often a needed connection is kept open by a line end (RFC 5626 §4.4.1 has clients do so within 120 s).
pub(crate) const KEEP_ALIVE: Duration = Duration::from_secs(95);
/// Most messages that wait for a connection to open.
const PENDING: usize = 64;

/// A connection.
#[derive(Clone, Serialize, Deserialize)]
pub struct Connection {
    listener: u8,
    protocol: Protocol,
    remote: SocketAddr,
    port: RemotePort,
    /// The trunk it was opened for, whose certificate is expected.
    trunk: Option<TrunkId>,
    framer: Framer,
    /// What waits until it is open; `None` once it is.
    #[serde(skip)]
    pending: Option<Vec<Vec<u8>>>,
    /// When a message last came or went, and whether one came ever.
    #[serde(skip)]
    used: Option<Monotonic>,
    #[serde(skip)]
    heard: bool,
}

/// Why a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Disconnect {
    /// Nobody listens there.
    Refused,
    /// No way leads there, or no answer came within 4 s.
    Unreachable,
    /// The certificate is not the expected one, or TLS failed otherwise.
    Untrusted,
    /// The peer closed it, or it broke.
    Closed,
    /// What came on it was no SIP.
    Foreign,
    /// It was idle.
    Idle,
    /// It ended with the life of the process: TLS cannot outlive it.
    Restarted,
}

/// What became of bytes that are to go out.
pub(crate) enum Write {
    /// They can go at once.
    Now,
    /// They go once the connection is open.
    Later,
    /// Too many wait already.
    Full,
}

/// Every connection.
#[derive(Default)]
pub(crate) struct Connections {
    live: BTreeMap<ConnectionId, Connection>,
    by_peer: HashMap<(u8, Protocol, SocketAddr), ConnectionId>,
    /// How many each source opened.
    accepted: HashMap<Source, usize>,
    agenda: Agenda<ConnectionId>,
    touched: BTreeSet<ConnectionId>,
    next: u64,
}

impl Connection {
    /// The path that it is.
    pub(crate) fn flow(&self, id: ConnectionId) -> Flow {
        Flow {
            listener: self.listener,
            protocol: self.protocol,
            remote: self.remote,
            port: self.port,
            connection: Some(id),
        }
    }

    /// The trunk it was opened for.
    pub(crate) fn trunk(&self) -> Option<&TrunkId> {
        self.trunk.as_ref()
    }

    pub(crate) fn is_open(&self) -> bool {
        self.pending.is_none()
    }

    /// Whether any message ever came on it, or a message has begun and not ended.
    pub(crate) fn is_heard(&self) -> bool {
        self.heard
    }

    pub(crate) fn is_within(&self) -> bool {
        self.framer.is_within()
    }

    pub(crate) fn used(&self) -> Option<Monotonic> {
        self.used
    }
}

impl Connections {
    /// Takes a connection that a peer opened; `None` where there are `of_one` of its source or `of_all`.
    pub(crate) fn accept(
        &mut self,
        now: Monotonic,
        flow: Flow,
        of_one: usize,
        of_all: usize,
    ) -> Option<ConnectionId> {
        let source = Source::of(flow.remote.ip());
        let of_source = self.accepted.get(&source).copied().unwrap_or(0);
        if of_source >= of_one || self.live.len() >= of_all {
            return None;
        }
        *self.accepted.entry(source).or_default() += 1;
        let flow = Flow { port: RemotePort::Ephemeral, ..flow };
        let id = self.insert(now, flow, None);
        if let Some(connection) = self.live.get_mut(&id) {
            connection.pending = None;
        }
        Some(id)
    }

    /// Begins to open one to a peer.
    pub(crate) fn open(&mut self, now: Monotonic, flow: Flow, trunk: Option<TrunkId>) -> ConnectionId {
        self.insert(now, Flow { port: RemotePort::Listening, ..flow }, trunk)
    }

    /// It is open: what waited for that.
    pub(crate) fn opened(&mut self, now: Monotonic, id: ConnectionId) -> Vec<Vec<u8>> {
        let Some(connection) = self.live.get_mut(&id) else { return Vec::new() };
        self.touched.insert(id);
        let pending = connection.pending.take().unwrap_or_default();
        self.watch(now, id, KEEP_ALIVE);
        pending
    }

    /// The live connection of a path: the very one, else one to the same peer.
    pub(crate) fn find(&self, flow: Flow) -> Option<ConnectionId> {
        let same = flow.connection.filter(|id| self.live.contains_key(id));
        same.or_else(|| self.by_peer.get(&(flow.listener, flow.protocol, flow.remote)).copied())
    }

    pub(crate) fn get(&self, id: ConnectionId) -> Option<&Connection> {
        self.live.get(&id)
    }

    /// Whether bytes can go out now; keeps them where they cannot yet.
    pub(crate) fn write(&mut self, now: Monotonic, id: ConnectionId, bytes: &[u8]) -> Write {
        let Some(connection) = self.live.get_mut(&id) else { return Write::Full };
        connection.used = Some(now);
        match &mut connection.pending {
            None => Write::Now,
            Some(pending) if pending.len() < PENDING => {
                pending.push(bytes.to_vec());
                Write::Later
            }
            Some(_) => Write::Full,
        }
    }

    /// Takes what came; gives the messages and keep-alives that are whole, and the fault that ends the stream.
    pub(crate) fn receive(
        &mut self,
        now: Monotonic,
        id: ConnectionId,
        bytes: &[u8],
    ) -> (Vec<Frame>, Option<(Broken, Vec<u8>)>) {
        let Some(connection) = self.live.get_mut(&id) else { return (Vec::new(), None) };
        let was_within = connection.framer.is_within();
        connection.framer.push(bytes);
        let mut frames = Vec::new();
        let broken = loop {
            match connection.framer.next_frame() {
                Ok(Some(frame)) => frames.push(frame),
                Ok(None) => break None,
                Err(broken) => break Some((broken, connection.framer.rest().to_vec())),
            }
        };
        let within = connection.framer.is_within();
        if !frames.is_empty() {
            connection.used = Some(now);
            connection.heard |= frames.iter().any(|frame| matches!(frame, Frame::Whole(_)));
        }
        if (was_within || within) && !mutant::mutant("sip-stream-rest-lost") {
            self.touched.insert(id);
        }
        // A message that began must end in time; the time does not begin anew with each of its bytes.
        if within && (!was_within || !frames.is_empty()) {
            self.watch(now, id, WHOLE);
        } else if !within && !frames.is_empty() && self.live.get(&id).is_some_and(Connection::is_heard) {
            self.watch(now, id, KEEP_ALIVE);
        }
        (frames, broken)
    }

    /// It is over.
    pub(crate) fn close(&mut self, id: ConnectionId) -> Option<Connection> {
        let connection = self.live.remove(&id)?;
        let peer = (connection.listener, connection.protocol, connection.remote);
        if self.by_peer.get(&peer) == Some(&id) {
            self.by_peer.remove(&peer);
        }
        if connection.port == RemotePort::Ephemeral {
            let source = Source::of(connection.remote.ip());
            if let Some(count) = self.accepted.get_mut(&source) {
                *count -= 1;
                if *count == 0 {
                    self.accepted.remove(&source);
                }
            }
        }
        self.agenda.set(id, None);
        self.touched.insert(id);
        Some(connection)
    }

    /// The next one whose time has come.
    pub(crate) fn due(&mut self, now: Monotonic) -> Option<ConnectionId> {
        self.agenda.due(now)
    }

    /// Comes back to it after that time.
    pub(crate) fn watch(&mut self, now: Monotonic, id: ConnectionId, after: Duration) {
        self.agenda.set(id, Some(now.plus(after)));
    }

    pub(crate) fn next_wake(&self) -> Option<Monotonic> {
        self.agenda.next()
    }

    pub(crate) fn ids(&self) -> Vec<ConnectionId> {
        self.live.keys().copied().collect()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (ConnectionId, &Connection)> {
        self.live.iter().map(|(id, connection)| (*id, connection))
    }

    /// Those that changed since the last call; `None` for one that is over. What is only being opened will
    /// not outlive the process and is left out.
    pub(crate) fn changes(&mut self) -> Vec<(ConnectionId, Option<Connection>)> {
        let touched = std::mem::take(&mut self.touched);
        touched.into_iter().map(|id| (id, self.live.get(&id).cloned())).collect()
    }

    /// Puts one back, or away, as [`Self::changes`] gave it.
    pub(crate) fn restore(&mut self, id: ConnectionId, connection: Option<Connection>) {
        self.next = self.next.max(id.0.saturating_add(1));
        self.close(id);
        let Some(connection) = connection else { return };
        let connection = Connection { heard: true, ..connection };
        if connection.port == RemotePort::Ephemeral {
            *self.accepted.entry(Source::of(connection.remote.ip())).or_default() += 1;
        }
        self.by_peer.insert((connection.listener, connection.protocol, connection.remote), id);
        self.live.insert(id, connection);
    }

    fn insert(&mut self, now: Monotonic, flow: Flow, trunk: Option<TrunkId>) -> ConnectionId {
        let id = ConnectionId(self.next);
        self.next += 1;
        let connection = Connection {
            listener: flow.listener,
            protocol: flow.protocol,
            remote: flow.remote,
            port: flow.port,
            trunk,
            framer: Framer::default(),
            pending: Some(Vec::new()),
            used: Some(now),
            heard: false,
        };
        self.live.insert(id, connection);
        self.by_peer.insert((flow.listener, flow.protocol, flow.remote), id);
        self.touched.insert(id);
        self.watch(now, id, if flow.port == RemotePort::Listening { OPENING } else { WHOLE });
        id
    }
}
