//! What people ask: who they are is in their assertion, what they may is decided here, and what is
//! privileged stands in the audit log before it takes effect.
//!
//! | request             | who                         | in the log                          |
//! |---------------------|-----------------------------|-------------------------------------|
//! | live state          | anyone signed in            | no                                  |
//! | sign in, sign out   | the agent                   | route.agent-signed-in               |
//! | one's own state     | the agent                   | no                                  |
//! | another's state     | a supervisor                | route.agent-state-forced            |
//! | one's own wrap-up   | the agent                   | no                                  |
//! | another's wrap-up   | a supervisor                | route.agent-state-forced            |
//! | try a flow          | anyone signed in            | no                                  |
//! | hang up             | the agent who talks         | no: it is their call                |
//! | hang up             | a supervisor, with a reason | route.call-hung-up                  |
//! | capture             | a supervisor, with a reason | route.call-captured                 |

use crate::{captures::EDGES, switch::Word};
use audit_api::{Actor, Append, Audit, Event, EventKind, Outcome, Phase, TicketWish, sound_reason};
use auth_api::{Assertion, Claims, Role, Verifier};
use mutant::mutant;
use route_api::{
    AgentEntry, AgentState, Capture, Capturing, HangUp, SetState, SignIn, Tried, TriedEnd, TriedMoment,
    WrapUp, capture::LONGEST,
};
use route_core::{DeskError, Moment, Router, Trial, TrialEnd};
use service::{Client, Refusal};
use std::{os::fd::OwnedFd, time::Duration};
use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, timeout_at},
};
use types::{AgentId, CallId, CaptureId, Extension, Uid, Utc};

/// The longest reason of auxiliary work, in characters.
const AUX: usize = 64;
/// The longest after-call work.
const WRAP_UP: Duration = Duration::from_secs(3600);
/// The most characters of keys that a trial takes.
const KEYS: usize = 256;

/// How long the edges may take to hand down where the packets of a capture are.
const HANDED: Duration = Duration::from_secs(3);

/// Verifies, permits and enters.
#[derive(Clone)]
pub struct Desk {
    verifier: Verifier,
    audit: Client<Audit>,
}

/// An act on the live state.
#[derive(Clone, Debug)]
pub enum Act {
    /// Sign in at a phone, or out.
    SignIn(AgentId, Option<Extension>),
    /// Set a state.
    SetState(AgentId, AgentState),
    /// Set how long after-call work lasts.
    WrapUp(AgentId, Duration),
    /// End a call.
    HangUp(CallId),
}

/// An act that its asker may do.
pub struct Permitted {
    act: Act,
    entry: Option<(Event, Assertion)>,
}

impl Act {
    /// Does it.
    pub fn apply(self, router: &mut Router, now: Moment) -> Result<Option<AgentEntry>, Refusal> {
        let outcome = match self {
            Self::SignIn(agent, phone) => router.sign_in(now, &agent, phone).map(Some),
            Self::SetState(agent, state) => router.set_state(now, &agent, state).map(Some),
            Self::WrapUp(agent, lasting) => router.wrap_up(now, &agent, lasting).map(Some),
            Self::HangUp(call) => router.hang_up(now, call).map(|()| None),
        };
        outcome.map_err(refusal)
    }
}

impl Desk {
    /// A desk that believes assertions of this verifier.
    pub fn new(verifier: Verifier, audit: Client<Audit>) -> Self {
        Self { verifier, audit }
    }

    /// Whether someone of the house asks.
    pub fn signed_in(&self, assertion: &Assertion) -> Result<(), Refusal> {
        self.verifier.person(assertion).map(|_claims| ())
    }

    /// Until when whoever asks is someone of the house.
    pub fn until(&self, assertion: &Assertion) -> Result<Utc, Refusal> {
        Ok(self.verifier.person(assertion)?.expires)
    }

