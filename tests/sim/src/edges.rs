//! What the shells do: streams between daemons, ports, and the outputs of each core carried out.

use crate::{
    contract,
    line::{State, spoken_by},
    scenario::Daemon,
    world::{Event, HOUSE, World},
};
use media_core::{
    Output as MediaOutput,
    codec::Codec,
    rtp::{Packet, Seed, Ssrc},
    session::{Opening, Play, Port, Track},
    srtp::{Keying, Policy},
};
use report_api::CallRecord;
use route_api::{
    AttachMedia, AttachSignalling, LiveMedia, MediaCommand, MediaEvent, MediaRefusal, Memo, SignallingEvent,
};
use route_core::{Input, NotBegun, Output, Router};
use sip_core::{Flow, Presence};
use std::{collections::VecDeque, net::SocketAddr, time::Duration};
use types::{LegId, Monotonic, RecordingId};

/// How long media waits before it attaches again.
const PAUSE: Duration = Duration::from_millis(200);

/// The cores that live now.
#[derive(Default)]
pub(crate) struct Up {
    pub sip: Option<sip_core::Core>,
    pub media: Option<media_core::Core>,
    pub route: Option<Router>,
    /// Lives of route so far: an answer to an earlier one is heard by nobody.
    pub lives: u64,
    /// Lives of media so far: its unsaid words end with each.
    pub media_lives: u64,
}

/// The stream between route and an edge.
#[derive(Default)]
pub(crate) struct Conn {
    epoch: u64,
    phase: Phase,
    /// Events that wait for the attachment to be confirmed.
    buffer: VecDeque<SignallingEvent>,
    /// The last arrival on the way down to route, and up to the edge: a stream keeps its order.
    down: Monotonic,
    up: Monotonic,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Phase {
    #[default]
    Away,
    Asked,
    Attached,
}

impl Conn {
    /// Whether this is still the stream of that number.
    pub(crate) const fn is(&self, epoch: u64) -> bool {
        self.epoch == epoch
    }

    /// Breaks the stream; what was underway is lost. Gives the number of the time without one.
    pub(crate) fn cut(&mut self) -> u64 {
        self.epoch += 1;
        self.phase = Phase::Away;
        self.buffer.clear();
        self.epoch
    }
}

impl World {
    fn latency(&mut self) -> Duration {
        self.chance.within(&(Duration::from_micros(50)..Duration::from_micros(2500)))
    }

    /// The arrival of the next message on a stream, after all before it.
    fn arrival(&mut self, pick: fn(&mut Conn) -> &mut Monotonic, daemon: Daemon) -> Monotonic {
        let arrival = self.now.plus(self.latency());
        let conn = if daemon == Daemon::Sip { &mut self.signalling } else { &mut self.sound };
        let last = pick(conn);
        *last = arrival.max(*last);
        *last
    }

    // sip

    pub(crate) fn give_sip(&mut self, input: sip_core::Input<'_>) {
        let now = self.now;
        let Some(core) = &mut self.up.sip else { return };
        if let sip_core::Input::Command(command) = &input {
            self.trace.note(now, format_args!("sip <- {}", brief(command)));
        }
        core.handle(now, input);
        // Written down first, then told to the world.
        let written = &mut self.sip_written;
        core.each_change(|change| *written = postcard::to_extend(&change, std::mem::take(written)).unwrap());
        if self.sip_written.len() > 1 << 20 {
            self.sip_written.clear();
            for change in core.snapshot() {
                self.sip_written =
                    postcard::to_extend(&change, std::mem::take(&mut self.sip_written)).unwrap();
            }
        }
        let mut outputs = Vec::new();
        while let Some(output) = core.poll() {
            outputs.push(output);
        }
        for output in outputs {
            match output {
                sip_core::Output::Send { flow, bytes } => {
                    self.trace.note(now, format_args!("sip => {} {}", flow.remote, first_line(&bytes)));
                    self.send(|| Event::SipOut(flow.remote, bytes.clone()));
                }
                // The network of this world carries datagrams alone, nobody in it is slowed for long, and nobody
                // looks at a call.
                sip_core::Output::Open { .. }
                | sip_core::Output::Close(_)
                | sip_core::Output::Report(_)
                | sip_core::Output::Seen { .. } => {}
                sip_core::Output::Event(event) => {
                    match &event {
                        SignallingEvent::Offered { leg, .. } => self.ledger.offered(*leg),
                        SignallingEvent::Ended { leg, at, .. } => self.ledger.ended(*leg, *at),
                        _ => {}
                    }
                    match self.signalling.phase {
                        Phase::Away => {}
                        Phase::Asked => self.signalling.buffer.push_back(event),
                        Phase::Attached => self.tell_route(event),
                    }
                }
            }
        }
    }

