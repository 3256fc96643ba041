//! Log-in sessions: from a password to a log-out, or to the end of patience.

use crate::policy::Policy;
use auth_api::{Claims, LIFETIME, Origin, Roles, SessionId};
use serde::{Deserialize, Serialize};
use types::{Monotonic, PersonId};

/// One log-in of one person. Its moments hold within one boot of the machine; a session does not outlive it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// Its public name.
    pub id: SessionId,
    /// Whose it is.
    pub person: PersonId,
    /// From where it was begun.
    pub origin: Origin,
    /// When it was begun.
    pub began: Monotonic,
    /// The last sign of the person.
    pub active: Monotonic,
}

impl Session {
    pub(crate) fn live(&self, now: Monotonic, policy: &Policy) -> bool {
        now.since(self.began) < policy.absolute && now.since(self.active) < policy.idle
    }

    /// What the person may say of himself now: never beyond the end of the session.
    pub(crate) fn claims(&self, roles: Roles, now: crate::Now, policy: &Policy) -> Claims {
        let absolute = policy.absolute.saturating_sub(now.monotonic.since(self.began));
        let idle = policy.idle.saturating_sub(now.monotonic.since(self.active));
        Claims {
            person: self.person.clone(),
            roles,
            session: self.id,
            issued: now.utc,
            expires: now.utc.plus(LIFETIME.min(absolute).min(idle)),
        }
    }
}
