//! One feed: batches of tap frames from media, one a packet, until its end.

use crate::recorder::{Live, Recorder};
use nix::sys::socket::{MsgFlags, SockType, getsockopt, recv, sockopt};
use record_api::tap::MAX_BATCH;
use std::{
    io,
    os::{
        fd::{AsRawFd, OwnedFd},
        unix::net::UnixDatagram as StdUnixDatagram,
    },
    sync::Arc,
};
use tokio::{io::Interest, net::UnixDatagram};
use types::RecordingId;

/// Reads the feed until media closes its end. Its bound is the socket's buffer, which media fills without
/// ever waiting.
///
/// # Errors
/// The descriptor is no SOCK_SEQPACKET socket.
pub fn start(
    recorder: Arc<Recorder>,
    recording: RecordingId,
    live: Arc<Live>,
    descriptor: OwnedFd,
) -> io::Result<()> {
    if getsockopt(&descriptor, sockopt::SockType)? != SockType::SeqPacket {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a SOCK_SEQPACKET socket"));
    }
    // The calls are the same as a datagram socket's, and an empty read is its end.
    let socket = StdUnixDatagram::from(descriptor);
    socket.set_nonblocking(true)?;
    let socket = UnixDatagram::from_std(socket)?;
    live.feeds.send_modify(|feeds| *feeds += 1);
    tokio::spawn(async move {
        let mut batch = vec![0; MAX_BATCH];
        let descriptor = socket.as_raw_fd();
        loop {
            // MSG_DONTWAIT, because O_NONBLOCK belongs to the open socket, of which media may hold a copy.
            let receive = || Ok(recv(descriptor, &mut batch, MsgFlags::MSG_DONTWAIT)?);
            match socket.async_io(Interest::READABLE, receive).await {
                Ok(0) => break,
                Ok(length) => {
                    if recorder.fed(recording, &live, &batch[..length]).is_break() {
                        break;
                    }
                }
                Err(error) => {
                    tracing::warn!(%recording, %error, "a feed broke");
                    break;
                }
            }
        }
        live.feeds.send_modify(|feeds| *feeds = feeds.saturating_sub(1));
    });
    Ok(())
}
