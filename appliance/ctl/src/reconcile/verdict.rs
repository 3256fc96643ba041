//! Whether calls, recordings and the audit log tell the same story. Pure: what is compared is handed in.

use audit_api::{Entry, EventKind, Phase};
use mutant::mutant;
use record_api::{Recording, RecordingState};
use report_api::{LedgerRow, Recorded};
use serde::Serialize;
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};
use types::{CallId, RecordingId, Utc};

/// What is compared. The entries were read last.
pub struct Books {
    /// Every call record.
    pub calls: Vec<LedgerRow>,
    /// Every recording.
    pub recordings: Vec<Recording>,
    /// Every entry of one of [`KINDS`].
    pub entries: Vec<Entry>,
}

/// The entries without which a call or a recording is not proved.
pub const KINDS: [EventKind; 5] = [
    EventKind::CallRecorded,
    EventKind::RecordingBegun,
    EventKind::RecordingSealed,
    EventKind::RecordingTruncated,
    EventKind::RecordingDeleted,
];

/// What the comparison showed.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub struct Verdict {
    /// Call records.
    pub calls: usize,
    /// Call records that name a recording.
    pub recorded: usize,
    /// Call records without one, by the reason that they give.
    pub unrecorded: BTreeMap<String, usize>,
    /// Recordings, deleted ones included.
    pub recordings: usize,
    /// Recordings that are cut off.
    pub truncated: usize,
    /// Recordings on whose way frames were lost.
    pub lossy: usize,
    /// Recordings that were deleted when their retention was over.
    pub deleted: usize,
    /// Recordings on legal hold.
    pub held: usize,
    /// Entries that were read.
    pub entries: usize,
    /// Recordings of calls that go on, and what is too young to be judged.
    pub going_on: usize,
    /// What does not agree.
    pub disagreements: Vec<Disagreement>,
}

/// One thing that does not agree.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Disagreement {
    /// What is wrong, as a code: its words are `ym.reconcile-…`.
    pub code: &'static str,
    /// The call, where it is about one.
    pub call: Option<CallId>,
    /// The recording, where it is about one.
    pub recording: Option<RecordingId>,
    /// The entry, where it is about one.
    pub entry: Option<u64>,
}

/// Holds the books against each other. What is younger than `young` may still be on its way from one daemon to the
/// other.
pub fn compare(books: &Books, now: Utc, young: Duration) -> Verdict {
    let mut judge = Judge::new(books, now, young);
    books.calls.iter().for_each(|call| judge.call(call));
    books.recordings.iter().for_each(|recording| judge.recording(recording));
    books.entries.iter().for_each(|entry| judge.entry(entry));
    judge.verdict.disagreements.sort();
    judge.verdict
}

struct Judge<'a> {
    now: Utc,
    young: Duration,
    calls: BTreeMap<CallId, &'a LedgerRow>,
    recordings: BTreeMap<RecordingId, &'a Recording>,
    /// The digests of a kind of entry, by its object; an empty one where the entry has none.
    digests: BTreeMap<(EventKind, &'a str), BTreeSet<&'a str>>,
    verdict: Verdict,
}

impl<'a> Judge<'a> {
    fn new(books: &'a Books, now: Utc, young: Duration) -> Self {
        let mut digests: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
        for Entry { event, .. } in &books.entries {
            if event.kind != EventKind::RecordingDeleted || event.phase == Phase::Ended {
                let digest = event.facts.get("digest").map_or("", String::as_str);
                digests.entry((event.kind, event.object.as_str())).or_default().insert(digest);
            }
        }
        let verdict = Verdict {
            calls: books.calls.len(),
            recordings: books.recordings.len(),
            entries: books.entries.len(),
            ..Verdict::default()
        };
        Self {
            now,
            young,
            calls: books.calls.iter().map(|row| (row.call, row)).collect(),
            recordings: books.recordings.iter().map(|found| (found.recording, found)).collect(),
            digests,
            verdict,
        }
    }

