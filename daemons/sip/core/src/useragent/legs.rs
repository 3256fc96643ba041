//! The table of legs: by id, by our tag, by what is due.

use super::{
    leg::{Leg, State},
    replaces::{Found, Named},
};
use crate::{agenda::Agenda, message::Request};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap, VecDeque},
    hash::{DefaultHasher, Hash, Hasher},
};
use types::{LegId, Monotonic};

/// How a peer without a tag is named (RFC 3891 §6.1).
const NO_TAG: &[u8] = b"0";
/// Dialogs that are over and still known to have been.
const DEPARTED: usize = 1_024;

/// Every leg.
#[derive(Default)]
pub(crate) struct Legs {
    live: BTreeMap<LegId, Leg>,
    by_tag: HashMap<Vec<u8>, LegId>,
    agenda: Agenda<LegId>,
    touched: BTreeSet<LegId>,
    /// Dialogs that were taken out and not put back, by the hash of their names: for saying of one that is named
    /// that it is over (RFC 3891 §3). Not kept over a kill: then nothing is known of it.
    departed: VecDeque<(LegId, u64)>,
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
        self.depart(id, &leg);
        self.agenda.set(id, None);
        if !mutant::mutant("sip-leg-not-written") {
            self.touched.insert(id);
        }
        Some(leg)
    }

    /// Puts a leg in or back.
    pub(crate) fn put(&mut self, id: LegId, leg: Leg) {
        if leg.state().is_some() {
            while self.departed.back().is_some_and(|(departed, _)| *departed == id) {
                self.departed.pop_back();
            }
        }
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

    /// What there is of the dialog that a peer names by Call-ID, our tag and its tag (RFC 3891 §3).
    pub(crate) fn find(&self, named: &Named) -> Found {
        let by_tag = self.by_tag.get(&named.ours).and_then(|id| Some((*id, self.live.get(id)?)));
        let alive = by_tag.filter(|(_, leg)| leg.is_named(named)).map(|(id, leg)| match &leg.state {
            State::Offered(_) => Found::Offered,
            State::Established(_) => Found::Answered(id),
            State::Dialing(_) => Found::Rings(id),
            State::Cancelling { .. } | State::Leaving { .. } => Found::Over,
        });
        let mark = mark(&named.call_id, &named.ours, Some(&named.theirs));
        let over = || self.departed.iter().any(|(_, known)| *known == mark).then_some(Found::Over);
        alive.or_else(over).unwrap_or(Found::Nothing)
    }

    fn depart(&mut self, id: LegId, leg: &Leg) {
        match &leg.state {
            State::Established(established) => {
                let (call_id, ours, theirs) = established.dialog.name();
                self.departed.push_back((id, mark(call_id, ours, theirs)));
            }
            State::Dialing(dialing) => {
                let marks = dialing.early.names().map(|(call_id, ours, theirs)| mark(call_id, ours, theirs));
                self.departed.extend(marks.map(|mark| (id, mark)));
            }
            State::Offered(_) | State::Cancelling { .. } | State::Leaving { .. } => {}
        }
        while self.departed.len() > DEPARTED {
            self.departed.pop_front();
        }
    }

    /// The leg of that tag of ours.
    pub(crate) fn tagged(&self, ours: &[u8]) -> Option<LegId> {
        self.by_tag.get(ours).copied()
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

fn mark(call_id: &[u8], ours: &[u8], theirs: Option<&[u8]>) -> u64 {
    let mut hasher = DefaultHasher::new();
    (call_id, ours, theirs.unwrap_or(NO_TAG)).hash(&mut hasher);
    hasher.finish()
}
