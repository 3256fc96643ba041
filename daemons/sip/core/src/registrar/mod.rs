//! The registrar (RFC 3261 §10.3): which phone is reached where, and until when.
//!
//! Owns bindings. Never authenticates: whoever calls has proved the extension.

mod watch;

pub(crate) use watch::Look;

use crate::{
    Flow,
    agenda::Agenda,
    flow::{ConnectionId, Protocol},
    message::{Contacts, Name, Request, Status, Uri, seconds},
    settings::Check,
    transaction::TransactionId,
};
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::Duration,
};
use types::{Extension, Monotonic};
use watch::Watch;

/// Shortest registration taken, in seconds; a shorter wish gets 423 (§10.3 step 7).
pub const MIN_EXPIRES: u32 = 60;
/// Longest registration given, and what a phone gets that names none, in seconds.
pub const MAX_EXPIRES: u32 = 3_600;
/// How often a UDP path through an address translator is kept open: they forget after 30 s and more
/// (RFC 5626 §4.4.2 has 24 to 29 s).
const PING: Duration = Duration::from_secs(25);
/// Most connections remembered whose phone lost them and has not come back.
const MAX_SEVERED: usize = 4_096;
/// Most bindings of one extension.
const MAX_BINDINGS: usize = 4;

/// Where a phone is reached.
#[derive(Clone, Serialize, Deserialize)]
pub struct Binding {
    /// Its Contact.
    pub contact: Uri,
    /// The path its REGISTER came by: where requests to it go, whatever the Contact says, so that phones
    /// behind address translation are reached.
    pub flow: Flow,
    /// When it ends.
    pub until: Monotonic,
    made: Monotonic,
    call_id: Vec<u8>,
    number: u32,
    /// How often in a row it said nothing when it was asked for a sign of life.
    #[serde(default)]
    silent: u32,
}

/// The bindings of every phone.
#[derive(Default)]
pub struct Registrar {
    /// Of each extension the latest last.
    bindings: BTreeMap<Extension, Vec<Binding>>,
    agenda: Agenda<Extension>,
    touched: BTreeSet<Extension>,
    pings: Agenda<Extension>,
    severed: VecDeque<(ConnectionId, Extension)>,
    watch: Watch,
}

impl Registrar {
    /// Carries out a REGISTER: adds, refreshes, removes, or only lists.
    ///
    /// # Errors
    /// The status to refuse with: 400 (malformed), 423 (too brief), 500 (out of order), 503 (too many).
    pub fn register(
        &mut self,
        now: Monotonic,
        extension: &Extension,
        request: &Request,
        flow: Flow,
    ) -> Result<(), Status> {
        let head = &request.head;
        let default = head.headers.expires().unwrap_or(MAX_EXPIRES);
        let mut bindings = self.bindings.get(extension).cloned().unwrap_or_default();
        let behind = |old: &Binding| old.call_id == head.call_id && head.cseq.number <= old.number;
        match head.headers.contacts().map_err(|_| Status(400))? {
            Contacts::Star if head.headers.expires() != Some(0) => return Err(Status(400)),
            Contacts::Star if bindings.iter().any(behind) => return Err(Status(500)),
            Contacts::Star => bindings.clear(),
            Contacts::Listed(contacts) => {
                for contact in contacts {
                    let wish = contact.params.value("expires").and_then(seconds).unwrap_or(default);
                    let known = bindings.iter().position(|old| old.contact == contact.uri);
                    let old = known.map(|at| bindings.remove(at));
                    if old.as_ref().is_some_and(behind) {
                        return Err(Status(500));
                    }
                    if wish == 0 {
                        continue;
                    }
                    if wish < MIN_EXPIRES {
                        return Err(Status(423));
                    }
                    let until = now.plus(Duration::from_secs(u64::from(wish.min(MAX_EXPIRES))));
                    let (call_id, number) = (head.call_id.clone(), head.cseq.number);
                    let silent = 0;
                    bindings.push(Binding {
                        contact: contact.uri,
                        flow,
                        until,
                        made: now,
                        call_id,
                        number,
                        silent,
                    });
                }
            }
        }
        // A phone that restarted behind address translation has a new Contact: its oldest one gives way.
        while bindings.len() > MAX_BINDINGS {
            bindings.remove(0);
        }
        self.set(extension.clone(), bindings);
        if self.binding(extension).is_some() {
            self.watch.begin(now, extension);
        }
        Ok(())
    }

