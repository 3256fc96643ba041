//! Who is to be woken when. Owns no time: it only orders moments.

use std::{
    collections::{BTreeSet, HashMap},
    hash::Hash,
};
use types::Monotonic;

/// At most one wake-up for each key.
pub(crate) struct Agenda<K> {
    order: BTreeSet<(Monotonic, K)>,
    at: HashMap<K, Monotonic>,
}

impl<K> Default for Agenda<K> {
    fn default() -> Self {
        Self { order: BTreeSet::new(), at: HashMap::new() }
    }
}

impl<K: Clone + Ord + Hash> Agenda<K> {
    /// Sets, moves or clears the wake-up of `key`.
    pub(crate) fn set(&mut self, key: K, at: Option<Monotonic>) {
        if self.at.get(&key).copied() == at {
            return;
        }
        if let Some(old) = self.at.remove(&key) {
            self.order.remove(&(old, key.clone()));
        }
        if let Some(at) = at {
            self.at.insert(key.clone(), at);
            self.order.insert((at, key));
        }
    }

    /// Whether `key` has a wake-up.
    pub(crate) fn has(&self, key: &K) -> bool {
        self.at.contains_key(key)
    }

    /// The earliest wake-up.
    pub(crate) fn next(&self) -> Option<Monotonic> {
        self.order.first().map(|(at, _)| *at)
    }

    /// Takes the earliest key that is due at `now`.
    pub(crate) fn due(&mut self, now: Monotonic) -> Option<K> {
        self.order.first().filter(|(at, _)| *at <= now)?;
        let (_, key) = self.order.pop_first()?;
        self.at.remove(&key);
        Some(key)
    }
}
