//! The one thread that writes sealed files: a stalled disk stalls it alone, and its queue is bounded.

use crate::recorder::locked;
use mutant::mutant;
use service::clock;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    io::{self, Write},
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel},
    },
    thread,
    time::{Duration, Instant},
};
use tokio::{sync::oneshot, task::spawn_blocking};
use types::{Monotonic, RecordingId};

/// How often all files together are brought to the disk: what a power cut can take.
const SYNC: Duration = Duration::from_secs(4);
/// Pieces that wait for the disk; about half a minute of 200 recordings.
const WAITING: usize = 16 << 10;

/// The way to the thread.
#[derive(Clone)]
pub struct Disk {
    jobs: SyncSender<Job>,
    pulse: Arc<Pulse>,
}

/// How the thread fares, for whoever asks while it may be stuck.
#[derive(Default)]
struct Pulse {
    /// Since when it has been at one piece of work, on the line of [`Monotonic`]; 0 while it waits for one.
    busy: AtomicU64,
    /// Whether the last piece of work failed.
    failing: AtomicBool,
    /// Files that took a part of their bytes only: nothing behind it would open.
    torn: Mutex<BTreeSet<RecordingId>>,
}

enum Job {
    /// A new file and its first bytes.
    Open(RecordingId, File, Vec<u8>),
    Append(RecordingId, Vec<u8>),
    /// The last bytes.
    Close(RecordingId, Vec<u8>, oneshot::Sender<io::Result<()>>),
}

/// The disk does not keep up, or its thread is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the disk does not keep up with what is recorded")]
pub struct Behind;

impl Disk {
    /// Starts the thread for the files of this directory.
    ///
    /// # Errors
    /// No thread, or no such directory.
    pub fn start(directory: &Path) -> io::Result<Self> {
        let directory = File::open(directory)?;
        // One sync for all files (syncfs(2)), because one for each would be one for each call.
        Self::with(WAITING, SYNC, move || Ok(nix::unistd::syncfs(&directory)?))
    }

    /// A thread with room for so many pieces, which syncs as told, so long after a byte came at most.
    pub(crate) fn with(
        waiting: usize,
        every: Duration,
        sync: impl FnMut() -> io::Result<()> + Send + 'static,
    ) -> io::Result<Self> {
        let (sender, jobs) = sync_channel(waiting);
        let pulse = Arc::new(Pulse::default());
        let writer = Writer {
            pulse: Arc::clone(&pulse),
            files: BTreeMap::new(),
            dirty: false,
            since: Instant::now(),
            every,
            sync: Box::new(sync),
        };
        thread::Builder::new().name("disk".to_owned()).spawn(move || writer.run(&jobs))?;
        Ok(Self { jobs: sender, pulse })
    }

    /// For how long the disk has been at one piece of work.
    pub fn stuck(&self, now: Monotonic) -> Duration {
        match self.pulse.busy.load(Ordering::Relaxed) {
            0 => Duration::ZERO,
            since => now.since(Monotonic(since)),
        }
    }

    /// Whether the last thing that the disk was given could not be written or synced.
    pub fn failing(&self) -> bool {
        self.pulse.failing.load(Ordering::Relaxed)
    }

    /// Something else could be written: what failed before is over.
    pub fn well(&self) {
        self.pulse.failing.store(false, Ordering::Relaxed);
    }

    /// Takes over an empty file and its first bytes; waits while the disk is behind. An earlier file of the same
    /// recording is left as it is.
    ///
    /// # Errors
    /// The thread is gone.
    pub async fn open(&self, recording: RecordingId, file: File, first: Vec<u8>) -> io::Result<()> {
        self.wait(Job::Open(recording, file, first)).await
    }

    /// Appends to it, some time soon; never waits.
    ///
    /// # Errors
    /// [`Behind`], also where earlier bytes could not be written; the bytes are dropped, and what comes after them would not open.
    pub fn append(&self, recording: RecordingId, bytes: Vec<u8>) -> Result<(), Behind> {
        if locked(&self.pulse.torn).contains(&recording) && !mutant("record-writes-behind-a-hole") {
            return Err(Behind);
        }
        self.jobs.try_send(Job::Append(recording, bytes)).map_err(|_full_or_gone| Behind)
    }