    fn call(&mut self, row: &LedgerRow) {
        let young = self.young(row.ended);
        let wrong = |code| Disagreement { code, call: Some(row.call), recording: None, entry: None };
        match &row.recording {
            Recorded::No { reason } => {
                let reason = serde_json::to_value(reason).unwrap_or_default();
                *self
                    .verdict
                    .unrecorded
                    .entry(reason.as_str().unwrap_or_default().to_owned())
                    .or_default() += 1;
            }
            Recorded::Yes { recording, .. } => {
                self.verdict.recorded += 1;
                let wrong = |code| Disagreement { recording: Some(*recording), ..wrong(code) };
                match self.recordings.get(recording) {
                    None => self.doubt(wrong("recording-missing"), young),
                    Some(found) if found.call != row.call => self.doubt(wrong("recording-of-another"), false),
                    Some(found) => {
                        let told = row.outcome.as_ref().map(|outcome| (outcome.state, outcome.lost));
                        let changed = found.deleted.or(found.ended).unwrap_or(self.now);
                        if told != Some((found.state, found.lost)) {
                            self.doubt(wrong("outcome-untold"), self.young(changed));
                        }
                    }
                }
            }
        }
        let object = row.call.to_string();
        let entered = self.digests.get(&(EventKind::CallRecorded, object.as_str()));
        match entered.map(|digests| digests.contains(row.digest.as_str())) {
            Some(true) => {}
            Some(false) => self.doubt(wrong("call-changed"), false),
            None => self.doubt(wrong("call-unproved"), young),
        }
    }

    fn recording(&mut self, found: &Recording) {
        let object = found.recording.to_string();
        let wrong = |code| Disagreement {
            code,
            call: Some(found.call),
            recording: Some(found.recording),
            entry: None,
        };
        self.verdict.held += usize::from(found.hold.is_some());
        self.verdict.lossy += usize::from(found.lost > 0);
        let has = |judge: &Self, kind| judge.digests.contains_key(&(kind, object.as_str()));
        if !has(self, EventKind::RecordingBegun) {
            self.doubt(wrong("begin-unproved"), false);
        }
        let Some(ended) = found.ended else {
            self.verdict.going_on += 1;
            // Its call is over, and nobody ended it.
            if let Some(row) = self.calls.get(&found.call) {
                self.doubt(wrong("never-ended"), self.young(row.ended));
            }
            return;
        };
        let young = self.young(ended);
        let named = self.calls.get(&found.call).map(
            |row| matches!(&row.recording, Recorded::Yes { recording, .. } if *recording == found.recording),
        );
        match named {
            None => self.doubt(wrong("call-missing"), young),
            // It began when an agent was rung, and nobody talked: there is nothing in it.
            Some(false) if found.packets > 0 => self.doubt(wrong("not-named"), false),
            Some(_) => {}
        }
        match found.state {
            RecordingState::Truncated => self.verdict.truncated += 1,
            RecordingState::Deleted => self.verdict.deleted += 1,
            RecordingState::Recording | RecordingState::Sealed => {}
        }
        let kinds = match found.state {
            RecordingState::Sealed => &[EventKind::RecordingSealed][..],
            RecordingState::Truncated => &[EventKind::RecordingTruncated],
            _ => &[EventKind::RecordingSealed, EventKind::RecordingTruncated],
        };
        let entered = |kind: &EventKind| self.digests.get(&(*kind, object.as_str()));
        if !kinds.iter().filter_map(entered).any(|digests| digests.contains(found.digest.as_str()))
            && !mutant("reconcile-digest-unread")
        {
            self.doubt(wrong("end-unproved"), false);
        }
        if found.deleted.is_some() && !has(self, EventKind::RecordingDeleted) {
            self.doubt(wrong("deletion-unproved"), false);
        }
    }

