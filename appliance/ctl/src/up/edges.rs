//! One listening socket a (caller, callee) edge, bound before any daemon lives and open while it restarts:
//! a caller waits in the backlog instead of failing.

use super::Privileges;
use crate::{
    failure::Failure,
    home::{Home, owner},
};
use nix::{
    sys::stat::{Mode, umask},
    unistd::{Group, chown},
};
use std::{
    fs::{self, Permissions},
    io,
    os::{
        fd::OwnedFd,
        unix::{fs::PermissionsExt, net::UnixListener},
    },
    path::Path,
};

/// The group whose members may use `ym` where each daemon has its own user.
const OPERATORS: &str = "yanmen";

/// Every listening socket of `callee`, named `peer.CALLER`.
///
/// # Errors
/// A socket cannot be bound.
pub fn of(
    home: &Home,
    callee: &house::Daemon,
    privileges: Privileges,
) -> Result<Vec<(String, OwnedFd)>, Failure> {
    house::callers(callee.name)
        .map(|caller| {
            let path = home.socket(callee.name, caller.name);
            let attempt =
                listening(&path).map_err(|error| Failure::new(&format!("bind {}", path.display()), error))?;
            admit(&path, caller, privileges)?;
            Ok((format!("peer.{}", caller.name), attempt))
        })
        .collect()
}

fn listening(path: &Path) -> io::Result<OwnedFd> {
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory)?;
    }
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    // Nobody connects before the caller's user is known: this process has one thread.
    let before = umask(Mode::S_IRWXG | Mode::S_IRWXO);
    let listening = UnixListener::bind(path);
    umask(before);
    listening.map(OwnedFd::from)
}

/// Lets the caller's user, and no other, connect.
fn admit(path: &Path, caller: &house::Daemon, privileges: Privileges) -> Result<(), Failure> {
    let (user, group, mode) = match privileges {
        Privileges::Single => (None, None, 0o600),
        Privileges::Separated if caller.runs() => (owner(caller, privileges)?, None, 0o600),
        Privileges::Separated => {
            let group = Group::from_name(OPERATORS).ok().flatten().map(|group| group.gid);
            (None, group, if group.is_some() { 0o660 } else { 0o600 })
        }
    };
    let attempt = || -> io::Result<()> {
        chown(path, user, group)?;
        fs::set_permissions(path, Permissions::from_mode(mode))
    };
    attempt().map_err(|error| Failure::new(&format!("give {} to {}", path.display(), caller.name), error))
}
