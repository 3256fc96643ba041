//! The clock, and whose turn it is.

use crate::{
    chance::Chance,
    edges::{Conn, Up},
    ledger::Ledger,
    line::{Line, State},
    parties::Act,
    phone::Phone,
    scenario::{Daemon, Network, Scenario},
    trace::Trace,
};
use media_core::session::{Limits, Prompt, TICK};
use report_api::CallRecord;
use route_api::{
    AttachMedia, AttachSignalling, MediaCommand, MediaEvent, SignallingCommand, SignallingEvent,
};
use route_core::{Edge, Input, Moment, Router};
use settings::Settings;
use sip_core::{Bounds, Listener, Presence, Trunk};
use std::{
    collections::{BTreeMap, VecDeque},
    net::SocketAddr,
    time::Duration,
};
use types::{LegId, Monotonic, RecordingId, Utc};

/// Where the house speaks SIP.
pub const HOUSE: &str = "192.0.2.1:5060";
/// Where the carrier does.
pub const CARRIER: &str = "198.51.100.7:5060";
/// How long after the last call the house must be at rest: the longest call, and every timer after it.
const REST: Duration = Duration::from_secs(260);
/// 2026-11-21 in UTC, at the beginning of the fake clock.
const EPOCH: Utc = Utc(1_795_219_200_000_000_000);
/// How many turns may go by without time going by.
const STANDSTILL: u32 = 100_000;

const SETTINGS: &str = r#"
[[sip.phones]]
extension = "8001"
password = "Geese-fly-North-1"
[[sip.phones]]
extension = "8002"
password = "Geese-fly-South-2"
[[sip.phones]]
extension = "8003"
password = "Geese-fly-East-3"
[[route.numbers]]
dialled = "95555"
flow = "service"
[[route.flows]]
name = "service"
steps = [{ play = "greeting" }, { announce = "recorded" }, { queue = "service" }, { play = "closing" }]
[[route.numbers]]
dialled = "95556"
flow = "menu"
[[route.flows]]
name = "menu"
[[route.flows.steps]]
announce = "recorded"
[[route.flows.steps]]
name = "menu"
[route.flows.steps.menu]
prompt = "menu"
choices = { "1" = "people", "12" = "deep", "*" = "menu" }
first_digit = "4s"
inter_digit = "2s"
invalid = { prompt = "silent", times = 2, next = "bye" }
no_input = { prompt = "silent", times = 2, next = "people" }
[[route.flows.steps]]
name = "people"
queue = { name = "service", overdue = "bye", full = "bye" }
[[route.flows.steps]]
name = "bye"
play = "closing"
[[route.flows.steps]]
hang_up = "normal-clearing"
[[route.flows.steps]]
name = "deep"
menu = { prompt = "menu", barge_in = false, choices = { "0" = "menu", "3" = "people" }, invalid = { next = "bye" }, no_input = { next = "people" } }
[[route.queues]]
name = "service"
ring = "12s"
wrap_up = "2s"
music = "waiting"
max_wait = "1m"
[[route.agents]]
name = "alice"
extension = "8001"
queues = [{ queue = "service", level = 8 }]
[[route.agents]]
name = "bob"
extension = "8002"
queues = [{ queue = "service", level = 5 }]
[[route.agents]]
name = "carol"
extension = "8003"
queues = [{ queue = "service", level = 5 }]
"#;

/// What is to happen at a moment.
pub(crate) enum Event {
    /// A datagram reaches the house's SIP socket.
    SipIn(SocketAddr, Vec<u8>),
    /// A datagram reaches a party.
    SipOut(SocketAddr, Vec<u8>),
    /// A datagram reaches a leg's RTP port.
    RtpIn(u16, SocketAddr, Vec<u8>),
    /// The next caller.
    Call,
    /// A party does something.
    Line(u32, Act),
    /// A phone registers.
    Register(usize),
    /// Agents change their minds.
    Desk,
    /// sip asks route to attach it.
    SipAttach,
    SipAttaching(u64, AttachSignalling),
    SipAttached(u64),
    Signal(u64, SignallingEvent),
    SipCommand(u64, SignallingCommand),
    /// sip has noticed that route is gone.
    SipDetached(u64),
    MediaAttach,
    MediaAttaching(u64, AttachMedia),
    MediaCommand(u64, MediaCommand),
    /// media says its next word to route.
    MediaWord(u64),
    /// route has noticed that an edge is gone.
    Lost(Edge, u64),
    /// record's or report's answer to one life of route.
    Answer(u64, Box<Input>),
    /// What one life of route has report keep reaches it.
    Save(u64, Box<CallRecord>),
    /// What one life of route has record finish reaches it.
    Finish(u64, RecordingId),
    Death,
    Birth(Daemon),
}

