//! The status of a house that systemd runs, in the same words as that of `ym up`.

use crate::{
    failure::Failure,
    up::status::{DaemonStatus, Stage, Status},
};
use std::{collections::BTreeMap, path::Path, process::Command};
use types::Utc;

/// What is asked of each unit (systemd.service(5), org.freedesktop.systemd1(5)).
const PROPERTIES: &str = "LoadState,ActiveState,SubState,MainPID,NRestarts,StatusText,ExecMainStartTimestamp,Result,NFileDescriptorStore";

/// The house as systemd sees it; nothing where systemd does not run, or runs no house.
///
/// # Errors
/// systemctl does not answer.
pub fn status() -> Result<Option<Status>, Failure> {
    if !Path::new("/run/systemd/system").is_dir() {
        return Ok(None);
    }
    let mut daemons = Vec::new();
    for daemon in house::DAEMONS.iter().filter(|daemon| daemon.runs()) {
        let output = Command::new("systemctl")
            .args([
                "show",
                "--timestamp=unix",
                "--property",
                PROPERTIES,
                &format!("ym-{}.service", daemon.name),
            ])
            .output()
            .map_err(|error| Failure::new("ask systemctl", error))?;
        let text = String::from_utf8_lossy(&output.stdout);
        let properties: BTreeMap<&str, &str> = text.lines().filter_map(|line| line.split_once('=')).collect();
        if properties.get("LoadState") == Some(&"loaded") {
            daemons.push(read(daemon.name, &properties));
        }
    }
    Ok((!daemons.is_empty()).then(|| Status {
        pid: 1,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        daemons,
    }))
}

fn read(name: &str, properties: &BTreeMap<&str, &str>) -> DaemonStatus {
    let value = |key: &str| properties.get(key).copied().unwrap_or_default();
    let number = |key: &str| value(key).parse::<u32>().ok();
    let started = value("ExecMainStartTimestamp").trim_start_matches('@').parse::<i64>().ok();
    DaemonStatus {
        name: name.to_owned(),
        stage: match (value("ActiveState"), value("SubState")) {
            ("active", _) => Stage::Running,
            ("activating", "auto-restart") => Stage::Waiting,
            ("activating" | "reloading", _) => Stage::Starting,
            ("deactivating", _) => Stage::Stopping,
            _ => Stage::Stopped,
        },
        version: None,
        pid: number("MainPID").filter(|pid| *pid != 0),
        started: started.and_then(|seconds| seconds.checked_mul(1_000_000_000)).map(Utc),
        restarts: number("NRestarts").unwrap_or(0),
        says: value("StatusText").to_owned(),
        last_error: Some(value("Result"))
            .filter(|result| !matches!(*result, "" | "success"))
            .map(str::to_owned),
        kept: number("NFileDescriptorStore")
            .map(|count| format!("{count} descriptors"))
            .into_iter()
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_systemctl_shows() {
        let properties = BTreeMap::from([
            ("ActiveState", "active"),
            ("SubState", "running"),
            ("MainPID", "42"),
            ("NRestarts", "2"),
            ("StatusText", "ready"),
            ("ExecMainStartTimestamp", "@1795262099"),
            ("Result", "success"),
        ]);
        let found = read("sip", &properties);
        assert_eq!(
            (found.stage, found.pid, found.restarts, found.last_error),
            (Stage::Running, Some(42), 2, None)
        );
        assert_eq!(found.started, Some(Utc(1_795_262_099_000_000_000)));
        assert_eq!(read("sip", &BTreeMap::new()).stage, Stage::Stopped);
    }
}
