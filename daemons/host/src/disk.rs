//! The few steps by which files are changed, as a port: a test lets the disk die at each of them.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, symlink};
use std::path::Path;

/// Steps after which a kill or a power cut may come.
pub trait Disk {
    /// Makes a file that only this user may read, with these bytes, and waits until the disk has them.
    fn write(&mut self, path: &Path, bytes: &[u8]) -> io::Result<()>;
    /// Makes a symbolic link.
    fn link(&mut self, target: &Path, path: &Path) -> io::Result<()>;
    /// Gives the file its name, in place of any file that had it.
    fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()>;
    /// Waits until the disk has the directory's names.
    fn sync_directory(&mut self, path: &Path) -> io::Result<()>;
    /// Takes the file away.
    fn remove(&mut self, path: &Path) -> io::Result<()>;

    /// Puts the bytes under the name at once and for good: after a kill there is the old file or the new one.
    fn put(&mut self, directory: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
        let unfinished = directory.join(format!("{name}{UNFINISHED}"));
        self.write(&unfinished, bytes)?;
        self.rename(&unfinished, &directory.join(name))?;
        self.sync_directory(directory)
    }

    /// Lets the name point to the target at once and for good.
    fn point(&mut self, directory: &Path, name: &str, target: &Path) -> io::Result<()> {
        let unfinished = directory.join(format!("{name}{UNFINISHED}"));
        self.link(target, &unfinished)?;
        self.rename(&unfinished, &directory.join(name))?;
        self.sync_directory(directory)
    }
}

/// How the name of a file ends that was not finished; whoever finds one may remove it.
pub const UNFINISHED: &str = ".unfinished";

/// The file system.
pub struct Files;

impl Disk for Files {
    fn write(&mut self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
        file.write_all(bytes)?;
        file.sync_all()
    }

    fn link(&mut self, target: &Path, path: &Path) -> io::Result<()> {
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => symlink(target, path),
        }
    }

    fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn sync_directory(&mut self, path: &Path) -> io::Result<()> {
        File::open(path)?.sync_all()
    }

    fn remove(&mut self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }
}
