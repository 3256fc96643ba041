//! RTP and RTCP (RFC 3550, RFC 3551): packets, the stream received, the stream sent, and the source lock.
//!
//! Owns the arithmetic of one stream in each direction; never a socket, never a codec. All figures are of
//! the 8 kHz clock that every codec here has, and its telephone events with it.

mod lock;
mod packet;
mod reception;
pub mod rtcp;
mod sending;

pub use lock::{SourceLock, Verdict};
pub use packet::{HEADER, Packet, PayloadType, Ssrc};
pub use reception::{Arrival, Reception, Totals};
pub use sending::{Origin, Seed, Sending};

use std::time::Duration;

/// Ticks of the RTP clock in a second.
pub const CLOCK: u32 = 8000;

/// How far the RTP clock goes in `duration`, modulo 2³².
pub fn ticks(duration: Duration) -> u32 {
    // One tick is 125 µs; the cast keeps the low 32 bits, as RTP timestamps do.
    (duration.as_nanos() / 125_000) as u32
}

/// The time in which the RTP clock goes on by `ticks`.
pub fn lasting(ticks: u32) -> Duration {
    Duration::from_nanos(u64::from(ticks) * 125_000)
}
