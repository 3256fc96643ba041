//! What a person is told when something does not work: what was attempted, why not, what to do; and the exit
//! status for programs.

use std::{fmt, process::ExitCode};

/// A failure in one sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    sentence: String,
    status: Status,
}

/// Exit status, so that a script can tell what to do. 2 is clap's own: the command itself is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Status {
    /// It did not work.
    Failed = 1,
    /// Not logged in, or not permitted.
    NotPermitted = 3,
    /// No such thing.
    NotFound = 4,
    /// The house, or a daemon of it, is not there or too busy: try again later.
    Unavailable = 5,
}

impl Failure {
    /// What was attempted, and why it failed.
    pub fn new(attempted: &str, error: impl fmt::Display) -> Self {
        Self { sentence: format!("cannot {attempted}: {error}"), status: Status::Failed }
    }

    /// A sentence of its own.
    pub fn plain(sentence: impl Into<String>) -> Self {
        Self { sentence: sentence.into(), status: Status::Failed }
    }

    /// The same with another exit status.
    #[must_use]
    pub fn with(mut self, status: Status) -> Self {
        self.status = status;
        self
    }

    /// The exit status.
    pub fn exit_code(&self) -> ExitCode {
        ExitCode::from(self.status as u8)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.sentence)
    }
}

impl From<service::Error> for Failure {
    fn from(error: service::Error) -> Self {
        use service::RefusalKind::{Busy, Conflict, Invalid, NotFound, NotPermitted, Unavailable};
        let status = match &error {
            service::Error::Refused(refusal) => match refusal.kind {
                NotPermitted => Status::NotPermitted,
                NotFound => Status::NotFound,
                Busy | Unavailable => Status::Unavailable,
                Conflict | Invalid => Status::Failed,
            },
            _ => Status::Unavailable,
        };
        let sentence = match error {
            service::Error::Unreachable { daemon, .. } => {
                format!(
                    "{daemon} cannot be reached: is the house up? (ym up; ym status tells which daemon is not)"
                )
            }
            other => other.to_string(),
        };
        Self { sentence, status }
    }
}
