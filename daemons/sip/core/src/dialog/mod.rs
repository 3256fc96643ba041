//! Dialogs (RFC 3261 §12): identity, order, route set, and where the next request goes.
//!
//! Owns what both sides of a dialog agreed on. Sends nothing: it makes requests, transactions send them.

use crate::{
    Flow,
    flow::{Protocol, RemotePort},
    message::{CSeq, Contacts, Fault, Head, Headers, Method, Name, NameAddr, Request, Response, Uri, Via},
};
use serde::{Deserialize, Serialize};
use std::net::{IpAddr, SocketAddr};

/// Where a peer is reached while the dialog lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reach {
    /// Where its messages come from: a phone that may be behind address translation.
    Source,
    /// Where its Contact or the route set points (RFC 3261 §12.2.1.1).
    Target,
}

/// Whether a request within the dialog is the next in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// It is.
    Next,
    /// Its CSeq is not higher than the last: 500 (§12.2.2).
    Behind,
}

/// One dialog.
#[derive(Clone, Serialize, Deserialize)]
pub struct Dialog {
    call_id: Vec<u8>,
    local: NameAddr,
    remote: NameAddr,
    local_number: u32,
    remote_number: Option<u32>,
    target: Uri,
    routes: Vec<NameAddr>,
    flow: Flow,
    reach: Reach,
}

impl Dialog {
    /// The dialog that our 2xx to an INVITE makes (§12.1.1).
    ///
    /// # Errors
    /// [`Fault::Address`] where the INVITE has a Contact that is of no use. One without any (§8.1.1.8 forbids it,
    /// RFC 2543 did not) is taken at its From: RFC 4475 §3.4.1 wants such a caller served, and nothing in §8.2 or
    /// §12.1.1 has it refused.
    pub fn uas(invite: &Request, local_tag: &[u8], flow: Flow, reach: Reach) -> Result<Self, Fault> {
        Ok(Self {
            call_id: invite.head.call_id.clone(),
            local: invite.head.to.clone().tagged(local_tag),
            remote: invite.head.from.clone(),
            local_number: 0,
            remote_number: Some(invite.head.cseq.number),
            target: contact(&invite.head.headers)?.unwrap_or_else(|| invite.head.from.uri.clone()),
            routes: invite.head.headers.addresses(&Name::RecordRoute)?,
            flow,
            reach,
        })
    }

    /// The dialog that a peer's 2xx to our INVITE makes (§12.1.2).
    ///
    /// # Errors
    /// [`Fault::Address`] where the response has a Contact that is of no use, [`Fault::Missing`] where it has no tag.
    /// One without any Contact is taken at where the INVITE went: its side is off the hook already.
    pub fn uac(invite: &Request, success: &Response, flow: Flow, reach: Reach) -> Result<Self, Fault> {
        if success.head.to.tag().is_none() {
            return Err(Fault::Missing);
        }
        let mut routes = success.head.headers.addresses(&Name::RecordRoute)?;
        routes.reverse();
        Ok(Self {
            call_id: invite.head.call_id.clone(),
            local: invite.head.from.clone(),
            remote: success.head.to.clone(),
            local_number: invite.head.cseq.number,
            remote_number: None,
            target: contact(&success.head.headers)?.unwrap_or_else(|| invite.uri.clone()),
            routes,
            flow,
            reach,
        })
    }

    /// The dialog that the peer's 2xx confirms goes on where it was as an early one (§13.2.2.4): its numbers.
    pub fn succeed(&mut self, early: &Self) {
        self.local_number = self.local_number.max(early.local_number);
        self.remote_number = early.remote_number;
    }

    /// The number of our last request.
    pub fn number(&self) -> u32 {
        self.local_number
    }

    /// The peer's tag.
    pub fn remote_tag(&self) -> &[u8] {
        self.remote.tag().unwrap_or_default()
    }

    /// Our tag, which no other dialog of ours has.
    pub fn local_tag(&self) -> &[u8] {
        self.local.tag().unwrap_or_default()
    }

    /// Whether a request that carries our tag is the peer's, of this dialog (§12.2.2).
    pub fn is_of(&self, request: &Request) -> bool {
        let head = &request.head;
        head.call_id == self.call_id
            && head.to.tag() == self.local.tag()
            && head.from.tag() == self.remote.tag()
    }

    /// Its name: Call-ID, our tag, the peer's where it has one (RFC 3261 §12).
    pub fn name(&self) -> (&[u8], &[u8], Option<&[u8]>) {
        (&self.call_id, self.local_tag(), self.remote.tag())
    }

    /// Whether a peer names this dialog (RFC 3891 §3): our tag is how it was found. A peer without a tag is named `0`
    /// (§6.1).
    pub fn is_named(&self, call_id: &[u8], remote_tag: &[u8]) -> bool {
        self.call_id == call_id && self.remote.tag().unwrap_or(b"0") == remote_tag
    }

    /// Whether a 2xx to our INVITE is of this dialog and not of a fork.
    pub fn is_made_by(&self, success: &Response) -> bool {
        success.head.call_id == self.call_id && success.head.to.tag() == self.remote.tag()
    }

