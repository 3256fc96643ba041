//! Batches: what shall happen as a whole or not at all.

use crate::{
    BatchId, Error, Expect, Key, Lease, Table, Version,
    table::{Entry, Rows},
};
use serde::{Serialize, de::DeserializeOwned};
use std::collections::BTreeSet;
use types::Uid;

/// Operations on rows of many tables under one id. Every expectation is checked before anything is written,
/// so the operations of one batch do not see each other and a row stands in a batch once.
#[derive(Clone)]
pub struct Batch {
    pub(crate) id: BatchId,
    pub(crate) lease: Option<Lease>,
    pub(crate) operations: Vec<Operation>,
}

impl Batch {
    /// An empty batch under this id.
    pub const fn new(id: BatchId) -> Self {
        Self { id, lease: None, operations: Vec::new() }
    }

    /// An empty batch that nobody will ask for again, because doing it twice does no harm: a step of an
    /// [`crate::Upgrade`], the removal of what is done. Its id is nil and its outcome is not remembered.
    pub const fn unnamed() -> Self {
        Self::new(NIL)
    }

    /// Only while this grant of the lease is the last one: see [`crate::Outcome::Fenced`].
    #[must_use]
    pub fn under(mut self, lease: &Lease) -> Self {
        self.lease = Some(lease.clone());
        self
    }

    /// Writes a row where `expect` holds.
    ///
    /// # Errors
    /// [`Error::Value`] for a value of 4 KB or more, [`Error::Batch`] for a batch that grows too large.
    pub fn put<K, V>(
        self,
        table: &'static Table<K, V>,
        key: &K,
        value: &V,
        expect: Expect,
    ) -> Result<Self, Error>
    where
        K: Key,
        V: Serialize + DeserializeOwned,
    {
        let effect = Effect::Put { value: table.write(value)?, entries: table.entries_of(value) };
        self.with(Operation { table, key: key.bytes(), expect, effect })
    }

    /// Takes a row away where `expect` holds; taking none away is no fault.
    ///
    /// # Errors
    /// [`Error::Batch`] for a batch that grows too large.
    pub fn remove<K, V>(self, table: &'static Table<K, V>, key: &K, expect: Expect) -> Result<Self, Error>
    where
        K: Key,
        V: Serialize + DeserializeOwned,
    {
        self.with(Operation { table, key: key.bytes(), expect, effect: Effect::Remove })
    }

    /// Writes nothing here, but lets the batch happen only where the row is in this version.
    ///
    /// # Errors
    /// [`Error::Batch`] for a batch that grows too large.
    pub fn require<K, V>(self, table: &'static Table<K, V>, key: &K, version: Version) -> Result<Self, Error>
    where
        K: Key,
        V: Serialize + DeserializeOwned,
    {
        let expect = Expect::At(version);
        self.with(Operation { table, key: key.bytes(), expect, effect: Effect::Nothing })
    }

    fn with(mut self, operation: Operation) -> Result<Self, Error> {
        let sound = |entry: &Entry| entry.key.len() <= KEY_LIMIT;
        if operation.key.len() > KEY_LIMIT || !operation.entries().is_none_or(|all| all.iter().all(sound)) {
            return Err(Error::Batch("a key has more than 512 bytes"));
        }
        if self.operations.len() == OPERATIONS_LIMIT {
            return Err(Error::Batch("more than 256 operations"));
        }
        if self.operations.iter().any(|earlier| earlier.row() == operation.row()) {
            return Err(Error::Batch("a row stands in it twice"));
        }
        self.operations.push(operation);
        Ok(self)
    }

    /// Tells this batch from another under the same id: FNV-1a of everything it asks for. It finds mistakes,
    /// not forgers; whoever can send batches can write rows.
    pub(crate) fn fingerprint(&self) -> u64 {
        let mut hash = Fnv::default();
        if let Some(lease) = &self.lease {
            hash.part(lease.name.0.as_str().as_bytes());
            hash.part(&lease.generation.0.to_be_bytes());
        }
        for operation in &self.operations {
            hash.part(operation.table.name().as_bytes());
            hash.part(&operation.key);
            hash.part(&match operation.expect {
                Expect::Anything => u64::MAX.to_be_bytes(),
                Expect::Absent => 0_u64.to_be_bytes(),
                Expect::At(version) => version.0.to_be_bytes(),
            });
            match &operation.effect {
                Effect::Put { value, .. } => hash.part(value),
                Effect::Remove => hash.part(b"-"),
                Effect::Nothing => hash.part(b""),
            }
        }
        hash.0
    }
}

/// The id of batches that nobody sends again.
pub(crate) const NIL: BatchId = BatchId(Uid([0; 16]));

const KEY_LIMIT: usize = 512;
const OPERATIONS_LIMIT: usize = 256;

#[derive(Clone)]
pub(crate) struct Operation {
    pub(crate) table: &'static dyn Rows,
    pub(crate) key: Vec<u8>,
    pub(crate) expect: Expect,
    pub(crate) effect: Effect,
}

#[derive(Clone)]
pub(crate) enum Effect {
    Put { value: Vec<u8>, entries: BTreeSet<Entry> },
    Remove,
    Nothing,
}

impl Operation {
    fn row(&self) -> (&'static str, &[u8]) {
        (self.table.name(), &self.key)
    }

    /// The index entries that the operation writes.
    pub(crate) fn entries(&self) -> Option<&BTreeSet<Entry>> {
        match &self.effect {
            Effect::Put { entries, .. } => Some(entries),
            Effect::Remove | Effect::Nothing => None,
        }
    }
}

struct Fnv(u64);

impl Default for Fnv {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Fnv {
    /// A part with its length before it, so that no two lists of parts read the same.
    fn part(&mut self, bytes: &[u8]) {
        let length = (bytes.len() as u64).to_be_bytes();
        for byte in length.iter().chain(bytes) {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }
}
