//! Legs that come in: INVITE to our final response, CANCEL, and the ACK of our 2xx.

use super::cause;
use super::leg::{Established, Kept, Leg, Offer, Offered, RING_LIMIT, State, Success};
use super::reliable::Reliable;
use super::{ALLOW, SDP, SUPPORTED, identity, session_timer};
use crate::{
    Core, Flow, Presence,
    dialog::{Dialog, Reach},
    message::{Name, Request, Response, Status, decode},
    transaction::{Retransmit, TIMEOUT, TransactionId},
};
use route_api::{Cause, EndedBy, Endpoint, Memo, SessionDescription, SignallingEvent};
use types::{LegId, Monotonic};

/// When to call again after a failure that passes, in seconds: a daemon that died is back by then.
const RETRY_AFTER: &str = "2";

impl Core {
    /// A new INVITE (RFC 3261 §13.3.1).
    pub(super) fn invited(&mut self, now: Monotonic, id: TransactionId, source: Flow, request: Request) {
        if self.legs.is_merged(&request) {
            return self.answer(now, id, &request, 482);
        }
        let over = match self.trunk(source, &request) {
            Some(trunk) => trunk,
            None => match self.prove(now, id, source, &request) {
                Some(extension) => Endpoint::Phone(extension),
                None => return,
            },
        };
        let Some(description) = self.examine(now, id, &request) else { return };
        let place = match self.wanted_place(&request.head.headers, &over) {
            Ok(place) => place,
            Err(status) => return self.answer(now, id, &request, status),
        };
        if session_timer::agree(now, &request, None).is_err() {
            return self.too_small(now, id, &request);
        }
        let Some(dialled) = request.uri.number().map(|number| decode(&number)) else {
            return self.answer(now, id, &request, 484);
        };
        let accepted = request.head.headers.tokens(&Name::Accept);
        let kinds = [SDP.as_bytes(), b"application/*", b"*/*"];
        if !accepted.is_empty() && !accepted.iter().any(|kind| kinds.contains(&before_params(kind))) {
            return self.answer(now, id, &request, 406);
        }
        let reach = reach(&over);
        let local_tag = self.random.tag();
        let Ok(dialog) = Dialog::uas(&request, &local_tag, source, reach) else {
            return self.answer(now, id, &request, 400);
        };
        if self.legs.len() >= self.settings.bounds.legs || self.presence() == Presence::Absent {
            self.counters.no_room += 1;
            let response = request.respond(Status(503)).with(Name::RetryAfter, "10").tagged(&local_tag);
            return self.respond(now, id, &response);
        }
        let leg = self.random.leg();
        self.ladders.begin(leg, &request.head.call_id);
        self.ladders.asked(&request, self.path(source));
        self.respond(now, id, &request.respond(Status(100)));
        self.transactions.belongs(id, leg);
        self.counters.offered += 1;
        let (number, display) = identity::caller(&over, &request);
        let offer = Offer {
            at: now,
            over: over.clone(),
            number,
            display,
            dialled,
            description,
            reference: decode(&request.head.call_id),
            place,
        };
        self.event(offer.event(leg));
        let kept = Kept { memo: Memo::default(), offer: Some(Box::new(offer)) };
        let until = now.plus(RING_LIMIT);
        let offered = Offered {
            transaction: id,
            invite: request,
            flow: source,
            local_tag,
            until,
            dialog,
            reliable: Reliable::default(),
            change: None,
            answer: None,
        };
        self.legs.put(leg, Leg { over, kept, state: State::Offered(Box::new(offered)) });
    }

    /// 200 with our description, repeated until its ACK comes. It waits for the PRACK of what was said before.
    pub(super) fn answer_offer(&mut self, now: Monotonic, id: LegId, description: SessionDescription) {
        let Some(leg) = self.legs.take(id) else { return };
        let State::Offered(mut offered) = leg.state else { return self.legs.put(id, leg) };
        if offered.reliable.waits() && !mutant::mutant("sip-answer-before-prack") {
            offered.answer = Some(description);
            return self.legs.put(id, Leg { state: State::Offered(offered), ..leg });
        }
        let Offered { transaction, invite, flow, .. } = &*offered;
        let mut response = self.dialog_making(&offered, Status(200));
        let (timer, fields) = session_timer::agree(now, invite, None).unwrap_or_default();
        response = response.with_all(&fields);
        // RFC 3261 §13.2.1: an answer that has been acknowledged is not given again.
        if !offered.reliable.is_described() {
            response = response.with(Name::ContentType, SDP);
            response.body = description.0.clone().into_bytes();
        }
        self.respond(now, *transaction, &response);
        let success = Some(self.success(now, invite, *flow, &response, true));
        let Offered { dialog, change, .. } = *offered;
        let state = Established { success, timer, change, ..Established::new(dialog, description) };
        self.legs.put(id, Leg { state: State::Established(Box::new(state)), ..leg });
    }