/// Everything.
pub struct World {
    pub(crate) scenario: Scenario,
    pub(crate) chance: Chance,
    pub(crate) now: Monotonic,
    pub(crate) trace: Trace,
    pub(crate) ledger: Ledger,
    pub(crate) up: Up,
    pub(crate) plan: Settings,
    pub(crate) sip_written: Vec<u8>,
    pub(crate) sip_backlog: VecDeque<(SocketAddr, Vec<u8>)>,
    pub(crate) media_kept: Vec<u8>,
    pub(crate) media_kept_at: Monotonic,
    pub(crate) media_changed: bool,
    pub(crate) media_backlog: VecDeque<(u16, SocketAddr, Vec<u8>)>,
    pub(crate) ports: BTreeMap<u16, LegId>,
    pub(crate) by_leg: BTreeMap<LegId, u16>,
    pub(crate) last_port: u16,
    pub(crate) words: VecDeque<MediaEvent>,
    pub(crate) roster: String,
    pub(crate) flows: String,
    /// Of keys alone, so that what is drawn elsewhere stays the same.
    pub(crate) fingers: Chance,
    /// Of what phones say before they answer.
    pub(crate) tongues: Chance,
    pub(crate) signalling: Conn,
    pub(crate) sound: Conn,
    pub(crate) lines: BTreeMap<u32, Line>,
    pub(crate) by_call: BTreeMap<String, u32>,
    pub(crate) by_rtp: BTreeMap<SocketAddr, u32>,
    pub(crate) phones: Vec<Phone>,
    pub(crate) to_come: u32,
    agenda: BTreeMap<(Monotonic, u64), Event>,
    order: u64,
    last_call: Monotonic,
}

impl World {
    /// Lets a scenario happen, until the house has come to rest.
    pub fn run(scenario: Scenario) -> Self {
        let mut world = Self::new(scenario);
        let mut standing = 0;
        while let Some(next) = world.next() {
            standing = if next > world.now { 0 } else { standing + 1 };
            assert!(standing < STANDSTILL, "time stands still\n{}", world.trace.last(40, &[]));
            world.now = next;
            world.turn();
        }
        world
    }

    /// The log.
    pub const fn trace(&self) -> &Trace {
        &self.trace
    }

    fn new(scenario: Scenario) -> Self {
        let now = Monotonic(1_000_000_000);
        let plan = Settings::parse(SETTINGS).unwrap_or_else(|problems| panic!("{problems:?}"));
        let mut world = Self {
            chance: Chance::new(scenario.seed),
            now,
            trace: Trace::default(),
            ledger: Ledger::default(),
            up: Up::default(),
            sip_written: Vec::new(),
            sip_backlog: VecDeque::new(),
            media_kept: Vec::new(),
            media_kept_at: now,
            media_changed: false,
            media_backlog: VecDeque::new(),
            ports: BTreeMap::new(),
            by_leg: BTreeMap::new(),
            last_port: 20_000,
            words: VecDeque::new(),
            roster: String::new(),
            flows: String::new(),
            fingers: Chance::new(!scenario.seed),
            tongues: Chance::new(scenario.seed.rotate_left(32)),
            signalling: Conn::default(),
            sound: Conn::default(),
            lines: BTreeMap::new(),
            by_call: BTreeMap::new(),
            by_rtp: BTreeMap::new(),
            phones: Vec::new(),
            to_come: scenario.calls,
            agenda: BTreeMap::new(),
            order: 0,
            last_call: now,
            plan,
            scenario,
        };
        world.phones = world
            .accounts()
            .into_iter()
            .enumerate()
            .map(|(at, account)| Phone::new(account, ([203, 0, 113, 9 + at as u8], 40_000).into()))
            .collect();
        for daemon in [Daemon::Route, Daemon::Sip, Daemon::Media] {
            world.start(daemon);
        }
        for phone in 0..world.phones.len() {
            world.after(Duration::from_millis(100), Event::Register(phone));
        }
        world.after(Duration::from_secs(2), Event::Desk);
        world.after(Duration::from_secs(3), Event::Call);
        if world.scenario.deaths.is_some() {
            world.after(Duration::from_secs(5), Event::Death);
        }
        world
    }

