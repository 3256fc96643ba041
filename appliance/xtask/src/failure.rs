//! What a person is told when a step fails.

use std::{fmt, io, path::Path};

/// Why a step failed: what was attempted, and everything that is wrong with it.
#[derive(Debug)]
#[non_exhaustive]
pub enum Failure {
    /// A file cannot be read or written.
    File(String, io::Error),
    /// A program cannot be started.
    Start(String, io::Error),
    /// A program ended with another status than 0; its last output.
    Program(String, String),
    /// Rules are broken, one sentence each.
    Broken(Vec<String>),
    /// Everything has been told already.
    Told,
}

impl Failure {
    /// A file that cannot be read or written.
    pub fn file(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.display().to_string();
        move |error| Self::File(path, error)
    }

    /// One broken rule.
    pub fn plain(sentence: impl Into<String>) -> Self {
        Self::Broken(vec![sentence.into()])
    }

    /// Nothing where nothing is broken.
    ///
    /// # Errors
    /// All that is broken.
    pub fn unless_empty(broken: Vec<String>) -> Result<(), Self> {
        if broken.is_empty() { Ok(()) } else { Err(Self::Broken(broken)) }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path, error) => write!(f, "{path}: {error}"),
            Self::Start(program, error) => write!(f, "cannot start {program}: {error}"),
            Self::Program(what, output) => write!(f, "{output}\n{what} failed: its output is above"),
            Self::Broken(all) => write!(f, "{}", all.join("\n")),
            Self::Told => Ok(()),
        }
    }
}
