//! Set-up, log-in, lock-out, sessions and the change of passwords.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed step is a failed test")]

mod support;

use auth_api::{LIFETIME, Origin, Presence, Role, Roles};
use auth_core::*;
use std::time::Duration;
use support::*;

fn rejected(house: &House) -> Rejection {
    match &house.last().outcome {
        Outcome::Rejected(rejection) => *rejection,
        other => panic!("{other:?}"),
    }
}

#[test]
fn set_up_names_three_persons_once() {
    let mut house = House::bare();
    assert_eq!(house.name_officers("guess", ["a1", "b1", "c1"], desk(1)), Err(Refusal::Credentials));
    assert_eq!(house.name_officers(SET_UP, ["a1", "b1", "A1"], desk(1)), Err(Refusal::SamePerson));
    assert_eq!(house.directory.accounts().count(), 0);
    assert_eq!(house.name_officers(SET_UP, ["a1", "b1", "c1"], desk(1)), Ok(Reply::Done));
    assert_eq!(house.events.iter().filter(|event| event.outcome == Outcome::Done).count(), 3);
    assert_eq!(house.name_officers(SET_UP, ["d1", "e1", "f1"], desk(1)), Err(Refusal::SetUpDone));
    assert_eq!(house.directory.accounts().count(), 3);
    assert_eq!(house.account("b1").roles, Roles::only(Role::SecurityAdministrator));
}

#[test]
fn a_first_password_opens_nothing_but_its_change() {
    let mut house = House::bare();
    house.name_officers(SET_UP, ["sys", "sec", "aud"], desk(1)).unwrap();
    assert_eq!(house.log_in("sys", "First#1st", desk(1)), Ok(Reply::MustChange));
    assert_eq!(house.directory.sessions().count(), 0);
    assert_eq!(house.change("sys", "First#1st", "First#1st"), Err(Refusal::Weak(Weakness::Used)));
    assert_eq!(house.change("sys", "First#1st", "short"), Err(Refusal::Weak(Weakness::Short)));
    assert_eq!(house.change("sys", "First#1st", &own("sys")), Ok(Reply::Done));
    assert_eq!(house.claims("sys").roles, Roles::only(Role::SystemAdministrator));
    assert_eq!(house.log_in("sys", "First#1st", desk(1)), Err(Refusal::Credentials));
}

#[test]
fn a_one_time_password_lapses() {
    let mut house = House::officers();
    let sys = house.enter("sys");
    house.deed(sys, Deed::Create { person: person("li"), first: hash("One*Time1") }).unwrap();
    assert_eq!(house.log_in("li", "One*Time1", desk(1)), Ok(Reply::MustChange));
    house.pass(3 * DAY + MINUTE);
    assert_eq!(house.log_in("li", "One*Time1", desk(1)), Err(Refusal::Credentials));
    assert_eq!(rejected(&house), Rejection::Lapsed);
    assert_eq!(house.change("li", "One*Time1", &own("li")), Err(Refusal::Credentials));
}

#[test]
fn the_fifth_failure_locks_for_ten_minutes() {
    let mut house = House::with("li", Role::Agent);
    for desk_number in 1..=4 {
        assert_eq!(house.log_in("li", "wrong", desk(desk_number)), Err(Refusal::Credentials));
        assert_eq!(rejected(&house), Rejection::WrongPassword);
    }
    assert_eq!(house.log_in("li", "wrong", desk(5)), Err(Refusal::Credentials));
    assert_eq!(rejected(&house), Rejection::LockedOut);
    // The right password, the same answer; and a failure while locked does not prolong the lock.
    house.pass(10 * MINUTE - Duration::from_nanos(1));
    assert_eq!(house.log_in("li", &own("li"), desk(6)), Err(Refusal::Credentials));
    assert_eq!(rejected(&house), Rejection::Locked);
    house.pass(Duration::from_nanos(1));
    assert!(house.log_in("li", &own("li"), desk(6)).is_ok());
    assert_eq!(house.account("li").lock, Lock::CLEAR);
}

#[test]
fn one_origin_cannot_try_many_names() {
    let mut house = House::with("li", Role::Agent);
    for name in ["a1", "b1", "c1", "d1", "e1"] {
        assert_eq!(house.log_in(name, "Spray#123", desk(9)), Err(Refusal::Credentials));
        let failure = &house.events.iter().rfind(|event| event.what == What::LogIn).unwrap();
        assert_eq!(failure.outcome, Outcome::Rejected(Rejection::UnknownPerson));
        assert_eq!(failure.by, None, "a name without an account may be a password in the wrong field");
    }
    assert_eq!((house.last().what, house.last().origin), (What::OriginLockOut, Some(desk(9))));
    let entries = house.events.len();
    assert_eq!(house.directory.admits(house.now.monotonic, desk(9)), Err(Refusal::OriginLocked));
    assert_eq!(house.log_in("li", &own("li"), desk(9)), Err(Refusal::OriginLocked));
    assert_eq!(house.events.len(), entries, "a locked origin cannot fill the log");
    assert!(house.log_in("li", &own("li"), desk(8)).is_ok());
    house.pass(10 * MINUTE);
    assert!(house.log_in("li", &own("li"), desk(9)).is_ok());
}

