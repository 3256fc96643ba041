//! The one stream to route, the state that came over it, and everyone who looks.
//!
//! ```text
//!   nobody looks ──join──> asks somebody's assertion ──> stream ──> news, news … ──> it ends: asks again
//!        ^─────────────────── nobody looks any more ─────────────────┘
//! ```

use super::{
    alarms::Alarm,
    message::{LiveMessage, whole},
};
use crate::{
    api::Desk,
    problem::Problem,
    sessions::{Session, locked},
};
use auth_api::{Assertion, Claims, Presence};
use axum::extract::ws::Utf8Bytes;
use route_api::{AgentEntry, Changed, EndpointList, LiveCall, QueueEntry, Scope, Watch};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, OnceLock, Weak},
    time::Duration,
};
use tokio::sync::{Notify, broadcast};
use types::{AgentId, CallId, QueueId};

/// Messages that a browser may be behind.
const BEHIND: usize = 64;
/// Before route is asked again that did not answer.
const PAUSE: Duration = Duration::from_millis(500);
/// How often host and record are asked what is wrong, while somebody looks.
const ALARMS: Duration = Duration::from_secs(2);

/// The live state of this console. Cheap to share.
pub struct Feed {
    state: Mutex<State>,
    news: broadcast::Sender<Arc<News>>,
    joined: Notify,
}

#[derive(Default)]
struct State {
    live: Option<Live>,
    alarms: Vec<Alarm>,
    watchers: Vec<Weak<Session>>,
}

#[derive(Default)]
struct Live {
    calls: BTreeMap<CallId, LiveCall>,
    agents: BTreeMap<AgentId, AgentEntry>,
    queues: BTreeMap<QueueId, QueueEntry>,
    endpoints: Option<EndpointList>,
}

/// One message, written once for all who are told all of it.
pub struct News {
    /// What it says.
    pub message: LiveMessage,
    text: OnceLock<Utf8Bytes>,
}

/// Somebody who looks, from now on.
pub struct Looking {
    /// What is known now.
    pub first: Vec<Arc<News>>,
    /// What comes.
    pub news: broadcast::Receiver<Arc<News>>,
}

impl Default for Feed {
    fn default() -> Self {
        Self { state: Mutex::default(), news: broadcast::Sender::new(BEHIND), joined: Notify::new() }
    }
}

impl Feed {
    /// One more who looks: while the session lives, by its person's word.
    pub fn join(&self, session: &Arc<Session>) -> Looking {
        let mut state = self.state();
        state.watchers.retain(|watcher| watcher.strong_count() > 0);
        state.watchers.push(Arc::downgrade(session));
        let known = match &state.live {
            Some(live) => LiveMessage::State(live.changed()),
            None => LiveMessage::Away,
        };
        let alarms = LiveMessage::Alarms { alarms: state.alarms.clone() };
        let first = [known, alarms].map(|message| Arc::new(News::of(message))).into();
        let news = self.news.subscribe();
        self.joined.notify_waiters();
        Looking { first, news }
    }

    /// What is wrong, as it was last heard.
    fn tell_alarms(&self, alarms: Vec<Alarm>) {
        let mut state = self.state();
        if state.alarms != alarms {
            state.alarms.clone_from(&alarms);
            self.tell(LiveMessage::Alarms { alarms });
        }
    }

    /// The endpoints, for the alarms.
    pub fn endpoints(&self) -> Option<EndpointList> {
        self.state().live.as_ref().and_then(|live| live.endpoints.clone())
    }

    fn take(&self, changed: Changed) {
        let mut state = self.state();
        if changed.scope == Scope::Whole || state.live.is_none() {
            state.live = Some(Live::default());
        }
        if let Some(live) = &mut state.live {
            live.apply(changed.clone());
        }
        self.tell(LiveMessage::State(changed));
    }

    fn lose(&self) {
        let mut state = self.state();
        if state.live.take().is_some() {
            self.tell(LiveMessage::Away);
        }
    }

    fn tell(&self, message: LiveMessage) {
        // Nobody looks: then nobody is told.
        let _nobody = self.news.send(Arc::new(News::of(message)));
    }

    fn looked_at(&self) -> bool {
        self.news.receiver_count() > 0
    }

