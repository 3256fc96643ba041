//! Calls that are over, until everything of them is kept.
//!
//! ```text
//!  every leg over ─► memo renewed ─► Save ──► report has it ─┐
//!                         └───────── Finish ─► record has it ─┴─► Forget each leg
//! ```
//!
//! Killed anywhere before `Forget`, the next life finds the end of the caller's leg and the call's memo at the
//! signalling edge, and says `Save` and `Finish` again. Both mean the same however often they are said: the
//! ids of call and recording follow from the caller's leg (see [`crate::ids`]).

use super::{FINISHED, LEFT, Link, Router, call_of};
use crate::{
    call::{Call, Recording},
    ids::recording_of,
    input::Output,
    memo::{self, Memory},
};
use mutant::mutant;
use report_api::Disposition;
use route_api::{Cause, EndedBy, Ladder, Memo, SignallingCommand};
use std::collections::BTreeSet;
use types::{CallId, LegId, Monotonic, RecordingId, Utc};

/// Legs that are over and whose ladders the edge keeps for one call: those of its last offers.
const HELD: usize = 16;

/// What report and record have not confirmed yet.
#[derive(Clone, Debug)]
pub(super) struct Settling {
    /// The legs that the edge keeps for it.
    legs: BTreeSet<LegId>,
    /// Whose Finish record has not taken.
    recording: Option<RecordingId>,
}

/// The end of a leg, as the edge says it.
#[derive(Clone, Debug)]
pub(super) struct Left {
    pub at: Monotonic,
    pub cause: Cause,
    pub by: EndedBy,
    pub memo: Memo,
    pub ladder: Ladder,
}

impl Router {
    /// The edge says that a leg is over. What it says before it attaches waits for the list of what is alive.
    pub(super) fn left(&mut self, leg: LegId, mut left: Left) {
        if left.memo.0.len() > memo::MOST {
            left.memo = Memo::default();
        }
        left.ladder = left.ladder.bounded();
        if self.signalling != Link::Attached {
            if self.left.len() < LEFT {
                self.left.insert(leg, left);
            }
            return;
        }
        let memo = left.memo.clone();
        self.with_leg(leg, |router, call, id| router.line_left(call, id, left));
        self.let_go(leg, &memo);
    }

    /// The edge may forget a leg of which nothing is left to be kept.
    fn let_go(&mut self, leg: LegId, memo: &Memo) {
        // The memo of a call is long: it is read only where nothing else says whose the leg was.
        let known = self.legs.get(&leg).copied();
        let call = known.or_else(|| match Memory::read(memo)? {
            Memory::Call(call) => Some(call.id),
            Memory::PartOf(call) => Some(call),
        });
        let call = call.unwrap_or_else(|| call_of(leg));
        if let Some(settling) = self.settling.get_mut(&call) {
            settling.legs.insert(leg);
        } else if let Some(goes_on) = self.calls.get(&call)
            && (goes_on.caller.id == leg || !mutant("route-ladder-forgotten"))
        {
            // Of a call that goes on the caller's memo says it, but for the ladder: the edge has that alone.
            let held = self.held.entry(call).or_default();
            held.push_back(leg);
            if held.len() > HELD
                && let Some(oldest) = held.pop_front()
            {
                self.signal(SignallingCommand::Forget { leg: oldest });
            }
        } else {
            self.signal(SignallingCommand::Forget { leg });
        }
    }

    /// Lets go of every leg whose end was said before the edge attached.
    pub(super) fn let_go_of_left(&mut self) {
        for (leg, left) in std::mem::take(&mut self.left) {
            self.let_go(leg, &left.memo);
        }
    }

    /// Ends the legs of a call whose ends were said before the edge attached, in their order.
    pub(super) fn end_left(&mut self, call: &mut Call) {
        let mut ends: Vec<(LegId, Left)> =
            call.legs().filter_map(|leg| Some((leg.id, self.left.get(&leg.id)?.clone()))).collect();
        ends.sort_by_key(|(_, left)| left.at);
        for (leg, left) in ends {
            self.line_left(call, leg, left);
        }
    }

