//! The one task that owns the core: whatever happens comes in here, and whatever the core wants goes out.

use crate::{
    captures::Captures,
    desk::{self, Desk},
    kept::Kept,
    listed::Listed,
    notices, now,
    recordings::Recordings,
    saving::Saving,
    streams::{Epoch, Stream},
    watching::Watching,
};
use host_api::Settings;
use record_api::Record as RecordDaemon;
use report_api::Report;
use route_api::{
    AgentEntry, AgentList, Call, EndpointList, Heard, LiveCallList, MediaCommand, QueueList, Reachability,
    Route, SignallingCommand, SignallingEvent, Tried, TryFlow, capture::Copying,
};
use route_core::{Edge, Flows, Input, Output, Roster, Router, Trial};
use service::{Calls, Client, Context, Failure, Refusal, Reply};
use settings::{record::Record, route::Route as Plan};
use std::{os::fd::OwnedFd, time::Duration};
use tokio::sync::{mpsc, oneshot};
use types::{CallId, CaptureId, LegId};

/// Words that wait for the switch; who brings one more waits.
const WAITING: usize = 1024;
/// The longest sleep while nothing is due.
const IDLE: Duration = Duration::from_secs(3600);

/// What other tasks tell the switch.
pub enum Word {
    /// Something for the core.
    Input(Input),
    /// The stream to an edge ended; of an old stream it says nothing.
    Ended(Edge, Epoch),
    /// A person's act, permitted and in the log.
    Act(desk::Act, oneshot::Sender<Result<Option<AgentEntry>, Refusal>>),
    /// A capture, permitted and in the log.
    Capture {
        /// Which.
        capture: CaptureId,
        /// Of which call.
        call: CallId,
        /// For how long.
        seconds: u32,
        /// Where the edges' descriptors go.
        down: mpsc::Sender<OwnedFd>,
        /// Whether it has begun.
        reply: oneshot::Sender<Result<(), Refusal>>,
    },
}

/// What outlives a kill.
pub struct Memory {
    /// Who is signed in where.
    pub seats: Kept<Roster>,
    /// The versions of flows that calls are in.
    pub flows: Kept<Flows>,
}

/// The core and everything that it speaks through.
pub struct Switch {
    router: Router,
    memory: Memory,
    desk: Desk,
    recordings: Recordings,
    saving: Saving,
    captures: Captures,
    listed: Listed,
    signalling: Stream<SignallingCommand>,
    media: Stream<MediaCommand>,
    watching: Watching,
    words: mpsc::Receiver<Word>,
    teller: mpsc::Sender<Word>,
}

impl Switch {
    /// A switch with no edge attached.
    pub fn new(
        router: Router,
        memory: Memory,
        record: Client<RecordDaemon>,
        report: Client<Report>,
        desk: Desk,
    ) -> Self {
        let (teller, words) = mpsc::channel(WAITING);
        tokio::spawn(notices::listen(record.clone(), report.clone(), teller.clone()));
        Self {
            router,
            memory,
            desk,
            recordings: Recordings::new(record, teller.clone()),
            saving: Saving::new(report, teller.clone()),
            captures: Captures::default(),
            listed: Listed::default(),
            signalling: Stream::new(Edge::Signalling, teller.clone()),
            media: Stream::new(Edge::Media, teller.clone()),
            watching: Watching::default(),
            words,
            teller,
        }
    }

    /// Runs until the word to stop; then what is in hand is saved, for a short while.
    pub async fn run(
        mut self,
        house: &Context,
        mut calls: Calls<Route>,
        mut plan: Settings<Plan>,
        mut rule: Settings<Record>,
    ) -> Result<(), Failure> {
        loop {
            let due = self.router.wake().map_or(IDLE, |wake| wake.since(now().monotonic)).min(IDLE);
            let told = self.watching.due(now().monotonic);
            tokio::select! {
                () = house.stopping() => break,
                Some(request) = calls.next() => self.call(request.call, request.descriptors),
                Some(word) = self.words.recv() => self.word(word),
                Ok(()) = plan.changed() => {
                    let plan = plan.borrow_and_update().clone();
                    self.give(Input::Settings(Box::new(plan)));
                }
                Ok(()) = rule.changed() => {
                    let rule = rule.borrow_and_update().clone();
                    self.give(Input::Rule(Box::new(rule)));
                }
                () = tokio::time::sleep(told.unwrap_or(IDLE)), if told.is_some() => {
                    let now = now();
                    self.watching.tell(&self.router, (now.monotonic, now.utc));
                }
                () = tokio::time::sleep(due) => self.give(Input::Tick),
            }
        }
        // The edges keep their calls and bring them to the next life; call records go now where they can.
        self.saving.drain().await;
        Ok(())
    }

