//! Tables and their secondary indexes, as a daemon declares them in statics.

use crate::{Change, Error, Key};
use serde::{Serialize, de::DeserializeOwned};
use std::{collections::BTreeSet, marker::PhantomData};

/// Rows of `V` by `K`, with the indexes that are written in the same transaction as the row.
///
/// ```
/// use store::{Index, Table};
/// use types::{AgentId, CallId, Utc};
///
/// #[derive(serde::Serialize, serde::Deserialize)]
/// struct Call { agent: Option<AgentId>, offered: Utc }
///
/// static BY_AGENT: Index<Call, (AgentId, Utc)> =
///     Index::new("agent", |call| call.agent.iter().map(|agent| (agent.clone(), call.offered)).collect());
/// static CALLS: Table<CallId, Call> = Table::new("calls", &[&BY_AGENT]);
/// ```
pub struct Table<K, V: 'static> {
    name: &'static str,
    indexes: &'static [&'static dyn Indexing<V>],
    key: PhantomData<fn(K) -> K>,
}

/// Under which keys a row is found besides its own: none, one or many.
pub struct Index<V, I> {
    name: &'static str,
    of: fn(&V) -> Vec<I>,
}

impl<K: Key, V: Serialize + DeserializeOwned> Table<K, V> {
    /// The table of this name. A name lives as long as the database: lower-case letters and `-`.
    pub const fn new(name: &'static str, indexes: &'static [&'static dyn Indexing<V>]) -> Self {
        Self { name, indexes, key: PhantomData }
    }

    /// The table's name.
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// The key of a change in the feed, if it is one of this table's.
    pub fn key_of(&self, change: &Change) -> Option<K> {
        (change.table == self.name).then(|| K::decode(&mut change.key.as_slice())).flatten()
    }

    pub(crate) fn write(&self, value: &V) -> Result<Vec<u8>, Error> {
        let refused = |reason: String| Error::Value { table: self.name, reason: reason.into() };
        let bytes = serde_json::to_vec(value).map_err(|error| refused(error.to_string()))?;
        if bytes.len() >= VALUE_LIMIT {
            return Err(refused(format!("{} bytes, the limit is {VALUE_LIMIT}", bytes.len())));
        }
        Ok(bytes)
    }

    pub(crate) fn read(&self, bytes: &[u8]) -> Result<V, Error> {
        serde_json::from_slice(bytes)
            .map_err(|error| Error::Unreadable { table: self.name, reason: error.to_string().into() })
    }

    pub(crate) fn read_key(&self, mut bytes: &[u8]) -> Result<K, Error> {
        K::decode(&mut bytes)
            .filter(|_| bytes.is_empty())
            .ok_or(Error::Unreadable { table: self.name, reason: "a key does not decode".into() })
    }

    pub(crate) fn entries_of(&self, value: &V) -> BTreeSet<Entry> {
        self.indexes
            .iter()
            .flat_map(|index| index.keys(value).into_iter().map(|key| Entry { index: index.name(), key }))
            .collect()
    }
}

impl<V, I: Key> Index<V, I> {
    /// The index of this name over the keys that `of` finds in a row. Rows with an older definition keep
    /// their old entries until they are put again, in an [`crate::Upgrade`].
    pub const fn new(name: &'static str, of: fn(&V) -> Vec<I>) -> Self {
        Self { name, of }
    }
}

/// A value's size in bytes stays below this: larger ones would leave sled's pages for files of their own.
const VALUE_LIMIT: usize = 4096;

/// One key of one index.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry {
    pub(crate) index: &'static str,
    pub(crate) key: Vec<u8>,
}

/// An index of rows of `V`, whatever its key is. Implemented by [`Index`] alone.
pub trait Indexing<V>: Sync {
    /// The index's name.
    fn name(&self) -> &'static str;
    /// The encoded keys of a row.
    fn keys(&self, value: &V) -> Vec<Vec<u8>>;
}

impl<V, I: Key> Indexing<V> for Index<V, I> {
    fn name(&self) -> &'static str {
        self.name
    }
    fn keys(&self, value: &V) -> Vec<Vec<u8>> {
        (self.of)(value).iter().map(Key::bytes).collect()
    }
}

/// A table as the committer sees it: bytes in, index entries out.
pub(crate) trait Rows: Sync {
    fn name(&self) -> &'static str;
    /// The index entries of a stored value.
    fn entries(&self, value: &[u8]) -> Result<BTreeSet<Entry>, Error>;
}

impl<K: Key, V: Serialize + DeserializeOwned> Rows for Table<K, V> {
    fn name(&self) -> &'static str {
        self.name
    }
    fn entries(&self, value: &[u8]) -> Result<BTreeSet<Entry>, Error> {
        Ok(self.entries_of(&self.read(value)?))
    }
}
