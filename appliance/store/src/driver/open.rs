//! Opening: who may, in which format, and by which steps an older format becomes the present one.

use super::{
    Database, Handle, Store,
    committer::{Committer, Request},
    layout::{self, Format, LAYOUT},
    progress::Progress,
};
use crate::{Error, Position, pending};
use mutant::mutant;
use std::{
    fmt::Display,
    fs::{self, File},
    path::{Path, PathBuf},
    sync::{Arc, mpsc},
    thread,
    time::{Duration, Instant},
};

/// What a daemon keeps, by name and version. The steps lead from every version that was ever shipped to
/// `version`, in rising order.
#[derive(Clone, Copy)]
pub struct Schema {
    /// Whose database it is: another daemon's is refused.
    pub name: &'static str,
    /// The version that this program reads and writes.
    pub version: u32,
    /// One step for each version after the first.
    pub upgrades: &'static [Upgrade],
}

/// One step of the format. The version is written, durably, after the step has ended: a step that was cut
/// off runs again from its start and must bear that.
#[derive(Clone, Copy)]
pub struct Upgrade {
    /// The version that the database has afterwards.
    pub to: u32,
    /// Rewrites rows in batches of [`crate::Batch::unnamed`].
    pub step: fn(&Store) -> Result<(), Error>,
}

/// How a database is opened.
pub struct Options {
    /// Its directory; made when it is not there.
    pub directory: PathBuf,
    /// sled's page cache, in bytes.
    pub cache: u64,
    /// How many requests may wait; one more is [`Error::Busy`].
    pub queue: usize,
    /// How long a request waits for others before they are made durable together; none where it is answered as soon as
    /// can be. A lone writer pays with that time for what a crowd saves: a commit each.
    pub gather: Duration,
    /// How many batches the feed and the memory of outcomes keep.
    pub retain: u64,
    /// What happens when the disk fails. The default writes one line to standard error and aborts. Another
    /// one must end the process too: it sees the failure once, and nothing is committed or read after it.
    pub on_failure: Box<dyn Fn(&Error) + Send + Sync>,
}

impl Options {
    /// 16 MiB of cache, 1,024 waiting requests, none of which waits for others, 65,536 batches in the feed, abort on
    /// failure.
    pub fn of(directory: impl Into<PathBuf>) -> Self {
        Self {
            directory: directory.into(),
            cache: 16 << 20,
            queue: 1024,
            gather: Duration::ZERO,
            retain: 65_536,
            on_failure: Box::new(|error| {
                eprintln!("{error}");
                std::process::abort()
            }),
        }
    }
}

/// How long a database that this process has just made may still be locked by it.
const LAST_BREATH: Duration = Duration::from_secs(5);

impl Store {
    /// Opens a database, makes it when there is none, upgrades it when it is older.
    ///
    /// # Errors
    /// [`Error::Open`] when the files cannot be opened or another process has them; [`Error::Foreign`] and
    /// [`Error::NoUpgrade`] when the format is not this program's; those of the upgrade steps.
    pub fn open(schema: &Schema, options: Options) -> Result<Self, Error> {
        let failed = |reason: &dyn Display| Error::Open {
            dir: options.directory.clone(),
            reason: reason.to_string().into(),
        };
        let directory = options.directory.join("sled");
        let made = !directory.try_exists().map_err(|error| failed(&error))?;
        if made {
            make(schema, &options).map_err(|error| failed(&error))?;
        }
        let mut tree = files(&options, &directory);
        // The threads of sled that made it hold its lock a moment longer than the handle that was dropped.
        let patience = Instant::now() + if made { LAST_BREATH } else { Duration::ZERO };
        while tree.is_err() && Instant::now() < patience {
            thread::sleep(Duration::from_millis(10));
            tree = files(&options, &directory);
        }
        let tree = tree.map_err(|error| failed(&error))?;
        let file = File::open(directory.join("db")).map_err(|error| failed(&error))?;
        Self::start(schema, options, tree, file)
    }

