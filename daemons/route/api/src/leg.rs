//! The leg contract of signalling.
//!
//! Whether a leg lives is known by its edge alone, so the edge keeps what route must find again, and says it
//! again to each life of route:
//!
//! ```text
//!  each attachment   Offered   of every leg that no memo came for     route may never have heard of it
//!                    Ended     of every leg that is not forgotten     route may not have kept its end
//!                    ListSignalling, AttachSignalling: every leg that is alive, in pages
//!  from then on      events as they come; commands, each with a memo
//! ```
//!
//! The ends are said by [`Signal`], each after the one before was heard, and mean the same however often they
//! are said; the pages are those of [`crate::attaching`].

use crate::{Ladder, Page, TrunkStanding, capture::Copying};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use types::{Extension, LegId, Monotonic, Pii, TrunkId};

/// A session description (SDP, RFC 8866) as text: opaque to route, which carries it between signalling and
/// media. A description that is not UTF-8 is refused by the edge with 488.
///
/// It may hold keys (`a=crypto`, RFC 4568): `Debug` leaves them out.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct SessionDescription(pub String);

impl std::fmt::Debug for SessionDescription {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let shown = self.0.lines().map(|line| {
            let key = line.get(..9).is_some_and(|name| name.eq_ignore_ascii_case("a=crypto:"));
            if key { "a=crypto:‹key›" } else { line }
        });
        f.debug_tuple("SessionDescription").field(&shown.collect::<Vec<_>>().join("\r\n")).finish()
    }
}

/// What route wants to find again after a restart: opaque to the edge, which returns the last one of each
/// leg when it attaches. At most 8 KiB.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Memo(pub String);

/// Who is on a leg, as the far side names them: digits of a number or the user part of an address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Party {
    /// The number or user part; empty when withheld.
    pub number: Pii<String>,
    /// The display name, decoded as UTF-8, else GB18030.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display: Option<Pii<String>>,
}

/// Over which endpoint a leg comes or goes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Endpoint {
    /// A line to a carrier.
    Trunk(TrunkId),
    /// A registered phone.
    Phone(Extension),
}

/// What becomes of a leg, from the edge's side of things (route ← edge).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SignallingEvent {
    /// Someone calls; the edge made the leg's id.
    Offered {
        /// The new leg.
        leg: LegId,
        /// When the call came.
        at: Monotonic,
        /// Where it came in.
        over: Endpoint,
        /// Who calls.
        from: Party,
        /// What was dialled: the user part of the request-URI.
        dialled: String,
        /// The caller's offer; `None` where it wants ours (RFC 3261 §13.2.1).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        description: Option<SessionDescription>,
        /// The protocol's own name of the dialog (SIP Call-ID), for traces.
        reference: String,
    },
    /// Someone calls who wants the place of a leg that is alive (INVITE with Replaces, RFC 3891); the edge made the
    /// new leg's id, and has found out that the other may be replaced as far as its protocol goes. Whoever may not
    /// is hung up.
    Replacing {
        /// The new leg.
        leg: LegId,
        /// When it came.
        at: Monotonic,
        /// Where it came in.
        over: Endpoint,
        /// The leg whose place it wants.
        replaces: LegId,
        /// Whether it still wants it once that leg is answered.
        wanted: Wanted,
        /// Its offer; `None` where it wants ours.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        description: Option<SessionDescription>,
        /// The protocol's own name of the dialog (SIP Call-ID), for traces.
        reference: String,
    },
    /// The called side rings; with a description where it sends early media. Said again with each further one:
    /// of another device that rings, or of the same where its sound comes from elsewhere now.
    Ringing {
        /// The leg.
        leg: LegId,
        /// Early media's description.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        description: Option<SessionDescription>,
    },
    /// The called side answered.
    Answered {
        /// The leg.
        leg: LegId,
        /// Its answer; `None` where what it said early has become the session (RFC 3262 §5, RFC 3311).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        description: Option<SessionDescription>,
    },
    /// The caller has our answer (ACK): from now on the leg is established for both sides.
    Confirmed {
        /// The leg.
        leg: LegId,
        /// The caller's answer where the offer was ours.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        description: Option<SessionDescription>,
    },
    /// The far side asks for another description (re-INVITE, UPDATE); the edge has answered nothing yet.
    Changing {
        /// The leg.
        leg: LegId,
        /// The new offer.
        description: SessionDescription,
    },
    /// The far side asks that another takes its place in the conversation (SIP REFER, RFC 3515). Answered by
    /// [`SignallingCommand::Transfer`]; what is not answered for 8 s is refused by the edge.
    Transferring {
        /// The leg of who asks.
        leg: LegId,
        /// Who shall take its place: a number, or the user part of an address.
        to: String,
        /// The leg of another conversation of who asks, whose other side it shall be (Replaces, RFC 3891).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        replaces: Option<LegId>,
    },
    /// A digit that came by signalling (SIP INFO, RFC 6086).
    Digit {
        /// The leg.
        leg: LegId,
        /// 0-9, *, #, A-D.
        digit: char,
    },
    /// The leg is over. The last event of every leg, said again at each attachment until
    /// [`SignallingCommand::Forget`].
    Ended {
        /// The leg.
        leg: LegId,
        /// When it ended.
        at: Monotonic,
        /// Why.
        cause: Cause,
        /// Who ended it.
        by: EndedBy,
        /// What route's last command carried.
        memo: Memo,
        /// How its signalling went, up to its end.
        #[serde(default, skip_serializing_if = "Ladder::is_empty")]
        ladder: Ladder,
    },
    /// An endpoint became reachable, or ceased to be.
    Reachable {
        /// Which.
        endpoint: Endpoint,
        /// Whether it can be called now.
        reachable: Reachability,
    },
    /// How a trunk stands has changed; told of every trunk once the edge is attached.
    Standing {
        /// Which.
        trunk: TrunkId,
        /// How.
        standing: TrunkStanding,
    },
}

