//! A call that goes out: the ways to its party, one after another, and the proof that a carrier asks for.
//!
//! ```text
//!   first way ──no answer within 6 s (the last one: as long as route says), no connection, 408, 503, 504──► next way … ──► over
//!      │ 401, 407: once more with a proof; 422: once more for a longer session
//!      │ larger than a datagram should be: by TCP; where that fails, the same target by UDP (RFC 3261 §18.1.1)
//! ```

use super::cause;
use super::leg::{Leg, State};
use super::outbound::Call;
use super::session_timer;
use crate::{
    Core, Flow,
    dialog::Dialog,
    digest::{Challenge, Protected},
    flow::Protocol,
    message::{Method, Name, NameAddr, Request, Response, Uri},
    registrar::Binding,
    settings::Trunk,
    transaction::TransactionId,
};
use mutant::mutant;
use route_api::{Cause, EndedBy, Endpoint, Trouble};
use serde::{Deserialize, Serialize};
use std::{collections::VecDeque, net::SocketAddr, time::Duration};
use types::{LegId, Monotonic};

/// How long a target may say nothing at all while there is another one to try.
const PATIENCE: Duration = Duration::from_secs(6);
/// Larger requests go by a stream (RFC 3261 §18.1.1: 200 bytes below the smallest usual MTU).
const DATAGRAM: usize = 1_300;
/// How often one call is asked for again where its far side wants to be asked otherwise: it may call a nonce stale
/// once, and a session too brief once before and once after that.
const REPEATS: u32 = 4;

/// One way to a party.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Way {
    pub(super) uri: Uri,
    pub(super) flow: Flow,
    pub(super) told: Told,
}

/// Who told us of a way.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Told {
    /// The settings, or a phone that registered.
    House,
    /// A response that sends us elsewhere (RFC 3261 §8.1.3.4).
    Redirection,
}

/// What is left to be tried.
#[derive(Clone, Default, Serialize, Deserialize)]
pub(super) struct Attempt {
    pub(super) rest: VecDeque<Way>,
    /// Until when the present way may be silent; `None` once it has answered, and for the last one.
    pub(super) patience: Option<Monotonic>,
    repeats: u32,
    /// How long the last one may be silent, where route has yet another trunk.
    silence: Option<Duration>,
    /// Where we were sent so far.
    pub(super) redirections: Vec<Uri>,
}

impl Attempt {
    pub(super) fn begin(now: Monotonic, rest: VecDeque<Way>, silence: Option<Duration>) -> Self {
        let mut attempt = Self { rest, patience: None, repeats: 0, silence, redirections: Vec::new() };
        attempt.patience = attempt.until(now);
        attempt
    }

    /// Until when the way that is tried from now on may be silent.
    fn until(&self, now: Monotonic) -> Option<Monotonic> {
        let last = self.silence.filter(|_| !mutant("sip-silence-endless"));
        let patience = if self.rest.is_empty() { last } else { Some(PATIENCE) };
        patience.map(|patience| now.plus(patience))
    }
}

impl Core {
    /// Whom to ask and over which paths, in order; none for a trunk that there is not or that is down, and for
    /// a phone that is not there.
    pub(super) fn ways(&self, call: &Call) -> VecDeque<Way> {
        match &call.over {
            Endpoint::Phone(extension) => {
                let binding = self.registrar.binding(extension);
                let way = |b: &Binding| Way { uri: b.contact.clone(), flow: b.flow, told: Told::House };
                binding.map(way).into_iter().collect()
            }
            Endpoint::Trunk(id) => {
                let trunk = self.settings.trunks.iter().find(|trunk| trunk.id == *id);
                let Some((trunk, standing)) = trunk.zip(self.trunks.get(id)) else { return VecDeque::new() };
                let way = |remote| {
                    let flow = self.toward(trunk, trunk.protocol, remote)?;
                    let uri = Uri::at(Some(call.number.as_bytes()), remote).over(trunk.protocol);
                    let uri = match &trunk.account {
                        Some(account) => uri.named(&account.domain),
                        None => uri,
                    };
                    Some(Way { uri, flow, told: Told::House })
                };
                standing.candidates().filter_map(way).collect()
            }
        }
    }

