//! The hold of one supervisor on a home: a lock that ends with its process, however it ends.
//!
//! It is an open file description lock (fcntl(2)) because others can ask for it without taking it: whoever looks
//! whether a house is up never stands in the way of one that starts.

use mutant::mutant;
use nix::{
    errno::Errno,
    fcntl::{FcntlArg, fcntl},
    libc,
};
use std::{fs::File, io, path::Path};

/// A home that is held. Dropped, it is free.
#[derive(Debug)]
#[must_use = "the hold ends when it is dropped"]
pub struct Hold(File);

impl Hold {
    /// Takes the hold, a file at this path; `None` where another process has it.
    ///
    /// # Errors
    /// The file cannot be made.
    pub fn take(path: &Path) -> io::Result<Option<Self>> {
        let file = File::create(path)?;
        match fcntl(&file, FcntlArg::F_OFD_SETLK(&whole(libc::F_WRLCK))) {
            Ok(_) => Ok(Some(Self(file))),
            Err(Errno::EAGAIN | Errno::EACCES) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Whether a process has the hold at this path.
    pub fn is_taken(path: &Path) -> bool {
        let Ok(file) = File::open(path) else { return false };
        if mutant("status-holds-the-home") {
            return fcntl(&file, FcntlArg::F_OFD_SETLK(&whole(libc::F_RDLCK))).is_err();
        }
        let mut found = whole(libc::F_RDLCK);
        fcntl(&file, FcntlArg::F_OFD_GETLK(&mut found)).is_ok() && i32::from(found.l_type) != libc::F_UNLCK
    }
}

impl Drop for Hold {
    /// The lock is let go by name: to close the file would not do while a child that was forked and has not yet called
    /// exec shares its description.
    fn drop(&mut self) {
        // What cannot be let go ends with the description.
        let _ = fcntl(&self.0, FcntlArg::F_OFD_SETLK(&whole(libc::F_UNLCK)));
    }
}

/// A lock of this kind on all of a file.
fn whole(kind: i32) -> libc::flock {
    // The constants are the C library's and fit in a short (fcntl(2)).
    let short = |number: i32| i16::try_from(number).unwrap_or_default();
    libc::flock { l_type: short(kind), l_whence: short(libc::SEEK_SET), l_start: 0, l_len: 0, l_pid: 0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        sync::atomic::{AtomicBool, Ordering},
        thread,
    };

    #[test]
    fn one_process_holds_a_home_and_its_end_frees_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("lock");
        assert!(!Hold::is_taken(&path), "nobody was here yet");
        let hold = Hold::take(&path).unwrap().unwrap();
        assert!(Hold::is_taken(&path) && Hold::take(&path).unwrap().is_none());
        drop(hold);
        assert!(!Hold::is_taken(&path) && Hold::take(&path).unwrap().is_some());
    }

    #[test]
    fn a_child_on_its_way_to_exec_does_not_prolong_a_hold() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("lock");
        let hold = Hold::take(&path).unwrap().unwrap();
        let inherited = hold.0.try_clone().unwrap();
        drop(hold);
        assert!(Hold::take(&path).unwrap().is_some(), "one description, shared as after fork(2), is let go");
        drop(inherited);
    }

    #[test]
    fn whoever_looks_refuses_nobody_the_start() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("lock");
        let (over, refused) = (AtomicBool::new(false), AtomicBool::new(false));
        thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    while !over.load(Ordering::Relaxed) {
                        Hold::is_taken(&path);
                    }
                });
            }
            for _ in 0..20_000 {
                if Hold::take(&path).unwrap().is_none() {
                    refused.store(true, Ordering::Relaxed);
                }
            }
            over.store(true, Ordering::Relaxed);
        });
        assert!(!refused.into_inner(), "a look at the house refused its start");
    }
}
