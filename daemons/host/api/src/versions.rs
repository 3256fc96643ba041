//! The words of settings in versions: how they are looked at, changed and brought back.

use auth_api::Assertion;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use settings::{Change, Problem};
use std::{collections::BTreeMap, fmt};
use types::{PersonId, Utc};

/// The number of a version: 1 is the first that was installed; 0 are the built-in defaults before it.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(transparent)]
pub struct VersionNumber(pub u64);

impl VersionNumber {
    /// The next one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for VersionNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// One version, without its text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Version {
    /// Its number.
    pub number: VersionNumber,
    /// When it was installed.
    pub installed: Utc,
    /// Who installed it; nobody for the first, which comes before there are accounts.
    pub person: Option<PersonId>,
    /// Why, in the person's words.
    pub reason: String,
    /// The earlier version whose text it brings back.
    pub restores: Option<VersionNumber>,
    /// SM3 (GB/T 32905) over a secret salt and the text, in hexadecimal: host alone can show which text it
    /// is, and nobody can try passwords against it.
    pub digest: String,
}

/// Opens the stream of the caller's own sections, those that `configs/house.toml` gives it.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Follow {}

/// The caller's own sections, secrets within. It has no `Debug`.
#[derive(Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Sections {
    /// The version they come from.
    pub version: VersionNumber,
    /// By name; each parses as the type of that section in `settings`.
    pub sections: BTreeMap<String, Value>,
}

/// Asks for the current settings. Whoever looks leaves an entry in the audit log, for they name people; a house whose
/// audit is away is looked at all the same, and the entry follows.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Show {
    /// Who asks, where somebody is logged in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assertion: Option<Assertion>,
}

/// The current settings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Shown {
    /// The version; `None` before the first was installed, while the built-in defaults hold.
    pub version: Option<Version>,
    /// All sections, secrets masked. They may be changed and applied as they are: a mask means the password
    /// that was.
    pub settings: Value,
}

/// Asks what is wrong with a text.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Check {
    /// A settings file.
    pub text: String,
}

/// What is wrong with a text, and what it would change.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Checked {
    /// Every mistake; empty for a sound text.
    pub problems: Vec<Problem>,
    /// What is no mistake in a sound text and still worth a second look.
    #[serde(default)]
    pub advice: Vec<Problem>,
    /// What a sound text would change now. A password that is not masked always counts as changed.
    pub differences: Differences,
}

/// Asks what differs between two versions; leaves an entry as [`Show`] does.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Diff {
    /// Who asks, where somebody is logged in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assertion: Option<Assertion>,
    /// The older side; 0 are the built-in defaults.
    pub from: VersionNumber,
    /// The newer side.
    pub to: VersionNumber,
}

/// What differs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Differences {
    /// The settings that differ, secrets masked: all of them, or the first that fit one message.
    pub changes: Vec<Difference>,
    /// How many more differ.
    #[serde(default)]
    pub left_out: usize,
}

/// One setting that differs, and when the change takes effect.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Difference {
    /// The setting, before and after.
    pub change: Change,
    /// When it takes effect.
    pub effect: settings::Applied,
}

/// Makes a text the current version.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Apply {
    /// A settings file; a masked password means the one that was.
    pub text: String,
    /// Who asks: a system administrator.
    pub assertion: Assertion,
    /// Why, for the history and the log: one line of 1 to 500 characters.
    pub reason: String,
    /// The version that the person looked at; refused with Conflict where another has been installed since.
    pub base: Option<VersionNumber>,
}

/// Makes the text of an earlier version the current one again.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RollBack {
    /// The earlier version.
    pub to: VersionNumber,
    /// Who asks: a system administrator.
    pub assertion: Assertion,
    /// Why, for the history and the log: one line of 1 to 500 characters.
    pub reason: String,
}

/// What became of a text.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Applied {
    /// It is the current version now.
    Installed {
        /// The version.
        version: Version,
        /// What it changed.
        differences: Differences,
    },
    /// It has mistakes, and nothing was changed.
    Unsound {
        /// Every mistake.
        problems: Vec<Problem>,
    },
}

/// Asks for every version.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Versions {}

/// Every version.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct VersionList {
    /// The one that holds; `None` before the first.
    pub current: Option<VersionNumber>,
    /// The oldest first.
    pub versions: Vec<Version>,
}
