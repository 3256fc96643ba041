//! Who sends a request: a carrier by its address, a phone by its password.

use crate::{
    Core, Flow,
    digest::{Authorization, Challenge, Protected, Quality, Staleness},
    message::{Name, Request, Status},
    sources::{Offence, Source},
    transaction::TransactionId,
};
use route_api::Endpoint;
use types::{Extension, Monotonic};

impl Core {
    /// The carrier that sends from there.
    /// Where several trunks lead to one carrier, the account that is called tells which.
    pub(super) fn trunk(&self, source: Flow, request: &Request) -> Option<Endpoint> {
        let first = self.trunk_at(source)?;
        let called = request.uri.number();
        let is_called = |trunk: &&crate::Trunk| {
            let user = trunk.account.as_ref().map(|account| account.user.as_bytes());
            user.is_some() && user == called.as_deref()
        };
        let same = |trunk: &&crate::Trunk| {
            trunk.network == first.network && trunk.sends_from(source.protocol, source.remote)
        };
        let trunk = self.settings.trunks.iter().filter(same).find(is_called).unwrap_or(first);
        Some(Endpoint::Trunk(trunk.id.clone()))
    }

    /// The phone that the request proves to come from; else challenges it (RFC 3261 §22.2) and gives `None`.
    /// An extension that does not exist is challenged like one that does.
    pub(super) fn prove(
        &mut self,
        now: Monotonic,
        id: TransactionId,
        source: Flow,
        request: &Request,
    ) -> Option<Extension> {
        let values = request.head.headers.all(&Name::Authorization);
        let answers: Vec<Authorization> = values.filter_map(Authorization::parse).collect();
        let mut stale = false;
        let (sender, limits) = (Source::of(source.remote.ip()), self.settings.limits);
        for answer in answers {
            if self.sources.is_locked_out(now, sender, &answer.user, &limits) {
                // Whoever guesses learns nothing more, not even of a right guess.
                self.counters.unproved += 1;
                let response = self.tagged(request.respond(Status(403))).with(Name::RetryAfter, "600");
                self.respond(now, id, &response);
                return None;
            }
            let Some(extension) = self.proved_by(&answer, source, request) else {
                self.disproved(now, sender, &answer);
                continue;
            };
            match self.nonces.admit(now, &answer.nonce, answer.count) {
                Staleness::Fresh => {
                    self.sources.forgive(sender, &answer.user);
                    return Some(extension);
                }
                // The password was right, only the nonce was not one to take: no need to ask a person again.
                Staleness::Stale | Staleness::Foreign => stale = true,
            }
        }
        self.counters.unproved += 1;
        self.sources.note(now, sender, Offence::Unanswered, &limits);
        let mut response = request.respond(Status(401));
        for algorithm in self.settings.algorithms.clone() {
            let challenge = Challenge {
                realm: self.settings.realm.clone().into_bytes(),
                nonce: self.nonces.issue(now, self.random.bytes()),
                algorithm,
                session: false,
                opaque: None,
                quality: Some(Quality::Auth),
                stale,
            };
            response = response.with(Name::WwwAuthenticate, challenge.to_bytes());
        }
        let response = self.tagged(response);
        self.respond(now, id, &response);
        None
    }

    /// Holds a wrong answer against its source: only one to a nonce of ours, which a forged sender never saw.
    fn disproved(&mut self, now: Monotonic, source: Source, answer: &Authorization) {
        if !self.nonces.is_ours(&answer.nonce) {
            return;
        }
        let limits = self.settings.limits;
        let named = |phone: &crate::Phone| phone.extension.0.as_str().as_bytes() == answer.user;
        let known = self.settings.phones.iter().any(named);
        self.sources.note(now, source, if known { Offence::Password } else { Offence::User }, &limits);
        // Of a user that there is not as well: being locked out does not tell who there is.
        self.sources.wrong(now, source, &answer.user, &limits);
    }

    /// The phone whose password made that answer for this request.
    fn proved_by(&self, answer: &Authorization, source: Flow, request: &Request) -> Option<Extension> {
        let named = |phone: &&crate::settings::Phone| phone.extension.0.as_str().as_bytes() == answer.user;
        let phone = self.settings.phones.iter().find(named)?;
        let protected = Protected { method: request.method.as_bytes(), body: &request.body };
        let listener = self.settings.listeners.get(usize::from(source.listener))?;
        let taken = phone.network == listener.network
            && answer.realm == self.settings.realm.as_bytes()
            && self.settings.algorithms.contains(&answer.algorithm)
            // RFC 7616 §3.4.6: the digest must be for this very resource.
            && answer.uri == request.uri.to_bytes()
            && answer.proves(&phone.password, protected);
        taken.then(|| phone.extension.clone())
    }
}
