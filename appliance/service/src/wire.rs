//! Varlink's wire: JSON objects, each ended by a NUL, on a Unix stream socket; descriptors ride with the
//! first byte of the message that they belong to (unix(7), SCM_RIGHTS).

use mutant::mutant;
use nix::{
    cmsg_space,
    sys::socket::{ControlMessage, ControlMessageOwned, MsgFlags, recv, recvmsg, sendmsg},
};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::{
    borrow::Cow,
    ffi::CStr,
    io::{self, IoSlice, IoSliceMut},
    ops::Range,
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

/// What a read buffer holds at first; it grows to the longest message.
const ROOM: usize = 4 << 10;
/// No longer than this is a buffer kept for the next message.
const KEPT: usize = 64 << 10;

/// A call as it is sent (varlink.org, "Method Call").
#[derive(Debug, Serialize)]
pub(crate) struct Ask<'a, P> {
    pub method: &'a str,
    pub parameters: &'a P,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub more: bool,
}

/// A call as it comes.
#[derive(Debug, Deserialize)]
pub(crate) struct WireCall<'a> {
    #[serde(borrow)]
    pub method: Cow<'a, str>,
    #[serde(default, borrow)]
    pub parameters: Option<&'a RawValue>,
    #[serde(default)]
    pub more: bool,
    #[serde(default)]
    pub oneway: bool,
}

