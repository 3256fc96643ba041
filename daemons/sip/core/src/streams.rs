//! What the core does with connections: reads them, opens and closes them, sends on them what is to go out.

use crate::{
    Core, Flow, Output,
    connections::{Connection, Disconnect, IDLE, KEEP_ALIVE, Write},
    flow::{ConnectionId, Protocol, RemotePort},
    message::{Broken, Frame, Message, Status, Via, parse},
    settings::Trunk,
    sources::{Offence, Source},
};
use route_api::{Reachability, Trouble};
use std::net::SocketAddr;
use types::Monotonic;

impl Core {
    /// Takes a connection that a peer opened to that listener; `None` where it may have no more of them: then
    /// it is to be closed.
    pub fn admit(&mut self, now: Monotonic, listener: u8, remote: SocketAddr) -> Option<ConnectionId> {
        let protocol = self.settings.listeners.get(usize::from(listener))?.protocol;
        let flow = Flow { port: RemotePort::Ephemeral, ..Flow::stream(listener, protocol, remote) };
        let source = Source::of(remote.ip());
        let limit = self.settings.limits.connections;
        let known = self.trunk_at(flow).is_some() || self.sources.has_phones(now, source);
        let of_one = if known { limit.saturating_mul(10) } else { limit };
        // Strangers leave a quarter of the room to those who are known.
        let of_all = self.settings.bounds.connections;
        let of_all = if known { of_all } else { of_all / 4 * 3 };
        let accepted = self.connections.accept(now, flow, of_one, of_all);
        self.counters.no_room += u64::from(accepted.is_none());
        accepted
    }

    /// The carrier that sends by that path.
    pub(crate) fn trunk_at(&self, flow: Flow) -> Option<&Trunk> {
        let network = self.settings.listeners.get(usize::from(flow.listener))?.network;
        let opened = flow.connection.and_then(|id| self.connections.get(id)).and_then(Connection::trunk);
        self.settings.trunks.iter().find(|trunk| match opened {
            Some(id) => trunk.id == *id,
            None => trunk.network == network && trunk.sends_from(flow.protocol, flow.remote),
        })
    }

    pub(crate) fn read(&mut self, now: Monotonic, id: ConnectionId, bytes: &[u8]) {
        let Some(flow) = self.connections.get(id).map(|connection| connection.flow(id)) else { return };
        let (frames, broken) = self.connections.receive(now, id, bytes);
        for frame in frames {
            match frame {
                Frame::Whole(message) => self.receive(now, flow, &message),
                // Who opened the connection pings (RFC 5626 §4.4.1); what else looks like a ping are two pongs.
                Frame::Ping if flow.port == RemotePort::Ephemeral => self.transmit(flow, b"\r\n".to_vec()),
                Frame::Ping => {}
            }
        }
        let Some((why, rest)) = broken else { return };
        if self.trunk_at(flow).is_none() {
            self.sources.note(now, Source::of(flow.remote.ip()), Offence::Malformed, &self.settings.limits);
        }
        self.answer_broken(flow, why, &rest);
        // What was answered goes out before the end.
        self.settle(now);
        self.drop_connection(now, id, Disconnect::Foreign);
    }

    /// A request whose end cannot be told is answered where it can be read at all.
    fn answer_broken(&mut self, flow: Flow, why: Broken, rest: &[u8]) {
        let Some(end) = rest.windows(4).position(|four| four == b"\r\n\r\n") else { return };
        let mut head = rest[..end + 4].to_vec();
        let status = if why == Broken::TooLarge { 513 } else { 400 };
        let answer = match parse(&head) {
            Ok(Message::Request(request)) => Some(request.respond(Status(status))),
            Ok(Message::Response(_)) => None,
            Err(malformed) => malformed.answer.map(|answer| *answer),
        };
        head.clear();
        match answer {
            Some(mut answer) if answer.head.cseq.method != crate::message::Method::Ack => {
                if let Some(via) = answer.head.vias.first_mut() {
                    via.receive(flow.remote);
                }
                self.counters.malformed += 1;
                let answer = self.tagged(answer);
                self.transmit(flow, answer.to_bytes());
            }
            _ => self.counters.malformed += 1,
        }
    }

