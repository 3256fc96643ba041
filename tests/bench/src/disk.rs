//! The disk that is measured, and what it can do by itself.

use crate::Failure;
use std::{
    env, fs,
    fs::File,
    io::Write,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

/// A new folder on the disk that is meant: below `BENCH_DISK`, else beside the build. (The temporary
/// directory of many machines is memory.)
///
/// # Errors
/// It cannot be made.
pub fn folder() -> Result<tempfile::TempDir, Failure> {
    let above = env::var_os("BENCH_DISK").map_or_else(beside_the_build, |disk| Ok(PathBuf::from(disk)))?;
    fs::create_dir_all(&above)?;
    Ok(tempfile::Builder::new().prefix("disk-").tempdir_in(above)?)
}

/// `target/bench`.
pub(crate) fn beside_the_build() -> Result<PathBuf, Failure> {
    let program = env::current_exe()?;
    Ok(program.ancestors().nth(2).ok_or("a program outside target/")?.join("bench"))
}

/// How often a second the disk makes one append durable, asked before and after what is compared with it.
pub struct Syncs {
    folder: PathBuf,
    before: f64,
}

impl Syncs {
    /// Asks the disk of this folder.
    ///
    /// # Errors
    /// The disk refused.
    pub fn before(folder: &Path) -> Result<Self, Failure> {
        Ok(Self { before: rate(folder)?, folder: folder.to_owned() })
    }

    /// The middle of before and now.
    ///
    /// # Errors
    /// The disk refused.
    pub fn after(&self) -> Result<f64, Failure> {
        Ok(f64::midpoint(self.before, rate(&self.folder)?))
    }
}

/// Appends of 512 bytes, each with its fdatasync, a second.
fn rate(folder: &Path) -> Result<f64, Failure> {
    let mut file = File::options().append(true).create(true).open(folder.join("syncs"))?;
    let (start, mut count) = (Instant::now(), 0);
    while start.elapsed() < Duration::from_millis(1500) {
        file.write_all(&[0x5a; 512])?;
        file.sync_data()?;
        count += 1;
    }
    Ok(f64::from(count) / start.elapsed().as_secs_f64())
}
