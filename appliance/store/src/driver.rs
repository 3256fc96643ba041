//! The driver on sled 0.34: one tree, one committer.
//!
//! sled's own `flush` writes the log with `sync_file_range`, which leaves the file's metadata and the disk's
//! cache behind: every power cut of a trial lost acknowledged rows. So every group ends with `fdatasync` on
//! sled's file, and sled's own flusher is off. `tests/power-cut` proves it.

mod apply;
mod committer;
mod layout;
mod open;
mod progress;
mod read;
#[cfg(test)]
mod tests;

pub use open::{Options, Schema, Upgrade};

use crate::{Batch, Claim, Error, Generation, Holder, Lease, LeaseName, Outcome, Pending, pending};
use committer::Request;
use progress::Progress;
use std::{
    sync::{
        Arc,
        mpsc::{SyncSender, TrySendError},
    },
    thread::JoinHandle,
};
use types::Utc;

/// An open database. Clones share it; the last one that goes closes it, after what was accepted is durable.
#[derive(Clone)]
pub struct Store(Arc<Handle>);

impl Store {
    /// Asks for a batch. It may become durable from now on, whether or not its answer is heard.
    ///
    /// # Errors
    /// [`Error::Busy`] when the queue is full: then it will not happen. [`Error::Failed`] when the disk failed.
    pub fn submit(&self, batch: Batch) -> Result<Pending<Outcome>, Error> {
        let (answer, pending) = pending::pending();
        self.send(Request::Commit(batch, answer))?;
        Ok(pending)
    }

    /// Asks for a batch and blocks until it is durable or refused.
    ///
    /// # Errors
    /// Those of [`Store::submit`], and [`Error::IdReused`].
    pub fn commit(&self, batch: Batch) -> Result<Outcome, Error> {
        self.submit(batch)?.wait()
    }

    /// How many groups have been made durable since it was opened: one fdatasync each.
    pub fn groups(&self) -> u64 {
        self.0.database.progress.groups()
    }

    /// Claims a lease until `until`: granted when it is free, past its moment at `now`, or `holder`'s own
    /// (who started anew, and thereby fences what it sent before).
    ///
    /// # Errors
    /// Those of [`Store::submit`].
    pub fn claim(&self, name: LeaseName, holder: Holder, now: Utc, until: Utc) -> Result<Claim, Error> {
        self.lease(Tenure::Claim { name, holder, now, until })
    }

    /// Moves the end of a grant, in the same generation. Answers [`Claim::Held`] once it was granted anew.
    ///
    /// # Errors
    /// Those of [`Store::submit`].
    pub fn renew(&self, lease: &Lease, until: Utc) -> Result<Claim, Error> {
        self.lease(Tenure::Renew { name: lease.name.clone(), generation: lease.generation, until })
    }

    /// Gives a grant back, so that another need not wait for its end. Fences it at once; gives nothing back
    /// once it was granted anew.
    ///
    /// # Errors
    /// Those of [`Store::submit`].
    pub fn release(&self, lease: &Lease) -> Result<(), Error> {
        self.lease(Tenure::Release { name: lease.name.clone(), generation: lease.generation }).map(drop)
    }

    fn lease(&self, tenure: Tenure) -> Result<Claim, Error> {
        let (answer, pending) = pending::pending();
        self.send(Request::Lease(tenure, answer))?;
        pending.wait()
    }

    fn send(&self, request: Request) -> Result<(), Error> {
        let Some(queue) = &self.0.queue else { return Err(closed()) };
        queue.try_send(request).map_err(|refused| match refused {
            TrySendError::Full(_) => Error::Busy,
            TrySendError::Disconnected(_) => self.0.database.progress.failure().unwrap_or_else(closed),
        })
    }
}

/// What shall happen to a lease.
enum Tenure {
    Claim { name: LeaseName, holder: Holder, now: Utc, until: Utc },
    Renew { name: LeaseName, generation: Generation, until: Utc },
    Release { name: LeaseName, generation: Generation },
}

struct Handle {
    database: Arc<Database>,
    queue: Option<SyncSender<Request>>,
    committer: Option<JoinHandle<()>>,
}

/// What readers and the committer share.
struct Database {
    tree: sled::Db,
    progress: Progress,
    on_failure: Box<dyn Fn(&Error) + Send + Sync>,
}

impl Database {
    /// The disk failed: no one commits or reads any more, and the process shall end.
    fn fail(&self, attempted: &str, reason: &dyn std::fmt::Display) -> Error {
        let error = Error::Failed(format!("{attempted}: {reason}").into());
        if self.progress.fail(&error) {
            (self.on_failure)(&error);
        }
        error
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.queue = None;
        if let Some(committer) = self.committer.take() {
            // A panic of the committer has already been told to `on_failure`.
            let _ = committer.join();
        }
    }
}

fn closed() -> Error {
    Error::Failed("it is closed".into())
}
