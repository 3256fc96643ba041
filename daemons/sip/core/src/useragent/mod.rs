//! The user agent (RFC 3261 §8, §13 to §15): requests to answers, commands of route to requests, legs.
//!
//! Owns legs and what they owe to their peers. Never bridges two legs and never reads a session description:
//! that is for route and media.

mod attempt;
mod cause;
mod early;
mod ended;
mod errands;
mod identity;
mod inbound;
mod leg;
mod legs;
mod outbound;
mod outside;
mod parting;
mod phones;
mod prove;
mod redirect;
mod reliable;
mod replaces;
mod session_timer;
mod transfer;
mod within;

pub(crate) use ended::EndedLegs;
pub use ended::{Ended, Room};
pub use leg::Leg;
pub(crate) use legs::Legs;
pub(crate) use parting::Partings;

use crate::{
    Core,
    dialog::Dialog,
    message::{Headers, Method, Name, Request},
    transaction::TransactionId,
};
use leg::{Change, Established, Kept, State, Success};
use route_api::{Cause, EndedBy, Ladder, Memo, SessionDescription, SignallingCommand};
use std::time::Duration;
use transfer::Transfer;
use types::{LegId, Monotonic};

/// The methods that we take (RFC 3261 §20.5).
const ALLOW: &str = "INVITE, ACK, BYE, CANCEL, OPTIONS, INFO, UPDATE, PRACK, REFER, REGISTER";
/// The option tag of reliable provisional responses (RFC 3262 §8).
const RELIABLE: &[u8] = b"100rel";
/// The extensions that we know (§20.37), but for those that depend on the request.
const SUPPORTED: &str = "timer, replaces";
/// The media type of a session description.
const SDP: &str = "application/sdp";

impl Leg {
    /// What route's last command carried.
    pub fn memo(&self) -> &Memo {
        &self.kept.memo
    }
}

impl Core {
    pub(crate) fn command(&mut self, now: Monotonic, command: SignallingCommand) {
        match command {
            // Copies are made where datagrams come and go: by the shell.
            SignallingCommand::Attached {} | SignallingCommand::Capture(_) => {}
            SignallingCommand::Ring { leg, description, memo } => {
                self.remember(leg, memo);
                self.ring(now, leg, description);
            }
            SignallingCommand::Answer { leg, description, memo } => {
                self.remember(leg, memo);
                self.answer_offer(now, leg, description);
            }
            SignallingCommand::Dial { leg, over, number, from, description, memo, silence_ms } => {
                let silence = silence_ms.map(|ms| Duration::from_millis(u64::from(ms)));
                self.dial(now, leg, outbound::Call { over, number, from, description, memo, silence });
            }
            SignallingCommand::Change { leg, description } => self.answer_change(now, leg, description),
            SignallingCommand::Transfer { leg, progress } => self.transfer_goes(now, leg, progress),
            SignallingCommand::Remember { leg, memo } => self.remember(leg, memo),
            SignallingCommand::Forget { leg } if self.ended_legs.contains(leg) => {
                self.ended_legs.forget(leg);
                self.ladders.forget(leg);
                self.partings.take(leg);
            }
            SignallingCommand::Forget { .. } => {}
            SignallingCommand::HangUp { leg, cause } => self.hang_up(now, leg, cause),
        }
    }

    fn remember(&mut self, id: LegId, memo: Memo) {
        // What is left of a leg that is over is good manners to its peer: its memo lies with its end.
        if self.ended_legs.remember(id, &memo) {
            return;
        }
        if let Some(mut leg) = self.legs.take(id) {
            leg.kept = Kept::by(memo);
            self.legs.put(id, leg);
        }
    }

    /// A leg is over: route is told, and told again at each attachment until it forgets the leg. Where the house
    /// ended it the word waits for the far side's answer.
    fn ended(&mut self, now: Monotonic, id: LegId, kept: Kept, cause: Cause, by: EndedBy) {
        self.counters.ended += 1;
        let ended = Ended::new(now, cause, by, kept);
        match by {
            EndedBy::House => self.ends.push(id),
            EndedBy::Peer | EndedBy::Failure => self.event(ended.event(id, Ladder::default())),
        }
        if !mutant::mutant("sip-forgets-ended-legs") {
            for (dropped, end) in self.ended_legs.put(id, ended, self.settings.bounds.ended) {
                self.counters.dropped_ends += 1;
                let untold = self.ends.contains(&dropped);
                if self.partings.take(dropped) || untold {
                    self.ends.retain(|leg| *leg != dropped);
                    self.event(end.event(dropped, Ladder::default()));
                }
                // After the word of its end, which takes what there is of it along.
                self.tell_ladders();
                self.ladders.forget(dropped);
            }
        }
    }

