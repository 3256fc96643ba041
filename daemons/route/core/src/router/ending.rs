//! The end of a leg, and of a call.

use super::{Router, elsewhere::ended_at_the_edge};
use crate::{
    call::{Call, Overflow, Stage},
    leg::Sound,
};
use report_api::{Disposition, OfferOutcome};
use route_api::{Cause, EndedBy, Quality};
use types::LegId;

impl Router {
    pub(super) fn line_ended(&mut self, call: &mut Call, id: LegId, cause: Cause, by: EndedBy) {
        let now = self.now.utc;
        let Some(leg) = call.leg(id) else { return };
        if leg.line_over() {
            return;
        }
        leg.end(now, cause, by);
        self.close(leg);
        self.leg_lost(call, id, cause, by);
    }

    pub(super) fn sound_closed(&mut self, call: &mut Call, id: LegId, quality: Quality) {
        let Some(leg) = call.leg(id) else { return };
        let before = std::mem::replace(&mut leg.sound, Sound::Closed { quality: Some(quality) });
        if matches!(before, Sound::Opening | Sound::Open) {
            self.sound_lost(call, id);
        }
    }

    /// The media of a leg is gone without our asking: nobody can be heard there.
    pub(super) fn sound_lost(&mut self, call: &mut Call, id: LegId) {
        if let Some(leg) = call.leg(id) {
            self.hang_up_leg(leg, Cause::NetworkOutOfOrder);
        }
        self.leg_lost(call, id, Cause::NetworkOutOfOrder, EndedBy::Failure);
    }

    /// What the end of a leg means for its call.
    fn leg_lost(&mut self, call: &mut Call, id: LegId, cause: Cause, by: EndedBy) {
        if matches!(call.stage, Stage::Ending { .. }) || self.place_lost(call, id, cause) {
            return;
        }
        if id == call.caller.id {
            let disposition = self.disposition_of_loss(call, by);
            self.end(call, disposition, Cause::NormalClearing);
            return;
        }
        match &call.stage {
            Stage::Offering(_, offer) if offer.leg == id => self.offer_ended(call, cause, by),
            Stage::Reaching(reach) if reach.leg == id => {
                let why = format!("the leg ended, cause {}", cause.q850());
                if !(ended_at_the_edge(call, id) && self.tried_elsewhere(call, cause, by, &why)) {
                    self.reach_failed(call, cause, &why);
                }
            }
            Stage::Reaching(reach) if reach.instead.as_ref().is_some_and(|talk| talk.leg == id) => {
                self.transferor_gone(call);
            }
            Stage::Talking(talk) if talk.leg == id && by == EndedBy::Peer && self.is_reflex(call) => {
                let talk = talk.clone();
                self.wait_again(call, talk);
            }
            Stage::Talking(talk) if talk.leg == id => {
                self.end(call, Disposition::Answered, Cause::NormalClearing);
            }
            _ => {}
        }
    }

    /// How a call ends whose caller is gone.
    pub(super) fn disposition_of_loss(&self, call: &Call, by: EndedBy) -> Disposition {
        match &call.stage {
            Stage::Talking(_) => Disposition::Answered,
            Stage::Reaching(reach) if reach.instead.is_some() => Disposition::Answered,
            _ if by == EndedBy::Failure => Disposition::Failed,
            Stage::Waiting(_) | Stage::Offering(..) => Disposition::Abandoned,
            Stage::Arriving(_) | Stage::Playing(_) | Stage::Choosing(_) | Stage::Reaching(_) => {
                match call.overflow {
                    Overflow::None => Disposition::EndedInFlow,
                    Overflow::Happened => Disposition::Refused,
                }
            }
            Stage::Ending { disposition, .. } => *disposition,
        }
    }

    /// Ends a call: place, offer, agent and legs are given up; what is left is to hear that they are over.
    pub(super) fn end(&mut self, call: &mut Call, disposition: Disposition, cause: Cause) {
        self.give_up_place(call, Cause::NormalClearing, "the call is over");
        match call.stage.clone() {
            Stage::Ending { .. } => return,
            Stage::Waiting(wait) => self.leave(call, wait),
            Stage::Offering(..) => {
                if let Some((wait, offer)) =
                    self.end_offer(call, OfferOutcome::Abandoned, Cause::NormalClearing)
                {
                    self.leave(call, wait);
                    self.release(&offer.agent);
                }
            }
            Stage::Reaching(reach) => {
                self.give_up_reach(call, &reach, Cause::NormalClearing);
                reach.instead.iter().for_each(|talk| self.after_talk(talk));
            }
            Stage::Talking(talk) => self.after_talk(&talk),
            Stage::Arriving(_) | Stage::Playing(_) | Stage::Choosing(_) => {}
        }
        call.stage = Stage::Ending { disposition, until: self.closing_time() };
        for leg in call.legs_mut() {
            self.hang_up_leg(leg, cause);
        }
    }
}
