//! What must hold between one entry and the next: the sequence has no gap, the boots count up, the monotonic
//! clock of a boot does not go back, and the wall clock goes with it.
//!
//! A wall clock may be set, but not in silence: only an entry of the kind [`Kind::CLOCK_STEPPED`] may stand
//! away from its predecessor by more than [`TOLERANCE`]. Writer and verifier follow the same rule.

use crate::entry::{Entry, Kind};
use std::time::Duration;

/// The wall clock may leave the monotonic one by this much from one entry to the next (a leap second and
/// the time between the two readings are within it).
pub const TOLERANCE: Duration = Duration::from_secs(2);

/// Which rule an entry breaks, and at which byte of the entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OrderFault {
    /// The entry is not the next one.
    #[error("sequence {found} where {due} is due")]
    Sequence {
        /// The sequence in the entry.
        found: u64,
        /// The one that follows its predecessor's.
        due: u64,
    },
    /// The boot counter goes back, or stays while the boot id changes, or goes on while it stays.
    #[error("the boot counter and the boot id do not go together")]
    Boot,
    /// CLOCK_MONOTONIC goes back within a boot.
    #[error("the monotonic clock goes back")]
    Monotonic,
    /// The wall clock was set without an entry that says so.
    #[error("the wall clock was set in silence")]
    WallClock,
}

impl OrderFault {
    /// Where the field at fault begins in the entry.
    pub const fn at(self) -> usize {
        match self {
            Self::Sequence { .. } => 3,
            Self::Boot => 11,
            Self::Monotonic => 35,
            Self::WallClock => 43,
        }
    }
}

/// Checks that `entry` may follow `previous`; the first entry of a log has none and has sequence 0.
pub fn follow(previous: Option<&Entry>, entry: &Entry) -> Result<(), OrderFault> {
    let due = previous.map_or(0, |previous| previous.sequence.saturating_add(1));
    if entry.sequence != due {
        return Err(OrderFault::Sequence { found: entry.sequence, due });
    }
    let Some(previous) = previous else { return Ok(()) };
    let (before, now) = (&previous.moment, &entry.moment);
    let stepped = entry.kind == Kind::CLOCK_STEPPED;
    if now.boot_counter == before.boot_counter {
        if now.boot != before.boot {
            return Err(OrderFault::Boot);
        }
        let Some(passed) = now.monotonic.checked_sub(before.monotonic) else {
            return Err(OrderFault::Monotonic);
        };
        let wall = i128::from(now.utc_nanos) - i128::from(before.utc_nanos);
        let passed = i128::try_from(passed.as_nanos()).unwrap_or(i128::MAX);
        if !stepped && wall.saturating_sub(passed).unsigned_abs() > TOLERANCE.as_nanos() {
            return Err(OrderFault::WallClock);
        }
    } else {
        if now.boot_counter < before.boot_counter || now.boot == before.boot {
            return Err(OrderFault::Boot);
        }
        // The time that the machine was off is not known; only that it did not run backwards.
        if !stepped && now.utc_nanos < before.utc_nanos {
            return Err(OrderFault::WallClock);
        }
    }
    Ok(())
}
