//! What the supervisor knows of the daemons: `ym up` writes it into `run/status.json`, systemd tells it.
//!
//! Only reads. Never starts, stops or signals anything.

use host_api::{DaemonHealth, HouseHealth, UNIT_PROPERTIES};
use service::Refusal;
use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
    process::Command,
};

/// Where the supervisor's word is.
#[derive(Clone)]
pub struct Supervisor {
    status: PathBuf,
}

impl Supervisor {
    /// Of the house with this directory of sockets.
    pub fn of(run: &Path) -> Self {
        Self { status: run.join("status.json") }
    }

    /// How the daemons are now.
    ///
    /// # Errors
    /// Neither supervisor says anything.
    pub fn health(&self) -> Result<HouseHealth, Refusal> {
        let unknown = |why: String| Refusal::unavailable("host.no-supervisor", why);
        match fs::read(&self.status) {
            Ok(text) => serde_json::from_slice(&text).map_err(|error| unknown(error.to_string())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => of_systemd().map_err(unknown),
            Err(error) => Err(unknown(error.to_string())),
        }
    }
}

/// All units in one question.
fn of_systemd() -> Result<HouseHealth, String> {
    let units =
        house::DAEMONS.iter().filter(|daemon| daemon.runs()).map(|row| format!("ym-{}.service", row.name));
    let output = Command::new("systemctl")
        .args(["show", "--timestamp=unix", "--property", UNIT_PROPERTIES])
        .args(units)
        .output()
        .map_err(|error| format!("ask systemctl: {error}"))?;
    let daemons = read(&String::from_utf8_lossy(&output.stdout));
    if daemons.is_empty() {
        return Err("neither ym up nor systemd runs this house".to_owned());
    }
    Ok(HouseHealth { version: env!("CARGO_PKG_VERSION").to_owned(), daemons })
}

/// What systemctl shows: blocks of `KEY=VALUE`, one a unit, with an empty line between.
fn read(shown: &str) -> Vec<DaemonHealth> {
    let blocks = shown
        .split("\n\n")
        .map(|block| block.lines().filter_map(|line| line.split_once('=')).collect::<BTreeMap<&str, &str>>());
    blocks.filter(|unit| unit.get("LoadState") == Some(&"loaded")).filter_map(|unit| daemon(&unit)).collect()
}

fn daemon(unit: &BTreeMap<&str, &str>) -> Option<DaemonHealth> {
    let name = unit.get("Id")?.strip_prefix("ym-")?.strip_suffix(".service")?;
    Some(DaemonHealth::of_unit(name, unit))
}

#[cfg(test)]
mod tests {
    use super::*;
    use host_api::DaemonStage;
    use types::Utc;

    #[test]
    fn reads_what_systemctl_shows_of_several_units() {
        let shown = "Id=ym-sip.service\nLoadState=loaded\nActiveState=active\nSubState=running\nNRestarts=2\n\
                     StatusText=ready\nExecMainStartTimestamp=@1795262099\nResult=success\n\n\
                     Id=ym-key.service\nLoadState=loaded\nActiveState=activating\nSubState=auto-restart\n\
                     Result=exit-code\n\nId=ym-text.service\nLoadState=not-found\nActiveState=inactive\n";
        let found = read(shown);
        let told: Vec<_> = found.iter().map(|one| (one.name.as_str(), one.stage, one.restarts)).collect();
        assert_eq!(told, [("sip", DaemonStage::Running, 2), ("key", DaemonStage::Waiting, 0)]);
        assert_eq!(found[0].started, Some(Utc(1_795_262_099_000_000_000)));
        assert_eq!((&found[0].last_error, found[1].last_error.as_deref()), (&None, Some("exit-code")));
        assert!(read("").is_empty());
    }

    #[test]
    fn reads_what_ym_up_writes() {
        let directory = tempfile::tempdir().unwrap();
        let supervisor = Supervisor::of(directory.path());
        let text = r#"{"pid":1,"version":"0.1.0","daemons":[{"name":"sip","stage":"running","version":"0.1.0",
            "pid":7,"started":5,"restarts":1,"says":"ready","last_error":null,"kept":["udp"]}]}"#;
        fs::write(directory.path().join("status.json"), text).unwrap();
        let health = supervisor.health().unwrap();
        assert_eq!((health.daemons.len(), health.daemons[0].stage), (1, DaemonStage::Running));
        fs::write(directory.path().join("status.json"), "{").unwrap();
        assert_eq!(supervisor.health().unwrap_err().code, "host.no-supervisor");
    }
}