    /// The final response for that cause.
    pub(super) fn refuse_offer(&mut self, now: Monotonic, offered: &Offered, cause: Cause) {
        let response = offered.invite.respond(cause::status(cause));
        let mut response = response.tagged(&offered.local_tag).with(Name::Reason, cause::reason(cause));
        if cause == Cause::TemporaryFailure {
            // Without it a 503 counts as a 500, and the caller's side gives up (RFC 3261 §21.5.4).
            response = response.with(Name::RetryAfter, RETRY_AFTER);
        }
        self.respond(now, offered.transaction, &response);
        self.give_up_asked(now, offered.change.clone(), None);
    }

    /// CANCEL (§9.2): 200 to it, 487 to its INVITE, where that has no final response yet.
    pub(crate) fn cancelled(&mut self, now: Monotonic, id: TransactionId, cancel: &Request) {
        let Some((_, leg)) = self.transactions.cancelled_by(cancel) else {
            return self.answer(now, id, cancel, 481);
        };
        self.answer(now, id, cancel, 200);
        let Some(id) = leg else { return };
        let Some(leg) = self.legs.take(id) else { return };
        match leg.state {
            State::Offered(offered) => {
                let response = offered.invite.respond(Status(487)).tagged(&offered.local_tag);
                self.respond(now, offered.transaction, &response);
                self.give_up_asked(now, offered.change, None);
                let cause = cause::of_reason(&cancel.head.headers).unwrap_or(Cause::NormalUnspecified);
                self.ended(now, id, leg.kept, cause, EndedBy::Peer);
            }
            other => self.legs.put(id, Leg { state: other, ..leg }),
        }
    }

    /// The ACK of a 2xx came.
    pub(crate) fn acknowledged(&mut self, now: Monotonic, ack: &Request) {
        let Some(id) = self.legs.of(ack) else { return };
        let Some(mut leg) = self.legs.take(id) else { return };
        let number = ack.head.cseq.number;
        match &mut leg.state {
            State::Established(established) => {
                if let Some(success) = established.success.take_if(|success| success.number == number) {
                    let description = super::description(&ack.head.headers, &ack.body).ok();
                    if success.first || description.is_some() {
                        self.event(SignallingEvent::Confirmed { leg: id, description });
                    }
                }
            }
            State::Leaving { dialog, reason, success } if success.number == number => {
                let (mut dialog, reason) = (dialog.clone(), std::mem::take(reason));
                return self.bye(now, &mut dialog, &reason);
            }
            _ => {}
        }
        self.legs.put(id, leg);
    }

    /// A 2xx to be repeated until its ACK comes.
    pub(super) fn success(
        &self,
        now: Monotonic,
        invite: &Request,
        source: Flow,
        response: &Response,
        first: bool,
    ) -> Success {
        let way = invite.head.vias.first();
        Success {
            bytes: response.to_bytes(),
            flow: Flow { remote: way.map_or(source.remote, |via| via.reply_to(source.remote)), ..source },
            number: invite.head.cseq.number,
            retransmit: Retransmit::start(now),
            until: now.plus(TIMEOUT),
            first,
        }
    }

    /// A response that makes a dialog: our tag, our Contact, the peer's Record-Route (§12.1.1).
    pub(super) fn dialog_making(&self, offered: &Offered, status: Status) -> Response {
        let mut response = offered.invite.respond(status).tagged(&offered.local_tag);
        for route in offered.invite.head.headers.all(&Name::RecordRoute) {
            response = response.with(Name::RecordRoute, route);
        }
        let response = response.with(Name::Contact, self.contact(offered.flow)).with(Name::Allow, ALLOW);
        response.with(Name::Supported, SUPPORTED)
    }
}

/// Phones may be behind address translation; carriers say where they are.
pub(super) fn reach(over: &Endpoint) -> Reach {
    match over {
        Endpoint::Phone(_) => Reach::Source,
        Endpoint::Trunk(_) => Reach::Target,
    }
}

fn before_params(kind: &[u8]) -> &[u8] {
    let end = kind.iter().position(|b| *b == b';').unwrap_or(kind.len());
    kind[..end].trim_ascii_end()
}