    /// An entry whose call or recording is not there any more.
    fn entry(&mut self, entry: &Entry) {
        let young = self.young(entry.at);
        let object = entry.event.object.as_str();
        let wrong =
            |code, call, recording| Disagreement { code, call, recording, entry: Some(entry.sequence) };
        if entry.event.kind == EventKind::CallRecorded {
            let call = object.parse::<CallId>().ok();
            if call.is_none_or(|call| !self.calls.contains_key(&call)) {
                self.doubt(wrong("call-vanished", call, None), young);
            }
            return;
        }
        let recording = object.parse::<RecordingId>().ok();
        let known = recording.and_then(|recording| self.recordings.get(&recording));
        match (known, entry.event.kind) {
            // It was entered, and then its file could not be made: no more of it than that.
            (None, EventKind::RecordingBegun) if !self.ended(object) => {}
            (None, _) => self.doubt(wrong("recording-vanished", None, recording), young),
            (Some(found), EventKind::RecordingDeleted) if found.state != RecordingState::Deleted => {
                self.doubt(wrong("not-deleted", Some(found.call), recording), young);
            }
            (Some(_), _) => {}
        }
    }

    fn ended(&self, object: &str) -> bool {
        let kinds = [EventKind::RecordingSealed, EventKind::RecordingTruncated];
        kinds.iter().any(|kind| self.digests.contains_key(&(*kind, object)))
    }

    fn young(&self, at: Utc) -> bool {
        self.now.since(at) < self.young
    }

    fn doubt(&mut self, disagreement: Disagreement, young: bool) {
        if young {
            self.verdict.going_on += 1;
        } else {
            self.verdict.disagreements.push(disagreement);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use audit_api::Event;
    use record_api::{Consent, Outcome};
    use report_api::{Disposition, NotRecorded};
    use types::{LegId, Uid};

    const YOUNG: Duration = Duration::from_secs(120);
    const NOW: Utc = Utc(1_000_000_000_000);
    const CALL: CallId = CallId(Uid([1; 16]));
    const RECORDING: RecordingId = RecordingId(Uid([2; 16]));

    fn recording() -> Recording {
        Recording {
            recording: RECORDING,
            call: CALL,
            began: Utc(10),
            ended: Some(Utc(20)),
            state: RecordingState::Sealed,
            tracks: vec![],
            size: 9,
            digest: "d".to_owned(),
            packets: 5,
            lost: 0,
            masked: 0,
            queues: vec![],
            retained_until: None,
            hold: None,
            deleted: None,
        }
    }

    fn outcome(state: RecordingState) -> Option<Outcome> {
        let digest = "d".to_owned();
        Some(Outcome {
            recording: RECORDING,
            call: CALL,
            number: 1,
            at: Utc(20),
            state,
            digest,
            lost: 0,
            masked: 0,
            memo: String::new(),
        })
    }

    fn row() -> LedgerRow {
        let consents = vec![(LegId(Uid([3; 16])), Consent::Employed {})];
        LedgerRow {
            call: CALL,
            offered: Utc(5),
            ended: Utc(20),
            disposition: Disposition::Answered,
            digest: "c".to_owned(),
            recording: Recorded::Yes { recording: RECORDING, consents },
            outcome: outcome(RecordingState::Sealed),
        }
    }

    fn entry(kind: EventKind, object: impl ToString, digest: &str) -> Entry {
        let event = Event::of_daemon(kind, "x", object.to_string()).with("digest", digest);
        Entry { sequence: 7, at: Utc(20), event, leaf: String::new() }
    }

    fn books() -> Books {
        let entries = vec![
            entry(EventKind::RecordingBegun, RECORDING, ""),
            entry(EventKind::RecordingSealed, RECORDING, "d"),
            entry(EventKind::CallRecorded, CALL, "c"),
        ];
        Books { calls: vec![row()], recordings: vec![recording()], entries }
    }

    fn codes(books: &Books) -> Vec<&'static str> {
        compare(books, NOW, YOUNG).disagreements.iter().map(|wrong| wrong.code).collect()
    }

    #[test]
    fn books_that_agree_agree() {
        let verdict = compare(&books(), NOW, YOUNG);
        assert_eq!(verdict.disagreements, []);
        assert_eq!((verdict.calls, verdict.recorded, verdict.recordings, verdict.entries), (1, 1, 1, 3));
        let nothing = Books { calls: vec![], recordings: vec![], entries: vec![] };
        assert_eq!(compare(&nothing, NOW, YOUNG), Verdict::default());
    }

    /// Mutant reconcile-digest-unread.
    #[test]
    fn each_thing_that_is_taken_away_or_changed_is_named() {
        /// What is to be found, after what was done to the books.
        type Change = (&'static [&'static str], fn(&mut Books));
        let changes: [Change; 13] = [
            (&["recording-missing", "recording-vanished", "recording-vanished"], |books| {
                books.recordings.clear()
            }),
            (&["call-missing", "call-vanished"], |books| books.calls.clear()),
            (&["begin-unproved"], |books| drop(books.entries.remove(0))),
            (&["end-unproved"], |books| drop(books.entries.remove(1))),
            (&["call-unproved"], |books| drop(books.entries.remove(2))),
            (&["end-unproved"], |books| books.recordings[0].digest = "e".to_owned()),
            (&["call-changed"], |books| books.calls[0].digest = "e".to_owned()),
            (&["outcome-untold"], |books| books.calls[0].outcome = None),
            (&["end-unproved", "outcome-untold"], |books| {
                books.recordings[0].state = RecordingState::Truncated
            }),
            (&["call-missing", "recording-of-another"], |books| {
                books.recordings[0].call = CallId(Uid([9; 16]))
            }),
            (&["not-named"], |books| {
                books.calls[0].recording = Recorded::No { reason: NotRecorded::NoConversation };
            }),
            // It is not ended, so that its outcome may be on its way.
            (&["never-ended"], |books| {
                (books.recordings[0].ended, books.calls[0].ended) = (None, Utc(0));
            }),
            (&["not-deleted"], |books| {
                books.entries.push(entry(EventKind::RecordingDeleted, RECORDING, "d"))
            }),
        ];
        for (at, (wanted, change)) in changes.into_iter().enumerate() {
            let mut books = books();
            change(&mut books);
            let mut found = codes(&books);
            found.sort_unstable();
            assert_eq!(found, wanted, "change {at}");
        }
    }

