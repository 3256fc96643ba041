//! Why this crate refused something.

use std::net::SocketAddr;
use types::LegId;

/// What was attempted and why it did not come to pass.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A datagram is no RTP packet (RFC 3550 §5.1).
    #[error("parsing an RTP packet: {0}")]
    Rtp(&'static str),
    /// A datagram is no RTCP packet (RFC 3550 §6).
    #[error("parsing an RTCP packet: {0}")]
    Rtcp(&'static str),
    /// A body is no session description (RFC 8866).
    #[error("parsing a session description, line {line}: {reason}")]
    Sdp {
        /// The line, counted from 1; 0 where the whole is meant.
        line: usize,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A sound session description that this side cannot meet (RFC 3264 §6).
    #[error("negotiating media: {0}")]
    Negotiation(#[from] crate::sdp::Refusal),
    /// A file is no prompt.
    #[error("reading a WAV file: {0}")]
    Wav(&'static str),
    /// A leg of this id is not open.
    #[error("leg {0} is not open")]
    NoLeg(LegId),
    /// A leg of this id is open already.
    #[error("leg {0} is open already")]
    LegExists(LegId),
    /// The leg has no agreed media yet.
    #[error("leg {0} has no answer yet")]
    NotAgreed(LegId),
    /// An answer came where no offer of ours waits for one (RFC 3264 §4).
    #[error("leg {0} waits for no answer")]
    NoOfferPending(LegId),
    /// No prompt of this name is loaded.
    #[error("no prompt {0:?} is loaded")]
    NoPrompt(String),
    /// What the leg agreed on is spoken by a library, which is not there any more.
    #[error("{0} is not spoken: its library is not loaded")]
    NotSpoken(&'static str),
    /// A playing has 1 to 32 prompts.
    #[error("{0} prompts are no playing")]
    PromptCount(usize),
    /// A leg cannot be bridged to itself.
    #[error("leg {0} cannot be bridged to itself")]
    SameLeg(LegId),
    /// The house is full.
    #[error("{0} legs are open, the most that are allowed")]
    Full(usize),
    /// RTP needs an even port with the odd one above it for RTCP (RFC 3550 §11).
    #[error("{0} is no even RTP port")]
    OddPort(SocketAddr),
}