/// Whether an endpoint can be called now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Reachability {
    /// It can.
    Reachable,
    /// It cannot: not registered, or no answer to OPTIONS.
    Unreachable,
    /// Nothing is known yet.
    Unknown,
    /// It is not in the settings any more, and is to be forgotten.
    Removed,
}

/// Until when the place of a leg is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Wanted {
    /// As long as it is alive.
    Always,
    /// As long as it rings (`early-only`, RFC 3891 §7.1): who has answered meanwhile keeps the call.
    Ringing,
}

/// Who ended a leg.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum EndedBy {
    /// The far side.
    Peer,
    /// Route's command.
    House,
    /// Neither: a time-out or a lost network.
    Failure,
}

/// Why a leg ended, in the terms of ITU-T Q.850 (RFC 3398 maps SIP's status codes).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// 1: no such number.
    UnallocatedNumber,
    /// 16: hung up after an answer.
    NormalClearing,
    /// 17: busy.
    UserBusy,
    /// 18: the phone did not react.
    NoUserResponding,
    /// 19: it rang, nobody answered.
    NoAnswer,
    /// 21: refused.
    CallRejected,
    /// 23: it sends us elsewhere, where the settings do not let us go.
    RedirectionToNewDestination,
    /// 27: the endpoint is out of order or not registered.
    DestinationOutOfOrder,
    /// 31: the caller gave up before an answer (SIP CANCEL), or no better word.
    NormalUnspecified,
    /// 34: no channel or no room.
    NoCircuitAvailable,
    /// 38: the network failed.
    NetworkOutOfOrder,
    /// 41: a failure that may pass.
    TemporaryFailure,
    /// 65: no common codec or capability.
    BearerCapabilityNotImplemented,
    /// 102: a timer ran out.
    RecoveryOnTimerExpiry,
    /// 127: the protocols did not fit.
    Interworking,
}

impl Cause {
    /// The number in ITU-T Q.850 table 1.
    pub const fn q850(self) -> u8 {
        match self {
            Self::UnallocatedNumber => 1,
            Self::NormalClearing => 16,
            Self::UserBusy => 17,
            Self::NoUserResponding => 18,
            Self::NoAnswer => 19,
            Self::CallRejected => 21,
            Self::RedirectionToNewDestination => 23,
            Self::DestinationOutOfOrder => 27,
            Self::NormalUnspecified => 31,
            Self::NoCircuitAvailable => 34,
            Self::NetworkOutOfOrder => 38,
            Self::TemporaryFailure => 41,
            Self::BearerCapabilityNotImplemented => 65,
            Self::RecoveryOnTimerExpiry => 102,
            Self::Interworking => 127,
        }
    }
}

