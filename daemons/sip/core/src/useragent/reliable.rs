//! What we say to a caller before our final response: 180, or 183 with what it hears early. Reliably where the
//! caller wants that (RFC 3262 §3), and what the caller asks within its early dialog.
//!
//! ```text
//!   Ring ──► 18x, RSeq n ──T1, 2·T1, 4·T1 …──► PRACK n: 200 ──► the next word, or the answer that waited
//!                   └──────── 64·T1 without a PRACK ──────────► 504
//! ```
//!
//! One word at a time; of those that come meanwhile the last is said, and a description is not lost by it.

use super::leg::{CHANGE_LIMIT, Change, Offered, State};
use super::{ALLOW, Patience, RELIABLE, SDP};
use crate::{
    Core, Flow,
    dialog::{Dialog, Order},
    message::{Method, Name, RAck, RSeq, Request, Status},
    transaction::{Retransmit, TIMEOUT, TransactionId},
};
use mutant::mutant;
use route_api::{SessionDescription, SignallingEvent};
use serde::{Deserialize, Serialize};
use types::{LegId, Monotonic};

/// What was said reliably to one caller.
#[derive(Clone, Default, Serialize, Deserialize)]
pub(super) struct Reliable {
    /// The number of the last word.
    last: Option<RSeq>,
    unacknowledged: Option<Unacknowledged>,
    /// What is to be said next.
    next: Option<Word>,
    /// Whether a description of ours is among what the caller has acknowledged.
    described: bool,
}

/// A word whose PRACK is missing.
#[derive(Clone, Serialize, Deserialize)]
struct Unacknowledged {
    retransmit: Retransmit,
    until: Monotonic,
    described: bool,
}

#[derive(Clone, Serialize, Deserialize)]
struct Word {
    description: Option<SessionDescription>,
}

impl Reliable {
    /// Whether a PRACK is missing.
    pub(super) fn waits(&self) -> bool {
        self.unacknowledged.is_some()
    }

    /// Whether the caller has our description.
    pub(super) fn is_described(&self) -> bool {
        self.described
    }

    /// When a word is due again.
    pub(super) fn deadline(&self) -> Option<Monotonic> {
        self.unacknowledged.as_ref().map(|word| word.retransmit.at.min(word.until))
    }
}

impl Core {
    /// 180, or 183 with a description: route rings the called side.
    pub(super) fn ring(&mut self, now: Monotonic, id: LegId, description: Option<SessionDescription>) {
        let Some(mut leg) = self.legs.take(id) else { return };
        if let State::Offered(offered) = &mut leg.state {
            let headers = &offered.invite.head.headers;
            // Our offer in a provisional response would need an answer in PRACK: such callers are answered at once.
            let late = offered.invite.body.is_empty();
            let description = description.filter(|_| !late);
            let wanted = headers.tokens(&Name::Require).iter().any(|option| option == RELIABLE);
            if !wanted || mutant("sip-never-reliable") {
                self.say(now, offered, description, None);
            } else if !late {
                self.say_reliably(now, offered, Word { description });
            }
        }
        self.legs.put(id, leg);
    }

    /// Says the last word again if it is due.
    pub(super) fn repeat_reliably(&mut self, now: Monotonic, offered: &mut Offered) -> Patience {
        let Some(word) = &mut offered.reliable.unacknowledged else { return Patience::Left };
        if word.until <= now {
            return Patience::Over;
        }
        if word.retransmit.at <= now {
            word.retransmit.again(now, TIMEOUT);
            if !mutant("sip-18x-said-once") {
                self.transactions.repeat(offered.transaction);
            }
        }
        Patience::Left
    }

    /// A request within the early dialog of a caller.
    pub(super) fn asked_by_caller(
        &mut self,
        now: Monotonic,
        id: TransactionId,
        leg: LegId,
        offered: &mut Offered,
        source: Flow,
        request: Request,
    ) {
        if offered.dialog.receive(&request) == Order::Behind {
            return self.answer(now, id, &request, 500);
        }
        offered.dialog.follow(source);
        match request.method {
            Method::Prack => self.pracked(now, id, leg, offered, source, request),
            Method::Update => {
                let settled = offered.reliable.described && !offered.reliable.waits();
                match self.examine(now, id, &request) {
                    None => {}
                    // RFC 3311 §5.2: its offer in the INVITE has no answer yet, or one that we are still told of.
                    Some(Some(_)) if !settled || offered.change.is_some() => {
                        self.not_now(now, id, &request, 500)
                    }
                    Some(description) => {
                        let change =
                            Change { transaction: id, request, flow: source, until: now.plus(CHANGE_LIMIT) };
                        offered.change =
                            self.change_early(now, leg, &mut offered.dialog, change, description);
                    }
                }
            }
            Method::Info => self.informed(now, id, leg, &request),
            Method::Options => self.options(now, id, &request),
            Method::Other(_) => self.unknown(now, id, &request, 501),
            _ => self.not_now(now, id, &request, 500),
        }
    }