    pub(crate) fn after(&mut self, time: Duration, event: Event) {
        self.at(self.now.plus(time), event);
    }

    pub(crate) fn at(&mut self, at: Monotonic, event: Event) {
        self.order += 1;
        self.agenda.insert((at, self.order), event);
    }

    pub(crate) fn moment(&self) -> Moment {
        Moment { monotonic: self.now, utc: self.utc() }
    }

    /// The calendar's word for now.
    pub(crate) fn utc(&self) -> Utc {
        Self::calendar(self.now)
    }

    /// The calendar's word for a moment.
    pub(crate) fn calendar(at: Monotonic) -> Utc {
        EPOCH.plus(Duration::from_nanos(at.0))
    }

    /// Whether new misfortune is still allowed.
    pub(crate) fn is_lively(&self) -> bool {
        self.to_come > 0 || self.now.since(self.last_call) < Duration::from_secs(60)
    }

    /// Sends a datagram on its way; it may come never, once or twice.
    pub(crate) fn send(&mut self, make: impl Fn() -> Event) {
        let Network { loss, doubled, delay } = self.scenario.network.clone();
        let copies = 1 + u32::from(self.chance.percent(doubled));
        for _ in 0..copies {
            let (lost, underway) = (self.chance.percent(loss), self.chance.within(&delay));
            if !lost {
                self.after(underway, make());
            }
        }
    }

    fn next(&self) -> Option<Monotonic> {
        let end = self.last_call.plus(REST);
        let planned = self.agenda.first_key_value().map(|((at, _), _)| *at);
        let sip = self.up.sip.as_ref().and_then(sip_core::Core::next_wake);
        let route = self.up.route.as_ref().and_then(Router::wake);
        let next = [planned, sip, route, self.next_tick()].into_iter().flatten().min()?.max(self.now);
        (self.to_come > 0 || next < end).then_some(next)
    }

    fn next_tick(&self) -> Option<Monotonic> {
        self.up.media.as_ref()?.legs().next()?;
        Some(Monotonic((self.now.0 + 1).next_multiple_of(TICK.as_nanos() as u64)))
    }