    pub(crate) fn opened(&mut self, now: Monotonic, id: ConnectionId) {
        let pending = self.connections.opened(now, id);
        let Some(flow) = self.connections.get(id).map(|connection| connection.flow(id)) else { return };
        for bytes in pending {
            self.goes(flow, &bytes);
            self.outputs.push_back(Output::Send { flow, bytes });
        }
    }

    /// A connection is over: requests that wait for an answer on it fail at once (RFC 3261 §17.1.4), phones
    /// that were reached by it are not any more, a registration made over it is made anew.
    pub(crate) fn closed(&mut self, now: Monotonic, id: ConnectionId, why: Disconnect) {
        let Some(connection) = self.connections.get(id) else { return };
        let (flow, was_open) = (connection.flow(id), connection.is_open());
        let trunk = connection.trunk().cloned();
        if !mutant::mutant("sip-broken-connection-unnoticed") {
            let (connections, registrar) = (&self.connections, &self.registrar);
            self.transactions.fail(|path| {
                path.protocol == flow.protocol
                    && (connections.find(path) == Some(id)
                        || registrar.successor(path).is_some_and(|path| connections.find(path) == Some(id)))
            });
        }
        self.connections.close(id);
        for extension in self.registrar.sever(id) {
            self.reachable(extension, Reachability::Unreachable);
        }
        let Some(trunk) = trunk else { return };
        let own = self.settings.trunks.iter().find(|known| known.id == trunk).map(|known| known.protocol);
        let Some(own) = own else { return };
        if !was_open {
            self.trunks.met(now, &trunk, flow.remote, flow.protocol, Some(trouble(why)), own);
        } else if why != Disconnect::Idle {
            self.trunks.change(&trunk, |standing| {
                if let Some(registration) = &mut standing.registration {
                    registration.renew(now);
                }
            });
        }
    }

    /// Closes a connection by ourselves.
    pub(crate) fn drop_connection(&mut self, now: Monotonic, id: ConnectionId, why: Disconnect) {
        self.closed(now, id, why);
        self.outputs.push_back(Output::Close(id));
    }

    /// A new life: the others ended with the old one.
    pub(crate) fn kept(&mut self, now: Monotonic, kept: &[ConnectionId]) {
        for id in self.connections.ids() {
            match kept.contains(&id) {
                true => self.connections.watch(now, id, KEEP_ALIVE),
                false => self.closed(now, id, Disconnect::Restarted),
            }
        }
        for id in kept.iter().filter(|id| self.connections.get(**id).is_none()) {
            self.outputs.push_back(Output::Close(*id));
        }
    }

    /// Puts bytes on their way.
    pub(crate) fn transmit(&mut self, flow: Flow, bytes: Vec<u8>) {
        if flow.protocol == Protocol::Udp {
            self.goes(flow, &bytes);
            return self.outputs.push_back(Output::Send { flow, bytes });
        }
        let now = self.now;
        let Some(id) = self.connection_of(flow).or_else(|| self.open(now, flow, &bytes)) else {
            return self.unsent.push(flow);
        };
        let live = self.connections.get(id).map_or(flow, |connection| connection.flow(id));
        match self.connections.write(now, id, &bytes) {
            Write::Now => {
                self.goes(live, &bytes);
                self.outputs.push_back(Output::Send { flow: live, bytes });
            }
            Write::Later => {}
            Write::Full => self.unsent.push(flow),
        }
    }

    /// The path with the connection that it goes by at the moment.
    pub(crate) fn live(&self, flow: Flow) -> Flow {
        match self.connection_of(flow).filter(|_| flow.protocol != Protocol::Udp) {
            Some(id) => Flow { connection: Some(id), ..flow },
            None => flow,
        }
    }

