//! Legs that we dial: INVITE to the peer's final response, CANCEL, and our ACK of its 2xx.

use super::attempt::Attempt;
use super::cause;
use super::early::{EarlyDialogs, Forks, Heard, Settled};
use super::inbound::reach;
use super::leg::{Dialing, Established, Kept, Leg, RING_LIMIT, State};
use super::{ALLOW, NoDescription, SDP, session_timer};
use crate::{
    Core, Flow,
    dialog::Dialog,
    message::{CSeq, Head, Headers, Method, Name, NameAddr, Request, Response, Uri},
    transaction::{TIMEOUT, TransactionId},
};
use route_api::{Cause, EndedBy, Endpoint, Memo, Party, SessionDescription, SignallingEvent, Trouble};
use std::time::Duration;
use types::{LegId, Monotonic};

/// Whom route wants to call.
pub(super) struct Call {
    pub(super) over: Endpoint,
    pub(super) number: String,
    pub(super) from: Party,
    pub(super) description: SessionDescription,
    pub(super) memo: Memo,
    /// How long the last way may say nothing at all.
    pub(super) silence: Option<Duration>,
}

impl Core {
    pub(super) fn dial(&mut self, now: Monotonic, id: LegId, call: Call) {
        if self.legs.get(id).is_some() || self.ended_legs.contains(id) {
            return;
        }
        let kept = Kept::by(call.memo.clone());
        if self.legs.len() >= self.settings.bounds.legs {
            self.counters.no_room += 1;
            return self.ended(now, id, kept, Cause::NoCircuitAvailable, EndedBy::Failure);
        }
        let mut ways = self.ways(&call);
        let Some(way) = ways.pop_front() else {
            return self.ended(now, id, kept, Cause::DestinationOutOfOrder, EndedBy::Failure);
        };
        let (invite, flow) = self.widened(now, way, &call, &mut ways);
        self.ladders.begin(id, &invite.head.call_id);
        let Some(transaction) = self.transactions.request(now, invite, flow, Some(id)) else {
            self.counters.no_room += 1;
            return self.ended(now, id, kept, Cause::NoCircuitAvailable, EndedBy::Failure);
        };
        self.counters.dialled += 1;
        let until = now.plus(RING_LIMIT);
        let attempt = Attempt::begin(now, ways, call.silence);
        let description = call.description;
        let early = EarlyDialogs::default();
        let state = State::Dialing(Dialing { transaction, description, rung: false, until, early, attempt });
        self.legs.put(id, Leg { over: call.over, kept, state });
    }

    pub(super) fn invite(&mut self, uri: Uri, flow: Flow, call: &Call) -> Request {
        let number = call.from.number.reveal();
        let number = if number.is_empty() { "anonymous" } else { number.as_str() };
        let mut from = NameAddr::new(self.caller_uri(&call.over, number, flow));
        if let Some(display) = &call.from.display {
            from = from.named(display.reveal());
        }
        let mut headers = Headers::default().with(Name::MaxForwards, "70");
        for route in self.service_route(&call.over) {
            headers.push(Name::Route, route);
        }
        let mut headers = headers
            .with(Name::Contact, self.contact(flow))
            .with(Name::Allow, ALLOW)
            .with(Name::ContentType, SDP);
        session_timer::ask(&mut headers);
        headers.push(Name::Supported, super::RELIABLE);
        let head = Head {
            vias: vec![self.via(flow)],
            from: from.tagged(&self.random.tag()),
            to: NameAddr::new(uri.clone()),
            call_id: self.random.word(),
            cseq: CSeq { number: 1, method: Method::Invite },
            headers,
        };
        Request { method: Method::Invite, uri, head, body: call.description.0.clone().into_bytes() }
    }

