//! What a core wants done: one queue, its octets in one buffer, both used again after each draining.

use super::{
    Event, Output,
    tap::{Batch, Entry, Pending},
};
use std::{collections::VecDeque, net::SocketAddr, ops::Range};
use types::{LegId, RecordingId};

/// Which of a leg's two ports (RFC 3550 §11).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub enum Port {
    /// The even one.
    Rtp,
    /// The odd one above.
    Rtcp,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Outbox {
    queue: VecDeque<Item>,
    octets: Vec<u8>,
    entries: Vec<Entry>,
    mark: usize,
}

#[derive(Clone, Debug)]
enum Item {
    Send { leg: LegId, port: Port, to: SocketAddr, octets: Range<usize> },
    Tap { recording: RecordingId, number: u64, entries: Range<usize>, octets: Range<usize> },
    Event(Event),
}

impl Outbox {
    /// The buffer for the octets of the next datagram, which [`Outbox::send`] ends.
    pub fn datagram(&mut self) -> &mut Vec<u8> {
        self.mark = self.octets.len();
        &mut self.octets
    }

    /// The buffer with the datagram begun last.
    pub fn resumed(&mut self) -> &mut Vec<u8> {
        &mut self.octets
    }

    /// Octets of the datagram begun last.
    pub fn written(&self) -> usize {
        self.octets.len() - self.mark
    }

    /// Transforms the datagram begun last, which lies in the buffer from the given place on. Where that fails it is
    /// gone.
    #[must_use]
    pub fn transform(&mut self, seal: impl FnOnce(&mut Vec<u8>, usize) -> bool) -> bool {
        let sealed = seal(&mut self.octets, self.mark);
        if !sealed {
            self.octets.truncate(self.mark);
        }
        sealed
    }

    /// Ends the datagram begun last.
    pub fn send(&mut self, leg: LegId, port: Port, to: SocketAddr) {
        let octets = self.mark..self.octets.len();
        self.queue.push_back(Item::Send { leg, port, to, octets });
    }

    /// Takes a whole batch over, if there is something in it.
    pub fn batch(&mut self, recording: RecordingId, pending: &mut Pending) {
        if pending.entries.is_empty() {
            return;
        }
        let (from, start) = (self.entries.len(), self.octets.len());
        self.entries.extend(&pending.entries);
        self.octets.extend(&pending.octets);
        let (entries, octets) = (from..self.entries.len(), start..self.octets.len());
        self.queue.push_back(Item::Tap { recording, number: pending.number, entries, octets });
        pending.clear();
    }

    pub fn event(&mut self, event: Event) {
        self.queue.push_back(Item::Event(event));
    }

    pub fn poll(&mut self) -> Option<Output<'_>> {
        let Some(item) = self.queue.pop_front() else {
            self.octets.clear();
            self.entries.clear();
            return None;
        };
        Some(match item {
            Item::Send { leg, port, to, octets } => {
                Output::Send { leg, port, to, datagram: self.octets.get(octets).unwrap_or_default() }
            }
            Item::Tap { recording, number, entries, octets } => {
                let entries = self.entries.get(entries).unwrap_or_default();
                let octets = self.octets.get(octets).unwrap_or_default();
                Output::Tap { recording, batch: Batch { number, entries, octets } }
            }
            Item::Event(event) => Output::Event(event),
        })
    }
}
