//! The words of entering: the password, from where, and whether someone is there.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::{fmt, net::IpAddr};
use zeroize::Zeroizing;

/// A password as a person typed it. It has no `Debug`, and its memory is wiped when it is dropped.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct Password(Zeroizing<String>);

impl Password {
    /// In bytes of UTF-8; a bound on the work that a stranger can ask for.
    pub const LONGEST: usize = 256;

    /// The text itself, for hashing and for handing over once.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

/// The password has more than [`Password::LONGEST`] bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a password has at most {} bytes", Password::LONGEST)]
pub struct TooLong;

impl TryFrom<String> for Password {
    type Error = TooLong;

    fn try_from(text: String) -> Result<Self, TooLong> {
        let text = Zeroizing::new(text);
        if text.len() > Self::LONGEST { Err(TooLong) } else { Ok(Self(text)) }
    }
}

impl From<Password> for String {
    fn from(password: Password) -> Self {
        password.0.as_str().to_owned()
    }
}

/// A code of the second factor as a person typed it: of an app, or one of the recovery codes. It has no `Debug` that
/// shows it, and its memory is wiped when it is dropped.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct Code(Zeroizing<String>);

impl Code {
    /// In bytes of UTF-8.
    pub const LONGEST: usize = 64;

    /// The text itself, for comparing and for handing over once.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Code(…)")
    }
}

/// The code has more than [`Code::LONGEST`] bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a code has at most {} bytes", Code::LONGEST)]
pub struct CodeTooLong;

impl TryFrom<String> for Code {
    type Error = CodeTooLong;

    fn try_from(text: String) -> Result<Self, CodeTooLong> {
        let text = Zeroizing::new(text);
        if text.len() > Self::LONGEST { Err(CodeTooLong) } else { Ok(Self(text)) }
    }
}

impl From<Code> for String {
    fn from(code: Code) -> Self {
        code.0.as_str().to_owned()
    }
}

/// From where a person speaks, as the edge saw it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// The appliance's own terminal.
    Local,
    /// An address on the network.
    Address(IpAddr),
}

impl Origin {
    /// What failures are counted by: [`types::network`].
    #[must_use]
    pub fn network(self) -> Self {
        match self {
            Self::Local => Self::Local,
            Self::Address(address) => Self::Address(types::network(address)),
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Local => f.write_str("local"),
            Self::Address(address) => fmt::Display::fmt(address, f),
        }
    }
}

/// Whether the person did something since the last renewal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Presence {
    /// Something: the idle time begins anew.
    Active,
    /// Nothing: the idle time goes on.
    Idle,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_of_one_network_count_together() {
        let origin = |text: &str| Origin::Address(text.parse().unwrap()).network();
        assert_eq!(origin("2001:db8::1"), origin("2001:db8::ffff:2"));
        assert_ne!(origin("2001:db8::1"), origin("2001:db8:0:1::1"));
        assert_eq!(origin("::ffff:10.0.0.1"), origin("10.0.0.1"));
        assert_ne!(origin("10.0.0.1"), origin("10.0.0.2"));
    }
}
