//! A disk of recordings that is full or takes nothing, and what the settings want then: calls that go on without a
//! recording, or none.

use super::Router;
use crate::call::{Call, Recording, Stage};
use mutant::mutant;
use record_api::DiskHealth;
use route_api::{Cause, EndedBy};
use settings::record::{OnDiskFull, When};

impl Router {
    /// Whether a new call would go unrecorded, and none such is wanted.
    pub(super) fn nothing_can_be_recorded(&self) -> bool {
        let rule = &self.plan.rule;
        let full = self.now.monotonic < self.full_until || !self.disk.takes_recordings();
        full && rule.on_disk_full == OnDiskFull::EndCalls && rule.when != When::Never
    }

    /// record tells how its disk is. One that takes nothing loses what is being said now.
    pub(super) fn disk(&mut self, health: DiskHealth) {
        let before = std::mem::replace(&mut self.disk, health);
        if health != DiskHealth::Stalled || before == health {
            return;
        }
        let calls: Vec<_> = self.calls.keys().copied().collect();
        for call in calls {
            self.with_call(call, Self::recording_stalled);
        }
    }

    fn recording_stalled(&mut self, call: &mut Call) {
        let recorded = matches!(call.recording, Recording::Asked(_) | Recording::Begun(_));
        if !recorded || matches!(call.stage, Stage::Ending { .. }) {
            return;
        }
        let goes_on = self.plan.rule.on_disk_full == OnDiskFull::Continue || mutant("route-talks-unrecorded");
        let why = match goes_on {
            true => "the disk takes nothing: the call goes on without",
            false => "the disk takes nothing, and no unrecorded call is wanted",
        };
        call.decide(self.now.utc, "recording.stalled", why);
        if goes_on {
            return;
        }
        let disposition = self.disposition_of_loss(call, EndedBy::Failure);
        self.end(call, disposition, Cause::TemporaryFailure);
    }
}
