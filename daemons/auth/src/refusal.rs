//! The core's refusals as they cross the wire.

use auth_core::Refusal as Core;
use service::{Refusal, RefusalKind};

/// The refusal for the caller: what it can do about it, the code, and the sentence.
pub fn told(refusal: &Core) -> Refusal {
    let kind = match refusal {
        Core::Weak(_) | Core::SamePerson => RefusalKind::Invalid,
        Core::NoSuchPerson | Core::NoRecovery => RefusalKind::NotFound,
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
