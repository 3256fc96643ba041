//! What happened, in order: equal for equal seeds, and bounded.

use std::{collections::VecDeque, fmt};
use types::Monotonic;

/// Lines that are kept; all are counted and hashed.
const KEPT: usize = 20_000;

/// The log of one run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trace {
    lines: VecDeque<String>,
    count: u64,
    /// FNV-1a over every line.
    hash: u64,
}

impl Default for Trace {
    fn default() -> Self {
        Self { lines: VecDeque::new(), count: 0, hash: 0xcbf2_9ce4_8422_2325 }
    }
}

impl Trace {
    /// Writes a line.
    pub(crate) fn note(&mut self, now: Monotonic, what: fmt::Arguments<'_>) {
        let line = format!("{:>12.6} {what}", now.0 as f64 / 1e9);
        for byte in line.bytes() {
            self.hash = (self.hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
        }
        self.count += 1;
        if self.lines.len() == KEPT {
            self.lines.pop_front();
        }
        self.lines.push_back(line);
    }

    /// How many lines were written.
    pub const fn count(&self) -> u64 {
        self.count
    }

    /// The last lines that contain any of these words; all of the last ones where there are no words.
    pub fn last(&self, most: usize, words: &[String]) -> String {
        let wanted = |line: &&String| words.is_empty() || words.iter().any(|word| line.contains(word));
        let lines: Vec<&str> = self.lines.iter().filter(wanted).map(String::as_str).collect();
        lines[lines.len().saturating_sub(most)..].join("\n")
    }
}
