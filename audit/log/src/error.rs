//! What the log attempted and could not do.

use crate::checkpoint::NoteError;
use crate::order::OrderFault;
use std::io;

/// What was attempted and failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The disk refused; the log goes on where the act left nothing behind (a write that was taken back).
    #[error("{act} {file}: {source}")]
    Disk {
        /// What was attempted: "reading", "writing".
        act: &'static str,
        /// The file's name within the log's folder.
        file: String,
        /// What the operating system said.
        source: io::Error,
    },
    /// An earlier sync failed or left the state unknown. The process must end: no fsync is tried twice.
    #[error("the log stopped: {0}")]
    Stopped(String),
    /// What had been acknowledged is damaged or gone. The log does not open.
    #[error("tamper alarm: {0}")]
    Tampered(Alarm),
    /// The entry is longer than [`crate::entry::LONGEST`].
    #[error("appending an entry of {0} bytes: too long")]
    TooLong(usize),
    /// The entry may not follow its predecessor.
    #[error("appending an entry: {0}")]
    Order(#[from] OrderFault),
    /// The checkpoint is malformed, of another log, or not signed by a trusted key.
    #[error("publishing a checkpoint: {0}")]
    Note(#[from] NoteError),
    /// The checkpoint is not of the tree that this log holds.
    #[error("publishing a checkpoint of {0} entries: not a state of this log after the last one")]
    NotOurs(u64),
    /// There is no such entry or tree.
    #[error("looking up {0}: not in the log")]
    Beyond(u64),
}

/// Where damage begins and what it is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{file} at byte {offset}: {what}")]
pub struct Alarm {
    /// The file's name within the log's folder.
    pub file: String,
    /// The first byte that is wrong, or of the frame in which it stands.
    pub offset: u64,
    /// What is wrong there.
    pub what: String,
}

/// Names the act and the file of an I/O error.
pub(crate) fn disk(act: &'static str, file: &str) -> impl FnOnce(io::Error) -> Error {
    let file = file.to_owned();
    move |source| Error::Disk { act, file, source }
}
