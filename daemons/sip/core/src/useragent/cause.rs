//! Status codes to causes and back (RFC 3398 §8.2.6.1, §7.2.4.1), and the Reason header (RFC 3326).

use crate::message::{Headers, Name, Status, number};
use route_api::Cause;

/// Every cause, for finding one by its number.
const CAUSES: [Cause; 15] = [
    Cause::UnallocatedNumber,
    Cause::NormalClearing,
    Cause::UserBusy,
    Cause::NoUserResponding,
    Cause::NoAnswer,
    Cause::CallRejected,
    Cause::RedirectionToNewDestination,
    Cause::DestinationOutOfOrder,
    Cause::NormalUnspecified,
    Cause::NoCircuitAvailable,
    Cause::NetworkOutOfOrder,
    Cause::TemporaryFailure,
    Cause::BearerCapabilityNotImplemented,
    Cause::RecoveryOnTimerExpiry,
    Cause::Interworking,
];

/// The status that refuses a caller for that cause.
pub(super) const fn status(cause: Cause) -> Status {
    Status(match cause {
        Cause::UnallocatedNumber => 404,
        Cause::UserBusy => 486,
        Cause::NoUserResponding => 408,
        Cause::CallRejected => 403,
        Cause::RedirectionToNewDestination => 410,
        Cause::DestinationOutOfOrder => 502,
        Cause::NoCircuitAvailable | Cause::NetworkOutOfOrder | Cause::TemporaryFailure => 503,
        Cause::BearerCapabilityNotImplemented => 488,
        Cause::RecoveryOnTimerExpiry => 504,
        Cause::Interworking => 500,
        Cause::NormalClearing | Cause::NoAnswer | Cause::NormalUnspecified => 480,
    })
}

/// The cause of a refusal: what its Reason says, else what its status means.
pub(super) fn of_refusal(status: Status, headers: &Headers) -> Cause {
    of_reason(headers).unwrap_or(match status.0 {
        300..=399 => Cause::RedirectionToNewDestination,
        401..=403 | 407 | 603 => Cause::CallRejected,
        404 | 410 | 484 | 485 | 604 => Cause::UnallocatedNumber,
        408 | 504 => Cause::RecoveryOnTimerExpiry,
        480 => Cause::NoUserResponding,
        486 | 600 => Cause::UserBusy,
        487 => Cause::NormalUnspecified,
        488 | 606 => Cause::BearerCapabilityNotImplemented,
        502 => Cause::NetworkOutOfOrder,
        400 | 481 | 500 | 503 => Cause::TemporaryFailure,
        _ => Cause::Interworking,
    })
}

/// The Q.850 cause that a Reason header carries, if this house has a word for it.
pub(super) fn of_reason(headers: &Headers) -> Option<Cause> {
    let reasons = headers.all(&Name::Reason).flat_map(|value| value.split(|b| *b == b','));
    let q850 = reasons
        .map(<[u8]>::trim_ascii)
        .find(|reason| reason.get(..5).is_some_and(|p| p.eq_ignore_ascii_case(b"Q.850")))?;
    let cause =
        q850.split(|b| *b == b';').map(<[u8]>::trim_ascii).find_map(|param| param.strip_prefix(b"cause="))?;
    let number = number(cause.trim_ascii(), 127)?;
    CAUSES.into_iter().find(|cause| u64::from(cause.q850()) == number)
}

/// The Reason header of a BYE, CANCEL or refusal.
pub(super) fn reason(cause: Cause) -> Vec<u8> {
    format!("Q.850;cause={}", cause.q850()).into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reason_speaks_before_the_status() {
        let none = Headers::default();
        assert_eq!(of_refusal(Status(486), &none), Cause::UserBusy);
        assert_eq!(of_refusal(Status(699), &none), Cause::Interworking);
        let told = Headers::default().with(Name::Reason, "SIP;cause=480, q.850 ;cause=19;text=\"no answer\"");
        assert_eq!(of_refusal(Status(480), &told), Cause::NoAnswer);
        let unknown = Headers::default().with(Name::Reason, "Q.850;cause=99");
        assert_eq!(of_refusal(Status(480), &unknown), Cause::NoUserResponding);
    }

    #[test]
    fn every_cause_comes_back_from_its_reason() {
        for cause in CAUSES {
            let headers = Headers::default().with(Name::Reason, reason(cause));
            assert_eq!(of_reason(&headers), Some(cause));
            assert!((400..700).contains(&status(cause).0));
        }
    }
}
