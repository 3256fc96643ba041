//! How far the committer is: what readers may show, and whether the disk still holds.

use crate::{Error, Position};
use std::{
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// Counts groups: one is begun before any of its writes can be read, and durable after its fdatasync.
pub(super) struct Progress {
    state: Mutex<State>,
    moved: Condvar,
}

struct State {
    begun: u64,
    durable: u64,
    position: Position,
    kept: Position,
    failed: Option<Error>,
}

impl Progress {
    /// A database whose feed holds the commits after `kept` up to `position`.
    pub(super) fn at(position: Position, kept: Position) -> Self {
        let state = State { begun: 0, durable: 0, position, kept, failed: None };
        Self { state: Mutex::new(state), moved: Condvar::new() }
    }

    pub(super) fn begin(&self) {
        self.lock().begun += 1;
    }

    pub(super) fn end(&self, position: Position, kept: Position) {
        let mut state = self.lock();
        state.durable = state.begun;
        (state.position, state.kept) = (position, kept);
        drop(state);
        self.moved.notify_all();
    }

    /// How many groups are durable.
    pub(super) fn groups(&self) -> u64 {
        self.lock().durable
    }

    /// Whether this is the first failure.
    pub(super) fn fail(&self, error: &Error) -> bool {
        let mut state = self.lock();
        let first = state.failed.is_none();
        state.failed.get_or_insert_with(|| error.clone());
        drop(state);
        self.moved.notify_all();
        first
    }

    pub(super) fn failure(&self) -> Option<Error> {
        self.lock().failed.clone()
    }

    /// Blocks until all that can have been read before this call is durable.
    pub(super) fn settle(&self) -> Result<(), Error> {
        let mut state = self.lock();
        let seen = state.begun;
        loop {
            match &state.failed {
                Some(error) => return Err(error.clone()),
                None if state.durable >= seen => return Ok(()),
                None => state = self.moved.wait(state).unwrap_or_else(PoisonError::into_inner),
            }
        }
    }

    /// The last durable position, and the one after which the feed is kept.
    pub(super) fn feed(&self) -> Result<(Position, Position), Error> {
        let state = self.lock();
        match &state.failed {
            Some(error) => Err(error.clone()),
            None => Ok((state.position, state.kept)),
        }
    }

    /// Blocks until the position has passed `after`, at most for `patience`.
    pub(super) fn beyond(&self, after: Position, patience: Duration) -> Result<Position, Error> {
        let deadline = Instant::now().checked_add(patience);
        let mut state = self.lock();
        loop {
            if let Some(error) = &state.failed {
                return Err(error.clone());
            }
            let left = deadline.map_or(patience, |end| end.saturating_duration_since(Instant::now()));
            if state.position > after || left.is_zero() {
                return Ok(state.position);
            }
            state = self.moved.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{sync::mpsc, thread};

    #[test]
    fn a_reader_waits_for_the_group_that_it_may_have_seen_and_no_longer() {
        let progress = Progress::at(Position(0), Position(0));
        progress.settle().unwrap();
        progress.begin();
        thread::scope(|scope| {
            let (told, heard) = mpsc::channel();
            let progress = &progress;
            scope.spawn(move || told.send(progress.settle().is_ok()).unwrap());
            assert!(heard.recv_timeout(Duration::from_millis(50)).is_err(), "not durable yet");
            progress.end(Position(1), Position(0));
            progress.begin();
            assert!(heard.recv_timeout(Duration::from_secs(30)).unwrap());
        });
    }
}
