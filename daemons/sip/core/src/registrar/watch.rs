//! Whether registered phones answer (OPTIONS, RFC 3261 §11): who is asked when.
//!
//! Owns the moments and what is in flight; how often a phone was silent stands at its bindings, so that it outlives the
//! process. Sends nothing itself.
//!
//! ```text
//!  registered ──► waits for its moment ──► asked ──any answer──► waits
//!                        ▲                   └──silent for 4 s──► asked again after 1 s; so often in a row: away
//!                        └────── away: asked on at its moments, until it answers or registers
//! ```
//!
//! Each phone has its own moment within the interval, by its number: however many register at once, they are asked
//! evenly, and those whose moments were missed (a machine that slept) are asked evenly again.

use crate::{agenda::Agenda, settings::Check, transaction::TransactionId};
use std::{
    collections::{BTreeMap, BTreeSet},
    hash::{DefaultHasher, Hash, Hasher},
    time::Duration,
};
use types::{Extension, Monotonic};

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(4);
/// How soon a phone is asked again that was silent and is not away yet.
const SOON: Duration = Duration::from_secs(1);
/// Later than this a moment is missed.
const LATE: Duration = Duration::from_secs(2);

/// What is due of a phone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Look {
    /// Ask it.
    Ask,
    /// It has been silent.
    Silent,
}

/// Who is asked when.
#[derive(Default)]
pub(crate) struct Watch {
    check: Option<Check>,
    agenda: Agenda<Extension>,
    /// Every question that may still be answered: a late answer is a sign of life, too.
    asked: BTreeMap<TransactionId, Extension>,
    /// Who has time to answer.
    asking: BTreeSet<Extension>,
}

impl Watch {
    /// How phones are looked after from now on; all begin anew.
    pub(crate) fn follow<'a>(
        &mut self,
        now: Monotonic,
        check: Option<Check>,
        phones: impl Iterator<Item = &'a Extension>,
    ) {
        if self.check == check {
            return;
        }
        *self = Self { check, ..Self::default() };
        phones.for_each(|phone| self.begin(now, phone));
    }

    /// A phone is asked from now on, at its moment; what it was asked before is of no interest.
    pub(crate) fn begin(&mut self, now: Monotonic, phone: &Extension) {
        let Some(check) = self.check else { return };
        self.asking.remove(phone);
        self.agenda.set(phone.clone(), Some(now.plus(check.every.mul_f64(share(phone)))));
    }

    /// Whether it is asked at all.
    pub(crate) fn looks_at(&self, phone: &Extension) -> bool {
        self.agenda.has(phone)
    }

    /// It is not registered any more.
    pub(crate) fn end(&mut self, phone: &Extension) {
        self.asking.remove(phone);
        self.asked.retain(|_, asked| asked != phone);
        self.agenda.set(phone.clone(), None);
    }

    /// The next phone of which something is due.
    pub(crate) fn due(&mut self, now: Monotonic) -> Option<(Extension, Look)> {
        while let Some(at) = self.agenda.next().filter(|at| *at <= now) {
            let phone = self.agenda.due(now)?;
            if now.since(at) > LATE && !mutant::mutant("sip-phones-asked-at-once") {
                self.begin(now, &phone);
                continue;
            }
            let look = if self.asking.contains(&phone) { Look::Silent } else { Look::Ask };
            return Some((phone, look));
        }
        None
    }

    pub(crate) fn next_wake(&self) -> Option<Monotonic> {
        self.agenda.next()
    }

    /// It has been asked; `None` where there was no room for a transaction.
    pub(crate) fn asked(&mut self, now: Monotonic, phone: Extension, transaction: Option<TransactionId>) {
        let Some(transaction) = transaction else {
            return self.agenda.set(phone, Some(now.plus(SOON)));
        };
        self.asked.insert(transaction, phone.clone());
        self.asking.insert(phone.clone());
        self.agenda.set(phone, Some(now.plus(PATIENCE)));
    }

    /// The phone that a transaction asks.
    pub(crate) fn asks(&self, transaction: TransactionId) -> Option<&Extension> {
        self.asked.get(&transaction)
    }

    /// Nothing more comes of a transaction; the phone that has still time to answer it.
    pub(crate) fn over(&mut self, transaction: TransactionId) -> Option<Extension> {
        self.asked.remove(&transaction).filter(|phone| self.asking.contains(phone))
    }

    /// It has answered, and is asked again after the interval.
    pub(crate) fn answered(&mut self, now: Monotonic, phone: &Extension) {
        self.asking.remove(phone);
        self.agenda.set(phone.clone(), self.check.map(|check| now.plus(check.every)));
    }

    /// It has been silent for the so manyth time; whether it is away now.
    pub(crate) fn silent(&mut self, now: Monotonic, phone: &Extension, times: u32) -> bool {
        self.asking.remove(phone);
        let Some(check) = self.check else { return false };
        let away = times >= check.failures;
        self.agenda.set(phone.clone(), Some(now.plus(if away { check.every } else { SOON })));
        away
    }

    /// Whether a phone that was silent so often is away.
    pub(crate) fn is_away(&self, silent: u32) -> bool {
        self.check.is_some_and(|check| silent >= check.failures) && !mutant::mutant("sip-lost-phone-kept")
    }
}

/// A phone's share of the interval, above 0 and at most 1: the same for one number, evenly spread over many.
fn share(phone: &Extension) -> f64 {
    let mut hasher = DefaultHasher::new();
    phone.0.as_str().hash(&mut hasher);
    f64::from(u32::try_from(hasher.finish() >> 33).unwrap_or(0) + 1) / f64::from(1_u32 << 31)
}
