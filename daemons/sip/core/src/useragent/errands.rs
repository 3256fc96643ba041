//! What trunks want by themselves: REGISTER (RFC 3261 §10.2), and OPTIONS as the question for a sign of life.

use super::ALLOW;
use super::attempt::proof_fields;
use crate::{
    Core, Flow,
    digest::{Challenge, Protected, next_nonce},
    message::{CSeq, Contacts, Head, Headers, Method, Name, NameAddr, Request, Response, Uri, seconds},
    settings::{Account, Trunk},
    transaction::TransactionId,
    trunk::{Due, Errand, Health, Nonce, Standing, Then},
};
use route_api::{
    Endpoint, RegistrationStanding, SignallingEvent, TargetHealth, TargetStanding, Trouble, TrunkStanding,
};
use std::time::Duration;
use types::{Monotonic, TrunkId};

/// The shortest lifetime that a registrar is believed.
const LEAST: u32 = 10;

impl Core {
    /// Does what trunks have due.
    pub(crate) fn errands_due(&mut self, now: Monotonic) {
        while let Some((id, due)) = self.trunks.due(now) {
            let Some(trunk) = self.settings.trunks.iter().find(|trunk| trunk.id == id).cloned() else {
                continue;
            };
            match due {
                Due::Register(target) => self.register_at(now, &trunk, target),
                Due::Ask(target) => self.ask_target(now, &trunk, target),
                Due::Missed(target) => self.missed(now, &trunk, target, Trouble::Silent),
            }
        }
    }

    /// A response to an errand; `false` where it is none.
    pub(super) fn errand_answered(&mut self, now: Monotonic, id: TransactionId, response: &Response) -> bool {
        if self.phone_answered(now, id, response) {
            return true;
        }
        let Some((trunk, errand)) = self.errand(id) else { return false };
        if response.status.is_provisional() {
            return true;
        }
        match errand {
            Errand::Registration => self.register_answered(now, &trunk, response),
            Errand::Check(at) => {
                let status = response.status.0;
                self.trunks.change(&trunk.id, |standing| {
                    if let Some((target, check)) = standing.targets.get_mut(at).zip(trunk.check) {
                        target.answered(now, status, check);
                    }
                });
            }
        }
        true
    }

    /// No response came to an errand; `None`: its connection failed, and the target knows why.
    pub(super) fn errand_failed(&mut self, now: Monotonic, id: TransactionId, why: Option<Trouble>) -> bool {
        if self.phone_unheard(now, id, why) {
            return true;
        }
        let Some((trunk, errand)) = self.errand(id) else { return false };
        let at = match errand {
            Errand::Check(at) => at,
            Errand::Registration => self.register_target(&trunk.id),
        };
        let known = self.trunks.get(&trunk.id).and_then(|s| s.targets.get(at)).and_then(|t| t.error);
        let why = why.or(known).unwrap_or(Trouble::Unreachable);
        match errand {
            Errand::Registration => self.register_failed(now, &trunk, why, None),
            Errand::Check(at) => self.missed(now, &trunk, at, why),
        }
        true
    }

    /// Tells route how every trunk stands.
    pub(crate) fn tell_standings(&mut self) {
        let all: Vec<TrunkId> = self.trunks.iter().map(|(id, _)| id.clone()).collect();
        all.iter().for_each(|id| self.tell_standing(id));
    }

    /// Tells route how a trunk stands, and whether calls can go over it where that is news.
    pub(crate) fn tell_standing(&mut self, id: &TrunkId) {
        let Some(check) = self.settings.trunks.iter().find(|trunk| trunk.id == *id).map(|t| t.check) else {
            return;
        };
        if let Some(reachable) = self.trunks.news(id, check) {
            self.event(SignallingEvent::Reachable { endpoint: Endpoint::Trunk(id.clone()), reachable });
        }
        if let Some(standing) = self.trunks.get(id).map(shown) {
            self.event(SignallingEvent::Standing { trunk: id.clone(), standing });
        }
    }

    fn errand(&self, id: TransactionId) -> Option<(Trunk, Errand)> {
        let (id, errand) = self.trunks.errand(id)?;
        let trunk = self.settings.trunks.iter().find(|trunk| trunk.id == id)?;
        Some((trunk.clone(), errand))
    }

    fn register_target(&self, id: &TrunkId) -> usize {
        let registration = self.trunks.get(id).and_then(|standing| standing.registration.as_ref());
        registration.map_or(0, |registration| registration.target())
    }

