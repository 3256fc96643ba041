//! One party's side of a call, as signalling sees it.
//!
//! ```text
//!   INVITE in ──► Offered ──Answer──► Established ──BYE in / HangUp──► over
//!                    │ CANCEL, HangUp     │ HangUp before ACK
//!                    ▼                    ▼
//!                  over                Leaving ──ACK, time-out: BYE──► over
//!
//!   Dial ──► Dialing ──2xx──► Established
//!               │ HangUp                        │ 3xx–6xx, time-out ──► over
//!               ▼
//!           Cancelling ──1xx: CANCEL──► final response ──► over
//! ```
//!
//! Route has had its `Ended` when a leg is Leaving or Cancelling: what is left is good manners to the peer.

use super::{
    attempt::Attempt,
    early::{EarlyDialogs, Forks},
    reliable::Reliable,
    replaces::{Named, Place},
    session_timer::SessionTimer,
    transfer::Transfer,
};
use crate::{
    Flow,
    dialog::Dialog,
    message::Request,
    transaction::{Retransmit, TransactionId},
};
use route_api::{Endpoint, LegState, Memo, Party, SessionDescription, SignallingEvent};
use serde::{Deserialize, Serialize};
use std::time::Duration;
use types::{LegId, Monotonic, Pii};

/// How long a leg may ring before we give up by ourselves (RFC 3261 §16.6 step 11, Timer C). Route has its
/// own, shorter patience.
pub(super) const RING_LIMIT: Duration = Duration::from_secs(181);
/// How long route and media may take over a new offer within the call before we refuse it.
pub(super) const CHANGE_LIMIT: Duration = Duration::from_secs(8);

/// A leg.
#[derive(Clone, Serialize, Deserialize)]
pub struct Leg {
    pub(super) over: Endpoint,
    pub(super) kept: Kept,
    pub(super) state: State,
}

/// What route finds a leg again by.
#[derive(Clone, Default, Serialize, Deserialize)]
pub(super) struct Kept {
    /// What its last command carried.
    pub(super) memo: Memo,
    /// What it was told of a leg that came in, as long as no memo says that it has heard of it.
    pub(super) offer: Option<Box<Offer>>,
}

/// A call that came in, as route is told of it.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Offer {
    pub(super) at: Monotonic,
    pub(super) over: Endpoint,
    pub(super) number: String,
    pub(super) display: Option<String>,
    pub(super) dialled: String,
    pub(super) description: Option<SessionDescription>,
    pub(super) reference: String,
    pub(super) place: Option<Place>,
}

#[derive(Clone, Serialize, Deserialize)]
pub(super) enum State {
    Offered(Box<Offered>),
    Dialing(Dialing),
    Established(Box<Established>),
    Cancelling { transaction: TransactionId, reason: Vec<u8>, sent: bool, until: Monotonic, forks: Forks },
    Leaving { dialog: Box<Dialog>, reason: Vec<u8>, success: Success },
}

/// The peer's INVITE waits for our final response.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Offered {
    pub(super) transaction: TransactionId,
    pub(super) invite: Request,
    pub(super) flow: Flow,
    pub(super) local_tag: Vec<u8>,
    pub(super) until: Monotonic,
    /// Early, until our final response.
    pub(super) dialog: Dialog,
    /// What we say before that response and the peer acknowledges.
    pub(super) reliable: Reliable,
    /// The peer's new offer, while route thinks.
    pub(super) change: Option<Change>,
    /// Our answer, while a PRACK is missing (RFC 3262 §3).
    pub(super) answer: Option<SessionDescription>,
}

/// Our INVITE waits for a final response.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Dialing {
    pub(super) transaction: TransactionId,
    pub(super) description: SessionDescription,
    pub(super) rung: bool,
    pub(super) until: Monotonic,
    /// The dialogs that provisional responses made (RFC 3261 §12.1.2).
    pub(super) early: EarlyDialogs,
    /// What to try where this way fails.
    pub(super) attempt: Attempt,
}

/// Both sides agreed.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Established {
    pub(super) dialog: Dialog,
    /// What we described last.
    pub(super) description: SessionDescription,
    /// Our 2xx to the latest INVITE, while its ACK is missing.
    pub(super) success: Option<Success>,
    /// The peer's new offer, while route thinks.
    pub(super) change: Option<Change>,
    /// How long the session lasts without a refresh.
    pub(super) timer: Option<SessionTimer>,
    /// What the peer wants to be replaced by.
    pub(super) transfer: Option<Transfer>,
    /// Who else rang.
    pub(super) forks: Forks,
}

/// A 2xx that is repeated until its ACK comes (RFC 3261 §13.3.1.4).
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Success {
    pub(super) bytes: Vec<u8>,
    pub(super) flow: Flow,
    /// CSeq of the INVITE, and so of its ACK.
    pub(super) number: u32,
    pub(super) retransmit: Retransmit,
    pub(super) until: Monotonic,
    /// Whether it made the dialog, or answered a re-INVITE.
    pub(super) first: bool,
}

