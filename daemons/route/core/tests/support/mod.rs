//! A router between two fake edges, a fake record and a clock that the test moves.
//!
//! The fakes keep what a real edge keeps (legs, states, memos), answer commands with events that wait until
//! the test delivers them, and can break off and come back.

#![allow(dead_code, reason = "each test uses its part")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may stop")]

use record_api::{Begin, Join, Outcome, RecordingState, Track};
use report_api::{CallRecord, Recorded};
use route_api::{
    AgentEntry, AgentState, AttachMedia, AttachSignalling, Cause, EndedBy, Endpoint, Extent, Ladder,
    LegState, LiveLeg, LiveMedia, MediaCommand, MediaEvent, Memo, Party, Path, PlayedPrompt, Quality,
    Reachability, SessionDescription, SignallingCommand, SignallingEvent, Step, TransferProgress, Wanted,
    Way,
};
use route_core::{Edge, Flows, Input, MEMO_MOST, Moment, Output, Roster, Router};
use settings::{Settings, record::Record, route::Route};
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::Duration,
};
use types::{AgentId, CallId, Extension, LegId, Monotonic, Pii, RecordingId, Uid, Utc};

pub const SETTINGS: &str = r#"
[[sip.phones]]
extension = "8001"
password = "Geese-fly-North-1"
[[sip.phones]]
extension = "8002"
password = "Geese-fly-South-2"
[route]
outside = ["010"]
[[route.numbers]]
dialled = "95555"
flow = "service"
[[route.flows]]
name = "service"
steps = [{ play = "greeting" }, { announce = "recorded" }, { queue = "service" }, { play = "closing" }]
[[route.queues]]
name = "service"
ring = "15s"
wrap_up = "5s"
music = "waiting"
max_wait = "5m"
[[route.agents]]
name = "alice"
extension = "8001"
queues = [{ queue = "service", level = 8 }]
[[route.agents]]
name = "bob"
extension = "8002"
queues = [{ queue = "service", level = 5 }]
"#;

pub fn plan() -> Route {
    Settings::parse(SETTINGS).unwrap_or_else(|problems| panic!("{problems:?}")).route
}

/// What was dialled.
pub struct Dialled {
    pub over: Endpoint,
    pub number: String,
    pub from: String,
    pub silence_ms: Option<u32>,
}

pub struct SipLeg {
    pub state: LegState,
    pub memo: Memo,
    pub dialled_by_us: bool,
    pub answered_by_us: bool,
}

#[derive(Default)]
pub struct SoundLeg {
    pub memo: Memo,
    pub bridged: Option<LegId>,
    /// Whom it hears early, and by which answer.
    pub hears: Option<(LegId, SessionDescription)>,
    pub playing: Option<(u32, Vec<String>)>,
    pub tapped: Option<(RecordingId, u8)>,
}

pub struct World {
    pub router: Router,
    pub now: Moment,
    pub plan: Route,
    pub sip: BTreeMap<LegId, SipLeg>,
    /// Legs that are over and not forgotten, as the edge says them.
    pub ended: BTreeMap<LegId, (Monotonic, Cause, EndedBy, Memo)>,
    /// Legs that came in and whose memo is empty, by the moment of their offer.
    pub unheard: BTreeMap<LegId, SignallingEvent>,
    pub media: BTreeMap<LegId, SoundLeg>,
    pub sip_attached: bool,
    pub media_attached: bool,
    pub from_sip: VecDeque<SignallingEvent>,
    pub from_media: VecDeque<MediaEvent>,
    pub begins: VecDeque<Begin>,
    pub joins: VecDeque<Join>,
    pub finished: Vec<RecordingId>,
    /// The last memo that record was given of each recording.
    pub memos: BTreeMap<RecordingId, String>,
    /// Every track of which record was told, in order.
    pub consents: Vec<Track>,
    /// The call of each recording that was asked for.
    pub begun: BTreeMap<RecordingId, CallId>,
    pub saved: Vec<CallRecord>,
    /// While report is away: what route wants kept.
    pub unsaved: Option<Vec<CallRecord>>,
    pub dialled: Vec<LegId>,
    pub dials: Vec<Dialled>,
    /// Who speaks on the tracks that record was asked for.
    pub parties: Vec<String>,
    pub hung_up: Vec<(LegId, Cause)>,
    /// How transfers went, as who asked for them was told.
    pub told: Vec<(LegId, TransferProgress)>,
    /// How media describes itself.
    pub ours: String,
    /// That it rings, as callers were told, with what they hear.
    pub rung: Vec<(LegId, Option<SessionDescription>)>,
    /// Answers to changes.
    pub changed: Vec<(LegId, Option<SessionDescription>)>,
    pub commands: Vec<String>,
    /// Legs that came for the place of another.
    pub newcomers: BTreeSet<LegId>,
    /// Whether what was kept of flows is gone when route begins anew.
    pub flows_are_lost: bool,
    legs: u128,
    seeds: u8,
}

