//! The stream of commands to an edge: a queue and a task that empties it, so that a slow edge never holds
//! the switch.

use crate::switch::Word;
use route_core::Edge;
use serde::Serialize;
use service::Replies;
use tokio::sync::mpsc;

/// Commands that wait for an edge. One that is further behind is broken off; it attaches anew, and the core
/// tells it the difference.
const BEHIND: usize = 16 << 10;

/// Which attachment of an edge.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Epoch(u64);

/// The way to one edge.
pub struct Stream<C> {
    edge: Edge,
    epoch: Epoch,
    commands: Option<mpsc::Sender<C>>,
    teller: mpsc::Sender<Word>,
}

impl<C: Serialize + Send + 'static> Stream<C> {
    /// Nobody is attached.
    pub fn new(edge: Edge, teller: mpsc::Sender<Word>) -> Self {
        Self { edge, epoch: Epoch::default(), commands: None, teller }
    }

    /// An edge attached, in place of the one before; `first` is its first reply.
    pub fn attach(&mut self, replies: Replies<C>, first: C) {
        self.epoch.0 += 1;
        let (commands, queue) = mpsc::channel(BEHIND);
        self.commands = Some(commands);
        self.send(first);
        tokio::spawn(carry(queue, replies, self.edge, self.epoch, self.teller.clone()));
    }

    /// Sends a command to the edge that is attached.
    pub fn send(&mut self, command: C) {
        if let Some(commands) = &self.commands
            && commands.try_send(command).is_err()
        {
            // Its queue is full or its task has ended: either way the task says so when the queue is closed.
            self.commands = None;
        }
    }

    /// Whether this end concerns the edge that is attached now.
    pub fn ended(&mut self, epoch: Epoch) -> bool {
        let current = epoch == self.epoch;
        if current {
            self.commands = None;
        }
        current
    }
}

async fn carry<C: Serialize>(
    mut queue: mpsc::Receiver<C>,
    replies: Replies<C>,
    edge: Edge,
    epoch: Epoch,
    teller: mpsc::Sender<Word>,
) {
    loop {
        tokio::select! {
            command = queue.recv() => {
                let Some(command) = command else { break };
                if replies.send(command).await.is_err() {
                    break;
                }
            }
            () = replies.gone() => break,
        }
    }
    // The switch is gone only when the daemon ends.
    let _ending = teller.send(Word::Ended(edge, epoch)).await;
}
