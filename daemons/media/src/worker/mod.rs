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

mod feed;
mod snapshot;
mod transport;

pub use transport::Ports;

use crate::{contract, error::Error};
use feed::{Delivery, Feeds};
use media_core::{
    Core, Event, Input, Output,
    g711::Law,
    rtp::{Seed, Ssrc},
    session::{Opening, Play, Port, Prompt, TICK, Track},
};
use nix::sys::{
    epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout},
    eventfd::{EfdFlags, EventFd},
    time::{TimeSpec, TimeValLike},
    timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags},
};
use route_api::{LiveMedia, MediaCommand, MediaEvent, Memo};
use service::clock;
use snapshot::Snapshot;
use std::{
    collections::BTreeMap,
    net::IpAddr,
    os::fd::{BorrowedFd, OwnedFd},
    sync::{Arc, mpsc},
};
use tokio::sync::{mpsc as words, oneshot};
use transport::Transport;
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
    /// The record side's end of a pair, to be handed over.
    Feed(RecordingId, OwnedFd),
}

/// Where descriptors outlive the process.
pub trait Keeper: Send {
    /// Keeps a copy under this name.
    fn keep(&self, name: &str, descriptor: BorrowedFd<'_>);
    /// Closes the copy.
    fn forget(&self, name: &str);
}

/// Descriptors of an earlier life, by name.
pub type Kept = BTreeMap<String, OwnedFd>;

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

/// What a worker begins with.
pub struct Beginning {
    /// A core without legs, for the case that none was kept.
    pub core: Core,
    /// Where RTP is received.
    pub ports: Ports,
    /// The address that stands in session descriptions.
    pub advertised: IpAddr,
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
    keeper: Box<dyn Keeper>,
    epoll: Epoll,
    timer: TimerFd,
    wake: Arc<EventFd>,
    orders: mpsc::Receiver<Order>,
    words: words::Sender<Word>,
    places: Vec<Option<Place>>,
    by_leg: BTreeMap<LegId, usize>,
    feeds: Feeds,
    snapshot: Snapshot,
    changed: bool,
    buffer: Box<[u8; DATAGRAM]>,
    events: Vec<Event>,
    refused: Vec<RecordingId>,
}

/// A leg's descriptors; its place in the list is its token.
struct Place {
    leg: LegId,
    port: u16,
    transport: Transport,
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
        let Beginning { core, ports, advertised, keeper, mut kept } = beginning;
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
        let [one, other] = snapshot::NAMES.map(|name| kept.remove(name));
        let (snapshot, restored) = match one.zip(other) {
            Some((one, other)) => Snapshot::reopen([one, other]),
            None => (Snapshot::new()?, None),
        };
        for (name, descriptor) in snapshot.descriptors() {
            keeper.keep(name, descriptor);
        }
        let (orders, taken) = mpsc::channel();
        let (said, listener) = words::channel(WORDS);
        let handle = Handle { orders, wake: Arc::clone(&wake) };
        let mut worker = Self {
            core: restored.unwrap_or(core),
            ports,
            advertised,
            keeper,
            epoll,
            timer,
            wake,
            orders: taken,
            words: said,
            places: Vec::new(),
            by_leg: BTreeMap::new(),
            feeds: Feeds::default(),
            snapshot,
            changed: true,
            buffer: Box::new([0; DATAGRAM]),
            events: Vec::new(),
            refused: Vec::new(),
        };
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
                            self.follow(clock::monotonic(), Input::Flush);
                            return self.snapshot.write(&self.core);
                        }
                    }
                    token => self.receive(token),
                }
            }
        }
    }

    fn receive(&mut self, token: u64) {
        // A place that was given up within this turn says nothing more.
        let place = usize::try_from(token / 2).ok().and_then(|at| self.places.get(at)?.as_ref());
        let Some(Place { leg, transport, .. }) = place else { return };
        let port = if token.is_multiple_of(2) { Port::Rtp } else { Port::Rtcp };
        // One datagram a turn: what else is there makes the descriptor ready again, and no leg starves.
        let Ok((length, source)) = transport.receive(port, self.buffer.as_mut_slice()) else { return };
        let bytes = self.buffer.get(..length).unwrap_or_default();
        let now = clock::monotonic();
        let heard = self.core.handle(now, Input::Datagram { leg: *leg, port, source, bytes });
        debug_assert!(heard.is_ok(), "datagrams never fail");
        self.drain(now);
    }

    fn tick(&mut self) -> Result<(), Error> {
        // Reads away how often it expired: the core goes by the clock.
        let _expired = self.timer.wait();
        let now = clock::monotonic();
        self.follow(now, Input::Tick);
        match self.snapshot.keep(now, self.changed, &self.core) {
            Ok(kept) => self.changed &= !kept,
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
                Order::Legs(reply) => {
                    // Whoever asked and went away wants no answer.
                    let _gone = reply.send(self.legs());
                }
                Order::Stop => return Turn::Over,
            }
        }
        Turn::On
    }

    fn obey(&mut self, command: MediaCommand) {
        let now = clock::monotonic();
        match command {
            MediaCommand::Attached {} => {}
            MediaCommand::Open { leg, offer, memo } => {
                let offer = offer.map(|description| description.0);
                self.open(now, leg, offer.as_deref().map(str::as_bytes), &memo.0);
            }
            MediaCommand::Accept { leg, answer } => {
                if let Err(error) = self.handle(now, Input::Accept(leg, answer.0.as_bytes())) {
                    self.say(MediaEvent::Refused {
                        leg,
                        reason: contract::refusal(&error),
                        detail: error.to_string(),
                    });
                    self.follow(now, Input::Close(leg));
                }
            }
            MediaCommand::Play { leg, play, prompt, times } => {
                let wish = Play { number: play, prompt: prompt.as_str(), times: contract::times(times) };
                match self.handle(now, Input::Play(leg, wish)) {
                    Ok(()) | Err(media_core::Error::NoLeg(_)) => {}
                    Err(error) => {
                        self.say(MediaEvent::NotPlayed { leg, play, prompt, detail: error.to_string() });
                    }
                }
            }
            MediaCommand::Stop { leg } => self.follow(now, Input::Stop(leg)),
            MediaCommand::Bridge { leg, with } => self.follow(now, Input::Bridge(leg, with)),
            MediaCommand::Part { leg } => self.follow(now, Input::Part(leg)),
            MediaCommand::Tap { leg, recording, track } => {
                if self.handle(now, Input::Tap(leg, recording, Track(track))).is_ok() {
                    self.feed(recording);
                }
            }
            MediaCommand::Untap { leg } => self.follow(now, Input::Untap(leg)),
            MediaCommand::Remember { leg, memo } => self.follow(now, Input::Remember(leg, &memo.0)),
            MediaCommand::Close { leg } => self.follow(now, Input::Close(leg)),
        }
    }

    fn open(&mut self, now: Monotonic, leg: LegId, offer: Option<&[u8]>, memo: &str) {
        let known = self.by_leg.contains_key(&leg);
        let opened = self.prepare(leg, known).map_err(|error| {
            let detail = error.to_string();
            MediaEvent::Refused { leg, reason: route_api::MediaRefusal::NoPort, detail }
        });
        let outcome = opened.and_then(|(port, seed, session)| {
            let address = (self.advertised, port).into();
            let opening = Opening { offer, memo, address, session, seed, preferred: Law::A };
            self.handle(now, Input::Open(leg, opening)).map_err(|error| MediaEvent::Refused {
                leg,
                reason: contract::refusal(&error),
                detail: error.to_string(),
            })
        });
        match outcome {
            Ok(()) if known => self.follow(now, Input::Remember(leg, memo)),
            Ok(()) => {}
            Err(refused) => {
                // A leg that stood before an offer it cannot meet goes on as it was (RFC 3261 §14.1).
                if !known {
                    self.release(leg);
                }
                self.say(refused);
            }
        }
    }

    /// Ports and random beginnings for a leg; those of a known one are not looked at.
    fn prepare(&mut self, leg: LegId, known: bool) -> Result<(u16, Seed, u64), Error> {
        let mut random = [0; 18];
        gm::random(&mut random).map_err(|error| {
            Error::system("drawing random numbers")(std::io::Error::other(error.to_string()))
        })?;
        let [s0, s1, s2, s3, q0, q1, t0, t1, t2, t3, session @ ..] = random;
        let seed = Seed {
            ssrc: Ssrc(u32::from_be_bytes([s0, s1, s2, s3])),
            sequence: u16::from_be_bytes([q0, q1]),
            timestamp: u32::from_be_bytes([t0, t1, t2, t3]),
        };
        // 63 bits: some peers read it as a signed number.
        let session = u64::from_be_bytes(session) >> 1;
        if known {
            return Ok((self.ports_of(leg), seed, session));
        }
        let (port, transport) = self.ports.open()?;
        self.keeper.keep(&name(leg, Port::Rtp), transport.descriptor(Port::Rtp));
        self.keeper.keep(&name(leg, Port::Rtcp), transport.descriptor(Port::Rtcp));
        self.place(leg, port, transport)?;
        Ok((port, seed, session))
    }

    fn ports_of(&self, leg: LegId) -> u16 {
        let place = self.by_leg.get(&leg).and_then(|at| self.places.get(*at)?.as_ref());
        place.map_or(0, |place| place.port)
    }

    fn place(&mut self, leg: LegId, port: u16, transport: Transport) -> Result<(), Error> {
        let at = self.places.iter().position(Option::is_none).unwrap_or(self.places.len());
        transport.watch(&self.epoll, at as u64 * 2)?;
        let place = Some(Place { leg, port, transport });
        match self.places.get_mut(at) {
            Some(free) => *free = place,
            None => self.places.push(place),
        }
        self.by_leg.insert(leg, at);
        Ok(())
    }

    /// Closes a leg's descriptors, here and where they are kept.
    fn release(&mut self, leg: LegId) {
        let place = self.by_leg.remove(&leg).and_then(|at| self.places.get_mut(at)?.take());
        if let Some(place) = place {
            self.keeper.forget(&name(leg, Port::Rtp));
            self.keeper.forget(&name(leg, Port::Rtcp));
            self.ports.release(place.port);
        }
    }

    /// Makes sure that a recording has a way to the record side.
    fn feed(&mut self, recording: RecordingId) {
        match self.feeds.open(recording) {
            Ok(None) => {}
            Ok(Some(theirs)) => {
                if self.words.try_send(Word::Feed(recording, theirs)).is_err() {
                    tracing::error!(%recording, "the record side's end of a feed is lost");
                }
            }
            Err(error) => tracing::error!(%error, %recording, "no feed: its batches are dropped and counted"),
        }
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
                    if let Some(event) = contract::event(event, now) {
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

    /// Gives each leg of the kept state its kept sockets; a leg without sockets and sockets without a leg end.
    fn take_over(&mut self, mut kept: Kept) -> Result<(), Error> {
        let legs: Vec<_> = self.core.legs().map(|leg| (leg.leg, leg.tapped)).collect();
        for (leg, tapped) in legs {
            let [rtp, rtcp] = [Port::Rtp, Port::Rtcp].map(|port| kept.remove(&name(leg, port)));
            let reopened = rtp.zip(rtcp).map(|(rtp, rtcp)| self.ports.reopen(rtp, rtcp));
            match reopened {
                Some(Ok((port, transport))) => {
                    self.place(leg, port, transport)?;
                    if let Some(recording) = tapped {
                        self.feed(recording);
                    }
                }
                Some(Err(error)) => {
                    tracing::error!(%leg, %error, "a leg ends: its sockets cannot be used");
                    self.follow(clock::monotonic(), Input::Close(leg));
                }
                None => {
                    tracing::error!(%leg, "a leg ends: its sockets were not kept");
                    self.follow(clock::monotonic(), Input::Close(leg));
                }
            }
        }
        for name in kept.keys() {
            self.keeper.forget(name);
        }
        Ok(())
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

/// The name under which a leg's descriptor is kept.
fn name(leg: LegId, port: Port) -> String {
    match port {
        Port::Rtp => format!("rtp.{leg}"),
        Port::Rtcp => format!("rtcp.{leg}"),
    }
}
