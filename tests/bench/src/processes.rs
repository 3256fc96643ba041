//! What several processes use together.

use crate::{Failure, used};
use std::{fs, time::Duration};

/// Some processes that live as long as they are measured.
pub struct Processes(Vec<u32>);

impl Processes {
    /// These.
    pub const fn of(processes: Vec<u32>) -> Self {
        Self(processes)
    }

    /// One with all that it started, and what these started.
    ///
    /// # Errors
    /// `/proc` is not there.
    pub fn with_children(first: u32) -> Result<Self, Failure> {
        let mut all = vec![first];
        let mut at = 0;
        while let Some(process) = all.get(at).copied() {
            let children = fs::read_to_string(format!("/proc/{process}/task/{process}/children"))?;
            all.extend(children.split_whitespace().filter_map(|child| child.parse::<u32>().ok()));
            at += 1;
        }
        Ok(Self(all))
    }

    /// The time that they have spent on processors.
    ///
    /// # Errors
    /// One has ended.
    pub fn used(&self) -> Result<Duration, Failure> {
        self.0.iter().map(|process| used(*process)).sum()
    }

    /// Their memory in bytes, what they share counted once (`Pss` of proc(5)).
    ///
    /// # Errors
    /// One has ended, or is not ours to look at.
    pub fn memory(&self) -> Result<u64, Failure> {
        self.0.iter().map(|process| memory(*process)).sum()
    }
}

fn memory(process: u32) -> Result<u64, Failure> {
    let rollup = fs::read_to_string(format!("/proc/{process}/smaps_rollup"))?;
    let line = rollup.lines().find_map(|line| line.strip_prefix("Pss:")).ok_or("no Pss")?;
    Ok(line.trim().trim_end_matches(" kB").parse::<u64>()? << 10)
}