    /// Refuses, cancels or ends a leg, whichever its state asks for.
    fn hang_up(&mut self, now: Monotonic, id: LegId, cause: Cause) {
        let Some(leg) = self.legs.take(id) else { return };
        match leg.state {
            State::Offered(offered) => {
                self.refuse_offer(now, &offered, cause);
                self.ended(now, id, leg.kept, cause, EndedBy::House);
            }
            State::Dialing(dialing) => {
                self.cancel(now, id, leg.over, &dialing, cause);
                self.ended(now, id, leg.kept, cause, EndedBy::House);
            }
            State::Established(established) => {
                self.part(now, id, leg.over, *established, cause);
                self.ended(now, id, leg.kept, cause, EndedBy::House);
            }
            over @ (State::Cancelling { .. } | State::Leaving { .. }) => {
                self.legs.put(id, Leg { state: over, ..leg });
            }
        }
    }

    /// Leaves a dialog: BYE at once, or as soon as the peer has our 2xx (§15: not before its ACK).
    fn part(
        &mut self,
        now: Monotonic,
        id: LegId,
        over: route_api::Endpoint,
        established: Established,
        cause: Cause,
    ) {
        let Established { mut dialog, success, change, transfer, .. } = established;
        self.give_up_asked(now, change, transfer);
        match success {
            Some(success) if success.first => {
                let state =
                    State::Leaving { dialog: Box::new(dialog), reason: cause::reason(cause), success };
                self.legs.put(id, Leg { over, kept: Kept::default(), state });
            }
            _ => self.bye(now, &mut dialog, &cause::reason(cause)),
        }
    }

    fn bye(&mut self, now: Monotonic, dialog: &mut Dialog, reason: &[u8]) {
        // Without room for a transaction the peer finds out by its own timers; the leg is over all the same.
        let _no_room = self.ask(now, dialog, Method::Bye, None, |bye| {
            bye.head.headers.push(Name::Reason, reason);
        });
    }

    /// A request of ours within a dialog; `None` where there is no room for its transaction.
    fn ask(
        &mut self,
        now: Monotonic,
        dialog: &mut Dialog,
        method: Method,
        leg: Option<LegId>,
        fill: impl FnOnce(&mut Request),
    ) -> Option<TransactionId> {
        let hop = dialog.next_hop();
        let via = self.via(hop);
        let mut request = dialog.request(method, via);
        fill(&mut request);
        let transaction = self.transactions.request(now, request, hop, leg);
        self.counters.no_room += u64::from(transaction.is_none());
        transaction
    }

    /// The dialog is over: what the peer asked within it comes to nothing.
    fn give_up_asked(&mut self, now: Monotonic, change: Option<Change>, transfer: Option<Transfer>) {
        let change = change.map(|change| (change.transaction, change.request));
        let refer = transfer.and_then(|transfer| transfer.asked);
        for (transaction, request) in change.into_iter().chain(refer.map(|asked| *asked)) {
            self.answer(now, transaction, &request, 487);
        }
    }

