//! Host's acts on their way to audit: numbered, kept until confirmed, sent again on a new stream.

use audit_event::Event;
use host_api::Act;
use service::Replies;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::oneshot;

/// Acts without a waiter that are kept for audit; above this the oldest of them is only in the journal.
const MOST: usize = 1024;

/// What audit has not confirmed yet, and the stream to audit while there is one.
pub struct Journal(Mutex<State>);

struct State {
    next: u64,
    waiting: BTreeMap<u64, Waiting>,
    stream: Option<Replies<Act>>,
}

struct Waiting {
    event: Event,
    /// Hears the entry's sequence.
    waiter: Option<oneshot::Sender<u64>>,
}

/// One act that waits for audit's word.
pub struct Pending {
    number: u64,
    word: oneshot::Receiver<u64>,
}

impl Journal {
    /// An empty one. Its numbers begin at a random place, so that a late word for an act of an earlier life
    /// is never taken for the word of one of this life.
    ///
    /// # Errors
    /// The kernel gave no randomness.
    pub fn new() -> Result<Self, gm::Error> {
        let mut bytes = [0; 8];
        gm::random(&mut bytes)?;
        // 53 bits: whole in every JSON reader, and no life counts through what is left above.
        let next = u64::from_be_bytes(bytes) >> 11;
        Ok(Self(Mutex::new(State { next, waiting: BTreeMap::new(), stream: None })))
    }

    /// Whether audit listens.
    pub fn attached(&self) -> bool {
        self.state().stream.is_some()
    }

    /// Audit listens on this stream from now on, and hears everything that is not confirmed.
    pub fn attach(&self, stream: Replies<Act>) {
        let mut state = self.state();
        state.stream = Some(stream);
        let unconfirmed: Vec<_> = state.waiting.keys().copied().collect();
        unconfirmed.into_iter().for_each(|number| state.send(number));
    }

    /// Tells audit; [`Journal::word`] waits for the word that the entry is durable.
    pub fn tell(&self, event: Event) -> Pending {
        let (waiter, word) = oneshot::channel();
        Pending { number: self.state().add(event, Some(waiter)), word }
    }

    /// Tells audit, now or when it listens again. Nobody waits.
    pub fn once(&self, event: Event) {
        self.state().add(event, None);
    }

    /// The sequence of the entry, or nothing where audit goes without a word or `patience` is over: then
    /// the act is taken back.
    pub async fn word(&self, pending: Pending, patience: std::time::Duration) -> Option<u64> {
        let sequence = tokio::time::timeout(patience, pending.word).await.ok().and_then(Result::ok);
        if sequence.is_none() {
            self.state().waiting.remove(&pending.number);
        }
        sequence
    }

    /// Audit's word that the entry is durable.
    pub fn recorded(&self, number: u64, sequence: u64) {
        if let Some(Waiting { waiter: Some(waiter), .. }) = self.state().waiting.remove(&number) {
            // Whoever waited has given up meanwhile: the word comes too late to matter.
            let _too_late = waiter.send(sequence);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Every step leaves the state whole: a panic elsewhere does not make it wrong.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn add(&mut self, event: Event, waiter: Option<oneshot::Sender<u64>>) -> u64 {
        let number = self.next;
        self.next += 1;
        if self.waiting.len() >= MOST
            && let Some(oldest) =
                self.waiting.iter().find(|(_, w)| w.waiter.is_none()).map(|(number, _)| *number)
            && let Some(lost) = self.waiting.remove(&oldest)
        {
            tracing::error!(
                kind = lost.event.kind.text(),
                object = lost.event.object,
                "audit has been away too long: this act is only in the journal"
            );
        }
        self.waiting.insert(number, Waiting { event, waiter });
        self.send(number);
        number
    }

    fn send(&mut self, number: u64) {
        let (Some(stream), Some(waiting)) = (&self.stream, self.waiting.get(&number)) else { return };
        if stream.try_send(Act { act: number, event: waiting.event.clone() }).is_err() {
            tracing::warn!("audit is away: acts wait for it");
            self.stream = None;
        }
    }
}
