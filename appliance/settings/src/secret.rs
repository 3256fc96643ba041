//! Passwords in the file, and the mask that every output shows in their place.

use crate::value::Fault;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use std::{borrow::Cow, str::FromStr};
use zeroize::Zeroizing;

/// What stands in every output where a password is.
pub const MASK: &str = "********";

/// A password: 10 to 128 characters of at least three of lower case, upper case, digits and others. Wiped
/// from memory when dropped. It has neither `Debug` nor `Display`, and `Serialize` gives [`MASK`].
#[derive(Clone)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// The password itself: for the daemon that checks with it, never for a log or a screen.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        // Both stand in files of the same owner: nothing is learnt from the time this takes.
        *self.0 == *other.0
    }
}

impl FromStr for Secret {
    type Err = Fault;

    fn from_str(text: &str) -> Result<Self, Fault> {
        let kinds: [fn(char) -> bool; 4] =
            [char::is_lowercase, char::is_uppercase, |c| c.is_ascii_digit(), |c| !c.is_alphanumeric()];
        let classes = kinds.iter().filter(|kind| text.chars().any(kind)).count();
        let sound = (10..=128).contains(&text.chars().count()) && !text.chars().any(char::is_control);
        if sound && classes >= 3 {
            Ok(Self(Zeroizing::new(text.to_owned())))
        } else {
            Err(Fault::PasswordWeak)
        }
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if mutant::mutant("settings-secret-shown") {
            return serializer.serialize_str(self.reveal());
        }
        serializer.serialize_str(MASK)
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Zeroizing::new(String::deserialize(deserializer)?);
        text.parse().map_err(D::Error::custom)
    }
}

impl JsonSchema for Secret {
    fn schema_name() -> Cow<'static, str> {
        "Secret".into()
    }
    fn inline_schema() -> bool {
        true
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "minLength": 10, "maxLength": 128, "writeOnly": true })
    }
}

/// A password that somebody else gave: 1 to 128 characters, whatever its strength. Otherwise as [`Secret`].
#[derive(Clone)]
pub struct Given(Zeroizing<String>);

impl Given {
    /// The password itself: for the daemon that proves with it, never for a log or a screen.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl PartialEq for Given {
    fn eq(&self, other: &Self) -> bool {
        *self.0 == *other.0
    }
}

impl FromStr for Given {
    type Err = Fault;

    fn from_str(text: &str) -> Result<Self, Fault> {
        let sound = (1..=128).contains(&text.chars().count()) && !text.chars().any(char::is_control);
        if sound && text != MASK {
            Ok(Self(Zeroizing::new(text.to_owned())))
        } else {
            Err(Fault::PasswordGiven)
        }
    }
}

impl Serialize for Given {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if mutant::mutant("settings-secret-shown") {
            return serializer.serialize_str(self.reveal());
        }
        serializer.serialize_str(MASK)
    }
}

impl<'de> Deserialize<'de> for Given {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Zeroizing::new(String::deserialize(deserializer)?);
        text.parse().map_err(D::Error::custom)
    }
}

impl JsonSchema for Given {
    fn schema_name() -> Cow<'static, str> {
        "Given".into()
    }
    fn inline_schema() -> bool {
        true
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "minLength": 1, "maxLength": 128, "writeOnly": true })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mask_and_plain_words_are_no_passwords() {
        for wrong in [MASK, "8001", "password12", "Aa1!", "Abcdefghi1\n"] {
            assert_eq!(wrong.parse::<Secret>().err(), Some(Fault::PasswordWeak), "{wrong:?}");
        }
        assert!("Yanmen-8001-demo".parse::<Secret>().is_ok());
    }
}
