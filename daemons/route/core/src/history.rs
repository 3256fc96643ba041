//! What is kept of a call when it is over.

use crate::{
    call::{Call, Recording},
    leg::{Leg, Track},
};
use record_api::Consent;
use report_api::{CallRecord, Decision, Disposition, NotRecorded, Recorded};
use types::{LegId, Monotonic, Utc};

/// Decisions kept of one call: the first ones, which say why it went where it went.
const DECISIONS: usize = 256;

impl Call {
    /// Notes a decision and its reason.
    pub fn decide(&mut self, at: Utc, what: &str, why: impl Into<String>) {
        if self.decisions.len() < DECISIONS {
            self.decisions.push(Decision { at, what: what.to_owned(), why: why.into() });
        }
    }

    /// The call record, at the end. `utc` is the calendar's word for a moment.
    pub fn record(self, now: Utc, disposition: Disposition, utc: impl Fn(Monotonic) -> Utc) -> CallRecord {
        let recording = self.recorded(disposition);
        let mut legs: Vec<_> =
            self.legs().filter(|leg| leg.known()).map(|leg| leg.record(now, &utc)).collect();
        // Who called first stays the first, whatever took its place.
        legs.sort_by_key(|leg| leg.began);
        let ended = legs.iter().map(|leg| leg.ended).max().unwrap_or(now);
        CallRecord {
            call: self.id,
            offered: self.offered,
            ended,
            from: self.from,
            dialled: self.dialled,
            flow: self
                .position
                .as_ref()
                .map_or_else(String::new, |position| format!("{}@{}", position.flow, position.version)),
            queued: self.queued,
            legs,
            disposition,
            recording,
            decisions: self.decisions,
            outcome: None,
        }
    }

    /// The recording, or why there is none.
    fn recorded(&self, disposition: Disposition) -> Recorded {
        let consents: Vec<(LegId, Consent)> = self.legs().filter_map(written).collect();
        let reason = match self.recording {
            Recording::Asked(recording) | Recording::Begun(recording) | Recording::Finished(recording)
                if !consents.is_empty() =>
            {
                return Recorded::Yes { recording, consents };
            }
            _ if disposition != Disposition::Answered => NotRecorded::NoConversation,
            Recording::Failed(why) => why.into(),
            Recording::None => NotRecorded::NoConsent,
            Recording::Asked(_) | Recording::Begun(_) | Recording::Finished(_) => NotRecorded::Failed,
        };
        Recorded::No { reason }
    }
}

/// The consent of a leg whose party was recorded.
fn written(leg: &Leg) -> Option<(LegId, Consent)> {
    match &leg.track {
        Track::Tapped { consent, .. } => Some((leg.id, consent.clone())),
        Track::Off | Track::Asked { .. } | Track::Ready { .. } => None,
    }
}
