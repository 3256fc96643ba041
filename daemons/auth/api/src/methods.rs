//! The methods of auth.

use crate::{Assertion, Claims, Code, Origin, Password, Presence, Role, Roles, SessionId};
use gm::sm3;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;
use types::{PersonId, Uid, Utc};

service::interface! {
    /// Accounts, roles, sessions.
    pub interface Auth = "auth" {
        /// Names the three officers, once, with the set-up password.
        call Setup -> Done;
        /// Begins a session.
        call Login -> LoggedIn;
        /// A fresh assertion of a session; to be asked for before the last one expires.
        call Renew -> Renewed;
        /// Ends a session.
        call Logout -> Done;
        /// Changes one's own password and ends one's sessions. Needs no session: it is also the one thing
        /// that a one-time password opens.
        call ChangePassword -> Done;
        /// One's own sessions.
        call Sessions -> SessionList;
        /// Ends one of one's own sessions.
        call EndSession -> Done;
        /// Every account and every pending recovery. For the three officers.
        call Accounts -> AccountList;
        /// Creates an account without a role. For the system administrator.
        call Create -> Created;
        /// Gives a role. For the security administrator.
        call Grant -> Done;
        /// Takes a role away. For the security administrator.
        call Revoke -> Done;
        /// Closes an account. For the system administrator.
        call Disable -> Done;
        /// Opens a closed account with the roles and the password that it had. For the system administrator.
        call Enable -> Done;
        /// Ends a lock-out before its time. For the security administrator.
        call Unlock -> Done;
        /// Asks that a lost password be replaced, and with it a lost second factor. For an officer of another role
        /// than the person's.
        call RequestRecovery -> RecoveryRequested;
        /// Agrees to a recovery that an officer of another role requested.
        call ApproveRecovery -> RecoveryApproved;
    }
}

/// The act is on record and done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Done {}

/// Names the three officers.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
pub struct Setup {
    /// The set-up password that auth made at its first start.
    pub password: Password,
    /// 系统管理员.
    pub system: NewOfficer,
    /// 安全管理员.
    pub security: NewOfficer,
    /// 审计管理员.
    pub audit: NewOfficer,
    /// From where.
    pub origin: Origin,
}

/// One of the three officers-to-be.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
pub struct NewOfficer {
    /// Who.
    pub person: PersonId,
    /// The first password: opens nothing but its own change.
    pub password: Password,
}

/// Begins a session.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
pub struct Login {
    /// Who.
    pub person: PersonId,
    /// The password.
    pub password: Password,
    /// The code of the second factor, where there is one; or of a secret that was just offered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<Code>,
    /// From where.
    pub origin: Origin,
}

/// What a right password opened.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "outcome", rename_all = "kebab-case")]
pub enum LoggedIn {
    /// A session.
    Entered {
        /// For renewals: whoever has it has the session.
        token: SessionToken,
        /// For the next minutes.
        assertion: Assertion,
        /// What the assertion says.
        claims: Claims,
        /// The recovery codes of a second factor that was enrolled by this log-in, shown this once: each opens one
        /// log-in in place of a code.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        recovery_codes: Vec<Code>,
    },
    /// Nothing before the code of the second factor comes with it.
    CodeWanted,
    /// Nothing before a second factor is enrolled: an app takes the secret, and the next log-in brings its code.
    Enrol(Offered),
    /// Nothing but its own change: it is a one-time password, or too old.
    MustChange,
}

/// A secret for an authenticator app (TOTP, RFC 6238: HMAC-SHA-1, 30 s, 6 digits), shown this once. It has no `Debug`.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
pub struct Offered {
    /// In base 32 (RFC 4648 §6), to be typed in.
    pub secret: String,
    /// As an `otpauth:` URI, to be drawn as a QR code.
    pub uri: String,
}

/// Asks for one's own sessions.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Sessions {
    /// Whose.
    pub assertion: Assertion,
}

/// One's own sessions.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct SessionList {
    /// The newest first.
    pub sessions: Vec<SessionEntry>,
}

/// One session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SessionEntry {
    /// Its public name.
    pub session: SessionId,
    /// From where it was begun.
    pub origin: Origin,
    /// When.
    pub began: Utc,
    /// The last sign of the person.
    pub active: Utc,
}

/// Ends one of one's own sessions. An assertion of it that was issued before holds for its five minutes at most.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct EndSession {
    /// Whose.
    pub assertion: Assertion,
    /// Which.
    pub session: SessionId,
}

/// Asks for a fresh assertion.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
pub struct Renew {
    /// Of the session.
    pub token: SessionToken,
    /// Whether the person did something since the last renewal.
    pub presence: Presence,
}

/// A fresh assertion.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
pub struct Renewed {
    /// For the next minutes.
    pub assertion: Assertion,
    /// What it says.
    pub claims: Claims,
}

/// Ends a session.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
pub struct Logout {
    /// Of the session.
    pub token: SessionToken,
}