    /// A leg's own time has come.
    pub(crate) fn leg_due(&mut self, now: Monotonic, id: LegId) {
        let Some(mut leg) = self.legs.take(id) else { return };
        match &mut leg.state {
            State::Offered(offered) if offered.until <= now => {
                let offered = offered.clone();
                self.refuse_offer(now, &offered, Cause::NoAnswer);
                return self.ended(now, id, leg.kept, Cause::NoAnswer, EndedBy::Failure);
            }
            State::Offered(offered) => {
                if let Some(change) = offered.change.take_if(|change| change.until <= now) {
                    self.answer(now, change.transaction, &change.request, 488);
                }
                if self.repeat_reliably(now, offered) == Patience::Over {
                    // RFC 3262 §3: no PRACK came.
                    let offered = offered.clone();
                    self.refuse_offer(now, &offered, Cause::RecoveryOnTimerExpiry);
                    return self.ended(now, id, leg.kept, Cause::RecoveryOnTimerExpiry, EndedBy::Failure);
                }
            }
            State::Dialing(dialing) if dialing.until <= now => {
                let dialing = dialing.clone();
                self.cancel(now, id, leg.over, &dialing, Cause::NoAnswer);
                return self.ended(now, id, leg.kept, Cause::NoAnswer, EndedBy::Failure);
            }
            State::Dialing(dialing) if dialing.attempt.patience.is_some_and(|patience| patience <= now) => {
                return self.unheard(now, id, leg);
            }
            State::Dialing(dialing) => {
                if let Some(change) = dialing.early.overdue(now) {
                    self.answer(now, change.transaction, &change.request, 488);
                }
            }
            State::Cancelling { until, .. } if *until <= now => return,
            State::Leaving { dialog, reason, success } => {
                if self.repeat(now, success) == Patience::Over {
                    let (mut dialog, reason) = (dialog.clone(), std::mem::take(reason));
                    return self.bye(now, &mut dialog, &reason);
                }
            }
            State::Established(established) => {
                if let Some(change) = established.change.take_if(|change| change.until <= now) {
                    self.answer(now, change.transaction, &change.request, 488);
                }
                if established.transfer.as_ref().is_some_and(|transfer| transfer.until <= now) {
                    self.transfer_overdue(now, established);
                }
                if !self.session_due(now, id, established) {
                    let (change, transfer) = (established.change.take(), established.transfer.take());
                    self.give_up_asked(now, change, transfer);
                    return self.ended(now, id, leg.kept, Cause::RecoveryOnTimerExpiry, EndedBy::Failure);
                }
                if let Some(success) = &mut established.success
                    && self.repeat(now, success) == Patience::Over
                {
                    // RFC 3261 §13.3.1.4: no ACK came, so the dialog is ended.
                    let reason = cause::reason(Cause::RecoveryOnTimerExpiry);
                    self.bye(now, &mut established.dialog, &reason);
                    return self.ended(now, id, leg.kept, Cause::RecoveryOnTimerExpiry, EndedBy::Failure);
                }
            }
            State::Cancelling { .. } => {}
        }
        self.legs.put(id, leg);
    }

    /// Sends a 2xx once more if it is due.
    fn repeat(&mut self, now: Monotonic, success: &mut Success) -> Patience {
        if success.until <= now {
            return Patience::Over;
        }
        if success.retransmit.at <= now {
            success.retransmit.again(now, crate::transaction::T2);
            if !mutant::mutant("sip-no-2xx-retransmission") {
                self.send(success.flow, success.bytes.clone());
            }
        }
        Patience::Left
    }
}

#[derive(PartialEq)]
enum Patience {
    Left,
    Over,
}

/// Why a body cannot be a session description.
enum NoDescription {
    /// There is none.
    Absent,
    /// Another media type or an encoding: 415.
    Type,
    /// Not text: 488.
    Text,
}

fn description(headers: &Headers, body: &[u8]) -> Result<SessionDescription, NoDescription> {
    if body.is_empty() {
        return Err(NoDescription::Absent);
    }
    let known = headers.content_type().is_some_and(|kind| kind == SDP.as_bytes());
    if !known || headers.first(&Name::ContentEncoding).is_some() {
        return Err(NoDescription::Type);
    }
    let text = std::str::from_utf8(body).map_err(|_| NoDescription::Text)?;
    Ok(SessionDescription(text.to_owned()))
}

impl Core {
    /// Refuses a request whose body or demands we do not understand; gives its description where it has one.
    fn examine(
        &mut self,
        now: Monotonic,
        id: TransactionId,
        request: &Request,
    ) -> Option<Option<SessionDescription>> {
        let mut required = request.head.headers.tokens(&Name::Require);
        required.retain(|option| match request.method {
            Method::Invite => option != b"timer" && option != b"replaces" && option != RELIABLE,
            Method::Update => option != b"timer",
            _ => true,
        });
        if !required.is_empty() {
            let list = required.join(&b", "[..]);
            let response = request.respond(crate::message::Status(420)).with(Name::Unsupported, list);
            let response = self.tagged(response);
            self.respond(now, id, &response);
            return None;
        }
        match description(&request.head.headers, &request.body) {
            Ok(description) => Some(Some(description)),
            Err(NoDescription::Absent) => Some(None),
            Err(NoDescription::Type) => {
                let response = request.respond(crate::message::Status(415)).with(Name::Accept, SDP);
                let response = self.tagged(response);
                self.respond(now, id, &response);
                None
            }
            Err(NoDescription::Text) => {
                self.answer(now, id, request, 488);
                None
            }
        }
    }
}