    /// How phones are looked after (OPTIONS) from now on; `None` for not at all.
    pub fn look_after(&mut self, now: Monotonic, check: Option<Check>) {
        self.watch.follow(now, check, self.bindings.keys());
    }

    /// Whether a phone is registered, and answers as far as it is asked.
    pub fn is_reachable(&self, extension: &Extension) -> bool {
        self.binding(extension).is_some_and(|binding| !self.watch.is_away(binding.silent))
    }

    /// The next phone of which something is due: to be asked, or that it has been silent.
    pub(crate) fn look(&mut self, now: Monotonic) -> Option<(Extension, Look)> {
        self.watch.due(now)
    }

    /// It has been asked by this transaction; `None` where there was no room for one.
    pub(crate) fn asked(&mut self, now: Monotonic, extension: Extension, by: Option<TransactionId>) {
        self.watch.asked(now, extension, by);
    }

    /// The phone that a transaction asks for a sign of life.
    pub(crate) fn asks(&self, transaction: TransactionId) -> Option<Extension> {
        self.watch.asks(transaction).cloned()
    }

    /// Nothing more comes of a question; the phone that had still time to answer it.
    pub(crate) fn unheard(&mut self, transaction: TransactionId) -> Option<Extension> {
        self.watch.over(transaction)
    }

    /// A phone has answered; `true` where it was away.
    pub(crate) fn answered(&mut self, now: Monotonic, extension: &Extension) -> bool {
        let away = self.binding(extension).is_some() && !self.is_reachable(extension);
        self.watch.answered(now, extension);
        self.count_silence(extension, |_| 0);
        away
    }

    /// A phone was silent; `true` where it is away from now on.
    pub(crate) fn silent(&mut self, now: Monotonic, extension: &Extension) -> bool {
        let before = self.is_reachable(extension);
        let times = self.count_silence(extension, |times| times.saturating_add(1));
        self.watch.silent(now, extension, times) && before && !self.is_reachable(extension)
    }

    /// Changes how often the latest binding was silent, and gives that.
    fn count_silence(&mut self, extension: &Extension, change: impl FnOnce(u32) -> u32) -> u32 {
        let Some(binding) = self.bindings.get_mut(extension).and_then(|all| all.last_mut()) else { return 0 };
        let before = binding.silent;
        binding.silent = change(before);
        if binding.silent != before {
            self.touched.insert(extension.clone());
        }
        binding.silent
    }

    /// Where to ring that extension: its latest binding.
    pub fn binding(&self, extension: &Extension) -> Option<&Binding> {
        self.bindings.get(extension)?.last()
    }

    /// Every binding of that extension, the latest last.
    pub fn bindings(&self, extension: &Extension) -> &[Binding] {
        self.bindings.get(extension).map_or(&[], Vec::as_slice)
    }

    /// Every phone that is registered.
    pub fn iter(&self) -> impl Iterator<Item = (&Extension, &[Binding])> {
        self.bindings.iter().map(|(extension, bindings)| (extension, bindings.as_slice()))
    }

    /// Ends what is over at `now`; gives the extensions that lost their last binding.
    pub fn expire(&mut self, now: Monotonic) -> Vec<Extension> {
        let mut lost = Vec::new();
        while let Some(extension) = self.agenda.due(now) {
            let mut bindings = self.bindings.get(&extension).cloned().unwrap_or_default();
            bindings.retain(|binding| binding.until > now);
            if bindings.is_empty() {
                lost.push(extension.clone());
            }
            self.set(extension, bindings);
        }
        lost
    }

    /// When [`Self::expire`] or [`Self::pings`] has something to do.
    pub fn next_wake(&self) -> Option<Monotonic> {
        self.agenda.next().into_iter().chain(self.pings.next()).chain(self.watch.next_wake()).min()
    }