    fn ask_target(&mut self, now: Monotonic, trunk: &Trunk, at: usize) {
        let flow = trunk.targets.get(at).and_then(|remote| self.toward(trunk, trunk.protocol, *remote));
        let Some(flow) = flow else { return self.missed(now, trunk, at, Trouble::Address) };
        let uri = Uri::at(None, flow.remote).over(trunk.protocol);
        let from = NameAddr::new(Uri::at(None, self.advertised(flow)));
        let headers = Headers::default().with(Name::Allow, ALLOW);
        let call_id = self.random.word();
        let request =
            self.errand_request(Method::Options, flow, uri.clone(), (from, uri), (call_id, 1), headers);
        let transaction = self.transactions.request(now, request, flow, None);
        self.trunks.change(&trunk.id, |standing| {
            if let Some(target) = standing.targets.get_mut(at) {
                target.ask(now, transaction);
            }
        });
    }

    fn missed(&mut self, now: Monotonic, trunk: &Trunk, at: usize, why: Trouble) {
        self.trunks.change(&trunk.id, |standing| {
            if let Some((target, check)) = standing.targets.get_mut(at).zip(trunk.check) {
                target.missed(now, why, check);
            }
        });
    }

    fn register_at(&mut self, now: Monotonic, trunk: &Trunk, at: usize) {
        let Some(account) = &trunk.account else { return };
        let flow = trunk.targets.get(at).and_then(|remote| self.toward(trunk, trunk.protocol, *remote));
        let Some(flow) = flow else { return self.register_failed(now, trunk, Trouble::Address, None) };
        let fresh = self.random.word();
        let next = self.trunks.change(&trunk.id, |standing| {
            let registration = standing.registration.as_mut()?;
            Some((registration.next(at, || fresh), registration.nonce()))
        });
        let Some(Some(((call_id, number, expires), nonce))) = next else { return };
        let aor = Uri::at(Some(account.user.as_bytes()), flow.remote).named(&account.domain);
        let registrar = Uri::at(None, flow.remote).named(&account.domain);
        let mut headers = Headers::default()
            .with(Name::Contact, self.contact_of(Some(account.user.as_bytes()), flow))
            .with(Name::Expires, expires.as_secs().to_string())
            .with(Name::Allow, ALLOW);
        if let Some((nonce, count)) = nonce {
            let protected = Protected { method: Method::Register.as_bytes(), body: b"" };
            let cnonce = self.random.word();
            let uri = registrar.to_bytes();
            let answer = nonce.challenge.answer_again(count, &account.credentials, uri, cnonce, protected);
            headers.push(nonce.field, answer.to_bytes());
        }
        let from = NameAddr::new(aor.clone());
        let request =
            self.errand_request(Method::Register, flow, registrar, (from, aor), (call_id, number), headers);
        let transaction = self.transactions.request(now, request, flow, None);
        self.trunks.change(&trunk.id, |standing| {
            if let Some(registration) = &mut standing.registration {
                registration.ask(now, transaction);
            }
        });
    }

    fn register_answered(&mut self, now: Monotonic, trunk: &Trunk, response: &Response) {
        let headers = &response.head.headers;
        match response.status.0 {
            200..300 => self.granted(now, trunk, response),
            status @ (401 | 407) => {
                let (asked, field) = proof_fields(status);
                let challenges = headers.all(&asked).filter_map(Challenge::parse);
                let Some(challenge) = Challenge::strongest(challenges) else {
                    return self.register_failed(now, trunk, Trouble::Algorithm, None);
                };
                let then = self.trunks.change(&trunk.id, |standing| {
                    let registration = standing.registration.as_mut()?;
                    Some(registration.challenged(Nonce { challenge, field }))
                });
                match then.flatten() {
                    Some(Then::Again) => self.register_at(now, trunk, self.register_target(&trunk.id)),
                    _ => self.register_failed(now, trunk, Trouble::Password, None),
                }
            }
            423 => {
                let least = headers.first(&Name::MinExpires).and_then(seconds).unwrap_or(0);
                let least = Duration::from_secs(u64::from(least));
                let then = self.trunks.change(&trunk.id, |standing| {
                    standing.registration.as_mut().map(|registration| registration.brief(least))
                });
                match then.flatten() {
                    Some(Then::Again) => self.register_at(now, trunk, self.register_target(&trunk.id)),
                    _ => self.register_failed(now, trunk, Trouble::Status(423), None),
                }
            }
            status => {
                // RFC 3261 §20.33: a comment and parameters may follow the seconds.
                let digits = |value: &[u8]| value.iter().take_while(|b| b.is_ascii_digit()).count();
                let after = headers.first(&Name::RetryAfter).and_then(|v| seconds(&v[..digits(v)]));
                let after = after.map(|after| Duration::from_secs(u64::from(after)));
                self.register_failed(now, trunk, Trouble::Status(status), after);
            }
        }
    }

