//! The one task that owns the core: datagrams, streams, commands and time go in; the state is written down; then
//! messages and events go out.

use crate::{
    copying::Copies,
    edge::{Order, Standing},
    error::Error,
    rules::{self, Networks, Place},
    snapshot::Snapshot,
    sockets::Sockets,
    streams::{Heard, Streams},
    tls::Tls,
};
use host_api::Settings;
use route_api::{SignallingCommand, SignallingEvent};
use service::{Context, clock};
use settings::sip::Sip;
use sip_core::{ConnectionId, Core, Input, Output, Presence, Protocol, Report, message::MAX_MESSAGE};
use std::{net::SocketAddr, time::Duration};
use tokio::{net::TcpStream, sync::mpsc};

/// Most datagrams, or commands, taken at one go before their outcome is written down and sent.
const BATCH: usize = 32;
/// Events on their way to route; beyond that route is taken for gone and told everything anew.
const EVENTS: usize = 4_096;

/// How often the line for `ym status` is written anew, where it changed.
const STATUS: Duration = Duration::from_secs(5);
/// How often a certificate's file is looked at.
const CERTIFICATES: Duration = Duration::from_secs(60);
/// After a connection could not be taken (no descriptors): long enough that others end.
const BREATH: Duration = Duration::from_millis(20);

/// What surrounds the core.
pub struct Surroundings {
    /// The listening sockets.
    pub sockets: Sockets,
    /// What they are, in the same order, and the addresses they have.
    pub places: Vec<(Place, SocketAddr)>,
    /// The networks as they were when the sockets were bound.
    pub networks: Networks,
    /// The connections.
    pub streams: Streams,
    /// What happens on them.
    pub heard: mpsc::Receiver<Heard>,
    /// The connections that an earlier life had.
    pub kept: Vec<ConnectionId>,
    /// Certificates.
    pub tls: Tls,
    /// Where the state is written.
    pub snapshot: Snapshot,
    /// What route wants.
    pub orders: mpsc::Receiver<Order>,
    /// What the audit log is to know.
    pub reports: mpsc::Sender<Report>,
    /// The daemon's life.
    pub house: Context,
}

/// The core and what is around it.
pub struct Engine {
    core: Core,
    around: Surroundings,
    events: Option<mpsc::Sender<SignallingEvent>>,
    copies: Copies,
    /// Ends of legs dropped so far.
    dropped: u64,
    status: String,
}

impl Engine {
    /// An engine that stands still.
    pub fn new(core: Core, around: Surroundings, copies: Copies) -> Self {
        Self { core, around, events: None, copies, dropped: 0, status: String::new() }
    }

    /// Runs until something fails that cannot be waited for.
    ///
    /// # Errors
    /// The state can no longer be written down.
    pub async fn run(mut self, mut rules: Settings<Sip>) -> Result<(), Error> {
        let mut buffer = vec![0; MAX_MESSAGE];
        let mut status = tokio::time::interval(STATUS);
        let mut certificates = tokio::time::interval(CERTIFICATES);
        // A socket that the runtime has not looked at yet takes nothing: what is due at once would be lost.
        self.around.sockets.ready().await;
        self.around.streams.ready().await;
        let kept = std::mem::take(&mut self.around.kept);
        self.core.handle(clock::monotonic(), Input::Kept(&kept));
        self.settle()?;
        loop {
            tokio::select! {
                received = self.around.sockets.receive(&mut buffer) => match received {
                    Ok((flow, length)) => {
                        self.core.handle(clock::monotonic(), Input::Datagram { flow, bytes: &buffer[..length] });
                        self.more(&mut buffer);
                    }
                    // The word of a peer that a datagram did not arrive (ICMP): its transaction will time out.
                    Err(error) => tracing::debug!(%error, "a datagram did not arrive"),
                },
                accepted = self.around.sockets.accept() => match accepted {
                    Ok((listener, stream, remote)) => self.accepted(listener, stream, remote),
                    Err(error) => {
                        tracing::warn!(%error, "a connection could not be taken");
                        tokio::time::sleep(BREATH).await;
                    }
                },
                Some(heard) = self.around.heard.recv() => self.heard(heard),
                Some(order) = self.around.orders.recv() => self.orders(order)?,
                () = wait(&self.core, &self.copies) => {
                    self.copies.expire(&mut self.core);
                    self.core.handle(clock::monotonic(), Input::Tick);
                }
                _ = status.tick() => self.show(),
                _ = certificates.tick() => self.around.tls.refresh(&rules.borrow()),
                Ok(()) = rules.changed() => {
                    let section = rules.borrow_and_update().clone();
                    self.around.tls.obey(&section);
                    self.core.obey(rules::settings(&section, &self.around.networks, Vec::new()));
                    self.core.handle(clock::monotonic(), Input::Tick);
                }
            }
            self.settle()?;
        }
    }

    fn accepted(&mut self, listener: u8, stream: TcpStream, remote: SocketAddr) {
        let Some((place, _)) = self.around.places.get(usize::from(listener)) else { return };
        let tls = match place.protocol {
            Protocol::Tls => self.around.tls.acceptor(place.network.as_str()),
            Protocol::Udp | Protocol::Tcp => None,
        };
        if place.protocol == Protocol::Tls && tls.is_none() {
            return;
        }
        // Refused by its bounds: dropped, and so closed.
        if let Some(id) = self.core.admit(clock::monotonic(), listener, remote) {
            self.around.streams.adopt(id, stream, tls);
        }
    }

