//! The supervisor's end of sd_notify(3): one abstract datagram socket a daemon, believed only from the
//! daemon's own process.

use nix::{
    cmsg_space,
    sys::socket::{ControlMessageOwned, MsgFlags, UnixCredentials, recvmsg, setsockopt, sockopt::PassCred},
};
use std::{
    io::{self, IoSliceMut},
    os::{
        fd::{AsRawFd, FromRawFd, OwnedFd, RawFd},
        linux::net::SocketAddrExt,
        unix::net::{SocketAddr, UnixDatagram as StdUnixDatagram},
    },
};
use tokio::{io::Interest, net::UnixDatagram};

/// The longest message taken (systemd's own bound).
const LONGEST: usize = 4096;
/// The most descriptors of one message (the kernel's SCM_MAX_FD).
const DESCRIPTORS: usize = 253;

/// Where one daemon says how it is.
pub struct NotifySocket {
    socket: UnixDatagram,
    address: String,
}

/// What a daemon said: `KEY=value` lines, and descriptors.
pub struct Notification {
    /// The process that said it.
    pub pid: i32,
    /// The lines.
    pub lines: Vec<(String, String)>,
    /// The descriptors.
    pub descriptors: Vec<OwnedFd>,
}

impl NotifySocket {
    /// A socket of its own for this daemon.
    ///
    /// # Errors
    /// The kernel's.
    pub fn new(daemon: &str) -> io::Result<Self> {
        let name = format!("yanmen/{}/{daemon}", std::process::id());
        let socket = StdUnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name)?)?;
        socket.set_nonblocking(true)?;
        setsockopt(&socket, PassCred, &true)?;
        Ok(Self { socket: UnixDatagram::from_std(socket)?, address: format!("@{name}") })
    }

    /// The value of `NOTIFY_SOCKET`.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The next message. Cancel-safe.
    ///
    /// # Errors
    /// The kernel's.
    pub async fn next(&self) -> io::Result<Notification> {
        let socket = self.socket.as_raw_fd();
        self.socket.async_io(Interest::READABLE, || receive(socket)).await
    }

    /// The next message that is there already.
    ///
    /// # Errors
    /// The kernel's.
    pub fn left(&self) -> io::Result<Option<Notification>> {
        match receive(self.socket.as_raw_fd()) {
            Ok(said) => Ok(Some(said)),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(error),
        }
    }
}

fn receive(socket: RawFd) -> io::Result<Notification> {
    let mut bytes = vec![0; LONGEST];
    let mut control = cmsg_space!(UnixCredentials, [RawFd; DESCRIPTORS]);
    let mut slices = [IoSliceMut::new(&mut bytes)];
    let message = recvmsg::<()>(socket, &mut slices, Some(&mut control), MsgFlags::MSG_CMSG_CLOEXEC)?;
    let length = message.bytes;
    let (mut pid, mut descriptors) = (0, Vec::new());
    for part in message.cmsgs()? {
        match part {
            ControlMessageOwned::ScmCredentials(credentials) => pid = credentials.pid(),
            ControlMessageOwned::ScmRights(received) => {
                for raw in received {
                    // SAFETY: the kernel has just made this descriptor for us; nothing else owns it.
                    descriptors.push(unsafe { OwnedFd::from_raw_fd(raw) });
                }
            }
            _ => {}
        }
    }
    let text = String::from_utf8_lossy(&bytes[..length]);
    let lines = text
        .lines()
        .filter_map(|line| line.split_once('='))
        .map(|(k, v)| (k.to_owned(), v.to_owned()))
        .collect();
    Ok(Notification { pid, lines, descriptors })
}
