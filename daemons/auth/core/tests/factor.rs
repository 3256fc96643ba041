//! The second factor: who needs one, how it is enrolled, what opens with it and what does not.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed step is a failed test")]

mod support;

use auth_api::Role;
use auth_core::*;
use std::time::Duration;
use support::*;

const STEP: Duration = Duration::from_secs(30);

/// The three officers, who need one.
fn officers() -> House {
    let mut house = House::officers();
    house.directory.obey(Policy { cost: CHEAP, ..Policy::default() });
    house
}

/// The officer's secret and recovery codes.
fn enrol(house: &mut House, name: &str) -> (FactorSecret, Vec<String>) {
    let Ok(Reply::Enrol(secret)) = house.log_in(name, &own(name), desk(1)) else { panic!("no offer") };
    let code = secret.code(house.now.utc);
    let Ok(Reply::Enrolled(claims, codes)) = house.log_in_with(name, &own(name), &code) else {
        panic!("not enrolled")
    };
    assert_eq!(claims.person, person(name));
    house.pass(STEP);
    (secret, codes.iter().map(|code| code.reveal().to_owned()).collect())
}

#[test]
fn an_officer_enters_with_an_enrolled_app_and_not_without() {
    let mut house = officers();
    let (secret, codes) = enrol(&mut house, "sys");
    assert_eq!(codes.len(), RECOVERY_CODES);
    assert_eq!(house.log_in("sys", &own("sys"), desk(1)), Ok(Reply::CodeWanted));
    let code = secret.code(house.now.utc);
    assert_eq!(house.log_in_with("sys", "wrong", &code), Err(Refusal::Credentials));
    assert!(matches!(house.log_in_with("sys", &own("sys"), &code), Ok(Reply::Claims(_))));
    let told: Vec<_> =
        house.events.iter().rev().take(5).map(|event| (event.what, event.outcome.clone())).collect();
    assert_eq!(told[0], (What::LogIn, Outcome::Done));
    assert_eq!(told[1], (What::LogIn, Outcome::Rejected(Rejection::WrongPassword)));
    assert_eq!(told[2], (What::LogIn, Outcome::Rejected(Rejection::CodeWanted)));
    assert_eq!(told[4], (What::EnrolFactor, Outcome::Done));
}

/// Mutant auth-code-replayed.
#[test]
fn whoever_looks_over_the_shoulder_cannot_use_the_code_again() {
    let mut house = officers();
    let (secret, _) = enrol(&mut house, "sys");
    let code = secret.code(house.now.utc);
    assert!(house.log_in_with("sys", &own("sys"), &code).is_ok());
    assert_eq!(house.log_in_with("sys", &own("sys"), &code), Err(Refusal::Code));
    house.pass(STEP);
    assert_eq!(house.log_in_with("sys", &own("sys"), &code), Err(Refusal::Code), "within the drift");
}

/// Mutant auth-code-uncounted.
#[test]
fn guessed_codes_lock_the_account_though_the_password_is_right() {
    let mut house = officers();
    let (secret, _) = enrol(&mut house, "sys");
    for number in 1..=5 {
        assert_eq!(house.log_in_with("sys", &own("sys"), "000000"), Err(Refusal::Code), "{number}");
        // The right password alone forgives nothing.
        let _ = house.log_in("sys", &own("sys"), desk(9));
    }
    let last =
        house.events.iter().rev().find(|event| {
            event.what == What::LogIn && event.outcome == Outcome::Rejected(Rejection::LockedOut)
        });
    assert!(last.is_some());
    house.pass(Duration::from_secs(60));
    let code = secret.code(house.now.utc);
    let proof = house.directory.challenge(house.now, &person("sys")).answer(&password(&own("sys")));
    let session = auth_api::SessionId(types::Uid([9; 16]));
    let fresh = house.fresh();
    let act = Act::LogIn { proof, code: Some(support::code(&code)), origin: desk(7), session, fresh };
    assert_eq!(house.act(act), Err(Refusal::Credentials));
}

/// Mutant auth-no-factor.
#[test]
fn the_settings_ask_others_too_and_the_officers_always() {
    let mut house = House::with("li", Role::Agent);
    assert!(matches!(house.log_in("li", &own("li"), desk(1)), Ok(Reply::Claims(_))));
    let lax = Policy { cost: CHEAP, second_factor: [].into(), ..Policy::default() }.at_least_default();
    house.directory.obey(Policy { cost: CHEAP, ..lax });
    assert!(matches!(house.log_in("sys", &own("sys"), desk(1)), Ok(Reply::Enrol(_))));
    assert!(matches!(house.log_in("li", &own("li"), desk(1)), Ok(Reply::Claims(_))));
    let strict = Policy { second_factor: [Role::Agent].into(), ..Policy::default() }.at_least_default();
    house.directory.obey(Policy { cost: CHEAP, ..strict });
    assert!(matches!(house.log_in("li", &own("li"), desk(1)), Ok(Reply::Enrol(_))));
    assert!(matches!(house.log_in("sys", &own("sys"), desk(1)), Ok(Reply::Enrol(_))));
}

