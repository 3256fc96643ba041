//! Reading. An answer is given only when everything it may show is durable: a reader that overtakes a group
//! waits for that group's fdatasync.

use super::{Store, layout};
use crate::{
    Commit, Cursor, Error, Feed, Index, Key, Order, Outcome, Page, Position, Row, Table, Within, key,
    table::{Entry, Indexing, Rows},
};
use serde::{Serialize, de::DeserializeOwned};
use std::time::Duration;

impl Store {
    /// The row of this key.
    ///
    /// # Errors
    /// [`Error::Unreadable`] for a row that is not of the table's type, [`Error::Failed`] of the disk.
    pub fn row<K, V>(&self, table: &Table<K, V>, key: &K) -> Result<Option<Row<V>>, Error>
    where
        K: Key,
        V: Serialize + DeserializeOwned,
    {
        self.settled(|tree| {
            let stored = tree.get(layout::row(table.name(), &key.bytes()))?;
            Ok(stored.map(|stored| read(table, &stored)).transpose()?)
        })
    }

    /// A page of rows by their own keys.
    ///
    /// # Errors
    /// Those of [`Store::row`].
    pub fn scan<K, V>(&self, table: &Table<K, V>, within: &Within) -> Result<Page<K, V>, Error>
    where
        K: Key,
        V: Serialize + DeserializeOwned,
    {
        self.page(&layout::rows(table.name()), within, |_, key, stored| {
            Ok(Some((table.read_key(key)?, read(table, stored)?)))
        })
    }

    /// A page of rows by the keys of an index.
    ///
    /// # Errors
    /// Those of [`Store::row`].
    pub fn find<K, V, I>(
        &self,
        table: &Table<K, V>,
        index: &Index<V, I>,
        within: &Within,
    ) -> Result<Page<K, V>, Error>
    where
        K: Key,
        V: Serialize + DeserializeOwned,
        I: Key,
    {
        self.page(&layout::index(table.name(), index.name()), within, |tree, entry, _| {
            let mut key = entry;
            if I::decode(&mut key).is_none() {
                return Err(unreadable(table.name(), "an index entry does not decode").into());
            }
            let index_key = &entry[..entry.len() - key.len()];
            let Some(stored) = tree.get(layout::row(table.name(), key))? else { return Ok(None) };
            let row = read(table, &stored)?;
            // Between the two reads the row may have left this entry, or an upgrade may owe its removal.
            let stands =
                table.entries_of(&row.value).iter().any(|at| at.index == index.name() && at.key == index_key);
            Ok(if stands { Some((table.read_key(key)?, row)) } else { None })
        })
    }

    /// The commits after `after`, at most `limit`, each durable.
    ///
    /// # Errors
    /// [`Error::Trimmed`] when `after` is older than what is kept, else those of [`Store::row`].
    pub fn feed(&self, after: Position, limit: usize) -> Result<Feed, Error> {
        let (durable, kept) = self.0.database.progress.feed()?;
        if after < kept {
            return Err(Error::Trimmed { kept });
        }
        let mut feed = Feed { commits: Vec::new(), resume: after };
        let mut read = || {
            let from = layout::log(Position(after.0.saturating_add(1)));
            for entry in self.0.database.tree.range(from..=layout::log(durable)) {
                if feed.commits.len() == limit {
                    break;
                }
                let (key, value) = entry?;
                let entry = layout::position(&key).zip(layout::Entry::decode(&mut &value[..]));
                let (position, entry) =
                    entry.ok_or_else(|| unreadable("the log", "an entry does not decode"))?;
                if let Outcome::Committed(_) = entry.outcome {
                    feed.commits.push(Commit { position, id: entry.id, changes: entry.changes });
                }
                feed.resume = position;
            }
            Ok(())
        };
        self.faced(read())?;
        // What fell off while this read went on would be a gap.
        let (_, kept) = self.0.database.progress.feed()?;
        if after < kept { Err(Error::Trimmed { kept }) } else { Ok(feed) }
    }

    /// Blocks until something was decided after `after`, at most for `patience`; answers the last durable
    /// position.
    ///
    /// # Errors
    /// [`Error::Failed`] of the disk.
    pub fn beyond(&self, after: Position, patience: Duration) -> Result<Position, Error> {
        self.0.database.progress.beyond(after, patience)
    }

