//! A house with a clock that the test turns.
#![allow(dead_code, clippy::unwrap_used, clippy::panic, reason = "a failed step is a failed test")]

use auth_api::{Claims, Code, Origin, Password, Role, SessionId};
use auth_core::*;
use std::{collections::BTreeSet, time::Duration};
use types::{Monotonic, PersonId, Uid, Utc};

pub const MINUTE: Duration = Duration::from_secs(60);
pub const DAY: Duration = Duration::from_secs(24 * 60 * 60);
pub const CHEAP: Cost = Cost { memory_kib: 8, passes: 1, lanes: 1 };
pub const SET_UP: &str = "set-up password";

pub fn person(name: &str) -> PersonId {
    PersonId(name.parse().unwrap())
}

pub fn password(text: &str) -> Password {
    text.to_owned().try_into().unwrap()
}

pub fn code(text: &str) -> Code {
    text.to_owned().try_into().unwrap()
}

pub fn hash(text: &str) -> PasswordHash {
    PasswordHash::new(&password(text), Salt([5; 16]), CHEAP).unwrap()
}

pub fn desk(number: u8) -> Origin {
    Origin::Address([10, 0, 0, number].into())
}

pub struct House {
    pub directory: Directory,
    pub now: Now,
    pub events: Vec<Event>,
    made: u128,
}

impl House {
    /// A house in which nobody has an account.
    pub fn bare() -> Self {
        // The second factor has its own tests: tests/factor.rs.
        let policy = Policy { cost: CHEAP, second_factor: BTreeSet::new(), ..Policy::default() };
        let set_up = SetUp::Awaiting { password: hash(SET_UP) };
        let snapshot = Snapshot { set_up, accounts: vec![], sessions: vec![], recoveries: vec![] };
        let now = Now { monotonic: Monotonic(1), utc: Utc(1_800_000_000_000_000_000) };
        Self { directory: Directory::restore(policy, snapshot, now.monotonic), now, events: vec![], made: 0 }
    }

    /// A house with its three officers, each with a password of his own: `sys`, `sec` and `aud`.
    pub fn officers() -> Self {
        let mut house = Self::bare();
        assert_eq!(house.name_officers(SET_UP, ["sys", "sec", "aud"], desk(1)), Ok(Reply::Done));
        for name in ["sys", "sec", "aud"] {
            assert_eq!(house.change(name, "First#1st", &own(name)), Ok(Reply::Done));
        }
        house
    }

    /// A house in which also this person exists, with a password of his own and this role.
    pub fn with(name: &str, role: Role) -> Self {
        let mut house = Self::officers();
        house.hire(name);
        let sec = house.enter("sec");
        assert_eq!(house.deed(sec, Deed::Grant { person: person(name), role }), Ok(Reply::Done));
        house
    }

    pub fn hire(&mut self, name: &str) {
        let sys = self.enter("sys");
        let create = Deed::Create { person: person(name), first: hash("One*Time1") };
        assert_eq!(self.deed(sys, create), Ok(Reply::Done));
        assert_eq!(self.change(name, "One*Time1", &own(name)), Ok(Reply::Done));
    }

    pub fn act(&mut self, act: Act) -> Answer {
        let proposal = self.directory.propose(self.now, act);
        self.events.extend_from_slice(proposal.events());
        self.directory.commit(proposal).unwrap()
    }

    pub fn name_officers(&mut self, set_up: &str, names: [&str; 3], origin: Origin) -> Answer {
        let proof = self.directory.challenge_set_up().answer(&password(set_up));
        let [system, security, audit] = names.map(|name| (person(name), hash("First#1st")));
        self.act(Act::SetUp { proof, officers: Officers { system, security, audit }, origin })
    }

    pub fn log_in(&mut self, name: &str, text: &str, origin: Origin) -> Answer {
        let proof = self.directory.challenge(self.now, &person(name)).answer(&password(text));
        let session = SessionId(self.uid());
        self.act(Act::LogIn { proof, code: None, origin, session, fresh: self.fresh() })
    }

    /// Logs in with a code.
    pub fn log_in_with(&mut self, name: &str, text: &str, code: &str) -> Answer {
        let proof = self.directory.challenge(self.now, &person(name)).answer(&password(text));
        let (session, code) = (SessionId(self.uid()), Some(self::code(code)));
        let fresh = self.fresh();
        self.act(Act::LogIn { proof, code, origin: desk(1), session, fresh })
    }

    /// A secret and recovery codes that differ each time.
    pub fn fresh(&self) -> Fresh {
        let recovery = (0..RECOVERY_CODES).map(|number| code(&format!("{:04}-{number:04}-ABCD", self.made)));
        Fresh { secret: FactorSecret::new([self.made as u8; 20]), recovery: recovery.collect() }
    }

    /// Logs in with the person's own password.
    pub fn enter(&mut self, name: &str) -> SessionId {
        self.claims(name).session
    }

    pub fn claims(&mut self, name: &str) -> Claims {
        match self.log_in(name, &own(name), desk(1)) {
            Ok(Reply::Claims(claims)) => claims,
            other => panic!("{name}: {other:?}"),
        }
    }

    pub fn change(&mut self, name: &str, old: &str, new: &str) -> Answer {
        let challenge = self.directory.challenge(self.now, &person(name));
        let replacement = challenge.replace(&password(old), &password(new), Salt([6; 16])).unwrap();
        let voucher = SessionId(self.uid());
        self.act(Act::ChangePassword { replacement, code: None, origin: desk(1), voucher })
    }

    pub fn deed(&mut self, session: SessionId, deed: Deed) -> Answer {
        self.act(Act::Officer { session, deed })
    }

    pub fn request(&mut self, session: SessionId, name: &str, half: &str) -> Result<RecoveryId, Refusal> {
        let id = RecoveryId(self.uid());
        let request = Deed::RequestRecovery { person: person(name), id, half: password(half) };
        self.deed(session, request).map(|_done| id)
    }

    pub fn approve(&mut self, session: SessionId, name: &str, id: RecoveryId, whole: &str) -> Answer {
        self.deed(session, Deed::ApproveRecovery { person: person(name), id, one_time: hash(whole) })
    }

    pub fn account(&self, name: &str) -> &Account {
        self.directory.accounts().find(|account| account.person == person(name)).unwrap()
    }

    pub fn pass(&mut self, time: Duration) {
        self.now = Now { monotonic: self.now.monotonic.plus(time), utc: self.now.utc.plus(time) };
    }

    pub fn last(&self) -> &Event {
        self.events.last().unwrap()
    }

    fn uid(&mut self) -> Uid {
        self.made += 1;
        Uid(self.made.to_be_bytes())
    }
}

/// The password that a person chose.
pub fn own(name: &str) -> String {
    let turned: String = name.chars().map(|c| char::from((c as u8 ^ 1) & 0x7f)).collect();
    format!("Own%{turned}%77")
}