pub fn agent(name: &str) -> AgentId {
    name.parse().unwrap()
}

pub fn sdp(text: &str) -> SessionDescription {
    SessionDescription(text.to_owned())
}

impl World {
    pub fn new() -> Self {
        let now = Moment { monotonic: Monotonic(1_000_000_000_000), utc: Utc(1_800_000_000_000_000_000) };
        let plan = plan();
        let mut world = Self {
            router: Router::new(
                now,
                [1; 16],
                plan.clone(),
                Record::default(),
                Roster::default(),
                Flows::default(),
            ),
            now,
            plan,
            sip: BTreeMap::new(),
            ended: BTreeMap::new(),
            unheard: BTreeMap::new(),
            media: BTreeMap::new(),
            sip_attached: false,
            media_attached: false,
            from_sip: VecDeque::new(),
            from_media: VecDeque::new(),
            begins: VecDeque::new(),
            joins: VecDeque::new(),
            finished: Vec::new(),
            memos: BTreeMap::new(),
            begun: BTreeMap::new(),
            consents: Vec::new(),
            saved: Vec::new(),
            unsaved: None,
            dialled: Vec::new(),
            dials: Vec::new(),
            parties: Vec::new(),
            hung_up: Vec::new(),
            told: Vec::new(),
            ours: "ours".to_owned(),
            rung: Vec::new(),
            changed: Vec::new(),
            commands: Vec::new(),
            newcomers: BTreeSet::new(),
            flows_are_lost: false,
            legs: 0,
            seeds: 1,
        };
        world.attach_sip();
        world.attach_media();
        world
    }

    pub fn give(&mut self, input: Input) {
        self.router.handle(self.now, input);
        self.drain();
    }

    pub fn drain(&mut self) {
        while let Some(output) = self.router.poll() {
            match output {
                Output::Signalling(command) => self.obey_signalling(command),
                Output::Media(command) => self.obey_media(command),
                Output::RecordBegin(begin) => {
                    self.parties.extend(begin.tracks.iter().map(|track| format!("{:?}", track.party)));
                    self.memos.insert(begin.recording, begin.memo.clone());
                    self.begun.insert(begin.recording, begin.call);
                    self.consents.extend(begin.tracks.iter().cloned());
                    self.begins.push_back(begin);
                }
                Output::RecordJoin(join) => {
                    self.parties.push(format!("{:?}", join.track.party));
                    self.memos.insert(join.recording, join.memo.clone());
                    self.consents.push(join.track.clone());
                    self.joins.push_back(join);
                }
                Output::RecordFinish(finish) => {
                    self.finished.push(finish.recording);
                    self.router.handle(self.now, Input::Finished(finish.recording));
                }
                Output::Save(record) if self.unsaved.is_some() => {
                    self.unsaved.get_or_insert_default().push(*record);
                }
                Output::Save(record) => {
                    let call = record.call;
                    // report keeps the first: only another life of route may say it again.
                    let known = self.saved.iter().any(|saved| saved.call == call);
                    if !known || self.seeds == 1 {
                        self.saved.push(*record);
                    }
                    self.router.handle(self.now, Input::Saved(call));
                }
            }
        }
    }

