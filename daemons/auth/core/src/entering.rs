//! What a password opens: set-up, log-in, its own change; and the sessions that come of it.

use crate::{
    account::{Account, Lock, Nature, Standing},
    act::{Now, Officers, Refusal, Reply},
    challenge::{Proof, Replacement, Subject},
    directory::{Change, Directory, Proposal, SetUp, draft},
    event::{Event, Outcome, Rejection, What},
    factor::{Factor, Fresh, Spent},
    password::{Match, PasswordHash},
    session::Session,
};
use auth_api::{Claims, Code, Origin, Presence, Role, Roles, SessionId};
use mutant::mutant;
use std::time::Duration;
use types::PersonId;

/// Sessions whose time is over and that one log-in sweeps away: a proposal stays small.
const SWEPT: usize = 64;
/// The life of a voucher.
const VOUCHED: Duration = Duration::from_secs(30);

impl Directory {
    /// Why no password lets this person in now.
    pub(crate) fn closed(&self, now: Now, account: &Account) -> Option<Rejection> {
        if account.lock.holds(now.monotonic) {
            return Some(Rejection::Locked);
        }
        if account.standing == Standing::Disabled {
            return Some(Rejection::Disabled);
        }
        let age = now.utc.since(account.secret.set);
        (account.secret.nature == Nature::OneTime && age > self.policy.one_time).then_some(Rejection::Lapsed)
    }

    pub(crate) fn name_officers(
        &self,
        now: Now,
        proof: &Proof,
        officers: Officers,
        origin: Origin,
    ) -> Proposal {
        let Officers { system, security, audit } = officers;
        let named = [
            (Role::SystemAdministrator, system),
            (Role::SecurityAdministrator, security),
            (Role::AuditAdministrator, audit),
        ];
        if let Err(refusal) = self.admits(now.monotonic, origin) {
            return draft(Vec::new(), Vec::new(), Err(refusal));
        }
        let SetUp::Awaiting { password } = &self.set_up else {
            let outcome = Outcome::Refused(Refusal::SetUpDone);
            return self.failure(now, event(What::SetUp, None, origin, outcome), Refusal::SetUpDone);
        };
        if proof.subject != Subject::SetUp || proof.against != *password || proof.found != Match::Same {
            let outcome = Outcome::Rejected(Rejection::WrongPassword);
            return self.failure(now, event(What::SetUp, None, origin, outcome), Refusal::Credentials);
        }
        if let Err(refusal) = three_persons(&named) {
            let outcome = Outcome::Refused(refusal.clone());
            return draft(vec![event(What::SetUp, None, origin, outcome)], Vec::new(), Err(refusal));
        }
        let mut events = Vec::new();
        let mut changes = vec![Change::SetUp(SetUp::Done)];
        for (role, (person, hash)) in named {
            events.push(Event {
                on: Some(person.clone()),
                role: Some(role),
                ..event(What::SetUp, None, origin, Outcome::Done)
            });
            let account = Account::new(person, Roles::only(role), hash, Nature::AtSetUp, now.utc);
            changes.push(Change::Account(account));
        }
        draft(events, changes, Ok(Reply::Done))
    }

    pub(crate) fn log_in(
        &self,
        now: Now,
        proof: &Proof,
        code: Option<Code>,
        origin: Origin,
        id: SessionId,
        fresh: Fresh,
    ) -> Proposal {
        let account = match self.admit(now, What::LogIn, proof, origin) {
            Ok(account) => account,
            Err(rejected) => return *rejected,
        };
        let age = now.utc.since(account.secret.set);
        if account.secret.nature != Nature::Chosen || age > self.policy.age {
            let outcome = Outcome::Rejected(Rejection::MustChange);
            let event = event(What::LogIn, Some(&account.person), origin, outcome);
            return draft(vec![event], Vec::new(), Ok(Reply::MustChange));
        }
        let (factor, told) = match self.second(now, What::LogIn, account, code.as_ref(), origin, &fresh) {
            Ok(second) => second,
            Err(wanting) => return *wanting,
        };
        let person = account.person.clone();
        let session = Session { id, person, origin, began: now.monotonic, active: now.monotonic };
        let claims = session.claims(account.roles.clone(), now, &self.policy);
        let mut changes = self.make_room(now, &session.person);
        let done = |what| event(what, Some(&account.person), origin, Outcome::Done);
        let events = told.into_iter().chain([What::LogIn]).map(done).collect();
        changes.push(Change::Session(session));
        changes.push(Change::Account(Account {
            lock: Lock::CLEAR,
            entered: Some(now.utc),
            factor,
            ..account.clone()
        }));
        let voucher = Some(claims.clone());
        let reply = match told {
            Some(What::EnrolFactor) => Reply::Enrolled(claims, fresh.recovery),
            _ => Reply::Claims(claims),
        };
        Proposal { voucher, ..draft(events, changes, Ok(reply)) }
    }