#[test]
fn a_restart_never_shortens_a_lock() {
    let mut house = House::with("li", Role::Agent);
    for desk_number in 1..=5 {
        house.log_in("li", "wrong", desk(desk_number)).unwrap_err();
    }
    let stored = serde_json::to_string(&house.directory.accounts().collect::<Vec<_>>()).unwrap();
    let accounts = serde_json::from_str(&stored).unwrap();
    // Another boot: its monotonic clock begins again.
    house.now.monotonic = types::Monotonic(0);
    let snapshot = Snapshot { set_up: SetUp::Done, accounts, sessions: vec![], recoveries: vec![] };
    house.directory = Directory::restore(house.directory.policy().clone(), snapshot, house.now.monotonic);
    house.pass(9 * MINUTE);
    assert_eq!(house.log_in("li", &own("li"), desk(1)), Err(Refusal::Credentials));
    house.pass(MINUTE);
    assert!(house.log_in("li", &own("li"), desk(1)).is_ok());
}

#[test]
fn after_ninety_days_the_password_must_change() {
    let mut house = House::with("li", Role::Agent);
    house.pass(90 * DAY);
    assert!(house.log_in("li", &own("li"), desk(1)).is_ok());
    house.pass(MINUTE);
    assert_eq!(house.log_in("li", &own("li"), desk(1)), Ok(Reply::MustChange));
}

#[test]
fn the_last_six_passwords_are_not_taken_again() {
    let mut house = House::with("li", Role::Agent);
    let mut old = own("li");
    for round in 0..5 {
        let new = format!("Next{round}#one");
        assert_eq!(house.change("li", &old, &new), Ok(Reply::Done));
        assert_eq!(house.change("li", &new, &own("li")), Err(Refusal::Weak(Weakness::Used)), "{round}");
        old = new;
    }
    assert_eq!(house.change("li", &old, "Next5#one"), Ok(Reply::Done));
    assert_eq!(house.change("li", "Next5#one", &own("li")), Ok(Reply::Done));
}

#[test]
fn a_session_ends_idle_or_after_twelve_hours() {
    let mut house = House::with("li", Role::Agent);
    let first = house.claims("li");
    assert_eq!(first.expires.since(first.issued), LIFETIME);
    let renew = |presence| Act::Renew { session: first.session, presence };
    house.pass(14 * MINUTE);
    let Ok(Reply::Claims(near)) = house.act(renew(Presence::Idle)) else { panic!() };
    assert_eq!(near.expires.since(near.issued), MINUTE, "never beyond the end of the session");
    assert!(house.act(renew(Presence::Active)).is_ok());
    house.pass(15 * MINUTE);
    assert_eq!(house.act(renew(Presence::Active)), Err(Refusal::SessionEnded));

    let second = house.claims("li").session;
    let renew = Act::Renew { session: second, presence: Presence::Active };
    for _ in 0..(12 * 60 / 10) - 1 {
        house.pass(10 * MINUTE);
        assert!(house.act(renew.clone()).is_ok());
    }
    house.pass(10 * MINUTE);
    assert_eq!(house.act(renew), Err(Refusal::SessionEnded));
}

#[test]
fn log_out_and_a_changed_password_end_sessions() {
    let mut house = House::with("li", Role::Agent);
    let (one, two) = (house.enter("li"), house.enter("li"));
    let renew = |session| Act::Renew { session, presence: Presence::Active };
    assert_eq!(house.act(Act::LogOut { session: one }), Ok(Reply::Done));
    assert_eq!(house.act(renew(one)), Err(Refusal::SessionEnded));
    assert!(house.act(renew(two)).is_ok());
    house.change("li", &own("li"), "Another#1").unwrap();
    assert_eq!(house.act(renew(two)), Err(Refusal::SessionEnded));
}

#[test]
fn a_fourth_session_ends_the_oldest() {
    let mut house = House::with("li", Role::Agent);
    let sessions: Vec<_> = (0..4)
        .map(|_| {
            house.pass(MINUTE);
            house.enter("li")
        })
        .collect();
    let live = |id| house.directory.sessions().any(|session| session.id == id);
    assert_eq!(sessions.iter().map(|id| live(*id)).collect::<Vec<_>>(), [false, true, true, true]);
}

#[test]
fn a_proof_of_a_password_that_has_changed_since_opens_nothing() {
    let mut house = House::with("li", Role::Agent);
    let challenge = house.directory.challenge(house.now, &person("li"));
    let proof = challenge.answer(&password(&own("li")));
    house.change("li", &own("li"), "Another#1").unwrap();
    let session = auth_api::SessionId(types::Uid([99; 16]));
    let fresh = house.fresh();
    let answer = house.act(Act::LogIn { proof, code: None, origin: Origin::Local, session, fresh });
    assert_eq!((answer, rejected(&house)), (Err(Refusal::Credentials), Rejection::Superseded));
}

#[test]
fn a_proposal_dropped_or_stale_did_nothing() {
    let mut house = House::officers();
    let session = house.enter("sys");
    let create = |name| Act::Officer {
        session,
        deed: Deed::Create { person: person(name), first: hash("One*Time1") },
    };
    drop(house.directory.propose(house.now, create("li")));
    let stale = house.directory.propose(house.now, create("li"));
    house.act(create("Li")).unwrap();
    assert_eq!(house.directory.commit(stale), Err(Stale));
    assert_eq!(house.act(create("li")), Err(Refusal::NameTaken));
}
