//! What systemd is to a daemon: it keeps the descriptors that the daemon gives it, by name (sd_notify(3)).

use nix::{
    cmsg_space,
    sys::socket::{ControlMessageOwned, MsgFlags, recvmsg},
};
use std::{
    io::IoSliceMut,
    os::{
        fd::{AsRawFd, FromRawFd, OwnedFd, RawFd},
        unix::net::UnixDatagram,
    },
    path::Path,
    sync::{Arc, Mutex},
    thread,
};

/// Keeps descriptors over the lives of one daemon.
pub(crate) struct Supervisor(Arc<Mutex<Vec<(String, OwnedFd)>>>);

impl Supervisor {
    /// Listens at `path` from now on.
    pub(crate) fn at(path: &Path) -> Self {
        let socket = UnixDatagram::bind(path).unwrap();
        let kept: Arc<Mutex<Vec<(String, OwnedFd)>>> = Arc::default();
        let keeping = Arc::clone(&kept);
        thread::spawn(move || {
            while let Some((text, descriptors)) = notified(&socket) {
                let value = |key: &str| {
                    text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('=')).map(str::to_owned)
                };
                let Some(name) = value("FDNAME") else { continue };
                let mut kept = keeping.lock().unwrap();
                if value("FDSTOREREMOVE").is_some() {
                    kept.retain(|(known, _)| *known != name);
                } else {
                    kept.extend(descriptors.into_iter().map(|descriptor| (name.clone(), descriptor)));
                }
            }
        });
        Self(kept)
    }

    /// What it keeps.
    pub(crate) fn kept(&self) -> Vec<(String, OwnedFd)> {
        let kept = self.0.lock().unwrap();
        kept.iter().map(|(name, descriptor)| (name.clone(), descriptor.try_clone().unwrap())).collect()
    }
}

fn notified(socket: &UnixDatagram) -> Option<(String, Vec<OwnedFd>)> {
    let mut buffer = [0; 4096];
    let mut beside = cmsg_space!([RawFd; 8]);
    let mut pieces = [IoSliceMut::new(&mut buffer)];
    let flags = MsgFlags::MSG_CMSG_CLOEXEC;
    let message = recvmsg::<()>(socket.as_raw_fd(), &mut pieces, Some(&mut beside), flags).ok()?;
    let mut descriptors = Vec::new();
    for control in message.cmsgs().ok()? {
        if let ControlMessageOwned::ScmRights(raw) = control {
            // SAFETY: the kernel has just made these descriptors for this process alone.
            descriptors.extend(raw.into_iter().map(|raw| unsafe { OwnedFd::from_raw_fd(raw) }));
        }
    }
    let length = message.bytes;
    Some((String::from_utf8_lossy(&buffer[..length]).into_owned(), descriptors))
}
