//! The sections by name, and the one door through which a section leaves with its secrets.

use crate::Settings;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::{fmt, str::FromStr};

/// A section of the file, named after the daemon that reads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs, reason = "each is the daemon of that name")]
pub enum Section {
    Sip,
    Media,
    Route,
    Record,
    Auth,
    Audit,
    Report,
    Console,
    Host,
}

impl Section {
    /// Every section, in the order of the file.
    pub const ALL: [Self; 9] = [
        Self::Sip,
        Self::Media,
        Self::Route,
        Self::Record,
        Self::Auth,
        Self::Audit,
        Self::Report,
        Self::Console,
        Self::Host,
    ];

    /// The word in the file.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sip => "sip",
            Self::Media => "media",
            Self::Route => "route",
            Self::Record => "record",
            Self::Auth => "auth",
            Self::Audit => "audit",
            Self::Report => "report",
            Self::Console => "console",
            Self::Host => "host",
        }
    }
}

impl fmt::Display for Section {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Section {
    type Err = NoSection;

    fn from_str(text: &str) -> Result<Self, NoSection> {
        Self::ALL.into_iter().find(|section| section.as_str() == text).ok_or(NoSection)
    }
}

/// The text names no section.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the settings have no section of this name")]
pub struct NoSection;

/// A section in which there is nothing to set yet.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Plain {}

/// The section's value with secrets in place of masks.
pub(crate) fn hand_out(settings: &Settings, section: Section) -> Value {
    let mut whole = settings.to_value();
    let mut value = whole.get_mut(section.as_str()).map(Value::take).unwrap_or_default();
    if section == Section::Sip {
        let phones = value.get_mut("phones").and_then(Value::as_array_mut).into_iter().flatten();
        for (shown, phone) in phones.zip(&settings.sip.phones) {
            shown["password"] = Value::String(phone.password.reveal().to_owned());
        }
        let trunks = value.get_mut("trunks").and_then(Value::as_array_mut).into_iter().flatten();
        for (shown, trunk) in trunks.zip(&settings.sip.trunks) {
            if let Some(account) = &trunk.account {
                shown["account"]["password"] = Value::String(account.password.reveal().to_owned());
            }
        }
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_section_of_the_file_has_its_name_here() {
        let whole = Settings::default().to_value();
        let mut keys: Vec<_> = whole.as_object().unwrap().keys().map(String::as_str).collect();
        let mut names: Vec<_> = Section::ALL.iter().map(|section| section.as_str()).collect();
        keys.sort_unstable();
        names.sort_unstable();
        assert_eq!(keys, names);
        for section in Section::ALL {
            assert_eq!(section.as_str().parse(), Ok(section));
        }
    }
}
