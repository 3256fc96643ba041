//! The one thread that writes sealed files: a stalled disk stalls it alone, and its queue is bounded.

use mutant::mutant;
use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, Write},
    path::Path,
    sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel},
    thread,
    time::{Duration, Instant},
};
use tokio::{sync::oneshot, task::spawn_blocking};
use types::RecordingId;

/// How often all files together are brought to the disk: what a power cut can take.
const SYNC: Duration = Duration::from_secs(4);
/// Pieces that wait for the disk; about half a minute of 200 recordings.
const WAITING: usize = 16 << 10;

/// The way to the thread.
#[derive(Clone)]
pub struct Disk(SyncSender<Job>);

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
        let writer = Writer {
            files: BTreeMap::new(),
            dirty: false,
            since: Instant::now(),
            every,
            sync: Box::new(sync),
        };
        thread::Builder::new().name("disk".to_owned()).spawn(move || writer.run(&jobs))?;
        Ok(Self(sender))
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
    /// [`Behind`]; the bytes are dropped, and what comes after them would not open.
    pub fn append(&self, recording: RecordingId, bytes: Vec<u8>) -> Result<(), Behind> {
        self.0.try_send(Job::Append(recording, bytes)).map_err(|_full_or_gone| Behind)
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
        let jobs = self.0.clone();
        let given = spawn_blocking(move || jobs.send(job).map_err(|_gone| Behind)).await;
        given.map_err(io::Error::other)?.map_err(io::Error::other)
    }
}

struct Writer {
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
            match jobs.recv_timeout(patience) {
                Ok(job) => self.perform(job),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            if self.dirty && self.since.elapsed() >= self.every {
                self.sync();
            }
        }
    }

    fn perform(&mut self, job: Job) {
        match job {
            Job::Open(recording, file, first) => {
                let mut open = Open { file, failed: None };
                open.append(&first);
                self.files.insert(recording, open);
                self.dirty();
            }
            Job::Append(recording, bytes) => {
                let Some(open) = self.files.get_mut(&recording) else { return };
                open.append(&bytes);
                self.dirty();
            }
            Job::Close(recording, last, answer) => {
                let closed = self.files.remove(&recording).map_or_else(
                    || Err(io::Error::new(io::ErrorKind::NotFound, "no such file is open")),
                    |mut open| {
                        open.append(&last);
                        open.close()
                    },
                );
                // Whoever asked may have been told to stop meanwhile; the file is whole either way.
                let _gone = answer.send(closed);
            }
        }
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
}
