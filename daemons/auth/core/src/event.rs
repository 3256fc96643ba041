//! What the audit log is told.

use crate::act::{Deed, Refusal};
use auth_api::{Origin, Role};
use types::PersonId;

/// One entry for the audit log: durable before the act takes effect or the refusal is spoken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// What was asked.
    pub what: What,
    /// Who asked, where that is known: a name that has no account is not written down, because people type
    /// passwords into the wrong field.
    pub by: Option<PersonId>,
    /// From where.
    pub origin: Option<Origin>,
    /// On whom.
    pub on: Option<PersonId>,
    /// Which role, where one is given or taken.
    pub role: Option<Role>,
    /// How it went.
    pub outcome: Outcome,
}

/// What was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(
    missing_docs,
    reason = "each is the act or deed of that name; a lock-out of an origin is its last failure"
)]
pub enum What {
    SetUp,
    LogIn,
    LogOut,
    OriginLockOut,
    ChangePassword,
    EnrolFactor,
    UseRecoveryCode,
    Create,
    Grant,
    Revoke,
    Disable,
    Enable,
    Unlock,
    RequestRecovery,
    ApproveRecovery,
    List,
}

/// How an act went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Done.
    Done,
    /// The password opened nothing: the log says why, the asker is told [`Refusal::Credentials`].
    Rejected(Rejection),
    /// A rule forbade it.
    Refused(Refusal),
}

/// Why a password opened nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rejection {
    /// No account of this name.
    UnknownPerson,
    /// Not the password.
    WrongPassword,
    /// Not the password, and one time too often: the account is locked now.
    LockedOut,
    /// The account was locked already.
    Locked,
    /// The account is closed.
    Disabled,
    /// A one-time password after its time.
    Lapsed,
    /// The account changed while the password was checked.
    Superseded,
    /// The right password, which opens nothing but its own change.
    MustChange,
    /// The right password, and not the code of the second factor.
    WrongCode,
    /// The right password, and the code of the second factor is still to come.
    CodeWanted,
    /// The right password, and a second factor is to be enrolled first.
    MustEnrol,
}

impl From<&Deed> for What {
    fn from(deed: &Deed) -> Self {
        match deed {
            Deed::Create { .. } => Self::Create,
            Deed::Grant { .. } => Self::Grant,
            Deed::Revoke { .. } => Self::Revoke,
            Deed::Disable { .. } => Self::Disable,
            Deed::Enable { .. } => Self::Enable,
            Deed::Unlock { .. } => Self::Unlock,
            Deed::RequestRecovery { .. } => Self::RequestRecovery,
            Deed::ApproveRecovery { .. } => Self::ApproveRecovery,
            Deed::List => Self::List,
        }
    }
}

impl Rejection {
    /// The code by which words and programs know it.
    pub const fn code(self) -> &'static str {
        match self {
            Self::UnknownPerson => "auth.unknown-person",
            Self::WrongPassword => "auth.wrong-password",
            Self::LockedOut | Self::Locked => "auth.locked",
            Self::Disabled => "auth.account-disabled",
            Self::Lapsed => "auth.lapsed",
            Self::Superseded => "auth.superseded",
            Self::MustChange => "auth.must-change",
            Self::WrongCode => "auth.wrong-code",
            Self::CodeWanted => "auth.code-wanted",
            Self::MustEnrol => "auth.must-enrol",
        }
    }
}
