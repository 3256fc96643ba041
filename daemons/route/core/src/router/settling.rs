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
use route_api::{Cause, EndedBy, Memo, SignallingCommand};
use std::collections::BTreeSet;
use types::{CallId, LegId, Monotonic, RecordingId, Utc};

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
}

impl Router {
    /// The edge says that a leg is over. What it says before it attaches waits for the list of what is alive.
    pub(super) fn left(&mut self, leg: LegId, mut left: Left) {
        if left.memo.0.len() > memo::MOST {
            left.memo = Memo::default();
        }
        if self.signalling != Link::Attached {
            if self.left.len() < LEFT {
                self.left.insert(leg, left);
            }
            return;
        }
        let at = self.utc_of(left.at);
        self.with_leg(leg, |router, call, id| router.line_left(call, id, at, left.cause, left.by));
        self.let_go(leg, &left.memo);
    }

    /// The edge may forget a leg of which nothing is left to be kept.
    fn let_go(&mut self, leg: LegId, memo: &Memo) {
        let call = match Memory::read(memo) {
            _ if self.legs.contains_key(&leg) => self.legs.get(&leg).copied(),
            Some(Memory::Call(call)) => Some(call.id),
            Some(Memory::PartOf(call)) => Some(call),
            None => None,
        };
        let call = call.unwrap_or_else(|| call_of(leg));
        if let Some(settling) = self.settling.get_mut(&call) {
            settling.legs.insert(leg);
        } else if self.calls.get(&call).is_none_or(|call| call.caller.id != leg) {
            // Of a call that goes on the caller's memo says it; every other one is kept, or nobody's.
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
            let at = self.utc_of(left.at);
            self.line_left(call, leg, at, left.cause, left.by);
        }
    }

    /// A leg ended at that moment: whatever follows from it happened then.
    fn line_left(&mut self, call: &mut Call, leg: LegId, at: Utc, cause: Cause, by: EndedBy) {
        let now = self.now.utc;
        if !mutant("route-ended-at-return") {
            self.now.utc = at.max(call.latest());
        }
        self.line_ended(call, leg, cause, by);
        self.now.utc = now;
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
        self.settling.insert(id, Settling { legs: BTreeSet::from([caller]), recording });
        self.unsaved.insert(id);
        if mutant("route-forgets-before-save") {
            self.signal(SignallingCommand::Forget { leg: caller });
        }
        self.output.push_back(Output::Save(Box::new(call.record(self.now.utc, disposition))));
    }

    /// report has kept the call record.
    pub(super) fn saved(&mut self, call: CallId) {
        self.unsaved.remove(&call);
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
        if self.finished.len() >= FINISHED {
            self.finished.pop_front();
        }
        self.finished.push_back(call);
    }

    /// Whether this call is over and has its call record.
    pub(super) fn is_over(&self, call: CallId) -> bool {
        self.settling.contains_key(&call) || self.finished.contains(&call)
    }
}
