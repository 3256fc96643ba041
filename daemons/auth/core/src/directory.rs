//! The directory itself: its state, what a proposal holds, and the one place where state changes.

use crate::{
    account::{Account, Lock},
    act::{Act, Answer, Now, Refusal},
    challenge::{Challenge, Subject},
    event::Event,
    lockout::Origins,
    password::PasswordHash,
    policy::Policy,
    recovery::Recovery,
    session::Session,
};
use auth_api::{Claims, Origin, SessionId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use types::{Monotonic, PersonId};

/// All accounts, sessions and pending recoveries of one house.
#[derive(Debug)]
pub struct Directory {
    pub(crate) policy: Policy,
    pub(crate) set_up: SetUp,
    pub(crate) accounts: BTreeMap<PersonId, Account>,
    pub(crate) sessions: BTreeMap<SessionId, Session>,
    pub(crate) recoveries: BTreeMap<PersonId, Recovery>,
    pub(crate) origins: Origins,
    generation: u64,
}

/// Whether the three officers have been named.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SetUp {
    /// Not yet: whoever has the password of this hash may name them, once.
    Awaiting {
        /// Of the set-up password.
        password: PasswordHash,
    },
    /// Done, for good.
    Done,
}

/// What the store brought back.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// Whether the officers have been named.
    pub set_up: SetUp,
    /// Every account.
    pub accounts: Vec<Account>,
    /// Sessions begun in this boot of the machine; others have no moments that could be compared.
    pub sessions: Vec<Session>,
    /// Pending recoveries.
    pub recoveries: Vec<Recovery>,
}

/// One change of state, to be stored before it is committed. Records are whole: storing one twice is
/// harmless.
#[derive(Clone, Debug)]
pub enum Change {
    /// Set-up is done.
    SetUp(SetUp),
    /// This account is now so.
    Account(Account),
    /// This session began.
    Session(Session),
    /// A sign of the person in this session, if it is still there.
    SessionSeen(SessionId, Monotonic),
    /// This session is no more.
    SessionEnded(SessionId),
    /// This recovery is pending.
    Recovery(Recovery),
    /// No recovery of this person is pending.
    RecoveryEnded(PersonId),
    /// A failure from there; kept in memory alone.
    Failure(Origin, Monotonic),
}

impl Change {
    /// Whether an act that was proposed before it is as right after it.
    const fn disturbs_nobody(&self) -> bool {
        matches!(self, Self::SessionSeen(..) | Self::Failure(..))
    }
}

/// What an act would do. Dropped, it did nothing.
#[must_use = "an act takes effect by commit alone"]
#[derive(Debug)]
pub struct Proposal {
    pub(crate) events: Vec<Event>,
    pub(crate) changes: Vec<Change>,
    pub(crate) answer: Answer,
    pub(crate) voucher: Option<Claims>,
    pub(crate) generation: u64,
}

impl Proposal {
    /// What must be durable in the audit log first.
    pub fn events(&self) -> &[Event] {
        &self.events
    }

    /// Who acts, where a password or a session said it: to be signed for the audit log, which believes no
    /// name without an assertion. For a log-in these are the claims of the answer, which are given out by
    /// [`Directory::commit`] alone.
    pub fn voucher(&self) -> Option<&Claims> {
        self.voucher.as_ref()
    }

    /// What must be durable in the store next.
    pub fn changes(&self) -> &[Change] {
        &self.changes
    }
}

/// The directory has changed since the proposal was made: propose again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the directory has changed since the act was proposed")]
pub struct Stale;

impl Directory {
    /// The directory as it was stored. A lock begins its time anew, so that a restart never shortens one.
    pub fn restore(policy: Policy, snapshot: Snapshot, now: Monotonic) -> Self {
        let Snapshot { set_up, accounts, sessions, recoveries } = snapshot;
        let until = now.plus(policy.lock);
        let relocked = |mut account: Account| {
            if matches!(account.lock, Lock::Locked { .. }) {
                account.lock = Lock::Locked { until };
            }
            (account.person.clone(), account)
        };
        Self {
            policy,
            set_up,
            accounts: accounts.into_iter().map(relocked).collect(),
            sessions: sessions.into_iter().map(|session| (session.id, session)).collect(),
            recoveries: recoveries.into_iter().map(|pending| (pending.subject.clone(), pending)).collect(),
            origins: Origins::default(),
            generation: 0,
        }
    }

    /// Puts other rules in force, from the next act on.
    pub fn obey(&mut self, policy: Policy) {
        self.policy = policy;
        self.generation += 1;
    }

    /// The rules in force.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// Whether the three officers have been named.
    pub fn set_up(&self) -> &SetUp {
        &self.set_up
    }

    /// Every account, by name. Whoever shows them has proposed [`Deed::List`](crate::Deed::List).
    pub fn accounts(&self) -> impl Iterator<Item = &Account> {
        self.accounts.values()
    }

    /// Every session that has not been ended, by its public name.
    pub fn sessions(&self) -> impl Iterator<Item = &Session> {
        self.sessions.values()
    }