    fn obey_signalling(&mut self, command: SignallingCommand) {
        assert!(self.sip_attached, "a command on a broken stream: {command:?}");
        self.commands.push(format!("{command:?}").split([' ', '{']).next().unwrap().to_owned());
        let small = |memo: &Memo| assert!(memo.0.len() <= MEMO_MOST, "{} bytes of memo", memo.0.len());
        match command {
            SignallingCommand::Answer { leg, memo, .. } => {
                small(&memo);
                if let Some(side) = self.sip.get_mut(&leg) {
                    self.unheard.remove(&leg);
                    side.memo = memo;
                    side.answered_by_us = true;
                    self.from_sip.push_back(SignallingEvent::Confirmed { leg, description: None });
                }
            }
            SignallingCommand::Dial { leg, memo, over, number, from, silence_ms, .. } => {
                small(&memo);
                self.dialled.push(leg);
                let from = from.number.reveal().clone();
                self.dials.push(Dialled { over, number, from, silence_ms });
                let side =
                    SipLeg { state: LegState::Ringing, memo, dialled_by_us: true, answered_by_us: false };
                assert!(self.sip.insert(leg, side).is_none(), "dialled twice");
            }
            SignallingCommand::Remember { leg, memo } => {
                small(&memo);
                self.unheard.remove(&leg);
                if let Some(side) = self.sip.get_mut(&leg) {
                    side.memo = memo;
                } else if let Some((.., kept)) = self.ended.get_mut(&leg) {
                    *kept = memo;
                }
            }
            SignallingCommand::Forget { leg } => {
                assert!(!self.sip.contains_key(&leg), "{leg} is alive and forgotten");
                let of_record = |record: &CallRecord| record.legs.iter().any(|side| side.leg == leg);
                let recorded = self.saved.iter().any(of_record);
                assert!(
                    recorded || self.dialled.contains(&leg) || self.newcomers.contains(&leg),
                    "{leg} is forgotten before its call is kept"
                );
                self.ended.remove(&leg);
                self.unheard.remove(&leg);
            }
            SignallingCommand::HangUp { leg, cause } => {
                self.hung_up.push((leg, cause));
                self.over(leg, cause, EndedBy::House);
            }
            SignallingCommand::Transfer { leg, progress } => self.told.push((leg, progress)),
            SignallingCommand::Ring { leg, description, .. } => self.rung.push((leg, description)),
            SignallingCommand::Change { leg, description } => self.changed.push((leg, description)),
            SignallingCommand::Attached {} | SignallingCommand::Capture(_) => {}
        }
    }