    /// The path from our address on a trunk's network to an address of the carrier.
    pub(crate) fn toward(&self, trunk: &Trunk, protocol: Protocol, remote: SocketAddr) -> Option<Flow> {
        let fits = |listener: &crate::Listener| {
            listener.network == trunk.network
                && listener.protocol == protocol
                && listener.advertised.is_ipv4() == remote.is_ipv4()
        };
        let listener = u8::try_from(self.settings.listeners.iter().position(fits)?).ok()?;
        Some(match protocol {
            Protocol::Udp => Flow::udp(listener, remote),
            Protocol::Tcp | Protocol::Tls => Flow::stream(listener, protocol, remote),
        })
    }

    /// The INVITE for a way; by TCP where it is too large for a datagram and the carrier has taken TCP so far.
    pub(super) fn widened(
        &mut self,
        now: Monotonic,
        way: Way,
        call: &Call,
        rest: &mut VecDeque<Way>,
    ) -> (Request, Flow) {
        let invite = self.invite(way.uri.clone(), way.flow, call);
        if way.flow.protocol != Protocol::Udp || invite.to_bytes().len() <= DATAGRAM {
            return (invite, way.flow);
        }
        let Endpoint::Trunk(id) = &call.over else { return (invite, way.flow) };
        let trunk = self.settings.trunks.iter().find(|trunk| trunk.id == *id);
        let wide = trunk.and_then(|trunk| self.toward(trunk, Protocol::Tcp, way.flow.remote));
        match wide {
            Some(flow) if !self.trunks.is_narrow(now, id, flow.remote) => {
                let invite = self.invite(way.uri.clone(), flow, call);
                rest.push_front(way);
                (invite, flow)
            }
            _ => (invite, way.flow),
        }
    }

    /// The URI that stands in From: within the carrier's domain where we have an account there.
    pub(super) fn caller_uri(&self, over: &Endpoint, number: &str, flow: Flow) -> Uri {
        let uri = Uri::at(Some(number.as_bytes()), self.advertised(flow));
        match self.trunk_of(over).and_then(|trunk| trunk.account.as_ref()) {
            Some(account) => uri.named(&account.domain),
            None => uri,
        }
    }

    /// The routes that a registrar gave us for requests of ours (RFC 3608).
    pub(super) fn service_route(&self, over: &Endpoint) -> Vec<Vec<u8>> {
        let Endpoint::Trunk(id) = over else { return Vec::new() };
        let registration = self.trunks.get(id).and_then(|standing| standing.registration.as_ref());
        registration.map(|registration| registration.service_route.clone()).unwrap_or_default()
    }

    /// The present way has not said anything in time.
    pub(super) fn unheard(&mut self, now: Monotonic, id: LegId, leg: Leg) {
        self.met(now, &leg, Some(Trouble::Silent));
        let Some(leg) = self.next_way(now, id, leg) else { return };
        match leg.state {
            State::Dialing(dialing) if dialing.attempt.silence.is_some() => {
                self.cancel(now, id, leg.over, &dialing, Cause::RecoveryOnTimerExpiry);
                self.ended(now, id, leg.kept, Cause::RecoveryOnTimerExpiry, EndedBy::Failure);
            }
            State::Dialing(mut dialing) => {
                dialing.attempt.patience = None;
                self.legs.put(id, Leg { state: State::Dialing(dialing), ..leg });
            }
            other => self.legs.put(id, Leg { state: other, ..leg }),
        }
    }

    /// A final response that is no 2xx to our INVITE.
    pub(super) fn refused(
        &mut self,
        now: Monotonic,
        transaction: TransactionId,
        id: LegId,
        mut leg: Leg,
        response: &Response,
    ) {
        let status = response.status;
        let home =
            self.transactions.sent(transaction).is_none_or(|(_, flow)| self.is_place_of(&leg.over, flow));
        if let State::Dialing(dialing) = &mut leg.state
            && dialing.attempt.repeats < REPEATS
            && let Some(again) = match status.0 {
                401 | 407 if home || dialing.attempt.redirections.is_empty() => {
                    self.proved_again(now, transaction, Some(id), response, None)
                }
                422 => self.asked_longer(now, transaction, id, response),
                _ => None,
            }
        {
            dialing.transaction = again;
            dialing.attempt.repeats += 1;
            self.forget_early(now, &mut dialing.early);
            return self.legs.put(id, leg);
        }
        if matches!(status.0, 301 | 302 | 305) {
            match self.redirected(now, id, leg, response) {
                None => return,
                Some(back) => leg = back,
            }
        }
        // RFC 3263 §4.3: this server cannot, another may.
        if matches!(status.0, 408 | 503 | 504) {
            self.met(now, &leg, Some(Trouble::Status(status.0)));
            match self.next_way(now, id, leg) {
                None => return,
                Some(back) => leg = back,
            }
        }
        let cause = cause::of_refusal(status, &response.head.headers);
        if let State::Dialing(dialing) = &mut leg.state {
            self.forget_early(now, &mut dialing.early);
        }
        self.ended(now, id, leg.kept, cause, EndedBy::Peer);
    }

