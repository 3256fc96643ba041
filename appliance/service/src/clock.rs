//! The clocks, read here and nowhere in a core.

use nix::time::{ClockId, clock_gettime};
use types::{Boot, Monotonic, Utc};

/// CLOCK_MONOTONIC now. The clock exists on every Linux; a kernel that refused it would be answered by zero.
pub fn monotonic() -> Monotonic {
    let nanoseconds =
        clock_gettime(ClockId::CLOCK_MONOTONIC).map_or(0, |t| t.tv_sec() * 1_000_000_000 + t.tv_nsec());
    Monotonic(u64::try_from(nanoseconds).unwrap_or(0))
}

/// CLOCK_REALTIME now.
pub fn utc() -> Utc {
    Utc(clock_gettime(ClockId::CLOCK_REALTIME).map_or(0, |t| t.tv_sec() * 1_000_000_000 + t.tv_nsec()))
}

/// The boot of this machine; empty where the kernel does not tell.
pub fn boot() -> Boot {
    Boot(std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default().trim().to_owned())
}