    fn obey_media(&mut self, command: MediaCommand) {
        assert!(self.media_attached, "a command on a broken stream: {command:?}");
        self.commands.push(format!("{command:?}").split([' ', '{']).next().unwrap().to_owned());
        match command {
            MediaCommand::Open { leg, memo, .. } => {
                self.media.entry(leg).or_default().memo = memo;
                self.from_media.push_back(MediaEvent::Opened { leg, description: sdp(&self.ours) });
            }
            MediaCommand::Accept { leg, .. } if self.media.contains_key(&leg) => {
                self.from_media.push_back(MediaEvent::Accepted { leg });
            }
            MediaCommand::Play { leg, play, prompts, .. } => {
                assert!((1..=32).contains(&prompts.len()), "{prompts:?}");
                if let Some(side) = self.media.get_mut(&leg) {
                    side.playing = Some((play, prompts.iter().map(ToString::to_string).collect()));
                }
            }
            MediaCommand::Stop { leg } => {
                if let Some(side) = self.media.get_mut(&leg) {
                    side.playing = None;
                }
            }
            MediaCommand::Early { leg, answer, to } if self.media.contains_key(&leg) => {
                if let Some(side) = self.media.get_mut(&to) {
                    side.hears = Some((leg, answer));
                }
            }
            MediaCommand::Bridge { leg, with } => {
                for (one, other) in [(leg, with), (with, leg)] {
                    let before = self.media.get_mut(&one).and_then(|side| side.bridged.take());
                    let before = before.filter(|before| *before != other);
                    if let Some(side) = before.and_then(|before| self.media.get_mut(&before)) {
                        side.bridged = None;
                    }
                    if let Some(side) = self.media.get_mut(&one) {
                        side.bridged = Some(other);
                        (side.playing, side.hears) = (None, None);
                    }
                }
            }
            MediaCommand::Part { leg } => {
                let with = self.media.get_mut(&leg).and_then(|side| side.bridged.take());
                if let Some(side) = with.and_then(|with| self.media.get_mut(&with)) {
                    side.bridged = None;
                }
            }
            MediaCommand::Remember { leg, memo } => {
                if let Some(side) = self.media.get_mut(&leg) {
                    side.memo = memo;
                }
            }
            MediaCommand::Tap { leg, recording, track } => {
                if let Some(side) = self.media.get_mut(&leg) {
                    side.tapped = Some((recording, track));
                }
            }
            MediaCommand::Close { leg } if self.media.remove(&leg).is_some() => {
                for side in self.media.values_mut() {
                    side.hears.take_if(|(heard, _)| *heard == leg);
                }
                let quality = Quality { received: 50, ..Quality::default() };
                self.from_media.push_back(MediaEvent::Closed { leg, quality });
            }
            _ => {}
        }
    }

    /// Brings both edges back.
    pub fn attach(&mut self, media_first: bool) {
        if media_first {
            self.attach_media();
            self.attach_sip();
        } else {
            self.attach_sip();
            self.attach_media();
        }
        self.settle();
    }

    pub fn attach_sip(&mut self) {
        let again: Vec<_> = self.unheard.values().cloned().collect();
        let ends = self.ended.iter().map(|(leg, (at, cause, by, memo))| SignallingEvent::Ended {
            leg: *leg,
            at: *at,
            cause: *cause,
            by: *by,
            memo: memo.clone(),
            ladder: ladder(),
        });
        for event in again.into_iter().chain(ends.collect::<Vec<_>>()) {
            self.give(Input::Signalling(event));
        }
        self.sip_attached = true;
        let legs = self
            .sip
            .iter()
            .map(|(leg, side)| LiveLeg { leg: *leg, state: side.state, memo: side.memo.clone() })
            .collect();
        let phone = |number: &str| (Endpoint::Phone(number.parse().unwrap()), Reachability::Reachable);
        let carrier = (Endpoint::Trunk("carrier".parse().unwrap()), Reachability::Unknown);
        let endpoints = vec![phone("8001"), phone("8002"), phone("8009"), carrier];
        self.give(Input::SignallingAttached(AttachSignalling { legs, endpoints, ..Default::default() }));
    }

    pub fn attach_media(&mut self) {
        self.media_attached = true;
        let legs = self
            .media
            .iter()
            .map(|(leg, side)| LiveMedia { leg: *leg, bridged: side.bridged, memo: side.memo.clone() })
            .collect();
        self.give(Input::MediaAttached(AttachMedia { legs, ..Default::default() }));
    }

    /// The stream breaks; what the edge had not said yet is lost.
    pub fn lose(&mut self, edge: Edge) {
        match edge {
            Edge::Signalling => {
                self.sip_attached = false;
                self.from_sip.clear();
            }
            Edge::Media => {
                self.media_attached = false;
                self.from_media.clear();
            }
        }
        self.give(Input::Lost(edge));
    }

