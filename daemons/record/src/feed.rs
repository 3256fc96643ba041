//! One feed: batches of tap frames from media, one a packet, until its end.

use crate::recorder::{Live, Recorder};
use record_api::tap::MAX_BATCH;
use std::{
    io,
    os::{fd::OwnedFd, unix::net::UnixDatagram as StdUnixDatagram},
    sync::Arc,
};
use tokio::net::UnixDatagram;
use types::RecordingId;

/// Reads the feed until media closes its end. Its bound is the socket's buffer, which media fills without
/// ever waiting.
///
/// # Errors
/// The descriptor is no socket.
pub fn start(
    recorder: Arc<Recorder>,
    recording: RecordingId,
    live: Arc<Live>,
    descriptor: OwnedFd,
) -> io::Result<()> {
    // A SOCK_SEQPACKET end: the calls are the same as a datagram socket's, and an empty read is its end.
    let socket = StdUnixDatagram::from(descriptor);
    socket.set_nonblocking(true)?;
    let socket = UnixDatagram::from_std(socket)?;
    live.feeds.send_modify(|feeds| *feeds += 1);
    tokio::spawn(async move {
        let mut batch = vec![0; MAX_BATCH];
        loop {
            match socket.recv(&mut batch).await {
                Ok(0) => break,
                Ok(length) => recorder.fed(recording, &live, &batch[..length]),
                Err(error) => {
                    tracing::warn!(%recording, %error, "a feed broke");
                    break;
                }
            }
        }
        live.feeds.send_modify(|feeds| *feeds -= 1);
    });
    Ok(())
}
