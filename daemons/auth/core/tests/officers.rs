//! The three officers: what each may do, and what nobody may do alone (三员分立).
#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed step is a failed test")]

mod support;

use auth_api::{Incompatible, Presence, Role};
use auth_core::*;
use support::*;

fn every_deed(name: &str) -> Vec<Deed> {
    let person = person(name);
    let (id, half) = (RecoveryId(types::Uid([1; 16])), password("half"));
    vec![
        Deed::Create { person: support::person("new"), first: hash("One*Time1") },
        Deed::Grant { person: person.clone(), role: Role::Supervisor },
        Deed::Revoke { person: person.clone(), role: Role::Agent },
        Deed::Disable { person: person.clone() },
        Deed::Enable { person: person.clone() },
        Deed::Unlock { person: person.clone() },
        Deed::RequestRecovery { person: person.clone(), id, half },
        Deed::ApproveRecovery { person, id, one_time: hash("One*Time1") },
        Deed::List,
    ]
}

/// Every role × every deed: the matrix of permissions as a person would write it down.
#[test]
fn each_officer_does_his_own_part() {
    use Role::*;
    let matrix = [
        ("sys", [true, false, false, true, true, false, true, true, true]),
        ("sec", [false, true, true, false, false, true, true, true, true]),
        ("aud", [false, false, false, false, false, false, true, true, true]),
        ("agent", [false; 9]),
        ("boss", [false; 9]),
        ("nobody", [false; 9]),
    ];
    for (who, permitted) in matrix {
        for (at, permitted) in permitted.into_iter().enumerate() {
            let mut house = House::with("agent", Agent);
            house.hire("boss");
            house.hire("nobody");
            house.hire("object");
            let sec = house.enter("sec");
            house.deed(sec, Deed::Grant { person: person("boss"), role: Supervisor }).unwrap();
            let session = house.enter(who);
            let deed = every_deed("object").remove(at);
            let answer = house.deed(session, deed.clone());
            assert_eq!(answer != Err(Refusal::NotPermitted), permitted, "{who} {deed:?}: {answer:?}");
            if !permitted {
                assert_eq!(house.last().outcome, Outcome::Refused(Refusal::NotPermitted));
                assert_eq!(house.last().by, Some(person(who)));
            }
        }
    }
}

#[test]
fn nobody_does_anything_to_himself() {
    for who in ["sys", "sec", "aud"] {
        for at in 1..8 {
            let mut house = House::officers();
            let session = house.enter(who);
            let answer = house.deed(session, every_deed(who).remove(at));
            assert!(matches!(answer, Err(Refusal::OwnAccount | Refusal::NotPermitted)), "{who} {answer:?}");
        }
    }
}

#[test]
fn roles_that_exclude_each_other_never_meet() {
    let mut house = House::with("li", Role::Agent);
    let sec = house.enter("sec");
    let mut grant = |name: &str, role| house.deed(sec, Deed::Grant { person: person(name), role });
    assert_eq!(
        grant("li", Role::AuditAdministrator),
        Err(Refusal::Incompatible(Incompatible(Role::Agent, Role::AuditAdministrator)))
    );
    assert_eq!(
        grant("sys", Role::AuditAdministrator),
        Err(Refusal::Incompatible(Incompatible(Role::SystemAdministrator, Role::AuditAdministrator)))
    );
    assert!(matches!(grant("aud", Role::Agent), Err(Refusal::Incompatible(_))));
    assert_eq!(grant("li", Role::Supervisor), Ok(Reply::Done));
    assert_eq!(grant("li", Role::Supervisor), Err(Refusal::NothingToDo));
    assert_eq!(grant("ghost", Role::Agent), Err(Refusal::NoSuchPerson));
}

#[test]
fn a_changed_role_ends_sessions_at_once() {
    let mut house = House::with("li", Role::Agent);
    let li = house.enter("li");
    let sec = house.enter("sec");
    house.deed(sec, Deed::Revoke { person: person("li"), role: Role::Agent }).unwrap();
    let renew = Act::Renew { session: li, presence: Presence::Active };
    assert_eq!(house.act(renew), Err(Refusal::SessionEnded));
    assert!(house.claims("li").roles.is_empty());
}

#[test]
fn a_disabled_account_opens_nothing() {
    let mut house = House::with("li", Role::Agent);
    let li = house.enter("li");
    let sys = house.enter("sys");
    house.deed(sys, Deed::Disable { person: person("li") }).unwrap();
    let renew = Act::Renew { session: li, presence: Presence::Active };
    assert_eq!(house.act(renew), Err(Refusal::SessionEnded));
    assert_eq!(house.log_in("li", &own("li"), desk(1)), Err(Refusal::Credentials));
    house.deed(sys, Deed::Enable { person: person("li") }).unwrap();
    assert!(house.log_in("li", &own("li"), desk(1)).is_ok());
}

