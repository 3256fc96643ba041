//! The one thread that writes. It takes whatever waits, at most a hundred requests: while one group is being synced
//! the next one gathers by itself, so a lone writer pays one fdatasync and a crowd shares it. It waits for more only
//! where the store was opened so.

use super::{
    Database, Tenure,
    apply::Group,
    layout::{self, Format},
};
use crate::{Batch, Claim, Error, Outcome, Position, pending::Answer};
use mutant::mutant;
use sled::transaction::{ConflictableTransactionError, TransactionError};
use std::{
    convert::Infallible,
    fs::File,
    sync::{Arc, mpsc::Receiver},
    thread,
    time::{Duration, Instant},
};

/// The most requests of one group.
const GROUP: usize = 100;

/// What waits in the queue.
pub(super) enum Request {
    Commit(Batch, Answer<Outcome>),
    Lease(Tenure, Answer<Claim>),
    Format(Format, Answer<()>),
}

pub(super) struct Committer {
    pub(super) database: Arc<Database>,
    pub(super) queue: Receiver<Request>,
    /// sled's file.
    pub(super) file: File,
    pub(super) position: Position,
    pub(super) kept: Position,
    pub(super) retain: u64,
    pub(super) gather: Duration,
}

impl Committer {
    /// Commits until the queue is closed and empty, or the disk fails.
    pub(super) fn run(mut self) {
        let _watch = Watch(self.database.clone());
        while let Ok(first) = self.queue.recv() {
            let mut patience = match first {
                Request::Commit(..) if !mutant("store-never-gathers") => Some(Instant::now() + self.gather),
                // Whoever opens a store, or needs its lease, can do nothing before.
                Request::Commit(..) | Request::Lease(..) | Request::Format(..) => None,
            };
            let mut group = vec![first];
            while group.len() < GROUP
                && let Some(next) = self.next(patience)
            {
                if !matches!(next, Request::Commit(..)) {
                    patience = None;
                }
                group.push(next);
            }
            if self.group(group).is_err() {
                return;
            }
        }
    }

    /// What waits, or comes until then.
    fn next(&self, until: Option<Instant>) -> Option<Request> {
        let left = until.map_or(Duration::ZERO, |until| until.saturating_duration_since(Instant::now()));
        match left.is_zero() {
            true => self.queue.try_recv().ok(),
            // At the end of the queue too: what is in hand is written.
            false => self.queue.recv_timeout(left).ok(),
        }
    }

    fn group(&mut self, group: Vec<Request>) -> Result<(), Error> {
        let progress = &self.database.progress;
        progress.begin();
        let (decisions, position, kept) =
            self.transact(&group).map_err(|error| self.database.fail("write a group", &error))?;
        self.database.tree.flush().map_err(|error| self.database.fail("flush", &error))?;
        if !mutant("store-skip-fdatasync") {
            self.file.sync_data().map_err(|error| self.database.fail("fdatasync", &error))?;
        }
        (self.position, self.kept) = (position, kept);
        progress.end(position, kept);
        for (request, decision) in group.into_iter().zip(decisions) {
            match (request, decision) {
                (Request::Commit(_, answer), Decision::Outcome(outcome)) => answer.give(outcome),
                (Request::Lease(_, answer), Decision::Claim(claim)) => answer.give(claim),
                (Request::Format(_, answer), Decision::Formatted(done)) => answer.give(done),
                // `transact` decides each request in its own kind.
                (_, _) => {}
            }
        }
        Ok(())
    }

    /// One transaction for the group: a power cut leaves all of it or nothing.
    fn transact(&self, group: &[Request]) -> Result<(Vec<Decision>, Position, Position), sled::Error> {
        let done = self.database.tree.transaction(|tree| {
            let mut now = Group { tree, position: self.position, kept: self.kept, retain: self.retain };
            let mut decisions = Vec::with_capacity(group.len());
            for request in group {
                decisions.push(match request {
                    Request::Commit(batch, _) => Decision::Outcome(now.batch(batch)?),
                    Request::Lease(tenure, _) => Decision::Claim(now.lease(tenure)?),
                    Request::Format(format, _) => match serde_json::to_vec(format) {
                        Ok(bytes) => {
                            tree.insert(&layout::FORMAT, bytes)?;
                            Decision::Formatted(Ok(()))
                        }
                        Err(error) => Decision::Formatted(Err(Error::Value {
                            table: "format",
                            reason: error.to_string().into(),
                        })),
                    },
                });
            }
            Ok::<_, ConflictableTransactionError<Infallible>>((decisions, now.position, now.kept))
        });
        done.map_err(|error| match error {
            TransactionError::Storage(error) => error,
            TransactionError::Abort(never) => match never {},
        })
    }
}

enum Decision {
    Outcome(Result<Outcome, Error>),
    Claim(Result<Claim, Error>),
    Formatted(Result<(), Error>),
}

/// A committer that unwinds, in sled for example, leaves the database as a failed disk would.
struct Watch(Arc<Database>);

impl Drop for Watch {
    fn drop(&mut self) {
        if thread::panicking() {
            // The error has been told to `on_failure`; nobody waits for it here.
            let _ = self.0.fail("commit", &"the committer panicked");
        }
    }
}
