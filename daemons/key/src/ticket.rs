//! Whether audit's ticket opens this object now: no durable entry, no access.

use audit_event::{EventKind, Ticket};
use mutant::mutant;
use types::{Uid, Utc};

/// The acts for which a data key is unwrapped.
const OPENING: [EventKind; 2] = [EventKind::RecordingExported, EventKind::RecordingVerified];

/// Why a ticket opens nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Void {
    /// The MAC is not audit's: the ticket was made up or changed.
    #[error("the ticket is not audit's")]
    Forged,
    /// Its moment has passed.
    #[error("the ticket has expired")]
    Expired,
    /// It was made for another object.
    #[error("the ticket is for another object")]
    OtherObject,
    /// Its act opens nothing.
    #[error("the ticket is for an act that opens no recording")]
    OtherAct,
}

/// Checks that audit made `ticket` for opening `object` and that it holds at `now`. The MAC comes first: until
/// then no field is believed.
pub fn check(ticket: &Ticket, key: &[u8; 32], object: Uid, now: Utc) -> Result<(), Void> {
    if mutant("ticket-unchecked") {
        return Ok(());
    }
    let code = mac(&ticket.mac).ok_or(Void::Forged)?;
    gm::sm3::verify_hmac(key, &[&ticket.message()], &code).map_err(|_opaque| Void::Forged)?;
    if ticket.expires <= now {
        return Err(Void::Expired);
    }
    if !OPENING.contains(&ticket.act) {
        return Err(Void::OtherAct);
    }
    if ticket.object != object.to_string() { Err(Void::OtherObject) } else { Ok(()) }
}

/// 64 hexadecimal digits, which are two [`Uid`]s one after the other.
fn mac(digits: &str) -> Option<[u8; 32]> {
    let (front, back) = digits.split_at_checked(32)?;
    let (front, back): (Uid, Uid) = (front.parse().ok()?, back.parse().ok()?);
    let mut code = [0; 32];
    code[..16].copy_from_slice(&front.0);
    code[16..].copy_from_slice(&back.0);
    Some(code)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    const KEY: [u8; 32] = [5; 32];
    const OBJECT: Uid = Uid([7; 16]);
    const NOW: Utc = Utc(1_000);

    /// A ticket as audit makes it.
    pub(crate) fn ticket(key: &[u8; 32], act: EventKind, object: &str, expires: Utc) -> Ticket {
        let mut ticket = Ticket {
            sequence: 42,
            person: "wang.fang".to_owned(),
            act,
            object: object.to_owned(),
            expires,
            mac: String::new(),
        };
        sign(&mut ticket, key);
        ticket
    }

    fn sign(ticket: &mut Ticket, key: &[u8; 32]) {
        let code = gm::sm3::hmac(key, &[&ticket.message()]);
        ticket.mac = code.iter().map(|byte| format!("{byte:02x}")).collect();
    }

    fn good() -> Ticket {
        ticket(&KEY, EventKind::RecordingExported, &OBJECT.to_string(), Utc(1_001))
    }

    #[test]
    fn audit_s_ticket_opens_its_object_until_it_expires() {
        assert_eq!(check(&good(), &KEY, OBJECT, NOW), Ok(()));
        assert_eq!(check(&good(), &KEY, OBJECT, Utc(1_001)), Err(Void::Expired));
        assert_eq!(check(&good(), &KEY, Uid([8; 16]), NOW), Err(Void::OtherObject));
        assert_eq!(check(&good(), &[6; 32], OBJECT, NOW), Err(Void::Forged));
    }

    #[test]
    fn every_changed_field_is_forged() {
        let changed: [fn(&mut Ticket); 6] = [
            |t| t.sequence += 1,
            |t| t.person.push('x'),
            |t| t.act = EventKind::RecordingVerified,
            |t| t.object.replace_range(..1, "1"),
            |t| t.expires = Utc(i64::MAX),
            |t| t.mac.replace_range(..1, if t.mac.starts_with('0') { "1" } else { "0" }),
        ];
        for (at, change) in changed.iter().enumerate() {
            let mut ticket = good();
            change(&mut ticket);
            assert_eq!(check(&ticket, &KEY, OBJECT, NOW), Err(Void::Forged), "change {at}");
        }
    }

    #[test]
    fn a_mac_of_another_form_is_forged() {
        for mac in ["", "00", &"0".repeat(63), &"0".repeat(65), &"é".repeat(32), &good().mac.to_uppercase()]
        {
            let ticket = Ticket { mac: mac.to_owned(), ..good() };
            assert_eq!(check(&ticket, &KEY, OBJECT, NOW), Err(Void::Forged), "{mac}");
        }
    }

    #[test]
    fn only_opening_acts_open() {
        for act in EventKind::ALL {
            let checked = check(&ticket(&KEY, *act, &OBJECT.to_string(), Utc(1_001)), &KEY, OBJECT, NOW);
            assert_eq!(checked, if OPENING.contains(act) { Ok(()) } else { Err(Void::OtherAct) }, "{act:?}");
        }
    }
}
