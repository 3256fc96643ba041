//! The one thread that writes sealed files: a stalled disk stalls it alone, and its queue is bounded.

use gm::sm3::Sm3;
use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, Write},
    path::Path,
    sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel},
    thread,
    time::{Duration, Instant},
};
use tokio::sync::oneshot;
use types::RecordingId;

/// How often all files together are brought to the disk: what a power cut can take.
const SYNC: Duration = Duration::from_secs(4);
/// Pieces that wait for the disk; about half a minute of 200 recordings.
const WAITING: usize = 16 << 10;

/// The way to the thread.
#[derive(Clone)]
pub struct Disk(SyncSender<Job>);

enum Job {
    Open(RecordingId, File),
    Append(RecordingId, Vec<u8>),
    Close(RecordingId, oneshot::Sender<io::Result<Closed>>),
}

/// A file that is complete and durable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Closed {
    /// Bytes.
    pub size: u64,
    /// SM3 of all of them, hexadecimal.
    pub digest: String,
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
        let (sender, jobs) = sync_channel(WAITING);
        let directory = File::open(directory)?;
        thread::Builder::new().name("disk".to_owned()).spawn(move || Writer::new(directory).run(&jobs))?;
        Ok(Self(sender))
    }

    /// Takes over an empty file.
    ///
    /// # Errors
    /// [`Behind`].
    pub fn open(&self, recording: RecordingId, file: File) -> Result<(), Behind> {
        self.give(Job::Open(recording, file))
    }

    /// Appends to it, some time soon.
    ///
    /// # Errors
    /// [`Behind`]; the bytes are dropped.
    pub fn append(&self, recording: RecordingId, bytes: Vec<u8>) -> Result<(), Behind> {
        self.give(Job::Append(recording, bytes))
    }

    /// Brings it to the disk and closes it.
    ///
    /// # Errors
    /// What went wrong with any of its bytes.
    pub async fn close(&self, recording: RecordingId) -> io::Result<Closed> {
        let (answer, closed) = oneshot::channel();
        self.give(Job::Close(recording, answer)).map_err(io::Error::other)?;
        closed.await.map_err(|_gone| io::Error::other(Behind))?
    }

    fn give(&self, job: Job) -> Result<(), Behind> {
        self.0.try_send(job).map_err(|_full_or_gone| Behind)
    }
}

struct Writer {
    directory: File,
    files: BTreeMap<RecordingId, Open>,
    synced: Instant,
    dirty: bool,
}

struct Open {
    file: File,
    digest: Sm3,
    size: u64,
    failed: Option<io::Error>,
}

impl Writer {
    fn new(directory: File) -> Self {
        Self { directory, files: BTreeMap::new(), synced: now(), dirty: false }
    }

    fn run(mut self, jobs: &Receiver<Job>) {
        loop {
            match jobs.recv_timeout(SYNC) {
                Ok(job) => self.perform(job),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            if self.dirty && now().duration_since(self.synced) >= SYNC {
                self.sync();
            }
        }
    }

    fn perform(&mut self, job: Job) {
        match job {
            Job::Open(recording, file) => {
                self.files.insert(recording, Open { file, digest: Sm3::new(), size: 0, failed: None });
            }
            Job::Append(recording, bytes) => {
                let Some(open) = self.files.get_mut(&recording) else { return };
                open.append(&bytes);
                self.dirty = true;
            }
            Job::Close(recording, answer) => {
                let closed = self.files.remove(&recording).map_or_else(
                    || Err(io::Error::new(io::ErrorKind::NotFound, "no such file is open")),
                    Open::close,
                );
                // Whoever asked may have been told to stop meanwhile; the file is whole either way.
                let _gone = answer.send(closed);
            }
        }
    }

    /// One sync for all files (syncfs(2)), because one for each would be one for each call.
    fn sync(&mut self) {
        if let Err(error) = nix::unistd::syncfs(&self.directory) {
            tracing::error!(%error, "recordings cannot be brought to the disk: what was written since may be lost");
        }
        self.synced = now();
        self.dirty = false;
    }
}

impl Open {
    fn append(&mut self, bytes: &[u8]) {
        if self.failed.is_some() {
            return;
        }
        match self.file.write_all(bytes) {
            Ok(()) => {
                self.digest.update(bytes);
                self.size += bytes.len() as u64;
            }
            // What is behind a torn chunk could not be opened anyway: the file ends here, truncated.
            Err(error) => {
                tracing::error!(%error, "a recording cannot be written");
                self.failed = Some(error);
            }
        }
    }

    fn close(self) -> io::Result<Closed> {
        match self.failed {
            Some(error) => Err(error),
            None => {
                self.file.sync_all()?;
                Ok(Closed { size: self.size, digest: self.digest.finish().to_string() })
            }
        }
    }
}

fn now() -> Instant {
    Instant::now()
}