/// A reply as it crosses the wire (varlink.org, "Method Reply").
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct WireReply {
    #[serde(default)]
    pub parameters: Option<Box<RawValue>>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub continues: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// One connection with its buffers.
pub struct Connection {
    stream: UnixStream,
    /// What came and is not read out lies in `came` of it.
    received: Vec<u8>,
    came: Range<usize>,
    descriptors: Vec<OwnedFd>,
    control: Vec<u8>,
    outgoing: Vec<u8>,
}

impl Connection {
    /// Takes over a connected stream.
    pub fn new(stream: UnixStream) -> Self {
        Self {
            stream,
            received: Vec::new(),
            came: 0..0,
            descriptors: Vec::new(),
            control: Vec::new(),
            outgoing: Vec::new(),
        }
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
        loop {
            if let Some(message) = self.read_here() {
                return Ok(Some((message, std::mem::take(&mut self.descriptors))));
            }
            if self.came.len() > MAX_MESSAGE {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "message too long"));
            }
            if self.receive().await? == 0 {
                return match self.came.is_empty() {
                    true => Ok(None),
                    false => Err(io::Error::new(io::ErrorKind::InvalidData, "cut off inside a message")),
                };
            }
        }
    }

    /// The next message, where all of it has come already.
    pub(crate) fn read_here(&mut self) -> Option<Vec<u8>> {
        let came = self.received.get(self.came.clone())?;
        let message = CStr::from_bytes_until_nul(came).ok()?.to_bytes().to_vec();
        self.came.start += message.len() + 1;
        if self.came.is_empty() {
            self.came = 0..0;
            if self.received.len() > KEPT {
                self.received = Vec::new();
            }
        }
        Some(message)
    }

    /// Whether everything that came has been read out.
    pub(crate) fn is_drained(&self) -> bool {
        self.came.is_empty() && self.descriptors.is_empty()
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
        if self.came.end == self.received.len() {
            self.received.drain(..self.came.start);
            self.came = 0..self.came.len();
            let length = (2 * self.came.len()).max(ROOM);
            self.received.resize(length, 0);
        }
        if self.control.is_empty() {
            self.control = match mutant("descriptors-leaked") {
                true => cmsg_space!([RawFd; MAX_DESCRIPTORS]),
                false => cmsg_space!([RawFd; SENT_AT_ONCE]),
            };
            self.control.resize(self.control.capacity(), 0);
        }
        let descriptor = self.stream.as_raw_fd();
        let Self { stream, received, came, control, .. } = self;
        let room = received.get_mut(came.end..).unwrap_or_default();
        let most = room.len();
        let receive = || receive_once(descriptor, room, control);
        let (length, descriptors) = stream.async_io(Interest::READABLE, receive).await?;
        if length > 0 && length < most && descriptors.is_empty() {
            // The socket is empty: one that has descriptors to give stops before the end of what it has. The
            // runtime is told so, or it would ask the kernel in vain the next time.
            let empty = || Err::<(), _>(io::ErrorKind::WouldBlock.into());
            let _would_block = stream.try_io(Interest::READABLE, empty);
        }
        self.came.end += length;
        self.descriptors.extend(descriptors);
        if self.descriptors.len() > MAX_DESCRIPTORS {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "too many descriptors"));
        }
        Ok(length)
    }

    /// Writes one message, its NUL and its descriptors, after what is queued.
    ///
    /// # Errors
    /// The kernel's, and `FileTooLarge` for a message over the bound: nothing of it is written.
    pub async fn write(&mut self, message: &impl Serialize, descriptors: &[OwnedFd]) -> io::Result<()> {
        if !descriptors.is_empty() {
            // They ride with the first byte of their own message.
            self.flush().await?;
        }
        self.queue(message)?;
        self.send(descriptors).await
    }

    /// Takes one message to be written by [`Connection::flush`], together with others.
    ///
    /// # Errors
    /// `FileTooLarge` for a message over the bound: nothing of it is taken.
    pub(crate) fn queue(&mut self, message: &impl Serialize) -> io::Result<()> {
        let start = self.outgoing.len();
        let written = serde_json::to_writer(&mut self.outgoing, message);
        let length = self.outgoing.len() - start;
        if written.is_err() || length > MAX_MESSAGE && !mutant("message-unbounded") {
            self.outgoing.truncate(start);
            written?;
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.outgoing.push(0);
        Ok(())
    }

    /// How many bytes are queued.
    pub(crate) fn queued(&self) -> usize {
        self.outgoing.len()
    }

    /// Writes what is queued.
    ///
    /// # Errors
    /// The kernel's.
    pub(crate) async fn flush(&mut self) -> io::Result<()> {
        self.send(&[]).await
    }

    /// Writes what is queued; the descriptors ride with its first byte.
    ///
    /// # Errors
    /// The kernel's.
    pub(crate) async fn send(&mut self, descriptors: &[OwnedFd]) -> io::Result<()> {
        let raw: Vec<RawFd> = descriptors.iter().map(AsRawFd::as_raw_fd).collect();
        let socket = self.stream.as_raw_fd();
        let bytes = std::mem::take(&mut self.outgoing);
        let mut written = 0;
        while written < bytes.len() {
            let (rest, riding) = (&bytes[written..], if written == 0 { raw.as_slice() } else { &[] });
            written += self.stream.async_io(Interest::WRITABLE, || send_once(socket, rest, riding)).await?;
        }
        if bytes.capacity() <= KEPT {
            self.outgoing = bytes;
            self.outgoing.clear();
        }
        Ok(())
    }
}

fn receive_once(socket: RawFd, room: &mut [u8], control: &mut [u8]) -> io::Result<(usize, Vec<OwnedFd>)> {
    let mut slices = [IoSliceMut::new(room)];
    let message = recvmsg::<()>(socket, &mut slices, Some(control), MsgFlags::MSG_CMSG_CLOEXEC)?;
    let mut descriptors = Vec::new();
    for part in message.cmsgs()? {
        if let ControlMessageOwned::ScmRights(received) = part {
            for raw in received {
                // SAFETY: the kernel has just made this descriptor for us; nothing else owns it.
                descriptors.push(unsafe { OwnedFd::from_raw_fd(raw) });
            }
        }
    }
    Ok((message.bytes, descriptors))
}

fn send_once(socket: RawFd, bytes: &[u8], descriptors: &[RawFd]) -> io::Result<usize> {
    let rights = [ControlMessage::ScmRights(descriptors)];
    let control = if descriptors.is_empty() { &[] } else { &rights[..] };
    Ok(sendmsg::<()>(socket, &[IoSlice::new(bytes)], control, MsgFlags::MSG_NOSIGNAL, None)?)
}