/// Changes one's own password.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
pub struct ChangePassword {
    /// Who.
    pub person: PersonId,
    /// The present password.
    pub old: Password,
    /// The next one.
    pub new: Password,
    /// The code of the second factor, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<Code>,
    /// From where.
    pub origin: Origin,
}

/// Asks for every account.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Accounts {
    /// Of an officer.
    pub assertion: Assertion,
}

/// Every account and every pending recovery.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct AccountList {
    /// By name.
    pub accounts: Vec<AccountEntry>,
    /// By name.
    pub recoveries: Vec<PendingRecovery>,
}

/// One account as officers see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AccountEntry {
    /// Whose.
    pub person: PersonId,
    /// What the person may do.
    pub roles: Roles,
    /// What it opens at the moment.
    pub standing: Standing,
    /// When the password was set.
    pub password_set: Utc,
    /// When it was created.
    pub created: Utc,
    /// When the person last logged in.
    #[serde(default)]
    pub entered: Option<Utc>,
    /// Sessions at the moment.
    pub sessions: u32,
    /// Whether log-in takes a second factor.
    #[serde(default)]
    pub second_factor: SecondFactor,
}

/// What an account opens at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    /// A session, with the password.
    Open,
    /// The change of its password: that is a one-time password, or too old.
    MustChange,
    /// Nothing for some minutes, after too many failures.
    Locked,
    /// Nothing.
    Disabled,
}

/// Whether log-in takes a second factor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SecondFactor {
    /// It does not.
    #[default]
    None,
    /// It will: the next log-in enrols one.
    Wanted,
    /// It does.
    Enrolled,
}

/// A recovery that waits for its second officer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PendingRecovery {
    /// Names the request.
    pub recovery: Uid,
    /// Who lost a password.
    pub person: PersonId,
    /// Who asked.
    pub by: PersonId,
    /// When.
    pub requested: Utc,
}

/// Creates an account.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Create {
    /// Of the system administrator.
    pub assertion: Assertion,
    /// Whose account.
    pub person: PersonId,
}

/// The account is there.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
pub struct Created {
    /// The one-time password, shown this once.
    pub password: Password,
}

/// Gives a role.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Grant {
    /// Of the security administrator.
    pub assertion: Assertion,
    /// To whom.
    pub person: PersonId,
    /// Which.
    pub role: Role,
}

/// Takes a role away.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Revoke {
    /// Of the security administrator.
    pub assertion: Assertion,
    /// From whom.
    pub person: PersonId,
    /// Which.
    pub role: Role,
}

/// Closes an account.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Disable {
    /// Of the system administrator.
    pub assertion: Assertion,
    /// Whose.
    pub person: PersonId,
}

/// Opens a closed account.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Enable {
    /// Of the system administrator.
    pub assertion: Assertion,
    /// Whose.
    pub person: PersonId,
}

/// Ends a lock-out before its time.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Unlock {
    /// Of the security administrator.
    pub assertion: Assertion,
    /// Whose.
    pub person: PersonId,
}

/// Asks that a lost password be replaced.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct RequestRecovery {
    /// Of an officer.
    pub assertion: Assertion,
    /// Whose.
    pub person: PersonId,
}

/// The recovery waits for another officer.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
pub struct RecoveryRequested {
    /// Names the request.
    pub recovery: Uid,
    /// The first half of the one-time password, shown this once and to the requester alone.
    pub first_half: Password,
}

/// Agrees to a recovery.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct ApproveRecovery {
    /// Of an officer of another role than the requester's.
    pub assertion: Assertion,
    /// Whose.
    pub person: PersonId,
    /// The request.
    pub recovery: Uid,
}

/// The old password is void. The one-time password is the first half, `-`, the second half; the person
/// hears each half from another officer.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
pub struct RecoveryApproved {
    /// The second half, shown this once and to the approver alone.
    pub second_half: Password,
}

/// Renews and ends one session: whoever has it has the session, so `Debug` does not show it. The session's public
/// name follows from it and leads nowhere back.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct SessionToken(String);

impl SessionToken {
    /// The token of these random bytes.
    pub fn new(random: &[u8; 32]) -> Self {
        Self(random.iter().map(|byte| format!("{byte:02x}")).collect())
    }

    /// The token that a cookie or a file brought back.
    pub fn from_text(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// The text itself, for a cookie or a file and for nothing else.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The public name of the session: the first 16 bytes of SM3("yanmen session v1" ‖ 0 ‖ token).
    pub fn session(&self) -> SessionId {
        let digest = sm3::digest_parts(&[b"yanmen session v1\0", self.0.as_bytes()]);
        let mut name = [0; 16];
        name.iter_mut().zip(digest.0).for_each(|(to, from)| *to = from);
        SessionId(Uid(name))
    }
}

impl fmt::Debug for SessionToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionToken(…)")
    }
}
