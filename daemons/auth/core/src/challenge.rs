//! The work of a password, apart from the directory so that it can be done on any thread.

use crate::{
    password::{HashError, Match, PasswordHash, Salt},
    policy::{Policy, Weakness},
};
use auth_api::Password;
use types::PersonId;

/// Whose password is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Subject {
    SetUp,
    Person(PersonId),
}

/// What a password is to be checked against. There is one for everybody, known or not.
#[derive(Clone, Debug)]
pub struct Challenge {
    pub(crate) subject: Subject,
    pub(crate) current: PasswordHash,
    pub(crate) former: Vec<PasswordHash>,
    pub(crate) policy: Policy,
}

/// What a check found. Only [`Challenge`] makes one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proof {
    pub(crate) subject: Subject,
    pub(crate) against: PasswordHash,
    pub(crate) found: Match,
}

/// A proof of the old password, and what became of the new one.
#[derive(Clone, Debug)]
pub struct Replacement {
    pub(crate) proof: Proof,
    pub(crate) new: Result<PasswordHash, Weakness>,
}

impl Challenge {
    /// Checks a password: one hash of work, whatever the outcome.
    pub fn answer(self, password: &Password) -> Proof {
        let found = self.current.check(password);
        Proof { subject: self.subject, against: self.current, found }
    }

    /// Checks the old password and, if it is right, judges and hashes the new one: up to seven hashes of
    /// work more.
    ///
    /// # Errors
    /// [`HashError`].
    pub fn replace(self, old: &Password, new: &Password, salt: Salt) -> Result<Replacement, HashError> {
        let (policy, former) = (self.policy.clone(), self.former.clone());
        let proof = self.answer(old);
        if proof.found == Match::Different {
            // The new one will not be looked at, and so tells nothing.
            return Ok(Replacement { proof, new: Err(Weakness::Used) });
        }
        let used =
            || old.reveal() == new.reveal() || former.iter().any(|hash| hash.check(new) == Match::Same);
        let judged = match &proof.subject {
            Subject::Person(person) => policy.accepts(person, new),
            Subject::SetUp => Err(Weakness::Used),
        };
        let new = match judged {
            Ok(()) if used() => Err(Weakness::Used),
            Ok(()) => Ok(PasswordHash::new(new, salt, policy.cost)?),
            Err(weakness) => Err(weakness),
        };
        Ok(Replacement { proof, new })
    }
}

#[cfg(test)]
mod tests {
    use crate::{
        Account, Cost, Directory, Lock, Nature, Now, PasswordHash, Policy, Salt, SetUp, Snapshot, Standing,
    };
    use auth_api::Roles;
    use types::{Monotonic, PersonId, Utc};

    /// A stranger who measures the time learns neither who has an account nor, while it is closed, whether
    /// the password is right: the real hash is looked at only where it could open something.
    #[test]
    fn only_an_open_account_shows_its_hash() {
        let cost = Cost { memory_kib: 8, passes: 1, lanes: 1 };
        let now = Now { monotonic: Monotonic(1), utc: Utc(1) };
        let hash =
            PasswordHash::new(&"Some#Pass1".to_owned().try_into().unwrap(), Salt([1; 16]), cost).unwrap();
        let account = |name: &str| {
            let person = PersonId(name.parse().unwrap());
            Account::new(person, Roles::none(), hash.clone(), Nature::Chosen, now.utc)
        };
        let locked = Account { lock: Lock::Locked { until: Monotonic(9) }, ..account("locked") };
        let disabled = Account { standing: Standing::Disabled, ..account("disabled") };
        let accounts = vec![account("open"), locked, disabled];
        let snapshot = Snapshot { set_up: SetUp::Done, accounts, sessions: vec![], recoveries: vec![] };
        let policy = Policy { cost, ..Policy::default() };
        let directory = Directory::restore(policy, snapshot, now.monotonic);
        let challenged = |name: &str| directory.challenge(now, &PersonId(name.parse().unwrap())).current;
        assert_eq!(challenged("open"), hash);
        for closed in ["locked", "disabled", "unknown"] {
            assert_eq!(challenged(closed), PasswordHash::decoy(cost), "{closed}");
        }
    }
}
