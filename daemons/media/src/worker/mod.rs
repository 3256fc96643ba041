//! The one thread that audio lives on: sockets, the clock, the core, and nothing that waits.
//!
//! It takes [`Order`]s from a queue, says [`Word`]s into another, and never calls another daemon: who talks to
//! route and record runs elsewhere, so that no reply delays a packet.
//!
//! ```text
//!   epoll ──┬── sockets ──► datagram ─┐
//!           ├── timer, 20 ms ► tick ──┼──► Core ──► send, deliver, say
//!           └── wake ──► orders ──────┘
//! ```

mod command;
mod copying;
mod feed;
mod place;
mod snapshot;
mod transport;

pub use transport::Ports;

use crate::{contract, error::Error};
use feed::{Delivery, Feeds};
use media_core::{
    Core, Event, Input, Output,
    codec::{Codec, Library},
    session::{Port, Prompt, TICK},
    srtp::Policy,
};
use nix::sys::{
    epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout},
    eventfd::{EfdFlags, EventFd},
    time::{TimeSpec, TimeValLike},
    timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags},
};
use place::Place;
use route_api::{
    Endpoint, LiveMedia, MediaCommand, MediaEvent, Memo,
    capture::{Captures, Copying},
};
use service::clock;
use snapshot::Snapshot;
use std::{
    collections::BTreeMap,
    net::IpAddr,
    os::fd::{BorrowedFd, OwnedFd},
    sync::{Arc, mpsc},
};
use tokio::sync::{mpsc as words, oneshot};
use types::{LegId, Monotonic, RecordingId};

const WAKE: u64 = u64::MAX;
const TIMER: u64 = u64::MAX - 1;
/// The longest datagram that is heard; RTP of a call is a tenth of it.
const DATAGRAM: usize = 2048;
/// Descriptors that one turn of the loop serves.
const TURN: usize = 256;
/// Words that wait for their listener.
const WORDS: usize = 8192;

/// What the worker is told.
#[derive(Debug)]
pub enum Order {
    /// Route's command.
    Media(MediaCommand),
    /// A prompt, under its name.
    Load(String, Prompt),
    /// What legs speak that are opened after this.
    Speak(Speech),
    /// What speaks from now on what only a library speaks.
    Equip(Library),
    /// Every leg, for route.
    Legs(oneshot::Sender<Vec<LiveMedia>>),
    /// Keep the state and end; the legs go on in the next life.
    Stop,
}

/// What the worker says.
#[derive(Debug)]
pub enum Word {
    /// To route.
    Event(MediaEvent),
    /// Where the packets of a capture are, to be handed down to route; without a descriptor, that it goes on.
    Captured(Copying, Option<OwnedFd>),
    /// The record side's end of a pair, to be handed over.
    Feed(RecordingId, OwnedFd),
}

