//! An assertion says what the house signed, while it holds, and nothing else.
#![allow(clippy::unwrap_used, reason = "a failed step is a failed test")]

use auth_api::{Assertion, AssertionError, Claims, LIFETIME, Role, Roles, SIGNING_ID, SessionId, Verifier};
use gm::sm2::SigningKey;
use proptest::prelude::*;
use std::time::Duration;
use types::{PersonId, Uid, Utc};

const NOON: Utc = Utc(1_800_000_000_000_000_000);

fn house() -> SigningKey {
    SigningKey::from_bytes(&[7; 32]).unwrap()
}

fn claims() -> Claims {
    Claims {
        person: PersonId("张三".parse().unwrap()),
        roles: Roles::only(Role::Supervisor).with(Role::Agent).unwrap(),
        session: SessionId(Uid([9; 16])),
        issued: NOON,
        expires: NOON.plus(LIFETIME),
    }
}

fn signed(claims: &Claims, key: &SigningKey) -> Assertion {
    Assertion::new(claims, &key.sign(SIGNING_ID, &Assertion::message(claims)).unwrap())
}

fn verifier() -> Verifier {
    Verifier::new(house().verifying_key().clone())
}

#[test]
fn says_what_was_signed() {
    let assertion = signed(&claims(), &house());
    assert_eq!(verifier().verify(&assertion, NOON), Ok(claims()));
    assert!(assertion.as_str().len() < 150, "{} characters", assertion.as_str().len());
}

#[test]
fn the_form_never_changes() {
    let hex: String = Assertion::message(&claims()).iter().map(|byte| format!("{byte:02x}")).collect();
    let prefix = "79616e6d656e20617373657274696f6e20763100"; // "yanmen assertion v1\0"
    let session = "09".repeat(16);
    // Version 1, session, 2027-01-15T08:00:00Z and five minutes later, agent and supervisor, 张三.
    assert_eq!(hex, format!("{prefix}01{session}18fae27693b4000018fae2bc6d18b80018e5bca0e4b889"));
}

#[test]
fn ends_at_its_last_moment() {
    let assertion = signed(&claims(), &house());
    let last = Utc(claims().expires.0 - 1);
    assert!(verifier().verify(&assertion, last).is_ok());
    assert_eq!(verifier().verify(&assertion, claims().expires), Err(AssertionError::Expired));
    let early = Utc(NOON.0 - Duration::from_secs(31).as_nanos() as i64);
    assert_eq!(verifier().verify(&assertion, early), Err(AssertionError::NotYet));
}

#[test]
fn another_house_is_not_believed() {
    let stranger = SigningKey::from_bytes(&[8; 32]).unwrap();
    assert_eq!(verifier().verify(&signed(&claims(), &stranger), NOON), Err(AssertionError::Forged));
}

#[test]
fn a_signature_made_for_something_else_is_no_assertion() {
    // What the house signs elsewhere, such as a checkpoint, lacks the prefix.
    let bare = house().sign(SIGNING_ID, &claims().to_bytes()).unwrap();
    assert_eq!(verifier().verify(&Assertion::new(&claims(), &bare), NOON), Err(AssertionError::Forged));
}

#[test]
fn a_longer_life_is_refused_even_when_signed() {
    let eternal = Claims { expires: NOON.plus(LIFETIME + Duration::from_nanos(1)), ..claims() };
    assert_eq!(verifier().verify(&signed(&eternal, &house()), NOON), Err(AssertionError::Malformed));
}

#[test]
fn every_changed_character_is_seen() {
    let text = signed(&claims(), &house()).as_str().to_owned();
    for at in 0..text.len() {
        let mut changed = text.clone().into_bytes();
        changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
        let changed = Assertion::from(String::from_utf8(changed).unwrap());
        assert!(verifier().verify(&changed, NOON).is_err(), "character {at}");
    }
}

#[test]
fn debug_does_not_show_the_text() {
    let assertion = signed(&claims(), &house());
    assert!(!format!("{assertion:?}").contains(&assertion.as_str()[..8]));
}

proptest! {
    #[test]
    fn claims_have_one_form(at in 0usize..40, byte: u8, cut in 0usize..41) {
        let mut bytes = claims().to_bytes();
        bytes[at] = byte;
        bytes.truncate(cut.max(30));
        if let Some(claims) = Claims::from_bytes(&bytes) {
            prop_assert_eq!(claims.to_bytes(), bytes);
        }
    }

    #[test]
    fn claims_round_trip(name in "[a-z张][a-z0-9._-]{0,63}", bits in 0u8..32, session: [u8; 16], life in 1u64..=300) {
        if let Some(roles) = Roles::of_bits(bits) {
            let claims = Claims {
                person: PersonId(name.parse().unwrap()),
                roles,
                session: SessionId(Uid(session)),
                issued: NOON,
                expires: NOON.plus(Duration::from_secs(life)),
            };
            prop_assert_eq!(Claims::from_bytes(&claims.to_bytes()), Some(claims));
        }
    }
}
