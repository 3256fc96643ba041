//! The recordings that go on now.
//!
//! ```text
//!                begin              feed                 finish, and every feed at its end
//!   (nothing) ─────────► Live ◄───────────► Live, fed ───────────────────────────────────► Sealed
//!                          │ the daemon or the machine ends
//!                          ▼
//!                      cut off ── feed or finish: a new segment with a new key, or the end ──► Truncated
//! ```

use crate::{
    disk::{Closed, Disk},
    feed,
    open::{self, Tail},
    shelf::{About, Shelf},
};
use audit_api::{Append, Audit, Event, EventKind, TicketWish};
use envelope::{Header, KeyReference, NoncePrefix, ObjectId, Segment};
use gm::sm3::Sm3;
use host_api::Settings;
use key_api::{Key, NewDek};
use nix::sys::statvfs::statvfs;
use record_api::{Begin, Finish, Join, Recording, RecordingState};
use record_core::{Counts, Take};
use service::{Client, Refusal, clock};
use std::{
    collections::BTreeMap,
    io,
    os::fd::OwnedFd,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::{sync::watch, task::spawn_blocking};
use types::{RecordingId, Uid};

/// How often what waits is sealed and written: with the batches of media, what a kill can take.
const FLUSH: Duration = Duration::from_millis(500);
/// How long `finish` waits for media to say its last.
const LAST_WORDS: Duration = Duration::from_secs(3);
/// How long a recording that a crash cut off waits for its feed or its end.
const ORPHANED: Duration = Duration::from_secs(120);

/// Takes calls about recordings that go on.
pub struct Recorder {
    shelf: Shelf,
    disk: Disk,
    key: Client<Key>,
    audit: Client<Audit>,
    settings: Settings<settings::record::Record>,
    live: Mutex<BTreeMap<RecordingId, Arc<Live>>>,
}

/// One recording that goes on.
pub struct Live {
    about: Mutex<About>,
    /// Nothing once it is being finished.
    take: Mutex<Option<Take>>,
    /// How many feeds are open.
    pub(crate) feeds: watch::Sender<usize>,
}

impl Recorder {
    /// Nothing goes on yet.
    pub fn new(
        shelf: Shelf,
        disk: Disk,
        key: Client<Key>,
        audit: Client<Audit>,
        settings: Settings<settings::record::Record>,
    ) -> Self {
        Self { shelf, disk, key, audit, settings, live: Mutex::default() }
    }

    /// Begins a recording: room, key, file and entry first. The same again changes nothing.
    ///
    /// # Errors
    /// No room, no key, no disk or no audit: then nothing is recorded.
    pub async fn begin(self: &Arc<Self>, begin: Begin) -> Result<(), Refusal> {
        if self.find(begin.recording).is_some() {
            return Ok(());
        }
        if self.known(begin.recording).await?.is_some() {
            return Err(Refusal::conflict("record.again", format!("recording {} is over", begin.recording)));
        }
        self.room()?;
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
        };
        let event = Event::of_daemon(EventKind::RecordingBegun, "record", begin.recording.to_string())
            .with("call", begin.call)
            .with("tracks", recording.tracks.len());
        self.enter(event).await?;
        self.new_life(About { recording, segments: 0 }).await.map(|_live| ())
    }

    /// Adds a party.
    ///
    /// # Errors
    /// No such recording goes on, or no audit.
    pub async fn join(&self, join: Join) -> Result<(), Refusal> {
        let live = self.find(join.recording).ok_or_else(|| unknown(join.recording))?;
        let event = Event::of_daemon(EventKind::RecordingJoined, "record", join.recording.to_string())
            .with("track", join.track.track);
        self.enter(event).await?;
        if let Some(take) = locked(&live.take).as_mut() {
            take.join(&join.track);
        }
        let about = {
            let mut about = locked(&live.about);
            about.recording.tracks.retain(|track| track.track != join.track.track);
            about.recording.tracks.push(join.track);
            about.clone()
        };
        self.keep(about).await
    }

    /// Takes the descriptor on which media sends. A recording that a crash cut off goes on in a new segment.
    ///
    /// # Errors
    /// No descriptor, no such recording, or no key or disk for a new segment.
    pub async fn feed(
        self: &Arc<Self>,
        recording: RecordingId,
        descriptor: Option<OwnedFd>,
    ) -> Result<(), Refusal> {
        let descriptor = descriptor
            .ok_or_else(|| Refusal::invalid("record.no-descriptor", "a feed comes with its descriptor"))?;
        let live = match self.find(recording) {
            Some(live) => live,
            None => match self.known(recording).await? {
                Some(about) if about.recording.state == RecordingState::Recording => {
                    self.new_life(about).await?
                }
                _ => return Err(unknown(recording)),
            },
        };
        feed::start(Arc::clone(self), recording, live, descriptor)
            .map_err(|error| Refusal::invalid("record.feed", format!("the descriptor is no feed: {error}")))
    }

    /// Ends a recording once media has said its last, seals it, and enters its digest. The same again
    /// answers the same.
    ///
    /// # Errors
    /// No such recording, the disk failed, or no audit.
    pub async fn finish(self: &Arc<Self>, finish: Finish) -> Result<Recording, Refusal> {
        let Some(live) = self.find(finish.recording) else {
            return match self.known(finish.recording).await? {
                Some(about) if about.recording.state == RecordingState::Recording => {
                    self.close(about, None).await
                }
                Some(about) => Ok(about.recording),
                None => Err(unknown(finish.recording)),
            };
        };
        let mut feeds = live.feeds.subscribe();
        if tokio::time::timeout(LAST_WORDS, feeds.wait_for(|feeds| *feeds == 0)).await.is_err() {
            tracing::warn!(recording = %finish.recording, "media has not ended its feed: it is cut");
        }
        let Some(take) = locked(&live.take).take() else {
            return Err(Refusal::busy("record.finishing", "the recording is being finished"));
        };
        let about = locked(&live.about).clone();
        let outcome = self.close(about, Some(take)).await;
        locked(&self.live).remove(&finish.recording);
        outcome
    }

    /// Looks for what an earlier life left, and gives each some time to go on.
    pub fn take_up_what_a_crash_left(self: &Arc<Self>) {
        let recorder = Arc::clone(self);
        tokio::spawn(async move {
            recorder.tell_of_cuts().await;
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
        let all: Vec<_> = locked(&self.live).iter().map(|(id, live)| (*id, Arc::clone(live))).collect();
        for (recording, live) in all {
            let take = locked(&live.take).take();
            if let Some(take) = take
                && let Err(error) = self.end_segment(recording, take).await
            {
                tracing::error!(%recording, %error, "a recording could not be ended for the restart");
            }
        }
    }

    /// A batch came in.
    pub(crate) fn fed(&self, recording: RecordingId, live: &Live, bytes: &[u8]) {
        let mut out = Vec::new();
        let mut take = locked(&live.take);
        let Some(take) = take.as_mut() else { return };
        if let Err(error) = take.batch(clock::monotonic(), bytes, &mut out) {
            tracing::warn!(%recording, %error, "a batch is left out");
        }
        self.append(recording, out);
    }

    fn flush(&self) {
        let all: Vec<_> = locked(&self.live).iter().map(|(id, live)| (*id, Arc::clone(live))).collect();
        for (recording, live) in all {
            let mut out = Vec::new();
            if let Some(take) = locked(&live.take).as_mut()
                && let Err(error) = take.flush(&mut out)
            {
                tracing::error!(%recording, %error, "cannot seal");
            }
            self.append(recording, out);
        }
    }

    fn append(&self, recording: RecordingId, bytes: Vec<u8>) {
        if !bytes.is_empty()
            && let Err(error) = self.disk.append(recording, bytes)
        {
            tracing::error!(%recording, %error, "sealed audio is lost");
        }
    }

    /// A new segment with a new key, for a new recording or one that a crash cut off.
    async fn new_life(self: &Arc<Self>, mut about: About) -> Result<Arc<Live>, Refusal> {
        let recording = about.recording.recording;
        let segment = Segment(about.segments);
        let made = self.key.call(NewDek { objects: vec![recording.0] }).await?;
        let malformed =
            |error: String| Refusal::unavailable("record.key", format!("key answered amiss: {error}"));
        let made = made.keys.into_iter().next().ok_or_else(|| malformed("no key".to_owned()))?;
        let (dek, wrapped) = made.open().map_err(|error| malformed(error.to_string()))?;
        let prefix = NoncePrefix::random().map_err(|error| malformed(error.to_string()))?;
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
        let file = blocking(move || {
            let file = shelf.new_segment(recording, segment, &wrapped)?;
            shelf.write_about(&kept)?;
            Ok(file)
        })
        .await?;
        let behind =
            |error: crate::disk::Behind| Refusal::unavailable("record.disk-behind", error.to_string());
        self.disk.open(recording, file).map_err(behind)?;
        self.disk.append(recording, bytes.to_vec()).map_err(behind)?;
        let live = Arc::new(Live {
            about: Mutex::new(about),
            take: Mutex::new(Some(take)),
            feeds: watch::Sender::new(0),
        });
        locked(&self.live).insert(recording, Arc::clone(&live));
        Ok(live)
    }

    /// Ends a recording: its last segment, what is known of it, its entry.
    async fn close(&self, mut about: About, take: Option<Take>) -> Result<Recording, Refusal> {
        let recording = about.recording.recording;
        let mut disk_failed = None;
        if let Some(take) = take {
            match self.end_segment(recording, take).await {
                Ok((counts, _closed)) => {
                    about.recording.packets += counts.packets;
                    about.recording.lost += counts.lost;
                }
                Err(error) => disk_failed = Some(error),
            }
        }
        let shelf = self.shelf.clone();
        let segments = about.segments;
        let (size, digest, cut) = blocking(move || summary(&shelf, recording, segments)).await?;
        about.recording.size = size;
        about.recording.digest = digest;
        about.recording.ended = Some(clock::utc());
        let whole = !cut && disk_failed.is_none();
        about.recording.state = if whole { RecordingState::Sealed } else { RecordingState::Truncated };
        let kind = if whole { EventKind::RecordingSealed } else { EventKind::RecordingTruncated };
        let event = Event::of_daemon(kind, "record", recording.to_string())
            .with("digest", &about.recording.digest)
            .with("size", about.recording.size)
            .with("packets", about.recording.packets)
            .with("lost", about.recording.lost);
        self.enter(event).await?;
        let shown = about.recording.clone();
        self.keep(about).await?;
        Ok(shown)
    }

    async fn end_segment(&self, recording: RecordingId, take: Take) -> io::Result<(Counts, Closed)> {
        let mut out = Vec::new();
        let counts = take.finish(&mut out).map_err(io::Error::other)?;
        self.disk.append(recording, out).map_err(io::Error::other)?;
        Ok((counts, self.disk.close(recording).await?))
    }

    async fn tell_of_cuts(&self) {
        for about in self.unfinished().await {
            let recording = about.recording.recording;
            let path = self.shelf.sealed_path(recording, Segment(about.segments.saturating_sub(1)));
            if let Ok(Tail::CutOff { after }) = open::tail(&path) {
                let event = Event::of_daemon(EventKind::RecordingTruncated, "record", recording.to_string())
                    .with("segment", about.segments.saturating_sub(1))
                    .with("after_ms", after.as_millis());
                // Its end will be entered once more when it is closed.
                if let Err(error) = self.enter(event).await {
                    tracing::error!(%recording, %error, "a cut-off recording could not be entered");
                }
            }
        }
    }

    async fn close_orphans(&self) {
        for about in self.unfinished().await {
            if self.find(about.recording.recording).is_none()
                && let Err(error) = self.close(about, None).await
            {
                tracing::error!(%error, "a cut-off recording could not be closed");
            }
        }
    }

    async fn unfinished(&self) -> Vec<About> {
        let shelf = self.shelf.clone();
        let all = blocking(move || shelf.all()).await.unwrap_or_else(|error| {
            tracing::error!(%error, "the recordings cannot be read");
            Vec::new()
        });
        all.into_iter().filter(|about| about.recording.state == RecordingState::Recording).collect()
    }

    fn room(&self) -> Result<(), Refusal> {
        let least = self.settings.borrow().minimum_free.bytes();
        let free = statvfs(self.shelf.recordings())
            .map(|disk| disk.blocks_available().saturating_mul(disk.fragment_size()))
            .map_err(|error| {
                Refusal::unavailable("record.disk", format!("cannot look at the disk: {error}"))
            })?;
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

    async fn keep(&self, about: About) -> Result<(), Refusal> {
        let shelf = self.shelf.clone();
        blocking(move || shelf.write_about(&about)).await
    }

    async fn enter(&self, event: Event) -> Result<(), Refusal> {
        self.audit.call(Append { event, assertion: None, ticket: TicketWish::None }).await?;
        Ok(())
    }

    fn find(&self, recording: RecordingId) -> Option<Arc<Live>> {
        locked(&self.live).get(&recording).cloned()
    }
}

/// Length and SM3 of all segments one after the other, and whether one of them is cut off.
fn summary(shelf: &Shelf, recording: RecordingId, segments: u32) -> io::Result<(u64, String, bool)> {
    let (mut size, mut digest, mut cut) = (0, Sm3::new(), false);
    for segment in (0..segments).map(Segment) {
        let path = shelf.sealed_path(recording, segment);
        let bytes = std::fs::read(&path)?;
        digest.update(&bytes);
        size += bytes.len() as u64;
        cut |= open::tail(&path)? != Tail::Whole;
    }
    Ok((size, digest.finish().to_string(), cut))
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
