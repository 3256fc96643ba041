//! How the daemons of the house are, as their supervisor knows it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use types::Utc;

/// Asks how the daemons are.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct Health {}

/// How the daemons are.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HouseHealth {
    /// The supervisor's version.
    pub version: String,
    /// Every daemon, the most exposed first.
    pub daemons: Vec<DaemonHealth>,
}

/// How one daemon is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DaemonHealth {
    /// Its name.
    pub name: String,
    /// How far its life is.
    pub stage: DaemonStage,
    /// Its version, as it says itself once it serves.
    #[serde(default)]
    pub version: Option<String>,
    /// When this life of it began.
    #[serde(default)]
    pub started: Option<Utc>,
    /// Lives before this one.
    pub restarts: u32,
    /// What it says of itself.
    pub says: String,
    /// How its last life ended, or the last thing that went wrong.
    #[serde(default)]
    pub last_error: Option<String>,
}

/// How far a daemon's life is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DaemonStage {
    /// Its process runs and has not said that it serves.
    Starting,
    /// It serves.
    Running,
    /// It is to be started again after a pause.
    Waiting,
    /// It was told to end.
    Stopping,
    /// It has ended.
    Stopped,
}
