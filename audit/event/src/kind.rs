//! The event types: one vocabulary for every daemon, with a stable number each.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

macro_rules! kinds {
    ($($(#[doc = $doc:literal])+ $name:ident = $code:literal, $text:literal;)*) => {
        /// What happened. The number is the entry's type on disk and never changes its meaning.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
        pub enum EventKind {
            $($(#[doc = $doc])+ #[serde(rename = $text)] $name,)*
        }

        impl EventKind {
            /// Every kind, in the order of the numbers.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// The number on disk.
            pub const fn code(self) -> u16 {
                match self { $(Self::$name => $code),* }
            }

            /// The stable text, the key of its words in zh-CN and en.
            pub const fn text(self) -> &'static str {
                match self { $(Self::$name => $text),* }
            }

            /// Whose duty it belongs to: a daemon's name, or `service` for what all of them do.
            pub fn subject(self) -> &'static str {
                self.text().split_once('.').map_or(self.text(), |(subject, _what)| subject)
            }

            /// The kind of this number.
            pub fn of_code(code: u16) -> Option<Self> {
                Self::ALL.iter().copied().find(|kind| kind.code() == code)
            }
        }
    };
}

kinds! {
    /// A daemon began to serve.
    ServiceStarted = 1, "service.started";
    /// A daemon was told to stop.
    ServiceStopped = 2, "service.stopped";
    /// A call was refused by the table or the peer check.
    CallRefused = 3, "service.call-refused";
    /// The wall clock was stepped.
    ClockStepped = 4, "service.clock-stepped";
    /// A person logged in, or tried to.
    LogIn = 16, "auth.log-in";
    /// A person logged out.
    LogOut = 17, "auth.log-out";
    /// A person or an origin was locked out.
    LockedOut = 18, "auth.locked-out";
    /// A lock-out was lifted.
    Unlocked = 19, "auth.unlocked";
    /// The three officers were named.
    SetUp = 20, "auth.set-up";
    /// An account was created.
    AccountCreated = 21, "auth.account-created";
    /// An account was disabled.
    AccountDisabled = 22, "auth.account-disabled";
    /// A role was granted.
    RoleGranted = 23, "auth.role-granted";
    /// A role was revoked.
    RoleRevoked = 24, "auth.role-revoked";
    /// A password was changed.
    PasswordChanged = 25, "auth.password-changed";
    /// The recovery of a lost officer was requested.
    RecoveryRequested = 26, "auth.recovery-requested";
    /// The recovery of a lost officer was approved.
    RecoveryApproved = 27, "auth.recovery-approved";
    /// Accounts were listed.
    AccountsListed = 28, "auth.accounts-listed";
    /// A disabled account was enabled again.
    AccountEnabled = 29, "auth.account-enabled";
    /// A second factor was enrolled.
    SecondFactorEnrolled = 30, "auth.second-factor-enrolled";
    /// A recovery code was used in place of a code of the second factor.
    RecoveryCodeUsed = 31, "auth.recovery-code-used";
    /// Settings were applied.
    SettingsApplied = 48, "host.settings-applied";
    /// Settings were rolled back.
    SettingsRolledBack = 49, "host.settings-rolled-back";
    /// Settings were shown.
    SettingsShown = 50, "host.settings-shown";
    /// A key was made.
    KeyCreated = 64, "key.created";
    /// A signature was refused.
    KeyRefused = 65, "key.refused";
    /// A data key was unwrapped.
    KeyUnwrapped = 66, "key.unwrapped";
    /// A recording began.
    RecordingBegun = 80, "record.begun";
    /// A party joined a recording.
    RecordingJoined = 81, "record.joined";
    /// A recording was sealed.
    RecordingSealed = 82, "record.sealed";
    /// A recording was found cut off.
    RecordingTruncated = 83, "record.truncated";
    /// A recording was listened to or exported.
    RecordingExported = 84, "record.exported";
    /// A recording was verified.
    RecordingVerified = 85, "record.verified";
    /// Recordings were listed.
    RecordingsListed = 86, "record.listed";
    /// Frames were lost on the way to a recording.
    RecordingLossy = 87, "record.lossy";
    /// A recording was put on legal hold.
    RecordingHeld = 88, "record.held";
    /// A legal hold was lifted.
    RecordingReleased = 89, "record.released";
    /// The retention of a recording was over: its keys and its sound were deleted.
    RecordingDeleted = 90, "record.deleted";
    /// The disk of recordings fills, is full, has stalled, or is well again.
    DiskAlarm = 91, "record.disk-alarm";
    /// A call record was kept.
    CallRecorded = 96, "report.call-recorded";
    /// Personal data in call records was shown or searched.
    PersonalDataShown = 97, "report.personal-data-shown";
    /// An agent signed in or out.
    AgentSignedIn = 112, "route.agent-signed-in";
    /// An agent's state was set by someone else.
    AgentStateForced = 113, "route.agent-state-forced";
    /// A call was ended by a person who was not on it.
    CallHungUp = 114, "route.call-hung-up";
    /// A live call's packets were captured.
    CallCaptured = 115, "route.call-captured";
    /// Entries were listed.
    AuditListed = 128, "audit.listed";
    /// The log was verified.
    AuditVerified = 129, "audit.verified";
    /// Damage was found.
    AuditDamaged = 130, "audit.damaged";
    /// A source was slowed or refused for what it sent.
    SourceRefused = 144, "sip.source-refused";
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn numbers_and_texts_are_unique_and_read_back() {
        let codes: BTreeSet<u16> = EventKind::ALL.iter().map(|kind| kind.code()).collect();
        let texts: BTreeSet<&str> = EventKind::ALL.iter().map(|kind| kind.text()).collect();
        assert_eq!((codes.len(), texts.len()), (EventKind::ALL.len(), EventKind::ALL.len()));
        for kind in EventKind::ALL {
            assert_eq!(EventKind::of_code(kind.code()), Some(*kind));
            assert_eq!(serde_json::to_string(kind).unwrap(), format!("{:?}", kind.text()));
        }
    }
}
