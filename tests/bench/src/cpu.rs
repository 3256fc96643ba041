//! What a process uses.

use crate::Failure;
use nix::{
    time::{clock_getcpuclockid, clock_gettime},
    unistd::Pid,
};
use std::time::Duration;

/// The time that all threads of a process have spent on processors (clock_getcpuclockid(3)), in nanoseconds
/// exact.
///
/// # Errors
/// There is no such process.
pub fn used(pid: u32) -> Result<Duration, Failure> {
    let clock = clock_getcpuclockid(Pid::from_raw(pid.try_into()?))?;
    Ok(clock_gettime(clock)?.into())
}

/// The resident memory of this process, in bytes (`VmRSS` of proc(5)).
///
/// # Errors
/// When `/proc` is not there.
pub fn resident() -> Result<u64, Failure> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kibibytes = line.and_then(|line| line.trim().strip_suffix(" kB")).ok_or("no VmRSS")?;
    Ok(kibibytes.parse::<u64>()? << 10)
}
