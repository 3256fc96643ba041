//! Session timers (RFC 4028): a session that nobody refreshes is over, so that no call outlives a peer that
//! has gone without a word, be it on hold.
//!
//! ```text
//!   who refreshes    at half the interval: UPDATE, or a re-INVITE where the peer knows no UPDATE
//!                    401, 407: again at once, with a proof
//!                    too brief (422): again soon, for as long as the peer wants
//!                    refused for the moment (491, 500): again soon        481, 408, silence: the end
//!   the other        a third of the interval, at most 32 s, before it is over: BYE
//! ```
//!
//! We ask for a timer in each INVITE and set one in each 2xx to an INVITE, also for peers that know none: then
//! it is we who refresh (§9).

use super::leg::{Established, Leg, State};
use super::{SDP, SUPPORTED, cause};
use crate::{
    Core,
    message::{self, Headers, Method, Name, Params, Request, Response, Status},
    transaction::{TIMEOUT, TransactionId},
};
use mutant::mutant;
use route_api::{Cause, EndedBy};
use serde::{Deserialize, Serialize};
use std::time::Duration;
use types::{LegId, Monotonic};

/// What we ask for (§4).
const INTERVAL: u32 = 1_800;
/// The least that we take (§5).
pub(super) const MIN_SE: u32 = 90;
/// How soon a refresh that met one of the peer's is tried again (RFC 3261 §14.1): 2.1 to 4 s.
const GLARE: Duration = Duration::from_millis(2_100);

/// The timer of a session.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct SessionTimer {
    interval: Duration,
    refresher: Refresher,
    /// When the next refresh of ours is due, or a session that the peer should have refreshed is over.
    pub(super) at: Monotonic,
    /// When it is over whatever we try.
    end: Monotonic,
    way: Way,
    /// Our refresh that has no final response.
    pending: Option<TransactionId>,
}

#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Refresher {
    Us,
    Peer,
}

/// By which request we refresh.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Way {
    Update,
    Invite,
}

/// `Session-Expires` (§4).
struct Wish {
    interval: u32,
    /// `uac` or `uas`, where it is said.
    refresher: Option<Vec<u8>>,
}

/// What a request wants of the timer is less than we take: 422.
pub(super) struct TooSmall;

impl SessionTimer {
    fn new(now: Monotonic, interval: u32, refresher: Refresher, way: Way) -> Self {
        let interval = Duration::from_secs(u64::from(interval.max(MIN_SE)));
        let at = now.plus(match refresher {
            Refresher::Us => interval / 2,
            Refresher::Peer => interval - (interval / 3).min(Duration::from_secs(32)),
        });
        Self { interval, refresher, at, end: now.plus(interval), way, pending: None }
    }
}

/// The fields of an INVITE of ours.
pub(super) fn ask(headers: &mut Headers) {
    headers.push(Name::Supported, SUPPORTED);
    headers.push(Name::SessionExpires, INTERVAL.to_string());
    headers.push(Name::MinSe, MIN_SE.to_string());
}

/// A peer found the session too brief (422, §7.4): asks it for one as long as it wants, where that is longer than what
/// was asked; whether it is.
pub(super) fn ask_longer(headers: &mut Headers, refusal: &Response) -> bool {
    let asked = wish(headers).map_or(0, |wish| wish.interval);
    let Some(least) = least(&refusal.head.headers).filter(|least| *least > asked) else { return false };
    headers.remove(&Name::SessionExpires);
    headers.remove(&Name::MinSe);
    headers.push(Name::SessionExpires, least.to_string());
    headers.push(Name::MinSe, least.to_string());
    true
}

