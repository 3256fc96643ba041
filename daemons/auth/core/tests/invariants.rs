//! Whatever is asked, in whatever order, what must never be never is.
//!
//! The model beside the directory keeps its own books from the audit events alone and judges every step by
//! what stood before it.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed step is a failed test")]

mod support;

use auth_api::{Presence, Role, SessionId};
use auth_core::*;
use proptest::prelude::*;
use std::collections::BTreeMap;
use support::*;
use types::{Monotonic, PersonId};

const NAMES: [&str; 7] = ["sys", "sec", "aud", "li", "wang", "zhao", "qian"];

#[derive(Clone, Debug)]
enum Step {
    LogIn { who: usize },
    Guess { who: usize, times: u8 },
    Change { who: usize },
    Officer { by: usize, deed: usize, on: usize, role: usize },
    Recover { by: usize, then: usize, on: usize },
    LogOut { who: usize },
    Renew { who: usize },
    Pass { minutes: u16 },
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    let who = 0..NAMES.len();
    prop_oneof![
        4 => who.clone().prop_map(|who| Step::LogIn { who }),
        1 => (who.clone(), 1u8..7).prop_map(|(who, times)| Step::Guess { who, times }),
        1 => who.clone().prop_map(|who| Step::Change { who }),
        8 => (0usize..4, 0usize..6, who.clone(), 0usize..5)
            .prop_map(|(by, deed, on, role)| Step::Officer { by, deed, on, role }),
        2 => (0usize..4, 0usize..4, who.clone()).prop_map(|(by, then, on)| Step::Recover { by, then, on }),
        1 => who.clone().prop_map(|who| Step::LogOut { who }),
        1 => who.prop_map(|who| Step::Renew { who }),
        1 => (0u16..30).prop_map(|minutes| Step::Pass { minutes }),
        1 => Just(Step::Restart),
    ]
}

/// The house, what a test person knows, and the model's books.
struct Town {
    house: House,
    passwords: BTreeMap<PersonId, String>,
    sessions: BTreeMap<PersonId, SessionId>,
    in_a_row: BTreeMap<PersonId, u32>,
    locked_until: BTreeMap<PersonId, Monotonic>,
    requested_by: BTreeMap<PersonId, PersonId>,
    made: u32,
}

impl Town {
    fn new() -> Self {
        let house = House::officers();
        let passwords = ["sys", "sec", "aud"].map(|name| (person(name), own(name))).into();
        Self {
            house,
            passwords,
            sessions: BTreeMap::new(),
            in_a_row: BTreeMap::new(),
            locked_until: BTreeMap::new(),
            requested_by: BTreeMap::new(),
            made: 0,
        }
    }

    fn take(&mut self, step: Step) {
        match step {
            Step::LogIn { who } => self.log_in(NAMES[who]),
            Step::Guess { who, times } => {
                for _ in 0..times {
                    self.made += 1;
                    // From everywhere, so that the lock of the person is what stops it.
                    let origin = auth_api::Origin::Address(std::net::Ipv4Addr::from(self.made).into());
                    let guessed = self.watch(|house| house.log_in(NAMES[who], "Guess#123", origin));
                    assert!(guessed.is_err());
                }
            }
            Step::Change { who } => self.change(NAMES[who]),
            Step::Officer { by, deed, on, role } => {
                self.made += 1;
                let first = format!("One*Time{}", self.made);
                let (on, role) = (person(NAMES[on]), Role::ALL[role]);
                let deed = match deed {
                    0 => Deed::Create { person: on.clone(), first: hash(&first) },
                    1 => Deed::Grant { person: on.clone(), role },
                    2 => Deed::Revoke { person: on.clone(), role },
                    3 => Deed::Disable { person: on.clone() },
                    4 => Deed::Enable { person: on.clone() },
                    _ => Deed::Unlock { person: on.clone() },
                };
                let creates = matches!(deed, Deed::Create { .. });
                let session = self.session(NAMES[by]);
                let answer = self.watch(|house| house.deed(session, deed));
                if creates && answer.is_ok() {
                    self.passwords.insert(on, first);
                }
            }
            Step::Recover { by, then, on } => self.recover(NAMES[by], NAMES[then], NAMES[on]),
            Step::LogOut { who } => {
                let session = self.session(NAMES[who]);
                self.watch(|house| house.act(Act::LogOut { session })).unwrap();
            }
            Step::Renew { who } => {
                let session = self.session(NAMES[who]);
                let _ = self.watch(|house| house.act(Act::Renew { session, presence: Presence::Active }));
            }
            Step::Pass { minutes } => self.house.pass(MINUTE * u32::from(minutes)),
            Step::Restart => self.restart(),
        }
    }

