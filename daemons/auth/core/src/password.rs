//! Passwords at rest: argon2id (RFC 9106) in the PHC string format.

use argon2::{
    Algorithm, Argon2, Params, PasswordVerifier, Version,
    password_hash::{PasswordHasher, phc},
};
use auth_api::Password;
use serde::{Deserialize, Serialize};
use std::fmt;

/// 128 bits from the kernel's random source, one for each hash (RFC 9106 §3.1).
#[derive(Clone, Copy)]
pub struct Salt(pub [u8; 16]);

/// How much work one guess costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cost {
    /// Memory in KiB.
    pub memory_kib: u32,
    /// Passes over the memory.
    pub passes: u32,
    /// Lanes.
    pub lanes: u32,
}

impl Cost {
    /// RFC 9106 §4, the second recommended option: 64 MiB, 3 passes, 4 lanes.
    pub const RFC_9106: Self = Self { memory_kib: 64 << 10, passes: 3, lanes: 4 };

    fn argon2id(self) -> Result<Argon2<'static>, HashError> {
        let params = Params::new(self.memory_kib, self.passes, self.lanes, Some(32))
            .map_err(|error| HashError(error.to_string()))?;
        Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
    }
}

/// Hashing failed: a cost out of range, or no memory. It is never taken for a match.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot hash a password: {0}")]
pub struct HashError(String);

/// `$argon2id$v=19$m=…,t=…,p=…$salt$hash`. Not shown by `Debug`: with it passwords can be guessed offline.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PasswordHash(String);

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash(…)")
    }
}

/// What a comparison found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Match {
    Same,
    Different,
}

impl PasswordHash {
    /// Hashes a password. Takes the time and memory of `cost`.
    ///
    /// # Errors
    /// [`HashError`].
    pub fn new(password: &Password, salt: Salt, cost: Cost) -> Result<Self, HashError> {
        let hash: phc::PasswordHash = cost
            .argon2id()?
            .hash_password_with_salt(password.reveal().as_bytes(), &salt.0)
            .map_err(|error| HashError(error.to_string()))?;
        Ok(Self(hash.to_string()))
    }

    /// A hash that no password has, and that costs as much to try as a real one.
    pub(crate) fn decoy(cost: Cost) -> Self {
        let Cost { memory_kib, passes, lanes } = cost;
        // 16 bytes of salt and 32 of hash, all zero, in unpadded base64.
        let (salt, hash) = ("A".repeat(22), "A".repeat(43));
        Self(format!("$argon2id$v=19$m={memory_kib},t={passes},p={lanes}${salt}${hash}"))
    }

    /// Compares in constant time, at the cost with which the hash was made.
    pub(crate) fn check(&self, password: &Password) -> Match {
        let Ok(hash) = phc::PasswordHash::new(&self.0) else {
            // A damaged record lets nobody in; recovery mends it.
            return Match::Different;
        };
        match Argon2::default().verify_password(password.reveal().as_bytes(), &hash) {
            Ok(()) => Match::Same,
            // Wrong, or out of memory: nobody enters on a failure.
            Err(_) => Match::Different,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHEAP: Cost = Cost { memory_kib: 8, passes: 1, lanes: 1 };

    fn password(text: &str) -> Password {
        text.to_owned().try_into().unwrap()
    }

    #[test]
    fn matches_itself_alone() {
        let hash = PasswordHash::new(&password("correct horse"), Salt([1; 16]), CHEAP).unwrap();
        assert_eq!(hash.check(&password("correct horse")), Match::Same);
        assert_eq!(hash.check(&password("correct horsf")), Match::Different);
        assert_eq!(PasswordHash("$argon2id$".into()).check(&password("")), Match::Different);
        assert!(!format!("{hash:?}").contains("argon2id$"));
    }

    #[test]
    fn the_decoy_costs_what_a_real_one_costs() {
        let real = PasswordHash::new(&password("x"), Salt([0; 16]), CHEAP).unwrap();
        let decoy = PasswordHash::decoy(CHEAP);
        assert_eq!(decoy.check(&password("x")), Match::Different);
        let head = |hash: &PasswordHash| hash.0.rsplit_once('$').map(|(head, _)| head.to_owned());
        // Salt and parameters are the same text, so the work is the same.
        assert_eq!(head(&real), head(&decoy));
        assert_eq!(real.0.len(), decoy.0.len());
    }

    #[test]
    fn the_vector_of_the_reference_implementation() {
        // phc-winner-argon2, src/test.c: argon2id, v=0x13, t=2, m=2^16, p=1, "password", "somesalt".
        let reference = PasswordHash(
            "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc".into(),
        );
        assert_eq!(reference.check(&password("password")), Match::Same);
        assert_eq!(reference.check(&password("Password")), Match::Different);
    }
}