    fn turn(&mut self) {
        if let Some(entry) = self.agenda.first_entry()
            && entry.key().0 <= self.now
        {
            let event = entry.remove();
            self.happen(event);
            return;
        }
        let due = |wake: Option<Monotonic>, now| wake.is_some_and(|wake| wake <= now);
        if due(self.up.sip.as_ref().and_then(sip_core::Core::next_wake), self.now) {
            self.give_sip(sip_core::Input::Tick);
        } else if due(self.up.route.as_ref().and_then(Router::wake), self.now) {
            self.give_route(Input::Tick);
        } else {
            self.tick_media();
        }
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::SipIn(remote, bytes) => self.sip_in(remote, bytes),
            Event::SipOut(to, bytes) => self.sip_out(to, &bytes),
            Event::RtpIn(port, source, bytes) => self.rtp_in(port, source, bytes),
            Event::Call => {
                self.to_come -= 1;
                self.last_call = self.now;
                self.dial();
                if self.to_come > 0 {
                    let spacing = self.scenario.spacing * 2;
                    let pause = self.chance.within(&(Duration::ZERO..spacing));
                    self.after(pause, Event::Call);
                }
            }
            Event::Line(number, act) => self.act(number, act),
            Event::Register(phone) => self.register(phone),
            Event::Desk => self.desk(),
            Event::SipAttach => self.sip_attach(),
            Event::SipAttaching(epoch, attach) => self.sip_attaching(epoch, attach),
            Event::SipAttached(epoch) if self.signalling.is(epoch) => self.sip_attached(),
            Event::Signal(epoch, event) if self.signalling.is(epoch) => {
                self.give_route(Input::Signalling(event));
            }
            Event::SipCommand(epoch, command) if self.signalling.is(epoch) => {
                self.give_sip(sip_core::Input::Command(command));
            }
            Event::SipDetached(epoch) if self.signalling.is(epoch) && self.up.sip.is_some() => {
                self.give_sip(sip_core::Input::Route(Presence::Absent));
                self.after(Duration::from_millis(20), Event::SipAttach);
            }
            Event::MediaAttach => self.media_attach(),
            Event::MediaAttaching(epoch, attach) => self.media_attaching(epoch, attach),
            Event::MediaCommand(epoch, command) if self.sound.is(epoch) => self.obey(command),
            Event::MediaWord(life) => self.media_word(life),
            Event::Lost(edge, epoch) => {
                let conn = if edge == Edge::Signalling { &self.signalling } else { &self.sound };
                if conn.is(epoch) {
                    self.give_route(Input::Lost(edge));
                }
            }
            Event::Answer(life, input) if life == self.up.lives => self.give_route(*input),
            Event::Save(life, record) if life == self.up.lives => self.report_keeps(life, *record),
            Event::Finish(life, recording) if life == self.up.lives => self.record_ends(life, recording),
            Event::Death => self.death(),
            Event::Birth(daemon) => self.start(daemon),
            // Of a stream or a life that is over.
            Event::SipAttached(_)
            | Event::Signal(..)
            | Event::SipCommand(..)
            | Event::SipDetached(_)
            | Event::MediaCommand(..)
            | Event::Answer(..)
            | Event::Save(..)
            | Event::Finish(..) => {}
        }
    }

    fn accounts(&self) -> Vec<sip_core::Phone> {
        let phones = self.plan.sip.phones.iter();
        phones
            .map(|phone| sip_core::Phone::new(phone.extension.clone(), phone.password.reveal().to_owned()))
            .collect()
    }

    /// What sip is told at its start.
    pub(crate) fn sip_settings(&self) -> sip_core::Settings {
        sip_core::Settings {
            listeners: vec![Listener::udp(HOUSE.parse().unwrap())],
            realm: "yanmen".into(),
            algorithms: vec![sip_core::digest::Algorithm::Sha256, sip_core::digest::Algorithm::Md5],
            trunks: vec![Trunk::at("carrier".parse().unwrap(), CARRIER.parse().unwrap())],
            phones: self.accounts(),
            phone_check: None,
            bounds: Bounds::default(),
            limits: sip_core::Limits::default(),
        }
    }

    /// A core of media with its prompts, from what was kept or anew.
    pub(crate) fn media_core(&self) -> media_core::Core {
        let mut core = match self.media_kept.is_empty() {
            true => media_core::Core::new(Limits::default()),
            false => serde_json::from_slice(&self.media_kept).unwrap(),
        };
        for (name, millis) in [
            ("greeting", 300),
            ("recorded", 500),
            ("waiting", 400),
            ("closing", 200),
            ("menu", 600),
            ("silent", 100),
        ] {
            core.load(name.to_owned(), Prompt::read(&wav(millis * 8)).unwrap());
        }
        core
    }

    /// Whether a party still takes part.
    pub(crate) fn is_live(line: &Line) -> bool {
        !matches!(line.state, State::Over | State::Vanished)
    }
}

/// A WAV file of A-law octets.
fn wav(octets: u32) -> Vec<u8> {
    let mut file = b"RIFF\0\0\0\0WAVEfmt ".to_vec();
    file.extend(16u32.to_le_bytes());
    file.extend([6, 0, 1, 0]);
    file.extend(8000u32.to_le_bytes());
    file.extend(8000u32.to_le_bytes());
    file.extend([1, 0, 8, 0]);
    file.extend(b"data");
    file.extend(octets.to_le_bytes());
    file.extend((0..octets).map(|at| at as u8));
    file
}
