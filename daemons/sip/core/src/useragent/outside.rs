//! Requests outside of any dialog: REGISTER, OPTIONS, a new INVITE, and what we do not do.

use super::{ALLOW, SDP, SUPPORTED};
use crate::{
    Core, Flow,
    message::{Method, Name, Request, Status, Uri, decode},
    registrar::{MIN_EXPIRES, listed},
    sources::Source,
    transaction::TransactionId,
};
use types::Monotonic;

impl Core {
    pub(crate) fn outside(&mut self, now: Monotonic, id: TransactionId, source: Flow, request: Request) {
        // RFC 3261 §8.2.1: the method first, then the Request-URI.
        match request.method {
            Method::Invite | Method::Register | Method::Options => {}
            // They live within a dialog alone, and this one we do not have.
            Method::Bye | Method::Info | Method::Update | Method::Prack => {
                return self.answer(now, id, &request, 481);
            }
            Method::Other(_) => return self.unknown(now, id, &request, 501),
            _ => return self.unknown(now, id, &request, 405),
        }
        if matches!(request.uri, Uri::Other(_)) {
            return self.answer(now, id, &request, 416);
        }
        match request.method {
            Method::Invite => self.invited(now, id, source, request),
            Method::Register => self.register(now, id, source, &request),
            _ => self.options(now, id, &request),
        }
    }

    /// What we can (§11.2).
    pub(super) fn options(&mut self, now: Monotonic, id: TransactionId, request: &Request) {
        if self.examine(now, id, request).is_some() {
            let response = request.respond(Status(200)).with(Name::Allow, ALLOW).with(Name::Accept, SDP);
            let response = self.tagged(response.with(Name::Supported, SUPPORTED));
            self.respond(now, id, &response);
        }
    }

    /// 405 or 501, with what we can instead (§8.2.1).
    pub(super) fn unknown(&mut self, now: Monotonic, id: TransactionId, request: &Request, status: u16) {
        let response = request.respond(Status(status)).with(Name::Allow, ALLOW);
        let response = self.tagged(response);
        self.respond(now, id, &response);
    }

    fn register(&mut self, now: Monotonic, id: TransactionId, source: Flow, request: &Request) {
        if self.examine(now, id, request).is_none() {
            return;
        }
        let Some(extension) = self.prove(now, id, source, request) else { return };
        // §10.3 step 4: a phone registers itself alone.
        let named = request.head.to.uri.number().map(|number| decode(&number));
        if named.as_deref() != Some(extension.0.as_str()) {
            return self.answer(now, id, request, 403);
        }
        let before = self.registrar.is_reachable(&extension);
        if let Err(status) = self.registrar.register(now, &extension, request, source) {
            let response = request.respond(status);
            let response = match status.0 {
                423 => response.with(Name::MinExpires, MIN_EXPIRES.to_string()),
                _ => response,
            };
            let response = self.tagged(response);
            return self.respond(now, id, &response);
        }
        if let Some(until) = self.registrar.bindings(&extension).iter().map(|binding| binding.until).max() {
            let (sender, limits) = (Source::of(source.remote.ip()), self.settings.limits);
            self.sources.registered(now, sender, until, &limits);
        }
        let mut response = request.respond(Status(200));
        for (name, value) in listed(now, self.registrar.bindings(&extension)) {
            response = response.with(name, value);
        }
        let response = self.tagged(response);
        self.respond(now, id, &response);
        self.turned(extension, before);
    }
}
