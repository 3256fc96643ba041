//! What can be asked of the directory, and what it answers.

use crate::{
    challenge::{Proof, Replacement},
    factor::{FactorSecret, Fresh},
    password::PasswordHash,
    policy::Weakness,
    recovery::RecoveryId,
};
use auth_api::{Claims, Code, Incompatible, Origin, Password, Presence, Role, SessionId};
use types::{Monotonic, PersonId, Utc};

/// The moment of an act, on both clocks: patience is reckoned in the first, passwords age in the second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// For lock-out and sessions.
    pub monotonic: Monotonic,
    /// For assertions and the age of passwords.
    pub utc: Utc,
}

/// One thing asked of the directory.
#[derive(Clone, Debug)]
pub enum Act {
    /// Names the three officers, once, with the set-up password.
    SetUp {
        /// Of the set-up password.
        proof: Proof,
        /// Who they are.
        officers: Officers,
        /// From where.
        origin: Origin,
    },
    /// Begins a session.
    LogIn {
        /// Of the person's password.
        proof: Proof,
        /// Of the second factor.
        code: Option<Code>,
        /// From where.
        origin: Origin,
        /// The name of the session, if there will be one.
        session: SessionId,
        /// For a second factor that is enrolled here.
        fresh: Fresh,
    },
    /// Changes one's own password, with the old one; no session is needed, and every session ends.
    ChangePassword {
        /// Of the old password, with the new one.
        replacement: Replacement,
        /// Of the second factor.
        code: Option<Code>,
        /// From where.
        origin: Origin,
        /// Names the voucher for the log; no session of this name will be.
        voucher: SessionId,
    },
    /// Asks for the claims of the next minutes.
    Renew {
        /// The session.
        session: SessionId,
        /// Whether the person is there.
        presence: Presence,
    },
    /// Ends a session.
    LogOut {
        /// The session.
        session: SessionId,
    },
    /// Ends another of one's own sessions.
    EndSession {
        /// The asker's.
        session: SessionId,
        /// The one to end; it may be the same.
        other: SessionId,
    },
    /// What officers do.
    Officer {
        /// The officer's session.
        session: SessionId,
        /// What.
        deed: Deed,
    },
}

/// The three officers with the hashes of their first passwords.
#[derive(Clone, Debug)]
pub struct Officers {
    /// 系统管理员.
    pub system: (PersonId, PasswordHash),
    /// 安全管理员.
    pub security: (PersonId, PasswordHash),
    /// 审计管理员.
    pub audit: (PersonId, PasswordHash),
}

/// What officers do. Who may do which: [`Deed::permitted`].
#[derive(Clone)]
pub enum Deed {
    /// Creates an account without a role.
    Create {
        /// Whose.
        person: PersonId,
        /// The hash of its one-time password.
        first: PasswordHash,
    },
    /// Gives a role.
    Grant {
        /// To whom.
        person: PersonId,
        /// Which.
        role: Role,
    },
    /// Takes a role away; every session of the person ends.
    Revoke {
        /// From whom.
        person: PersonId,
        /// Which.
        role: Role,
    },
    /// Closes an account; every session of the person ends.
    Disable {
        /// Whose.
        person: PersonId,
    },
    /// Opens a closed account.
    Enable {
        /// Whose.
        person: PersonId,
    },
    /// Ends a lock-out before its time.
    Unlock {
        /// Whose.
        person: PersonId,
    },
    /// Asks that a person's lost password be replaced.
    RequestRecovery {
        /// Whose.
        person: PersonId,
        /// Names the request.
        id: RecoveryId,
        /// The half that the requester is shown.
        half: Password,
    },
    /// Agrees to a recovery that another officer requested.
    ApproveRecovery {
        /// Whose.
        person: PersonId,
        /// The request that was seen.
        id: RecoveryId,
        /// The hash of both halves [`joined`](crate::joined).
        one_time: PasswordHash,
    },
    /// Sees all accounts.
    List,
}

impl std::fmt::Debug for Deed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())?;
        if let Some(person) = self.person() { write!(f, "({person})") } else { Ok(()) }
    }
}

impl Deed {
    /// The roles whose holders may do this.
    pub const fn permitted(&self) -> &'static [Role] {
        match self {
            Self::Create { .. } | Self::Disable { .. } | Self::Enable { .. } => &[Role::SystemAdministrator],
            Self::Grant { .. } | Self::Revoke { .. } | Self::Unlock { .. } => &[Role::SecurityAdministrator],
            Self::RequestRecovery { .. } | Self::ApproveRecovery { .. } | Self::List => &Role::OFFICERS,
        }
    }

    /// On whom it is done.
    pub const fn person(&self) -> Option<&PersonId> {
        match self {
            Self::Create { person, .. }
            | Self::Grant { person, .. }
            | Self::Revoke { person, .. }
            | Self::Disable { person }
            | Self::Enable { person }
            | Self::Unlock { person }
            | Self::RequestRecovery { person, .. }
            | Self::ApproveRecovery { person, .. } => Some(person),
            Self::List => None,
        }
    }

    const fn name(&self) -> &'static str {
        match self {
            Self::Create { .. } => "Create",
            Self::Grant { .. } => "Grant",
            Self::Revoke { .. } => "Revoke",
            Self::Disable { .. } => "Disable",
            Self::Enable { .. } => "Enable",
            Self::Unlock { .. } => "Unlock",
            Self::RequestRecovery { .. } => "RequestRecovery",
            Self::ApproveRecovery { .. } => "ApproveRecovery",
            Self::List => "List",
        }
    }
}