    /// Takes a request of the peer in order. ACK and CANCEL have their INVITE's number and stay out of this.
    pub fn receive(&mut self, request: &Request) -> Order {
        let number = request.head.cseq.number;
        if self.remote_number.is_some_and(|last| number <= last) {
            return Order::Behind;
        }
        self.remote_number = Some(number);
        Order::Next
    }

    /// Takes the Contact of an accepted re-INVITE or UPDATE as the new target (§12.2.2).
    pub fn refresh(&mut self, request: &Request) {
        if let Ok(Some(target)) = contact(&request.head.headers) {
            self.target = target;
        }
    }

    /// The next request of ours (§12.2.1.1).
    pub fn request(&mut self, method: Method, via: Via) -> Request {
        let number = self.next_number();
        self.build(method, number, via)
    }

    /// A request of ours went out with that number, other than by [`Self::request`]: later ones have higher ones.
    pub fn sent(&mut self, number: u32) {
        self.local_number = self.local_number.max(number);
    }

    /// The number of the next request of ours, which no other has: for one that is not made by [`Self::request`].
    pub fn next_number(&mut self) -> u32 {
        self.local_number = self.local_number.saturating_add(1);
        self.local_number
    }

    /// The ACK of a 2xx to the INVITE of that number (§13.2.2.4): a request of its own, along the route set.
    pub fn ack(&self, number: u32, via: Via) -> Request {
        self.build(Method::Ack, number, via)
    }

    /// Where the next request goes: the first route or the target, where its address is written and reaches
    /// farther than the path that the peer's own messages take; else that path.
    pub fn next_hop(&self) -> Flow {
        let next = self.routes.first().map_or(&self.target, |route| &route.uri);
        let told = match (self.reach, self.routes.is_empty()) {
            (Reach::Source, true) => None,
            _ => next.socket_addr(),
        };
        if self.flow.protocol != Protocol::Udp {
            let port = RemotePort::Listening;
            let same_family = |remote: &SocketAddr| remote.is_ipv4() == self.flow.remote.is_ipv4();
            return match told.filter(same_family) {
                // The connection over which the peer speaks is used while it lives (RFC 5923): an ACK or BYE
                // does not wait for another one. Broken, it is opened anew to where the peer listens.
                Some(remote) if self.routes.is_empty() || remote.ip() == self.flow.remote.ip() => {
                    Flow { remote, port, ..self.flow }
                }
                Some(remote) if is_private(self.flow.remote.ip()) || !is_private(remote.ip()) => {
                    Flow { remote, port, connection: None, ..self.flow }
                }
                _ => self.flow,
            };
        }
        match told {
            Some(addr) if is_private(addr.ip()) && !is_private(self.flow.remote.ip()) => self.flow,
            Some(remote) if remote.is_ipv4() == self.flow.remote.is_ipv4() => Flow { remote, ..self.flow },
            _ => self.flow,
        }
    }

    /// The peer's messages come by that path now: a phone that lost its connection, or whose address
    /// translator gave it another port.
    pub fn follow(&mut self, flow: Flow) {
        if self.reach == Reach::Source {
            self.flow = flow;
        }
    }

    /// The path over which the dialog was made.
    pub fn flow(&self) -> Flow {
        self.flow
    }

    fn build(&self, method: Method, number: u32, via: Via) -> Request {
        let mut headers = Headers::default().with(Name::MaxForwards, "70");
        let mut uri = self.target.clone();
        let mut routes: Vec<Vec<u8>> = self.routes.iter().map(NameAddr::to_bytes).collect();
        // A strict router wants to be the Request-URI, and the target at the end of the way (§12.2.1.1).
        if let Some(first) = self.routes.first().filter(|first| first.uri.param("lr").is_none()) {
            uri = first.uri.clone();
            routes.remove(0);
            routes.push(NameAddr::new(self.target.clone()).to_bytes());
        }
        for route in routes {
            headers.push(Name::Route, route);
        }
        let head = Head {
            vias: vec![via],
            from: self.local.clone(),
            to: self.remote.clone(),
            call_id: self.call_id.clone(),
            cseq: CSeq { number, method: method.clone() },
            headers,
        };
        Request { method, uri, head, body: Vec::new() }
    }
}

/// The one that is given first; `None` where there is none.
fn contact(headers: &Headers) -> Result<Option<Uri>, Fault> {
    if headers.first(&Name::Contact).is_none() {
        return Ok(None);
    }
    match headers.contacts()? {
        Contacts::Listed(contacts) => {
            contacts.into_iter().next().map(|contact| Some(contact.uri)).ok_or(Fault::Address)
        }
        Contacts::Star => Err(Fault::Address),
    }
}

/// Whether an address means something only on its own network (RFC 1918, RFC 6598, RFC 4193, loopback).
fn is_private(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => {
            let [a, b, ..] = ip.octets();
            let shared = a == 100 && (64..128).contains(&b);
            ip.is_private() || ip.is_loopback() || ip.is_link_local() || ip.is_unspecified() || shared
        }
        IpAddr::V6(ip) => {
            ip.is_loopback() || ip.is_unspecified() || ip.is_unique_local() || ip.is_unicast_link_local()
        }
    }
}

#[cfg(test)]
mod tests;
