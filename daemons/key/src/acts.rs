//! key's own acts, which wait until audit says that they are durable.
//!
//! key is on the floor below audit and calls nobody: audit opens a stream down to it, is sent what waits, and
//! confirms each. What was sent and not confirmed when a stream ends is sent again on the next.

use audit_event::Event;
use key_api::Act;
use service::Replies;
use std::collections::VecDeque;

/// Acts that wait at most. They are few; whoever makes more of them is refused things in a loop.
const WAITING: usize = 1024;
/// Acts that are under way on the stream at most: fewer than its caller may be behind.
const UNDER_WAY: usize = 32;

/// The queue of acts.
#[derive(Default)]
pub struct Acts {
    waiting: VecDeque<Act>,
    /// How many of `waiting`, from the front, the present stream was sent.
    sent: usize,
    stream: Option<Replies<Act>>,
    last: u64,
    lost: u64,
}

impl Acts {
    /// Adds an act; gives its number, or nothing where too many wait already, which is counted.
    pub fn push(&mut self, event: Event) -> Option<u64> {
        if self.waiting.len() >= WAITING {
            self.lost += 1;
            tracing::error!(lost = self.lost, "an act of key's own is not audited: too many wait");
            return None;
        }
        self.last += 1;
        self.waiting.push_back(Act { act: self.last, event });
        self.send();
        Some(self.last)
    }

    /// Sends what waits to a new stream, which takes the place of the present one.
    pub fn attach(&mut self, stream: Replies<Act>) {
        (self.stream, self.sent) = (Some(stream), 0);
        self.send();
    }

    /// Forgets an act that is durable. One that does not wait was confirmed before.
    pub fn confirm(&mut self, act: u64) {
        if let Some(at) = self.waiting.iter().position(|waiting| waiting.act == act) {
            self.waiting.remove(at);
            self.sent -= usize::from(at < self.sent);
        }
        self.send();
    }

    fn send(&mut self) {
        while self.sent < UNDER_WAY
            && let Some(act) = self.waiting.get(self.sent)
            && let Some(stream) = &self.stream
        {
            match stream.try_send(act.clone()) {
                Ok(()) => self.sent += 1,
                Err(gone) => {
                    tracing::debug!(%gone, "the stream of acts ended");
                    (self.stream, self.sent) = (None, 0);
                }
            }
        }
    }

    /// What waits, in order.
    #[cfg(test)]
    pub fn waiting(&self) -> impl Iterator<Item = &Act> {
        self.waiting.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use audit_event::EventKind;

    fn event() -> Event {
        Event::of_daemon(EventKind::KeyRefused, "key", "x")
    }

    #[test]
    fn acts_wait_until_they_are_confirmed() {
        let mut acts = Acts::default();
        assert_eq!((acts.push(event()), acts.push(event()), acts.push(event())), (Some(1), Some(2), Some(3)));
        acts.confirm(2);
        acts.confirm(2);
        acts.confirm(99);
        assert_eq!(acts.waiting().map(|act| act.act).collect::<Vec<_>>(), [1, 3]);
    }

    #[test]
    fn the_queue_is_bounded() {
        let mut acts = Acts::default();
        for _ in 0..WAITING {
            assert!(acts.push(event()).is_some());
        }
        assert_eq!(acts.push(event()), None);
        acts.confirm(1);
        assert_eq!(acts.push(event()), Some(WAITING as u64 + 1));
    }
}
