//! Recovery of a lost password: two officers of different roles, neither of them the person.
//!
//! ```text
//!   officer A ──request──> pending(half a) ──approve── officer B
//!                                               └─> one-time password  a-b, A knows a, B knows b
//! ```
//!
//! Each officer is shown one half alone, so that neither can enter in the person's place.

use auth_api::{Password, TooLong};
use serde::{Deserialize, Serialize};
use std::fmt;
use types::{PersonId, Uid, Utc};

/// One request for a recovery.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RecoveryId(pub Uid);

/// A recovery that was requested and not yet approved, as it is stored.
#[derive(Clone, Serialize, Deserialize)]
pub struct Recovery {
    /// Names this request.
    pub id: RecoveryId,
    /// Who lost a password.
    pub subject: PersonId,
    /// Who asked.
    pub by: PersonId,
    /// When.
    pub requested: Utc,
    /// The half of the one-time password that `by` was shown; by itself it opens nothing.
    pub half: Password,
}

impl fmt::Debug for Recovery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, subject, by, requested, half: _ } = self;
        write!(f, "Recovery({id:?}, {subject} by {by} at {requested:?})")
    }
}

/// The one-time password of two halves.
///
/// # Errors
/// [`TooLong`], of halves that no recovery made.
pub fn joined(first: &Password, second: &Password) -> Result<Password, TooLong> {
    Password::try_from(format!("{}-{}", first.reveal(), second.reveal()))
}
