//! Captures of live calls: each edge is told what to copy, and hands down where the packets are; whoever asked gets
//! these descriptors. Route reads none of them.
//!
//! ```text
//!  ctl ── Capture ──► entry in the log ──► edges: Capture(legs)      a leg that is made later is told to them then
//!                                           │ Captured(descriptor), from each
//!  ctl ◄── descriptors, both ends told ◄────┘
//! ```
//!
//! The edges have the captures: after a kill of route each says what goes on there, and hears of legs that are made
//! from then on, as before.

use mutant::mutant;
use route_api::capture::{CAPTURES, Copying, LONGEST, left};
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
    /// Where the edges' descriptors go; none where an earlier life was asked.
    descriptors: Option<mpsc::Sender<OwnedFd>>,
}

impl Going {
    fn new(now: Monotonic, copying: &Copying, descriptors: Option<mpsc::Sender<OwnedFd>>) -> Self {
        let until = now.plus(Duration::from_secs(copying.seconds.min(LONGEST).into()));
        Self { capture: copying.capture, call: copying.call, until, descriptors }
    }
}

impl Captures {
    /// Begins one: what the edges are told, and where their descriptors go.
    ///
    /// # Errors
    /// As many go on as may.
    pub fn begin(
        &mut self,
        now: Monotonic,
        copying: &Copying,
        descriptors: mpsc::Sender<OwnedFd>,
    ) -> Result<(), Refusal> {
        self.0.retain(|going| now < going.until);
        if self.0.len() >= CAPTURES {
            let message = format!("{CAPTURES} captures go on already: try again when one is over");
            return Err(Refusal::busy("route.captures", message));
        }
        self.0.push(Going::new(now, copying, Some(descriptors)));
        Ok(())
    }

    /// An edge handed down where its packets are, or says that an earlier life had it copy. Whether that was news:
    /// then the edge may lack legs that were made meanwhile.
    pub fn captured(&mut self, now: Monotonic, copying: &Copying, descriptor: Option<OwnedFd>) -> bool {
        let known = self.0.iter().find(|going| going.capture == copying.capture);
        match (known, descriptor) {
            (Some(going), Some(descriptor)) => {
                if let Some(descriptors) = &going.descriptors {
                    // Who asked may be gone: then the edge finds that nobody reads.
                    let _gone = descriptors.try_send(descriptor);
                }
                false
            }
            // Nobody waits for it: dropped, and the edge finds that nobody reads.
            (None, Some(_)) => false,
            (Some(_), None) => false,
            (None, None) => {
                self.0.retain(|going| now < going.until);
                if self.0.len() >= CAPTURES || mutant("capture-ends-with-route") {
                    return false;
                }
                self.0.push(Going::new(now, copying, None));
                true
            }
        }
    }

    /// What to tell an edge of a leg that is made now.
    pub fn of_new(&mut self, now: Monotonic, call: CallId, leg: LegId) -> Vec<Copying> {
        self.0.retain(|going| now < going.until);
        let of_call = self.0.iter().filter(|going| going.call == call);
        let copying = |going: &Going| Copying {
            capture: going.capture,
            call,
            legs: vec![leg],
            seconds: left(now, going.until),
        };
        of_call.map(copying).collect()
    }

    /// Whether none goes on.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
