//! Personal data: shown masked unless someone with the right asked with a reason.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;

/// A value about a person. `Debug` and `Display` redact it; [`Pii::reveal`] is the one way to the value, so
/// that a search for that word finds every place that shows it.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Pii<T>(T);

impl<T> Pii<T> {
    /// Marks a value as personal.
    pub const fn new(value: T) -> Self {
        Self(value)
    }

    /// The value itself. The caller has checked the right and written the audit entry.
    pub const fn reveal(&self) -> &T {
        &self.0
    }

    /// The value itself, by value.
    pub fn into_revealed(self) -> T {
        self.0
    }
}

impl<T: AsRef<str>> Pii<T> {
    /// The value with its middle covered: the first three and last two characters of seven or more stay,
    /// of a shorter one only the last.
    pub fn masked(&self) -> String {
        let chars: Vec<char> = self.0.as_ref().chars().collect();
        let (head, tail) = if chars.len() >= 7 { (3, 2) } else { (0, chars.len().min(1)) };
        chars
            .iter()
            .enumerate()
            .map(|(at, c)| if at < head || at + tail >= chars.len() { *c } else { '*' })
            .collect()
    }
}

impl<T> fmt::Debug for Pii<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("‹personal›")
    }
}

impl<T> fmt::Display for Pii<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("‹personal›")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_never_shows_the_value() {
        assert!(!format!("{:?} {}", Pii::new("13800138000"), Pii::new("13800138000")).contains('8'));
    }

    #[test]
    fn masks_the_middle() {
        assert_eq!(Pii::new("13800138000").masked(), "138******00");
        assert_eq!(Pii::new("8001").masked(), "***1");
        assert_eq!(Pii::new("").masked(), "");
    }
}
