//! One person's account.

use crate::{factor::Factor, password::PasswordHash};
use auth_api::{Role, Roles};
use serde::{Deserialize, Serialize};
use types::{Monotonic, PersonId, Utc};

/// One person's account, as it is stored.
///
/// ```text
///   Standing   Enabled ──disable──> Disabled ──enable──> Enabled
///   Lock       Open{failures} ──the fifth failure──> Locked{until} ──time, unlock, recovery──> Open{0}
///   Nature     OneTime ──change──> Chosen ──recovery──> OneTime
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// Whose it is.
    pub person: PersonId,
    /// What the person may do.
    pub roles: Roles,
    /// Whether it may be used at all.
    pub standing: Standing,
    /// The present password.
    pub secret: Secret,
    /// Passwords before it, the latest first.
    pub former: Vec<PasswordHash>,
    /// Failures, and what they led to.
    pub lock: Lock,
    /// When it was created.
    pub created: Utc,
    /// The last time the person entered.
    pub entered: Option<Utc>,
    /// The second factor: kept sealed, in a row of its own.
    #[serde(skip)]
    pub factor: Factor,
}

/// A password as it is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Secret {
    /// Its hash.
    pub hash: PasswordHash,
    /// Who knows it.
    pub nature: Nature,
    /// Since when.
    pub set: Utc,
}

/// Who knows a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Nature {
    /// Given to an officer at set-up: opens nothing but its own change. It does not lapse, because nobody
    /// could give another one.
    AtSetUp,
    /// Made by the house and handed over: opens nothing but its own change, and lapses.
    OneTime,
    /// The person's own.
    Chosen,
}

/// Whether an account may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Standing {
    /// It may.
    Enabled,
    /// It may not; roles and history stay.
    Disabled,
}

/// Failures in a row, and what they led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Lock {
    /// Log-in is possible.
    Open {
        /// Failures since the last success.
        failures: u32,
    },
    /// Log-in is refused.
    Locked {
        /// Until this moment; a restart of the daemon begins the time anew.
        until: Monotonic,
    },
}

impl Lock {
    /// No failures.
    pub const CLEAR: Self = Self::Open { failures: 0 };

    /// Whether log-in is refused at `now`.
    pub fn holds(self, now: Monotonic) -> bool {
        matches!(self, Self::Locked { until } if now < until)
    }
}

impl Account {
    pub(crate) fn new(person: PersonId, roles: Roles, hash: PasswordHash, nature: Nature, now: Utc) -> Self {
        Self {
            person,
            roles,
            standing: Standing::Enabled,
            secret: Secret { hash, nature, set: now },
            former: Vec::new(),
            lock: Lock::CLEAR,
            created: now,
            entered: None,
            factor: Factor::None,
        }
    }

    /// The account with another password, `keep` former ones remembered.
    pub(crate) fn with_secret(mut self, hash: PasswordHash, nature: Nature, now: Utc, keep: usize) -> Self {
        let old = std::mem::replace(&mut self.secret, Secret { hash, nature, set: now });
        self.former.insert(0, old.hash);
        self.former.truncate(keep);
        self.lock = Lock::CLEAR;
        self
    }

    /// The officer's role that the person can exercise.
    pub(crate) fn office(&self) -> Option<Role> {
        self.roles.officer().filter(|_| self.standing == Standing::Enabled)
    }
}
