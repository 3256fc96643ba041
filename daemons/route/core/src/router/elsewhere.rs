//! Calls outside: the trunks of a number, one after another, until one takes the call.
//!
//! ```text
//!  first trunk ──down, no connection, 503, silent──► next one … ──► the call has failed, with the last cause
//!       │ busy, unknown, refused: the called party's own answer: nobody else is asked
//! ```
//!
//! Each trunk that is tried is a leg of its own in the call record, with its cause; each that is known to be down is
//! passed over, and the record says so.

use super::{MEDIA, Router};
use crate::{
    call::{Call, OfferStep, Stage},
    leg::{Leg, Line, Sound},
    memo,
    outside::{NotCalled, Way, Ways},
};
use mutant::mutant;
use route_api::{Cause, EndedBy, Endpoint, MediaCommand, Party, Reachability};
use std::{collections::VecDeque, time::Duration};
use types::{Extension, LegId, Pii, TrunkId};

/// How long further trunks are tried, from the first one on.
const ALL: Duration = Duration::from_secs(30);
/// How long a trunk may take to say that it rings, while there is another: carriers take their time to find a mobile.
pub(super) const SETUP: Duration = Duration::from_secs(12);
/// How long a trunk may say nothing at all, while there is another: four INVITEs (RFC 3261 §17.1.1.2, Timer A).
pub(super) const SILENCE: Duration = Duration::from_secs(4);
const NO_TRUNK: NotCalled = (Cause::NoCircuitAvailable, "no trunk for it can be reached");

impl Router {
    /// The ways to a number outside, at least one of which can be tried.
    pub(super) fn ways_outside(&self, number: &str) -> Result<VecDeque<Way>, NotCalled> {
        let trunks = self.endpoints.keys().filter_map(|endpoint| match endpoint {
            Endpoint::Trunk(trunk) => Some(trunk),
            Endpoint::Phone(_) => None,
        });
        let ways = self.plan.outside(number, trunks)?;
        if ways.iter().any(|way| self.is_up(&way.trunk)) { Ok(ways) } else { Err(NO_TRUNK) }
    }

    /// The first way that can be tried.
    pub(super) fn first_way(&self, call: &mut Call, mut rest: VecDeque<Way>) -> Result<Ways, NotCalled> {
        let present = self.next_way(call, &mut rest).ok_or(NO_TRUNK)?;
        Ok(Ways { present, rest, until: self.now.monotonic.plus(ALL) })
    }

    /// Tries the next trunk, where the one that is tried has failed for a reason of its own; `false` where the call has
    /// to do with what came of it.
    pub(super) fn tried_elsewhere(&mut self, call: &mut Call, cause: Cause, by: EndedBy, why: &str) -> bool {
        let Stage::Reaching(reach) = &call.stage else { return false };
        let (step, failed, Some(ways)) = (reach.step.clone(), reach.leg, reach.ways.clone()) else {
            return false;
        };
        if !gives_way(cause, by, &step) || self.now.monotonic >= ways.until || mutant("route-no-fail-over") {
            return false;
        }
        let mut rest = ways.rest.clone();
        let Some(present) = self.next_way(call, &mut rest) else { return false };
        let (from, to) = (&ways.present.trunk, &present.trunk);
        let what = format!("{from}, cause {}: {why}; {to} is next", cause.q850());
        call.decide(self.now.utc, "trunk.failed", what);
        if let Some(leg) = call.leg(failed) {
            self.hang_up_leg(leg, cause);
        }
        let leg = self.open_leg(call, Endpoint::Trunk(present.trunk.clone()), None);
        if let Stage::Reaching(reach) = &mut call.stage {
            (reach.leg, reach.step, reach.at) = (leg, OfferStep::Opening, self.now.utc);
            reach.until = self.now.monotonic.plus(MEDIA);
            reach.ways = Some(Ways { present, rest, ..ways });
        }
        true
    }

    /// Makes a leg of ours for this call, and has media open it.
    pub(super) fn open_leg(
        &mut self,
        call: &mut Call,
        over: Endpoint,
        agent: Option<types::AgentId>,
    ) -> LegId {
        let leg = LegId(self.ids.next());
        let mut side = Leg::ours(leg, over.clone(), agent, self.now.utc);
        side.sound = Sound::Opening;
        call.agents.push(side);
        self.legs.insert(leg, call.id);
        let beside = Some(call.caller.id);
        let (memo, over) = (memo::part_of(call.id), Some(over));
        self.sound(MediaCommand::Open { leg, offer: None, memo, beside, over });
        leg
    }

    /// How many calls outside a phone has.
    pub(super) fn outside_calls(&self, phone: &Extension) -> usize {
        let calls = self.calls.values().filter(|call| match &call.caller.over {
            Endpoint::Phone(caller) => caller == phone,
            Endpoint::Trunk(_) => false,
        });
        calls.filter(|call| call.is_outgoing()).count()
    }

    /// The next way whose trunk is not known to be down; the record says which were passed over.
    fn next_way(&self, call: &mut Call, rest: &mut VecDeque<Way>) -> Option<Way> {
        while let Some(way) = rest.pop_front() {
            if self.is_up(&way.trunk) || mutant("route-dead-trunk-tried") {
                return Some(way);
            }
            call.decide(self.now.utc, "trunk.passed-over", format!("{} cannot be reached", way.trunk));
        }
        None
    }

    /// A trunk of which nothing is known is tried; one that the signalling edge does not know is not.
    fn is_up(&self, trunk: &TrunkId) -> bool {
        let known = self.endpoints.get(&Endpoint::Trunk(trunk.clone()));
        known.is_some_and(|reachable| *reachable != Reachability::Unreachable)
    }
}

impl Call {
    /// Whether a phone of the house has called outside, or does.
    pub fn is_outgoing(&self) -> bool {
        let with = match &self.stage {
            Stage::Reaching(reach) => reach.leg,
            Stage::Talking(talk) => talk.leg,
            _ => return false,
        };
        let outside = |leg: &Leg| leg.id == with && matches!(leg.over, Endpoint::Trunk(_));
        matches!(self.caller.over, Endpoint::Phone(_)) && self.agents.iter().any(outside)
    }
}

impl Way {
    /// Who is shown as caller: by the settings a number of the house, without anybody's name.
    pub fn shown(&self, from: Party) -> Party {
        match &self.caller {
            Some(number) => Party { number: Pii::new(number.clone()), display: None },
            None => from,
        }
    }
}

/// Whether a trunk that ended the leg so says nothing of the called party. Once it has rung, that the time ran out is
/// the party's doing.
fn gives_way(cause: Cause, by: EndedBy, step: &OfferStep) -> bool {
    let broken = matches!(
        cause,
        Cause::NetworkOutOfOrder | Cause::TemporaryFailure | Cause::NoCircuitAvailable | Cause::Interworking
    );
    match step {
        OfferStep::Dialling => {
            let own = by != EndedBy::Peer
                && matches!(cause, Cause::DestinationOutOfOrder | Cause::NoUserResponding);
            broken || own || cause == Cause::RecoveryOnTimerExpiry || mutant("route-fails-over-on-busy")
        }
        OfferStep::Ringing => broken,
        OfferStep::Opening | OfferStep::Connecting { .. } => false,
    }
}

/// Whether the edge has said that the leg is over: what media lost is no fault of a trunk.
pub(super) fn ended_at_the_edge(call: &mut Call, id: LegId) -> bool {
    call.leg(id).is_some_and(|leg| matches!(leg.line, Line::Ended { .. }))
}
