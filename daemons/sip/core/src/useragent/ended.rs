//! Legs that are over and that route has not forgotten: their ends and memos, for its next life.
//!
//! Owns no dialog and owes nothing to a peer. Bounded in number and in bytes: the oldest go first, and are
//! counted, for each is a call of which the house may keep no call record.

use super::leg::{Kept, Offer};
use route_api::{Cause, EndedBy, Ladder, Memo, SignallingEvent};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use types::{LegId, Monotonic};

/// A leg that is over.
#[derive(Clone, Serialize, Deserialize)]
pub struct Ended {
    at: Monotonic,
    cause: Cause,
    by: EndedBy,
    kept: Kept,
}

/// How much is kept of legs that are over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// Legs.
    pub legs: usize,
    /// Bytes of their memos and of what they were offered with.
    pub bytes: usize,
}

/// Every one.
#[derive(Default)]
pub(crate) struct EndedLegs {
    kept: BTreeMap<LegId, Ended>,
    order: BTreeSet<(Monotonic, LegId)>,
    bytes: usize,
    touched: BTreeSet<LegId>,
}

impl Ended {
    /// A leg that ended at that moment. Of its offer the description is not kept: nobody will answer it.
    pub(super) fn new(at: Monotonic, cause: Cause, by: EndedBy, mut kept: Kept) -> Self {
        if let Some(offer) = &mut kept.offer {
            offer.description = None;
        }
        Self { at, cause, by, kept }
    }

    /// The end, as route is told it.
    pub(crate) fn event(&self, leg: LegId, ladder: Ladder) -> SignallingEvent {
        let memo = self.kept.memo.clone();
        SignallingEvent::Ended { leg, at: self.at, cause: self.cause, by: self.by, memo, ladder }
    }

    fn bytes(&self) -> usize {
        self.kept.memo.0.len() + self.kept.offer.as_ref().map_or(0, |offer| offer.bytes())
    }
}

impl EndedLegs {
    pub(crate) fn contains(&self, id: LegId) -> bool {
        self.kept.contains_key(&id)
    }

    pub(crate) fn get(&self, id: LegId) -> Option<&Ended> {
        self.kept.get(&id)
    }

    /// Keeps one more; gives the older ones for which there was no room.
    pub(crate) fn put(&mut self, id: LegId, ended: Ended, room: Room) -> Vec<(LegId, Ended)> {
        self.forget(id);
        self.insert(id, ended);
        let mut dropped = Vec::new();
        while self.kept.len() > room.legs || self.bytes > room.bytes {
            let Some((_, oldest)) = self.order.first().copied() else { break };
            dropped.extend(self.kept.get(&oldest).map(|ended| (oldest, ended.clone())));
            self.forget(oldest);
        }
        dropped
    }

    /// Keeps another memo; `false` where there is no such leg.
    pub(crate) fn remember(&mut self, id: LegId, memo: &Memo) -> bool {
        let Some(ended) = self.kept.get_mut(&id) else { return false };
        self.bytes -= ended.bytes();
        ended.kept = Kept::by(memo.clone());
        self.bytes += ended.bytes();
        self.touched.insert(id);
        true
    }

    pub(crate) fn forget(&mut self, id: LegId) {
        if let Some(ended) = self.kept.remove(&id) {
            self.order.remove(&(ended.at, id));
            self.bytes -= ended.bytes();
            self.touched.insert(id);
        }
    }

    /// Takes a change back: see [`Self::changes`].
    pub(crate) fn restore(&mut self, id: LegId, ended: Option<Ended>) {
        self.forget(id);
        if let Some(ended) = ended {
            self.insert(id, ended);
        }
    }

    /// The oldest first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (LegId, &Ended)> {
        self.order.iter().filter_map(|(_, id)| Some((*id, self.kept.get(id)?)))
    }

    /// Those that route may never have heard of.
    pub(crate) fn offers(&self) -> impl Iterator<Item = (LegId, &Offer)> {
        self.iter().filter_map(|(id, ended)| Some((id, ended.kept.offer.as_deref()?)))
    }

    /// Those that changed since the last call; `None` for one that is forgotten.
    pub(crate) fn changes(&mut self) -> impl Iterator<Item = (LegId, Option<&Ended>)> {
        let touched = std::mem::take(&mut self.touched);
        touched.into_iter().map(|id| (id, self.kept.get(&id)))
    }

    fn insert(&mut self, id: LegId, ended: Ended) {
        self.bytes += ended.bytes();
        self.order.insert((ended.at, id));
        self.touched.insert(id);
        self.kept.insert(id, ended);
    }
}
