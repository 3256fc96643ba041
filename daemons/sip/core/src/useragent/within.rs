//! Requests within a dialog: BYE, re-INVITE and UPDATE, INFO. None is left without an answer.

use super::cause;
use super::leg::{CHANGE_LIMIT, Change, Established, Kept, Leg, State};
use super::{ALLOW, SDP, session_timer};
use crate::{
    Core, Flow,
    dialog::Order,
    message::{Method, Name, Request, Status},
    transaction::TransactionId,
};
use route_api::{Cause, EndedBy, SessionDescription, SignallingEvent};
use types::{LegId, Monotonic};

impl Core {
    pub(crate) fn within(&mut self, now: Monotonic, id: TransactionId, source: Flow, request: Request) {
        let found = self.legs.of(&request).and_then(|leg| Some((leg, self.legs.take(leg)?)));
        let Some((leg_id, leg)) = found else {
            return match request.method {
                // A re-INVITE of a dialog that is over, and a ping of one: 481 says so (§12.2.2).
                Method::Other(_) => self.unknown(now, id, &request, 501),
                _ => self.answer(now, id, &request, 481),
            };
        };
        match leg.state {
            State::Established(mut established) => {
                let order = established.dialog.receive(&request);
                if order == Order::Next {
                    established.dialog.follow(source);
                }
                if order == Order::Behind {
                    self.answer(now, id, &request, 500);
                } else if request.method == Method::Bye {
                    return self.hung_up(now, id, (leg_id, leg.kept), *established, &request);
                } else {
                    self.asked(now, id, leg_id, source, &mut established, request);
                }
                self.legs.put(leg_id, Leg { state: State::Established(established), ..leg });
            }
            State::Offered(offered) if request.method == Method::Bye => {
                self.answer(now, id, &request, 200);
                let response = offered.invite.respond(Status(487)).tagged(&offered.local_tag);
                self.respond(now, offered.transaction, &response);
                self.give_up_asked(now, offered.change, None);
                let cause = cause::of_reason(&request.head.headers).unwrap_or(Cause::NormalUnspecified);
                self.ended(now, leg_id, leg.kept, cause, EndedBy::Peer);
            }
            State::Offered(mut offered) => {
                self.asked_by_caller(now, id, leg_id, &mut offered, source, request);
                let answer = if offered.reliable.waits() { None } else { offered.answer.take() };
                self.legs.put(leg_id, Leg { state: State::Offered(offered), ..leg });
                if let Some(description) = answer {
                    self.answer_offer(now, leg_id, description);
                }
            }
            State::Dialing(mut dialing) => {
                self.asked_by_called(now, id, leg_id, &mut dialing, source, request);
                self.legs.put(leg_id, Leg { state: State::Dialing(dialing), ..leg });
            }
            State::Leaving { .. } if request.method == Method::Bye => self.answer(now, id, &request, 200),
            other => {
                // Before our final response, or after our parting: not now (§14.2).
                self.not_now(now, id, &request, 500);
                self.legs.put(leg_id, Leg { state: other, ..leg });
            }
        }
    }

    fn hung_up(
        &mut self,
        now: Monotonic,
        id: TransactionId,
        (leg, kept): (LegId, Kept),
        established: Established,
        bye: &Request,
    ) {
        self.answer(now, id, bye, 200);
        self.give_up_asked(now, established.change, established.transfer);
        let cause = cause::of_reason(&bye.head.headers).unwrap_or(Cause::NormalClearing);
        self.ended(now, leg, kept, cause, EndedBy::Peer);
    }

    fn asked(
        &mut self,
        now: Monotonic,
        id: TransactionId,
        leg: LegId,
        source: Flow,
        established: &mut Established,
        request: Request,
    ) {
        match request.method {
            Method::Invite | Method::Update => self.changing(now, id, leg, source, established, request),
            Method::Refer => self.referred(now, id, leg, established, request),
            Method::Info => self.informed(now, id, leg, &request),
            Method::Options => self.options(now, id, &request),
            // Every word that wants one had it before our 2xx.
            Method::Prack => self.answer(now, id, &request, 481),
            Method::Other(_) => self.unknown(now, id, &request, 501),
            _ => self.unknown(now, id, &request, 405),
        }
    }

    /// A re-INVITE (§14.2) or UPDATE (RFC 3311 §5.2).
    fn changing(
        &mut self,
        now: Monotonic,
        id: TransactionId,
        leg: LegId,
        source: Flow,
        established: &mut Established,
        request: Request,
    ) {
        if established.change.is_some() {
            return self.not_now(now, id, &request, 500);
        }
        let crossed = established.success.is_some() && !mutant::mutant("sip-glare-unnoticed");
        if crossed && request.method == Method::Invite {
            // Glare with our own 2xx, which the peer has not acknowledged (RFC 5407 §3.1.4).
            return self.answer(now, id, &request, 491);
        }
        let Some(offer) = self.examine(now, id, &request) else { return };
        let is_invite = request.method == Method::Invite;
        if Self::is_refreshing(established) && (is_invite || offer.is_some()) {
            // Glare with a re-INVITE of ours (RFC 3261 §14.2, RFC 3311 §5.2).
            return self.answer(now, id, &request, 491);
        }
        if session_timer::agree(now, &request, established.timer.as_ref()).is_err() {
            return self.too_small(now, id, &request);
        }
        let until = now.plus(CHANGE_LIMIT);
        let change = Change { transaction: id, request, flow: source, until };
        match offer {
            Some(description) => {
                if is_invite {
                    self.respond(now, id, &change.request.respond(Status(100)));
                }
                established.change = Some(change);
                self.event(SignallingEvent::Changing { leg, description });
            }
            // It wants our offer (INVITE), or only to be heard (UPDATE as a keep-alive).
            None => {
                let description = is_invite.then(|| established.description.clone());
                self.accept(now, established, &change, description);
            }
        }
    }

