//! The early dialogs of an INVITE of ours (RFC 3261 §12.1.2): what those say who have not answered, and our PRACK
//! of it (RFC 3262 §4).
//!
//! ```text
//!   18x ──► one dialog for each tag ──RSeq in order──► PRACK ──► Ringing, with what is new of a description
//!   2xx ──► its dialog goes on with its numbers; of the others only their numbers are kept, for their BYE
//! ```
//!
//! Owns at most [`MOST`] dialogs: a proxy that makes more devices ring is heard no further, and that is counted.

use super::inbound::reach;
use super::leg::{CHANGE_LIMIT, Change, Dialing};
use super::{RELIABLE, description};
use crate::{
    Core, Flow,
    dialog::{Dialog, Order},
    message::{Method, Name, RAck, RSeq, Request, Response},
    transaction::TransactionId,
};
use mutant::mutant;
use route_api::{Endpoint, SessionDescription};
use serde::{Deserialize, Serialize};
use types::{LegId, Monotonic};

/// The most early dialogs of one INVITE.
const MOST: usize = 8;

/// Every early dialog of an INVITE.
#[derive(Clone, Default, Serialize, Deserialize)]
pub(super) struct EarlyDialogs {
    known: Vec<EarlyDialog>,
    /// What route was told last.
    told: Option<SessionDescription>,
}

/// One of them.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct EarlyDialog {
    dialog: Dialog,
    /// The last reliable response that was taken.
    rseq: Option<RSeq>,
    /// Our PRACK that has no response.
    prack: Option<TransactionId>,
    /// What it described last.
    pub(super) description: Option<SessionDescription>,
    standing: Standing,
    /// Its new offer, while route thinks.
    pub(super) change: Option<Change>,
}

/// What its description is worth.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Standing {
    /// It may give another with its 2xx.
    Loose,
    /// Its answer to our offer, which we have acknowledged.
    Answer,
    /// An offer of its own has taken the place of it.
    Changed,
}

/// Whether a 2xx needs its description.
pub(super) enum Settled {
    /// It does.
    No,
    /// Its answer was acknowledged before.
    ByAnswer,
    /// So it was, and an offer of its own has taken the place of it: media knows.
    Wholly,
}

/// What came of a provisional response.
pub(super) enum Heard {
    /// It was said before, is out of order, or nobody's whom we know.
    Nothing,
    /// It is to be told, with what is new.
    News(Option<SessionDescription>),
}

/// The dialogs that an INVITE of ours made beside the one that goes on: the tag of each, and the number of our
/// last request.
#[derive(Clone, Default, Serialize, Deserialize)]
pub(super) struct Forks(Vec<(Vec<u8>, u32)>);

impl EarlyDialogs {
    /// Our tag, the same in each of them.
    pub(super) fn local_tag(&self) -> Option<&[u8]> {
        self.known.first().map(|early| early.dialog.local_tag())
    }

    /// Whether a peer names one of them (RFC 3891 §3).
    pub(super) fn is_named(&self, call_id: &[u8], remote_tag: &[u8]) -> bool {
        self.known.iter().any(|early| early.dialog.is_named(call_id, remote_tag))
    }

    /// The names of them all.
    pub(super) fn names(&self) -> impl Iterator<Item = (&[u8], &[u8], Option<&[u8]>)> {
        self.known.iter().map(|early| early.dialog.name())
    }

    /// Whether a request is of one of them.
    pub(super) fn is_of(&self, request: &Request) -> bool {
        self.known.iter().any(|early| early.dialog.is_of(request))
    }

    /// When an offer within one of them is to be refused.
    pub(super) fn deadline(&self) -> Option<Monotonic> {
        self.known.iter().filter_map(|early| early.change.as_ref()).map(|change| change.until).min()
    }

    /// An offer that route has not answered in time.
    pub(super) fn overdue(&mut self, now: Monotonic) -> Option<Change> {
        self.known.iter_mut().find_map(|early| early.change.take_if(|change| change.until <= now))
    }