    /// Reads a whole table and its indexes, and answers how many rows there are.
    ///
    /// # Errors
    /// [`Error::Unreadable`] for the first row without its index entries, or entry without its row; those of
    /// [`Store::row`]. Meaningful while nobody writes.
    pub fn verify<K, V>(&self, table: &Table<K, V>) -> Result<u64, Error>
    where
        K: Key,
        V: Serialize + DeserializeOwned,
    {
        let name = table.name();
        self.settled(|tree| {
            let (mut rows, mut expected, mut found) = (0, 0_u64, 0_u64);
            let base = layout::rows(name);
            for row in tree.scan_prefix(&base) {
                let (key, stored) = row?;
                let key = &key[base.len()..];
                table.read_key(key)?;
                let (_, value) =
                    layout::version(&stored).ok_or_else(|| unreadable(name, "a row without a version"))?;
                for Entry { index, key: index_key } in Rows::entries(table, value)? {
                    expected += 1;
                    if !tree.contains_key(layout::entry(name, index, &index_key, key))? {
                        return Err(unreadable(name, "a row without its index entry").into());
                    }
                }
                rows += 1;
            }
            let entries = [&[3], name.as_bytes(), &[0]].concat();
            for entry in tree.scan_prefix(entries) {
                entry?;
                found += 1;
            }
            if found > expected {
                return Err(unreadable(name, "an index entry without its row").into());
            }
            Ok(rows)
        })
    }

    /// The bytes that the database takes on the disk.
    ///
    /// # Errors
    /// [`Error::Failed`] of the disk.
    pub fn size_on_disk(&self) -> Result<u64, Error> {
        self.settled(|tree| Ok(tree.size_on_disk()?))
    }

    fn page<K, V>(
        &self,
        base: &[u8],
        within: &Within,
        row: impl Fn(&sled::Db, &[u8], &[u8]) -> Result<Option<(K, Row<V>)>, Fault>,
    ) -> Result<Page<K, V>, Error> {
        let from = |rest: &[u8]| [base, rest].concat();
        let (mut low, mut high) = (
            from(&within.low),
            within.high.as_deref().map(from).or_else(|| key::after_prefix(base)).unwrap_or_default(),
        );
        match (&within.after, within.order) {
            (Some(Cursor(after)), Order::Rising) => low = low.max([&from(after), &[0][..]].concat()),
            (Some(Cursor(after)), Order::Falling) => high = high.min(from(after)),
            (None, _) => {}
        }
        let mut page = Page { rows: Vec::new(), next: None };
        if low >= high {
            return Ok(page);
        }
        self.settled(|tree| {
            let mut range = tree.range(low..high);
            let mut last = None;
            loop {
                let entry = match within.order {
                    Order::Rising => range.next(),
                    Order::Falling => range.next_back(),
                };
                let Some(entry) = entry else { return Ok(page) };
                let (key, stored) = entry?;
                if page.rows.len() == within.limit {
                    page.next = last;
                    return Ok(page);
                }
                let key = &key[base.len()..];
                page.rows.extend(row(tree, key, &stored)?);
                last = Some(Cursor(key.to_vec()));
            }
        })
    }

    fn settled<T>(&self, read: impl FnOnce(&sled::Db) -> Result<T, Fault>) -> Result<T, Error> {
        let answer = self.faced(read(&self.0.database.tree))?;
        self.0.database.progress.settle()?;
        Ok(answer)
    }

    fn faced<T>(&self, read: Result<T, Fault>) -> Result<T, Error> {
        read.map_err(|fault| match fault {
            Fault::Disk(error) => self.0.database.fail("read", &error),
            Fault::Row(error) => error,
        })
    }
}

/// The disk's failure ends the process; a row's does not.
enum Fault {
    Disk(sled::Error),
    Row(Error),
}

impl From<sled::Error> for Fault {
    fn from(error: sled::Error) -> Self {
        Self::Disk(error)
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self::Row(error)
    }
}

fn read<K, V>(table: &Table<K, V>, stored: &[u8]) -> Result<Row<V>, Error>
where
    K: Key,
    V: Serialize + DeserializeOwned,
{
    let (version, value) =
        layout::version(stored).ok_or_else(|| unreadable(table.name(), "a row without a version"))?;
    Ok(Row { version, value: table.read(value)? })
}

fn unreadable(table: &'static str, reason: &str) -> Error {
    Error::Unreadable { table, reason: reason.into() }
}
