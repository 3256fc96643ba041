//! What a probe is told to attempt, and what it found: JSON between the test and its children.

use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, path::PathBuf};

/// One socket, and the methods to call on it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Attempt {
    /// The daemon that listens.
    pub callee: String,
    /// The caller whose socket it is.
    pub caller: String,
    /// Where it lies.
    pub socket: PathBuf,
    /// The methods, without the interface's name; each is called with no parameters.
    pub methods: Vec<String>,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Found {
    /// The kernel refused the connection: its error's number.
    Refused(i32),
    /// Connected: the answer to each method.
    Connected(BTreeMap<String, Answer>),
}

/// One answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Answer {
    /// The method did something.
    Reply,
    /// The method refused: Varlink error and stable code.
    Error(String, String),
    /// The connection was closed without a word.
    Closed,
    /// Nothing came within five seconds.
    Silent,
}
