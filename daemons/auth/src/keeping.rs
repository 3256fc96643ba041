//! The accounts on disk.

use crate::{error::Error, sealing::Sealing, secrets};
use auth_core::{Account, Change, Factor, Recovery, Session, SetUp, Snapshot};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::{collections::BTreeMap, path::PathBuf};
use store::{Batch, BatchId, Expect, Key, Options, Outcome, Pending, Schema, Store, Table, Within};
use types::{Boot, PersonId, Uid};

static ACCOUNTS: Table<PersonId, Account> = Table::new("accounts", &[]);
/// Second factors, sealed.
static FACTORS: Table<PersonId, String> = Table::new("factors", &[]);
static SESSIONS: Table<Uid, KeptSession> = Table::new("sessions", &[]);
static RECOVERIES: Table<PersonId, Recovery> = Table::new("recoveries", &[]);
static HOUSE: Table<String, SetUp> = Table::new("house", &[]);
/// The one row of [`HOUSE`].
const SET_UP: &str = "set-up";
static SCHEMA: Schema = Schema { name: "auth", version: 1, upgrades: &[] };

/// A session with the boot in which its moments hold.
#[derive(Serialize, Deserialize)]
struct KeptSession {
    boot: Boot,
    session: Session,
}

/// The open store.
pub struct Keeping {
    store: Store,
    boot: Boot,
    sealing: Sealing,
}

/// What the store brought back; before the first start no word on set-up.
pub struct Kept {
    /// Whether the officers have been named.
    pub set_up: Option<SetUp>,
    accounts: Vec<Account>,
    sessions: Vec<Session>,
    recoveries: Vec<Recovery>,
}

impl Kept {
    /// The whole, with this word on set-up.
    pub fn with(self, set_up: SetUp) -> Snapshot {
        let Self { set_up: _, accounts, sessions, recoveries } = self;
        Snapshot { set_up, accounts, sessions, recoveries }
    }
}

impl Keeping {
    /// Opens the store in this directory and reads all of it. Sessions of another boot are forgotten.
    ///
    /// # Errors
    /// The store's; a second factor that this key does not open.
    pub async fn open(directory: PathBuf, boot: Boot, sealing: Sealing) -> Result<(Self, Kept), Error> {
        let store = Store::open(&SCHEMA, Options::of(directory))?;
        let (now, before): (Vec<_>, Vec<_>) =
            rows(&store, &SESSIONS)?.into_iter().partition(|(_, kept)| kept.boot == boot);
        let mut accounts: Vec<Account> =
            rows(&store, &ACCOUNTS)?.into_iter().map(|(_, account)| account).collect();
        let mut factors: BTreeMap<PersonId, String> = rows(&store, &FACTORS)?.into_iter().collect();
        for account in &mut accounts {
            if let Some(row) = factors.remove(&account.person) {
                account.factor = sealing.open(&account.person, &row)?;
            }
        }
        let kept = Kept {
            set_up: store.row(&HOUSE, &SET_UP.to_owned())?.map(|row| row.value),
            accounts,
            sessions: now.into_iter().map(|(_, kept)| kept.session).collect(),
            recoveries: rows(&store, &RECOVERIES)?.into_iter().map(|(_, recovery)| recovery).collect(),
        };
        let keeping = Self { store, boot, sealing };
        for over in before.chunks(100) {
            let mut batch = Batch::new(BatchId(secrets::uid()?));
            for (id, _) in over {
                batch = batch.remove(&SESSIONS, id, Expect::Anything)?;
            }
            durable(keeping.store.submit(batch)?).await?;
        }
        Ok((keeping, kept))
    }

    /// Makes the changes durable, wholly or not at all.
    ///
    /// # Errors
    /// The store's; the process ends where the disk failed.
    pub async fn keep(&self, changes: &[Change]) -> Result<(), Error> {
        match self.submit(changes)? {
            Some(pending) => durable(pending).await,
            None => Ok(()),
        }
    }

    /// Has the changes made durable in their time: for the signs of a person, whose loss costs one log-in.
    ///
    /// # Errors
    /// The store does not take them.
    pub fn keep_in_time(&self, changes: &[Change]) -> Result<(), Error> {
        // The batch happens all the same.
        self.submit(changes).map(drop)
    }

    fn submit(&self, changes: &[Change]) -> Result<Option<Pending<Outcome>>, Error> {
        let empty = Batch::new(BatchId(secrets::uid()?));
        let mut kept =
            changes.iter().filter(|change| !matches!(change, Change::Failure(..) | Change::SessionSeen(..)));
        if kept.clone().next().is_none() {
            return Ok(None);
        }
        let batch = kept.try_fold(empty, |batch, change| self.operation(batch, change))?;
        Ok(Some(self.store.submit(batch)?))
    }

    fn operation(&self, batch: Batch, change: &Change) -> Result<Batch, Error> {
        let any = Expect::Anything;
        Ok(match change {
            Change::SetUp(set_up) => batch.put(&HOUSE, &SET_UP.to_owned(), set_up, any)?,
            Change::Account(account) => {
                let batch = batch.put(&ACCOUNTS, &account.person, account, any)?;
                match &account.factor {
                    Factor::None => batch.remove(&FACTORS, &account.person, any)?,
                    factor => {
                        let row = self.sealing.seal(&account.person, factor)?;
                        batch.put(&FACTORS, &account.person, &row, any)?
                    }
                }
            }
            Change::Session(session) => {
                let kept = KeptSession { boot: self.boot.clone(), session: session.clone() };
                batch.put(&SESSIONS, &session.id.0, &kept, any)?
            }
            Change::SessionEnded(id) => batch.remove(&SESSIONS, &id.0, any)?,
            Change::Recovery(recovery) => batch.put(&RECOVERIES, &recovery.subject, recovery, any)?,
            Change::RecoveryEnded(person) => batch.remove(&RECOVERIES, person, any)?,
            // In memory alone.
            Change::Failure(..) | Change::SessionSeen(..) => batch,
        })
    }
}

async fn durable(pending: Pending<Outcome>) -> Result<(), Error> {
    match pending.await? {
        Outcome::Committed(_) => Ok(()),
        refused => Err(Error::Refused(refused)),
    }
}

fn rows<K, V>(store: &Store, table: &'static Table<K, V>) -> Result<Vec<(K, V)>, Error>
where
    K: Key,
    V: Serialize + DeserializeOwned,
{
    let mut rows = Vec::new();
    let mut within = Within::all();
    loop {
        let page = store.scan(table, &within)?;
        rows.extend(page.rows.into_iter().map(|(key, row)| (key, row.value)));
        match page.next {
            Some(next) => within = Within::all().after(Some(next)),
            None => return Ok(rows),
        }
    }
}