    /// Permits an agent to sign in or out.
    pub fn sign_in(&self, ask: &SignIn) -> Result<Permitted, Refusal> {
        let claims = self.verifier.person(&ask.assertion)?;
        let agent = own(&claims)?;
        let seat = ask.phone.as_ref().map_or_else(|| "none".to_owned(), ToString::to_string);
        let event = event(&claims, EventKind::AgentSignedIn, agent.to_string()).with("phone", seat);
        let act = Act::SignIn(agent, ask.phone.clone());
        Ok(Permitted { act, entry: Some((event, ask.assertion.clone())) })
    }

    /// Permits a state: one's own as an agent, another's as a supervisor.
    pub fn set_state(&self, ask: &SetState) -> Result<Permitted, Refusal> {
        let claims = self.verifier.person(&ask.assertion)?;
        let state = sound(&ask.state)?;
        let act = |agent| Act::SetState(agent, ask.state.clone());
        whose(&claims, &ask.assertion, ask.agent.as_ref(), state, act)
    }

    /// Permits another time for after-call work: one's own as an agent, another's as a supervisor.
    pub fn wrap_up(&self, ask: &WrapUp) -> Result<Permitted, Refusal> {
        let claims = self.verifier.person(&ask.assertion)?;
        let lasting = Duration::from_secs(u64::from(ask.seconds));
        if lasting > WRAP_UP {
            let message = "after-call work lasts an hour at most: take auxiliary work for longer";
            return Err(Refusal::invalid("route.wrap-up", message));
        }
        let state = format!("wrap-up: {} s", ask.seconds);
        let act = |agent| Act::WrapUp(agent, lasting);
        whose(&claims, &ask.assertion, ask.agent.as_ref(), state, act)
    }

    /// Permits the end of a call: one's own as an agent, any as a supervisor with a reason.
    pub fn hang_up(&self, ask: &HangUp, router: &Router) -> Result<Permitted, Refusal> {
        let claims = self.verifier.person(&ask.assertion)?;
        let act = Act::HangUp(ask.call);
        if own(&claims).is_ok_and(|agent| router.talks(&agent, ask.call)) {
            return Ok(Permitted { act, entry: None });
        }
        supervisor(&claims)?;
        let reason = sound_reason(&ask.reason)
            .map_err(|unsound| Refusal::invalid("route.reason", unsound.to_string()))?;
        let mut event = event(&claims, EventKind::CallHungUp, ask.call.to_string());
        event.reason = Some(reason.to_owned());
        Ok(Permitted { act, entry: Some((event, ask.assertion.clone())) })
    }

    /// Permits a capture: to a supervisor, with a reason, of a call that lives.
    pub fn capture(&self, ask: &Capture, router: &Router) -> Result<Event, Refusal> {
        let claims = self.verifier.person(&ask.assertion)?;
        supervisor(&claims)?;
        let reason = sound_reason(&ask.reason)
            .map_err(|unsound| Refusal::invalid("route.reason", unsound.to_string()))?;
        if ask.seconds == 0 || ask.seconds > LONGEST {
            let message = format!("a capture lasts from one second to {LONGEST}");
            return Err(Refusal::invalid("route.capture-time", message));
        }
        if router.legs_of(ask.call).is_none() {
            return Err(refusal(DeskError::UnknownCall));
        }
        let mut event =
            event(&claims, EventKind::CallCaptured, ask.call.to_string()).with("seconds", ask.seconds);
        event.reason = Some(reason.to_owned());
        Ok(event)
    }

    /// Enters a capture, has the edges begin, and enters whether they did. No edge hears of it before the entry is
    /// durable.
    pub async fn begin_capture(
        &self,
        event: Event,
        ask: Capture,
        switch: &mpsc::Sender<Word>,
    ) -> Result<(Capturing, Vec<OwnedFd>), Refusal> {
        let mut id = [0; 16];
        getrandom::fill(&mut id)
            .map_err(|error| Refusal::unavailable("route.randomness", error.to_string()))?;
        let capture = CaptureId(Uid(id));
        let event = event.with("capture", capture);
        let sequence = match self.enter(event.clone(), ask.assertion.clone()).await {
            Err(_) if mutant("capture-unaudited") => 0,
            entered => entered?,
        };
        let outcome = handed(capture, &ask, switch).await;
        let edges = outcome.as_ref().map_or(0, Vec::len);
        let mut ended = event.with("begun", sequence).with("edges", edges);
        ended.phase = Phase::Ended;
        ended.outcome = if edges > 0 { Outcome::Done } else { Outcome::Failed };
        tokio::spawn(self.clone().enter_at_last(ended, ask.assertion));
        outcome.map(|descriptors| (Capturing { capture, sequence }, descriptors))
    }