    /// The UDP paths that are to be kept open now: those of phones whose Contact is not where they are seen.
    pub(crate) fn pings(&mut self, now: Monotonic) -> Vec<Flow> {
        let mut flows = Vec::new();
        while let Some(extension) = self.pings.due(now) {
            flows.extend(self.bindings(&extension).iter().filter(|b| b.is_translated()).map(|b| b.flow));
            self.pings.set(extension, Some(now.plus(PING)));
        }
        flows
    }

    /// A connection is over: the phones that were reached by it are not; gives those that have no other
    /// binding. A later binding of theirs succeeds it.
    pub(crate) fn sever(&mut self, connection: ConnectionId) -> Vec<Extension> {
        let of = |binding: &Binding| binding.flow.connection == Some(connection);
        let cut: Vec<_> =
            self.bindings.iter().filter(|(_, all)| all.iter().any(of)).map(|(e, _)| e.clone()).collect();
        let mut lost = Vec::new();
        for extension in cut {
            let mut bindings = self.bindings.get(&extension).cloned().unwrap_or_default();
            bindings.retain(|binding| !of(binding));
            if bindings.is_empty() {
                lost.push(extension.clone());
            }
            if self.severed.len() >= MAX_SEVERED {
                self.severed.pop_front();
            }
            self.severed.push_back((connection, extension.clone()));
            self.set(extension, bindings);
        }
        lost
    }

    /// By which path a phone is reached now that was reached by that one.
    pub(crate) fn successor(&self, flow: Flow) -> Option<Flow> {
        let connection = flow.connection.filter(|_| !mutant::mutant("sip-connection-not-succeeded"))?;
        let (_, extension) = self.severed.iter().rev().find(|(severed, _)| *severed == connection)?;
        self.binding(extension).map(|binding| binding.flow).filter(|next| next.listener == flow.listener)
    }

    /// Whether a phone is reached by that connection.
    pub(crate) fn uses(&self, connection: ConnectionId) -> bool {
        self.bindings.values().flatten().any(|binding| binding.flow.connection == Some(connection))
    }

    /// The extensions whose bindings changed since the last call, with what they are now.
    pub fn changes(&mut self) -> Vec<(Extension, Vec<Binding>)> {
        let touched = std::mem::take(&mut self.touched);
        touched.into_iter().map(|e| (e.clone(), self.bindings(&e).to_vec())).collect()
    }

    /// Puts other bindings in place, as [`Self::changes`] gave them.
    pub fn replace(&mut self, extension: Extension, bindings: Vec<Binding>) {
        self.set(extension, bindings);
    }

    fn set(&mut self, extension: Extension, bindings: Vec<Binding>) {
        self.agenda.set(extension.clone(), bindings.iter().map(|binding| binding.until).min());
        if !bindings.iter().any(Binding::is_translated) {
            self.pings.set(extension.clone(), None);
        } else if !self.pings.has(&extension) {
            let made = bindings.iter().filter(|b| b.is_translated()).map(|binding| binding.made).max();
            self.pings.set(extension.clone(), made.map(|made| made.plus(PING)));
        }
        match (bindings.iter().map(|binding| binding.made).max(), self.watch.looks_at(&extension)) {
            (None, _) => self.watch.end(&extension),
            // Of an earlier life.
            (Some(made), false) => self.watch.begin(made, &extension),
            (Some(_), true) => {}
        }
        self.touched.insert(extension.clone());
        match bindings.is_empty() {
            true => self.bindings.remove(&extension),
            false => self.bindings.insert(extension, bindings),
        };
    }
}

impl Binding {
    /// Whether the phone is seen elsewhere than it says: then an address translator stands between.
    fn is_translated(&self) -> bool {
        self.flow.protocol == Protocol::Udp && self.contact.socket_addr() != Some(self.flow.remote)
    }
}

/// The Contact values of a 200 to REGISTER (§10.3 step 8).
pub(crate) fn listed(now: Monotonic, bindings: &[Binding]) -> impl Iterator<Item = (Name, Vec<u8>)> {
    bindings.iter().map(move |binding| {
        let left = binding.until.since(now).as_secs();
        let value =
            [b"<", &binding.contact.to_bytes()[..], b">;expires=", left.to_string().as_bytes()].concat();
        (Name::Contact, value)
    })
}

#[cfg(test)]
mod tests;
