//! The table as it is written, and the law that it keeps. Shared by the build script and the tests.

use serde::Deserialize;
use std::collections::BTreeMap;

/// `configs/house.toml`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct House {
    pub floors: Vec<String>,
    pub daemon: BTreeMap<String, Row>,
    #[serde(default)]
    pub exceptions: Vec<Exception>,
}

/// One daemon.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Row {
    pub floor: String,
    pub duty: String,
    #[serde(default)]
    pub network: Network,
    #[serde(default)]
    pub root: bool,
    #[serde(default)]
    pub settings: Vec<String>,
    #[serde(default)]
    pub calls: BTreeMap<String, Vec<String>>,
}

/// What of the network a daemon sees.
#[derive(Deserialize, Default)]
#[serde(rename_all = "lowercase")]
pub enum Network {
    #[default]
    None,
    Inet,
}

/// A call that does not go down, and why it may.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Exception {
    pub caller: String,
    pub callee: String,
    pub reason: String,
}

/// Every breach of the law, one sentence each.
pub fn broken(house: &House) -> Vec<String> {
    let depth = |name: &str| house.floors.iter().position(|floor| floor == name);
    let excepted = |caller: &str, callee: &str| {
        house
            .exceptions
            .iter()
            .any(|e| e.caller == caller && e.callee == callee && !e.reason.trim().is_empty())
    };
    let mut broken = Vec::new();
    for (caller, row) in &house.daemon {
        let Some(from) = depth(&row.floor) else {
            broken.push(format!("{caller}: there is no floor {:?}", row.floor));
            continue;
        };
        for (callee, methods) in &row.calls {
            match house.daemon.get(callee).map(|row| depth(&row.floor)) {
                None => broken.push(format!("{caller} calls {callee}, which is no daemon")),
                Some(Some(to)) if to <= from && !excepted(caller, callee) => {
                    broken.push(format!("{caller} calls {callee}, which is not on a lower floor"));
                }
                Some(_) if methods.is_empty() => {
                    broken.push(format!("{caller} calls {callee} with no method"))
                }
                Some(_) => {}
            }
        }
    }
    broken
}