    /// Appends the last bytes, brings the file to the disk and closes it; waits while the disk is behind.
    ///
    /// # Errors
    /// What went wrong with any of its bytes.
    pub async fn close(&self, recording: RecordingId, last: Vec<u8>) -> io::Result<()> {
        let (answer, closed) = oneshot::channel();
        self.wait(Job::Close(recording, last, answer)).await?;
        closed.await.map_err(|_gone| io::Error::other(Behind))?
    }

    async fn wait(&self, job: Job) -> io::Result<()> {
        let job = match self.jobs.try_send(job) {
            Ok(()) => return Ok(()),
            Err(TrySendError::Full(job)) => job,
            Err(TrySendError::Disconnected(_)) => return Err(io::Error::other(Behind)),
        };
        let jobs = self.jobs.clone();
        let given = spawn_blocking(move || jobs.send(job).map_err(|_gone| Behind)).await;
        given.map_err(io::Error::other)?.map_err(io::Error::other)
    }
}

struct Writer {
    pulse: Arc<Pulse>,
    files: BTreeMap<RecordingId, Open>,
    /// Whether something is not on the disk yet, and since when.
    dirty: bool,
    since: Instant,
    every: Duration,
    sync: Box<dyn FnMut() -> io::Result<()> + Send>,
}

struct Open {
    file: File,
    failed: Option<io::Error>,
}

impl Writer {
    fn run(mut self, jobs: &Receiver<Job>) {
        loop {
            let patience = match self.dirty {
                true => self.every.saturating_sub(self.since.elapsed()),
                false => self.every,
            };
            let job = jobs.recv_timeout(patience);
            self.pulse.busy.store(clock::monotonic().0.max(1), Ordering::Relaxed);
            match job {
                Ok(job) => self.perform(job),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            if self.dirty && self.since.elapsed() >= self.every {
                self.sync();
            }
            self.pulse.busy.store(0, Ordering::Relaxed);
        }
    }

    fn perform(&mut self, job: Job) {
        match job {
            Job::Open(recording, file, first) => {
                locked(&self.pulse.torn).remove(&recording);
                self.files.insert(recording, Open { file, failed: None });
                self.append(recording, &first);
            }
            Job::Append(recording, bytes) => self.append(recording, &bytes),
            Job::Close(recording, last, answer) => {
                self.append(recording, &last);
                locked(&self.pulse.torn).remove(&recording);
                let closed = self.files.remove(&recording).map_or_else(
                    || Err(io::Error::new(io::ErrorKind::NotFound, "no such file is open")),
                    Open::close,
                );
                self.fares(closed.is_ok());
                // Whoever asked may have been told to stop meanwhile; the file is whole either way.
                let _gone = answer.send(closed);
            }
        }
    }

    fn append(&mut self, recording: RecordingId, bytes: &[u8]) {
        let Some(open) = self.files.get_mut(&recording) else { return };
        open.append(bytes);
        let torn = open.failed.is_some();
        if torn {
            locked(&self.pulse.torn).insert(recording);
        }
        self.fares(!torn);
        self.dirty();
    }

    fn fares(&self, well: bool) {
        self.pulse.failing.store(!well, Ordering::Relaxed);
    }

    /// The wait for a sync counts from the first byte that is not on the disk yet.
    fn dirty(&mut self) {
        if !self.dirty {
            (self.dirty, self.since) = (true, Instant::now());
        }
    }

    fn sync(&mut self) {
        if !mutant("record-skip-sync")
            && let Err(error) = (self.sync)()
        {
            tracing::error!(%error, "recordings cannot be brought to the disk: what was written since may be lost");
            // The kernel says so once and forgets it: a later sync that succeeds would prove nothing.
            for (recording, open) in &mut self.files {
                open.failed.get_or_insert_with(|| io::Error::new(error.kind(), "a sync failed before"));
                locked(&self.pulse.torn).insert(*recording);
            }
            self.fares(false);
        }
        self.dirty = false;
    }
}

impl Open {
    fn append(&mut self, bytes: &[u8]) {
        if self.failed.is_some() {
            return;
        }
        // What is behind a torn chunk could not be opened anyway: the file ends here, truncated.
        if let Err(error) = self.file.write_all(bytes) {
            tracing::error!(%error, "a recording cannot be written");
            self.failed = Some(error);
        }
    }

