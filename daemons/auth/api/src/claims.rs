//! What an assertion says, and its one canonical form in bytes.

use crate::role::Roles;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::{fmt, time::Duration};
use types::{Name, PersonId, Uid, Utc};

/// The longest life of an assertion.
pub const LIFETIME: Duration = Duration::from_secs(5 * 60);

/// The public name of a log-in session: it stands in assertions and in the log, and opens nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct SessionId(pub Uid);

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// Who someone is and what he may do, until when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Claims {
    /// The person.
    pub person: PersonId,
    /// What the person may do.
    pub roles: Roles,
    /// The log-in from which this came.
    pub session: SessionId,
    /// When it was made.
    pub issued: Utc,
    /// From this moment on it says nothing; at most [`LIFETIME`] after `issued`.
    pub expires: Utc,
}

/// version u8 ‖ session \[16\] ‖ issued i64 ‖ expires i64 ‖ roles u8, integers big-endian; the person follows.
const FIXED: usize = 1 + 16 + 8 + 8 + 1;
const VERSION: u8 = 1;
/// A [`Name`] has at most 64 characters of at most four bytes.
const LONGEST_NAME: usize = 64 * 4;
/// The longest canonical form, in bytes.
#[cfg_attr(not(feature = "assertion"), expect(dead_code, reason = "bounds the text of an assertion"))]
pub(crate) const LONGEST: usize = FIXED + LONGEST_NAME;

impl Claims {
    /// The one form in bytes: version u8 ‖ session \[16\] ‖ issued i64 ‖ expires i64 ‖ roles u8 ‖ person
    /// (UTF-8, to the end); integers big-endian, moments in nanoseconds of UTC.
    pub fn to_bytes(&self) -> Vec<u8> {
        let person = self.person.0.as_str().as_bytes();
        let mut bytes = Vec::with_capacity(FIXED + person.len());
        bytes.push(VERSION);
        bytes.extend_from_slice(&self.session.0.0);
        bytes.extend_from_slice(&self.issued.0.to_be_bytes());
        bytes.extend_from_slice(&self.expires.0.to_be_bytes());
        bytes.push(self.roles.bits());
        bytes.extend_from_slice(person);
        bytes
    }

    /// Reads the canonical form. `None` for any other bytes, roles that exclude each other, and a life
    /// that is empty or longer than [`LIFETIME`].
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (version, rest) = bytes.split_first()?;
        let (session, rest) = rest.split_first_chunk()?;
        let (issued, rest) = rest.split_first_chunk()?;
        let (expires, rest) = rest.split_first_chunk()?;
        let (roles, person) = rest.split_first()?;
        let (issued, expires) = (i64::from_be_bytes(*issued), i64::from_be_bytes(*expires));
        let life = u64::try_from(expires.checked_sub(issued)?).ok().map(Duration::from_nanos)?;
        if *version != VERSION || life.is_zero() || life > LIFETIME || person.len() > LONGEST_NAME {
            return None;
        }
        let person: Name = std::str::from_utf8(person).ok()?.parse().ok()?;
        Some(Self {
            person: PersonId(person),
            roles: Roles::of_bits(*roles)?,
            session: SessionId(Uid(*session)),
            issued: Utc(issued),
            expires: Utc(expires),
        })
    }
}
