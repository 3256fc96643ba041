//! The one place where the log touches a disk: a flat folder of named files.
//!
//! Everything above reasons about these seven acts, so a test puts a disk beneath that loses power at any
//! byte. What an implementation must promise: after [`Disk::sync`] returns, what [`Disk::write`] and
//! [`Disk::truncate`] did to that file survives a loss of power; [`Disk::replace`] happens wholly or not at
//! all and survives when it returns.

use nix::fcntl::{Flock, FlockArg};
use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// Files by name.
pub trait Disk: Send + Sync {
    /// The names of all files, in no order.
    fn names(&self) -> io::Result<Vec<String>>;
    /// The length of a file in bytes; `None` where there is no such file.
    fn length(&self, name: &str) -> io::Result<Option<u64>>;
    /// Fills `into` from `offset`; fewer bytes only at the end of the file.
    fn read(&self, name: &str, offset: u64, into: &mut [u8]) -> io::Result<usize>;
    /// Writes all of `bytes` at `offset`, making the file where there is none.
    fn write(&self, name: &str, offset: u64, bytes: &[u8]) -> io::Result<()>;
    /// Cuts a file to `length`.
    fn truncate(&self, name: &str, length: u64) -> io::Result<()>;
    /// fdatasync(2).
    fn sync(&self, name: &str) -> io::Result<()>;
    /// Puts a file with these bytes in the place of any file of that name.
    fn replace(&self, name: &str, bytes: &[u8]) -> io::Result<()>;
}

/// A folder of the file system, held by one writer at a time.
pub struct Folder {
    path: PathBuf,
    /// Held as long as the writer lives; `None` for a reader.
    lock: Option<Flock<File>>,
    open: Mutex<HashMap<String, Arc<File>>>,
}

impl Folder {
    /// Opens the folder for its one writer and makes it where there is none, for the owner's eyes only. Fails
    /// where another process writes.
    pub fn open(path: &Path) -> io::Result<Self> {
        use std::os::unix::fs::DirBuilderExt;
        fs::DirBuilder::new().recursive(true).mode(0o750).create(path)?;
        // The folder itself must survive what its files survive.
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        File::open(parent.unwrap_or(Path::new(".")))?.sync_all()?;
        let lock = OpenOptions::new().write(true).create(true).truncate(false).open(path.join("lock"))?;
        let lock = Flock::lock(lock, FlockArg::LockExclusiveNonblock).map_err(|(_file, errno)| errno)?;
        Ok(Self { path: path.to_owned(), lock: Some(lock), open: Mutex::default() })
    }

    /// Opens the folder to read it; every other act is refused.
    pub fn read_only(path: &Path) -> io::Result<Self> {
        fs::read_dir(path)?;
        Ok(Self { path: path.to_owned(), lock: None, open: Mutex::default() })
    }

    fn file(&self, name: &str) -> io::Result<Arc<File>> {
        // A panic elsewhere leaves the map as whole as it was.
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(file) = open.get(name) {
            return Ok(Arc::clone(file));
        }
        let writes = self.lock.is_some();
        let file = OpenOptions::new()
            .read(true)
            .write(writes)
            .create(writes)
            .truncate(false)
            .mode(0o640)
            .open(self.path.join(name))?;
        let file = Arc::new(file);
        open.insert(name.to_owned(), Arc::clone(&file));
        Ok(file)
    }

    fn writable(&self) -> io::Result<()> {
        if self.lock.is_some() { Ok(()) } else { Err(io::ErrorKind::ReadOnlyFilesystem.into()) }
    }
}

impl Disk for Folder {
    fn names(&self) -> io::Result<Vec<String>> {
        fs::read_dir(&self.path)?.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
    }

    fn length(&self, name: &str) -> io::Result<Option<u64>> {
        match fs::metadata(self.path.join(name)) {
            Ok(metadata) => Ok(Some(metadata.len())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn read(&self, name: &str, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        let file = self.file(name)?;
        let mut filled = 0;
        while filled < into.len() {
            match file.read_at(&mut into[filled..], offset + filled as u64) {
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(filled)
    }

    fn write(&self, name: &str, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.writable()?;
        self.file(name)?.write_all_at(bytes, offset)
    }

    fn truncate(&self, name: &str, length: u64) -> io::Result<()> {
        self.writable()?;
        self.file(name)?.set_len(length)
    }

    fn sync(&self, name: &str) -> io::Result<()> {
        self.writable()?;
        self.file(name)?.sync_data()
    }

    fn replace(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        self.writable()?;
        let new = self.path.join(format!("{name}.new"));
        let mut options = OpenOptions::new();
        let file = options.write(true).create(true).truncate(true).mode(0o640).open(&new)?;
        file.write_all_at(bytes, 0)?;
        file.sync_all()?;
        fs::rename(&new, self.path.join(name))?;
        self.open.lock().unwrap_or_else(PoisonError::into_inner).remove(name);
        File::open(&self.path)?.sync_all()
    }
}