    /// What becomes of the second factor of an account whose password is right, and what else is to be told; or what
    /// is wanting.
    fn second(
        &self,
        now: Now,
        what: What,
        account: &Account,
        code: Option<&Code>,
        origin: Origin,
        fresh: &Fresh,
    ) -> Result<(Factor, Option<What>), Box<Proposal>> {
        let wanting = |rejection, changes, reply| {
            let event = event(what, Some(&account.person), origin, Outcome::Rejected(rejection));
            Err(Box::new(draft(vec![event], changes, Ok(reply))))
        };
        let wrong =
            || Err(Box::new(self.wrong(now, what, account, Rejection::WrongCode, origin, Refusal::Code)));
        match (&account.factor, code) {
            (Factor::Enrolled(_), None) => wanting(Rejection::CodeWanted, Vec::new(), Reply::CodeWanted),
            (enrolled @ Factor::Enrolled(_), Some(code)) => match enrolled.spend(code, now.utc) {
                Some((left, Spent::Step)) => Ok((left, None)),
                Some((left, Spent::Recovery)) => Ok((left, Some(What::UseRecoveryCode))),
                None => wrong(),
            },
            _ if !self.wants_factor(account) => Ok((account.factor.clone(), None)),
            (offered @ Factor::Offered { .. }, Some(code)) => {
                match offered.confirm(code, &fresh.recovery, now.utc) {
                    Some(enrolled) => Ok((enrolled, Some(What::EnrolFactor))),
                    None => wrong(),
                }
            }
            (Factor::None, _) | (Factor::Offered { .. }, None) => {
                let factor = Factor::Offered { secret: fresh.secret.clone(), at: now.utc };
                let offered = Change::Account(Account { factor, ..account.clone() });
                wanting(Rejection::MustEnrol, vec![offered], Reply::Enrol(fresh.secret.clone()))
            }
        }
    }

    /// Whether one of the person's roles asks for a second factor.
    pub fn wants_factor(&self, account: &Account) -> bool {
        account.roles.iter().any(|role| self.policy.second_factor.contains(&role))
            && !mutant("auth-no-factor")
    }

    pub(crate) fn change_password(
        &self,
        now: Now,
        replacement: Replacement,
        code: Option<Code>,
        origin: Origin,
        voucher: SessionId,
    ) -> Proposal {
        let Replacement { proof, new } = replacement;
        let account = match self.admit(now, What::ChangePassword, &proof, origin) {
            Ok(account) => account,
            Err(rejected) => return *rejected,
        };
        let done = |outcome| event(What::ChangePassword, Some(&account.person), origin, outcome);
        let factor = match (&account.factor, code) {
            (Factor::Enrolled(_), None) => {
                let rejected = done(Outcome::Rejected(Rejection::CodeWanted));
                return draft(vec![rejected], Vec::new(), Err(Refusal::CodeWanted));
            }
            (enrolled @ Factor::Enrolled(_), Some(code)) => match enrolled.spend(&code, now.utc) {
                Some((left, _)) => left,
                None => {
                    let what = What::ChangePassword;
                    return self.wrong(now, what, account, Rejection::WrongCode, origin, Refusal::Code);
                }
            },
            (other, _) => other.clone(),
        };
        match new {
            Err(weakness) => {
                let refusal = Refusal::Weak(weakness);
                // The code is used up all the same.
                let spent = Change::Account(Account { factor, ..account.clone() });
                draft(vec![done(Outcome::Refused(refusal.clone()))], vec![spent], Err(refusal))
            }
            Ok(hash) => {
                let keep = self.policy.history;
                let mut changed = account.clone().with_secret(hash, Nature::Chosen, now.utc, keep);
                changed.factor = factor;
                let mut changes: Vec<_> = self.ends(&account.person).collect();
                changes.push(Change::Account(changed));
                let voucher = Some(vouch(account, voucher, now));
                Proposal { voucher, ..draft(vec![done(Outcome::Done)], changes, Ok(Reply::Done)) }
            }
        }
    }