    /// The one that a 2xx confirms; its dialog goes on with its numbers.
    pub(super) fn confirm(&mut self, dialog: &mut Dialog) -> Option<EarlyDialog> {
        let at = self.known.iter().position(|early| early.dialog.remote_tag() == dialog.remote_tag())?;
        let early = self.known.remove(at);
        dialog.succeed(&early.dialog);
        Some(early)
    }

    /// What is kept of them when none of them goes on.
    pub(super) fn forks(&self) -> Forks {
        let number = |early: &EarlyDialog| (early.dialog.remote_tag().to_vec(), early.dialog.number());
        Forks(self.known.iter().map(number).collect())
    }
}

impl EarlyDialog {
    /// Whether a 2xx of it needs its description.
    pub(super) fn settled(&self) -> Settled {
        match self.standing {
            Standing::Loose => Settled::No,
            Standing::Answer => Settled::ByAnswer,
            Standing::Changed => Settled::Wholly,
        }
    }
}

impl Forks {
    /// Lets a dialog of one of them go on with its number.
    pub(super) fn bring_up(&self, dialog: &mut Dialog) {
        let number = self.0.iter().find(|(tag, _)| tag == dialog.remote_tag()).map(|(_, number)| *number);
        if let Some(number) = number.filter(|_| !mutant("sip-fork-numbers-forgotten")) {
            dialog.sent(number);
        }
    }
}

impl Core {
    /// A provisional response to an INVITE of ours.
    pub(super) fn hear_early(
        &mut self,
        now: Monotonic,
        leg: LegId,
        over: &Endpoint,
        dialing: &mut Dialing,
        response: &Response,
    ) -> Heard {
        let said = description(&response.head.headers, &response.body).ok();
        let Some(tag) = response.head.to.tag().filter(|_| response.status.0 > 100) else {
            // No dialog: 100, or a peer of RFC 2543.
            let news = said.filter(|said| dialing.early.told.as_ref() != Some(said));
            dialing.early.told = news.clone().or(dialing.early.told.take());
            return Heard::News(news);
        };
        let found = dialing.early.known.iter().position(|early| early.dialog.remote_tag() == tag);
        let at = match found {
            Some(at) => at,
            None if dialing.early.known.len() >= MOST && !mutant("sip-forks-without-end") => {
                self.counters.forks_unheard += 1;
                return Heard::Nothing;
            }
            None => {
                let dialog = self.transactions.invite(dialing.transaction).and_then(|(invite, flow)| {
                    Dialog::uac(invite.request(), response, self.live(flow), reach(over)).ok()
                });
                // With a Contact that is of no use there is nowhere to send a PRACK to.
                let Some(dialog) = dialog else { return Heard::News(None) };
                let standing = Standing::Loose;
                let early = EarlyDialog {
                    dialog,
                    rseq: None,
                    prack: None,
                    description: None,
                    standing,
                    change: None,
                };
                dialing.early.known.push(early);
                dialing.early.known.len() - 1
            }
        };
        let Some(early) = dialing.early.known.get_mut(at) else { return Heard::Nothing };
        let reliable = numbered(response);
        if let Some(rseq) = reliable {
            let next = early.rseq.map(RSeq::next);
            if next.is_some_and(|next| next != Some(rseq)) && !mutant("sip-rseq-in-any-order") {
                return Heard::Nothing;
            }
            let said = if mutant("sip-prack-of-the-first") { early.rseq.unwrap_or(rseq) } else { rseq };
            let rack = RAck { rseq: said, number: response.head.cseq.number, method: Method::Invite };
            let prack = self.ask(now, &mut early.dialog, Method::Prack, Some(leg), |prack| {
                prack.head.headers.push(Name::RAck, rack.to_bytes());
            });
            // Without room for a transaction it was not heard: it comes again.
            let Some(prack) = prack else { return Heard::Nothing };
            (early.rseq, early.prack) = (Some(rseq), Some(prack));
        }
        // RFC 3261 §13.2.1: what comes after the answer is not looked at.
        let said = said.filter(|_| early.standing == Standing::Loose);
        if said.is_some() && reliable.is_some() {
            early.standing = Standing::Answer;
        }
        let news = said.filter(|said| early.description.as_ref() != Some(said));
        if news.is_some() {
            early.description.clone_from(&news);
            dialing.early.told.clone_from(&news);
        }
        Heard::News(news)
    }