/// The timer that a request of the peer (INVITE, UPDATE) leads to, and the fields of our 2xx that say so.
/// `present` is the one that runs.
pub(super) fn agree(
    now: Monotonic,
    request: &Request,
    present: Option<&SessionTimer>,
) -> Result<(Option<SessionTimer>, Headers), TooSmall> {
    let headers = &request.head.headers;
    let wish = wish(headers);
    let knows = headers.tokens(&Name::Supported).iter().any(|option| option == b"timer");
    // A peer that knows no timer did not ask for one, a proxy on the way did: 422 would mean nothing to it (§8.1).
    if knows && wish.as_ref().is_some_and(|wish| wish.interval < MIN_SE) {
        return Err(TooSmall);
    }
    if wish.is_none() && request.method != Method::Invite {
        // §10: an UPDATE that says nothing of the timer changes nothing.
        return Ok((present.cloned(), Headers::default()));
    }
    let least = least(headers).unwrap_or(MIN_SE).max(MIN_SE);
    let interval = wish.as_ref().map_or(INTERVAL, |wish| wish.interval).max(least);
    // Who asked is the client of this transaction. One that knows no timer leaves the refreshing to us.
    let refresher = match wish.and_then(|wish| wish.refresher).as_deref() {
        Some(b"uas") => Refresher::Us,
        _ if knows => Refresher::Peer,
        _ => Refresher::Us,
    };
    let mut ours = Headers::default();
    match refresher {
        Refresher::Peer => {
            ours.push(Name::Require, "timer");
            ours.push(Name::SessionExpires, format!("{interval};refresher=uac"));
        }
        Refresher::Us => ours.push(Name::SessionExpires, format!("{interval};refresher=uas")),
    }
    Ok((Some(SessionTimer::new(now, interval, refresher, way(headers))), ours))
}

/// The timer that a peer's 2xx to an INVITE of ours agrees to. Where it says none we refresh all the same
/// (§7.2): how else would a phone on hold be found to be gone.
pub(super) fn agreed(now: Monotonic, success: &Response) -> SessionTimer {
    agreed_on(now, success, INTERVAL)
}

fn agreed_on(now: Monotonic, success: &Response, asked: u32) -> SessionTimer {
    let headers = &success.head.headers;
    let wish = wish(headers).unwrap_or(Wish { interval: asked, refresher: None });
    let Wish { interval, refresher } = wish;
    let refresher = match refresher.as_deref() {
        Some(b"uas") => Refresher::Peer,
        _ => Refresher::Us,
    };
    SessionTimer::new(now, interval, refresher, way(headers))
}

fn wish(headers: &Headers) -> Option<Wish> {
    let value = headers.first(&Name::SessionExpires)?;
    let end = value.iter().position(|b| *b == b';').unwrap_or(value.len());
    let params = value.get(end + 1..).and_then(Params::read).unwrap_or_default();
    let refresher = params.value("refresher").map(|value| value.trim_ascii().to_ascii_lowercase());
    Some(Wish { interval: seconds(value)?, refresher })
}

fn least(headers: &Headers) -> Option<u32> {
    headers.first(&Name::MinSe).and_then(seconds)
}

/// What stands before the parameters. Beyond a day is as good as a day.
fn seconds(value: &[u8]) -> Option<u32> {
    let seconds = value.split(|b| *b == b';').next()?;
    Some(message::seconds(seconds.trim_ascii())?.min(86_400))
}

/// A peer that lists UPDATE is refreshed by it: it needs no description.
fn way(headers: &Headers) -> Way {
    let lists = headers.tokens(&Name::Allow).iter().any(|method| method == b"update");
    if lists { Way::Update } else { Way::Invite }
}

impl Core {
    /// The timer's moment has come; `false` where the session is over, and has been ended.
    pub(super) fn session_due(&mut self, now: Monotonic, id: LegId, established: &mut Established) -> bool {
        let Some(timer) = &mut established.timer else { return true };
        if now < timer.at {
            return true;
        }
        if mutant("sip-dead-session-lives") {
            timer.at = timer.at.plus(timer.interval);
            return true;
        }
        if timer.refresher == Refresher::Peer || now >= timer.end || timer.pending.is_some() {
            let reason = cause::reason(Cause::RecoveryOnTimerExpiry);
            self.bye(now, &mut established.dialog, &reason);
            return false;
        }
        // Glare with a change of the peer's, or with an INVITE whose ACK is missing: in a moment.
        if established.change.is_some() || established.success.is_some() {
            timer.at = now.plus(GLARE);
            return true;
        }
        self.refresh(now, id, established);
        true
    }

