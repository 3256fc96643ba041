//! Copies of a call's messages for a person who may see them: as they were said, but for credentials and keys.
//!
//! What came over TCP or TLS stands as one UDP datagram a message between the same two addresses: a stream's
//! segments and its encryption are not told. Never holds a message up: what nobody takes in time is dropped and
//! counted.

use route_api::{
    Captured, Route, Way,
    capture::{Captures, Copying},
};
use service::{Client, clock};
use sip_core::{Core, Flow, message::blanked};
use std::{net::SocketAddr, os::fd::OwnedFd, time::Duration};
use tokio::sync::mpsc;
use types::{LegId, Monotonic};

/// How long route may take to hear of a capture.
const PATIENCE: Duration = Duration::from_secs(5);

/// What is copied, and how route hears of it.
pub struct Copies {
    captures: Captures,
    /// Our addresses, by listener.
    ours: Vec<SocketAddr>,
    down: mpsc::Sender<(Copying, Option<OwnedFd>)>,
}

impl Copies {
    /// No copies yet. `ours` are the addresses of the sockets.
    pub fn new(route: Client<Route>, ours: Vec<SocketAddr>) -> Self {
        let (down, mut made) = mpsc::channel::<(Copying, Option<OwnedFd>)>(16);
        tokio::spawn(async move {
            while let Some((copying, descriptor)) = made.recv().await {
                let capture = copying.capture;
                let descriptors = descriptor.into_iter().collect();
                if let Err(error) = route.call_with(Captured { copying }, descriptors, PATIENCE).await {
                    tracing::warn!(%capture, %error, "route did not take a capture");
                }
            }
        });
        Self { captures: Captures::default(), ours, down }
    }

    /// Begins a capture, or adds legs to it.
    pub fn begin(&mut self, core: &mut Core, copying: Copying) {
        let begun = self.captures.begin(clock::monotonic(), copying.clone());
        core.watch(self.captures.legs());
        if let Some(theirs) = begun {
            self.tell(copying, Some(theirs));
        }
    }

    /// Tells a new life of route what goes on.
    pub fn again(&mut self) {
        for copying in self.captures.going(clock::monotonic()) {
            self.tell(copying, None);
        }
    }

    /// A message of a leg that is captured.
    pub fn copy(&mut self, leg: LegId, way: Way, flow: Flow, bytes: &[u8]) {
        let Some(ours) = self.ours.get(usize::from(flow.listener)).copied() else { return };
        let ends = match way {
            Way::Received => (flow.remote, ours),
            Way::Sent => (ours, flow.remote),
        };
        self.captures.copy(leg, clock::utc(), ends, &blanked(bytes), bytes.len());
    }

    /// Ends those whose time is over.
    pub fn expire(&mut self, core: &mut Core) {
        if !self.captures.is_empty() {
            self.captures.expire(clock::monotonic());
            core.watch(self.captures.legs());
        }
    }

    /// When the next one ends by itself.
    pub fn next_end(&self) -> Option<Monotonic> {
        self.captures.next_end()
    }

    fn tell(&self, copying: Copying, theirs: Option<OwnedFd>) {
        let capture = copying.capture;
        if self.down.try_send((copying, theirs)).is_err() {
            tracing::warn!(%capture, "too many captures begin at once: route does not hear of this one");
        }
    }
}