    /// A response to a PRACK of ours; `false` where it is none.
    pub(super) fn prack_answered(
        &mut self,
        now: Monotonic,
        id: TransactionId,
        leg: LegId,
        early: &mut EarlyDialogs,
        response: &Response,
    ) -> bool {
        let Some(early) = early.known.iter_mut().find(|early| early.prack == Some(id)) else { return false };
        if response.status.is_provisional() {
            return true;
        }
        early.prack = None;
        if matches!(response.status.0, 401 | 407) {
            // A carrier may want a proof with each request (RFC 3261 §22.2).
            early.prack = self.proved_again(now, id, Some(leg), response, Some(&mut early.dialog));
        }
        true
    }

    /// A request within the early dialog of somebody whom we call.
    pub(super) fn asked_by_called(
        &mut self,
        now: Monotonic,
        id: TransactionId,
        leg: LegId,
        dialing: &mut Dialing,
        source: Flow,
        request: Request,
    ) {
        let thinks = dialing.early.known.iter().any(|early| early.change.is_some());
        let Some(early) = dialing.early.known.iter_mut().find(|early| early.dialog.is_of(&request)) else {
            return self.answer(now, id, &request, 481);
        };
        if early.dialog.receive(&request) == Order::Behind {
            return self.answer(now, id, &request, 500);
        }
        early.dialog.follow(source);
        match request.method {
            Method::Update => match self.examine(now, id, &request) {
                None => {}
                // RFC 3311 §5.2: our offer in the INVITE has no answer yet.
                Some(Some(_)) if early.standing == Standing::Loose => self.answer(now, id, &request, 491),
                Some(Some(_)) if thinks => self.not_now(now, id, &request, 500),
                Some(offer) => {
                    let change =
                        Change { transaction: id, request, flow: source, until: now.plus(CHANGE_LIMIT) };
                    early.change = self.change_early(now, leg, &mut early.dialog, change, offer);
                }
            },
            Method::Info => self.informed(now, id, leg, &request),
            Method::Options => self.options(now, id, &request),
            Method::Prack => self.answer(now, id, &request, 481),
            Method::Other(_) => self.unknown(now, id, &request, 501),
            _ => self.not_now(now, id, &request, 500),
        }
    }

    /// Route's answer to the offer of somebody whom we call.
    pub(super) fn accept_of_called(
        &mut self,
        now: Monotonic,
        dialing: &mut Dialing,
        description: Option<SessionDescription>,
    ) {
        let Some(early) = dialing.early.known.iter_mut().find(|early| early.change.is_some()) else { return };
        let Some(change) = early.change.take() else { return };
        if let Some(description) = &description {
            early.standing = Standing::Changed;
            dialing.description.clone_from(description);
        }
        self.accept_early(now, &mut early.dialog, &change, description);
    }

    /// The INVITE has its final response, or goes elsewhere.
    pub(super) fn forget_early(&mut self, now: Monotonic, early: &mut EarlyDialogs) {
        for early in std::mem::take(early).known {
            self.give_up_asked(now, early.change, None);
        }
    }
}

/// The number of a response that is to be acknowledged; `None` where it is not.
fn numbered(response: &Response) -> Option<RSeq> {
    let headers = &response.head.headers;
    let reliable = headers.tokens(&Name::Require).iter().any(|option| option == RELIABLE);
    headers.first(&Name::RSeq).filter(|_| reliable && response.status.0 > 100).and_then(RSeq::parse)
}