    /// Enters an act, has it done, and enters how it ended.
    pub async fn perform(
        &self,
        permitted: Permitted,
        switch: &mpsc::Sender<Word>,
    ) -> Result<Option<AgentEntry>, Refusal> {
        let Permitted { act, entry } = permitted;
        let begun = match &entry {
            Some((event, assertion)) if !mutant("route-act-before-entry") => {
                Some(self.enter(event.clone(), assertion.clone()).await?)
            }
            _ => None,
        };
        let outcome = done(act, switch).await;
        if let (Some((event, assertion)), Some(sequence)) = (entry, begun) {
            let mut event = event.with("begun", sequence);
            event.phase = Phase::Ended;
            event.outcome = if outcome.is_ok() { Outcome::Done } else { Outcome::Failed };
            tokio::spawn(self.clone().enter_at_last(event, assertion));
        }
        outcome
    }

    async fn enter(&self, event: Event, assertion: Assertion) -> Result<u64, Refusal> {
        let append = Append { event, assertion: Some(assertion), ticket: TicketWish::None };
        Ok(self.audit.call(append).await?.sequence)
    }

    /// The end of an act that stands: while the assertion lives it is tried again.
    async fn enter_at_last(self, event: Event, assertion: Assertion) {
        let mut pause = Duration::from_millis(100);
        for _ in 0..10 {
            match self.enter(event.clone(), assertion.clone()).await {
                Ok(_) => return,
                Err(error) => tracing::warn!(%error, "the end of an act is not in the log yet"),
            }
            tokio::time::sleep(pause).await;
            pause *= 2;
        }
        tracing::error!(object = event.object, "the end of an act is not in the log");
    }
}

/// Where the packets are, from every edge that said so in time.
async fn handed(
    capture: CaptureId,
    ask: &Capture,
    switch: &mpsc::Sender<Word>,
) -> Result<Vec<OwnedFd>, Refusal> {
    let stopping = || Refusal::unavailable("route.stopping", "route is stopping: ask again in a moment");
    let (down, mut descriptors) = mpsc::channel(EDGES);
    let (reply, begun) = oneshot::channel();
    let word = Word::Capture { capture, call: ask.call, seconds: ask.seconds, down, reply };
    switch.send(word).await.map_err(|_| stopping())?;
    begun.await.map_err(|_| stopping())??;
    let (mut all, deadline) = (Vec::new(), Instant::now() + HANDED);
    while all.len() < EDGES {
        match timeout_at(deadline, descriptors.recv()).await {
            Ok(Some(descriptor)) => all.push(descriptor),
            Ok(None) | Err(_) => break,
        }
    }
    if all.is_empty() {
        return Err(Refusal::unavailable("route.no-capture", "neither signalling nor media began to copy"));
    }
    Ok(all)
}

async fn done(act: Act, switch: &mpsc::Sender<Word>) -> Result<Option<AgentEntry>, Refusal> {
    let (reply, outcome) = oneshot::channel();
    let stopping = || Refusal::unavailable("route.stopping", "route is stopping: ask again in a moment");
    switch.send(Word::Act(act, reply)).await.map_err(|_| stopping())?;
    outcome.await.map_err(|_| stopping())?
}

/// An act on oneself as an agent, or on another as a supervisor, which stands in the log.
fn whose(
    claims: &Claims,
    assertion: &Assertion,
    agent: Option<&AgentId>,
    state: String,
    act: impl FnOnce(AgentId) -> Act,
) -> Result<Permitted, Refusal> {
    match agent {
        Some(other) if other.0 != claims.person.0 => {
            supervisor(claims)?;
            let event = event(claims, EventKind::AgentStateForced, other.to_string()).with("state", state);
            Ok(Permitted { act: act(other.clone()), entry: Some((event, assertion.clone())) })
        }
        _ => Ok(Permitted { act: act(own(claims)?), entry: None }),
    }
}