    /// Route's answer to `Changing`.
    pub(super) fn answer_change(
        &mut self,
        now: Monotonic,
        id: LegId,
        description: Option<SessionDescription>,
    ) {
        let Some(mut leg) = self.legs.take(id) else { return };
        match &mut leg.state {
            State::Established(established) => {
                let change = established.change.take();
                match (change, description) {
                    (Some(change), Some(description)) => {
                        established.description = description.clone();
                        self.accept(now, established, &change, Some(description));
                    }
                    (Some(change), None) => self.answer(now, change.transaction, &change.request, 488),
                    (None, _) => {}
                }
            }
            State::Offered(offered) => {
                if let Some(change) = offered.change.take() {
                    self.accept_early(now, &mut offered.dialog, &change, description);
                }
            }
            State::Dialing(dialing) => self.accept_of_called(now, dialing, description),
            State::Cancelling { .. } | State::Leaving { .. } => {}
        }
        self.legs.put(id, leg);
    }

    fn accept(
        &mut self,
        now: Monotonic,
        established: &mut Established,
        change: &Change,
        description: Option<SessionDescription>,
    ) {
        let request = &change.request;
        established.dialog.refresh(request);
        let contact = self.contact(established.dialog.flow());
        let mut response = request.respond(Status(200)).with(Name::Contact, contact).with(Name::Allow, ALLOW);
        if let Ok((timer, fields)) = session_timer::agree(now, request, established.timer.as_ref()) {
            established.timer = timer;
            response = response.with_all(&fields);
        }
        if let Some(description) = description {
            response = response.with(Name::ContentType, SDP);
            response.body = description.0.into_bytes();
        }
        self.respond(now, change.transaction, &response);
        if request.method == Method::Invite {
            established.success = Some(self.success(now, request, change.flow, &response, false));
        }
    }

    /// 422, with the least that we take (RFC 4028 §5).
    pub(super) fn too_small(&mut self, now: Monotonic, id: TransactionId, request: &Request) {
        let response = request.respond(Status(422)).with(Name::MinSe, session_timer::MIN_SE.to_string());
        let response = self.tagged(response);
        self.respond(now, id, &response);
    }

    /// A digit by INFO: `application/dtmf-relay` or `application/dtmf`.
    pub(super) fn informed(&mut self, now: Monotonic, id: TransactionId, leg: LegId, request: &Request) {
        let kind = request.head.headers.content_type();
        let digit = match kind.as_deref() {
            None if request.body.is_empty() => return self.answer(now, id, request, 200),
            Some(b"application/dtmf-relay") => signal(&request.body),
            Some(b"application/dtmf") => digit(&request.body),
            _ => {
                let response = request.respond(Status(415));
                let response = response.with(Name::Accept, "application/dtmf-relay, application/dtmf");
                return self.respond(now, id, &response);
            }
        };
        self.answer(now, id, request, if digit.is_some() { 200 } else { 400 });
        if let Some(digit) = digit {
            self.event(SignallingEvent::Digit { leg, digit });
        }
    }

    /// Refuses for the moment: the peer may ask again after so many seconds.
    pub(super) fn not_now(&mut self, now: Monotonic, id: TransactionId, request: &Request, status: u16) {
        let after = self.random.bytes()[0] % 10;
        let response = request.respond(Status(status)).with(Name::RetryAfter, after.to_string());
        let response = self.tagged(response);
        self.respond(now, id, &response);
    }
}

/// The digit of a `Signal=` line.
fn signal(body: &[u8]) -> Option<char> {
    let lines = body.split(|b| b"\r\n".contains(b));
    let values = lines.filter_map(|line| {
        let equals = line.iter().position(|b| *b == b'=')?;
        line[..equals].trim_ascii().eq_ignore_ascii_case(b"Signal").then(|| &line[equals + 1..])
    });
    values.into_iter().next().and_then(digit)
}

fn digit(value: &[u8]) -> Option<char> {
    match value.trim_ascii() {
        [digit] if digit.is_ascii_digit() || b"*#".contains(digit) => Some(char::from(*digit)),
        [letter @ (b'A'..=b'D' | b'a'..=b'd')] => Some(char::from(letter.to_ascii_uppercase())),
        // Some phones send the event number of RFC 4733 for star and pound.
        b"10" => Some('*'),
        b"11" => Some('#'),
        _ => None,
    }
}