    /// This session, if it has not been ended.
    pub fn session(&self, id: SessionId) -> Option<&Session> {
        self.sessions.get(&id)
    }

    /// Every pending recovery, by the person's name; some may have lapsed.
    pub fn recoveries(&self) -> impl Iterator<Item = &Recovery> {
        self.recoveries.values()
    }

    /// The pending recovery of this person.
    pub fn recovery(&self, person: &PersonId) -> Option<&Recovery> {
        self.recoveries.get(person)
    }

    /// Whether passwords from there are looked at now. Asked before the work is done; [`Self::propose`]
    /// asks again.
    ///
    /// # Errors
    /// [`Refusal::OriginLocked`].
    pub fn admits(&self, now: Monotonic, origin: Origin) -> Result<(), Refusal> {
        if self.origins.locked(origin, now, self.policy.failures, self.policy.lock) {
            return Err(Refusal::OriginLocked);
        }
        Ok(())
    }

    /// What this person's password is to be checked against: a decoy of the same cost for a person whom no
    /// password lets in now, so that the time tells neither who has an account nor, while it is locked,
    /// whether a guess is right.
    pub fn challenge(&self, now: Now, person: &PersonId) -> Challenge {
        let open = self.accounts.get(person).filter(|account| self.closed(now, account).is_none());
        let (current, former) = match open {
            Some(account) => (account.secret.hash.clone(), account.former.clone()),
            None => (PasswordHash::decoy(self.policy.cost), Vec::new()),
        };
        Challenge { subject: Subject::Person(person.clone()), current, former, policy: self.policy.clone() }
    }

    /// What the set-up password is to be checked against: after set-up nothing matches.
    pub fn challenge_set_up(&self) -> Challenge {
        let current = match &self.set_up {
            SetUp::Awaiting { password } => password.clone(),
            SetUp::Done => PasswordHash::decoy(self.policy.cost),
        };
        Challenge { subject: Subject::SetUp, current, former: Vec::new(), policy: self.policy.clone() }
    }

    /// What the act would do and what would be answered. Changes nothing.
    pub fn propose(&self, now: Now, act: Act) -> Proposal {
        let draft = match act {
            Act::SetUp { proof, officers, origin } => self.name_officers(now, &proof, officers, origin),
            Act::LogIn { proof, code, origin, session, fresh } => {
                self.log_in(now, &proof, code, origin, session, fresh)
            }
            Act::ChangePassword { replacement, code, origin, voucher } => {
                self.change_password(now, replacement, code, origin, voucher)
            }
            Act::Renew { session, presence } => self.renew(now, session, presence),
            Act::LogOut { session } => self.log_out(now, session),
            Act::EndSession { session, other } => self.end_session(now, session, other),
            Act::Officer { session, deed } => self.officer(now, session, deed),
        };
        Proposal { generation: self.generation, ..draft }
    }

    /// Makes the proposal true and gives out its answer. The shell has made its events and changes durable.
    ///
    /// # Errors
    /// [`Stale`] if the directory has changed since; nothing has happened.
    pub fn commit(&mut self, proposal: Proposal) -> Result<Answer, Stale> {
        let Proposal { events: _, changes, answer, voucher: _, generation } = proposal;
        if generation != self.generation {
            return Err(Stale);
        }
        if !changes.iter().all(Change::disturbs_nobody) {
            self.generation += 1;
        }
        for change in changes {
            self.apply(change);
        }
        Ok(answer)
    }

    fn apply(&mut self, change: Change) {
        match change {
            Change::SetUp(set_up) => self.set_up = set_up,
            Change::Account(account) => {
                self.accounts.insert(account.person.clone(), account);
            }
            Change::Session(session) => {
                self.sessions.insert(session.id, session);
            }
            Change::SessionSeen(id, now) => {
                if let Some(session) = self.sessions.get_mut(&id) {
                    session.active = session.active.max(now);
                }
            }
            Change::SessionEnded(id) => {
                self.sessions.remove(&id);
            }
            Change::Recovery(recovery) => {
                self.recoveries.insert(recovery.subject.clone(), recovery);
            }
            Change::RecoveryEnded(person) => {
                self.recoveries.remove(&person);
            }
            Change::Failure(origin, now) => self.origins.fail(origin, now, self.policy.lock),
        }
    }

    /// The end of every session of this person.
    pub(crate) fn ends(&self, person: &PersonId) -> impl Iterator<Item = Change> {
        let theirs = self.sessions.values().filter(|session| session.person == *person);
        theirs.map(|session| Change::SessionEnded(session.id))
    }

    /// The account that has this name or one that differs in case alone.
    pub(crate) fn named(&self, person: &PersonId) -> Option<&Account> {
        let folded = person.0.as_str().to_lowercase();
        self.accounts.values().find(|account| account.person.0.as_str().to_lowercase() == folded)
    }
}

/// A proposal without its generation, which [`Directory::propose`] adds.
pub(crate) fn draft(events: Vec<Event>, changes: Vec<Change>, answer: Answer) -> Proposal {
    Proposal { events, changes, answer, voucher: None, generation: 0 }
}
