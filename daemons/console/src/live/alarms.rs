//! What is wrong with the house, made of what host, record and route say of themselves.

use host_api::{DaemonStage, HouseHealth};
use record_api::{DiskHealth, DiskReport};
use route_api::{EndpointList, Reachability, RegistrationStanding};
use schemars::JsonSchema;
use serde::Serialize;
use std::time::Duration;
use types::Utc;

/// A certificate with less left than this is to be replaced.
const RENEW: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
pub struct Alarm {
    /// How grave it is.
    pub severity: Severity,
    /// What, as a code with words.
    pub code: &'static str,
    /// With what: a daemon, a trunk.
    pub subject: String,
}

/// How grave an alarm is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// Calls are refused, unrecorded or unproved now.
    Critical,
    /// They will be, or some are.
    Warning,
}

/// What is known of the house. What could not be asked is unknown, which is an alarm by itself.
pub struct Signs<'a> {
    /// The daemons.
    pub health: Option<&'a HouseHealth>,
    /// The disk of recordings.
    pub disk: Option<DiskReport>,
    /// Trunks and phones.
    pub endpoints: Option<&'a EndpointList>,
    /// Until when the console's certificate holds.
    pub certificate: Option<Utc>,
    /// This moment.
    pub now: Utc,
}

/// Everything that is wrong, the gravest first.
pub fn alarms(signs: &Signs<'_>) -> Vec<Alarm> {
    let mut found = Vec::new();
    let mut tell =
        |severity, code, subject: &str| found.push(Alarm { severity, code, subject: subject.to_owned() });
    match signs.health {
        None => tell(Severity::Warning, "alarm.health-unknown", "host"),
        Some(health) => {
            for daemon in health.daemons.iter().filter(|daemon| daemon.stage != DaemonStage::Running) {
                tell(Severity::Critical, "alarm.daemon-away", &daemon.name);
            }
        }
    }
    match signs.disk {
        None => tell(Severity::Warning, "alarm.disk-unknown", "record"),
        Some(disk) => match disk.health {
            DiskHealth::Good => {}
            DiskHealth::Filling => tell(Severity::Warning, "alarm.disk-fills", "recordings"),
            DiskHealth::Full => tell(Severity::Critical, "alarm.disk-full", "recordings"),
            DiskHealth::Stalled => tell(Severity::Critical, "alarm.disk-stalled", "recordings"),
        },
    }
    for trunk in signs.endpoints.iter().flat_map(|endpoints| &endpoints.trunks) {
        let name = trunk.trunk.to_string();
        if trunk.standing.registration == RegistrationStanding::Unregistered {
            tell(Severity::Critical, "alarm.trunk-unregistered", &name);
        } else if trunk.reachable == Some(Reachability::Unreachable) {
            tell(Severity::Critical, "alarm.trunk-unreachable", &name);
        }
    }
    match signs.certificate.map(|until| until.since(signs.now)) {
        Some(Duration::ZERO) => tell(Severity::Critical, "alarm.certificate-expired", "https"),
        Some(left) if left < RENEW => tell(Severity::Warning, "alarm.certificate-expires", "https"),
        _ => {}
    }
    found.sort();
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use host_api::DaemonHealth;

    fn daemon(name: &str, stage: DaemonStage) -> DaemonHealth {
        DaemonHealth {
            name: name.to_owned(),
            stage,
            version: None,
            started: None,
            restarts: 0,
            says: String::new(),
            last_error: None,
        }
    }

    fn codes(signs: &Signs<'_>) -> Vec<&'static str> {
        alarms(signs).into_iter().map(|alarm| alarm.code).collect()
    }

    #[test]
    fn what_is_wrong_is_told_the_gravest_first_and_has_words() {
        let day = Duration::from_secs(86_400);
        let well = HouseHealth { version: String::new(), daemons: vec![daemon("sip", DaemonStage::Running)] };
        let now = Utc(1_800_000_000_000_000_000);
        let signs = |health, disk, certificate| Signs { health, disk, endpoints: None, certificate, now };
        let good = Some(DiskReport::default());
        assert!(codes(&signs(Some(&well), good, Some(now.plus(31 * day)))).is_empty());
        let ill = HouseHealth { daemons: vec![daemon("sip", DaemonStage::Waiting)], ..well.clone() };
        let fills = Some(DiskReport { health: DiskHealth::Filling, ..DiskReport::default() });
        let told = codes(&signs(Some(&ill), fills, Some(now.plus(29 * day))));
        assert_eq!(told, ["alarm.daemon-away", "alarm.certificate-expires", "alarm.disk-fills"]);
        let told = codes(&signs(None, None, Some(now)));
        assert_eq!(told, ["alarm.certificate-expired", "alarm.disk-unknown", "alarm.health-unknown"]);
        let known: Vec<_> = words::codes(words::Lang::En).filter(|code| code.starts_with("alarm.")).collect();
        for code in [
            "alarm.health-unknown",
            "alarm.daemon-away",
            "alarm.disk-unknown",
            "alarm.disk-fills",
            "alarm.disk-full",
            "alarm.disk-stalled",
            "alarm.trunk-unregistered",
            "alarm.trunk-unreachable",
            "alarm.certificate-expired",
            "alarm.certificate-expires",
        ] {
            assert!(known.contains(&code), "{code} has no words");
        }
    }
}