    fn give(&mut self, input: Input) {
        self.router.handle(now(), input);
        self.drain();
    }

    fn word(&mut self, word: Word) {
        match word {
            Word::Input(input) => self.give(input),
            Word::Ended(edge, epoch) => {
                let current = match edge {
                    Edge::Signalling => self.signalling.ended(epoch),
                    Edge::Media => self.media.ended(epoch),
                };
                if current {
                    tracing::warn!(?edge, "the stream to an edge ended: it is expected back");
                    self.give(Input::Lost(edge));
                }
            }
            Word::Act(act, reply) => {
                let outcome = act.apply(&mut self.router, now());
                self.drain();
                // Who asked may be gone; the act stands.
                let _gone = reply.send(outcome);
            }
            Word::Capture { capture, call, seconds, down, reply } => {
                let legs = self.router.legs_of(call).unwrap_or_default();
                let copying = Copying { capture, call, legs, seconds };
                let begun = self.captures.begin(now().monotonic, &copying, down);
                if begun.is_ok() {
                    self.copy(copying);
                }
                // Who asked may be gone: the edges find that nobody reads.
                let _gone = reply.send(begun);
            }
        }
    }

    fn call(&mut self, call: Call, descriptors: Vec<OwnedFd>) {
        match call {
            Call::ListSignalling(list, reply) => {
                reply.send(self.listed.signalling(list).map(|()| Heard {}));
            }
            Call::AttachSignalling(last, replies) => match self.listed.attach_signalling(last) {
                Ok(attach) => {
                    tracing::info!(legs = attach.legs.len(), "the signalling edge attached");
                    self.signalling.attach(replies, SignallingCommand::Attached {});
                    self.give(Input::SignallingAttached(attach));
                }
                Err(refusal) => replies.refuse(refusal),
            },
            Call::ListMedia(list, reply) => reply.send(self.listed.media(list).map(|()| Heard {})),
            Call::AttachMedia(last, replies) => match self.listed.attach_media(last) {
                Ok(attach) => {
                    tracing::info!(legs = attach.legs.len(), "the media edge attached");
                    self.media.attach(replies, MediaCommand::Attached {});
                    self.give(Input::MediaAttached(attach));
                }
                Err(refusal) => replies.refuse(refusal),
            },
            Call::Signal(signal, reply) => {
                if let SignallingEvent::Reachable { endpoint, reachable: Reachability::Unreachable } =
                    &signal.event
                {
                    tracing::warn!(
                        ?endpoint,
                        "it cannot be reached: an agent who sits there takes no contacts"
                    );
                }
                self.give(Input::Signalling(signal.event));
                reply.send(Ok(Heard {}));
            }
            Call::Hear(hear, reply) => {
                self.give(Input::Media(hear.event));
                reply.send(Ok(Heard {}));
            }
            Call::Captured(captured, reply) => {
                let copying = captured.copying;
                let news = self.captures.captured(now().monotonic, &copying, descriptors.into_iter().next());
                if let Some(legs) = self.router.legs_of(copying.call).filter(|_| news) {
                    self.copy(Copying { legs, ..copying });
                }
                reply.send(Ok(Heard {}));
            }
            Call::Capture(ask, reply) => {
                let permitted = self.desk.capture(&ask, &self.router);
                let (desk, switch) = (self.desk.clone(), self.teller.clone());
                tokio::spawn(async move {
                    let outcome = match permitted {
                        Ok(event) => desk.begin_capture(event, ask, &switch).await,
                        Err(refusal) => Err(refusal),
                    };
                    match outcome {
                        Ok((capturing, descriptors)) => reply.send_with(Ok(capturing), descriptors),
                        Err(refusal) => reply.send(Err(refusal)),
                    }
                });
            }
            Call::LiveCalls(ask, reply) => {
                let seen = self.desk.signed_in(&ask.assertion);
                reply.send(seen.map(|()| LiveCallList { calls: self.router.live_calls() }));
            }
            Call::Agents(ask, reply) => {
                let seen = self.desk.signed_in(&ask.assertion);
                reply.send(seen.map(|()| AgentList { agents: self.router.agents() }));
            }
            Call::Queues(ask, reply) => {
                let seen = self.desk.signed_in(&ask.assertion);
                reply.send(seen.map(|()| QueueList { queues: self.router.queues() }));
            }
            Call::Endpoints(ask, reply) => {
                let seen = self.desk.signed_in(&ask.assertion);
                reply.send(seen.map(|()| EndpointList {
                    endpoints: self.router.endpoints(),
                    trunks: self.router.trunks(),
                }));
            }
            Call::Watch(ask, replies) => match self.desk.until(&ask.assertion) {
                Ok(until) => self.watching.attach(replies, until, &self.router),
                Err(refusal) => replies.refuse(refusal),
            },
            Call::SignIn(ask, reply) => self.perform(self.desk.sign_in(&ask), reply, entry),
            Call::SetState(ask, reply) => self.perform(self.desk.set_state(&ask), reply, entry),
            Call::WrapUp(ask, reply) => self.perform(self.desk.wrap_up(&ask), reply, entry),
            Call::TryFlow(ask, reply) => self.try_flow(ask, reply),
            Call::HangUp(ask, reply) => {
                let permitted = self.desk.hang_up(&ask, &self.router);
                self.perform(permitted, reply, |_| Ok(Heard {}));
            }
        }
    }

