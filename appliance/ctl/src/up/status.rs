//! What the supervisor knows of the house, for `ym status`.

use super::child::Child;
use host_api::DaemonStage;
use serde::{Deserialize, Serialize};
use types::Utc;

/// The whole house.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// The supervisor's process.
    pub pid: u32,
    /// The supervisor's version.
    pub version: String,
    /// Every daemon, the most exposed first.
    pub daemons: Vec<DaemonStatus>,
}

/// One daemon.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DaemonStatus {
    /// Its name.
    pub name: String,
    /// How far its life is.
    pub stage: DaemonStage,
    /// Its version, as it says itself once it serves.
    pub version: Option<String>,
    /// Its process.
    pub pid: Option<u32>,
    /// When this life of it began.
    pub started: Option<Utc>,
    /// Lives before this one.
    pub restarts: u32,
    /// What it says of itself.
    pub says: String,
    /// How its last life ended, or the last thing that went wrong.
    pub last_error: Option<String>,
    /// The descriptors kept for it, by name.
    pub kept: Vec<String>,
}

impl Status {
    pub(super) fn of(children: &[Child]) -> Self {
        let mut daemons: Vec<DaemonStatus> = children.iter().map(Child::status).collect();
        daemons.reverse();
        Self { pid: std::process::id(), version: env!("CARGO_PKG_VERSION").to_owned(), daemons }
    }

    /// Whether every daemon serves.
    pub fn ready(&self) -> bool {
        self.daemons.iter().all(|daemon| daemon.stage == DaemonStage::Running)
    }
}