    fn close(self) -> io::Result<()> {
        match self.failed {
            Some(error) => Err(error),
            None => self.file.sync_all(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::channel;
    use types::Uid;

    /// Mutant record-skip-sync.
    #[tokio::test]
    async fn what_was_appended_is_synced_soon_though_nothing_follows() {
        let (synced, syncs) = channel();
        let disk = Disk::with(8, Duration::from_millis(50), move || {
            synced.send(()).unwrap();
            Ok(())
        })
        .unwrap();
        let (recording, file) = (RecordingId(Uid([1; 16])), tempfile::tempfile().unwrap());
        disk.open(recording, file, vec![1]).await.unwrap();
        syncs.recv_timeout(Duration::from_secs(5)).unwrap();
        disk.append(recording, vec![2]).unwrap();
        syncs.recv_timeout(Duration::from_secs(5)).unwrap();
        assert!(syncs.recv_timeout(Duration::from_millis(200)).is_err(), "nothing new, nothing to sync");
    }
    /// Mutant record-writes-behind-a-hole. `/dev/full` is a disk with no room (full(4)).
    #[tokio::test]
    async fn a_full_disk_tears_a_file_and_says_so_until_it_takes_something_again() {
        let disk = Disk::with(8, Duration::from_secs(60), || Ok(())).unwrap();
        let recording = RecordingId(Uid([1; 16]));
        let full = File::options().write(true).open("/dev/full").unwrap();
        disk.open(recording, full, vec![1]).await.unwrap();
        let torn = async || {
            let deadline = Instant::now() + Duration::from_secs(5);
            while disk.append(recording, vec![2]).is_ok() && Instant::now() < deadline {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            disk.append(recording, vec![2])
        };
        assert_eq!((torn().await, disk.failing()), (Err(Behind), true));
        assert!(disk.close(recording, vec![3]).await.is_err());
        disk.open(recording, tempfile::tempfile().unwrap(), vec![1]).await.unwrap();
        disk.append(recording, vec![2]).unwrap();
        disk.close(recording, vec![3]).await.unwrap();
        assert!(!disk.failing());
    }

    #[tokio::test]
    async fn what_was_not_synced_is_torn_though_later_syncs_succeed() {
        let mut syncs = 0;
        let disk = Disk::with(8, Duration::from_millis(10), move || {
            syncs += 1;
            if syncs == 1 { Err(io::Error::other("the device is gone")) } else { Ok(()) }
        })
        .unwrap();
        let recording = RecordingId(Uid([1; 16]));
        disk.open(recording, tempfile::tempfile().unwrap(), vec![1]).await.unwrap();
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert!(disk.close(recording, vec![2]).await.is_err());
    }

    #[tokio::test]
    async fn a_disk_that_is_stuck_is_seen_to_be() {
        let (release, held) = channel::<()>();
        let disk = Disk::with(8, Duration::from_millis(1), move || {
            let _released = held.recv();
            Ok(())
        })
        .unwrap();
        let file = tempfile::tempfile().unwrap();
        disk.open(RecordingId(Uid([1; 16])), file, vec![1]).await.unwrap();
        tokio::time::sleep(Duration::from_millis(200)).await;
        assert!(disk.stuck(clock::monotonic()) > Duration::from_millis(100));
        drop(release);
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert_eq!(disk.stuck(clock::monotonic()), Duration::ZERO);
    }
}