/// What route wants of a signalling edge (route → edge). A command to a leg that is over changes nothing but
/// its memo: its `Ended` is on the way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SignallingCommand {
    /// The edge is attached: the first reply of the stream.
    Attached {},
    /// Tells the caller that it rings, or what it hears before an answer (RFC 3960).
    Ring {
        /// The leg.
        leg: LegId,
        /// Media's answer, where the caller is to hear early media.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        description: Option<SessionDescription>,
        /// Kept for route.
        memo: Memo,
    },
    /// Answers the caller.
    Answer {
        /// The leg.
        leg: LegId,
        /// Media's answer.
        description: SessionDescription,
        /// Kept for route.
        memo: Memo,
    },
    /// Calls someone; route made the leg's id.
    Dial {
        /// The new leg.
        leg: LegId,
        /// Over which endpoint.
        over: Endpoint,
        /// The number on a trunk; unused for a phone.
        number: String,
        /// Who is shown as caller.
        from: Party,
        /// Media's offer.
        description: SessionDescription,
        /// Kept for route.
        memo: Memo,
        /// How long the endpoint may say nothing at all, in milliseconds, before the leg ends; as long as the protocol
        /// lets it where nothing is said.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        silence_ms: Option<u32>,
    },
    /// Answers `Changing`.
    Change {
        /// The leg.
        leg: LegId,
        /// Media's answer; `None` refuses (488) and leaves the session as it was.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        description: Option<SessionDescription>,
    },
    /// Says how the transfer goes that the leg asked for. Without one it changes nothing.
    Transfer {
        /// The leg.
        leg: LegId,
        /// How it goes.
        progress: TransferProgress,
    },
    /// Keeps another memo, also of a leg that is over.
    Remember {
        /// The leg.
        leg: LegId,
        /// Kept for route.
        memo: Memo,
    },
    /// Route has kept everything of a leg that is over: the edge lets go of its end and its memo.
    Forget {
        /// The leg.
        leg: LegId,
    },
    /// Copies the messages of these legs, and hands down where they are.
    Capture(Copying),
    /// Refuses, cancels or ends the leg, whichever its state asks for.
    HangUp {
        /// The leg.
        leg: LegId,
        /// Why.
        cause: Cause,
    },
}

/// How a transfer goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TransferProgress {
    /// It is tried.
    Accepted,
    /// The other rings.
    Ringing,
    /// The other has taken the place: the last word.
    Done,
    /// It is refused, or came to nothing: the last word. The conversation is as it was.
    Failed {
        /// Why.
        cause: Cause,
    },
}

/// A leg that was alive when its edge attached.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LiveLeg {
    /// The leg.
    pub leg: LegId,
    /// How far it is.
    pub state: LegState,
    /// What route's last command carried.
    pub memo: Memo,
}

/// How far a leg is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LegState {
    /// Offered to us, or rung by us, and not answered.
    Ringing,
    /// Answered.
    Established,
}

/// Attaches a signalling edge: the last page of what it has.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AttachSignalling {
    /// Which page.
    pub page: Page,
    /// Every leg that is alive now and stood on no page before.
    pub legs: Vec<LiveLeg>,
    /// Every endpoint that stood on no page before, and whether it can be called now.
    pub endpoints: Vec<(Endpoint, Reachability)>,
}

/// Says what happened on a signalling edge.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Signal {
    /// What.
    pub event: SignallingEvent,
}

/// The event has reached the state it concerns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Heard {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_description_shows_no_key() {
        let text = "v=0\r\nm=audio 4000 RTP/SAVP 8\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:d0RmdmcmVCspeEc3\r\n";
        let shown = format!("{:?}", SessionDescription(text.to_owned()));
        assert!(shown.contains("m=audio 4000") && !shown.contains("d0Rm"), "{shown}");
    }
}
