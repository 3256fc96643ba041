//! Captures of live calls: each edge is told what to copy, and hands down where the packets are; whoever asked gets
//! these descriptors. Route reads none of them.
//!
//! ```text
//!  ctl ── Capture ──► entry in the log ──► edges: Capture(legs)      a leg that is made later is told to them then
//!                                           │ Captured(descriptor), from each
//!  ctl ◄── descriptors, both ends told ◄────┘
//! ```

use route_api::capture::{CAPTURES, Copying};
use service::Refusal;
use std::{os::fd::OwnedFd, time::Duration};
use tokio::sync::mpsc;
use types::{CallId, CaptureId, LegId, Monotonic};

/// The edges that copy: signalling and media.
pub const EDGES: usize = 2;

/// Those that go on.
#[derive(Default)]
pub struct Captures(Vec<Going>);

struct Going {
    capture: CaptureId,
    call: CallId,
    until: Monotonic,
    descriptors: mpsc::Sender<OwnedFd>,
}

impl Captures {
    /// Begins one; gives what to tell the edges.
    ///
    /// # Errors
    /// As many go on as may.
    pub fn begin(
        &mut self,
        now: Monotonic,
        (capture, call): (CaptureId, CallId),
        (legs, seconds): (Vec<LegId>, u32),
        descriptors: mpsc::Sender<OwnedFd>,
    ) -> Result<Copying, Refusal> {
        self.0.retain(|going| now < going.until);
        if self.0.len() >= CAPTURES {
            let message = format!("{CAPTURES} captures go on already: try again when one is over");
            return Err(Refusal::busy("route.captures", message));
        }
        let until = now.plus(Duration::from_secs(seconds.into()));
        self.0.push(Going { capture, call, until, descriptors });
        Ok(Copying { capture, legs, seconds })
    }

    /// An edge handed down where its packets are.
    pub fn captured(&mut self, capture: CaptureId, descriptor: Option<OwnedFd>) {
        let going = self.0.iter().find(|going| going.capture == capture);
        if let (Some(going), Some(descriptor)) = (going, descriptor) {
            // Who asked may be gone: then the edge finds that nobody reads.
            let _gone = going.descriptors.try_send(descriptor);
        }
    }

    /// What to tell an edge of a leg that is made now.
    pub fn of_new(&mut self, now: Monotonic, call: CallId, leg: LegId) -> Vec<Copying> {
        self.0.retain(|going| now < going.until);
        let of_call = self.0.iter().filter(|going| going.call == call);
        let copying = |going: &Going| {
            let left = going.until.since(now).as_secs().saturating_add(1);
            let seconds = u32::try_from(left).unwrap_or(u32::MAX);
            Copying { capture: going.capture, legs: vec![leg], seconds }
        };
        of_call.map(copying).collect()
    }

    /// Whether none goes on.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