    /// Starts the committer over an open tree whose file is `file`.
    pub(super) fn start(
        schema: &Schema,
        options: Options,
        tree: sled::Db,
        file: File,
    ) -> Result<Self, Error> {
        let failed = |reason: &dyn Display| Error::Open {
            dir: options.directory.clone(),
            reason: reason.to_string().into(),
        };
        let (position, kept) = ends(&tree).map_err(|error| failed(&error))?;
        let format = format(&tree, schema)?;
        let (queue, requests) = mpsc::sync_channel(options.queue.max(1));
        let database = Arc::new(Database {
            tree,
            progress: Progress::at(position, kept),
            on_failure: options.on_failure,
        });
        let retain = options.retain.max(1);
        let committer = Committer {
            database: database.clone(),
            queue: requests,
            file,
            position,
            kept,
            retain,
            gather: options.gather,
        };
        let committer = thread::Builder::new()
            .name("store-commit".to_owned())
            .spawn(|| committer.run())
            .map_err(|error| Error::Failed(format!("start the committer: {error}").into()))?;
        let store = Self(Arc::new(Handle { database, queue: Some(queue), committer: Some(committer) }));
        store.upgrade(schema, format)?;
        Ok(store)
    }

    fn upgrade(&self, schema: &Schema, found: Format) -> Result<(), Error> {
        for version in found.version + 1..=schema.version {
            let upgrade = schema.upgrades.iter().find(|upgrade| upgrade.to == version);
            let upgrade = upgrade.ok_or(Error::NoUpgrade { schema: schema.name, to: version })?;
            (upgrade.step)(self)?;
            self.format(schema, version)?;
        }
        Ok(())
    }

    fn format(&self, schema: &Schema, version: u32) -> Result<(), Error> {
        let (answer, pending) = pending::pending();
        let format = Format { version, ..present(schema) };
        self.send(Request::Format(format, answer))?;
        pending.wait()
    }
}

/// The format that this program writes.
fn present(schema: &Schema) -> Format {
    Format { layout: LAYOUT, schema: schema.name.to_owned(), version: schema.version }
}

/// The format of the database: one that this program reads or upgrades.
fn format(tree: &sled::Db, schema: &Schema) -> Result<Format, Error> {
    let unreadable = |reason: String| Error::Unreadable { table: "format", reason: reason.into() };
    let stored = tree.get(layout::FORMAT).map_err(|error| unreadable(error.to_string()))?;
    let stored = stored.ok_or_else(|| unreadable("there is none".to_owned()))?;
    let format: Format = serde_json::from_slice(&stored).map_err(|error| unreadable(error.to_string()))?;
    let known = present(schema);
    if format.schema != known.schema || format.version > known.version || format.layout != known.layout {
        return Err(Error::Foreign { found: format.to_string(), known: known.to_string() });
    }
    Ok(format)
}

/// Makes an empty database under another name and gives it its own once it is durable, so that a first start
/// that was cut off is simply repeated.
fn make(schema: &Schema, options: &Options) -> Result<(), Box<dyn std::error::Error>> {
    let new = options.directory.join(if mutant("store-make-in-place") { "sled" } else { "sled.new" });
    fs::create_dir_all(&options.directory)?;
    if new.try_exists()? {
        fs::remove_dir_all(&new)?;
    }
    let tree = files(options, &new)?;
    tree.insert(layout::FORMAT, serde_json::to_vec(&present(schema))?)?;
    tree.flush()?;
    drop(tree);
    for file in fs::read_dir(&new)? {
        File::open(file?.path())?.sync_all()?;
    }
    File::open(&new)?.sync_all()?;
    fs::rename(&new, options.directory.join("sled"))?;
    File::open(&options.directory)?.sync_all()?;
    let above = fs::canonicalize(&options.directory)?;
    above.parent().map_or(Ok(()), |above| File::open(above)?.sync_all())?;
    Ok(())
}

/// sled's files in `directory`, with sled's own flusher off.
fn files(options: &Options, directory: &Path) -> Result<sled::Db, sled::Error> {
    sled::Config::new().path(directory).cache_capacity(options.cache).flush_every_ms(None).open()
}

/// The last position in the log and the last one that fell off it.
fn ends(tree: &sled::Db) -> Result<(Position, Position), sled::Error> {
    let end = |edge: Option<Result<(sled::IVec, sled::IVec), sled::Error>>| {
        edge.transpose().map(|edge| edge.and_then(|(key, _)| layout::position(&key)).unwrap_or_default())
    };
    let mut log = tree.scan_prefix(layout::LOG);
    let first = end(log.next())?;
    let last = end(tree.scan_prefix(layout::LOG).next_back())?;
    Ok((last, Position(first.0.saturating_sub(1))))
}
