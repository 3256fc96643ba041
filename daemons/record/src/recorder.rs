//! The recordings that go on now.
//!
//! ```text
//!                begin              feed                 finish, and every feed at its end
//!   (nothing) ─────────► Live ◄───────────► Live, fed ───────────────────────────────────► Sealed
//!                          │ the daemon or the machine ends
//!                          ▼
//!                      cut off ── feed or finish: a new segment with a new key, or the end ──► Truncated
//! ```
//!
//! A disk that does not keep up cuts a life off too. Calls about one recording take turns.

mod expiry;

use crate::{
    disk::Disk,
    feed,
    herald::Herald,
    open::{self, Tail},
    shelf::{About, Shelf, Written},
};
use audit_api::{Append, Audit, Event, EventKind, TicketWish};
use envelope::{Dek, Header, KeyReference, NoncePrefix, ObjectId, Segment, WrappedDek};
use host_api::Settings;
use key_api::{Key, NewDek};
use mutant::mutant;
use record_api::{Begin, Finish, Join, Outcome, Recording, RecordingState};
use record_core::{Counts, Take};
use service::{Client, Refusal, clock};
use std::{
    collections::BTreeMap,
    io,
    ops::ControlFlow,
    os::fd::OwnedFd,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::{
    sync::{self, watch},
    task::spawn_blocking,
};
use types::{RecordingId, Uid, Utc};

/// How often what waits is sealed and written: with the batches of media, what a kill can take.
const FLUSH: Duration = Duration::from_millis(500);
/// How long `finish` waits for media to say its last.
const LAST_WORDS: Duration = Duration::from_secs(3);
/// How long a recording that a crash cut off waits for its feed or its end.
const ORPHANED: Duration = Duration::from_secs(120);
/// Feeds of one recording at a time: media has one, and one more where the answer to the first was lost.
const FEEDS: usize = 8;
/// Recordings that share a turn: more only means less waiting for one another.
const TURNS: usize = 64;

/// Takes calls about recordings that go on.
pub struct Recorder {
    shelf: Shelf,
    disk: Disk,
    key: Client<Key>,
    audit: Client<Audit>,
    settings: Settings<settings::record::Record>,
    live: Mutex<BTreeMap<RecordingId, Arc<Live>>>,
    herald: Arc<Herald>,
    /// One call at a time for each recording, so that a repeated one cannot meet the first half-way: two
    /// lives with one segment number would write over each other's key.
    turns: [sync::Mutex<()>; TURNS],
}

/// One recording that goes on.
pub struct Live {
    about: Mutex<About>,
    stage: Mutex<Stage>,
    /// How many feeds are open.
    pub(crate) feeds: watch::Sender<usize>,
}

/// How far a life is.
enum Stage {
    /// What is fed is sealed.
    Going(Box<Take>),
    /// It is being finished: what still comes is read and left out.
    Ending,
    /// The disk did not keep up, so that the file has a hole behind which nothing opens: its feeds are closed,
    /// and the one that media makes next begins a new segment.
    Cut,
}

impl Live {
    /// Takes the life out, where it still goes.
    fn end(&self, end: Stage) -> Option<Take> {
        match std::mem::replace(&mut *locked(&self.stage), end) {
            Stage::Going(take) => Some(*take),
            Stage::Ending | Stage::Cut => None,
        }
    }
}

impl Recorder {
    /// Nothing goes on yet.
    pub fn new(
        shelf: Shelf,
        disk: Disk,
        key: Client<Key>,
        audit: Client<Audit>,
        settings: Settings<settings::record::Record>,
        herald: Arc<Herald>,
    ) -> Self {
        let turns = std::array::from_fn(|_| sync::Mutex::new(()));
        Self { shelf, disk, key, audit, settings, live: Mutex::default(), herald, turns }
    }

    /// Begins a recording: room, key, file and entry first. The same again changes nothing.
    ///
    /// # Errors
    /// No room, a disk that has stalled, no key or no audit: then nothing is recorded.
    pub async fn begin(self: &Arc<Self>, begin: Begin) -> Result<(), Refusal> {
        let _turn = self.turn(begin.recording).await;
        if self.find(begin.recording).is_some() {
            return Ok(());
        }
        let (known, free) = self.look(begin.recording).await?;
        match known.map(|about| about.recording.state) {
            None => {}
            // A restart came between: its feed brings it back to life.
            Some(RecordingState::Recording) => return Ok(()),
            Some(RecordingState::Sealed | RecordingState::Truncated | RecordingState::Deleted) => {
                let message = format!("recording {} is over", begin.recording);
                return Err(Refusal::conflict("record.again", message));
            }
        }
        self.room(free)?;
        let key = self.new_key(begin.recording).await?;
        let recording = Recording {
            recording: begin.recording,
            call: begin.call,
            began: clock::utc(),
            ended: None,
            state: RecordingState::Recording,
            tracks: begin.tracks,
            size: 0,
            digest: String::new(),
            packets: 0,
            lost: 0,
            masked: 0,
            queues: Vec::new(),
            retained_until: None,
            hold: None,
            deleted: None,
        };
        let event = Event::of_daemon(EventKind::RecordingBegun, "record", begin.recording.to_string())
            .with("call", begin.call)
            .with("tracks", recording.tracks.len());
        self.enter(event).await?;
        let mut about = About::new(recording);
        about.remember(begin.memo);
        self.new_life(about, key).await.map(|_live| ())
    }

    /// Adds a party.
    ///
    /// # Errors
    /// No such recording goes on, or no audit.
    pub async fn join(&self, join: Join) -> Result<(), Refusal> {
        let _turn = self.turn(join.recording).await;
        let live = self.find(join.recording);
        let mut about = match &live {
            Some(live) => locked(&live.about).clone(),
            None => self.interrupted(join.recording).await?.ok_or_else(|| unknown(join.recording))?,
        };
        let event = Event::of_daemon(EventKind::RecordingJoined, "record", join.recording.to_string())
            .with("track", join.track.track);
        self.enter(event).await?;
        about.recording.tracks.retain(|track| track.track != join.track.track);
        about.recording.tracks.push(join.track.clone());
        about.remember(join.memo);
        if let Some(live) = &live {
            if let Stage::Going(take) = &mut *locked(&live.stage) {
                take.join(&join.track);
            }
            *locked(&live.about) = about.clone();
        }
        self.keep(about).await
    }

    /// Takes the descriptor on which media sends. A recording that a crash cut off goes on in a new segment.
    ///
    /// # Errors
    /// No descriptor, no such recording, too many feeds, or no key or disk for a new segment.
    pub async fn feed(
        self: &Arc<Self>,
        recording: RecordingId,
        descriptor: Option<OwnedFd>,
    ) -> Result<(), Refusal> {
        let descriptor = descriptor
            .ok_or_else(|| Refusal::invalid("record.no-descriptor", "a feed comes with its descriptor"))?;
        let _turn = self.turn(recording).await;
        let live = match self.find(recording) {
            Some(live) => live,
            None => {
                let about = self.interrupted(recording).await?.ok_or_else(|| unknown(recording))?;
                let key = self.new_key(recording).await?;
                self.new_life(about, key).await?
            }
        };
        if *live.feeds.borrow() >= FEEDS {
            return Err(Refusal::busy("record.feeds", format!("{recording} has {FEEDS} feeds already")));
        }
        feed::start(Arc::clone(self), recording, live, descriptor)
            .map_err(|error| Refusal::invalid("record.feed", format!("the descriptor is no feed: {error}")))
    }

    /// Ends a recording once media has said its last, seals it, and enters its digest. The same again
    /// answers the same.
    ///
    /// # Errors
    /// No such recording, the disk failed, or no audit.
    pub async fn finish(&self, finish: Finish) -> Result<Recording, Refusal> {
        if let Some(live) = self.find(finish.recording) {
            let mut feeds = live.feeds.subscribe();
            if tokio::time::timeout(LAST_WORDS, feeds.wait_for(|feeds| *feeds == 0)).await.is_err() {
                tracing::warn!(recording = %finish.recording, "media has not ended its feed: it is cut");
            }
        }
        let _turn = self.turn(finish.recording).await;
        let ended = locked(&self.live).remove(&finish.recording);
        if let Some(live) = ended {
            let take = live.end(Stage::Ending);
            let mut about = locked(&live.about).clone();
            about.recording.queues = finish.queues;
            return self.close(about, take).await;
        }
        match self.known(finish.recording).await? {
            Some(mut about) if about.is_unfinished() => {
                about.recording.queues = finish.queues;
                self.close(about, None).await
            }
            Some(about) => Ok(self.shown(about)),
            None => Err(unknown(finish.recording)),
        }
    }

    /// Looks for what an earlier life left, and gives each some time to go on.
    pub fn take_up_what_a_crash_left(self: &Arc<Self>) {
        let recorder = Arc::clone(self);
        tokio::spawn(async move {
            let all = recorder.unsettled().await;
            let ends = recorder.tell_of_cuts(&all).await;
            // What no earlier life could bring into the call records; first that the log has the cuts.
            for outcome in all.iter().filter_map(About::left_behind) {
                let at = ends.get(&outcome.recording).copied().unwrap_or(outcome.at);
                recorder.herald.tell(Outcome { at, ..outcome });
            }
            let mut ticks = tokio::time::interval(FLUSH);
            let patience = tokio::time::sleep(ORPHANED);
            tokio::pin!(patience);
            let mut waiting = true;
            loop {
                tokio::select! {
                    _ = ticks.tick() => recorder.flush(),
                    () = &mut patience, if waiting => {
                        waiting = false;
                        recorder.close_orphans().await;
                    }
                }
            }
        });
    }

    /// Seals and writes what waits, and ends every file as whole: the next life goes on in new ones.
    pub async fn stop(&self) {
        let all: Vec<_> = std::mem::take(&mut *locked(&self.live)).into_iter().collect();
        for (recording, live) in all {
            let _turn = self.turn(recording).await;
            let Some(take) = live.end(Stage::Ending) else { continue };
            let mut about = locked(&live.about).clone();
            self.end_segment(&mut about, take).await;
            if let Err(error) = self.keep(about).await {
                tracing::error!(%recording, %error, "a recording could not be ended for the restart");
            }
        }
    }

    /// A batch came in. `Break`: the feed is to be closed.
    pub(crate) fn fed(
        self: &Arc<Self>,
        recording: RecordingId,
        live: &Live,
        bytes: &[u8],
    ) -> ControlFlow<()> {
        let mut out = Vec::new();
        match &mut *locked(&live.stage) {
            Stage::Going(take) => {
                if let Err(error) = take.batch(clock::monotonic(), bytes, &mut out) {
                    tracing::warn!(%recording, %error, "a batch is left out");
                }
            }
            Stage::Ending => return ControlFlow::Continue(()),
            Stage::Cut => return ControlFlow::Break(()),
        }
        self.append(recording, live, out)
    }

    fn flush(self: &Arc<Self>) {
        let all: Vec<_> = locked(&self.live).iter().map(|(id, live)| (*id, Arc::clone(live))).collect();
        for (recording, live) in all {
            let mut out = Vec::new();
            if let Stage::Going(take) = &mut *locked(&live.stage)
                && let Err(error) = take.flush(&mut out)
            {
                tracing::error!(%recording, %error, "cannot seal");
            }
            // The feed that is to be closed sees it at its next batch.
            let _cut = self.append(recording, &live, out);
        }
    }

    /// Appends sealed bytes. Where the disk does not keep up, this life ends: behind the hole nothing would open.
    fn append(self: &Arc<Self>, recording: RecordingId, live: &Live, bytes: Vec<u8>) -> ControlFlow<()> {
        if bytes.is_empty() {
            return ControlFlow::Continue(());
        }
        let Err(error) = self.disk.append(recording, bytes) else { return ControlFlow::Continue(()) };
        tracing::error!(%recording, %error, "sealed audio is lost: the recording goes on in a new segment");
        if let Some(take) = live.end(Stage::Cut) {
            let recorder = Arc::clone(self);
            tokio::spawn(async move { recorder.cut(recording, take.counts()).await });
        }
        locked(&self.live).remove(&recording);
        ControlFlow::Break(())
    }

    /// Keeps what a life that the disk cut off had counted, and enters that something is lost.
    async fn cut(&self, recording: RecordingId, counts: Counts) {
        let kept = async {
            let _turn = self.turn(recording).await;
            let next = self.find(recording);
            let known = self.known(recording).await?;
            let Some(mut about) = next.as_ref().map(|live| locked(&live.about).clone()).or(known) else {
                return Ok(());
            };
            about.count(counts);
            about.written = Written::Torn;
            if let Some(live) = next {
                locked(&live.about).clone_from(&about);
            }
            self.keep(about).await
        };
        let lossy = Event::of_daemon(EventKind::RecordingLossy, "record", recording.to_string())
            .with("why", "the disk does not keep up");
        for failed in [kept.await.err(), self.enter(lossy).await.err()].into_iter().flatten() {
            tracing::error!(%recording, error = %failed, "that audio was lost could not be kept");
        }
    }

    /// A data key for one segment.
    async fn new_key(&self, recording: RecordingId) -> Result<(Dek, WrappedDek), Refusal> {
        let made = self.key.call(NewDek { objects: vec![recording.0] }).await?;
        let malformed =
            |error: String| Refusal::unavailable("record.key", format!("key answered amiss: {error}"));
        let made = made.keys.into_iter().next().ok_or_else(|| malformed("no key".to_owned()))?;
        made.open().map_err(|error| malformed(error.to_string()))
    }

    /// A new segment with a new key, for a new recording or one that a crash cut off.
    async fn new_life(&self, mut about: About, key: (Dek, WrappedDek)) -> Result<Arc<Live>, Refusal> {
        let recording = about.recording.recording;
        let segment = Segment(about.segments);
        let (dek, wrapped) = key;
        let prefix = NoncePrefix::random()
            .map_err(|error| Refusal::unavailable("record.random", format!("no nonce prefix: {error}")))?;
        let (start, started) = (clock::utc(), clock::monotonic());
        let header = Header {
            object: ObjectId(recording.0),
            key: KeyReference(Uid(wrapped.object.0.0)),
            segment,
            start,
            prefix,
        };
        let (mut take, bytes) = Take::new(&dek, header, started);
        about.recording.tracks.iter().for_each(|track| take.join(track));
        about.segments += 1;
        let (shelf, kept) = (self.shelf.clone(), about.clone());
        let file = blocking(move || shelf.new_segment(&kept, segment, &wrapped)).await?;
        self.disk.open(recording, file, bytes.to_vec()).await.map_err(|error| {
            Refusal::unavailable("record.disk", format!("the disk thread took no file: {error}"))
        })?;
        let live = Arc::new(Live {
            about: Mutex::new(about),
            stage: Mutex::new(Stage::Going(Box::new(take))),
            feeds: watch::Sender::new(0),
        });
        locked(&self.live).insert(recording, Arc::clone(&live));
        Ok(live)
    }

    /// Ends a recording: its last segment, what is known of it, its entry.
    async fn close(&self, mut about: About, take: Option<Take>) -> Result<Recording, Refusal> {
        let recording = about.recording.recording;
        if let Some(take) = take {
            self.end_segment(&mut about, take).await;
        }
        let shelf = self.shelf.clone();
        let segments = about.segments;
        let found = blocking(move || open::measure(&shelf, recording, segments)).await?;
        let unfinished = about.clone();
        about.recording.size = found.size;
        about.recording.digest = found.digest;
        about.recording.ended = Some(clock::utc());
        about.recording.retained_until = about.retained_until(&self.settings.borrow());
        about.outcomes += 1;
        let whole = found.tail == Tail::Whole && about.written == Written::Whole;
        about.recording.state = if whole { RecordingState::Sealed } else { RecordingState::Truncated };
        let kind = if whole { EventKind::RecordingSealed } else { EventKind::RecordingTruncated };
        let event = Event::of_daemon(kind, "record", recording.to_string())
            .with("call", about.recording.call)
            .with("digest", &about.recording.digest)
            .with("size", about.recording.size)
            .with("packets", about.recording.packets)
            .with("lost", about.recording.lost)
            .with("masked", about.recording.masked);
        let entered = async {
            if about.recording.lost > 0 {
                let lossy = Event::of_daemon(EventKind::RecordingLossy, "record", recording.to_string());
                self.enter(lossy.with("lost", about.recording.lost).with("why", "the hand-over was full"))
                    .await?;
            }
            self.enter(event).await
        };
        if let Err(refusal) = entered.await {
            // What is known of it would be gone with this life: the next attempt to finish finds it.
            self.keep(unfinished).await?;
            return Err(refusal);
        }
        self.keep(about.clone()).await?;
        self.tell(&about);
        Ok(self.shown(about))
    }

    /// Ends a life: what it counted, and whether all of it came to the disk.
    async fn end_segment(&self, about: &mut About, take: Take) {
        about.count(take.counts());
        let recording = about.recording.recording;
        let mut out = Vec::new();
        let ended = match take.finish(&mut out) {
            Ok(_counts) => self.disk.close(recording, out).await,
            Err(error) => Err(io::Error::other(error)),
        };
        if let Err(error) = ended
            && !mutant("record-torn-forgotten")
        {
            tracing::error!(%recording, %error, "a recording could not be written to its end");
            about.written = Written::Torn;
        }
    }

    /// Enters that recordings are cut off; the moment of the last whole chunk of each.
    async fn tell_of_cuts(&self, all: &[About]) -> BTreeMap<RecordingId, Utc> {
        let mut ends = BTreeMap::new();
        for about in all.iter().filter(|about| about.is_unfinished()) {
            let recording = about.recording.recording;
            // Fed again already: the newest segment is not cut off, and the earlier one is told at the end.
            if self.find(recording).is_some() {
                continue;
            }
            let last = Segment(about.segments.saturating_sub(1));
            let path = self.shelf.sealed_path(recording, last);
            let read = blocking(move || Ok((open::start(&path)?, open::tail(&path)?))).await;
            let Ok((start, Tail::CutOff { after })) = read else { continue };
            ends.extend(start.map(|start| (recording, start.plus(after))));
            let event = Event::of_daemon(EventKind::RecordingTruncated, "record", recording.to_string())
                .with("segment", last.0)
                .with("after_ms", after.as_millis());
            // Its end will be entered once more when it is closed.
            if let Err(error) = self.enter(event).await {
                tracing::error!(%recording, %error, "a cut-off recording could not be entered");
            }
        }
        ends
    }

    async fn close_orphans(&self) {
        for about in self.unsettled().await.into_iter().filter(About::is_unfinished) {
            let recording = about.recording.recording;
            let _turn = self.turn(recording).await;
            if self.find(recording).is_some() {
                continue;
            }
            // It may have been fed or finished since the list was made.
            let closed = match self.interrupted(recording).await {
                Ok(Some(about)) => self.close(about, None).await.map(|_recording| ()),
                Ok(None) => Ok(()),
                Err(refusal) => Err(refusal),
            };
            if let Err(error) = closed {
                tracing::error!(%recording, %error, "a cut-off recording could not be closed");
            }
        }
    }

    /// What an earlier life may not have brought to its end.
    async fn unsettled(&self) -> Vec<About> {
        let shelf = self.shelf.clone();
        blocking(move || shelf.unsettled(clock::utc())).await.unwrap_or_else(|error| {
            tracing::error!(%error, "the recordings cannot be read");
            Vec::new()
        })
    }

    /// What is known of a recording, and how many bytes may still be written.
    async fn look(&self, recording: RecordingId) -> Result<(Option<About>, u64), Refusal> {
        let shelf = self.shelf.clone();
        blocking(move || Ok((shelf.about(recording)?, shelf.free()?))).await
    }

    fn room(&self, free: u64) -> Result<(), Refusal> {
        if self.herald.stalled() {
            let message = "the disk of recordings takes nothing: see to it, ym status tells when it is well";
            return Err(Refusal::unavailable("record.disk-stalled", message));
        }
        let least = self.settings.borrow().minimum_free.bytes();
        match free < least {
            true => Err(Refusal::unavailable(
                "record.disk-full",
                format!(
                    "{} MiB free, {} needed: make room or lower [record] minimum_free",
                    free >> 20,
                    least >> 20
                ),
            )),
            false => Ok(()),
        }
    }

    async fn known(&self, recording: RecordingId) -> Result<Option<About>, Refusal> {
        let shelf = self.shelf.clone();
        blocking(move || shelf.about(recording)).await
    }

    /// A recording that is not over and has no life: a restart or a stalled disk cut it off.
    async fn interrupted(&self, recording: RecordingId) -> Result<Option<About>, Refusal> {
        let known = self.known(recording).await?;
        Ok(known.filter(About::is_unfinished))
    }

    async fn keep(&self, about: About) -> Result<(), Refusal> {
        let shelf = self.shelf.clone();
        blocking(move || shelf.write_about(&about)).await
    }

    /// The entry's sequence, once it is durable.
    async fn enter(&self, event: Event) -> Result<u64, Refusal> {
        Ok(self.audit.call(Append { event, assertion: None, ticket: TicketWish::None }).await?.sequence)
    }

    async fn turn(&self, recording: RecordingId) -> Option<sync::MutexGuard<'_, ()>> {
        let [first, ..] = recording.0.0;
        match mutant("record-turns-skipped") {
            true => None,
            false => Some(self.turns[usize::from(first) % TURNS].lock().await),
        }
    }

    fn find(&self, recording: RecordingId) -> Option<Arc<Live>> {
        locked(&self.live).get(&recording).cloned()
    }
}

/// Disk work, off the daemon's one thread.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, Refusal> {
    let outcome = spawn_blocking(work).await.unwrap_or_else(|error| Err(io::Error::other(error)));
    outcome.map_err(|error| Refusal::unavailable("record.disk", format!("the disk failed: {error}")))
}

pub(crate) fn unknown(recording: RecordingId) -> Refusal {
    Refusal::not_found("record.unknown", format!("there is no recording {recording}"))
}

pub(crate) fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    // What is guarded is whole between any two statements: a panic elsewhere leaves nothing half done.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
