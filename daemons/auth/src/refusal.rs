//! The core's refusals as they cross the wire.

use auth_core::Refusal as Core;
use service::{Refusal, RefusalKind};

/// The refusal for the caller: what it can do about it, the code, and the sentence.
pub fn told(refusal: &Core) -> Refusal {
    let kind = match refusal {
        Core::Weak(_) | Core::SamePerson => RefusalKind::Invalid,
        Core::NoSuchPerson | Core::NoRecovery | Core::NoSuchSession => RefusalKind::NotFound,
        Core::NameTaken
        | Core::Incompatible(_)
        | Core::NothingToDo
        | Core::LastOfficer(_)
        | Core::SetUpDone
        | Core::AccountDisabled => RefusalKind::Conflict,
        // Credentials, rights, and whatever the core may come to refuse.
        _ => RefusalKind::NotPermitted,
    };
    Refusal::new(kind, refusal.code(), refusal.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use auth_api::{Incompatible, Role};
    use auth_core::{Rejection, Weakness};
    use words::{Lang, codes};

    #[test]
    fn everything_that_is_told_has_words() {
        let refusals = [
            Core::Credentials,
            Core::Code,
            Core::CodeWanted,
            Core::NoSuchSession,
            Core::OriginLocked,
            Core::Weak(Weakness::Short),
            Core::Weak(Weakness::Uniform),
            Core::Weak(Weakness::ContainsName),
            Core::Weak(Weakness::Common),
            Core::Weak(Weakness::Used),
            Core::SessionEnded,
            Core::NotPermitted,
            Core::OwnAccount,
            Core::NoSuchPerson,
            Core::NameTaken,
            Core::SamePerson,
            Core::Incompatible(Incompatible(Role::Agent, Role::AuditAdministrator)),
            Core::NothingToDo,
            Core::LastOfficer(Role::AuditAdministrator),
            Core::SetUpDone,
            Core::AccountDisabled,
            Core::NoRecovery,
            Core::SecondOfficerNeeded,
        ];
        let rejections = [
            Rejection::UnknownPerson,
            Rejection::WrongPassword,
            Rejection::LockedOut,
            Rejection::Locked,
            Rejection::Disabled,
            Rejection::Lapsed,
            Rejection::Superseded,
            Rejection::MustChange,
            Rejection::WrongCode,
            Rejection::CodeWanted,
            Rejection::MustEnrol,
        ];
        let own = [
            "auth.busy",
            "auth.unavailable",
            "auth.assertion",
            "auth.assertion-expired",
            "auth.assertion-not-yet",
        ];
        let codes_told = refusals.iter().map(Core::code).chain(rejections.map(Rejection::code)).chain(own);
        for code in codes_told {
            for lang in [Lang::ZhCn, Lang::En] {
                assert!(codes(lang).any(|known| known == code), "{code} has no words in {lang:?}");
            }
        }
    }
}