    fn session(&mut self, name: &str) -> SessionId {
        if !self.sessions.contains_key(&person(name)) {
            self.log_in(name);
        }
        self.sessions.get(&person(name)).copied().unwrap_or(SessionId(types::Uid([255; 16])))
    }

    fn log_in(&mut self, name: &str) {
        let text = self.passwords.get(&person(name)).cloned().unwrap_or_default();
        let answer = self.watch(|house| {
            let number = NAMES.iter().position(|other| *other == name).unwrap() as u8;
            house.log_in(name, &text, desk(number))
        });
        match answer {
            Ok(Reply::Claims(claims)) => {
                let account = self.house.account(name);
                assert_eq!(claims.roles, account.roles);
                assert_eq!(account.standing, Standing::Enabled);
                self.sessions.insert(person(name), claims.session);
            }
            Ok(Reply::MustChange) => self.change(name),
            _ => {}
        }
    }

    fn change(&mut self, name: &str) {
        self.made += 1;
        let old = self.passwords.get(&person(name)).cloned().unwrap_or_default();
        let new = format!("Mine%{:04}!", self.made);
        if self.watch(|house| house.change(name, &old, &new)).is_ok() {
            self.passwords.insert(person(name), new);
        }
    }

    fn recover(&mut self, by: &str, then: &str, on: &str) {
        self.made += 1;
        let whole = format!("Half{}-Half!", self.made);
        let session = self.session(by);
        let before = self.house.events.len();
        let requested = self.house.request(session, on, "Half");
        self.judge_events(before);
        let pending = self.house.directory.recovery(&person(on)).map(|pending| pending.id);
        let id = requested.ok().or(pending).unwrap_or(RecoveryId(types::Uid([254; 16])));
        let session = self.session(then);
        if self.watch(|house| house.approve(session, on, id, &whole)).is_ok() {
            self.passwords.insert(person(on), whole);
        }
    }

    fn restart(&mut self) {
        let directory = &self.house.directory;
        let recoveries = NAMES.iter().filter_map(|name| directory.recovery(&person(name)).cloned()).collect();
        let snapshot = Snapshot {
            set_up: directory.set_up().clone(),
            accounts: directory.accounts().cloned().collect(),
            sessions: directory.sessions().cloned().collect(),
            recoveries,
        };
        let policy = directory.policy().clone();
        self.house.directory = Directory::restore(policy, snapshot, self.house.now.monotonic);
    }

    /// Takes one act and holds what changed against what was put on record.
    fn watch(&mut self, act: impl FnOnce(&mut House) -> Answer) -> Answer {
        let before: BTreeMap<_, _> = self.accounts();
        let recorded = self.house.events.len();
        let answer = act(&mut self.house);
        let events: Vec<_> = self.house.events[recorded..].to_vec();
        for (name, after) in self.accounts() {
            self.judge_account(before.get(&name), &after, &before, &events);
        }
        self.judge_house();
        self.judge_events(recorded);
        answer
    }

    fn accounts(&self) -> BTreeMap<PersonId, Account> {
        self.house.directory.accounts().map(|account| (account.person.clone(), account.clone())).collect()
    }