/// What the asker is told once the act is on record.
pub type Answer = Result<Reply, Refusal>;

/// An act that was done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// Done; there is no more to say.
    Done,
    /// To be signed: who the asker is.
    Claims(Claims),
    /// The password is right and opens nothing but its own change: it is a one-time password or too old.
    MustChange,
    /// The password is right, and the code of the second factor is wanted with it.
    CodeWanted,
    /// The password is right, and this secret is to be shown: a code of it enrols.
    Enrol(FactorSecret),
    /// The second factor is enrolled; to be signed, and its recovery codes to be shown.
    Enrolled(Claims, Vec<Code>),
}

/// Why an act was not done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// One answer for a wrong password, an unknown name, a lock-out, a closed account and a lapsed
    /// password: a stranger learns nothing from it.
    #[error("name or password is wrong, or the account is locked for some minutes")]
    Credentials,
    /// Not a code of the second factor, or one that was used.
    #[error("the code is wrong, or was used already: wait for the next one")]
    Code,
    /// The second factor's code is wanted too.
    #[error("the code of the second factor is wanted too")]
    CodeWanted,
    /// Not a session of the asker's.
    #[error("there is no such session of yours")]
    NoSuchSession,
    /// Too many failures from there.
    #[error("too many failures from this address: try again in some minutes")]
    OriginLocked,
    /// The new password is too weak.
    #[error("{0}")]
    Weak(#[from] Weakness),
    /// No such session, or it has ended.
    #[error("the session has ended: log in again")]
    SessionEnded,
    /// The person's role does not permit it.
    #[error("the role does not permit this act")]
    NotPermitted,
    /// Nobody does this to his own account.
    #[error("nobody does this to his own account")]
    OwnAccount,
    /// No such account.
    #[error("there is no such account")]
    NoSuchPerson,
    /// The name, or one that differs in case alone, has an account.
    #[error("this name is taken")]
    NameTaken,
    /// The three officers are three different persons.
    #[error("the three officers must be three different persons")]
    SamePerson,
    /// Roles that exclude each other.
    #[error("{0}")]
    Incompatible(#[from] Incompatible),
    /// It is so already.
    #[error("it is so already")]
    NothingToDo,
    /// An officer's role must keep one holder who can use it.
    #[error("{0} must keep one holder")]
    LastOfficer(Role),
    /// Set-up was done; its password is void.
    #[error("set-up is done and its password is void")]
    SetUpDone,
    /// The account is closed.
    #[error("the account is disabled")]
    AccountDisabled,
    /// No such request, or it has lapsed, or whoever requested it is no officer any more.
    #[error("there is no such recovery request any more")]
    NoRecovery,
    /// A recovery needs two officers of different roles, neither of them of the lost officer's role.
    #[error("a recovery is requested and approved by two officers of the two other roles")]
    SecondOfficerNeeded,
}

impl Refusal {
    /// The code by which words and programs know it.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Credentials => "auth.credentials",
            Self::Code => "auth.code",
            Self::CodeWanted => "auth.code-wanted",
            Self::NoSuchSession => "auth.no-such-session",
            Self::OriginLocked => "auth.origin-locked",
            Self::Weak(Weakness::Short) => "auth.password-short",
            Self::Weak(Weakness::Uniform) => "auth.password-uniform",
            Self::Weak(Weakness::ContainsName) => "auth.password-contains-name",
            Self::Weak(Weakness::Common) => "auth.password-common",
            Self::Weak(Weakness::Used) => "auth.password-used",
            Self::SessionEnded => "auth.session-ended",
            Self::NotPermitted => "auth.not-permitted",
            Self::OwnAccount => "auth.own-account",
            Self::NoSuchPerson => "auth.no-such-person",
            Self::NameTaken => "auth.name-taken",
            Self::SamePerson => "auth.same-person",
            Self::Incompatible(_) => "auth.roles-exclude",
            Self::NothingToDo => "auth.nothing-to-do",
            Self::LastOfficer(_) => "auth.last-officer",
            Self::SetUpDone => "auth.set-up-done",
            Self::AccountDisabled => "auth.account-disabled",
            Self::NoRecovery => "auth.no-recovery",
            Self::SecondOfficerNeeded => "auth.second-officer",
        }
    }
}
