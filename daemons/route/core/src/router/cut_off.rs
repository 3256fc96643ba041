//! Calls that a loss of power ended. Nobody at the edges knows of them any more; record has what was sealed, and the
//! memo that came with the last Begin or Join.
//!
//! ```text
//!  record: left behind ─► edge attached, no such call ─► Save ──► report has it ─► Finish
//! ```
//!
//! In this order, because record forgets the memo once all is told: a second loss of power finds one of the two.

use super::{LEFT, Link, Router};
use crate::{
    call::{Call, Stage},
    input::Output,
    leg::{Leg, Sound, Track},
    memo::Memory,
};
use mutant::mutant;
use record_api::{Consent, Outcome, RecordingState};
use report_api::{Disposition, OfferOutcome, OfferRecord, Queued};
use route_api::{Cause, EndedBy, Memo};
use types::{CallId, Utc};

impl Router {
    /// record began anew and has this of an earlier life.
    pub(super) fn left_behind(&mut self, outcome: Outcome) {
        if self.signalling == Link::Attached {
            self.judge(outcome);
        } else if self.behind.len() < LEFT {
            self.behind.insert(outcome.call, outcome);
        }
    }

    /// Every call that lives is known now.
    pub(super) fn judge_what_was_left(&mut self) {
        std::mem::take(&mut self.behind).into_values().for_each(|outcome| self.judge(outcome));
    }

    fn judge(&mut self, outcome: Outcome) {
        let id = outcome.call;
        if self.calls.contains_key(&id) || self.is_over(id) || mutant("route-cut-off-forgotten") {
            return;
        }
        // Without a memo nothing is known of it: record closes what nobody ends after a while.
        let Some(Memory::Call(mut call)) = Memory::read(&Memo(outcome.memo)) else { return };
        if call.id != id || call.recording() != Some(outcome.recording) {
            return;
        }
        let at = outcome.at.max(call.latest());
        let disposition = end_at(&mut call, at);
        let finish = (outcome.state == RecordingState::Recording).then(|| call.finish(outcome.recording));
        self.cut_off.insert(id, finish);
        self.unsaved.insert(id);
        // The edge is gone with its ladders, whose moments would be of another life of the machine.
        let record = call.record(at, disposition, |_| at);
        self.output.push_back(Output::Save(Box::new(record)));
    }

    /// Its call record is kept: record may end what it has, and forget the memo.
    pub(super) fn cut_off_kept(&mut self, call: CallId) {
        if let Some(finish) = self.cut_off.remove(&call) {
            self.output.extend(finish.map(Output::RecordFinish));
            self.is_finished(call);
        }
    }
}

/// Ends everything of the call at this moment; how it ended.
fn end_at(call: &mut Call, at: Utc) -> Disposition {
    let answered = |leg: &Leg| leg.answered.is_some();
    let talked = call.agents.iter().any(answered);
    if let Stage::Waiting(wait) | Stage::Offering(wait, _) = &call.stage {
        let mut wait = wait.clone();
        if let Stage::Offering(_, offer) = &call.stage {
            let outcome = if talked { OfferOutcome::Answered } else { OfferOutcome::Failed };
            let (agent, phone) = (offer.agent.clone(), offer.phone.clone());
            wait.offers.push(OfferRecord { agent, phone, at: offer.at, until: at, outcome });
        }
        call.queued.push(Queued { queue: wait.queue, entered: wait.entered, left: at, offers: wait.offers });
    }
    for leg in call.legs_mut() {
        if leg.known() {
            leg.end(at, Cause::TemporaryFailure, EndedBy::Failure);
        }
        if !leg.sound_over() {
            leg.sound = Sound::Closed { quality: None };
        }
        // What record was asked for before somebody answered it was on its way to be recorded.
        if let Track::Asked { number, consent } | Track::Ready { number, consent } = leg.track.clone()
            && talked
            && consent != (Consent::Refused {})
        {
            leg.track = Track::Tapped { number, consent };
        }
    }
    call.decide(at, "call.cut-off", "the house lost its power, and with it the call");
    if talked { Disposition::Answered } else { Disposition::Failed }
}
