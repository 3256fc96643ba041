//! What the house can bear: one binary a subject (`cargo run --release -p bench --bin store`), each prints a
//! table. A figure of a disk is stated as a ratio to what the disk itself did in the same run, since the same
//! disk is thirty times faster when nobody else uses it.

use std::{fmt, io};

/// Rows of a name and a value, aligned.
#[derive(Debug, Default)]
pub struct Figures(Vec<(String, String)>);

impl Figures {
    /// Adds a row.
    pub fn add(&mut self, name: &str, value: impl fmt::Display) {
        self.0.push((name.to_owned(), value.to_string()));
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = |column: fn(&(String, String)) -> &String| {
            self.0.iter().map(|row| column(row).chars().count()).max().unwrap_or(0)
        };
        let (names, values) = (width(|row| &row.0), width(|row| &row.1));
        self.0.iter().try_for_each(|(name, value)| writeln!(f, "| {name:names$} | {value:>values$} |"))
    }
}

/// The resident memory of this process, in bytes (`VmRSS` of proc(5)).
///
/// # Errors
/// When `/proc` is not there.
pub fn resident() -> io::Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kibibytes =
        line.and_then(|line| line.trim().strip_suffix(" kB")).and_then(|number| number.parse().ok());
    kibibytes
        .map(|kibibytes: u64| kibibytes << 10)
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "/proc/self/status without VmRSS"))
}
