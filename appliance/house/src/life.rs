//! How long whoever starts a daemon is patient with it: the same for `ym up` at a desk and for the units in
//! `packaging/`, which are made from it.

use std::time::Duration;

/// From a daemon's start until it serves (`TimeoutStartSec`); then it is told to end and started again.
pub const START: Duration = Duration::from_secs(90);
/// From the word to end until it is killed (`TimeoutStopSec`).
pub const STOP: Duration = Duration::from_secs(10);
/// How often a daemon that serves must be heard of (`WatchdogSec`); then it is killed and started again.
pub const WATCHDOG: Duration = Duration::from_secs(10);
/// The pause before a second life (`RestartSec`); it doubles while lives are too short.
pub const PAUSE: Duration = Duration::from_millis(50);
/// The longest pause (`RestartMaxDelaySec`).
pub const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// How often the pause doubles until it is the longest (`RestartSteps`).
pub const DOUBLINGS: u32 = 8;
/// The most descriptors kept for one daemon (`FileDescriptorStoreMax`).
pub const KEPT: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_pause_is_reached_by_doubling() {
        let after = |doublings: u32| PAUSE * 2_u32.pow(doublings);
        assert!(after(DOUBLINGS) >= LONGEST_PAUSE && after(DOUBLINGS - 1) < LONGEST_PAUSE);
    }
}
