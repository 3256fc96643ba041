//! How the daemons of the house are, as their supervisor knows it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
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

/// The properties of a unit by which systemd tells how a daemon is (org.freedesktop.systemd1(5)); times are wanted
/// with `--timestamp=unix`.
pub const UNIT_PROPERTIES: &str =
    "Id,LoadState,ActiveState,SubState,NRestarts,StatusText,ExecMainStartTimestamp,Result";

impl DaemonHealth {
    /// How the daemon of a unit is, by these properties of it.
    pub fn of_unit(name: &str, properties: &BTreeMap<&str, &str>) -> Self {
        let value = |key: &str| properties.get(key).copied().unwrap_or_default();
        let started = value("ExecMainStartTimestamp").trim_start_matches('@').parse::<i64>().ok();
        Self {
            name: name.to_owned(),
            stage: match (value("ActiveState"), value("SubState")) {
                ("active", _) => DaemonStage::Running,
                ("activating", "auto-restart") => DaemonStage::Waiting,
                ("activating" | "reloading", _) => DaemonStage::Starting,
                ("deactivating", _) => DaemonStage::Stopping,
                _ => DaemonStage::Stopped,
            },
            version: None,
            started: started.and_then(|seconds| seconds.checked_mul(1_000_000_000)).map(Utc),
            restarts: value("NRestarts").parse().unwrap_or(0),
            says: value("StatusText").to_owned(),
            last_error: Some(value("Result"))
                .filter(|result| !matches!(*result, "" | "success"))
                .map(str::to_owned),
        }
    }
}