    /// A leg ended at that moment: whatever follows from it happened then.
    fn line_left(&mut self, call: &mut Call, id: LegId, left: Left) {
        let (now, at) = (self.now.utc, self.utc_of(left.at));
        let mut news = false;
        if let Some(leg) = call.leg(id) {
            leg.ladder = left.ladder;
            news = !leg.line_over() && !mutant("route-ended-at-return");
        }
        if !mutant("route-ended-at-return") {
            self.now.utc = at.max(call.latest());
        }
        self.line_ended(call, id, left.cause, left.by);
        self.now.utc = now;
        // What follows from it is told in order; the leg itself was over then, however late the word of it came.
        if let Some(leg) = call.leg(id).filter(|_| news) {
            leg.ended_at(at);
        }
    }

    /// The calendar's word for a moment of the past.
    pub(super) fn utc_of(&self, at: Monotonic) -> Utc {
        let ago = i64::try_from(self.now.monotonic.since(at).as_nanos()).unwrap_or(i64::MAX);
        Utc(self.now.utc.0.saturating_sub(ago))
    }

    /// An earlier life may have begun the recording without leaving word of it: its Begin can be faster than
    /// the memo. Where there is none, record says so.
    pub(super) fn finish_unknown_recording(&mut self, call: &mut Call) {
        if call.recording == Recording::None && call.consent.is_some() {
            let recording = recording_of(call.id);
            call.recording = Recording::Finished(recording);
            self.recordings.insert(recording, call.id);
            self.output.push_back(Output::RecordFinish(call.finish(recording)));
        }
    }

    /// All is said: the call becomes its call record.
    pub(super) fn close_out(&mut self, call: Call, disposition: Disposition) {
        for leg in call.legs() {
            self.legs.remove(&leg.id);
        }
        if call.position.as_ref().is_some_and(|position| !self.flows.is_present(position)) {
            self.forget_flows();
        }
        if disposition == Disposition::Abandoned && mutant("route-no-call-record") {
            return;
        }
        let (id, caller) = (call.id, call.caller.id);
        // What record has confirmed already is in the table no more.
        let recording = call.recording().filter(|recording| self.recordings.contains_key(recording));
        let legs = self.held.remove(&id).unwrap_or_default().into_iter().chain([caller]).collect();
        self.settling.insert(id, Settling { legs, recording });
        self.unsaved.insert(id);
        if mutant("route-forgets-before-save") {
            self.signal(SignallingCommand::Forget { leg: caller });
        }
        let record = call.record(self.now.utc, disposition, |at| self.utc_of(at));
        self.output.push_back(Output::Save(Box::new(record)));
    }

    /// report has kept the call record.
    pub(super) fn saved(&mut self, call: CallId) {
        self.unsaved.remove(&call);
        self.cut_off_kept(call);
        self.settle(call);
    }

    /// record has ended the recording, or has none.
    pub(super) fn finished(&mut self, recording: RecordingId) {
        let Some(call) = self.recordings.remove(&recording) else { return };
        if let Some(settling) = self.settling.get_mut(&call) {
            settling.recording = None;
            self.settle(call);
        }
    }

    fn settle(&mut self, call: CallId) {
        let open = self.settling.get(&call).is_none_or(|settling| settling.recording.is_some());
        if open || self.unsaved.contains(&call) {
            return;
        }
        for leg in self.settling.remove(&call).into_iter().flat_map(|settling| settling.legs) {
            self.signal(SignallingCommand::Forget { leg });
        }
        self.is_finished(call);
    }

    /// A late memo must not bring this call back.
    pub(super) fn is_finished(&mut self, call: CallId) {
        if self.finished.len() >= FINISHED {
            self.finished.pop_front();
        }
        self.finished.push_back(call);
    }

    /// Whether this call is over and has its call record.
    pub(super) fn is_over(&self, call: CallId) -> bool {
        self.settling.contains_key(&call) || self.cut_off.contains_key(&call) || self.finished.contains(&call)
    }
}
