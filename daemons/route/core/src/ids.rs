//! Ids from a seed: the shell hands in randomness once, and the core stays deterministic.
//!
//! A call has the id of its caller's leg, and its recording the one after: another life of route that knows
//! of the leg alone means the same call and the same recording, so neither is kept twice.

use serde::{Deserialize, Serialize};
use types::{CallId, LegId, RecordingId, Uid};

/// An odd multiplier near 2^128 / φ: n ↦ seed + n × STEP meets no value twice in 2^128 steps (a Weyl
/// sequence), and neighbours look nothing alike.
const STEP: u128 = 0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835;

/// The call of a caller's leg.
pub fn call_of(leg: LegId) -> CallId {
    CallId(leg.0)
}

/// The recording of a call.
pub fn recording_of(call: CallId) -> RecordingId {
    RecordingId(Uid(u128::from_be_bytes(call.0.0).wrapping_add(STEP).to_be_bytes()))
}

/// A source of ids. Two sources with random seeds do not meet in practice.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Ids(u128);

impl Ids {
    /// A source that begins at `seed`.
    pub fn new(seed: [u8; 16]) -> Self {
        Self(u128::from_be_bytes(seed))
    }

    /// The next id.
    pub fn next(&mut self) -> Uid {
        self.0 = self.0.wrapping_add(STEP);
        Uid(self.0.to_be_bytes())
    }
}
