//! The table of legs: by id, by our tag, by what is due.

use super::leg::{Leg, State};
use crate::{agenda::Agenda, message::Request};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use types::{LegId, Monotonic};

/// Every leg.
#[derive(Default)]
pub(crate) struct Legs {
    live: BTreeMap<LegId, Leg>,
    by_tag: HashMap<Vec<u8>, LegId>,
    agenda: Agenda<LegId>,
    touched: BTreeSet<LegId>,
}

impl Legs {
    pub(crate) fn len(&self) -> usize {
        self.live.len()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (LegId, &Leg)> {
        self.live.iter().map(|(id, leg)| (*id, leg))
    }

    pub(crate) fn get(&self, id: LegId) -> Option<&Leg> {
        self.live.get(&id)
    }

    /// Takes a leg out to be changed; [`Self::put`] brings it back, or it is over.
    pub(crate) fn take(&mut self, id: LegId) -> Option<Leg> {
        let leg = self.live.remove(&id)?;
        if let Some(tag) = leg.local_tag() {
            self.by_tag.remove(tag);
        }
        self.agenda.set(id, None);
        if !mutant::mutant("sip-leg-not-written") {
            self.touched.insert(id);
        }
        Some(leg)
    }

    /// Puts a leg in or back.
    pub(crate) fn put(&mut self, id: LegId, leg: Leg) {
        if let Some(tag) = leg.local_tag() {
            self.by_tag.insert(tag.to_vec(), id);
        }
        self.agenda.set(id, leg.deadline());
        if !mutant::mutant("sip-leg-not-written") {
            self.touched.insert(id);
        }
        self.live.insert(id, leg);
    }

    /// The leg whose dialog a request belongs to (RFC 3261 §12.2.2).
    pub(crate) fn of(&self, request: &Request) -> Option<LegId> {
        let id = *self.by_tag.get(request.head.to.tag()?)?;
        let same = match &self.live.get(&id)?.state {
            State::Offered(offered) => {
                let invite = &offered.invite.head;
                invite.call_id == request.head.call_id && invite.from.tag() == request.head.from.tag()
            }
            State::Established(established) => established.dialog.is_of(request),
            State::Leaving { dialog, .. } => dialog.is_of(request),
            State::Dialing(dialing) => dialing.early.is_of(request),
            State::Cancelling { .. } => false,
        };
        same.then_some(id)
    }

    /// The leg whose dialog a peer names by Call-ID, our tag and its tag (RFC 3891 §3).
    pub(crate) fn named(&self, call_id: &[u8], ours: &[u8], theirs: &[u8]) -> Option<LegId> {
        let id = *self.by_tag.get(ours)?;
        self.live.get(&id)?.is_named(call_id, theirs).then_some(id)
    }

    /// Whether an INVITE is one of ours come by another way (RFC 3261 §8.2.2.2).
    pub(crate) fn is_merged(&self, request: &Request) -> bool {
        let (head, tag) = (&request.head, request.head.from.tag());
        self.live.values().any(|leg| match &leg.state {
            State::Offered(offered) => {
                let known = &offered.invite.head;
                known.call_id == head.call_id && known.cseq == head.cseq && known.from.tag() == tag
            }
            _ => false,
        })
    }

    pub(crate) fn due(&mut self, now: Monotonic) -> Option<LegId> {
        self.agenda.due(now)
    }

    pub(crate) fn next_wake(&self) -> Option<Monotonic> {
        self.agenda.next()
    }

    /// The legs that changed since the last call; `None` for one that is over.
    pub(crate) fn changes(&mut self) -> impl Iterator<Item = (LegId, Option<&Leg>)> {
        let touched = std::mem::take(&mut self.touched);
        touched.into_iter().map(|id| (id, self.live.get(&id)))
    }
}