    pub(crate) fn renew(&self, now: Now, id: SessionId, presence: Presence) -> Proposal {
        let Some((session, account)) = self.live(now, id) else {
            return self.over(id);
        };
        let mut session = session.clone();
        let mut changes = Vec::new();
        if presence == Presence::Active {
            session.active = now.monotonic;
            changes.push(Change::SessionSeen(id, now.monotonic));
        }
        let claims = session.claims(account.roles.clone(), now, &self.policy);
        draft(Vec::new(), changes, Ok(Reply::Claims(claims)))
    }

    /// Ends a session. One that is not there has ended already, and that is what was wanted.
    pub(crate) fn log_out(&self, now: Now, id: SessionId) -> Proposal {
        let Some(session) = self.sessions.get(&id) else {
            return draft(Vec::new(), Vec::new(), Ok(Reply::Done));
        };
        let event = event(What::LogOut, Some(&session.person), session.origin, Outcome::Done);
        let voucher = self.accounts.get(&session.person).map(|account| vouch(account, id, now));
        Proposal { voucher, ..draft(vec![event], vec![Change::SessionEnded(id)], Ok(Reply::Done)) }
    }

    /// Ends a session of the asker's, who has another or the same.
    pub(crate) fn end_session(&self, now: Now, id: SessionId, other: SessionId) -> Proposal {
        let Some((own, account)) = self.live(now, id) else {
            return self.over(id);
        };
        match self.sessions.get(&other).filter(|other| other.person == own.person) {
            None => draft(Vec::new(), Vec::new(), Err(Refusal::NoSuchSession)),
            Some(other) => {
                let event = event(What::LogOut, Some(&own.person), own.origin, Outcome::Done);
                let voucher = Some(vouch(account, id, now));
                Proposal {
                    voucher,
                    ..draft(vec![event], vec![Change::SessionEnded(other.id)], Ok(Reply::Done))
                }
            }
        }
    }

    /// The sessions of whoever has this one, the newest first.
    ///
    /// # Errors
    /// [`Refusal::SessionEnded`].
    pub fn sessions_of(&self, now: Now, id: SessionId) -> Result<Vec<&Session>, Refusal> {
        let (own, _) = self.live(now, id).ok_or(Refusal::SessionEnded)?;
        let theirs = self.sessions.values().filter(|session| session.person == own.person);
        let mut theirs: Vec<_> = theirs.filter(|session| session.live(now.monotonic, &self.policy)).collect();
        theirs.sort_by_key(|session| std::cmp::Reverse(session.began));
        Ok(theirs)
    }

    /// Answers that the session has ended, and forgets it.
    pub(crate) fn over(&self, id: SessionId) -> Proposal {
        let forgotten = self.sessions.get(&id).map(|session| Change::SessionEnded(session.id));
        draft(Vec::new(), forgotten.into_iter().collect(), Err(Refusal::SessionEnded))
    }

    /// A session that holds now, with the account whose it is.
    pub(crate) fn live(&self, now: Now, id: SessionId) -> Option<(&Session, &Account)> {
        let session = self.sessions.get(&id).filter(|session| session.live(now.monotonic, &self.policy))?;
        let account = self.accounts.get(&session.person)?;
        (account.standing == Standing::Enabled).then_some((session, account))
    }