/// Whether these are keys for a trial.
pub fn keys(digits: &str) -> Result<(), Refusal> {
    let key = |c: char| c.is_ascii_digit() || matches!(c, '*' | '#' | ',');
    if digits.len() <= KEYS && digits.chars().all(key) {
        return Ok(());
    }
    let message =
        format!("write what is pressed at each menu, with commas between: 1,#,12; at most {KEYS} characters");
    Err(Refusal::invalid("route.keys", message))
}

/// A trial in the words of the API.
pub fn tried(trial: Trial) -> Tried {
    let moment = |decision: report_api::Decision| TriedMoment {
        at: decision.at,
        what: decision.what,
        why: decision.why,
    };
    Tried {
        moments: trial.moments.into_iter().map(moment).collect(),
        end: match trial.end {
            TrialEnd::Queue(queue) => TriedEnd::Queue(queue),
            TrialEnd::HungUp(cause) => TriedEnd::HungUp(cause),
            TrialEnd::Open => TriedEnd::Open,
        },
        unmet: trial.unmet,
    }
}

/// The agent who asks.
fn own(claims: &Claims) -> Result<AgentId, Refusal> {
    if claims.roles.contains(Role::Agent) {
        Ok(AgentId(claims.person.0.clone()))
    } else {
        Err(Refusal::not_permitted("route.not-agent", "only an agent takes contacts: ask for the role"))
    }
}

fn supervisor(claims: &Claims) -> Result<(), Refusal> {
    if claims.roles.contains(Role::Supervisor) || mutant("route-role-unchecked") {
        Ok(())
    } else {
        Err(Refusal::not_permitted("route.not-supervisor", "only a supervisor does this to others"))
    }
}

/// The state's word for the log.
fn sound(state: &AgentState) -> Result<String, Refusal> {
    match state {
        AgentState::Aux(reason) if reason.trim().is_empty() || reason.chars().count() > AUX => {
            Err(Refusal::invalid(
                "route.aux-reason",
                format!("auxiliary work needs a reason of 1 to {AUX} characters"),
            ))
        }
        AgentState::Aux(reason) => Ok(format!("aux: {reason}")),
        AgentState::Ready => Ok("ready".to_owned()),
        AgentState::SignedOut => Ok("signed-out".to_owned()),
        AgentState::Offered | AgentState::Talking | AgentState::WrapUp => {
            Err(refusal(DeskError::NotSettable))
        }
    }
}

fn event(claims: &Claims, kind: EventKind, object: String) -> Event {
    let mut event = Event::of_daemon(kind, "route", object);
    event.actor = Actor::Person(claims.person.to_string());
    event.phase = Phase::Begun;
    event.outcome = Outcome::Pending;
    event
}

fn refusal(error: DeskError) -> Refusal {
    let message = error.to_string();
    match error {
        DeskError::UnknownAgent => Refusal::not_found("route.unknown-agent", message),
        DeskError::UnknownPhone => Refusal::not_found("route.unknown-phone", message),
        DeskError::UnknownCall => Refusal::not_found("route.unknown-call", message),
        DeskError::PhoneTaken => Refusal::conflict("route.phone-taken", message),
        DeskError::SignedOut => Refusal::conflict("route.signed-out", message),
        DeskError::PhoneLost(_) => Refusal::conflict("route.phone-lost", message),
        DeskError::NothingToWrapUp => Refusal::conflict("route.nothing-to-wrap-up", message),
        DeskError::AuxReason(_) => Refusal::invalid("route.aux-reason-unknown", message),
        DeskError::OnCall => Refusal::conflict("route.on-call", message),
        DeskError::NotSettable => Refusal::invalid("route.not-settable", message),
        _ => Refusal::conflict("route.refused", message),
    }
}
