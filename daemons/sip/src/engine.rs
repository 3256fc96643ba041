//! The one task that owns the core: datagrams, commands and time go in; the state is written down; then
//! datagrams and events go out.

use crate::{
    copying::Copies,
    edge::{Order, Standing},
    error::Error,
    rules,
    snapshot::Snapshot,
    sockets::Sockets,
};
use host_api::Settings;
use route_api::{SignallingCommand, SignallingEvent};
use service::clock;
use settings::sip::Sip;
use sip_core::{Core, Input, Output, Presence, message::MAX_MESSAGE};
use std::time::Duration;
use tokio::sync::mpsc;

/// Most datagrams taken at one go before their outcome is written down and sent.
const BATCH: usize = 32;
/// Events on their way to route; beyond that route is taken for gone and told everything anew.
const EVENTS: usize = 4_096;

/// The core and what is around it.
pub struct Engine {
    core: Core,
    sockets: Sockets,
    snapshot: Snapshot,
    orders: mpsc::Receiver<Order>,
    events: Option<mpsc::Sender<SignallingEvent>>,
    copies: Copies,
    /// Ends of legs dropped so far.
    dropped: u64,
}

impl Engine {
    /// An engine that stands still.
    pub fn new(
        core: Core,
        sockets: Sockets,
        snapshot: Snapshot,
        orders: mpsc::Receiver<Order>,
        copies: Copies,
    ) -> Self {
        Self { core, sockets, snapshot, orders, events: None, copies, dropped: 0 }
    }

    /// Runs until something fails that cannot be waited for.
    ///
    /// # Errors
    /// The state can no longer be written down.
    pub async fn run(mut self, mut rules: Settings<Sip>) -> Result<(), Error> {
        let mut buffer = vec![0; MAX_MESSAGE];
        loop {
            tokio::select! {
                received = self.sockets.receive(&mut buffer) => match received {
                    Ok((flow, length)) => {
                        self.core.handle(clock::monotonic(), Input::Datagram { flow, bytes: &buffer[..length] });
                        self.copies.received(&self.core, flow, &buffer[..length]);
                        self.more(&mut buffer);
                    }
                    // The word of a peer that a datagram did not arrive (ICMP): its transaction will time out.
                    Err(error) => tracing::debug!(%error, "a datagram did not arrive"),
                },
                Some(order) = self.orders.recv() => self.order(order),
                () = wait(&self.core, &self.copies) => {
                    self.copies.expire();
                    self.core.handle(clock::monotonic(), Input::Tick);
                }
                Ok(()) = rules.changed() => {
                    let section = rules.borrow_and_update().clone();
                    self.core.obey(rules::settings(&section, Vec::new()));
                }
            }
            self.settle()?;
        }
    }

    /// Takes what came meanwhile, so that a burst is written down at once.
    fn more(&mut self, buffer: &mut [u8]) {
        for _ in 1..BATCH {
            let Some((flow, length)) = self.sockets.receive_now(buffer) else { return };
            self.core.handle(clock::monotonic(), Input::Datagram { flow, bytes: &buffer[..length] });
            self.copies.received(&self.core, flow, &buffer[..length]);
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
            Order::Attached => self.core.handle(now, Input::Route(Presence::Attached)),
            Order::Command(SignallingCommand::Capture(copying)) => self.copies.begin(copying),
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
        self.snapshot.append(&self.core.changes())?;
        if self.snapshot.is_long() {
            self.snapshot.rewrite(&self.core.snapshot())?;
        }
        while let Some(output) = self.core.poll() {
            match output {
                Output::Send { flow, bytes } => {
                    self.sockets.send(flow, &bytes);
                    self.copies.sent(&self.core, flow, &bytes);
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

/// Until the core wants to be woken.
async fn wait(core: &Core, copies: &Copies) {
    match core.next_wake().into_iter().chain(copies.next_end()).min() {
        Some(wake) => tokio::time::sleep(wake.since(clock::monotonic())).await,
        // Nothing is due: whatever comes next starts the loop again, an hour is as good as for ever.
        None => tokio::time::sleep(Duration::from_secs(3_600)).await,
    }
}
