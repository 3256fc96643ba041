//! Registered phones, asked for a sign of life (OPTIONS, RFC 3261 §11). One that is silent so often in a row is away:
//! route hears of it, and offers no call there.

use crate::{
    Core,
    message::{Headers, Method, NameAddr, Response, Uri},
    registrar::Look,
    transaction::TransactionId,
};
use route_api::{Reachability, Trouble};
use types::{Extension, Monotonic};

impl Core {
    /// Does what is due of phones.
    pub(crate) fn phones_due(&mut self, now: Monotonic) {
        while let Some((phone, look)) = self.registrar.look(now) {
            match look {
                Look::Ask => self.ask_phone(now, phone),
                Look::Silent => self.phone_silent(now, &phone),
            }
        }
    }

    /// Other settings hold: who was away by the old ones may not be by the new ones, and the other way round.
    pub(crate) fn look_after_phones(&mut self) {
        let phones: Vec<Extension> = self.registrar.iter().map(|(phone, _)| phone.clone()).collect();
        let before: Vec<bool> = phones.iter().map(|phone| self.registrar.is_reachable(phone)).collect();
        self.registrar.look_after(self.now, self.settings.phone_check);
        for (phone, before) in phones.into_iter().zip(before) {
            self.turned(phone, before);
        }
    }

    /// A response to a question for a sign of life; `false` where it is none. Any final one is a sign of life.
    pub(super) fn phone_answered(&mut self, now: Monotonic, id: TransactionId, response: &Response) -> bool {
        let Some(phone) = self.registrar.asks(id) else { return false };
        if response.status.is_provisional() {
            return true;
        }
        let _answered = self.registrar.unheard(id);
        if self.registrar.answered(now, &phone) {
            self.reachable(phone, Reachability::Reachable);
        }
        true
    }

    /// No response can come to a question for a sign of life; `false` where it is none. That the time of its transaction
    /// has run out says nothing: the phone's own is shorter, or the machine slept.
    pub(super) fn phone_unheard(&mut self, now: Monotonic, id: TransactionId, why: Option<Trouble>) -> bool {
        if self.registrar.asks(id).is_none() {
            return false;
        }
        if let (Some(phone), None) = (self.registrar.unheard(id), why) {
            self.phone_silent(now, &phone);
        }
        true
    }

    fn ask_phone(&mut self, now: Monotonic, phone: Extension) {
        let Some(binding) = self.registrar.binding(&phone) else { return };
        let (uri, flow) = (binding.contact.clone(), binding.flow);
        let from = NameAddr::new(Uri::at(None, self.advertised(flow)));
        let call_id = self.random.word();
        let addresses = (from, uri.clone());
        let request =
            self.errand_request(Method::Options, flow, uri, addresses, (call_id, 1), Headers::default());
        let transaction = self.transactions.request(now, request, flow, None);
        self.registrar.asked(now, phone, transaction);
    }

    fn phone_silent(&mut self, now: Monotonic, phone: &Extension) {
        if self.registrar.silent(now, phone) {
            self.reachable(phone.clone(), Reachability::Unreachable);
        }
    }
}