    /// A request could not be sent, or its connection broke.
    pub(crate) fn failed(&mut self, now: Monotonic, transaction: TransactionId, leg: Option<LegId>) {
        if leg.is_none() && self.errand_failed(now, transaction, None) {
            return;
        }
        let Some((id, leg)) = leg.and_then(|leg| Some((leg, self.legs.take(leg)?))) else { return };
        match &leg.state {
            State::Dialing(dialing) if dialing.transaction == transaction => {
                if let Some(leg) = self.next_way(now, id, leg) {
                    self.ended(now, id, leg.kept, Cause::NetworkOutOfOrder, EndedBy::Failure);
                }
            }
            State::Cancelling { transaction: invite, .. } if *invite == transaction => {}
            _ => self.legs.put(id, leg),
        }
    }

    /// The same request once more, with the proof that the response asks for (RFC 3261 §22.2); `None` where we
    /// have none, or it was given already. Within a dialog it is one of its requests, and takes the next number of
    /// that: one that went out meanwhile may have the next but one (§12.2.1.1).
    pub(super) fn proved_again(
        &mut self,
        now: Monotonic,
        transaction: TransactionId,
        leg: Option<LegId>,
        response: &Response,
        dialog: Option<&mut Dialog>,
    ) -> Option<TransactionId> {
        let (mut request, flow) = self.transactions.sent(transaction)?;
        // A dialog may lead to another address of the carrier than the call did: its domain stands in From.
        let trunks = || self.settings.trunks.iter();
        let by_address = trunks().find(|trunk| trunk.targets.contains(&flow.remote));
        let by_domain = || trunks().find(|trunk| trunk.is_domain(&request.head.from.uri));
        let trunk = by_address.or_else(|| self.trunk_at(flow)).or_else(by_domain)?;
        let credentials = trunk.account.as_ref()?.credentials.clone();
        let (asked, told) = proof_fields(response.status.0);
        let challenge = Challenge::strongest(response.head.headers.all(&asked).filter_map(Challenge::parse))?;
        if request.head.headers.first(&told).is_some() && !challenge.stale {
            return None;
        }
        let protected = Protected { method: request.method.as_bytes(), body: &request.body };
        let uri = request.uri.to_bytes();
        let answer = challenge.answer(&credentials, uri, self.random.word(), protected).to_bytes();
        request.head.headers.remove(&told);
        request.head.headers.push(told, answer);
        request.head.cseq.number = match dialog.filter(|_| !mutant("sip-proof-number-forgotten")) {
            Some(dialog) => dialog.next_number(),
            None => request.head.cseq.number.saturating_add(1),
        };
        request.head.vias = vec![self.via(flow)];
        self.transactions.request(now, request, flow, leg)
    }

    /// The same INVITE once more, for a session as long as the far side wants (RFC 4028 §7.4); `None` where it wants none
    /// longer than was asked for.
    fn asked_longer(
        &mut self,
        now: Monotonic,
        transaction: TransactionId,
        leg: LegId,
        response: &Response,
    ) -> Option<TransactionId> {
        let (mut request, flow) = self.transactions.sent(transaction)?;
        if mutant("sip-brief-session-repeated")
            || !session_timer::ask_longer(&mut request.head.headers, response)
        {
            return None;
        }
        request.head.cseq.number = request.head.cseq.number.saturating_add(1);
        request.head.vias = vec![self.via(flow)];
        self.transactions.request(now, request, flow, Some(leg))
    }

