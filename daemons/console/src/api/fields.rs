//! Values that people send, parsed: what is out of bounds is refused before a daemon is asked.

use audit_api::sound_reason;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use std::borrow::Cow;

/// Why a value is not taken. Nobody is shown it: what was sent is never repeated.
#[derive(Debug, thiserror::Error)]
#[error("out of bounds")]
pub struct OutOfBounds;

/// How many rows of a list: from 1 to 1000.
#[derive(Clone, Copy, Deserialize)]
#[serde(try_from = "u32")]
pub struct Limit(u32);

impl Limit {
    const MOST: u32 = 1_000;

    /// For a daemon's page.
    pub const fn rows(self) -> u32 {
        self.0
    }
}

impl TryFrom<u32> for Limit {
    type Error = OutOfBounds;

    fn try_from(rows: u32) -> Result<Self, OutOfBounds> {
        if (1..=Self::MOST).contains(&rows) { Ok(Self(rows)) } else { Err(OutOfBounds) }
    }
}

impl JsonSchema for Limit {
    fn schema_name() -> Cow<'static, str> {
        "Limit".into()
    }
    fn inline_schema() -> bool {
        true
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "integer", "minimum": 1, "maximum": Self::MOST })
    }
}

/// Why a person does something, for the audit log: one line of 1 to 500 characters.
#[derive(Clone, Deserialize)]
#[serde(try_from = "String")]
pub struct Reason(String);

impl Reason {
    /// For a daemon.
    pub fn into_text(self) -> String {
        self.0
    }
}

impl TryFrom<String> for Reason {
    type Error = OutOfBounds;

    fn try_from(text: String) -> Result<Self, OutOfBounds> {
        sound_reason(&text).map(|reason| Self(reason.to_owned())).map_err(|_unsound| OutOfBounds)
    }
}

impl JsonSchema for Reason {
    fn schema_name() -> Cow<'static, str> {
        "Reason".into()
    }
    fn inline_schema() -> bool {
        true
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        // Blanks around it are taken off; the pattern asks for one visible character.
        json_schema!({ "type": "string", "minLength": 1, "maxLength": 500, "pattern": "^[!-~\u{4e00}-\u{9fff}][ -~\u{4e00}-\u{9fff}]*$" })
    }
}

/// Why an agent takes no contact: 1 to 64 characters.
#[derive(Clone, Deserialize)]
#[serde(try_from = "String")]
pub struct AuxReason(String);

impl AuxReason {
    const MOST: usize = 64;

    /// For a daemon.
    pub fn into_text(self) -> String {
        self.0
    }
}

impl TryFrom<String> for AuxReason {
    type Error = OutOfBounds;

    fn try_from(text: String) -> Result<Self, OutOfBounds> {
        let sound = !text.trim().is_empty() && text.chars().count() <= Self::MOST;
        if sound { Ok(Self(text)) } else { Err(OutOfBounds) }
    }
}

impl JsonSchema for AuxReason {
    fn schema_name() -> Cow<'static, str> {
        "AuxReason".into()
    }
    fn inline_schema() -> bool {
        true
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "minLength": 1, "maxLength": Self::MOST, "pattern": "^[!-~\u{4e00}-\u{9fff}]" })
    }
}

/// A telephone number as it is searched for.
#[derive(Clone, Deserialize)]
#[serde(try_from = "String")]
pub struct Number(String);

impl Number {
    /// For a daemon.
    pub fn into_text(self) -> String {
        self.0
    }
}

impl TryFrom<String> for Number {
    type Error = OutOfBounds;

    fn try_from(text: String) -> Result<Self, OutOfBounds> {
        let digits = text.strip_prefix('+').unwrap_or(&text);
        let sound = (1..=32).contains(&digits.len())
            && digits.bytes().all(|sign| sign.is_ascii_digit() || matches!(sign, b'*' | b'#'));
        if sound { Ok(Self(text)) } else { Err(OutOfBounds) }
    }
}

impl JsonSchema for Number {
    fn schema_name() -> Cow<'static, str> {
        "Number".into()
    }
    fn inline_schema() -> bool {
        true
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": "^\\+?[0-9*#]{1,32}$" })
    }
}

/// Something that a person gives a reason for.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Because {
    /// Why, for the audit log.
    pub reason: Reason,
}

/// Something that a person gives a reason for, and the case to which it belongs.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BecauseOf {
    /// Why, for the audit log.
    pub reason: Reason,
    /// The case.
    #[serde(default)]
    pub case: Option<Reason>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_at_their_bounds() {
        for (rows, sound) in [(0, false), (1, true), (1_000, true), (1_001, false), (u32::MAX, false)] {
            assert_eq!(Limit::try_from(rows).is_ok(), sound, "{rows}");
        }
        let long = "9".repeat(33);
        for (number, sound) in [
            ("", false),
            ("+", false),
            ("+8613800138000", true),
            ("*11#", true),
            (&long, false),
            ("1 2", false),
            ("１", false),
        ] {
            assert_eq!(Number::try_from(number.to_owned()).is_ok(), sound, "{number}");
        }
        for (reason, sound) in [("", false), (" \t", false), ("a\nb", false), ("投诉 117", true)] {
            assert_eq!(Reason::try_from(reason.to_owned()).is_ok(), sound, "{reason:?}");
        }
    }
}
