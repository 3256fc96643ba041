//! What route offers: the leg contract to its edges, the live state to people.
//!
//! An edge (sip, tdm, text, browser phones; media for what is heard) calls [`AttachSignalling`] or
//! [`AttachMedia`] once, with every leg that is alive at that moment and the memo of each (in pages, see
//! [`attaching`]), and keeps that stream: commands come back on it. What happens on the edge goes down as [`Signal`] or [`Hear`], in order,
//! one at a time. A leg is the same to route whatever carries it; route knows no SIP and no RTP.
//!
//! ```text
//!      Offered ──► Ring ──► Answer ──► (talking) ──► Ended
//!         │                    ▲                       ▲
//!         └──── HangUp ────────┼───────────────────────┤
//!      Dial ──► Ringing ──► Answered ──► (talking) ──► Ended
//! ```
//!
//! Whatever the way, each leg ends with exactly one `Ended`, also one that was refused or never answered.

pub mod attaching;
pub mod capture;
#[cfg(feature = "wire")]
mod desk;
mod ladder;
mod leg;
mod media;
mod state;
mod trunk;
#[cfg(feature = "wire")]
mod watch;

pub use attaching::{ListMedia, ListSignalling, Page};
#[cfg(feature = "wire")]
pub use capture::{Capture, Captured, Capturing};
#[cfg(feature = "wire")]
pub use desk::*;
pub use ladder::*;
pub use leg::*;
pub use media::*;
pub use state::*;
pub use trunk::*;
#[cfg(feature = "wire")]
pub use watch::*;

#[cfg(feature = "wire")]
service::interface! {
    /// Live contacts, queues, agents and flows.
    pub interface Route = "route" {
        /// Lists some of what a signalling edge has, before it attaches.
        call ListSignalling -> Heard;
        /// Attaches a signalling edge: commands come back until either side ends.
        stream AttachSignalling -> SignallingCommand;
        /// Says what happened to a leg or an endpoint.
        call Signal -> Heard;
        /// Lists some of what the media edge has, before it attaches.
        call ListMedia -> Heard;
        /// Attaches the media edge: commands come back until either side ends.
        stream AttachMedia -> MediaCommand;
        /// Says what media heard, played or lost.
        call Hear -> Heard;
        /// Hands down where the packets of a capture are; the descriptor comes with the call.
        call Captured -> Heard;
        /// Captures a live call; descriptors of its packets come with the reply.
        call Capture -> Capturing;
        /// The calls of this moment.
        call LiveCalls -> LiveCallList;
        /// The agents and their states.
        call Agents -> AgentList;
        /// Signs the asking agent in with a phone, or out.
        call SignIn -> AgentEntry;
        /// Sets an agent's state: one's own, or another's as a supervisor.
        call SetState -> AgentEntry;
        /// Sets how long one's after-call work lasts, or another's as a supervisor.
        call WrapUp -> AgentEntry;
        /// Tries a flow without a phone.
        call TryFlow -> Tried;
        /// The queues and who waits.
        call Queues -> QueueList;
        /// Trunks and phones, and whether they can be reached.
        call Endpoints -> EndpointList;
        /// The live state, and then what changes of it, for a console.
        stream Watch -> Changed;
        /// Ends a call, as a supervisor.
        call HangUp -> Heard;
    }
}