    /// No account changes but by a recorded act of somebody who may.
    fn judge_account(
        &self,
        before: Option<&Account>,
        after: &Account,
        all: &BTreeMap<PersonId, Account>,
        events: &[Event],
    ) {
        let done = |what| {
            events.iter().find(|event| {
                event.what == what
                    && event.outcome == Outcome::Done
                    && event.on.as_ref() == Some(&after.person)
            })
        };
        let by_another = |what, office| {
            let by = done(what)?.by.clone().unwrap();
            assert_ne!(by, after.person, "{what:?}");
            assert!(all[&by].roles.contains(office), "{what:?} by {by}");
            Some(())
        };
        let Some(before) = before else {
            assert!(by_another(What::Create, Role::SystemAdministrator).is_some());
            return assert!(after.roles.is_empty());
        };
        if before.roles != after.roles {
            let security = Role::SecurityAdministrator;
            by_another(What::Grant, security).or_else(|| by_another(What::Revoke, security)).unwrap();
        }
        if before.standing != after.standing {
            let system = Role::SystemAdministrator;
            by_another(What::Disable, system).or_else(|| by_another(What::Enable, system)).unwrap();
        }
        if before.secret != after.secret {
            match done(What::ApproveRecovery) {
                Some(event) => self.judge_recovery(event.by.as_ref().unwrap(), &after.person, all),
                None => assert!(events.iter().any(|event| event.what == What::ChangePassword
                    && event.outcome == Outcome::Done
                    && event.by.as_ref() == Some(&after.person))),
            }
        }
        if (&before.roles, before.standing, &before.secret) != (&after.roles, after.standing, &after.secret) {
            let theirs = |session: &&Session| session.person == after.person;
            assert_eq!(self.house.directory.sessions().find(theirs), None, "sessions end");
        }
    }

    fn judge_recovery(&self, by: &PersonId, on: &PersonId, all: &BTreeMap<PersonId, Account>) {
        let first = &self.requested_by[on];
        assert!(first != by && first != on && by != on, "{first} and {by} recovered {on}");
        let offices = [first, by].map(|who| all[who].roles.officer().unwrap());
        assert_ne!(offices[0], offices[1], "two officers of one role");
        assert!(offices.iter().all(|office| !all[on].roles.contains(*office)));
    }

    /// The laws that hold at every moment.
    fn judge_house(&self) {
        let accounts = self.accounts();
        for account in accounts.values() {
            let officers = account.roles.iter().filter(|role| Role::OFFICERS.contains(role)).count();
            let others = account.roles.iter().count() - officers;
            assert!(
                officers == 0 || (officers == 1 && others == 0),
                "{}: {:?}",
                account.person,
                account.roles
            );
        }
        for role in Role::OFFICERS {
            let holds =
                |account: &Account| account.roles.contains(role) && account.standing == Standing::Enabled;
            assert!(accounts.values().any(holds), "no {role} is left");
        }
        for session in self.house.directory.sessions() {
            assert_eq!(accounts[&session.person].standing, Standing::Enabled);
        }
    }

    /// Locked stays locked: counted here from the events, not taken from the accounts.
    fn judge_events(&mut self, recorded: usize) {
        let now = self.house.now.monotonic;
        for event in self.house.events.split_off(recorded) {
            let entering = matches!(event.what, What::LogIn | What::ChangePassword);
            match (&event.outcome, &event.by, &event.on) {
                (Outcome::Rejected(Rejection::WrongPassword | Rejection::LockedOut), Some(by), _) => {
                    let failures = self.in_a_row.entry(by.clone()).or_default();
                    *failures += 1;
                    assert_eq!(event.outcome == Outcome::Rejected(Rejection::LockedOut), *failures == 5);
                    if *failures == 5 {
                        *failures = 0;
                        self.locked_until.insert(by.clone(), now.plus(MINUTE * 10));
                    }
                }
                (Outcome::Done, Some(by), _) if entering => {
                    let until = self.locked_until.remove(by).unwrap_or_default();
                    assert!(now >= until, "{by} entered while locked");
                    self.in_a_row.remove(by);
                }
                (Outcome::Done, Some(by), Some(on)) => {
                    assert_ne!(by, on, "{:?} to himself", event.what);
                    match event.what {
                        What::RequestRecovery => drop(self.requested_by.insert(on.clone(), by.clone())),
                        What::Unlock | What::ApproveRecovery => {
                            self.locked_until.remove(on);
                            self.in_a_row.remove(on);
                        }
                        _ => {}
                    }
                }
                _ => {}
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 192, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_must_never_be_never_is(steps in proptest::collection::vec(step(), 1..60)) {
        let mut town = Town::new();
        for step in steps {
            town.take(step);
        }
    }
}
