//! Who calls: the socket names the caller, the kernel names the uid, and both must agree.

use mutant::mutant;
use nix::unistd::{Uid, User};
use std::{collections::BTreeMap, io};
use tokio::net::UnixStream;

/// The caller of one connection, as the socket and the kernel name it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// The row of `configs/house.toml`.
    pub caller: &'static house::Daemon,
    /// Its uid at the moment of connecting (SO_PEERCRED, unix(7)).
    pub uid: u32,
    /// Its process id at that moment, where the kernel can say it in our namespace.
    pub pid: Option<i32>,
}

/// Whether each daemon has its own user.
#[derive(Clone, Debug)]
pub(crate) enum Privileges {
    /// Each has: the uid of each caller's user.
    Separated(BTreeMap<&'static str, u32>),
    /// All run as the one user who started the house.
    Single(u32),
}

impl Privileges {
    /// As the supervisor says in `YANMEN_PRIVILEGES`: `single`, or else separated.
    ///
    /// # Errors
    /// The user of a caller is missing.
    pub(crate) fn of_environment(callee: &str) -> Result<Self, String> {
        if std::env::var("YANMEN_PRIVILEGES").as_deref() == Ok("single") {
            return Ok(Self::Single(Uid::effective().as_raw()));
        }
        let mut uids = BTreeMap::new();
        for caller in house::callers(callee).filter(|caller| caller.runs()) {
            match User::from_name(&caller.user()) {
                Ok(Some(user)) => uids.insert(caller.name, user.uid.as_raw()),
                Ok(None) => return Err(format!("user {} is missing: run systemd-sysusers", caller.user())),
                Err(error) => return Err(format!("cannot look up user {}: {error}", caller.user())),
            };
        }
        Ok(Self::Separated(uids))
    }

    /// The peer behind a connection that came in on the socket of `caller`.
    ///
    /// # Errors
    /// `PermissionDenied` for a uid that is not the caller's.
    pub(crate) fn check(&self, stream: &UnixStream, caller: &'static house::Daemon) -> io::Result<Peer> {
        let credentials = stream.peer_cred()?;
        let expected = match self {
            Self::Single(uid) => Some(*uid),
            // The operator's program runs as whoever the socket's mode admits; people are told apart by
            // their assertions, not by their uid.
            Self::Separated(_) if !caller.runs() => None,
            Self::Separated(uids) => Some(*uids.get(caller.name).ok_or(io::ErrorKind::PermissionDenied)?),
        };
        let peer = Peer { caller, uid: credentials.uid(), pid: credentials.pid() };
        match expected {
            Some(uid) if uid != peer.uid && !mutant("peer-unchecked") => Err(io::Error::new(
                io::ErrorKind::PermissionDenied,
                format!("uid {} on the socket of {}, which is uid {uid}", peer.uid, caller.name),
            )),
            _ => Ok(peer),
        }
    }
}
