//! An answer that the committer still owes: waited for by a thread or awaited by a task of any runtime.

use crate::Error;
use std::{
    future::Future,
    pin::Pin,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

/// An answer to come. Dropping it does not call anything back: the batch happens all the same.
#[must_use = "nothing is durable before the answer is here"]
pub struct Pending<T>(Arc<Slot<T>>);

/// The other end; dropped without an answer, it answers that the store failed.
pub(crate) struct Answer<T>(Arc<Slot<T>>);

pub(crate) fn pending<T>() -> (Answer<T>, Pending<T>) {
    let slot = Arc::new(Slot { state: Mutex::new(State::Open(None)), filled: Condvar::new() });
    (Answer(slot.clone()), Pending(slot))
}

impl<T> Pending<T> {
    /// Blocks this thread until the answer is here.
    ///
    /// # Errors
    /// The answer's own, or [`Error::Failed`].
    pub fn wait(self) -> Result<T, Error> {
        let mut state = self.0.lock();
        loop {
            match state.take() {
                Some(answer) => return answer,
                None => state = self.0.filled.wait(state).unwrap_or_else(PoisonError::into_inner),
            }
        }
    }
}

impl<T> Future for Pending<T> {
    type Output = Result<T, Error>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.0.lock();
        match state.take() {
            Some(answer) => Poll::Ready(answer),
            None => {
                *state = State::Open(Some(context.waker().clone()));
                Poll::Pending
            }
        }
    }
}

impl<T> Answer<T> {
    pub(crate) fn give(self, answer: Result<T, Error>) {
        self.0.fill(answer);
    }
}

impl<T> Drop for Answer<T> {
    fn drop(&mut self) {
        self.0.fill(Err(Error::Failed("closed before the batch was durable".into())));
    }
}

struct Slot<T> {
    state: Mutex<State<T>>,
    filled: Condvar,
}

enum State<T> {
    Open(Option<Waker>),
    Filled(Result<T, Error>),
    Taken,
}

impl<T> Slot<T> {
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The first answer stays.
    fn fill(&self, answer: Result<T, Error>) {
        let mut state = self.lock();
        if let State::Open(waker) = &mut *state {
            let waker = waker.take();
            *state = State::Filled(answer);
            drop(state);
            self.filled.notify_all();
            if let Some(waker) = waker {
                waker.wake();
            }
        }
    }
}

impl<T> State<T> {
    fn take(&mut self) -> Option<Result<T, Error>> {
        match std::mem::replace(self, Self::Taken) {
            Self::Filled(answer) => Some(answer),
            Self::Open(waker) => {
                *self = Self::Open(waker);
                None
            }
            // Polled again after it was ready: there is no second answer, so never.
            Self::Taken => None,
        }
    }
}
