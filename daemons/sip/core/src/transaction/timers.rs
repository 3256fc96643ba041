//! The timer values of RFC 3261 table 4 and RFC 6026 §8.

use serde::{Deserialize, Serialize};
use std::time::Duration;
use types::Monotonic;

/// Round-trip time estimate.
pub const T1: Duration = Duration::from_millis(500);
/// Longest interval between retransmissions of non-INVITE requests and of INVITE responses.
pub const T2: Duration = Duration::from_secs(4);
/// Longest time a message stays in the network.
pub const T4: Duration = Duration::from_secs(5);
/// Timers B, F, H, J, L and M: 64·T1, 32 s.
pub const TIMEOUT: Duration = Duration::from_secs(32);
/// Timer D on an unreliable transport: at least 32 s.
pub const TIMER_D: Duration = Duration::from_secs(32);

/// Whether the transport delivers by itself: then nothing is retransmitted and nothing lingers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Transport {
    /// UDP.
    Unreliable,
    /// TCP, TLS, WebSocket.
    Reliable,
}

impl Transport {
    /// A lingering time, which is zero on a reliable transport.
    pub(super) fn linger(self, time: Duration) -> Duration {
        match self {
            Self::Unreliable => time,
            Self::Reliable => Duration::ZERO,
        }
    }

    /// The retransmission timer, which a reliable transport has not.
    pub(super) fn retransmit(self, now: Monotonic) -> Option<Retransmit> {
        match self {
            Self::Unreliable => Some(Retransmit::start(now)),
            Self::Reliable => None,
        }
    }
}

/// A retransmission timer that doubles.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retransmit {
    /// When the next copy is due.
    pub at: Monotonic,
    interval: Duration,
}

impl Retransmit {
    /// The first copy is due after [`T1`].
    pub fn start(now: Monotonic) -> Self {
        Self { at: now.plus(T1), interval: T1 }
    }

    /// A copy was sent: the next is due after twice the interval, at most `cap`.
    pub fn again(&mut self, now: Monotonic, cap: Duration) {
        self.interval = (self.interval * 2).min(cap);
        self.at = now.plus(self.interval);
    }

    /// From here on copies are due every `interval`.
    pub(super) fn slow(&mut self, interval: Duration) {
        self.interval = interval;
    }
}
