//! A disk of its own under one daemon's folder.

use power_cut::Disk;
use std::{
    fs, io,
    path::{Path, PathBuf},
    process::Command,
};

/// A disk at `home/DAEMON` of a house that is yet to be started in `folder`. To be dropped after the house and before
/// the disk.
pub struct Mounted(PathBuf);

impl Mounted {
    /// Puts the disk there.
    ///
    /// # Errors
    /// This process is not root.
    pub fn at(folder: &Path, daemon: &str, disk: &Disk) -> io::Result<Self> {
        let place = folder.join("home").join(daemon);
        fs::create_dir_all(&place)?;
        let status = Command::new("mount").arg("--bind").arg(disk.root()).arg(&place).status()?;
        if !status.success() {
            return Err(io::Error::other("mount --bind failed"));
        }
        Ok(Self(place))
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _gone = Command::new("umount").arg("--lazy").arg(&self.0).status();
        // The folder could not be removed with the house, because this was in it.
        if let Some(folder) = self.0.ancestors().nth(2) {
            let _gone = fs::remove_dir_all(folder);
        }
    }
}