    fn tell_route(&mut self, event: SignallingEvent) {
        let epoch = self.signalling.epoch;
        let at = self.arrival(|conn| &mut conn.down, Daemon::Sip);
        self.at(at, Event::Signal(epoch, event));
    }

    pub(crate) fn sip_in(&mut self, remote: SocketAddr, bytes: Vec<u8>) {
        self.trace.note(self.now, format_args!("{remote} => sip {}", first_line(&bytes)));
        if self.up.sip.is_none() {
            // The kernel keeps the socket and what came.
            self.sip_backlog.push_back((remote, bytes));
            return;
        }
        self.give_sip(sip_core::Input::Datagram { flow: Flow::udp(0, remote), bytes: &bytes });
    }

    pub(crate) fn sip_attach(&mut self) {
        let Some(core) = &self.up.sip else { return };
        if self.signalling.phase != Phase::Away {
            return;
        }
        if self.up.route.is_none() {
            self.after(Duration::from_millis(40), Event::SipAttach);
            return;
        }
        let (again, attach) = (core.again(), core.attach());
        self.signalling.cut();
        self.signalling.phase = Phase::Asked;
        again.into_iter().for_each(|event| self.tell_route(event));
        let (epoch, at) = (self.signalling.epoch, self.arrival(|conn| &mut conn.down, Daemon::Sip));
        self.at(at, Event::SipAttaching(epoch, attach));
    }

    pub(crate) fn sip_attaching(&mut self, epoch: u64, attach: AttachSignalling) {
        if !self.signalling.is(epoch) || self.up.route.is_none() {
            return;
        }
        let at = self.arrival(|conn| &mut conn.up, Daemon::Sip);
        self.at(at, Event::SipAttached(epoch));
        self.give_route(Input::SignallingAttached(attach));
    }

    pub(crate) fn sip_attached(&mut self) {
        self.signalling.phase = Phase::Attached;
        self.give_sip(sip_core::Input::Route(Presence::Attached));
        for event in std::mem::take(&mut self.signalling.buffer) {
            self.tell_route(event);
        }
    }

    // route

    pub(crate) fn give_route(&mut self, input: Input) {
        let moment = self.moment();
        let Some(router) = &mut self.up.route else { return };
        if !matches!(input, Input::Tick) {
            self.trace.note(self.now, format_args!("route <- {}", brief(&input)));
        }
        router.handle(moment, input);
        self.drain_route();
    }

