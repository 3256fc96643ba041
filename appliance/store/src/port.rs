//! The words of the port: the same for every driver.

use serde::{Deserialize, Serialize};
use std::fmt;
use types::{Name, Uid, Utc};

/// Names one batch for ever, made by the one who asks: the same batch sent twice carries the same id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct BatchId(pub Uid);

impl fmt::Display for BatchId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// Where a commit stands in the feed; rises with every commit, with gaps. Zero is before the first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Position(pub u64);

/// The version of a row: the position of the commit that wrote it, so no version ever comes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Version(pub u64);

/// What must be there for an operation, and so for its whole batch, to happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Expect {
    /// Anything or nothing.
    Anything,
    /// No row.
    Absent,
    /// The row in this version.
    At(Version),
}

impl Expect {
    /// Whether the version that was found, if there is a row, is the expected one.
    pub fn holds(self, found: Option<Version>) -> bool {
        match self {
            Self::Anything => true,
            Self::Absent => found.is_none(),
            Self::At(version) => found == Some(version),
        }
    }
}

/// What became of a batch. A batch that is sent again hears its first outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// Durable as a whole, at this position.
    Committed(Position),
    /// Another version was found at this operation (counted from zero): nothing was written.
    Conflict {
        /// The first operation whose expectation did not hold.
        operation: u16,
        /// The version there, if there is a row.
        found: Option<Version>,
    },
    /// The lease was granted anew since: nothing was written.
    Fenced {
        /// The generation of the present grant.
        current: Generation,
    },
}

/// A part of the feed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Feed {
    /// The commits, in order.
    pub commits: Vec<Commit>,
    /// Resume after this: at or, where refused batches stand between, beyond the last commit told.
    pub resume: Position,
}

/// One commit as the feed tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Commit {
    /// Where it stands.
    pub position: Position,
    /// The batch's id.
    pub id: BatchId,
    /// Every row that the batch changed, in the batch's order.
    pub changes: Vec<Change>,
}

/// One changed row. The row itself is read from its table, where a later commit may have changed it again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The table's name.
    pub table: String,
    /// The encoded key; [`crate::Table::key_of`] reads it.
    pub key: Vec<u8>,
    /// What happened to the row.
    pub changed: Changed,
}

/// What happened to a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Changed {
    /// Written, new or over an older version.
    Put,
    /// Taken away.
    Removed,
}

/// What is leased, for example the router's duty for one queue.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LeaseName(pub Name);

/// Who holds a lease, for example one node.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Holder(pub Name);

/// Rises with every grant of a lease, so that what an earlier holder still sends is told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Generation(pub u64);

/// A grant: to one holder, until a moment, under a generation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    /// What is leased.
    pub name: LeaseName,
    /// To whom.
    pub holder: Holder,
    /// From this moment on another may claim it. Until one does, the holder's batches pass.
    pub until: Utc,
    /// Which grant this is.
    pub generation: Generation,
}

/// The answer to a claim or a renewal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claim {
    /// The lease is yours.
    Granted(Lease),
    /// It is another's, or yours under a later generation.
    Held(Lease),
}

/// A row with its version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row<V> {
    /// The commit that wrote it.
    pub version: Version,
    /// Its value.
    pub value: V,
}

/// A part of a scan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<K, V> {
    /// The rows with their primary keys, in the order asked for.
    pub rows: Vec<(K, Row<V>)>,
    /// Where to go on; none when the scan is at its end.
    pub next: Option<Cursor>,
}

/// Where a scan stopped. Opaque; good for the same table, index and [`Within`] only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor(pub Vec<u8>);

/// The direction of a scan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// From the lowest key up.
    Rising,
    /// From the highest key down.
    Falling,
}

/// Which keys a scan visits, in which order, how many at most.
#[derive(Clone, Debug)]
pub struct Within {
    pub(crate) low: Vec<u8>,
    pub(crate) high: Option<Vec<u8>>,
    pub(crate) order: Order,
    pub(crate) after: Option<Cursor>,
    pub(crate) limit: usize,
}

impl Within {
    /// Every key, rising, a hundred at a time.
    pub fn all() -> Self {
        Self { low: Vec::new(), high: None, order: Order::Rising, after: None, limit: 100 }
    }

    /// The keys that begin with `prefix`: the first parts of a tuple key.
    pub fn prefix(prefix: &impl crate::Key) -> Self {
        let low = prefix.bytes();
        Self { high: crate::key::after_prefix(&low), low, ..Self::all() }
    }

    /// The keys from `from` on and before `to`; either may be the first parts of a tuple key.
    pub fn between<K: crate::Key>(from: &K, to: &K) -> Self {
        Self { low: from.bytes(), high: Some(to.bytes()), ..Self::all() }
    }

    /// In this order.
    #[must_use]
    pub fn order(self, order: Order) -> Self {
        Self { order, ..self }
    }

    /// At most so many rows a page, at least one.
    #[must_use]
    pub fn limit(self, rows: usize) -> Self {
        Self { limit: rows.max(1), ..self }
    }

    /// From where an earlier page stopped.
    #[must_use]
    pub fn after(self, cursor: Option<Cursor>) -> Self {
        Self { after: cursor, ..self }
    }
}
