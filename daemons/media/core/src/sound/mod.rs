//! Sound as linear samples at 8 kHz: what is needed where octets cannot be passed on as they came.
//!
//! Owns waiting for late packets ([`Playout`]), hiding lost ones ([`Concealment`]), telling keys by ear
//! ([`Ear`]), making tones ([`tone`]) and other rates ([`resample`]). Never a packet's header, never a leg.

mod concealment;
mod ear;
mod playout;
mod resample;
pub mod tone;

pub use concealment::Concealment;
pub use ear::{Ear, Heard};
pub use playout::{Playout, Pulled};
pub use resample::resample;
