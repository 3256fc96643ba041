//! What can go wrong with the versions on disk.

use host_api::VersionNumber;
use std::path::PathBuf;

/// What was attempted, and why it failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file system refused.
    #[error("{attempted} {path}: {source}")]
    Disk {
        /// What was attempted.
        attempted: &'static str,
        /// On which file.
        path: PathBuf,
        /// What the kernel said.
        source: std::io::Error,
    },
    /// The file is not as it was written.
    #[error("{path} is damaged ({reason}): bring it back from the backup")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What does not fit.
        reason: String,
    },
    /// The text was sound once, and is not by the checks of this release.
    #[error("{sentences}")]
    Unsound {
        /// One line each, with file, line and column.
        sentences: String,
    },
    /// The kernel gave no randomness.
    #[error("make a salt: {0}")]
    Random(gm::Error),
    /// There is no such version.
    #[error("there is no version {0}")]
    NoVersion(VersionNumber),
}
