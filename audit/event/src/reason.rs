//! Why a person acts, in their own words, as every desk takes it.

/// The longest, in characters.
const LONGEST: usize = 500;

/// A reason that the log does not take.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("say why in one line of 1 to {LONGEST} characters: the audit log keeps the reason")]
pub struct UnsoundReason;

/// The reason without the space around it.
///
/// # Errors
/// It is empty, longer than 500 characters, or more than one line.
pub fn sound_reason(text: &str) -> Result<&str, UnsoundReason> {
    let reason = text.trim();
    let long = reason.chars().take(LONGEST + 1).count() > LONGEST;
    if reason.is_empty() || long || reason.contains(char::is_control) {
        Err(UnsoundReason)
    } else {
        Ok(reason)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_one_line_that_says_something() {
        let (longest, longer) = ("因".repeat(500), "因".repeat(501));
        assert_eq!(sound_reason(" complaint 2026-117\n"), Ok("complaint 2026-117"));
        assert_eq!(sound_reason(&longest), Ok(longest.as_str()));
        for unsound in ["", " \t", "one\ntwo", "a\u{1b}[2J", &longer] {
            assert_eq!(sound_reason(unsound), Err(UnsoundReason), "{unsound:?}");
        }
    }
}