    /// route dies and begins anew with nothing but its roster; both edges have to attach again.
    pub fn restart(&mut self) {
        let roster = serde_json::to_string(&self.router.roster()).unwrap();
        let flows = serde_json::to_string(&self.router.flows()).unwrap();
        self.seeds += 1;
        self.router = Router::new(
            self.now,
            [self.seeds; 16],
            self.plan.clone(),
            Record::default(),
            serde_json::from_str(&roster).unwrap(),
            if self.flows_are_lost { Flows::default() } else { serde_json::from_str(&flows).unwrap() },
        );
        self.unsaved = self.unsaved.take().map(|_gone| Vec::new());
        self.sip_attached = false;
        self.media_attached = false;
        self.from_sip.clear();
        self.from_media.clear();
        self.begins.clear();
        self.joins.clear();
    }

    /// The power goes and comes back: nobody is at the edges, and route has nothing of its own.
    pub fn lose_power(&mut self) {
        self.restart();
        (self.sip, self.media) = (BTreeMap::new(), BTreeMap::new());
        (self.ended, self.unheard) = (BTreeMap::new(), BTreeMap::new());
        self.router = Router::new(
            self.now,
            [self.seeds; 16],
            self.plan.clone(),
            Record::default(),
            Roster::default(),
            Flows::default(),
        );
    }

    /// What record tells of a recording that an earlier life left.
    pub fn left_behind(&self, recording: RecordingId, state: RecordingState) -> Input {
        Input::LeftBehind(Box::new(Outcome {
            recording,
            call: self.begun[&recording],
            number: u32::from(state != RecordingState::Recording),
            at: self.now.utc,
            state,
            digest: String::new(),
            lost: 0,
            masked: 0,
            memo: self.memos[&recording].clone(),
        }))
    }

    /// A caller dials.
    pub fn call(&mut self, dialled: &str) -> LegId {
        self.call_from(Endpoint::Trunk("carrier".parse().unwrap()), dialled)
    }

    /// Somebody at a phone of the house dials.
    pub fn call_from_phone(&mut self, phone: &str, dialled: &str) -> LegId {
        let leg = self.call_from(Endpoint::Phone(phone.parse().unwrap()), dialled);
        self.settle();
        leg
    }

    pub fn call_from(&mut self, from: Endpoint, dialled: &str) -> LegId {
        self.legs += 1;
        let leg = LegId(Uid(self.legs.to_be_bytes()));
        if self.sip_attached {
            let side = SipLeg {
                state: LegState::Ringing,
                memo: Memo::default(),
                dialled_by_us: false,
                answered_by_us: false,
            };
            self.sip.insert(leg, side);
            let offered = self.offered(leg, from, dialled);
            self.unheard.insert(leg, offered.clone());
            self.give(Input::Signalling(offered));
        }
        leg
    }

    /// A phone wants the place of a leg.
    pub fn replace(&mut self, phone: &str, replaces: LegId, wanted: Wanted) -> LegId {
        let leg = self.come_for(phone, replaces, wanted, Some(sdp("theirs")));
        self.settle();
        leg
    }

    /// The same, and nothing of what follows has happened.
    pub fn come_for(
        &mut self,
        phone: &str,
        replaces: LegId,
        wanted: Wanted,
        description: Option<SessionDescription>,
    ) -> LegId {
        self.legs += 1;
        let leg = LegId(Uid(self.legs.to_be_bytes()));
        let over = Endpoint::Phone(phone.parse().unwrap());
        let (at, reference) = (self.now.monotonic, format!("dialog-{leg}"));
        let side = SipLeg {
            state: LegState::Ringing,
            memo: Memo::default(),
            dialled_by_us: false,
            answered_by_us: false,
        };
        self.sip.insert(leg, side);
        self.newcomers.insert(leg);
        let event = SignallingEvent::Replacing { leg, at, over, replaces, wanted, description, reference };
        self.unheard.insert(leg, event.clone());
        self.give(Input::Signalling(event));
        leg
    }

    pub fn offered(&self, leg: LegId, over: Endpoint, dialled: &str) -> SignallingEvent {
        SignallingEvent::Offered {
            leg,
            at: self.now.monotonic,
            over,
            from: Party { number: Pii::new("13800138000".to_owned()), display: None },
            dialled: dialled.to_owned(),
            description: Some(sdp("theirs")),
            reference: format!("dialog-{leg}"),
        }
    }

