//! What the shell attempted with the system and did not get.

/// Why media cannot do what it should.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A call of the kernel failed.
    #[error("{attempted}: {source}")]
    System {
        /// What was attempted.
        attempted: &'static str,
        /// The kernel's word.
        source: std::io::Error,
    },
    /// Every even port of the range is taken, here or by another program.
    #[error("no pair of free RTP ports in {first}-{last}")]
    NoPort {
        /// The first port of the range.
        first: u16,
        /// The last port of the range.
        last: u16,
    },
    /// A prompt's file cannot be read.
    #[error("reading the prompt {path}: {reason}")]
    Prompt {
        /// The file.
        path: String,
        /// Why.
        reason: String,
    },
}

impl Error {
    /// The kernel refused `attempted`.
    pub fn system(attempted: &'static str) -> impl Fn(std::io::Error) -> Self {
        move |source| Self::System { attempted, source }
    }

    /// The same, of a call by nix.
    pub fn errno(attempted: &'static str) -> impl Fn(nix::Error) -> Self {
        move |errno| Self::System { attempted, source: errno.into() }
    }
}