    /// Proves a request of a leg that nothing hangs on (NOTIFY, BYE): a carrier may want a proof with each, and
    /// a BYE without one would leave its side talking.
    pub(super) fn prove_within(&mut self, now: Monotonic, transaction: TransactionId, response: &Response) {
        let tag = response.head.from.tag().unwrap_or_default();
        let taken = self.legs.tagged(tag).and_then(|id| Some((id, self.legs.take(id)?)));
        let Some((id, mut leg)) = taken else {
            // Its leg is over, and nothing more is asked in its dialog.
            self.proved_again(now, transaction, None, response, None);
            return;
        };
        let dialog = match &mut leg.state {
            State::Established(established) => Some(&mut established.dialog),
            _ => None,
        };
        let dialog = dialog.filter(|dialog| dialog.name().0 == response.head.call_id);
        self.proved_again(now, transaction, None, response, dialog);
        self.legs.put(id, leg);
    }

    /// An INVITE that nobody waits for rings after all.
    pub(super) fn withdraw(&mut self, now: Monotonic, id: TransactionId) {
        let branch = self.transactions.invite(id).and_then(|(invite, _)| {
            invite.request().head.vias.first().and_then(|via| via.branch()).map(<[u8]>::to_vec)
        });
        if branch.is_some_and(|branch| !self.transactions.is_sent(&branch, Method::Cancel)) {
            self.send_cancel(now, id, &cause::reason(Cause::NormalClearing));
        }
    }

    /// Tries the next way; gives the leg back where there is none.
    pub(super) fn next_way(&mut self, now: Monotonic, id: LegId, mut leg: Leg) -> Option<Leg> {
        let State::Dialing(dialing) = &mut leg.state else { return Some(leg) };
        if mutant("sip-no-fail-over") {
            return Some(leg);
        }
        let Some(way) = dialing.attempt.rest.pop_front() else { return Some(leg) };
        let Some((mut request, _)) = self.transactions.sent(dialing.transaction) else { return Some(leg) };
        request.head.vias = vec![self.via(way.flow)];
        request.head.headers.remove(&Name::Contact);
        request.head.headers.push(Name::Contact, self.contact(way.flow));
        request.head.headers.remove(&Name::Authorization);
        request.head.headers.remove(&Name::ProxyAuthorization);
        match way.told {
            Told::House => request.head.to = NameAddr::new(way.uri.clone()),
            // Another request to whoever it may be, of the same call: To stays (RFC 3261 §8.1.3.4).
            Told::Redirection => {
                request.head.cseq.number = request.head.cseq.number.saturating_add(1);
                request.head.headers.remove(&Name::Route);
            }
        }
        request.uri = way.uri;
        let Some(transaction) = self.transactions.request(now, request, way.flow, Some(id)) else {
            self.counters.no_room += 1;
            return Some(leg);
        };
        self.transactions.abandon(dialing.transaction);
        dialing.transaction = transaction;
        self.forget_early(now, &mut dialing.early);
        dialing.attempt.patience = dialing.attempt.until(now);
        match way.told {
            Told::House => self.counters.failed_over += 1,
            Told::Redirection => self.counters.redirected += 1,
        }
        self.legs.put(id, leg);
        None
    }

    /// Notes at the trunk's target how a call to it went.
    pub(super) fn met(&mut self, now: Monotonic, leg: &Leg, trouble: Option<Trouble>) {
        let State::Dialing(dialing) = &leg.state else { return };
        let Some(own) = self.trunk_of(&leg.over).map(|trunk| trunk.protocol) else { return };
        let Some((_, flow)) = self.transactions.invite(dialing.transaction) else { return };
        if let Endpoint::Trunk(id) = &leg.over {
            self.trunks.met(now, id, flow.remote, flow.protocol, trouble, own);
        }
    }

    pub(super) fn trunk_of(&self, over: &Endpoint) -> Option<&Trunk> {
        match over {
            Endpoint::Trunk(id) => self.settings.trunks.iter().find(|trunk| trunk.id == *id),
            Endpoint::Phone(_) => None,
        }
    }
}

/// Where a challenge of that status stands, and where its answer.
pub(super) fn proof_fields(status: u16) -> (Name, Name) {
    match status {
        407 => (Name::ProxyAuthenticate, Name::ProxyAuthorization),
        _ => (Name::WwwAuthenticate, Name::Authorization),
    }
}
