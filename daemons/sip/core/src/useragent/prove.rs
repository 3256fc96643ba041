//! Who sends a request: a carrier by its address, a phone by its password.

use crate::{
    Core, Flow,
    digest::{Authorization, Challenge, Protected, Quality, Staleness},
    message::{Name, Request, Status},
    transaction::TransactionId,
};
use route_api::Endpoint;
use types::{Extension, Monotonic};

impl Core {
    /// The carrier that sends from there.
    pub(super) fn trunk(&self, source: Flow) -> Option<Endpoint> {
        let trunk = self.settings.trunks.iter().find(|trunk| trunk.address == source.remote)?;
        Some(Endpoint::Trunk(trunk.id.clone()))
    }

    /// The phone that the request proves to come from; else challenges it (RFC 3261 §22.2) and gives `None`.
    /// An extension that does not exist is challenged like one that does.
    pub(super) fn prove(
        &mut self,
        now: Monotonic,
        id: TransactionId,
        request: &Request,
    ) -> Option<Extension> {
        let values = request.head.headers.all(&Name::Authorization);
        let answers: Vec<Authorization> = values.filter_map(Authorization::parse).collect();
        let mut stale = false;
        for answer in answers {
            let Some(extension) = self.proved_by(&answer, request) else { continue };
            match self.nonces.admit(now, &answer.nonce, answer.count) {
                Staleness::Fresh => return Some(extension),
                // The password was right, only the nonce was not one to take: no need to ask a person again.
                Staleness::Stale | Staleness::Foreign => stale = true,
            }
        }
        self.counters.unproved += 1;
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

    /// The phone whose password made that answer for this request.
    fn proved_by(&self, answer: &Authorization, request: &Request) -> Option<Extension> {
        let named = |phone: &&crate::settings::Phone| phone.extension.0.as_str().as_bytes() == answer.user;
        let phone = self.settings.phones.iter().find(named)?;
        let protected = Protected { method: request.method.as_bytes(), body: &request.body };
        let taken = answer.realm == self.settings.realm.as_bytes()
            && self.settings.algorithms.contains(&answer.algorithm)
            // RFC 7616 §3.4.6: the digest must be for this very resource.
            && answer.uri == request.uri.to_bytes()
            && answer.proves(&phone.password, protected);
        taken.then(|| phone.extension.clone())
    }
}