    /// Puts an offer within an early dialog to route; answers a request without one.
    pub(super) fn change_early(
        &mut self,
        now: Monotonic,
        leg: LegId,
        dialog: &mut Dialog,
        change: Change,
        description: Option<SessionDescription>,
    ) -> Option<Change> {
        match description {
            Some(description) => {
                self.event(SignallingEvent::Changing { leg, description });
                Some(change)
            }
            None => {
                let answer = SessionDescription(String::new());
                self.accept_early(now, dialog, &change, Some(answer));
                None
            }
        }
    }

    /// Route's answer to an offer within an early dialog; `None` refuses it.
    pub(super) fn accept_early(
        &mut self,
        now: Monotonic,
        dialog: &mut Dialog,
        change: &Change,
        description: Option<SessionDescription>,
    ) {
        let Some(description) = description else {
            return self.answer(now, change.transaction, &change.request, 488);
        };
        let mut response = change.request.respond(Status(200)).with(Name::Allow, ALLOW);
        if change.request.method == Method::Update {
            dialog.refresh(&change.request);
            response = response.with(Name::Contact, self.contact(dialog.flow()));
        }
        if !description.0.is_empty() {
            response = response.with(Name::ContentType, SDP);
            response.body = description.0.into_bytes();
        }
        self.respond(now, change.transaction, &response);
    }

    fn say_reliably(&mut self, now: Monotonic, offered: &mut Offered, word: Word) {
        let reliable = &mut offered.reliable;
        if let Some(unsaid) = reliable.unacknowledged.as_ref().map(|_| reliable.next.take()) {
            let description = word.description.or(unsaid.and_then(|unsaid| unsaid.description));
            reliable.next = Some(Word { description });
            return;
        }
        // An answer is given once (RFC 3262 §5), and that it rings needs no second word.
        let description = word.description.filter(|_| !reliable.described);
        if description.is_none() && reliable.last.is_some() {
            return;
        }
        let [a, b, c, d, ..] = self.random.bytes();
        let first = RSeq::first(u32::from_be_bytes([a, b, c, d]));
        let Some(rseq) = reliable.last.map_or(Some(first), RSeq::next) else { return };
        reliable.last = Some(rseq);
        let (retransmit, until) = (Retransmit::start(now), now.plus(TIMEOUT));
        let described = description.is_some();
        reliable.unacknowledged = Some(Unacknowledged { retransmit, until, described });
        self.say(now, offered, description, Some(rseq));
    }

    fn say(
        &mut self,
        now: Monotonic,
        offered: &Offered,
        description: Option<SessionDescription>,
        rseq: Option<RSeq>,
    ) {
        let status = Status(if description.is_some() { 183 } else { 180 });
        let mut response = self.dialog_making(offered, status);
        if let Some(rseq) = rseq {
            response = response.with(Name::Require, RELIABLE).with(Name::RSeq, rseq.0.to_string());
        }
        if let Some(description) = description {
            response = response.with(Name::ContentType, SDP);
            response.body = description.0.into_bytes();
        }
        self.respond(now, offered.transaction, &response);
    }

    /// PRACK (RFC 3262 §3).
    fn pracked(
        &mut self,
        now: Monotonic,
        id: TransactionId,
        leg: LegId,
        offered: &mut Offered,
        source: Flow,
        request: Request,
    ) {
        let Some(rack) = request.head.headers.first(&Name::RAck).and_then(RAck::parse) else {
            return self.answer(now, id, &request, 400);
        };
        let expected = offered.reliable.last.map(|rseq| RAck {
            rseq,
            number: offered.invite.head.cseq.number,
            method: Method::Invite,
        });
        let fits = expected.as_ref() == Some(&rack) || mutant("sip-any-rack");
        let Some(said) = offered.reliable.unacknowledged.take_if(|_| fits) else {
            return self.answer(now, id, &request, 481);
        };
        offered.reliable.described |= said.described;
        let Some(description) = self.examine(now, id, &request) else { return };
        match description {
            // A further offer (RFC 3262 §5) needs an answer to the first.
            Some(_) if !offered.reliable.described || offered.change.is_some() => {
                self.answer(now, id, &request, 488);
            }
            description => {
                let change = Change { transaction: id, request, flow: source, until: now.plus(CHANGE_LIMIT) };
                let pending = self.change_early(now, leg, &mut offered.dialog, change, description);
                offered.change = pending.or(offered.change.take());
            }
        }
        if let Some(word) = offered.reliable.next.take() {
            self.say_reliably(now, offered, word);
        }
    }
}
