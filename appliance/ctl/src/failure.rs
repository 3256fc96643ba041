//! What a person is told when something does not work: what was attempted, why not, what to do; and the exit
//! status for programs.

use crate::output::language;
use serde_json::{Value, json};
use std::{fmt, io::ErrorKind, process::ExitCode};

/// A failure in one sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    sentence: String,
    status: Status,
    code: Option<String>,
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
        Self::plain(format!("cannot {attempted}: {error}"))
    }

    /// A sentence of its own.
    pub fn plain(sentence: impl Into<String>) -> Self {
        Self { sentence: sentence.into(), status: Status::Failed, code: None }
    }

    /// The words of this code, in the language of the person at the terminal.
    pub fn said(code: &str, arguments: &[(&str, &str)]) -> Self {
        Self { code: Some(code.to_owned()), ..Self::plain(words::text(language(), code, arguments)) }
    }

    /// The same with another exit status.
    #[must_use]
    pub fn with(mut self, status: Status) -> Self {
        self.status = status;
        self
    }

    /// For programs: the stable code where there is one, and the sentence.
    pub fn to_json(&self) -> Value {
        json!({ "failed": { "code": self.code, "sentence": self.sentence } })
    }

    /// Which kind of failure it is.
    pub fn status(&self) -> Status {
        self.status
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
        let failure = match error {
            service::Error::Unreachable { source, .. } if source.kind() == ErrorKind::PermissionDenied => {
                return Self::said("ym.not-admitted", &[]).with(Status::NotPermitted);
            }
            service::Error::Unreachable { daemon, .. } => Self::said("ym.unreachable", &[("daemon", daemon)]),
            service::Error::Refused(refusal) => {
                let worded = words::codes(language()).any(|code| code == refusal.code);
                let sentence =
                    if worded { words::text(language(), &refusal.code, &[]) } else { refusal.message };
                Self { code: Some(refusal.code), ..Self::plain(sentence) }
            }
            other => Self::plain(other.to_string()),
        };
        failure.with(status)
    }
}