    pub(crate) fn drain_route(&mut self) {
        while let Some(output) = self.up.route.as_mut().and_then(Router::poll) {
            self.trace.note(self.now, format_args!("route -> {}", brief(&output)));
            let life = self.up.lives;
            match output {
                Output::Signalling(command) => {
                    let epoch = self.signalling.epoch;
                    let at = self.arrival(|conn| &mut conn.up, Daemon::Sip);
                    self.at(at, Event::SipCommand(epoch, command));
                }
                Output::Media(command) => {
                    let epoch = self.sound.epoch;
                    let at = self.arrival(|conn| &mut conn.up, Daemon::Media);
                    self.at(at, Event::MediaCommand(epoch, command));
                }
                Output::RecordBegin(begin) => {
                    let recording = begin.recording;
                    let known = self.ledger.knows(recording);
                    let answer = if !known && self.chance.percent(2) {
                        Input::NotBegun(recording, NotBegun::Failed)
                    } else {
                        self.ledger.begun(&begin);
                        Input::Begun(recording)
                    };
                    let pause = self.chance.millis(1, 40);
                    self.after(pause, Event::Answer(life, Box::new(answer)));
                }
                Output::RecordJoin(join) => {
                    let answer = Input::Joined(join.recording, join.track.track);
                    let pause = self.chance.millis(1, 40);
                    self.after(pause, Event::Answer(life, Box::new(answer)));
                }
                Output::RecordFinish(finish) => {
                    let pause = self.patience();
                    self.after(pause, Event::Finish(life, finish.recording));
                }
                Output::Save(record) => {
                    let pause = self.patience();
                    self.after(pause, Event::Save(life, record));
                }
            }
        }
    }

    /// How long route says the same until record or report takes it: now and then they are away.
    fn patience(&mut self) -> Duration {
        if self.chance.percent(10) { self.chance.millis(100, 20_000) } else { self.chance.millis(1, 20) }
    }

    pub(crate) fn report_keeps(&mut self, life: u64, record: CallRecord) {
        let call = record.call;
        self.ledger.saved(record);
        let pause = self.chance.millis(1, 20);
        self.after(pause, Event::Answer(life, Box::new(Input::Saved(call))));
    }

    pub(crate) fn record_ends(&mut self, life: u64, recording: RecordingId) {
        self.ledger.finished(recording);
        let pause = self.chance.millis(1, 20);
        self.after(pause, Event::Answer(life, Box::new(Input::Finished(recording))));
    }

    // media

    pub(crate) fn media_attach(&mut self) {
        let Some(core) = &self.up.media else { return };
        if self.sound.phase != Phase::Away {
            return;
        }
        if self.up.route.is_none() {
            self.after(PAUSE, Event::MediaAttach);
            return;
        }
        let live = |leg: media_core::session::Standing<'_>| LiveMedia {
            leg: leg.leg,
            bridged: leg.bridged,
            memo: Memo(leg.memo.to_owned()),
        };
        let legs = core.legs().map(live).collect();
        self.sound.cut();
        self.sound.phase = Phase::Asked;
        let (epoch, at) = (self.sound.epoch, self.arrival(|conn| &mut conn.down, Daemon::Media));
        self.at(at, Event::MediaAttaching(epoch, AttachMedia { legs, ..AttachMedia::default() }));
    }

    pub(crate) fn media_attaching(&mut self, epoch: u64, attach: AttachMedia) {
        if !self.sound.is(epoch) || self.up.route.is_none() {
            return;
        }
        self.sound.phase = Phase::Attached;
        self.give_route(Input::MediaAttached(attach));
    }

    /// A word waits until route hears it, and those behind it wait with it.
    pub(crate) fn media_word(&mut self, life: u64) {
        if life != self.up.media_lives || self.words.is_empty() {
            return;
        }
        if self.up.route.is_none() {
            self.after(PAUSE, Event::MediaWord(life));
            return;
        }
        if let Some(event) = self.words.pop_front() {
            self.give_route(Input::Media(event));
        }
        if !self.words.is_empty() {
            let latency = self.latency();
            self.after(latency, Event::MediaWord(life));
        }
    }

    fn say(&mut self, event: MediaEvent) {
        self.words.push_back(event);
        if self.words.len() == 1 {
            let (latency, life) = (self.latency(), self.up.media_lives);
            self.after(latency, Event::MediaWord(life));
        }
    }

