//! Acts on their way to audit: numbered, kept until confirmed, sent again on a new stream.

use crate::{Act, Recorded, Unrecorded};
use audit_event::Event;
use mutant::mutant;
use service::Replies;
use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::sync::oneshot;

/// Acts that wait at most, those that somebody waits for left aside. They are few; whoever makes more of them
/// is refused things in a loop.
const MOST: usize = 1024;
/// Acts that are under way on the stream at most: fewer than its caller may be behind.
const UNDER_WAY: usize = 32;

/// What audit has not confirmed yet, and the stream to audit while there is one.
pub struct Journal(Mutex<State>);

struct State {
    /// The number of the next act.
    next: u64,
    waiting: BTreeMap<u64, Waiting>,
    stream: Option<Replies<Act>>,
    /// The present stream was sent what waits below this number.
    unsent: u64,
    lost: u64,
    /// Why the log takes nothing, as audit said last.
    trouble: Option<Unrecorded>,
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
        let state = State { next, waiting: BTreeMap::new(), stream: None, unsent: 0, lost: 0, trouble: None };
        Ok(Self(Mutex::new(state)))
    }

    /// Whether audit listens.
    pub fn attached(&self) -> bool {
        self.state().stream.is_some()
    }

    /// Audit listens on this stream from now on, and hears everything that is not confirmed.
    pub fn attach(&self, stream: Replies<Act>) {
        let mut state = self.state();
        state.stream = Some(stream);
        state.trouble = None;
        if !mutant("acts-told-once") {
            state.unsent = 0;
        }
        state.send();
    }

    /// Tells audit; [`Journal::word`] waits for the word that the entry is durable.
    pub fn tell(&self, event: Event) -> Pending {
        let (waiter, word) = oneshot::channel();
        Pending { number: self.state().add(event, Some(waiter)), word }
    }

    /// Tells audit, now or when it listens again; nobody waits. Gives the act's number, or nothing where too
    /// many wait already: then the act is only in the daemon's own log.
    pub fn once(&self, event: Event) -> Option<u64> {
        let mut state = self.state();
        if state.waiting.len() >= MOST {
            state.lost += 1;
            let (kind, object, lost) = (event.kind.text(), event.object, state.lost);
            tracing::error!(kind, object, lost, "audit has been away too long: this act is only told here");
            return None;
        }
        Some(state.add(event, None))
    }

    /// The sequence of the entry, or nothing where audit goes without a word or `patience` is over: then
    /// the act is taken back.
    pub async fn word(&self, pending: Pending, patience: Duration) -> Option<u64> {
        let sequence = tokio::time::timeout(patience, pending.word).await.ok().and_then(Result::ok);
        if sequence.is_none() {
            self.state().settle(pending.number);
        }
        sequence
    }

    /// Audit's word that the entry is durable. One that does not wait was confirmed before, or taken back.
    pub fn recorded(&self, recorded: &Recorded) {
        self.state().trouble = None;
        if let Some(Waiting { waiter: Some(waiter), .. }) = self.state().settle(recorded.act) {
            // Whoever waited has given up meanwhile: the word comes too late to matter.
            let _too_late = waiter.send(recorded.sequence);
        }
    }

    /// Audit's word that the log takes nothing now.
    pub fn unrecorded(&self, why: Unrecorded) {
        tracing::error!(code = why.code, message = why.message, "audit cannot write: acts wait for it");
        self.state().trouble = Some(why);
    }

    /// Why the log takes nothing, as audit said it on the present stream; `None` where it takes everything, or audit is
    /// away.
    pub fn trouble(&self) -> Option<Unrecorded> {
        let state = self.state();
        state.trouble.clone().filter(|_| state.stream.is_some())
    }

    /// What audit has not confirmed, in order.
    pub fn waiting(&self) -> Vec<Act> {
        let act = |(number, waiting): (&u64, &Waiting)| Act { act: *number, event: waiting.event.clone() };
        self.state().waiting.iter().map(act).collect()
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
        self.waiting.insert(number, Waiting { event, waiter });
        self.send();
        number
    }

    fn settle(&mut self, number: u64) -> Option<Waiting> {
        let settled = self.waiting.remove(&number);
        self.send();
        settled
    }

    fn send(&mut self) {
        while self.waiting.range(..self.unsent).count() < UNDER_WAY
            && let Some((&number, waiting)) = self.waiting.range(self.unsent..).next()
            && let Some(stream) = &self.stream
        {
            if stream.try_send(Act { act: number, event: waiting.event.clone() }).is_err() {
                tracing::warn!("audit is away: acts wait for it");
                self.stream = None;
            } else {
                self.unsent = number + 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use audit_event::EventKind;

    fn event() -> Event {
        Event::of_daemon(EventKind::KeyRefused, "key", "x")
    }

    fn numbers(journal: &Journal) -> Vec<u64> {
        journal.waiting().into_iter().map(|act| act.act).collect()
    }

    #[test]
    fn acts_wait_until_they_are_confirmed() {
        let journal = Journal::new().unwrap();
        let told: Vec<u64> = (0..3).filter_map(|_| journal.once(event())).collect();
        for act in [told[1], told[1], told[2] + 99] {
            journal.recorded(&Recorded { act, sequence: 0 });
        }
        assert_eq!(numbers(&journal), [told[0], told[2]]);
        assert!(!journal.attached());
    }

    #[test]
    fn why_the_log_takes_nothing_is_known_until_it_takes_something() {
        let journal = Journal::new().unwrap();
        let act = journal.once(event()).unwrap();
        let why = Unrecorded { act, code: "audit.disk-full".to_owned(), message: "no room".to_owned() };
        journal.unrecorded(why.clone());
        assert_eq!(journal.trouble(), None, "of a stream that is not there nothing is known");
        let known = |journal: &Journal| journal.state().trouble.clone();
        assert_eq!((known(&journal), numbers(&journal).len()), (Some(why), 1), "it still waits");
        journal.recorded(&Recorded { act, sequence: 4 });
        assert_eq!((known(&journal), numbers(&journal).len()), (None, 0));
    }

    #[test]
    fn the_journal_is_bounded_and_still_takes_what_somebody_waits_for() {
        let journal = Journal::new().unwrap();
        let first = journal.once(event()).unwrap();
        for _ in 1..MOST {
            assert!(journal.once(event()).is_some());
        }
        assert_eq!(journal.once(event()), None);
        let awaited = journal.tell(event()).number;
        assert_eq!(numbers(&journal).len(), MOST + 1);
        for act in [first, awaited] {
            journal.recorded(&Recorded { act, sequence: 0 });
        }
        assert!(journal.once(event()).is_some());
    }

    #[tokio::test(flavor = "current_thread")]
    async fn who_waits_hears_the_sequence_and_who_gives_up_takes_the_act_back() {
        let journal = Journal::new().unwrap();
        let pending = journal.tell(event());
        journal.recorded(&Recorded { act: pending.number, sequence: 47 });
        assert_eq!(journal.word(pending, Duration::MAX).await, Some(47));
        let pending = journal.tell(event());
        assert_eq!(journal.word(pending, Duration::ZERO).await, None);
        assert!(journal.waiting().is_empty());
    }
}