    /// Tries a flow of the settings in force, beside the switch.
    fn try_flow(&self, ask: TryFlow, reply: Reply<Tried>) {
        let seen = self.desk.signed_in(&ask.assertion);
        let plan = self.router.settings().clone();
        tokio::task::spawn_blocking(move || {
            let tried = seen.and_then(|()| {
                let at = ask.at.unwrap_or(now().utc);
                desk::keys(&ask.digits)?;
                let trial = Trial::of(&plan, &ask.flow, at, &ask.digits);
                trial.map(desk::tried).ok_or_else(|| {
                    let message = format!("there is no flow {}: ym flows list names them", ask.flow);
                    Refusal::not_found("route.unknown-flow", message)
                })
            });
            reply.send(tried);
        });
    }

    /// Has an act entered into the log and done, beside the switch.
    fn perform<T: serde::Serialize + Send + 'static>(
        &self,
        permitted: Result<desk::Permitted, Refusal>,
        reply: Reply<T>,
        answer: fn(Option<AgentEntry>) -> Result<T, Refusal>,
    ) {
        let (desk, switch) = (self.desk.clone(), self.teller.clone());
        tokio::spawn(async move {
            let outcome = match permitted {
                Ok(permitted) => desk.perform(permitted, &switch).await,
                Err(refusal) => Err(refusal),
            };
            reply.send(outcome.and_then(answer));
        });
    }

    /// Has both edges copy.
    fn copy(&mut self, copying: Copying) {
        self.signalling.send(SignallingCommand::Capture(copying.clone()));
        self.media.send(MediaCommand::Capture(copying));
    }

    /// What an edge is to copy of a leg that is made now.
    fn copying(&mut self, leg: LegId) -> Vec<Copying> {
        match self.router.call_of(leg) {
            Some(call) if !self.captures.is_empty() => self.captures.of_new(now().monotonic, call, leg),
            _ => Vec::new(),
        }
    }

    /// Carries out what the core wants.
    fn drain(&mut self) {
        self.watching.touch();
        while let Some(output) = self.router.poll() {
            match output {
                Output::Signalling(command) => {
                    if let SignallingCommand::Dial { leg, .. } = &command {
                        for copying in self.copying(*leg) {
                            self.signalling.send(SignallingCommand::Capture(copying));
                        }
                    }
                    self.signalling.send(command);
                }
                Output::Media(command) => {
                    if let MediaCommand::Open { leg, .. } = &command {
                        for copying in self.copying(*leg) {
                            self.media.send(MediaCommand::Capture(copying));
                        }
                    }
                    self.media.send(command);
                }
                Output::RecordBegin(begin) => self.recordings.begin(begin),
                Output::RecordJoin(join) => self.recordings.join(join),
                Output::RecordFinish(finish) => self.recordings.finish(finish),
                Output::Save(record) => {
                    tracing::info!(call = %record.call, disposition = ?record.disposition, "call over");
                    self.saving.save(*record);
                }
            }
        }
        self.router.keep_roster(|roster| self.memory.seats.keep(roster));
        self.memory.flows.keep(self.router.flows());
    }
}

fn entry(entry: Option<AgentEntry>) -> Result<AgentEntry, Refusal> {
    entry.ok_or_else(|| Refusal::unavailable("route.no-entry", "the act left no entry: ask again"))
}