    /// The word of somebody who looks and is of the house.
    async fn assertion(&self, desk: &Desk) -> Option<Assertion> {
        let watchers: Vec<Weak<Session>> = self.state().watchers.clone();
        for session in watchers.iter().rev().filter_map(Weak::upgrade).filter(|session| !session.is_over()) {
            if let Ok(standing) = session.standing(desk.auth(), Presence::Idle).await {
                return Some(standing.assertion);
            }
        }
        None
    }

    fn state(&self) -> MutexGuard<'_, State> {
        locked(&self.state)
    }
}

/// Keeps the desk's feed fed, for ever.
pub fn start(desk: &Desk) {
    let (live, ill) = (desk.clone(), desk.clone());
    tokio::spawn(async move {
        loop {
            somebody_looks(&live).await;
            if let Err(problem) = follow(&live).await {
                tracing::debug!(code = problem.code(), "the live state is away");
                live.feed().lose();
                tokio::time::sleep(PAUSE).await;
            }
        }
    });
    tokio::spawn(async move {
        let mut ticks = tokio::time::interval(ALARMS);
        loop {
            somebody_looks(&ill).await;
            ticks.tick().await;
            let endpoints = ill.feed().endpoints();
            let report = ill.look(endpoints.as_ref()).await;
            ill.feed().tell_alarms(report.alarms);
        }
    });
}

async fn somebody_looks(desk: &Desk) {
    loop {
        let joined = desk.feed().joined.notified();
        if desk.feed().looked_at() {
            return;
        }
        joined.await;
    }
}

/// One stream, to its end.
async fn follow(desk: &Desk) -> Result<(), Problem> {
    let assertion = desk.feed().assertion(desk).await.ok_or(Problem::NoSession)?;
    let mut stream = desk.route().stream(Watch { assertion }).await?;
    loop {
        match stream.next().await {
            Ok(Some(changed)) => desk.feed().take(changed),
            Ok(None) => return Err(Problem::TimedOut),
            // Its assertion is over: another is at hand, and the whole comes with it.
            Err(service::Error::Refused(refusal)) if refusal.code == "auth.assertion-expired" => {
                return Ok(());
            }
            Err(error) => return Err(error.into()),
        }
        if !desk.feed().looked_at() {
            desk.feed().state().live = None;
            return Ok(());
        }
    }
}

impl News {
    fn of(message: LiveMessage) -> Self {
        Self { message, text: OnceLock::new() }
    }

    /// The text for a person; nothing where there is nothing for them in it.
    pub fn text(&self, claims: &Claims) -> Option<Utf8Bytes> {
        let part = match &self.message {
            // Of what has no calls in it everybody sees all: one text serves.
            LiveMessage::State(changed) if !whole(claims) && !changed.calls.is_empty() => {
                let seen = super::message::seen(claims, changed);
                if seen.is_empty() && !changed.is_empty() {
                    return None;
                }
                LiveMessage::State(seen)
            }
            LiveMessage::Alarms { .. } if !super::message::hears_alarms(claims) => return None,
            _ => return Some(self.text.get_or_init(|| written(&self.message)).clone()),
        };
        Some(written(&part))
    }
}

/// Every message has a JSON form; were there one without, it would say nothing.
fn written(message: &LiveMessage) -> Utf8Bytes {
    serde_json::to_string(message).unwrap_or_default().into()
}

impl Live {
    fn apply(&mut self, changed: Changed) {
        self.calls.extend(changed.calls.into_iter().map(|call| (call.call, call)));
        self.agents.extend(changed.agents.into_iter().map(|agent| (agent.agent.clone(), agent)));
        self.queues.extend(changed.queues.into_iter().map(|queue| (queue.queue.clone(), queue)));
        changed.ended.iter().for_each(|call| drop(self.calls.remove(call)));
        changed.agents_gone.iter().for_each(|agent| drop(self.agents.remove(agent)));
        changed.queues_gone.iter().for_each(|queue| drop(self.queues.remove(queue)));
        self.endpoints = changed.endpoints.or(self.endpoints.take());
    }

    /// The whole, as one message.
    fn changed(&self) -> Changed {
        Changed {
            scope: Scope::Whole,
            calls: self.calls.values().cloned().collect(),
            agents: self.agents.values().cloned().collect(),
            queues: self.queues.values().cloned().collect(),
            endpoints: self.endpoints.clone(),
            ..Changed::default()
        }
    }
}
