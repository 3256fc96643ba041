//! A disk whose power can be cut: ext4 in a file, mounted by a loop device.

use nix::sys::statvfs::statvfs;
use std::{
    fs::File,
    io,
    os::fd::AsRawFd,
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::Duration,
};
use tempfile::TempDir;

nix::ioctl_read!(
    /// `EXT4_IOC_SHUTDOWN` (Linux, fs/ext4/ext4.h): `_IOR('X', 125, __u32)`.
    ext4_shutdown, b'X', 125, u32
);

nix::ioctl_readwrite!(
    /// `FIFREEZE` (Linux, linux/fs.h): `_IOWR('X', 119, int)`.
    freeze, b'X', 119, i32
);
nix::ioctl_readwrite!(
    /// `FITHAW` (Linux, linux/fs.h): `_IOWR('X', 120, int)`.
    thaw, b'X', 120, i32
);

/// `EXT4_GOING_FLAGS_NOLOGFLUSH`: what the journal has not yet committed is lost, as when the power goes.
const NO_LOG_FLUSH: u32 = 2;

/// Mounted until it is dropped; then nothing of it is left.
pub struct Disk {
    directory: TempDir,
    mounted: bool,
}

impl Disk {
    /// A new file system of so many MiB, mounted.
    ///
    /// # Errors
    /// When this process is not root, or the machine has no loop device or no ext4.
    pub fn new(mebibytes: u64) -> io::Result<Self> {
        let directory = tempfile::Builder::new().prefix("power-cut-").tempdir()?;
        let mut disk = Self { directory, mounted: false };
        File::create(disk.image())?.set_len(mebibytes << 20)?;
        std::fs::create_dir(disk.root())?;
        run(Command::new("mkfs.ext4").args(["-q", "-F", "-m", "0"]).arg(disk.image()))?;
        disk.mount()?;
        Ok(disk)
    }

    /// Where it is mounted.
    pub fn root(&self) -> PathBuf {
        self.directory.path().join("root")
    }

    /// Cuts the power: nothing reaches the disk any more, and what the journal held back is lost.
    ///
    /// # Errors
    /// Those of the call.
    pub fn cut(&self) -> io::Result<()> {
        let root = File::open(self.root())?;
        let mut how = NO_LOG_FLUSH;
        // SAFETY: the descriptor is open for the length of the call, and the kernel reads four bytes behind
        // the pointer, which are `how`.
        unsafe { ext4_shutdown(root.as_raw_fd(), &raw mut how) }?;
        Ok(())
    }

    /// Holds every write, sync and new file from now on, as a disk does that has stalled; reading goes on.
    ///
    /// # Errors
    /// Those of the call.
    pub fn freeze(&self) -> io::Result<()> {
        let root = File::open(self.root())?;
        // SAFETY: the descriptor is open for the length of the call; the kernel does not look at the pointer.
        unsafe { freeze(root.as_raw_fd(), std::ptr::null_mut()) }?;
        Ok(())
    }

    /// Lets go what was held.
    ///
    /// # Errors
    /// Those of the call.
    pub fn thaw(&self) -> io::Result<()> {
        let root = File::open(self.root())?;
        // SAFETY: as above.
        unsafe { thaw(root.as_raw_fd(), std::ptr::null_mut()) }?;
        Ok(())
    }

    /// Fills it up to so many free MiB, with a file that is to be removed again.
    ///
    /// # Errors
    /// Those of the file.
    pub fn fill(&self, left: u64) -> io::Result<PathBuf> {
        let path = self.root().join("ballast");
        let disk = statvfs(&self.root())?;
        let free = disk.blocks_available() * disk.fragment_size();
        let file = File::create(&path)?;
        let length = i64::try_from(free.saturating_sub(left << 20)).unwrap_or(i64::MAX);
        match nix::fcntl::posix_fallocate(&file, 0, length) {
            // Others write too; then it is as full as it can be.
            Ok(()) | Err(nix::errno::Errno::ENOSPC) => Ok(path),
            Err(error) => Err(error.into()),
        }
    }

    /// Gives the power back: the journal is replayed and the file system mounted again. All files must be
    /// closed.
    ///
    /// # Errors
    /// Those of `umount` and `mount`.
    pub fn restore(&mut self) -> io::Result<()> {
        self.unmount()?;
        self.mount()
    }

    fn mount(&mut self) -> io::Result<()> {
        run(Command::new("mount").args(["-t", "ext4", "-o", "loop"]).arg(self.image()).arg(self.root()))?;
        self.mounted = true;
        Ok(())
    }

    /// The loop device goes with the mount.
    fn unmount(&mut self) -> io::Result<()> {
        let mut tries = 0;
        while let Err(error) = run(Command::new("umount").arg(self.root())) {
            // A process that was just killed holds its files for a moment more.
            tries += 1;
            if tries == 20 {
                return Err(error);
            }
            thread::sleep(Duration::from_millis(50));
        }
        self.mounted = false;
        Ok(())
    }

    fn image(&self) -> PathBuf {
        self.directory.path().join("image")
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // A frozen one cannot be unmounted; most are not.
        let _not_frozen = self.thaw();
        if self.mounted && self.unmount().is_err() {
            // Detached now, freed by the kernel when the last file of it is closed.
            let _ = run(Command::new("umount").arg("--lazy").arg(self.root()));
        }
    }
}

fn run(command: &mut Command) -> io::Result<()> {
    let done = command.output()?;
    if done.status.success() {
        return Ok(());
    }
    let program = Path::new(command.get_program()).display();
    Err(io::Error::other(format!("{program}: {}", String::from_utf8_lossy(&done.stderr).trim())))
}
