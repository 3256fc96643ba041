//! Newtyped ids. An id that the house makes is a [`Uid`]; an id that people write is a [`Name`].

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// 128 bits from the kernel's random source, written as 32 lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Uid(pub [u8; 16]);

impl fmt::Display for Uid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.digits(&mut [0; 32]))
    }
}

impl Uid {
    /// Its digits. Ids stand in every message, so they are not formatted byte by byte.
    fn digits<'b>(&self, buffer: &'b mut [u8; 32]) -> &'b str {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        for (pair, byte) in buffer.as_chunks_mut::<2>().0.iter_mut().zip(self.0) {
            *pair = [DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]];
        }
        // Of these sixteen characters, always.
        str::from_utf8(buffer).unwrap_or_default()
    }
}

impl fmt::Debug for Uid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Uid {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let digits = text.as_bytes();
        let mut bytes = [0; 16];
        if digits.len() != 32 {
            return Err(NameError::NotUid);
        }
        for (at, byte) in bytes.iter_mut().enumerate() {
            *byte = nibble(digits[2 * at])? << 4 | nibble(digits[2 * at + 1])?;
        }
        Ok(Self(bytes))
    }
}

fn nibble(digit: u8) -> Result<u8, NameError> {
    match digit {
        b'0'..=b'9' => Ok(digit - b'0'),
        b'a'..=b'f' => Ok(digit - b'a' + 10),
        _ => Err(NameError::NotUid),
    }
}

impl TryFrom<String> for Uid {
    type Error = NameError;
    fn try_from(text: String) -> Result<Self, NameError> {
        text.parse()
    }
}

impl From<Uid> for String {
    fn from(uid: Uid) -> Self {
        uid.to_string()
    }
}

impl Serialize for Uid {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.digits(&mut [0; 32]))
    }
}

impl<'de> Deserialize<'de> for Uid {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Digits;
        impl serde::de::Visitor<'_> for Digits {
            type Value = Uid;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("32 lower-case hexadecimal digits")
            }
            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Uid, E> {
                text.parse().map_err(E::custom)
            }
        }
        deserializer.deserialize_str(Digits)
    }
}

impl JsonSchema for Uid {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Uid".into()
    }
    fn inline_schema() -> bool {
        true
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "pattern": "^[0-9a-f]{32}$" })
    }
}

/// A name that people write: 1 to 64 characters, a letter or digit first, then letters, digits, `.`, `_`
/// or `-` (letters and digits of every script, so 张三 is a name).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Name(String);

impl JsonSchema for Name {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Name".into()
    }
    fn inline_schema() -> bool {
        true
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "minLength": 1, "maxLength": 64 })
    }
}

impl Name {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Name {
    type Error = NameError;

    fn try_from(text: String) -> Result<Self, NameError> {
        let mut chars = text.chars();
        let sound = chars.next().is_some_and(char::is_alphanumeric)
            && chars.all(|c| c.is_alphanumeric() || matches!(c, '.' | '_' | '-'))
            && text.chars().count() <= 64;
        if sound { Ok(Self(text)) } else { Err(NameError::NotName) }
    }
}

impl FromStr for Name {
    type Err = NameError;
    fn from_str(text: &str) -> Result<Self, NameError> {
        Self::try_from(text.to_owned())
    }
}

impl From<Name> for String {
    fn from(name: Name) -> Self {
        name.0
    }
}

impl AsRef<str> for Name {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why a text is no id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NameError {
    /// Not 32 lower-case hexadecimal digits.
    #[error("an id is 32 hexadecimal digits (0-9, a-f)")]
    NotUid,
    /// Empty, too long, or with a character that a name has not.
    #[error("a name has 1 to 64 letters, digits, '.', '_' or '-', and begins with a letter or digit")]
    NotName,
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident($inner:ty);)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
        #[serde(transparent)]
        pub struct $name(pub $inner);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }

        impl FromStr for $name {
            type Err = NameError;
            fn from_str(text: &str) -> Result<Self, NameError> {
                text.parse().map(Self)
            }
        }
    )*};
}

ids! {
    /// All legs of one conversation.
    CallId(Uid);
    /// One party's side of a call.
    LegId(Uid);
    /// One capture of a live call's packets.
    CaptureId(Uid);
    /// One sealed recording.
    RecordingId(Uid);
    /// A named person with an account.
    PersonId(Name);
    /// A person who takes contacts.
    AgentId(Name);
    /// Where contacts wait for an agent.
    QueueId(Name);
    /// A line to a carrier.
    TrunkId(Name);
    /// The number under which a phone registers.
    Extension(Name);
}

impl Copy for CallId {}
impl Copy for CaptureId {}
impl Copy for LegId {}
impl Copy for RecordingId {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uid_round_trips_and_refuses_upper_case() {
        let uid: Uid = "00112233445566778899aabbccddeeff".parse().unwrap();
        assert_eq!(uid.to_string(), "00112233445566778899aabbccddeeff");
        assert_eq!("00112233445566778899AABBCCDDEEFF".parse::<Uid>(), Err(NameError::NotUid));
        assert_eq!(serde_json::from_str::<Uid>("\"00112233445566778899aabbccddeeff\"").unwrap(), uid);
    }

    #[test]
    fn names_are_bounded() {
        assert!("张三".parse::<Name>().is_ok());
        for wrong in ["", "-a", "a b", "a/b", "a\0", &"x".repeat(65)] {
            assert_eq!(wrong.parse::<Name>(), Err(NameError::NotName), "{wrong:?}");
        }
    }
}
