//! `[auth]`: passwords, lock-out and lengths of sessions. The defaults meet GB/T 22239-2019 §8.1.4.1
//! (identity authentication, third level).

use crate::value::Period;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Who may enter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Auth {
    /// When an account is locked.
    pub lock_out: LockOut,
    /// What a password must be.
    pub password: Password,
    /// A session ends after this much time without an act.
    pub idle: Period,
    /// A session ends after this much time whatever happens.
    pub absolute: Period,
    /// Who logs in with a second factor beside the three officers, who always do.
    pub second_factor: Vec<FactorRole>,
}

/// A role that may be asked for a second factor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum FactorRole {
    /// Whoever leads agents.
    Supervisor,
    /// Whoever takes contacts.
    Agent,
}

impl Default for Auth {
    fn default() -> Self {
        Self {
            lock_out: LockOut::default(),
            password: Password::default(),
            idle: Period::minutes(15),
            absolute: Period::hours(12),
            second_factor: Vec::new(),
        }
    }
}

/// When an account is locked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LockOut {
    /// After this many failures in a row.
    pub failures: u32,
    /// For this long.
    #[serde(rename = "for")]
    pub lasting: Period,
}

impl Default for LockOut {
    fn default() -> Self {
        Self { failures: 5, lasting: Period::minutes(10) }
    }
}

/// What a password must be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Password {
    /// At least this many characters.
    pub length: u32,
    /// At least this many of: lower case, upper case, digits, other characters.
    pub classes: u32,
    /// To be changed after this long.
    pub age: Period,
    /// Differs from this many former ones.
    pub history: u32,
}

impl Default for Password {
    fn default() -> Self {
        Self { length: 8, classes: 3, age: Period::days(90), history: 5 }
    }
}
