//! What one request does within the group's transaction. Everything is read and checked before the first
//! write, so a refused request leaves nothing but the memory of its refusal.

use super::{Tenure, layout};
use crate::{
    Batch, BatchId, Change, Changed, Claim, Error, Generation, Key, Lease, LeaseName, Outcome, Position,
    Version,
    batch::{Effect, NIL, Operation},
    table,
};
use mutant::mutant;
use sled::transaction::{TransactionalTree, UnabortableTransactionError as Fault};
use std::collections::BTreeSet;
use types::Utc;

/// One group's transaction with the log's two ends, which move with every batch.
pub(super) struct Group<'t> {
    pub(super) tree: &'t TransactionalTree,
    /// The last batch in the log.
    pub(super) position: Position,
    /// The last batch that fell off the log.
    pub(super) kept: Position,
    /// How many batches the log keeps.
    pub(super) retain: u64,
}

/// The outer failure is the disk's, the inner one the request's own.
type Decided<T> = Result<Result<T, Error>, Fault>;

impl Group<'_> {
    /// Decides a batch: the outcome that was decided before under its id, or now.
    pub(super) fn batch(&mut self, batch: &Batch) -> Decided<Outcome> {
        let fingerprint = batch.fingerprint();
        match self.remembered(batch.id)? {
            Err(error) => return Ok(Err(error)),
            Ok(Some(entry)) if entry.fingerprint == fingerprint => return Ok(Ok(entry.outcome)),
            Ok(Some(_)) => return Ok(Err(Error::IdReused(batch.id))),
            Ok(None) => {}
        }
        let position = Position(self.position.0 + 1);
        let replaced = match self.check(batch)? {
            Err(Refusal::Unreadable(error)) => return Ok(Err(error)),
            Err(Refusal::Outcome(outcome)) => {
                self.remember(position, batch.id, fingerprint, outcome, Vec::new())?;
                return Ok(Ok(outcome));
            }
            Ok(replaced) => replaced,
        };
        let mut changes = Vec::new();
        for (operation, replaced) in batch.operations.iter().zip(replaced) {
            changes.extend(self.write(operation, &replaced, Version(position.0))?);
        }
        let outcome = Outcome::Committed(position);
        self.remember(position, batch.id, fingerprint, outcome, changes)?;
        Ok(Ok(outcome))
    }

    /// Claims, renews or releases a lease.
    pub(super) fn lease(&mut self, tenure: &Tenure) -> Decided<Claim> {
        let (name, present) = match tenure {
            Tenure::Claim { name, .. } | Tenure::Renew { name, .. } | Tenure::Release { name, .. } => {
                match self.present(name)? {
                    Ok(present) => (name, present),
                    Err(error) => return Ok(Err(error)),
                }
            }
        };
        let granted = match (tenure, present) {
            (Tenure::Claim { holder, now, .. }, Some(present))
                if present.until > *now && present.holder != *holder =>
            {
                return Ok(Ok(Claim::Held(present)));
            }
            (Tenure::Claim { holder, until, .. }, present) => {
                let last = present.map_or(0, |present| present.generation.0);
                let (holder, generation) = (holder.clone(), Generation(last + 1));
                Lease { name: name.clone(), holder, until: *until, generation }
            }
            (Tenure::Renew { generation, .. } | Tenure::Release { generation, .. }, Some(present))
                if present.generation != *generation =>
            {
                return Ok(Ok(Claim::Held(present)));
            }
            (Tenure::Renew { until, .. }, Some(present)) => Lease { until: *until, ..present },
            (Tenure::Release { generation, .. }, Some(present)) => {
                Lease { until: Utc(i64::MIN), generation: Generation(generation.0 + 1), ..present }
            }
            (Tenure::Renew { .. } | Tenure::Release { .. }, None) => {
                return Ok(Err(Error::Batch("it is under a lease that was never granted")));
            }
        };
        match serde_json::to_vec(&granted) {
            Ok(bytes) => self.tree.insert(layout::lease(name), bytes)?,
            Err(error) => {
                return Ok(Err(Error::Value { table: "leases", reason: error.to_string().into() }));
            }
        };
        Ok(Ok(Claim::Granted(granted)))
    }

    /// The entry of an earlier batch with this id.
    fn remembered(&self, id: BatchId) -> Decided<Option<layout::Entry>> {
        if id == NIL || mutant("store-forget-idempotency") {
            return Ok(Ok(None));
        }
        let Some(position) = self.tree.get(layout::id(id))? else { return Ok(Ok(None)) };
        let key = [layout::LOG.as_slice(), &position].concat();
        let entry = self.tree.get(key)?.and_then(|bytes| layout::Entry::decode(&mut &bytes[..]));
        Ok(entry.map(Some).ok_or_else(|| unreadable("the log", "an id without its batch")))
    }

    /// The index entries of every row that the batch replaces, where all that it expects holds.
    fn check(&self, batch: &Batch) -> Result<Result<Vec<Entries>, Refusal>, Fault> {
        if let Some(lease) = &batch.lease
            && !mutant("lease-no-fencing")
        {
            match self.present(&lease.name)? {
                Err(error) => return Ok(Err(Refusal::Unreadable(error))),
                Ok(present) => {
                    let current = present.map_or(Generation(0), |present| present.generation);
                    if current != lease.generation {
                        return Ok(Err(Refusal::Outcome(Outcome::Fenced { current })));
                    }
                }
            }
        }
        let mut replaced = Vec::new();
        for (at, operation) in batch.operations.iter().enumerate() {
            let stored = self.tree.get(layout::row(operation.table.name(), &operation.key))?;
            let row = stored.as_deref().map(layout::version);
            let found = match row {
                None => None,
                Some(Some((version, _))) => Some(version),
                Some(None) => {
                    let error = unreadable(operation.table.name(), "a row without a version");
                    return Ok(Err(Refusal::Unreadable(error)));
                }
            };
            if !operation.expect.holds(found) {
                // A batch has at most 256 operations.
                return Ok(Err(Refusal::Outcome(Outcome::Conflict { operation: at as u16, found })));
            }
            let entries = row.flatten().map(|(_, value)| operation.table.entries(value)).transpose();
            match entries {
                Ok(entries) => {
                    replaced.push(Entries { there: found.is_some(), entries: entries.unwrap_or_default() })
                }
                Err(error) => return Ok(Err(Refusal::Unreadable(error))),
            }
        }
        Ok(Ok(replaced))
    }

    fn write(&self, operation: &Operation, old: &Entries, version: Version) -> Result<Option<Change>, Fault> {
        let (table, key) = (operation.table.name(), &operation.key);
        let none = BTreeSet::new();
        let (new, changed) = match &operation.effect {
            Effect::Nothing => return Ok(None),
            Effect::Remove if !old.there => return Ok(None),
            Effect::Remove => {
                self.tree.remove(layout::row(table, key))?;
                (&none, Changed::Removed)
            }
            Effect::Put { value, entries } => {
                self.tree.insert(layout::row(table, key), layout::versioned(version, value))?;
                (entries, Changed::Put)
            }
        };
        for gone in old.entries.difference(new) {
            self.tree.remove(layout::entry(table, gone.index, &gone.key, key))?;
        }
        for added in new.difference(&old.entries) {
            self.tree.insert(layout::entry(table, added.index, &added.key, key), &[])?;
        }
        Ok(Some(Change { table: table.to_owned(), key: key.clone(), changed }))
    }

    /// Appends to the log, and lets what is beyond its length fall off, a few at a time.
    fn remember(
        &mut self,
        position: Position,
        id: BatchId,
        fingerprint: u64,
        outcome: Outcome,
        changes: Vec<Change>,
    ) -> Result<(), Fault> {
        let entry = layout::Entry { id, fingerprint, outcome, changes };
        self.tree.insert(layout::log(position), entry.bytes())?;
        if id != NIL {
            self.tree.insert(layout::id(id), &position.0.to_be_bytes())?;
        }
        self.position = position;
        for _ in 0..4 {
            if self.kept.0 + self.retain >= position.0 {
                break;
            }
            let oldest = Position(self.kept.0 + 1);
            if let Some(bytes) = self.tree.remove(layout::log(oldest))?
                && let Some(entry) = layout::Entry::decode(&mut &bytes[..])
            {
                self.tree.remove(layout::id(entry.id))?;
            }
            self.kept = oldest;
        }
        Ok(())
    }

    fn present(&self, name: &LeaseName) -> Decided<Option<Lease>> {
        let stored = self.tree.get(layout::lease(name))?;
        let lease = stored.map(|bytes| serde_json::from_slice(&bytes)).transpose();
        Ok(lease.map_err(|error| unreadable("leases", &error.to_string())))
    }
}

/// Whether there was a row, and the index entries it had.
struct Entries {
    there: bool,
    entries: BTreeSet<table::Entry>,
}

/// Why a batch is not written.
enum Refusal {
    Outcome(Outcome),
    Unreadable(Error),
}

fn unreadable(table: &'static str, reason: &str) -> Error {
    Error::Unreadable { table, reason: reason.into() }
}
