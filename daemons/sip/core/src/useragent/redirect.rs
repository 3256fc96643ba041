//! 301, 302 and 305: a carrier sends a call elsewhere (RFC 3261 §8.1.3.4).
//!
//! Followed only as far as the settings let a trunk go, for whoever sends our calls about spends our money: never
//! by a phone, by default not at all, to no place twice, and not without an end.

use super::attempt::{Attempt, Told, Way};
use super::leg::{Leg, State};
use crate::{
    Core, Flow,
    flow::Protocol,
    message::{Contacts, NameAddr, Response, Scheme, Uri},
    settings::{Redirects, Trunk},
};
use mutant::mutant;
use route_api::Endpoint;
use std::cmp::Reverse;
use types::{LegId, Monotonic};

/// The most places to which one call is sent, over all that send it.
const MOST: usize = 5;

impl Core {
    /// Goes where the response says; gives the leg back where it must not, or cannot.
    pub(super) fn redirected(
        &mut self,
        now: Monotonic,
        id: LegId,
        mut leg: Leg,
        response: &Response,
    ) -> Option<Leg> {
        let Some(trunk) = self.trunk_of(&leg.over).cloned() else { return Some(leg) };
        if trunk.redirects == Redirects::Refused && !mutant("sip-redirected-anywhere") {
            return Some(leg);
        }
        let State::Dialing(dialing) = &mut leg.state else { return Some(leg) };
        let Some((invite, flow)) = self.transactions.sent(dialing.transaction) else { return Some(leg) };
        for contact in listed(response) {
            // To a proxy goes what was asked, to another place what it is called there.
            let uri = if response.status.0 == 305 { invite.uri.clone() } else { plain(contact.uri.clone()) };
            let Some(flow) = self.place(&trunk, &contact.uri, flow) else { continue };
            dialing.attempt.send_to(Way { uri, flow, told: Told::Redirection }, contact.uri);
        }
        dialing.attempt.turn();
        if dialing.attempt.rest.is_empty() { Some(leg) } else { self.next_way(now, id, leg) }
    }

    /// Whether an address is one that a trunk may be challenged from: elsewhere its password is not even hashed.
    pub(super) fn is_place_of(&self, over: &Endpoint, flow: Flow) -> bool {
        self.trunk_of(over).is_none_or(|trunk| is_of_trunk(trunk, flow))
    }

    /// The path to a Contact, where a call of that trunk may go there.
    fn place(&self, trunk: &Trunk, uri: &Uri, present: Flow) -> Option<Flow> {
        let Uri::Sip(sip) = uri else { return None };
        if sip.scheme == Scheme::Sips && trunk.protocol != Protocol::Tls {
            return None;
        }
        let Some(address) = uri.socket_addr() else {
            // A name is known as the carrier's or not at all: nothing here looks names up.
            return trunk.is_domain(uri).then_some(present);
        };
        let flow = self.toward(trunk, trunk.protocol, address)?;
        let allowed = trunk.redirects == Redirects::Anywhere || is_of_trunk(trunk, flow);
        (allowed || mutant("sip-redirected-anywhere")).then_some(flow)
    }
}

impl Attempt {
    /// One more place, unless it was one before or there were enough.
    fn send_to(&mut self, way: Way, place: Uri) {
        let known = self.redirections.iter().any(|known| known.to_bytes() == place.to_bytes());
        if known || self.redirections.len() >= MOST {
            return;
        }
        self.redirections.push(place);
        self.rest.push_back(way);
    }

    /// The ways that the house knows are not tried any more: they lead to whoever sent us on.
    fn turn(&mut self) {
        self.rest.retain(|way| way.told == Told::Redirection);
    }
}

fn is_of_trunk(trunk: &Trunk, flow: Flow) -> bool {
    let ip = flow.remote.ip().to_canonical();
    trunk.targets.iter().any(|target| target.ip().to_canonical() == ip)
        || trunk.sources.iter().any(|prefix| prefix.contains(ip))
}

/// The Contacts of a response, the wanted ones first (RFC 3261 §8.1.3.4, §20.10).
fn listed(response: &Response) -> Vec<NameAddr> {
    let Ok(Contacts::Listed(mut contacts)) = response.head.headers.contacts() else { return Vec::new() };
    contacts.sort_by_key(|contact| Reverse(thousandths(contact.params.value("q"))));
    contacts
}

/// A `q` in thousandths (RFC 3261 §25.1: 0 to 1, three digits); what is none counts as 1.
fn thousandths(q: Option<&[u8]>) -> u32 {
    let read = |q: &[u8]| {
        let q: f64 = std::str::from_utf8(q).ok()?.trim().parse().ok()?;
        (0.0..=1.0).contains(&q).then_some((q * 1_000.0) as u32)
    };
    q.and_then(read).unwrap_or(1_000)
}

/// A URI without what has no place in a Request-URI (RFC 3261 §19.1.1).
fn plain(mut uri: Uri) -> Uri {
    if let Uri::Sip(sip) = &mut uri {
        sip.headers = None;
        sip.params.remove("method");
    }
    uri
}
