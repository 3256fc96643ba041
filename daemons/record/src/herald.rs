//! What route is told: outcomes of recordings, each until it is in the call record, and how the disk is.

use crate::recorder::locked;
use record_api::{DiskHealth, Noted, Notice, Outcome};
use service::Replies;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Mutex,
};
use types::RecordingId;

/// Outcomes that are under way on the stream at most: fewer than its caller may be behind.
const UNDER_WAY: usize = 32;

/// The stream to route while there is one, and what waits for it.
#[derive(Default)]
pub struct Herald(Mutex<State>);

#[derive(Default)]
struct State {
    disk: DiskHealth,
    /// The last outcome of each recording whose call record does not know it.
    waiting: BTreeMap<RecordingId, Outcome>,
    /// Those that the present stream has been sent.
    sent: BTreeSet<RecordingId>,
    stream: Option<Replies<Notice>>,
}

impl Herald {
    /// Route listens on this stream from now on.
    pub fn attach(&self, stream: Replies<Notice>) {
        let mut state = locked(&self.0);
        let disk = state.disk;
        state.stream = stream.try_send(Notice::Disk(disk)).is_ok().then_some(stream);
        state.sent.clear();
        state.send();
    }

    /// An outcome for the call record.
    pub fn tell(&self, outcome: Outcome) {
        let mut state = locked(&self.0);
        state.sent.remove(&outcome.recording);
        state.waiting.insert(outcome.recording, outcome);
        state.send();
    }

    /// How the disk is from now on.
    pub fn disk(&self, health: DiskHealth) {
        let mut state = locked(&self.0);
        state.disk = health;
        if state.stream.as_ref().is_some_and(|stream| stream.try_send(Notice::Disk(health)).is_err()) {
            state.stream = None;
        }
    }

    /// Whether the disk has stalled, for whoever begins a recording.
    pub fn stalled(&self) -> bool {
        locked(&self.0).disk == DiskHealth::Stalled
    }

    /// An outcome is in the call record.
    pub fn noted(&self, noted: Noted) {
        let mut state = locked(&self.0);
        if state.waiting.get(&noted.recording).is_some_and(|outcome| outcome.number <= noted.number) {
            state.waiting.remove(&noted.recording);
            state.sent.remove(&noted.recording);
        }
        state.send();
    }
}

impl State {
    fn send(&mut self) {
        while self.sent.len() < UNDER_WAY
            && let Some(stream) = &self.stream
            && let Some((recording, outcome)) = self.waiting.iter().find(|(id, _)| !self.sent.contains(id))
        {
            if stream.try_send(Notice::Outcome(outcome.clone())).is_err() {
                tracing::warn!("route is away: outcomes of recordings wait for it");
                self.stream = None;
            } else {
                self.sent.insert(*recording);
            }
        }
    }
}
