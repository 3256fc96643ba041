//! Ends that wait for the far side's last answer, so that the ladder that goes with them is whole.
//!
//! Where the house ends a leg, nobody waits for the word of it: it is told once the far side has answered, or
//! after [`PATIENCE`]. Any other end is news, and is told at once.

use crate::{Core, Output};
use route_api::SignallingEvent;
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};
use types::{LegId, Monotonic};

/// How long the far side's last answer is waited for: T2 (RFC 3261 §17.1.2.2).
const PATIENCE: Duration = Duration::from_secs(4);

/// Legs that the house has ended and whose ends are not told. Not kept over a kill: the ends themselves are, and are
/// told to every attachment, with what there is of their ladders.
#[derive(Default)]
pub(crate) struct Partings {
    until: BTreeMap<LegId, Monotonic>,
    agenda: BTreeSet<(Monotonic, LegId)>,
}

impl Partings {
    /// The end of a leg waits for the far side.
    pub(crate) fn put(&mut self, now: Monotonic, leg: LegId) {
        self.take(leg);
        let until = now.plus(PATIENCE);
        self.until.insert(leg, until);
        self.agenda.insert((until, leg));
    }

    /// Nothing is waited for any more; whether anything was.
    pub(crate) fn take(&mut self, leg: LegId) -> bool {
        let until = self.until.remove(&leg);
        until.is_some_and(|until| self.agenda.remove(&(until, leg)))
    }

    /// A leg whose far side has had its time.
    pub(crate) fn due(&mut self, now: Monotonic) -> Option<LegId> {
        let (_, leg) = self.agenda.first().copied().filter(|(until, _)| *until <= now)?;
        self.take(leg);
        Some(leg)
    }

    /// When the next one is due.
    pub(crate) fn next_wake(&self) -> Option<Monotonic> {
        self.agenda.first().map(|(until, _)| *until)
    }
}

impl Core {
    /// Tells what ended, with its ladder.
    pub(crate) fn tell_ends(&mut self, now: Monotonic) {
        self.tell_ladders();
        for leg in std::mem::take(&mut self.ends) {
            match self.ladders.awaits(leg) && !mutant::mutant("sip-last-answer-unheard") {
                true => self.partings.put(now, leg),
                false => self.tell_end(leg),
            }
        }
        for leg in self.ladders.whole() {
            if !self.ladders.awaits(leg) && self.partings.take(leg) {
                self.tell_end(leg);
            }
        }
        while let Some(leg) = self.partings.due(now) {
            self.tell_end(leg);
        }
    }

    /// What ended goes with its ladder: what was sent for it comes after the word that it ended.
    pub(crate) fn tell_ladders(&mut self) {
        for output in &mut self.outputs {
            if let Output::Event(SignallingEvent::Ended { leg, ladder, .. }) = output
                && ladder.is_empty()
            {
                *ladder = self.ladders.of(*leg);
            }
        }
    }

    fn tell_end(&mut self, leg: LegId) {
        let ended = self.ended_legs.get(leg).map(|ended| ended.event(leg, self.ladders.of(leg)));
        self.outputs.extend(ended.map(Output::Event));
    }
}