    /// The account that the proof opens, or the proposal that counts and records the failure.
    fn admit(&self, now: Now, what: What, proof: &Proof, origin: Origin) -> Result<&Account, Box<Proposal>> {
        if let Err(refusal) = self.admits(now.monotonic, origin) {
            // The failures that led here are on record; one more entry a request would let a stranger
            // fill the log.
            return Err(Box::new(draft(Vec::new(), Vec::new(), Err(refusal))));
        }
        let account = match &proof.subject {
            Subject::Person(person) => self.accounts.get(person),
            Subject::SetUp => None,
        };
        let rejection = match account {
            None => Rejection::UnknownPerson,
            Some(account) => match (self.closed(now, account), proof.found) {
                (Some(closed), _) => closed,
                (None, _) if proof.against != account.secret.hash => Rejection::Superseded,
                (None, Match::Same) => return Ok(account),
                (None, Match::Different) => Rejection::WrongPassword,
            },
        };
        if let (Some(account), Rejection::WrongPassword) = (account, rejection) {
            return Err(Box::new(self.wrong(now, what, account, rejection, origin, Refusal::Credentials)));
        }
        let person = account.map(|account| &account.person);
        let event = event(what, person, origin, Outcome::Rejected(rejection));
        Err(Box::new(self.failure(now, event, Refusal::Credentials)))
    }

    /// Counts a wrong password or code against the account and its origin.
    fn wrong(
        &self,
        now: Now,
        what: What,
        account: &Account,
        rejection: Rejection,
        origin: Origin,
        refusal: Refusal,
    ) -> Proposal {
        let after = match (rejection, mutant("auth-code-uncounted")) {
            (Rejection::WrongCode, true) => account.lock,
            _ => self.failed(now, account.lock),
        };
        let locked = matches!(after, Lock::Locked { .. });
        let outcome = if locked { Rejection::LockedOut } else { rejection };
        let event = event(what, Some(&account.person), origin, Outcome::Rejected(outcome));
        let mut proposal = self.failure(now, event, refusal);
        proposal.changes.push(Change::Account(Account { lock: after, ..account.clone() }));
        proposal
    }

    /// Counts a failure against its origin, and says so where it is the one that locks it.
    fn failure(&self, now: Now, event: Event, refusal: Refusal) -> Proposal {
        let Some(origin) = event.origin else { return draft(vec![event], Vec::new(), Err(refusal)) };
        let locks = self.origins.at_the_brink(origin, now.monotonic, self.policy.failures, self.policy.lock);
        let mut events = vec![event];
        if locks {
            events.push(self::event(What::OriginLockOut, None, origin, Outcome::Done));
        }
        draft(events, vec![Change::Failure(origin, now.monotonic)], Err(refusal))
    }

    fn failed(&self, now: Now, lock: Lock) -> Lock {
        let failures = match lock {
            Lock::Open { failures } => failures.saturating_add(1),
            // The lock has run out: this is the first failure of a new row.
            Lock::Locked { .. } => 1,
        };
        if failures >= self.policy.failures && !mutant("auth-no-lock-out") {
            return Lock::Locked { until: now.monotonic.plus(self.policy.lock) };
        }
        Lock::Open { failures }
    }

    /// Ends some sessions whose time is over, and the oldest of this person's where there are too many.
    fn make_room(&self, now: Now, person: &PersonId) -> Vec<Change> {
        let (live, over): (Vec<_>, Vec<_>) =
            self.sessions.values().partition(|session| session.live(now.monotonic, &self.policy));
        let mut theirs: Vec<_> = live.into_iter().filter(|session| session.person == *person).collect();
        theirs.sort_by_key(|session| session.began);
        let surplus = (theirs.len() + 1).saturating_sub(self.policy.sessions);
        over.into_iter()
            .take(SWEPT)
            .chain(theirs.into_iter().take(surplus))
            .map(|session| Change::SessionEnded(session.id))
            .collect()
    }
}

fn three_persons(named: &[(Role, (PersonId, PasswordHash)); 3]) -> Result<(), Refusal> {
    let [a, b, c] = named.each_ref().map(|(_, (person, _))| person.0.as_str().to_lowercase());
    if a == b || b == c || a == c { Err(Refusal::SamePerson) } else { Ok(()) }
}

/// Claims for the log alone: long enough to be verified there.
fn vouch(account: &Account, session: SessionId, now: Now) -> Claims {
    Claims {
        person: account.person.clone(),
        roles: account.roles.clone(),
        session,
        issued: now.utc,
        expires: now.utc.plus(VOUCHED),
    }
}

fn event(what: What, by: Option<&PersonId>, origin: Origin, outcome: Outcome) -> Event {
    Event { what, by: by.cloned(), origin: Some(origin), on: None, role: None, outcome }
}