    /// Follows a command of route.
    pub(crate) fn obey(&mut self, command: MediaCommand) {
        self.trace.note(self.now, format_args!("media <- {}", brief(&command)));
        self.media_changed = true;
        match command {
            MediaCommand::Attached {} | MediaCommand::Capture(_) => {}
            MediaCommand::Open { leg, offer, memo, beside, over: _ } => {
                self.open(leg, offer.map(|offer| offer.0), &memo.0, beside);
            }
            MediaCommand::Accept { leg, answer } => {
                if let Err(error) = self.give_media(media_core::Input::Accept(leg, answer.0.as_bytes())) {
                    let (reason, detail) = (contract::refusal(&error), error.to_string());
                    self.say(MediaEvent::Refused { leg, reason, detail });
                    self.follow(media_core::Input::Close(leg));
                }
            }
            MediaCommand::Early { leg, answer, to } => {
                self.follow(media_core::Input::Early { leg, answer: answer.0.as_bytes(), to });
            }
            MediaCommand::Play { leg, play, prompts, times } => {
                let names: Vec<&str> = prompts.iter().map(types::Name::as_str).collect();
                let wish = Play { number: play, prompts: &names, times: contract::times(times) };
                match self.give_media(media_core::Input::Play(leg, wish)) {
                    Ok(()) | Err(media_core::Error::NoLeg(_)) => {}
                    Err(error) => {
                        let (prompt, detail) = (prompts[0].clone(), error.to_string());
                        self.say(MediaEvent::NotPlayed { leg, play, prompt, detail });
                    }
                }
            }
            MediaCommand::Stop { leg } => self.follow(media_core::Input::Stop(leg)),
            MediaCommand::Bridge { leg, with } => self.follow(media_core::Input::Bridge(leg, with)),
            MediaCommand::Part { leg } => self.follow(media_core::Input::Part(leg)),
            MediaCommand::Tap { leg, recording, track } => {
                if self.give_media(media_core::Input::Tap(leg, recording, Track(track))).is_ok() {
                    self.ledger.tapped(leg, recording, track);
                }
            }
            MediaCommand::Untap { leg } => self.follow(media_core::Input::Untap(leg)),
            MediaCommand::Remember { leg, memo } => self.follow(media_core::Input::Remember(leg, &memo.0)),
            MediaCommand::Close { leg } => self.follow(media_core::Input::Close(leg)),
        }
    }

    fn open(&mut self, leg: LegId, offer: Option<String>, memo: &str, beside: Option<LegId>) {
        let known = self.by_leg.get(&leg).copied();
        let port = known.unwrap_or_else(|| self.free_port(leg));
        let seed = Seed {
            ssrc: Ssrc(self.chance.draw() as u32),
            sequence: self.chance.draw() as u16,
            timestamp: self.chance.draw() as u32,
        };
        let opening = Opening {
            offer: offer.as_deref().map(str::as_bytes),
            memo,
            address: ([192, 0, 2, 10], port).into(),
            session: self.chance.draw() >> 1,
            seed,
            codecs: &Codec::ALL,
            beside,
            policy: Policy::Off,
            keying: &Keying::new([0; Keying::LENGTH]),
        };
        match self.give_media(media_core::Input::Open(leg, opening)) {
            Ok(()) if known.is_some() => self.follow(media_core::Input::Remember(leg, memo)),
            Ok(()) => {}
            Err(error) => {
                if known.is_none() {
                    self.release(leg);
                }
                let reason: MediaRefusal = contract::refusal(&error);
                self.say(MediaEvent::Refused { leg, reason, detail: error.to_string() });
            }
        }
    }

    fn free_port(&mut self, leg: LegId) -> u16 {
        loop {
            self.last_port = if self.last_port >= 59_998 { 20_000 } else { self.last_port + 2 };
            if !self.ports.contains_key(&self.last_port) {
                break;
            }
        }
        self.ports.insert(self.last_port, leg);
        self.by_leg.insert(leg, self.last_port);
        self.last_port
    }