    fn granted(&mut self, now: Monotonic, trunk: &Trunk, response: &Response) {
        let headers = &response.head.headers;
        let Some(account) = &trunk.account else { return };
        let lifetime = self.lifetime(trunk, account, response);
        let routes = headers.all(&Name::ServiceRoute).map(<[u8]>::to_vec).collect();
        let next = headers.first(&Name::AuthenticationInfo).and_then(next_nonce);
        let jitter = self.jitter();
        self.trunks.change(&trunk.id, |standing| {
            if let Some(registration) = &mut standing.registration {
                registration.granted(now, lifetime, jitter);
                registration.service_route = routes;
                if let Some(nonce) = next {
                    registration.renonce(nonce);
                }
            }
        });
    }

    /// For how long a 200 says that we are registered: at our Contact, else in Expires, else as we wished.
    fn lifetime(&self, trunk: &Trunk, account: &Account, response: &Response) -> Duration {
        let headers = &response.head.headers;
        let ours = trunk.targets.iter().filter_map(|remote| self.toward(trunk, trunk.protocol, *remote));
        let ours: Vec<_> = ours.map(|flow| self.advertised(flow)).collect();
        let is_ours = |contact: &NameAddr| {
            contact.uri.number().as_deref() == Some(account.user.as_bytes())
                && contact.uri.socket_addr().is_some_and(|addr| ours.contains(&addr))
        };
        let contacts = match headers.contacts() {
            Ok(Contacts::Listed(contacts)) => contacts,
            Ok(Contacts::Star) | Err(_) => Vec::new(),
        };
        // A carrier that knows us under several Contacts lists them all; one that rewrites them lists one.
        let own = contacts.iter().find(|contact| is_ours(contact));
        let own = own.or(if contacts.len() == 1 { contacts.first() } else { None });
        let told = own.and_then(|contact| contact.params.value("expires")).and_then(seconds);
        match told.or(headers.expires()) {
            Some(seconds) => Duration::from_secs(u64::from(seconds.max(LEAST))),
            None => account.register.unwrap_or(Duration::from_secs(3_600)),
        }
    }

    fn register_failed(&mut self, now: Monotonic, trunk: &Trunk, why: Trouble, after: Option<Duration>) {
        let (jitter, targets) = (self.jitter(), trunk.targets.len());
        let then = self.trunks.change(&trunk.id, |standing| {
            let registration = standing.registration.as_mut()?;
            Some(registration.failed(now, why, after, targets, jitter))
        });
        if then.flatten() == Some(Then::Again) {
            self.register_at(now, trunk, self.register_target(&trunk.id));
        }
    }

    pub(super) fn errand_request(
        &mut self,
        method: Method,
        flow: Flow,
        uri: Uri,
        (from, to): (NameAddr, Uri),
        (call_id, number): (Vec<u8>, u32),
        rest: Headers,
    ) -> Request {
        let mut headers = Headers::default().with(Name::MaxForwards, "70");
        for (name, value) in rest.iter() {
            headers.push(name.clone(), value);
        }
        let head = Head {
            vias: vec![self.via(flow)],
            from: from.tagged(&self.random.tag()),
            to: NameAddr::new(to),
            call_id,
            cseq: CSeq { number, method: method.clone() },
            headers,
        };
        Request { method, uri, head, body: Vec::new() }
    }

    fn jitter(&mut self) -> f64 {
        f64::from(self.random.bytes()[0]) / 255.0
    }
}

fn shown(standing: &Standing) -> TrunkStanding {
    let registration = standing.registration.as_ref();
    let targets = standing.targets.iter().map(|target| TargetStanding {
        address: target.address.to_string(),
        health: match target.health {
            Health::Unknown => TargetHealth::Unknown,
            Health::Up => TargetHealth::Up,
            Health::Down => TargetHealth::Down,
        },
        round_trip_us: target.round_trip.and_then(|time| u64::try_from(time.as_micros()).ok()),
        error: target.error,
    });
    TrunkStanding {
        registration: match registration {
            None => RegistrationStanding::None,
            Some(registration) if registration.is_registered() => RegistrationStanding::Registered,
            Some(_) => RegistrationStanding::Unregistered,
        },
        error: registration.and_then(|registration| registration.error),
        targets: targets.collect(),
    }
}
