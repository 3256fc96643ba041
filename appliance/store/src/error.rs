use crate::port::{BatchId, Position};
use std::{path::PathBuf, sync::Arc};

/// What could not be done. Each names what was attempted.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The directory or its files could not be opened or made durable.
    #[error("open the database in {dir}: {reason}")]
    Open {
        /// The database's directory.
        dir: PathBuf,
        /// What the system said.
        reason: Arc<str>,
    },
    /// The database was written by a newer program, or by another daemon.
    #[error("the database holds {found}, this program knows {known}")]
    Foreign {
        /// Schema and version in the database.
        found: String,
        /// Schema and newest version that this program knows.
        known: String,
    },
    /// No upgrade leads from the version in the database to the program's.
    #[error("no upgrade leads to version {to} of {schema}")]
    NoUpgrade {
        /// The schema.
        schema: &'static str,
        /// The version that no step makes.
        to: u32,
    },
    /// The queue of batches is full: nothing was written. Try again later.
    #[error("commit: the queue is full")]
    Busy,
    /// A value has 4 KB or more, or does not serialise.
    #[error("put into {table}: {reason}")]
    Value {
        /// The table.
        table: &'static str,
        /// The size, or the serialiser's words.
        reason: Arc<str>,
    },
    /// A batch that can never be committed: a row named twice, a key or the batch too large.
    #[error("commit a batch: {0}")]
    Batch(&'static str),
    /// The id belongs to another batch that was committed before.
    #[error("commit a batch: its id {0} belongs to a different batch")]
    IdReused(BatchId),
    /// A stored row does not read as the type of its table.
    #[error("read {table}: {reason}")]
    Unreadable {
        /// The table.
        table: &'static str,
        /// What is wrong with the row.
        reason: Arc<str>,
    },
    /// The feed is no longer kept from this position: rebuild from the tables, then go on from `kept`.
    #[error("read the feed: commits up to {} are no longer kept", .kept.0)]
    Trimmed {
        /// The position after which the feed is whole.
        kept: Position,
    },
    /// The disk failed. Nothing is retried: a second fdatasync would succeed over lost pages. The process
    /// ends; whether a batch in flight is durable is asked by its id after the restart.
    #[error("the store failed: {0}")]
    Failed(Arc<str>),
}
