//! A peer wants another in its place: REFER (RFC 3515), Replaces within it (RFC 3891), and our word of how it
//! goes (NOTIFY with message/sipfrag), or none where the peer wants none (RFC 4488).
//!
//! ```text
//!   REFER ──► Transferring ──► route ──Accepted──► 202, NOTIFY 100 ──Ringing──► NOTIFY 180
//!                                │ Failed                              Done, Failed ▼
//!                                └──► 603                            NOTIFY 200, 4xx to 6xx: over
//! ```

use super::cause;
use super::leg::{CHANGE_LIMIT, Established, Leg, State};
use crate::{
    Core, Presence,
    message::{Method, Name, NameAddr, Request, Status, decode},
    transaction::TransactionId,
};
use mutant::mutant;
use route_api::{SignallingEvent, TransferProgress};
use serde::{Deserialize, Serialize};
use std::time::Duration;
use types::{LegId, Monotonic};

/// How long we say how a transfer goes: beyond every patience of route's.
const SUBSCRIPTION: Duration = Duration::from_secs(180);

/// Refuses a REFER. Statuses that say more (404, 480, 481) would also say that its dialog is over (RFC 5057
/// §5.1); the cause stands in Reason.
const DECLINE: Status = Status(603);

/// A transfer that the peer asked for and that route has not ended.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Transfer {
    /// The REFER, while it has no answer.
    pub(super) asked: Option<Box<(TransactionId, Request)>>,
    /// What was asked, for a route that may not have heard.
    to: String,
    replaces: Option<LegId>,
    /// Its number, by which our word of it is known (RFC 3515 §2.4.6).
    number: u32,
    told: Told,
    pub(super) until: Monotonic,
}

/// Whether the peer wants to be told how it goes.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Told {
    Wanted,
    NotWanted,
}

/// Whether more is to come.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Word {
    OnTheWay,
    Last,
}

impl Core {
    /// REFER within a dialog.
    pub(super) fn referred(
        &mut self,
        now: Monotonic,
        id: TransactionId,
        leg: LegId,
        established: &mut Established,
        request: Request,
    ) {
        if established.transfer.is_some() {
            return self.not_now(now, id, &request, 500);
        }
        let mut required = request.head.headers.tokens(&Name::Require);
        required.retain(|option| option != b"norefersub");
        if !required.is_empty() {
            let response = request.respond(Status(420)).with(Name::Unsupported, required.join(&b", "[..]));
            return self.respond(now, id, &response);
        }
        // Exactly one (RFC 3515 §2.4.1).
        let target = match request.head.headers.addresses(&Name::ReferTo) {
            Ok(targets) if targets.len() == 1 => targets.into_iter().next(),
            _ => None,
        };
        let Some(NameAddr { uri, .. }) = target else { return self.answer(now, id, &request, 400) };
        if uri.param("method").is_some_and(|method| !method.eq_ignore_ascii_case(b"INVITE")) {
            return self.answer(now, id, &request, 400);
        }
        let Some(to) = uri.number().map(|number| decode(&number)).filter(|to| !to.is_empty()) else {
            return self.answer(now, id, &request, 400);
        };
        let replaces = match uri.header("Replaces") {
            None => None,
            Some(named) => match self.named(&named) {
                Some(named) => Some(named),
                None => return self.answer(now, id, &request, DECLINE.0),
            },
        };
        let wanted = request.head.headers.first(&Name::ReferSub);
        let told = match wanted.is_some_and(|value| value.trim_ascii().eq_ignore_ascii_case(b"false")) {
            true => Told::NotWanted,
            false => Told::Wanted,
        };
        let number = request.head.cseq.number;
        let until = now.plus(CHANGE_LIMIT);
        let asked = Some(Box::new((id, request)));
        self.event(SignallingEvent::Transferring { leg, to: to.clone(), replaces });
        established.transfer = Some(Transfer { asked, to, replaces, number, told, until });
    }