    /// Delivers everything that the edges have to say.
    pub fn settle(&mut self) {
        while self.step_sip() || self.step_media() || self.step_record() {}
    }

    pub fn step_sip(&mut self) -> bool {
        if !self.sip_attached {
            return false;
        }
        let Some(event) = self.from_sip.pop_front() else { return false };
        if let SignallingEvent::Confirmed { leg, .. } = &event
            && let Some(side) = self.sip.get_mut(leg)
        {
            side.state = LegState::Established;
        }
        self.give(Input::Signalling(event));
        true
    }

    pub fn step_media(&mut self) -> bool {
        if !self.media_attached {
            return false;
        }
        let Some(event) = self.from_media.pop_front() else { return false };
        self.give(Input::Media(event));
        true
    }

    pub fn step_record(&mut self) -> bool {
        if let Some(begin) = self.begins.pop_front() {
            self.give(Input::Begun(begin.recording));
            return true;
        }
        if let Some(join) = self.joins.pop_front() {
            self.give(Input::Joined(join.recording, join.track.track));
            return true;
        }
        false
    }

    /// What a leg hears comes to its end, or is cut.
    pub fn prompt_ends(&mut self, leg: LegId, extent: Extent) {
        let utc = self.now.utc;
        if let Some((play, prompts)) = self.media.get_mut(&leg).and_then(|side| side.playing.take()) {
            let played =
                |prompt: &String| PlayedPrompt { prompt: prompt.parse().unwrap(), digest: "ab".repeat(32) };
            self.from_media.push_back(MediaEvent::Played {
                leg,
                play,
                prompts: prompts.iter().map(played).collect(),
                began: utc,
                ended: utc,
                extent,
            });
        }
    }

    /// A caller who has heard greeting and announcement and waits.
    pub fn waiting_caller(&mut self) -> LegId {
        let leg = self.call("95555");
        self.settle();
        for prompt in ["greeting", "recorded"] {
            assert_eq!(self.playing(leg).as_deref(), Some(prompt));
            self.prompt_ends(leg, Extent::Whole);
            self.settle();
        }
        leg
    }

    /// alice talks with a caller who is recorded; bob is at his phone, in aux: the caller, alice, the recording.
    pub fn talking() -> (Self, LegId, LegId, RecordingId) {
        let mut world = Self::new();
        let caller = world.waiting_caller();
        world.ready("alice", "8001");
        let alice = world.answer();
        world.ready("bob", "8002");
        world.set("bob", AgentState::Aux("tea".to_owned()));
        let recording = world.media[&caller].tapped.unwrap().0;
        (world, caller, alice, recording)
    }

    pub fn playing(&self, leg: LegId) -> Option<String> {
        self.media.get(&leg)?.playing.as_ref().map(|(_, prompts)| prompts.join("+"))
    }

    /// The caller presses keys, told by media.
    pub fn press(&mut self, leg: LegId, keys: &str) {
        for digit in keys.chars() {
            self.give(Input::Media(MediaEvent::Digit { leg, digit }));
        }
        self.settle();
    }

    /// The record of the only call that is over.
    pub fn only(&self) -> &CallRecord {
        let [record] = &self.saved[..] else { panic!("{} call records", self.saved.len()) };
        record
    }

    /// What has been decided of the only call that is over, each as `what why`.
    pub fn decisions(&self) -> Vec<String> {
        let record = self.only();
        record.decisions.iter().map(|decision| format!("{} {}", decision.what, decision.why)).collect()
    }

    /// Takes settings in force.
    pub fn settings(&mut self, text: &str) {
        let plan = Settings::parse(text).unwrap_or_else(|problems| panic!("{problems:?}")).route;
        self.plan = plan;
        self.give(Input::Settings(Box::new(self.plan.clone())));
    }

