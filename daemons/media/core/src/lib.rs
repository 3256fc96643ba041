//! RTP, prompts, tones, digits and taps: the sans-IO core of `media`.
//!
//! Owns the media side of every leg: what was agreed with the party ([`sdp`]), its streams ([`rtp`]), its
//! keys ([`dtmf`]), its speech where it cannot be passed as it came ([`codec`], [`sound`]), its protection
//! ([`srtp`]), what it hears ([`wav`]), how well ([`emodel`]), and what the recording gets of it ([`session`]).
//! Never reads a clock, opens a socket or a file, draws a random number or sees a key.
//!
//! ```text
//!   party A ══ RTP ══► leg A ──► bridge ──► leg B ══ RTP ══► party B
//!                        │  └──► digits ──► events
//!                        └─────► tap ──► batches, one track for each party
//! ```

pub mod codec;
pub mod demux;
pub mod dtmf;
pub mod emodel;
mod error;
pub use ::g711;
pub mod rtp;
pub mod sdp;
pub mod session;
pub mod sound;
pub mod srtp;
pub mod wav;

pub use error::Error;
pub use session::{Core, Event, Input, Output};