    /// What route has not answered it may not have heard: it is said again when it attaches.
    pub(crate) fn ask_again(&mut self) {
        if self.presence() == Presence::Absent || mutant("sip-refer-said-once") {
            return;
        }
        let asked = |(leg, state): (LegId, &Leg)| match &state.state {
            State::Established(established) => {
                let transfer = established.transfer.as_ref().filter(|transfer| transfer.asked.is_some())?;
                let (to, replaces) = (transfer.to.clone(), transfer.replaces);
                Some(SignallingEvent::Transferring { leg, to, replaces })
            }
            _ => None,
        };
        let again: Vec<_> = self.legs.iter().filter_map(asked).collect();
        again.into_iter().for_each(|event| self.event(event));
    }

    /// Route says how it goes.
    pub(super) fn transfer_goes(&mut self, now: Monotonic, id: LegId, progress: TransferProgress) {
        let Some(mut leg) = self.legs.take(id) else { return };
        if let State::Established(established) = &mut leg.state {
            self.tell(now, established, progress);
        }
        self.legs.put(id, leg);
    }

    fn tell(&mut self, now: Monotonic, established: &mut Established, progress: TransferProgress) {
        let Some(mut transfer) = established.transfer.take() else { return };
        if let Some((id, request)) = transfer.asked.take().map(|asked| *asked) {
            if let TransferProgress::Failed { cause } = progress {
                let response = request.respond(DECLINE).with(Name::Reason, cause::reason(cause));
                return self.respond(now, id, &response);
            }
            self.accept_refer(now, id, established, &request, transfer.told);
            transfer.until = now.plus(SUBSCRIPTION);
        }
        let (status, word) = match progress {
            TransferProgress::Accepted => (Status(100), Word::OnTheWay),
            TransferProgress::Ringing => (Status(180), Word::OnTheWay),
            TransferProgress::Done => (Status(200), Word::Last),
            TransferProgress::Failed { cause } => (cause::status(cause), Word::Last),
        };
        self.notify(now, established, &transfer, status, word);
        if word == Word::OnTheWay {
            established.transfer = Some(transfer);
        }
    }

    fn accept_refer(
        &mut self,
        now: Monotonic,
        id: TransactionId,
        established: &Established,
        request: &Request,
        told: Told,
    ) {
        let contact = self.contact(established.dialog.flow());
        let response = match told {
            Told::Wanted => request.respond(Status(202)),
            // RFC 4488 §4: 200, for nothing more is said.
            Told::NotWanted => request.respond(Status(200)).with(Name::ReferSub, "false"),
        };
        self.respond(now, id, &response.with(Name::Contact, contact));
    }

    fn notify(
        &mut self,
        now: Monotonic,
        established: &mut Established,
        transfer: &Transfer,
        status: Status,
        word: Word,
    ) {
        if transfer.told == Told::NotWanted || mutant("sip-transferor-not-told") {
            return;
        }
        let contact = self.contact(established.dialog.flow());
        let state = match word {
            Word::OnTheWay => format!("active;expires={}", transfer.until.since(now).as_secs()),
            Word::Last => "terminated;reason=noresource".to_owned(),
        };
        let event = format!("refer;id={}", transfer.number);
        // Without room for a transaction the peer is told by what it hears.
        let _no_room = self.ask(now, &mut established.dialog, Method::Notify, None, |notify| {
            let headers = &mut notify.head.headers;
            headers.push(Name::Contact, contact);
            headers.push(Name::Event, event);
            headers.push(Name::SubscriptionState, state);
            headers.push(Name::ContentType, "message/sipfrag;version=2.0");
            notify.body = format!("SIP/2.0 {} {}\r\n", status.0, status.phrase()).into_bytes();
        });
    }

    /// Route has not answered, or has not said the last word.
    pub(super) fn transfer_overdue(&mut self, now: Monotonic, established: &mut Established) {
        let Some(mut transfer) = established.transfer.take() else { return };
        match transfer.asked.take().map(|asked| *asked) {
            Some((id, request)) => self.not_now(now, id, &request, 500),
            None => self.notify(now, established, &transfer, Status(408), Word::Last),
        }
    }
}