/// A re-INVITE or UPDATE without our answer yet.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Change {
    pub(super) transaction: TransactionId,
    pub(super) request: Request,
    pub(super) flow: Flow,
    pub(super) until: Monotonic,
}

impl Established {
    /// Where nothing is open.
    pub(super) fn new(dialog: Dialog, description: SessionDescription) -> Self {
        let forks = Forks::default();
        Self { dialog, description, success: None, change: None, timer: None, transfer: None, forks }
    }
}

impl Kept {
    /// By that memo.
    pub(super) fn by(memo: Memo) -> Self {
        Self { memo, offer: None }
    }
}

impl Offer {
    pub(crate) fn event(&self, leg: LegId) -> SignallingEvent {
        if let Some(Place { leg: replaces, wanted }) = self.place {
            return SignallingEvent::Replacing {
                leg,
                at: self.at,
                over: self.over.clone(),
                replaces,
                wanted,
                description: self.description.clone(),
                reference: self.reference.clone(),
            };
        }
        SignallingEvent::Offered {
            leg,
            at: self.at,
            over: self.over.clone(),
            from: Party {
                number: Pii::new(self.number.clone()),
                display: self.display.clone().map(Pii::new),
            },
            dialled: self.dialled.clone(),
            description: self.description.clone(),
            reference: self.reference.clone(),
        }
    }

    pub(super) fn bytes(&self) -> usize {
        let description = self.description.as_ref().map_or(0, |description| description.0.len());
        let display = self.display.as_ref().map_or(0, String::len);
        self.number.len() + display + self.dialled.len() + description + self.reference.len()
    }
}

impl Leg {
    /// What route was told of it, where route may not have heard.
    pub(crate) fn offer(&self) -> Option<&Offer> {
        self.state().and(self.kept.offer.as_deref())
    }

    /// How far the leg is for route; `None` where route has been told that it ended.
    pub fn state(&self) -> Option<LegState> {
        match &self.state {
            State::Offered(_) | State::Dialing(_) => Some(LegState::Ringing),
            State::Established(_) => Some(LegState::Established),
            State::Cancelling { .. } | State::Leaving { .. } => None,
        }
    }

    /// Whether this is the dialog that a peer names.
    pub(super) fn is_named(&self, named: &Named) -> bool {
        match &self.state {
            State::Offered(offered) => {
                let head = &offered.invite.head;
                head.call_id == named.call_id && head.from.tag().is_some_and(|tag| tag == named.theirs)
            }
            State::Established(established) => established.dialog.is_named(&named.call_id, &named.theirs),
            State::Leaving { dialog, .. } => dialog.is_named(&named.call_id, &named.theirs),
            State::Dialing(dialing) => dialing.early.is_named(&named.call_id, &named.theirs),
            State::Cancelling { .. } => false,
        }
    }

    /// Our tag of its dialog, by which the peer's requests find it.
    pub(super) fn local_tag(&self) -> Option<&[u8]> {
        match &self.state {
            State::Offered(offered) => Some(&offered.local_tag),
            State::Established(established) => Some(established.dialog.local_tag()),
            State::Leaving { dialog, .. } => Some(dialog.local_tag()),
            State::Dialing(dialing) => dialing.early.local_tag(),
            State::Cancelling { .. } => None,
        }
    }

    /// The path of its dialog.
    pub(crate) fn flow(&self) -> Option<Flow> {
        match &self.state {
            State::Offered(offered) => Some(offered.flow),
            State::Established(established) => Some(established.dialog.flow()),
            State::Leaving { dialog, .. } => Some(dialog.flow()),
            State::Dialing(_) | State::Cancelling { .. } => None,
        }
    }

    /// When the leg has something to do by itself.
    pub(super) fn deadline(&self) -> Option<Monotonic> {
        match &self.state {
            State::Offered(offered) => {
                let change = offered.change.as_ref().map(|change| change.until);
                let own = [Some(offered.until), change, offered.reliable.deadline()];
                own.into_iter().flatten().min()
            }
            State::Dialing(Dialing { until, attempt, early, .. }) => {
                [Some(*until), attempt.patience, early.deadline()].into_iter().flatten().min()
            }
            State::Cancelling { until, .. } => Some(*until),
            State::Established(established) => {
                let success = established.success.as_ref().map(Success::deadline);
                let change = established.change.as_ref().map(|change| change.until);
                let transfer = established.transfer.as_ref().map(|transfer| transfer.until);
                let timer = established.timer.as_ref().map(|timer| timer.at);
                [success, change, timer, transfer].into_iter().flatten().min()
            }
            State::Leaving { success, .. } => Some(success.deadline()),
        }
    }
}

impl Success {
    fn deadline(&self) -> Monotonic {
        self.retransmit.at.min(self.until)
    }
}