    fn heard(&mut self, heard: Heard) {
        let now = clock::monotonic();
        match heard {
            Heard::Opened(id, stream) => {
                if let Some(stream) = stream {
                    self.around.streams.opened(id, stream);
                }
                self.core.handle(now, Input::Opened(id));
            }
            Heard::Bytes(connection, bytes) => {
                self.core.handle(now, Input::Bytes { connection, bytes: &bytes });
            }
            Heard::Closed(id, why) => {
                self.around.streams.ended(id);
                self.core.handle(now, Input::Closed(id, why));
            }
        }
    }

    /// Writes the line for `ym status` anew where it changed.
    fn show(&mut self) {
        let status = status(&self.core);
        if status != self.status {
            self.around.house.status(&status);
            self.status = status;
        }
    }

    /// Takes what came meanwhile, so that a burst is written down at once.
    fn more(&mut self, buffer: &mut [u8]) {
        for _ in 1..BATCH {
            let Some((flow, length)) = self.around.sockets.receive_now(buffer) else { return };
            self.core.handle(clock::monotonic(), Input::Datagram { flow, bytes: &buffer[..length] });
        }
    }

    /// Follows an order and the commands that wait behind it: what they change together is written down at once.
    fn orders(&mut self, first: Order) -> Result<(), Error> {
        let mut next = Some(first);
        for _ in 0..BATCH {
            let Some(order) = next.take() else { break };
            let commands = matches!(order, Order::Command(_));
            if !commands {
                // What was commanded before is over when route comes or goes.
                self.settle()?;
            }
            self.order(order);
            next = if commands { self.around.orders.try_recv().ok() } else { None };
        }
        match next {
            Some(last) => {
                self.settle()?;
                self.order(last);
                Ok(())
            }
            None => Ok(()),
        }
    }

    fn order(&mut self, order: Order) {
        let now = clock::monotonic();
        match order {
            Order::Attach(reply) => {
                // What was not delivered is in the list of what there is now.
                let (events, told) = mpsc::channel(EVENTS);
                let (again, alive) = (self.core.again(), self.core.attach());
                self.events = Some(events);
                if reply.send(Standing { again, alive, events: told }).is_err() {
                    self.events = None;
                }
            }
            Order::Attached => {
                self.copies.again();
                self.core.handle(now, Input::Route(Presence::Attached));
            }
            Order::Command(SignallingCommand::Capture(copying)) => self.copies.begin(&mut self.core, copying),
            Order::Command(command) => self.core.handle(now, Input::Command(command)),
            Order::Detached => {
                self.events = None;
                self.core.handle(now, Input::Route(Presence::Absent));
            }
        }
    }

    /// Writes down what changed, and only then lets the world know of it.
    fn settle(&mut self) -> Result<(), Error> {
        let dropped = self.core.counters().dropped_ends;
        if dropped > self.dropped {
            tracing::error!(
                legs = dropped - self.dropped,
                "no room for the ends of more legs: should route be killed now, their calls leave no call record"
            );
            self.dropped = dropped;
        }
        let (mut noted, snapshot) = (Ok(()), &mut self.around.snapshot);
        self.core.each_change(|change| {
            if noted.is_ok() {
                noted = snapshot.note(&change);
            }
        });
        noted?;
        snapshot.write()?;
        if self.around.snapshot.is_long() {
            self.around.snapshot.rewrite(self.core.pieces())?;
        }
        while let Some(output) = self.core.poll() {
            match output {
                Output::Send { flow, bytes } => match flow.connection {
                    None => self.around.sockets.send(flow, &bytes),
                    Some(id) => self.around.streams.send(id, bytes),
                },
                Output::Seen { leg, way, flow, bytes } => self.copies.copy(leg, way, flow, &bytes),
                Output::Open { connection, flow, trunk } => {
                    let Some((_, from)) = self.around.places.get(usize::from(flow.listener)) else {
                        continue;
                    };
                    self.around.streams.open(connection, *from, flow, trunk.as_ref(), &self.around.tls);
                }
                Output::Close(connection) => self.around.streams.close(connection),
                Output::Report(report) => {
                    if self.around.reports.try_send(report).is_err() {
                        tracing::error!("too many reports wait for the audit log: one is lost");
                    }
                }
                Output::Event(event) => {
                    let lost = self.events.as_ref().is_some_and(|events| events.try_send(event).is_err());
                    if lost {
                        tracing::error!("route is too far behind: it will be told everything anew");
                        self.events = None;
                    }
                }
            }
        }
        Ok(())
    }
}

/// One line about trunks, phones and whoever is slowed.
fn status(core: &Core) -> String {
    use route_api::{Endpoint, Reachability};
    let endpoints = core.attach().endpoints;
    let count = |wanted: fn(&Endpoint) -> bool| {
        let all = endpoints.iter().filter(|(endpoint, _)| wanted(endpoint));
        let there = all.clone().filter(|(_, reachable)| *reachable == Reachability::Reachable);
        (there.count(), all.count())
    };
    let (trunks, of_trunks) = count(|endpoint| matches!(endpoint, Endpoint::Trunk(_)));
    let (phones, of_phones) = count(|endpoint| matches!(endpoint, Endpoint::Phone(_)));
    let mut line = format!("trunks {trunks} of {of_trunks}, phones {phones} of {of_phones}");
    let slowed = core.slowed(clock::monotonic());
    if let Some(first) = slowed.first() {
        line += &format!(", slowed {first}");
        if slowed.len() > 1 {
            line += &format!(" and {} more", slowed.len() - 1);
        }
    }
    line
}

/// Until the core wants to be woken.
async fn wait(core: &Core, copies: &Copies) {
    match core.next_wake().into_iter().chain(copies.next_end()).min() {
        Some(wake) => tokio::time::sleep(wake.since(clock::monotonic())).await,
        // Nothing is due: whatever comes next starts the loop again, an hour is as good as for ever.
        None => tokio::time::sleep(Duration::from_secs(3_600)).await,
    }
}