#[test]
fn the_last_officer_of_a_role_stays() {
    let mut house = House::officers();
    let (sys, sec) = (house.enter("sys"), house.enter("sec"));
    let audit = Role::AuditAdministrator;
    let revoke = |name: &str| Deed::Revoke { person: person(name), role: audit };
    assert_eq!(house.deed(sec, revoke("aud")), Err(Refusal::LastOfficer(audit)));
    assert_eq!(house.deed(sys, Deed::Disable { person: person("aud") }), Err(Refusal::LastOfficer(audit)));
    // A second holder frees the first; a closed account is no holder.
    house.hire("aud2");
    let (sys, sec) = (house.enter("sys"), house.enter("sec"));
    house.deed(sec, Deed::Grant { person: person("aud2"), role: audit }).unwrap();
    house.deed(sys, Deed::Disable { person: person("aud2") }).unwrap();
    assert_eq!(house.deed(sec, revoke("aud")), Err(Refusal::LastOfficer(audit)));
    house.deed(sys, Deed::Enable { person: person("aud2") }).unwrap();
    assert_eq!(house.deed(sec, revoke("aud")), Ok(Reply::Done));
}

#[test]
fn the_security_administrator_unlocks_others() {
    let mut house = House::with("li", Role::Agent);
    for desk_number in 1..=5 {
        house.log_in("li", "wrong", desk(desk_number)).unwrap_err();
    }
    let sec = house.enter("sec");
    house.deed(sec, Deed::Unlock { person: person("li") }).unwrap();
    assert!(house.log_in("li", &own("li"), desk(9)).is_ok());
    assert_eq!(house.deed(sec, Deed::Unlock { person: person("li") }), Err(Refusal::NothingToDo));
}

#[test]
fn a_lost_officer_is_recovered_by_the_two_others() {
    let mut house = House::officers();
    let (sys, sec, aud) = (house.enter("sys"), house.enter("sec"), house.enter("aud"));
    let id = house.request(aud, "sec", "Half-One1").unwrap();
    assert_eq!(house.approve(aud, "sec", id, "x"), Err(Refusal::SecondOfficerNeeded));
    assert_eq!(house.approve(sec, "sec", id, "x"), Err(Refusal::OwnAccount));
    let whole = joined(&password("Half-One1"), &password("Half-Two2")).unwrap();
    assert_eq!(house.approve(sys, "sec", id, whole.reveal()), Ok(Reply::Done));
    // Neither half opens anything, the old password neither, the whole only its change.
    for wrong in ["Half-One1", "Half-Two2", own("sec").as_str()] {
        assert_eq!(house.log_in("sec", wrong, desk(2)), Err(Refusal::Credentials));
    }
    assert_eq!(house.log_in("sec", whole.reveal(), desk(2)), Ok(Reply::MustChange));
    assert_eq!(house.change("sec", whole.reveal(), &own("sec")), Err(Refusal::Weak(Weakness::Used)));
    assert_eq!(house.change("sec", whole.reveal(), "Newly#Own1"), Ok(Reply::Done));
    assert_eq!(house.approve(sys, "sec", id, "x"), Err(Refusal::NoRecovery), "a request serves once");
}

#[test]
fn a_recovery_needs_two_different_roles_and_none_of_the_lost_one() {
    let mut house = House::officers();
    house.hire("sys2");
    let (sec, aud) = (house.enter("sec"), house.enter("aud"));
    house.deed(sec, Deed::Grant { person: person("sys2"), role: Role::SystemAdministrator }).unwrap();
    let (sys, sys2) = (house.enter("sys"), house.enter("sys2"));
    assert_eq!(house.request(sys2, "sys", "h"), Err(Refusal::SecondOfficerNeeded));
    // Two of one role are one of one mind.
    let id = house.request(sys, "aud", "h").unwrap();
    assert_eq!(house.approve(sys2, "aud", id, "x"), Err(Refusal::SecondOfficerNeeded));
    assert_eq!(house.approve(sec, "aud", id, "x"), Ok(Reply::Done));
    let _ = aud;
}

#[test]
fn a_request_lapses_and_falls_with_its_requester() {
    let mut house = House::with("li", Role::Agent);
    let (sys, aud) = (house.enter("sys"), house.enter("aud"));
    let id = house.request(aud, "li", "h").unwrap();
    let other = RecoveryId(types::Uid([200; 16]));
    assert_eq!(house.approve(sys, "li", other, "x"), Err(Refusal::NoRecovery));
    house.pass(DAY + MINUTE);
    let sys = house.enter("sys");
    assert_eq!(house.approve(sys, "li", id, "x"), Err(Refusal::NoRecovery));

    house.hire("aud2");
    let sec = house.enter("sec");
    let audit = Role::AuditAdministrator;
    house.deed(sec, Deed::Grant { person: person("aud2"), role: audit }).unwrap();
    let aud2 = house.enter("aud2");
    let id = house.request(aud2, "li", "h").unwrap();
    house.deed(sec, Deed::Revoke { person: person("aud2"), role: audit }).unwrap();
    let sys = house.enter("sys");
    assert_eq!(house.approve(sys, "li", id, "x"), Err(Refusal::NoRecovery));
}