    pub fn ready(&mut self, name: &str, phone: &str) {
        let phone: Extension = phone.parse().unwrap();
        self.router.sign_in(self.now, &agent(name), Some(phone)).unwrap();
        self.set(name, AgentState::Ready);
        self.settle();
    }

    pub fn set(&mut self, name: &str, state: AgentState) {
        self.router.set_state(self.now, &agent(name), state).unwrap();
        self.drain();
    }

    pub fn state(&self, name: &str) -> AgentState {
        self.entry(name).state
    }

    pub fn entry(&self, name: &str) -> AgentEntry {
        self.router.agents().into_iter().find(|entry| entry.agent == agent(name)).unwrap()
    }

    /// The phone of a leg asks for a transfer.
    pub fn transfer(&mut self, leg: LegId, to: &str, replaces: Option<LegId>) {
        self.from_sip.push_back(SignallingEvent::Transferring { leg, to: to.to_owned(), replaces });
        self.settle();
    }

    /// The phone that rings last answers.
    pub fn answer(&mut self) -> LegId {
        let leg = *self.dialled.last().unwrap();
        self.sip.get_mut(&leg).unwrap().state = LegState::Established;
        self.from_sip.push_back(SignallingEvent::Answered { leg, description: Some(sdp("phone")) });
        self.settle();
        leg
    }

    /// A party hangs up, or its leg ends otherwise.
    pub fn ended(&mut self, leg: LegId, cause: Cause) {
        self.over(leg, cause, EndedBy::Peer);
    }

    pub fn over(&mut self, leg: LegId, cause: Cause, by: EndedBy) {
        if let Some(SipLeg { memo, .. }) = self.sip.remove(&leg) {
            let at = self.now.monotonic;
            self.ended.insert(leg, (at, cause, by, memo.clone()));
            self.from_sip.push_back(SignallingEvent::Ended { leg, at, cause, by, memo, ladder: ladder() });
        }
    }

    /// report is back, and hears what this life of route wants kept.
    pub fn report_returns(&mut self) {
        for record in self.unsaved.take().unwrap_or_default() {
            let call = record.call;
            self.saved.push(record);
            self.router.handle(self.now, Input::Saved(call));
        }
        self.drain();
    }

    pub fn hang_up(&mut self, leg: LegId) {
        self.ended(leg, Cause::NormalClearing);
        self.settle();
    }

    pub fn pass(&mut self, time: Duration) {
        self.now = Moment { monotonic: self.now.monotonic.plus(time), utc: self.now.utc.plus(time) };
        self.give(Input::Tick);
        self.settle();
    }
}

/// What has been decided of a call, of one kind such as `transfer.`.
pub fn decided<'a>(record: &'a CallRecord, kind: &str) -> Vec<&'a str> {
    let decisions = record.decisions.iter().map(|decision| decision.what.as_str());
    decisions.filter(|what| what.starts_with(kind)).collect()
}

/// Every party of the conversation was recorded, in one recording.
pub fn recorded_whole(record: &CallRecord, recording: RecordingId, parties: &[LegId]) {
    let Recorded::Yes { recording: kept, consents } = &record.recording else {
        panic!("{:?}", record.recording)
    };
    let legs: Vec<_> = consents.iter().map(|(leg, _)| *leg).collect();
    assert_eq!((*kept, legs.as_slice()), (recording, parties));
}

pub fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// How the signalling of every leg goes here.
pub fn ladder() -> Ladder {
    let step = |after_us, way, message: &str| Step {
        after_us,
        way,
        message: message.to_owned(),
        exchange: "1 INVITE".to_owned(),
        repeated: 0,
        path: Some(0),
    };
    let steps = vec![step(0, Way::Received, "INVITE"), step(900, Way::Sent, "200 OK")];
    let path = |house: &str, far: &str| Path {
        protocol: "UDP".to_owned(),
        house: house.to_owned(),
        far: far.to_owned(),
    };
    let paths = vec![path("192.0.2.1:5060", "198.51.100.7:5060")];
    Ladder { began: Monotonic(1), steps, left_out: 0, paths }
}
