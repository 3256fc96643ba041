//! The status of a house that systemd runs, in the same words as that of `ym up`.

use crate::{
    failure::Failure,
    up::status::{DaemonStatus, Status},
};
use host_api::{DaemonHealth, UNIT_PROPERTIES};
use std::{collections::BTreeMap, path::Path, process::Command};

/// What is asked of each unit beside its health (systemd.service(5)).
const PROPERTIES: &str = "MainPID,NFileDescriptorStore";

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
                UNIT_PROPERTIES,
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
    let number = |key: &str| properties.get(key).and_then(|value| value.parse::<u32>().ok());
    let DaemonHealth { name, stage, version, started, restarts, says, last_error } =
        DaemonHealth::of_unit(name, properties);
    let descriptors = number("NFileDescriptorStore").map(|count| format!("{count} descriptors"));
    DaemonStatus {
        name,
        stage,
        version,
        pid: number("MainPID").filter(|pid| *pid != 0),
        started,
        restarts,
        says,
        last_error,
        kept: descriptors.into_iter().collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use host_api::DaemonStage;
    use types::Utc;

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
            (DaemonStage::Running, Some(42), 2, None)
        );
        assert_eq!(found.started, Some(Utc(1_795_262_099_000_000_000)));
        assert_eq!(read("sip", &BTreeMap::new()).stage, DaemonStage::Stopped);
    }
}
