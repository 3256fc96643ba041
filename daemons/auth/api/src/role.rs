//! Roles, and which of them one person may hold together (GB/T 22239-2019 §8.1.5: 三员分立).

use mutant::mutant;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeSet, fmt};

/// What a person may do. There is no role that may do everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// 系统管理员: runs the appliance, creates and disables accounts. Grants no role, reads no log.
    SystemAdministrator,
    /// 安全管理员: grants and revokes roles, unlocks accounts. Creates none.
    SecurityAdministrator,
    /// 审计管理员: reads the audit log and reviews what the other two did. Changes nothing.
    AuditAdministrator,
    /// Leads agents: listens to recordings, sees queues and figures.
    Supervisor,
    /// Takes contacts.
    Agent,
}

impl Role {
    /// Every role, in the order of their bits in an assertion.
    pub const ALL: [Self; 5] = [
        Self::SystemAdministrator,
        Self::SecurityAdministrator,
        Self::AuditAdministrator,
        Self::Supervisor,
        Self::Agent,
    ];

    /// The three officers, 三员.
    pub const OFFICERS: [Self; 3] =
        [Self::SystemAdministrator, Self::SecurityAdministrator, Self::AuditAdministrator];

    /// Whether this is one of the three officers' roles.
    pub const fn is_officer(self) -> bool {
        matches!(self, Self::SystemAdministrator | Self::SecurityAdministrator | Self::AuditAdministrator)
    }

    /// The word on the wire and on the command line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SystemAdministrator => "system-administrator",
            Self::SecurityAdministrator => "security-administrator",
            Self::AuditAdministrator => "audit-administrator",
            Self::Supervisor => "supervisor",
            Self::Agent => "agent",
        }
    }

    const fn bit(self) -> u8 {
        1 << self as u8
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Two roles that no person may hold together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} and {1} are never held by one person")]
pub struct Incompatible(pub Role, pub Role);

/// The roles of one person: none, or one officer's role alone, or any of the others. Nothing else can be
/// built.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "BTreeSet<Role>", into = "BTreeSet<Role>")]
#[schemars(with = "BTreeSet<Role>")]
pub struct Roles(BTreeSet<Role>);

impl Roles {
    /// No role: a new account.
    pub const fn none() -> Self {
        Self(BTreeSet::new())
    }

    /// Exactly this role.
    pub fn only(role: Role) -> Self {
        Self(BTreeSet::from([role]))
    }

    /// These roles and one more.
    ///
    /// # Errors
    /// [`Incompatible`] where an officer's role would meet another role.
    pub fn with(&self, role: Role) -> Result<Self, Incompatible> {
        let met = self.0.iter().find(|held| **held != role && (held.is_officer() || role.is_officer()));
        if let Some(held) = met
            && !mutant("auth-roles-not-exclusive")
        {
            return Err(Incompatible(*held, role));
        }
        let mut roles = self.0.clone();
        roles.insert(role);
        Ok(Self(roles))
    }

    /// These roles less one.
    #[must_use]
    pub fn without(&self, role: Role) -> Self {
        Self(self.0.iter().copied().filter(|held| *held != role).collect())
    }

    /// Whether the role is among them.
    pub fn contains(&self, role: Role) -> bool {
        self.0.contains(&role)
    }

    /// The officer's role, of a person who is an officer.
    pub fn officer(&self) -> Option<Role> {
        self.0.iter().copied().find(|role| role.is_officer())
    }

    /// The roles in the order of [`Role::ALL`].
    pub fn iter(&self) -> impl Iterator<Item = Role> + '_ {
        self.0.iter().copied()
    }

    /// Whether the person holds no role.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// One bit a role, [`Role::ALL`] from the lowest.
    pub fn bits(&self) -> u8 {
        self.0.iter().fold(0, |bits, role| bits | role.bit())
    }

    /// The roles of these bits; `None` for an unknown bit or roles that no person may hold together.
    pub fn of_bits(bits: u8) -> Option<Self> {
        let roles: BTreeSet<_> = Role::ALL.into_iter().filter(|role| bits & role.bit() != 0).collect();
        Self::try_from(roles).ok().filter(|roles| roles.bits() == bits)
    }
}

impl TryFrom<BTreeSet<Role>> for Roles {
    type Error = Incompatible;

    fn try_from(roles: BTreeSet<Role>) -> Result<Self, Incompatible> {
        roles.into_iter().try_fold(Self::none(), |held, role| held.with(role))
    }
}

impl From<Roles> for BTreeSet<Role> {
    fn from(roles: Roles) -> Self {
        roles.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_officer_holds_one_role_and_nothing_else() {
        let sound: Vec<_> = (0..=u8::MAX).filter(|bits| Roles::of_bits(*bits).is_some()).collect();
        // None, each officer alone, and the three sets of supervisor and agent.
        assert_eq!(sound, [0b0, 0b1, 0b10, 0b100, 0b1000, 0b10000, 0b11000]);
        assert!(serde_json::from_str::<Roles>(r#"["agent","supervisor"]"#).is_ok());
        assert!(serde_json::from_str::<Roles>(r#"["agent","audit-administrator"]"#).is_err());
    }

    #[test]
    fn a_role_held_twice_is_held_once() {
        let officer = Roles::only(Role::AuditAdministrator);
        assert_eq!(officer.with(Role::AuditAdministrator), Ok(officer));
    }
}
