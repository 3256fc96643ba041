//! The registrar (RFC 3261 §10.3): which phone is reached where, and until when.
//!
//! Owns bindings. Never authenticates: whoever calls has proved the extension.

use crate::{
    Flow,
    agenda::Agenda,
    message::{Contacts, Name, Request, Status, Uri, seconds},
};
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};
use types::{Extension, Monotonic};

/// Shortest registration taken, in seconds; a shorter wish gets 423 (§10.3 step 7).
pub const MIN_EXPIRES: u32 = 60;
/// Longest registration given, and what a phone gets that names none, in seconds.
pub const MAX_EXPIRES: u32 = 3_600;
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
    call_id: Vec<u8>,
    number: u32,
}

/// The bindings of every phone.
#[derive(Default)]
pub struct Registrar {
    /// Of each extension the latest last.
    bindings: BTreeMap<Extension, Vec<Binding>>,
    agenda: Agenda<Extension>,
    touched: BTreeSet<Extension>,
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
                    bindings.push(Binding { contact: contact.uri, flow, until, call_id, number });
                }
            }
        }
        // A phone that restarted behind address translation has a new Contact: its oldest one gives way.
        while bindings.len() > MAX_BINDINGS {
            bindings.remove(0);
        }
        self.set(extension.clone(), bindings);
        Ok(())
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

    /// When [`Self::expire`] has something to do.
    pub fn next_wake(&self) -> Option<Monotonic> {
        self.agenda.next()
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
        self.touched.insert(extension.clone());
        match bindings.is_empty() {
            true => self.bindings.remove(&extension),
            false => self.bindings.insert(extension, bindings),
        };
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