    #[test]
    fn a_deletion_agrees_where_it_is_proved_and_told() {
        let mut books = books();
        (books.recordings[0].state, books.recordings[0].deleted) = (RecordingState::Deleted, Some(Utc(30)));
        books.calls[0].outcome = outcome(RecordingState::Deleted);
        assert_eq!(codes(&books), ["deletion-unproved"]);
        let mut begun = entry(EventKind::RecordingDeleted, RECORDING, "d");
        begun.event.phase = Phase::Begun;
        books.entries.push(begun.clone());
        assert_eq!(codes(&books), ["deletion-unproved"], "that it began is no proof that it ended");
        begun.event.phase = Phase::Ended;
        books.entries.push(begun);
        let verdict = compare(&books, NOW, YOUNG);
        assert_eq!((verdict.disagreements, verdict.deleted), (vec![], 1));
    }

    #[test]
    fn what_is_young_is_not_judged_and_a_reason_is_counted() {
        let mut books = books();
        books.entries.clear();
        (books.calls[0].outcome, books.calls[0].ended) = (None, NOW);
        (books.recordings[0].ended, books.recordings[0].packets) = (Some(NOW), 0);
        books.calls[0].recording = Recorded::No { reason: NotRecorded::NoConsent };
        let verdict = compare(&books, NOW, YOUNG);
        let left: Vec<_> = verdict.disagreements.iter().map(|wrong| wrong.code).collect();
        assert_eq!(left, ["begin-unproved", "end-unproved"], "these entries come before what they prove");
        assert_eq!((verdict.unrecorded["no_consent"], verdict.going_on), (1, 1));
    }
}