    /// The live connection of a path. A phone that lost its connection and registered over another is reached
    /// by that one.
    fn connection_of(&self, flow: Flow) -> Option<ConnectionId> {
        let live = self.connections.find(flow);
        live.or_else(|| self.registrar.successor(flow).and_then(|flow| self.connections.find(flow)))
    }

    /// Begins to open a connection to where bytes shall go; `None` where no one listens.
    fn open(&mut self, now: Monotonic, flow: Flow, bytes: &[u8]) -> Option<ConnectionId> {
        let flow = match flow.port {
            RemotePort::Listening => Flow { connection: None, ..flow },
            // RFC 3261 §18.2.2: a response whose connection is gone goes where its Via points.
            RemotePort::Ephemeral if bytes.starts_with(b"SIP/2.0 ") => {
                let Ok(Message::Response(response)) = parse(bytes) else { return None };
                let remote = response.head.vias.first().and_then(Via::sent_by)?;
                let flow = Flow::stream(flow.listener, flow.protocol, remote);
                if let Some(id) = self.connections.find(flow) {
                    return Some(id);
                }
                flow
            }
            RemotePort::Ephemeral => return None,
        };
        let full = self.connections.iter().count() >= self.settings.bounds.connections;
        if full || !self.settings.listeners.iter().any(|listener| listener.protocol == flow.protocol) {
            self.counters.no_room += 1;
            return None;
        }
        let network = self.settings.listeners.get(usize::from(flow.listener))?.network;
        let meant = |trunk: &&Trunk| trunk.network == network && trunk.targets.contains(&flow.remote);
        let trunk = self.settings.trunks.iter().find(meant).map(|trunk| trunk.id.clone());
        let id = self.connections.open(now, flow, trunk.clone());
        let flow = Flow { connection: Some(id), ..flow };
        self.outputs.push_back(Output::Open { connection: id, flow, trunk });
        Some(id)
    }

    pub(crate) fn connections_due(&mut self, now: Monotonic) {
        while let Some(id) = self.connections.due(now) {
            let Some(connection) = self.connections.get(id) else { continue };
            let flow = connection.flow(id);
            let idle = connection.used().is_some_and(|used| now.since(used) >= IDLE);
            if !connection.is_open() {
                self.drop_connection(now, id, Disconnect::Unreachable);
            } else if connection.is_within() || (flow.port == RemotePort::Ephemeral && !connection.is_heard())
            {
                // A message without end, or a peer that opened a connection and has nothing to say.
                self.drop_connection(now, id, Disconnect::Foreign);
            } else if idle && !self.is_needed(id) {
                self.drop_connection(now, id, Disconnect::Idle);
            } else {
                // A ping where we opened the connection; a line end, which asks for nothing back, elsewhere.
                let ping = if flow.port == RemotePort::Listening { &b"\r\n\r\n"[..] } else { b"\r\n" };
                self.outputs.push_back(Output::Send { flow, bytes: ping.to_vec() });
                self.connections.watch(now, id, KEEP_ALIVE);
            }
        }
    }

    /// Whether a phone, a trunk or a call is reached by that connection.
    fn is_needed(&self, id: ConnectionId) -> bool {
        let trunk = self.connections.get(id).and_then(Connection::trunk);
        trunk.is_some_and(|trunk| self.trunks.get(trunk).is_some())
            || self.registrar.uses(id)
            || self.legs.iter().any(|(_, leg)| leg.flow().is_some_and(|flow| flow.connection == Some(id)))
    }
}

/// What a trunk's trouble is called.
pub(crate) fn trouble(why: Disconnect) -> Trouble {
    match why {
        Disconnect::Refused => Trouble::Refused,
        Disconnect::Unreachable => Trouble::Unreachable,
        Disconnect::Untrusted => Trouble::Untrusted,
        Disconnect::Foreign => Trouble::Foreign,
        Disconnect::Closed | Disconnect::Idle | Disconnect::Restarted => Trouble::Closed,
    }
}
