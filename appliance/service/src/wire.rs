//! Varlink's wire: JSON objects, each ended by a NUL, on a Unix stream socket; descriptors ride with the
//! first byte of the message that they belong to (unix(7), SCM_RIGHTS).

use mutant::mutant;
use nix::{
    cmsg_space,
    sys::socket::{ControlMessage, ControlMessageOwned, MsgFlags, recv, recvmsg, sendmsg},
};
use serde::{Deserialize, Serialize};
use std::{
    io::{self, IoSlice, IoSliceMut},
    os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd},
};
use tokio::{io::Interest, net::UnixStream};

/// The longest message, in bytes: longer ones end the connection.
pub const MAX_MESSAGE: usize = 1 << 20;
/// The most descriptors that one message carries.
pub const MAX_DESCRIPTORS: usize = 4;
/// The most that the kernel lets anyone send at once (SCM_MAX_FD): with room for fewer, those that came but
/// were cut off would stay open in this process, owned by nobody.
const SENT_AT_ONCE: usize = 253;

/// A call as it crosses the wire (varlink.org, "Method Call").
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct WireCall {
    pub method: String,
    #[serde(default)]
    pub parameters: serde_json::Value,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub more: bool,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub oneway: bool,
}

/// A reply as it crosses the wire (varlink.org, "Method Reply").
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct WireReply {
    #[serde(default)]
    pub parameters: serde_json::Value,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub continues: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// One connection with its read buffer.
pub struct Connection {
    stream: UnixStream,
    received: Vec<u8>,
    descriptors: Vec<OwnedFd>,
}

impl Connection {
    /// Takes over a connected stream.
    pub fn new(stream: UnixStream) -> Self {
        Self { stream, received: Vec::new(), descriptors: Vec::new() }
    }

    /// The stream beneath, for its peer credentials.
    pub(crate) fn stream(&self) -> &UnixStream {
        &self.stream
    }

    /// The next message without its NUL, with its descriptors; `None` at the end of the stream. Cancel-safe:
    /// what has been read stays in the buffer.
    ///
    /// # Errors
    /// The kernel's, and `InvalidData` for a message over the bounds or cut off in its middle.
    pub async fn read(&mut self) -> io::Result<Option<(Vec<u8>, Vec<OwnedFd>)>> {
        let mut searched = 0;
        loop {
            if let Some(at) = self.received[searched..].iter().position(|byte| *byte == 0) {
                let rest = self.received.split_off(searched + at + 1);
                let mut message = std::mem::replace(&mut self.received, rest);
                message.pop();
                return Ok(Some((message, std::mem::take(&mut self.descriptors))));
            }
            searched = self.received.len();
            if searched > MAX_MESSAGE {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "message too long"));
            }
            if self.receive().await? == 0 {
                return match searched {
                    0 => Ok(None),
                    _ => Err(io::Error::new(io::ErrorKind::InvalidData, "cut off inside a message")),
                };
            }
        }
    }

    /// Whether everything that came has been read out.
    pub(crate) fn is_drained(&self) -> bool {
        self.received.is_empty() && self.descriptors.is_empty()
    }

    /// Resolves when the far side has something to read, or has left.
    ///
    /// # Errors
    /// The kernel's.
    pub(crate) async fn readable(&self) -> io::Result<()> {
        let descriptor = self.stream.as_raw_fd();
        let peek = || Ok(recv(descriptor, &mut [0], MsgFlags::MSG_PEEK)?);
        self.stream.async_io(Interest::READABLE, peek).await.map(|_| ())
    }

    async fn receive(&mut self) -> io::Result<usize> {
        let descriptor = self.stream.as_raw_fd();
        let (bytes, descriptors) =
            self.stream.async_io(Interest::READABLE, || receive_once(descriptor)).await?;
        self.descriptors.extend(descriptors);
        if self.descriptors.len() > MAX_DESCRIPTORS {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "too many descriptors"));
        }
        self.received.extend_from_slice(&bytes);
        Ok(bytes.len())
    }

    /// Writes one message, its NUL and its descriptors.
    ///
    /// # Errors
    /// The kernel's, and `FileTooLarge` for a message over the bound: nothing of it is written.
    pub async fn write(&mut self, message: &impl Serialize, descriptors: &[OwnedFd]) -> io::Result<()> {
        let mut bytes = serde_json::to_vec(message)?;
        if bytes.len() > MAX_MESSAGE && !mutant("message-unbounded") {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        bytes.push(0);
        let raw: Vec<RawFd> = descriptors.iter().map(AsRawFd::as_raw_fd).collect();
        let socket = self.stream.as_raw_fd();
        let mut written = 0;
        while written < bytes.len() {
            let (rest, riding) = (&bytes[written..], if written == 0 { raw.as_slice() } else { &[] });
            written += self.stream.async_io(Interest::WRITABLE, || send_once(socket, rest, riding)).await?;
        }
        Ok(())
    }
}

fn receive_once(socket: RawFd) -> io::Result<(Vec<u8>, Vec<OwnedFd>)> {
    let mut bytes = vec![0; 16 << 10];
    let mut control = match mutant("descriptors-leaked") {
        true => cmsg_space!([RawFd; MAX_DESCRIPTORS]),
        false => cmsg_space!([RawFd; SENT_AT_ONCE]),
    };
    let mut slices = [IoSliceMut::new(&mut bytes)];
    let message = recvmsg::<()>(socket, &mut slices, Some(&mut control), MsgFlags::MSG_CMSG_CLOEXEC)?;
    let mut descriptors = Vec::new();
    for part in message.cmsgs()? {
        if let ControlMessageOwned::ScmRights(received) = part {
            for raw in received {
                // SAFETY: the kernel has just made this descriptor for us; nothing else owns it.
                descriptors.push(unsafe { OwnedFd::from_raw_fd(raw) });
            }
        }
    }
    let length = message.bytes;
    bytes.truncate(length);
    Ok((bytes, descriptors))
}

fn send_once(socket: RawFd, bytes: &[u8], descriptors: &[RawFd]) -> io::Result<usize> {
    let rights = [ControlMessage::ScmRights(descriptors)];
    let control = if descriptors.is_empty() { &[] } else { &rights[..] };
    Ok(sendmsg::<()>(socket, &[IoSlice::new(bytes)], control, MsgFlags::MSG_NOSIGNAL, None)?)
}
