//! Legal hold, and the end of a recording's retention.
//!
//! ```text
//!  sealed, truncated ── begun (entry) ──► deleted, on disk ──► keys gone ──► sound gone ── ended (entry) ──► done
//!         ▲ hold, release                       └── a kill anywhere: the next life goes on from here
//! ```
//!
//! What is known of a recording stays for ever: the list says that there was one, and when it was deleted.

use super::{Recorder, blocking, locked, unknown};
use crate::shelf::About;
use audit_api::{Event, EventKind, Outcome, Phase};
use record_api::{LegalHold, Noted, Recording, RecordingState};
use service::{Refusal, clock};
use std::{sync::Arc, time::Duration};
use types::{Monotonic, RecordingId, Utc};

/// How often recordings are looked through; the first time so long after the start.
pub(super) const ROUND: Duration = Duration::from_secs(600);
/// A wall clock that went so far another way than the monotonic one is believed no more.
const LEAP: Duration = Duration::from_secs(24 * 3_600);

/// The wall clock as it should read, from the start of this life.
pub(super) struct Calendar {
    utc: Utc,
    monotonic: Monotonic,
}

impl Calendar {
    pub(super) fn begin() -> Self {
        Self { utc: clock::utc(), monotonic: clock::monotonic() }
    }

    /// The wall clock, where it has not leapt: one that is set to next year must not delete this year's recordings.
    pub(super) fn now(&self, utc: Utc, monotonic: Monotonic) -> Option<Utc> {
        let expected = self.utc.plus(monotonic.since(self.monotonic));
        let off = utc.since(expected).max(expected.since(utc));
        (off <= LEAP).then_some(utc)
    }
}

impl Recorder {
    /// Puts a recording on hold, one that goes on too. One that is held keeps its first hold.
    ///
    /// # Errors
    /// No such recording, it is deleted, or the disk failed.
    pub async fn hold(&self, recording: RecordingId, hold: LegalHold) -> Result<Recording, Refusal> {
        self.change(recording, |about| {
            about.recording.hold.get_or_insert(hold);
        })
        .await
    }

    /// Lifts a hold.
    ///
    /// # Errors
    /// No such recording, it is deleted, or the disk failed.
    pub async fn release(&self, recording: RecordingId) -> Result<Recording, Refusal> {
        self.change(recording, |about| about.recording.hold = None).await
    }

    async fn change(
        &self,
        recording: RecordingId,
        change: impl FnOnce(&mut About),
    ) -> Result<Recording, Refusal> {
        let _turn = self.turn(recording).await;
        let live = self.find(recording);
        let mut about = match &live {
            Some(live) => locked(&live.about).clone(),
            None => self.known(recording).await?.ok_or_else(|| unknown(recording))?,
        };
        if about.recording.state == RecordingState::Deleted {
            return Err(Refusal::conflict("record.deleted", format!("recording {recording} is deleted")));
        }
        change(&mut about);
        self.keep(about.clone()).await?;
        if let Some(live) = &live {
            locked(&live.about).recording.hold.clone_from(&about.recording.hold);
        }
        Ok(self.shown(about))
    }

    /// Deletes what is due at `now`; how many recordings were deleted. What fails is tried again the next time.
    pub async fn expire(&self, now: Utc) -> usize {
        let shelf = self.shelf.clone();
        let all = blocking(move || shelf.due(now)).await.unwrap_or_else(|error| {
            tracing::error!(%error, "the recordings cannot be read: none is deleted");
            Vec::new()
        });
        let rule = self.settings.borrow().clone();
        let mut deleted = 0;
        for about in all.into_iter().filter(|about| about.due(&rule, now)) {
            let recording = about.recording.recording;
            match self.delete(recording, now).await {
                Ok(done) => deleted += usize::from(done),
                Err(error) => tracing::error!(%recording, %error, "a recording could not be deleted"),
            }
        }
        deleted
    }

