//! Early media (RFC 3960): one leg hears another that is not answered and does not hear it.
//!
//! ```text
//!   caller's leg ◄─── called leg     speech, as it comes
//!        │ plays its tone or music until the first of it, and again after a pause
//! ```
//!
//! Owns the one-way join and when the house's own sound gives way. Never decides that a call is answered.

use super::{Core, leg::Leg};
use crate::Error;
use serde::{Deserialize, Serialize};
use std::time::Duration;
use types::{LegId, Monotonic};

/// How long nothing comes until the hearer's own sound is back: longer than the pause of every ringing tone
/// (ITU-T E.180: at most 5 s), which a line with silence suppression does not send.
pub const PAUSE: Duration = Duration::from_secs(6);

/// Whom a leg hears who does not hear it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Early {
    from: LegId,
    /// The number of this join, as of a bridge.
    number: u64,
    /// When the last of it came; `None` before the first, and after a pause.
    flowed: Option<Monotonic>,
}

impl Core {
    pub(super) fn early(
        &mut self,
        now: Monotonic,
        leg: LegId,
        answer: &[u8],
        to: LegId,
    ) -> Result<(), Error> {
        if leg == to {
            return Err(Error::SameLeg(leg));
        }
        self.leg(to)?;
        self.leg(leg)?.accept_early(now, answer)?;
        if self.legs.get(&to).and_then(|state| state.early).is_some_and(|early| early.from == leg) {
            return Ok(());
        }
        for one in [leg, to] {
            self.part(one);
        }
        self.bridges += 1;
        let number = self.bridges;
        self.leg(leg)?.bridge = Some((to, number));
        let hearer = self.leg(to)?;
        hearer.early = Some(Early { from: leg, number, flowed: None });
        if mutant::mutant("media-early-both-ways") {
            hearer.bridge = Some((leg, number));
        }
        Ok(())
    }

    /// Ends what a leg hears so.
    pub(super) fn unhear(&mut self, leg: LegId) {
        let early = self.legs.get_mut(&leg).and_then(|state| state.early.take());
        if let Some(early) = early
            && let Some(heard) = self.legs.get_mut(&early.from)
        {
            heard.bridge.take_if(|bridge| *bridge == (leg, early.number));
        }
    }
}

impl Early {
    /// Whether it is the join of that number.
    pub fn is_by(&self, number: u64) -> bool {
        self.number == number
    }
}

impl Leg {
    /// Speech of a peer comes by the join of that number.
    pub fn flows(&mut self, now: Monotonic, number: u64) {
        if let Some(early) = self.early.as_mut().filter(|early| early.number == number) {
            early.flowed = Some(now);
        }
    }

    /// Notes where it has ceased.
    pub fn pauses(&mut self, now: Monotonic) {
        if let Some(early) = &mut self.early {
            early
                .flowed
                .take_if(|flowed| now.since(*flowed) >= PAUSE && !mutant::mutant("media-tone-stays-away"));
        }
    }

    /// Whether what the house says to the party gives way to what the peer does.
    pub fn gives_way(&self) -> bool {
        self.early.is_some_and(|early| early.flowed.is_some()) && !mutant::mutant("media-tone-over-early")
    }
}