    fn refresh(&mut self, now: Monotonic, id: LegId, established: &mut Established) {
        let Some(timer) = established.timer.clone() else { return };
        let contact = self.contact(established.dialog.flow());
        let described = established.description.0.clone().into_bytes();
        let method = match timer.way {
            Way::Update => Method::Update,
            Way::Invite => Method::Invite,
        };
        let body = if timer.way == Way::Invite { described } else { Vec::new() };
        let pending = self.ask(now, &mut established.dialog, method, Some(id), |request| {
            let headers = &mut request.head.headers;
            headers.push(Name::Contact, contact);
            headers.push(Name::Allow, super::ALLOW);
            headers.push(Name::Supported, "timer");
            headers.push(Name::SessionExpires, format!("{};refresher=uac", timer.interval.as_secs()));
            if !body.is_empty() {
                headers.push(Name::ContentType, SDP);
            }
            request.body = body;
        });
        if let Some(timer) = &mut established.timer {
            // Without room for a transaction: in a moment.
            timer.at = if pending.is_some() { timer.end } else { now.plus(GLARE) };
            timer.pending = pending;
        }
    }

    /// Whether a re-INVITE of ours waits for its answer: one of the peer's meets it (RFC 3261 §14.1).
    pub(super) fn is_refreshing(established: &Established) -> bool {
        let pending = established.timer.as_ref().and_then(|timer| timer.pending.map(|_| timer.way));
        pending == Some(Way::Invite)
    }

    /// A response to a refresh of ours; gives the leg back where it is none.
    pub(super) fn refreshed(
        &mut self,
        now: Monotonic,
        transaction: TransactionId,
        id: LegId,
        mut leg: Leg,
        response: &Response,
    ) -> Option<Leg> {
        let State::Established(established) = &mut leg.state else { return Some(leg) };
        let Some(timer) = established.timer.as_mut().filter(|timer| timer.pending == Some(transaction))
        else {
            return Some(leg);
        };
        let status = response.status;
        if status.is_provisional() {
            self.legs.put(id, leg);
            return None;
        }
        if matches!(status, Status(401 | 407))
            && !mutant("sip-refresh-unproved")
            && let Some(again) =
                self.proved_again(now, transaction, Some(id), response, Some(&mut established.dialog))
        {
            // A carrier may want a proof with each request (RFC 3261 §22.2).
            timer.pending = Some(again);
            self.legs.put(id, leg);
            return None;
        }
        let (way, end) = (timer.way, timer.end);
        let asked = u32::try_from(timer.interval.as_secs()).unwrap_or(INTERVAL);
        timer.pending = None;
        if status.is_success() {
            if way == Way::Invite {
                self.acknowledge(&established.dialog, response.head.cseq.number);
            }
            established.timer = Some(SessionTimer { way, ..agreed_on(now, response, asked) });
        } else if matches!(status, Status(408 | 481)) {
            return self.session_over(now, id, leg);
        } else {
            if status == Status(422) && !mutant("sip-brief-session-repeated") {
                let wanted = least(&response.head.headers).map(u64::from).map(Duration::from_secs);
                timer.interval = timer.interval.max(wanted.unwrap_or_default());
            }
            // Too brief, glare, or a moment's weakness of the peer: again soon, and never beyond the end.
            let jitter = Duration::from_millis(u64::from(self.random.bytes()[0]) * 7);
            timer.at = now.plus(GLARE + jitter).min(end);
        }
        self.legs.put(id, leg);
        None
    }

    /// No response came to a request within a dialog; gives the leg back where it was no refresh of ours.
    pub(super) fn refresh_unheard(
        &mut self,
        now: Monotonic,
        transaction: TransactionId,
        id: LegId,
        leg: Leg,
    ) -> Option<Leg> {
        let State::Established(established) = &leg.state else { return Some(leg) };
        match &established.timer {
            Some(timer) if timer.pending == Some(transaction) => self.session_over(now, id, leg),
            _ => Some(leg),
        }
    }

    /// The peer knows of no such dialog, or is not there (RFC 3261 §12.2.1.2).
    fn session_over(&mut self, now: Monotonic, id: LegId, leg: Leg) -> Option<Leg> {
        let State::Established(mut established) = leg.state else { return None };
        let reason = cause::reason(Cause::RecoveryOnTimerExpiry);
        self.give_up_asked(now, established.change.take(), established.transfer.take());
        self.bye(now, &mut established.dialog, &reason);
        self.ended(now, id, leg.kept, Cause::RecoveryOnTimerExpiry, EndedBy::Failure);
        None
    }
}

/// How long a refresh may take: its transaction ends before the session does.
const _: () = assert!(TIMEOUT.as_secs() < MIN_SE as u64 / 2);