    /// Deletes one, where it is still due under its turn.
    async fn delete(&self, recording: RecordingId, now: Utc) -> Result<bool, Refusal> {
        let _turn = self.turn(recording).await;
        let rule = self.settings.borrow().clone();
        let due = self.known(recording).await?.filter(|about| about.due(&rule, now));
        let Some(mut about) = due else { return Ok(false) };
        let until = about.retained_until(&rule).unwrap_or(now);
        let mut event = Event::of_daemon(EventKind::RecordingDeleted, "record", recording.to_string())
            .with("call", about.recording.call)
            .with("digest", &about.recording.digest)
            .with("retained_until", until.seconds());
        let begun = match about.deletion {
            Some(begun) => begun,
            None => {
                (event.phase, event.outcome) = (Phase::Begun, Outcome::Pending);
                self.enter(event.clone()).await?
            }
        };
        (about.deletion, about.recording.state) = (Some(begun), RecordingState::Deleted);
        about.recording.retained_until = Some(until);
        self.keep(about.clone()).await?;
        let (shelf, segments) = (self.shelf.clone(), about.segments);
        blocking(move || shelf.erase(recording, segments)).await?;
        (event.phase, event.outcome) = (Phase::Ended, Outcome::Done);
        self.enter(event.with("begun", begun)).await?;
        about.recording.deleted = Some(now);
        about.outcomes += 1;
        self.keep(about.clone()).await?;
        tracing::info!(%recording, "its retention is over: it is deleted");
        self.tell(&about);
        Ok(true)
    }

    /// Looks through all recordings again and again, from some minutes after the start on.
    pub fn delete_what_is_due(self: &Arc<Self>) {
        let recorder = Arc::clone(self);
        tokio::spawn(async move {
            let calendar = Calendar::begin();
            loop {
                tokio::time::sleep(ROUND).await;
                match calendar.now(clock::utc(), clock::monotonic()) {
                    Some(now) => {
                        recorder.expire(now).await;
                    }
                    None => tracing::error!(
                        "the clock has leapt by more than a day: nothing is deleted until record is started again"
                    ),
                }
            }
        });
    }

    /// An outcome is in the call record.
    ///
    /// # Errors
    /// The disk failed.
    pub async fn noted(&self, noted: Noted) -> Result<(), Refusal> {
        {
            let _turn = self.turn(noted.recording).await;
            if let Some(mut about) =
                self.known(noted.recording).await?.filter(|about| about.noted < noted.number)
            {
                about.noted = noted.number.min(about.outcomes);
                about.memo.clear();
                // Lost in a power cut, it would be told again, and noted again.
                let shelf = self.shelf.clone();
                blocking(move || shelf.note_about(&about)).await?;
            }
        }
        self.herald.noted(noted);
        Ok(())
    }

    /// Tells route what became of it.
    pub(super) fn tell(&self, about: &About) {
        if let Some(outcome) = about.outcome() {
            self.herald.tell(outcome);
        }
    }

    /// As it is shown: with what its present life has counted, and until when it is kept.
    pub fn shown(&self, mut about: About) -> Recording {
        if let Some(live) = self.find(about.recording.recording) {
            about.recording = locked(&live.about).recording.clone();
            if let super::Stage::Going(take) = &*locked(&live.stage) {
                about.count(take.counts());
            }
        }
        about.recording.retained_until = about.retained_until(&self.settings.borrow());
        about.recording
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_leaps_deletes_nothing() {
        let calendar = Calendar { utc: Utc(0), monotonic: Monotonic(0) };
        let day = 24 * 3_600 * 1_000_000_000_i64;
        let at = |utc, monotonic| calendar.now(Utc(utc), Monotonic(monotonic)).is_some();
        assert!(at(10 * day, 10 * day as u64), "ten days went by");
        assert!(at(day / 2, 0) && at(-day / 2, 0), "it was set right");
        assert!(!at(365 * day, day as u64) && !at(-2 * day, 0));
    }
}
