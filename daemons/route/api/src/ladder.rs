//! How the signalling of a leg went, step by step, in the words of its protocol.
//!
//! For people who look at a call; nothing is decided by it. No number, no name, no body and no credentials ever stand
//! in it: only what was said, when, and between which machines.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use types::Monotonic;

/// The messages between the far side of a leg and the house. Its edge bounds it: what is beyond is left out in
/// the middle and counted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Ladder {
    /// The moment from which the steps count.
    pub began: Monotonic,
    /// In order.
    pub steps: Vec<Step>,
    /// How many were left out between the first and the last ones.
    #[serde(default)]
    pub left_out: u32,
    /// Between which addresses they went.
    #[serde(default)]
    pub paths: Vec<Path>,
}

/// Between which addresses messages went, and by what.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Path {
    /// What carried them (SIP: `UDP`, `TCP`, `TLS`).
    pub protocol: String,
    /// The house's address, as the far side reaches it: on a network behind an address translator, that one's.
    pub house: String,
    /// The far side's address, as the house saw it.
    pub far: String,
}

/// One message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Step {
    /// When, in microseconds from the ladder's beginning.
    pub after_us: u64,
    /// From whom to whom.
    pub way: Way,
    /// What: a method, or a status with the phrase of the standard (SIP: `INVITE`, `180 Ringing`).
    pub message: String,
    /// The request that it is or answers, by which an answer finds its question (SIP: CSeq).
    pub exchange: String,
    /// How often the same came or went again.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub repeated: u32,
    /// Which of the ladder's paths it took; none where there were too many.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<u8>,
}

/// From whom to whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Way {
    /// From the far side to the house.
    Received,
    /// From the house to the far side.
    Sent,
}

impl Ladder {
    /// The most steps of a ladder; a word in it has twice as many bytes at the most.
    pub const MOST: usize = 32;
    /// The most paths.
    pub const PATHS: usize = 8;

    /// The same without what is too much of it: an edge may say anything.
    #[must_use]
    pub fn bounded(mut self) -> Self {
        let beyond = self.steps.len().saturating_sub(Self::MOST);
        self.left_out = self.left_out.saturating_add(u32::try_from(beyond).unwrap_or(u32::MAX));
        self.steps.truncate(Self::MOST);
        self.paths.truncate(Self::PATHS);
        let steps = self.steps.iter_mut().flat_map(|step| [&mut step.message, &mut step.exchange]);
        let paths =
            self.paths.iter_mut().flat_map(|path| [&mut path.protocol, &mut path.house, &mut path.far]);
        for word in steps.chain(paths) {
            word.truncate(word.floor_char_boundary(2 * Self::MOST));
        }
        self
    }

    /// Whether nothing is known.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}