    /// Gives up on a call that is not answered: CANCEL, as soon as there is something to cancel (§9.1).
    pub(super) fn cancel(
        &mut self,
        now: Monotonic,
        id: LegId,
        over: Endpoint,
        dialing: &Dialing,
        cause: Cause,
    ) {
        let transaction = dialing.transaction;
        let proceeding =
            self.transactions.invite(transaction).is_some_and(|(invite, _)| invite.is_proceeding());
        let reason = cause::reason(cause);
        if proceeding {
            self.send_cancel(now, transaction, &reason);
        }
        let until = now.plus(TIMEOUT);
        let mut early = dialing.early.clone();
        let forks = early.forks();
        self.forget_early(now, &mut early);
        let state = State::Cancelling { transaction, reason, sent: proceeding, until, forks };
        self.legs.put(id, Leg { over, kept: Kept::default(), state });
    }

    pub(super) fn send_cancel(&mut self, now: Monotonic, transaction: TransactionId, reason: &[u8]) {
        let Some((invite, flow)) = self.transactions.invite(transaction) else { return };
        let mut cancel = invite.cancel();
        cancel.head.headers.push(Name::Reason, reason);
        self.counters.no_room += u64::from(self.transactions.request(now, cancel, flow, None).is_none());
    }

    /// A response to a request of ours. Those to BYE and CANCEL end their transaction and say nothing more.
    pub(crate) fn responded(
        &mut self,
        now: Monotonic,
        id: TransactionId,
        leg: Option<LegId>,
        response: Response,
    ) {
        if leg.is_none() && self.errand_answered(now, id, &response) {
            return;
        }
        let taken = match leg.and_then(|leg| Some((leg, self.legs.take(leg)?))) {
            Some((leg_id, leg)) => match self.refreshed(now, id, leg_id, leg, &response) {
                Some(leg) => Some((leg_id, leg)),
                None => return,
            },
            None => None,
        };
        if response.head.cseq.method != Method::Invite {
            if let Some((leg_id, mut leg)) = taken {
                if let State::Dialing(dialing) = &mut leg.state
                    && self.prack_answered(now, id, leg_id, &mut dialing.early, &response)
                {
                    return self.legs.put(leg_id, leg);
                }
                self.legs.put(leg_id, leg);
            }
            if matches!(response.status.0, 401 | 407) {
                self.prove_within(now, id, &response);
            }
            return;
        }
        let Some((leg_id, leg)) = taken else {
            if response.status.is_success() {
                self.stray(now, id, &response, &Forks::default());
            } else if response.status.is_provisional() {
                self.withdraw(now, id);
            }
            return;
        };
        match leg.state {
            State::Dialing(dialing) if response.status.is_provisional() => {
                self.rings(now, leg_id, Leg { state: State::Dialing(dialing), ..leg }, &response);
            }
            State::Dialing(dialing) if response.status.is_success() => {
                self.answered(now, leg_id, leg.over, leg.kept, dialing, &response);
            }
            State::Dialing(dialing) => {
                let leg = Leg { state: State::Dialing(dialing), ..leg };
                self.refused(now, id, leg_id, leg, &response);
            }
            State::Cancelling { transaction, reason, sent, until, forks }
                if response.status.is_provisional() =>
            {
                if !sent {
                    self.send_cancel(now, transaction, &reason);
                }
                let state = State::Cancelling { transaction, reason, sent: true, until, forks };
                self.legs.put(leg_id, Leg { state, ..leg });
            }
            // It answered before our CANCEL came: taken and ended at once.
            State::Cancelling { forks, .. } if response.status.is_success() => {
                self.stray(now, id, &response, &forks);
            }
            State::Cancelling { .. } => {}
            State::Established(established) => {
                match established.dialog.is_made_by(&response) {
                    true => self.acknowledge(&established.dialog, response.head.cseq.number),
                    false if response.status.is_success() => {
                        self.stray(now, id, &response, &established.forks);
                    }
                    false => {}
                }
                self.legs.put(leg_id, Leg { state: State::Established(established), ..leg });
            }
            other @ (State::Offered(_) | State::Leaving { .. }) => {
                self.legs.put(leg_id, Leg { state: other, ..leg });
            }
        }
    }

    fn rings(&mut self, now: Monotonic, id: LegId, mut leg: Leg, response: &Response) {
        self.met(now, &leg, None);
        if let State::Dialing(dialing) = &mut leg.state {
            dialing.attempt.patience = None;
            if let Heard::News(description) = self.hear_early(now, id, &leg.over, dialing, response) {
                let first = response.status.0 == 180 && !dialing.rung;
                if first || description.is_some() {
                    dialing.rung = true;
                    self.event(SignallingEvent::Ringing { leg: id, description });
                }
            }
        }
        self.legs.put(id, leg);
    }