#[test]
fn a_recovery_code_opens_once_and_is_on_record() {
    let mut house = officers();
    let (_, codes) = enrol(&mut house, "sec");
    assert!(matches!(house.log_in_with("sec", &own("sec"), &codes[3]), Ok(Reply::Claims(_))));
    assert!(house.events.iter().any(|event| event.what == What::UseRecoveryCode));
    assert_eq!(house.log_in_with("sec", &own("sec"), &codes[3]), Err(Refusal::Code));
    assert!(matches!(house.log_in_with("sec", &own("sec"), &codes[4].to_lowercase()), Ok(Reply::Claims(_))));
}

#[test]
fn a_lost_phone_comes_back_by_two_officers() {
    let mut house = officers();
    let (old, _) = enrol(&mut house, "sys");
    enrol(&mut house, "sec");
    enrol(&mut house, "aud");
    let session = |house: &House, name: &str| {
        house.directory.sessions().find(|session| session.person == person(name)).unwrap().id
    };
    let (sec, aud) = (session(&house, "sec"), session(&house, "aud"));
    let id = house.request(sec, "sys", "Half").unwrap();
    house.approve(aud, "sys", id, "Half-Half2").unwrap();
    assert_eq!(house.change("sys", "Half-Half2", "Brand#New1"), Ok(Reply::Done));
    let Ok(Reply::Enrol(new)) = house.log_in("sys", "Brand#New1", desk(1)) else { panic!("no offer") };
    assert_ne!(new, old);
    let code = old.code(house.now.utc);
    assert_eq!(
        house.log_in_with("sys", "Brand#New1", &code),
        Err(Refusal::Code),
        "the lost phone opens nothing"
    );
    let code = new.code(house.now.utc);
    assert!(matches!(house.log_in_with("sys", "Brand#New1", &code), Ok(Reply::Enrolled(..))));
}

#[test]
fn a_password_alone_does_not_change_itself() {
    let mut house = officers();
    let (secret, _) = enrol(&mut house, "sys");
    assert_eq!(house.change("sys", &own("sys"), "Brand#New1"), Err(Refusal::CodeWanted));
    let change = |house: &mut House, code: &str| {
        let challenge = house.directory.challenge(house.now, &person("sys"));
        let replaced = challenge.replace(&password(&own("sys")), &password("Brand#New1"), Salt([6; 16]));
        let (replacement, code) = (replaced.unwrap(), Some(support::code(code)));
        let voucher = auth_api::SessionId(types::Uid([8; 16]));
        house.act(Act::ChangePassword { replacement, code, origin: desk(1), voucher })
    };
    assert_eq!(change(&mut house, "000000"), Err(Refusal::Code));
    let code = secret.code(house.now.utc);
    assert_eq!(change(&mut house, &code), Ok(Reply::Done));
    assert_eq!(house.log_in_with("sys", "Brand#New1", &code), Err(Refusal::Code), "the change used it");
    house.pass(STEP);
    let code = secret.code(house.now.utc);
    assert!(matches!(house.log_in_with("sys", "Brand#New1", &code), Ok(Reply::Claims(_))));
}

#[test]
fn one_sees_and_ends_ones_own_sessions_alone() {
    let mut house = House::officers();
    let (one, two, other) = (house.enter("sys"), house.enter("sys"), house.enter("sec"));
    let seen = |house: &House, id| -> Result<Vec<_>, Refusal> {
        Ok(house.directory.sessions_of(house.now, id)?.iter().map(|session| session.id).collect())
    };
    assert_eq!(seen(&house, other), Ok(vec![other]));
    assert_eq!(seen(&house, one).unwrap().len(), 2);
    assert_eq!(house.act(Act::EndSession { session: one, other }), Err(Refusal::NoSuchSession));
    assert_eq!(house.act(Act::EndSession { session: one, other: two }), Ok(Reply::Done));
    assert_eq!(seen(&house, two), Err(Refusal::SessionEnded));
    assert_eq!(seen(&house, one), Ok(vec![one]));
}
