//! Copies of a call's messages for a person who may see them, as they are on the wire but for credentials.
//!
//! Never holds a message up: what nobody takes in time is dropped and counted.

use route_api::{
    Captured, Route,
    capture::{Captures, Copying},
};
use service::{Client, clock};
use sip_core::{Core, Flow, message::blanked};
use std::{net::SocketAddr, os::fd::OwnedFd, time::Duration};
use tokio::sync::mpsc;
use types::{CaptureId, Monotonic};

/// How long route may take to hear of a capture.
const PATIENCE: Duration = Duration::from_secs(5);

/// What is copied, and how route hears of it.
pub struct Copies {
    captures: Captures,
    /// Our addresses, by listener.
    ours: Vec<SocketAddr>,
    down: mpsc::Sender<(CaptureId, OwnedFd)>,
}

impl Copies {
    /// No copies yet. `ours` are the addresses of the sockets.
    pub fn new(route: Client<Route>, ours: Vec<SocketAddr>) -> Self {
        let (down, mut made) = mpsc::channel::<(CaptureId, OwnedFd)>(16);
        tokio::spawn(async move {
            while let Some((capture, descriptor)) = made.recv().await {
                if let Err(error) = route.call_with(Captured { capture }, vec![descriptor], PATIENCE).await {
                    tracing::warn!(%capture, %error, "route did not take a capture");
                }
            }
        });
        Self { captures: Captures::default(), ours, down }
    }

    /// Begins a capture, or adds legs to it.
    pub fn begin(&mut self, copying: Copying) {
        let capture = copying.capture;
        if let Some(theirs) = self.captures.begin(clock::monotonic(), copying)
            && self.down.try_send((capture, theirs)).is_err()
        {
            tracing::warn!(%capture, "too many captures begin at once: this one does not");
        }
    }

    /// A datagram came, and was handled.
    pub fn received(&mut self, core: &Core, flow: Flow, bytes: &[u8]) {
        let Some(ours) = self.watched(flow) else { return };
        self.copy(core, (flow.remote, ours), bytes);
    }

    /// A datagram went.
    pub fn sent(&mut self, core: &Core, flow: Flow, bytes: &[u8]) {
        let Some(ours) = self.watched(flow) else { return };
        self.copy(core, (ours, flow.remote), bytes);
    }

    /// Ends those whose time is over.
    pub fn expire(&mut self) {
        self.captures.expire(clock::monotonic());
    }

    /// When the next one ends by itself.
    pub fn next_end(&self) -> Option<Monotonic> {
        self.captures.next_end()
    }

    /// Our address, where anything is copied at all.
    fn watched(&self, flow: Flow) -> Option<SocketAddr> {
        if self.captures.is_empty() { None } else { self.ours.get(usize::from(flow.listener)).copied() }
    }

    fn copy(&mut self, core: &Core, way: (SocketAddr, SocketAddr), bytes: &[u8]) {
        if let Some(leg) = core.leg_of(bytes).filter(|leg| self.captures.wants(*leg)) {
            self.captures.copy(leg, clock::utc(), way, &blanked(bytes), bytes.len());
        }
    }
}
