//! What one version changes against another, and when the change takes effect.

use crate::{Section, Settings};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeSet;

/// One setting that differs. Passwords are masked on both sides.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Change {
    /// Such as `sip.realm` or `sip.phones[8001].password`.
    pub path: String,
    /// Before; `None` where it was not there.
    pub old: Option<Value>,
    /// After; `None` where it is gone.
    pub new: Option<Value>,
}

/// When a change takes effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Applied {
    /// At once; calls in progress go on as they began.
    Live,
    /// When the daemon that reads this section is started again.
    AfterRestart {
        /// The daemon.
        daemon: Section,
    },
}

/// All settings that differ, in the order of their paths.
pub fn diff(old: &Settings, new: &Settings) -> Vec<Change> {
    let mut changes = Vec::new();
    for section in Section::ALL {
        let shown = |settings: &Settings| settings.to_value().get(section.as_str()).cloned();
        // Compared as they are, told as they are shown: a new password is a change between two masks.
        let old = Side { real: Some(old.section(section)), shown: shown(old) };
        let new = Side { real: Some(new.section(section)), shown: shown(new) };
        compare(section.as_str().to_owned(), old, new, &mut changes);
    }
    changes
}

/// When a change of this path takes effect.
pub fn live(change: &Change) -> Applied {
    const AFTER_RESTART: [(&str, Section); 9] = [
        ("sip.bind", Section::Sip),
        ("sip.tls", Section::Sip),
        ("sip.networks", Section::Sip),
        ("sip.advertised", Section::Sip),
        ("sip.realm", Section::Sip),
        ("media.bind", Section::Media),
        ("media.advertised", Section::Media),
        ("media.ports", Section::Media),
        ("console.listen", Section::Console),
    ];
    let at = |path: &str| {
        change.path.strip_prefix(path).is_some_and(|rest| rest.is_empty() || rest.starts_with('['))
    };
    match AFTER_RESTART.into_iter().find(|(path, _)| at(path)) {
        Some((_, daemon)) => Applied::AfterRestart { daemon },
        None => Applied::Live,
    }
}

/// One value with its secrets, and as it is shown.
#[derive(Clone)]
struct Side {
    real: Option<Value>,
    shown: Option<Value>,
}

impl Side {
    fn below(&self, key: &str) -> Self {
        let entry = |side: &Option<Value>| side.as_ref().and_then(|value| value.get(key)).cloned();
        Self { real: entry(&self.real), shown: entry(&self.shown) }
    }

    /// The entries of a list of tables by their names; `None` for any other value.
    fn by_name(&self) -> Option<Self> {
        let keyed = |side: &Option<Value>| -> Option<Option<Value>> {
            let Some(items) = side.as_ref() else { return Some(None) };
            let named = items.as_array()?.iter().map(|item| Some((name(item)?, item.clone())));
            named.collect::<Option<Map<String, Value>>>().map(|map| Some(Value::Object(map)))
        };
        Some(Self { real: keyed(&self.real)?, shown: keyed(&self.shown)? })
    }

    fn keys(&self) -> impl Iterator<Item = String> {
        self.real.as_ref().and_then(Value::as_object).into_iter().flat_map(Map::keys).cloned()
    }
}

fn compare(path: String, old: Side, new: Side, changes: &mut Vec<Change>) {
    if old.real == new.real {
        return;
    }
    let is_table = |side: &Side| side.real.as_ref().is_some_and(Value::is_object);
    if is_table(&old) && is_table(&new) {
        for key in old.keys().chain(new.keys()).collect::<BTreeSet<_>>() {
            compare(format!("{path}.{key}"), old.below(&key), new.below(&key), changes);
        }
        return;
    }
    if let (Some(old), Some(new)) = (old.by_name(), new.by_name()) {
        for key in old.keys().chain(new.keys()).collect::<BTreeSet<_>>() {
            compare(format!("{path}[{key}]"), old.below(&key), new.below(&key), changes);
        }
        return;
    }
    let there = |shown: Option<Value>| shown.filter(|value| !value.is_null());
    changes.push(Change { path, old: there(old.shown), new: there(new.shown) });
}

/// What a table of a list is called.
fn name(table: &Value) -> Option<String> {
    let name = ["name", "extension", "dialled"].iter().find_map(|key| table.get(key))?;
    name.as_str().map(str::to_owned)
}