/// Where descriptors outlive the process.
pub trait Keeper: Send {
    /// Keeps copies of descriptors that belong together, under this name.
    fn keep(&self, name: &str, descriptors: &[BorrowedFd<'_>]);
    /// Closes the copies.
    fn forget(&self, name: &str);
}

/// Descriptors of an earlier life, by name.
pub type Kept = BTreeMap<String, Vec<OwnedFd>>;

/// The way to the worker.
#[derive(Clone, Debug)]
pub struct Handle {
    orders: mpsc::Sender<Order>,
    wake: Arc<EventFd>,
}

impl Handle {
    /// Tells the worker; it follows in the order of the calls.
    pub fn order(&self, order: Order) {
        if self.orders.send(order).is_ok()
            && let Err(error) = self.wake.write(1)
        {
            // The counter is full after 2^64 orders that nobody took.
            tracing::error!(%error, "cannot wake the worker");
        }
    }

    /// Every leg whose media stands.
    pub async fn legs(&self) -> Vec<LiveMedia> {
        let (reply, legs) = oneshot::channel();
        self.order(Order::Legs(reply));
        legs.await.unwrap_or_default()
    }
}

/// What legs speak that are opened from now on.
#[derive(Clone, Debug)]
pub struct Speech {
    /// The codecs, the preferred first.
    pub codecs: Arc<[Codec]>,
    /// Whether they are protected, where nothing else is said of their endpoint.
    pub policy: Policy,
    /// Whether those of an endpoint are.
    pub policies: Arc<BTreeMap<Endpoint, Policy>>,
}

impl Speech {
    /// Whether a leg over this endpoint is protected.
    pub fn policy_of(&self, over: Option<&Endpoint>) -> Policy {
        let over = over.filter(|_| !mutant::mutant("media-one-policy-for-all"));
        over.and_then(|over| self.policies.get(over)).copied().unwrap_or(self.policy)
    }
}

/// What a worker begins with.
pub struct Beginning {
    /// A core without legs, for the case that none was kept.
    pub core: Core,
    /// Where RTP is received.
    pub ports: Ports,
    /// The address that stands in session descriptions.
    pub advertised: IpAddr,
    /// What legs speak.
    pub speech: Speech,
    /// What speaks what only a library speaks.
    pub library: Library,
    /// Where descriptors outlive the process.
    pub keeper: Box<dyn Keeper>,
    /// What an earlier life kept.
    pub kept: Kept,
}

/// The state of the thread.
pub struct Worker {
    core: Core,
    ports: Ports,
    advertised: IpAddr,
    speech: Speech,
    keeper: Box<dyn Keeper>,
    epoll: Epoll,
    timer: TimerFd,
    wake: Arc<EventFd>,
    orders: mpsc::Receiver<Order>,
    words: words::Sender<Word>,
    places: Vec<Option<Place>>,
    by_leg: BTreeMap<LegId, usize>,
    feeds: Feeds,
    captures: Captures,
    snapshot: Snapshot,
    changed: bool,
    buffer: Box<[u8; DATAGRAM]>,
    events: Vec<Event>,
    refused: Vec<RecordingId>,
}

/// Whether the loop goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Turn {
    On,
    Over,
}

impl Worker {
    /// A worker that has taken over what an earlier life kept, the way to it, and its words.
    ///
    /// # Errors
    /// [`Error::System`] where the kernel gives no descriptors.
    pub fn new(beginning: Beginning) -> Result<(Self, Handle, words::Receiver<Word>), Error> {
        let Beginning { core, ports, advertised, speech, library, keeper, mut kept } = beginning;
        let wake = EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK);
        let wake = Arc::new(wake.map_err(Error::errno("making an event descriptor"))?);
        let timer =
            TimerFd::new(ClockId::CLOCK_MONOTONIC, TimerFlags::TFD_CLOEXEC | TimerFlags::TFD_NONBLOCK)
                .map_err(Error::errno("making a timer"))?;
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).map_err(Error::errno("making an epoll"))?;
        epoll
            .add(&*wake, EpollEvent::new(EpollFlags::EPOLLIN, WAKE))
            .and_then(|()| epoll.add(&timer, EpollEvent::new(EpollFlags::EPOLLIN, TIMER)))
            .map_err(Error::errno("watching the timer"))?;
        let [one, other] = snapshot::NAMES.map(|name| kept.remove(name).and_then(|mut all| all.pop()));
        let (snapshot, restored) = match one.zip(other) {
            Some((one, other)) => Snapshot::reopen([one, other]),
            None => (Snapshot::new()?, None),
        };
        for (name, descriptor) in snapshot.descriptors() {
            keeper.keep(name, &[descriptor]);
        }
        let (orders, taken) = mpsc::channel();
        let (said, listener) = words::channel(WORDS);
        let handle = Handle { orders, wake: Arc::clone(&wake) };
        let mut worker = Self {
            core: restored.unwrap_or(core),
            ports,
            advertised,
            speech,
            keeper,
            epoll,
            timer,
            wake,
            orders: taken,
            words: said,
            places: Vec::new(),
            by_leg: BTreeMap::new(),
            feeds: Feeds::default(),
            captures: Captures::default(),
            snapshot,
            changed: true,
            buffer: Box::new([0; DATAGRAM]),
            events: Vec::new(),
            refused: Vec::new(),
        };
        worker.core.equip(&library);
        worker.take_over(kept)?;
        worker.start_timer()?;
        Ok((worker, handle, listener))
    }

    /// Serves until [`Order::Stop`], or until the kernel fails.
    ///
    /// # Errors
    /// [`Error::System`].
    pub fn run(mut self) -> Result<(), Error> {
        let mut ready = [EpollEvent::empty(); TURN];
        // Prompts first: what an earlier life was playing would end for want of them at the first tick.
        if !mutant::mutant("media-tick-before-prompts") && self.take_orders() == Turn::Over {
            return self.end();
        }
        loop {
            let count = match self.epoll.wait(&mut ready, EpollTimeout::NONE) {
                Ok(count) => count,
                Err(nix::Error::EINTR) => continue,
                Err(errno) => return Err(Error::errno("waiting for packets")(errno)),
            };
            for event in ready.iter().take(count) {
                match event.data() {
                    TIMER => self.tick()?,
                    WAKE => {
                        if self.take_orders() == Turn::Over {
                            return self.end();
                        }
                    }
                    token => self.receive(token),
                }
            }
        }
    }

    fn end(mut self) -> Result<(), Error> {
        self.follow(clock::monotonic(), Input::Flush);
        self.snapshot.write(&self.core)
    }

    fn receive(&mut self, token: u64) {
        // A place that was given up within this turn says nothing more.
        let place = usize::try_from(token / 2).ok().and_then(|at| self.places.get(at)?.as_ref());
        let Some(Place { leg, transport, port: even }) = place else { return };
        let port = if token.is_multiple_of(2) { Port::Rtp } else { Port::Rtcp };
        // One datagram a turn: what else is there makes the descriptor ready again, and no leg starves.
        let Ok((length, source)) = transport.receive(port, self.buffer.as_mut_slice()) else { return };
        let bytes = self.buffer.get(..length).unwrap_or_default();
        let now = clock::monotonic();
        if !self.captures.is_empty() {
            let ours = copying::address(self.advertised, *even, port);
            copying::copy(&mut self.captures, *leg, port, (source, ours), bytes);
        }
        let heard = self.core.handle(now, Input::Datagram { leg: *leg, port, source, bytes });
        debug_assert!(heard.is_ok(), "datagrams never fail");
        self.drain(now);
    }

    fn tick(&mut self) -> Result<(), Error> {
        // Reads away how often it expired: the core goes by the clock.
        let _expired = self.timer.wait();
        let now = clock::monotonic();
        self.captures.expire(now);
        self.follow(now, Input::Tick);
        match self.snapshot.keep(now, self.changed, &self.core) {
            Ok(true) => {
                self.changed = false;
                // What is kept is what the next life would begin with.
                self.follow(now, Input::Kept);
            }
            Ok(false) => {}
            Err(error) => tracing::error!(%error, "the state before stays"),
        }
        Ok(())
    }

    fn take_orders(&mut self) -> Turn {
        let _count = self.wake.read();
        while let Ok(order) = self.orders.try_recv() {
            match order {
                Order::Media(command) => {
                    self.changed = true;
                    self.obey(command);
                }
                Order::Load(name, prompt) => self.core.load(name, prompt),
                Order::Speak(speech) => self.speech = speech,
                Order::Equip(library) => self.core.equip(&library),
                Order::Legs(reply) => {
                    // Whoever asked and went away wants no answer.
                    let _gone = reply.send(self.legs());
                }
                Order::Stop => return Turn::Over,
            }
        }
        Turn::On
    }

    fn handle(&mut self, now: Monotonic, input: Input<'_>) -> Result<(), media_core::Error> {
        let outcome = self.core.handle(now, input);
        self.drain(now);
        outcome
    }

    /// A command to a leg that is closed is dropped: its `Closed` is on the way.
    fn follow(&mut self, now: Monotonic, input: Input<'_>) {
        if let Err(error) = self.handle(now, input) {
            tracing::debug!(%error, "a command came too late");
        }
    }

    fn drain(&mut self, now: Monotonic) {
        while let Some(output) = self.core.poll() {
            match output {
                Output::Send { leg, port, to, datagram } => {
                    let place = self.by_leg.get(&leg).and_then(|at| self.places.get(*at)?.as_ref());
                    if let Some(place) = place.filter(|_| !self.captures.is_empty()) {
                        let ours = copying::address(self.advertised, place.port, port);
                        copying::copy(&mut self.captures, leg, port, (ours, to), datagram);
                    }
                    let sent = place.map(|place| place.transport.send(port, to, datagram));
                    if let Some(Err(error)) = sent {
                        tracing::debug!(%leg, %error, "a packet was not sent");
                    }
                }
                Output::Tap { recording, batch } => {
                    if self.feeds.deliver(now, recording, &batch) == Delivery::Dropped {
                        self.refused.push(recording);
                    }
                }
                Output::Event(event) => self.events.push(event),
            }
        }
        while let Some(recording) = self.refused.pop() {
            // Counts, and says nothing that would have to be drained. A feed that broke is made anew.
            let _counted = self.core.handle(now, Input::TapRefused(recording));
            if self.core.legs().any(|leg| leg.tapped == Some(recording)) {
                self.feed(recording);
            }
        }
        for event in std::mem::take(&mut self.events) {
            match event {
                Event::TapEnded { recording, track, totals } => {
                    tracing::info!(%recording, track = track.0, records = totals.records, late = totals.late, "track ended");
                    if self.core.legs().all(|leg| leg.tapped != Some(recording)) {
                        self.feeds.close(now, recording);
                    }
                }
                event => {
                    if let Event::Closed { leg, .. } = &event {
                        self.release(*leg);
                    }
                    if let Some(event) = contract::event(event, now, clock::utc()) {
                        self.say(event);
                    }
                }
            }
        }
    }

    fn say(&self, event: MediaEvent) {
        if let Err(error) = self.words.try_send(Word::Event(event)) {
            tracing::error!(%error, "route listens too slowly: an event is lost");
        }
    }

    fn legs(&self) -> Vec<LiveMedia> {
        let live = |leg: media_core::session::Standing<'_>| LiveMedia {
            leg: leg.leg,
            bridged: leg.bridged,
            memo: Memo(leg.memo.to_owned()),
        };
        self.core.legs().map(live).collect()
    }

    /// One timer for all legs, on the grid of absolute time: a late tick delays none after it.
    fn start_timer(&self) -> Result<(), Error> {
        let tick = TICK.as_nanos() as u64;
        let first = clock::monotonic().0.next_multiple_of(tick);
        let spec = |nanoseconds: u64| TimeSpec::nanoseconds(i64::try_from(nanoseconds).unwrap_or(i64::MAX));
        self.timer
            .set(Expiration::IntervalDelayed(spec(first), spec(tick)), TimerSetTimeFlags::TFD_TIMER_ABSTIME)
            .map_err(Error::errno("setting the timer"))
    }
}