    fn answered(
        &mut self,
        now: Monotonic,
        id: LegId,
        over: Endpoint,
        kept: Kept,
        mut dialing: Dialing,
        response: &Response,
    ) {
        let dialog = self.transactions.invite(dialing.transaction).and_then(|(invite, flow)| {
            Dialog::uac(invite.request(), response, self.live(flow), reach(&over)).ok()
        });
        let Some(mut dialog) = dialog else {
            self.forget_early(now, &mut dialing.early);
            return self.ended(now, id, kept, Cause::Interworking, EndedBy::Failure);
        };
        let own = dialing.early.confirm(&mut dialog);
        let forks = dialing.early.forks();
        self.forget_early(now, &mut dialing.early);
        self.acknowledge(&dialog, response.head.cseq.number);
        let (settled, early, change) = match own {
            Some(own) => (own.settled(), own.description, own.change),
            None => (Settled::No, None, None),
        };
        let described = super::description(&response.head.headers, &response.body);
        let description = match (settled, described, early) {
            // RFC 3261 §13.2.1: what comes after the answer is not looked at.
            (Settled::Wholly, ..) => None,
            (Settled::ByAnswer, _, early) => early,
            (Settled::No, Ok(description), _) => Some(description),
            // It should have said it again; what it said early is all that it can mean.
            (Settled::No, Err(NoDescription::Absent), Some(early)) => Some(early),
            (Settled::No, Err(_), _) => {
                self.give_up_asked(now, change, None);
                self.bye(now, &mut dialog, &cause::reason(Cause::Interworking));
                return self.ended(now, id, kept, Cause::Interworking, EndedBy::Failure);
            }
        };
        self.event(SignallingEvent::Answered { leg: id, description });
        let timer = Some(session_timer::agreed(now, response));
        let state = Established { timer, change, forks, ..Established::new(dialog, dialing.description) };
        self.legs.put(id, Leg { over, kept, state: State::Established(Box::new(state)) });
    }

    /// ACK of a 2xx: by the route set, on no transaction (§13.2.2.4).
    pub(super) fn acknowledge(&mut self, dialog: &Dialog, number: u32) {
        let hop = dialog.next_hop();
        let via = self.via(hop);
        let ack = dialog.ack(number, via);
        self.send(hop, ack.to_bytes());
    }

    /// A 2xx that no leg waits for: another branch of a fork, or one that crossed our CANCEL or BYE. Taken
    /// and ended, so that no phone stays off the hook.
    fn stray(&mut self, now: Monotonic, id: TransactionId, response: &Response, forks: &Forks) {
        let dialog = self.transactions.invite(id).and_then(|(invite, flow)| {
            Dialog::uac(invite.request(), response, self.live(flow), crate::dialog::Reach::Source).ok()
        });
        if let Some(mut dialog) = dialog.filter(|_| !mutant::mutant("sip-stray-answer-left")) {
            forks.bring_up(&mut dialog);
            self.acknowledge(&dialog, response.head.cseq.number);
            self.bye(now, &mut dialog, &cause::reason(Cause::NormalClearing));
        }
    }

    /// No response came (timers B and F).
    pub(crate) fn timed_out(&mut self, now: Monotonic, transaction: TransactionId, leg: Option<LegId>) {
        if leg.is_none() && self.errand_failed(now, transaction, Some(Trouble::Silent)) {
            return;
        }
        let Some((id, leg)) = leg.and_then(|leg| Some((leg, self.legs.take(leg)?))) else { return };
        let Some(leg) = self.refresh_unheard(now, transaction, id, leg) else { return };
        match leg.state {
            State::Dialing(dialing) if dialing.transaction == transaction => {
                self.ended(now, id, leg.kept, Cause::NoUserResponding, EndedBy::Failure);
            }
            State::Cancelling { transaction: invite, .. } if invite == transaction => {}
            other => self.legs.put(id, Leg { state: other, ..leg }),
        }
    }
}