    fn release(&mut self, leg: LegId) {
        if let Some(port) = self.by_leg.remove(&leg) {
            self.ports.remove(&port);
        }
    }

    pub(crate) fn rtp_in(&mut self, port: u16, source: SocketAddr, bytes: Vec<u8>) {
        let Some(leg) = self.ports.get(&port).copied() else { return };
        if self.up.media.is_none() {
            self.media_backlog.push_back((port, source, bytes));
            return;
        }
        if let Ok(packet) = Packet::parse(&bytes) {
            self.ledger.came(self.now, leg, packet.payload);
        }
        self.follow(media_core::Input::Datagram { leg, port: Port::Rtp, source, bytes: &bytes });
    }

    pub(crate) fn tick_media(&mut self) {
        self.follow(media_core::Input::Tick);
        let kills = self.scenario.deaths.as_ref().is_some_and(|deaths| deaths.of.contains(&Daemon::Media));
        let old = self.now.since(self.media_kept_at) >= Duration::from_secs(1);
        if kills && (self.media_changed || old) {
            self.keep_media();
        }
    }

    pub(crate) fn keep_media(&mut self) {
        if let Some(core) = &self.up.media {
            self.media_kept = serde_json::to_vec(core).unwrap();
            self.media_kept_at = self.now;
            self.media_changed = false;
        }
    }

    /// A command to a leg that is closed is dropped: its `Closed` is on the way.
    pub(crate) fn follow(&mut self, input: media_core::Input<'_>) {
        let _too_late = self.give_media(input);
    }

    fn give_media(&mut self, input: media_core::Input<'_>) -> Result<(), media_core::Error> {
        let now = self.now;
        let Some(core) = &mut self.up.media else { return Ok(()) };
        let outcome = core.handle(now, input);
        let mut events = Vec::new();
        while let Some(output) = core.poll() {
            match output {
                MediaOutput::Send { leg, port: Port::Rtp, to, datagram } => {
                    if let (Ok(packet), Some(line)) = (Packet::parse(datagram), self.by_rtp.get(&to)) {
                        let unanswered = |line: &u32| self.lines[line].state == State::Ringing;
                        self.ledger.heard(leg, *line, packet.payload);
                        if let Some((speaker, _)) = spoken_by(packet.payload) {
                            self.ledger.early += usize::from(unanswered(&speaker));
                        }
                        if unanswered(line) {
                            let amiss = format!("line {line} hears something before it has answered");
                            self.ledger.amiss.push(amiss);
                        }
                    }
                }
                MediaOutput::Send { .. } => {}
                MediaOutput::Tap { recording, batch } => {
                    for (record, payload) in batch.records() {
                        self.ledger.recorded(recording, record.track.0, payload);
                    }
                }
                MediaOutput::Event(event) => events.push(event),
            }
        }
        for event in events {
            match &event {
                media_core::Event::TapEnded { recording, track, .. } => {
                    self.ledger.untapped(*recording, track.0);
                }
                media_core::Event::Closed { leg, .. } => self.release(*leg),
                _ => {}
            }
            if let Some(event) = contract::event(event, self.now, self.utc()) {
                self.say(event);
            }
        }
        outcome
    }

    /// The address that parties know the house by.
    pub(crate) fn house() -> SocketAddr {
        HOUSE.parse().unwrap()
    }
}

/// The beginning of what would be a long line.
fn brief(what: &impl std::fmt::Debug) -> String {
    let mut text = format!("{what:?}");
    if let Some((at, _)) = text.char_indices().nth(150) {
        text.truncate(at);
    }
    text
}

/// Start line and Call-ID of a message.
fn first_line(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let call = text.lines().find(|line| line.starts_with("Call-ID")).unwrap_or_default();
    let number = text.lines().find(|line| line.starts_with("CSeq")).unwrap_or_default();
    format!("{} | {call} | {number}", text.lines().next().unwrap_or_default())
}
