//! What the three officers do, and what none of them can do alone.

use crate::{
    account::{Account, Lock, Nature, Standing},
    act::{Deed, Now, Refusal, Reply},
    directory::{Change, Directory, Proposal, draft},
    event::{Event, Outcome, What},
    factor::Factor,
    password::PasswordHash,
    recovery::{Recovery, RecoveryId},
};
use auth_api::{Password, Role, Roles, SessionId};
use mutant::mutant;
use types::PersonId;

impl Directory {
    pub(crate) fn officer(&self, now: Now, id: SessionId, deed: Deed) -> Proposal {
        let Some((session, by)) = self.live(now, id) else {
            return self.over(id);
        };
        let mut event = Event {
            what: What::from(&deed),
            by: Some(by.person.clone()),
            origin: Some(session.origin),
            on: deed.person().cloned(),
            role: match deed {
                Deed::Grant { role, .. } | Deed::Revoke { role, .. } => Some(role),
                _ => None,
            },
            outcome: Outcome::Done,
        };
        let active = Change::SessionSeen(id, now.monotonic);
        match self.judge(now, by, deed) {
            Ok(mut changes) => {
                changes.push(active);
                draft(vec![event], changes, Ok(Reply::Done))
            }
            Err(refusal) => {
                event.outcome = Outcome::Refused(refusal.clone());
                draft(vec![event], vec![active], Err(refusal))
            }
        }
    }

    fn judge(&self, now: Now, by: &Account, deed: Deed) -> Result<Vec<Change>, Refusal> {
        let office = by.office().filter(|role| deed.permitted().contains(role) || mutant("auth-any-office"));
        let office = office.ok_or(Refusal::NotPermitted)?;
        if deed.person() == Some(&by.person) {
            return Err(Refusal::OwnAccount);
        }
        match deed {
            Deed::Create { person, first } => self.create(now, person, first),
            Deed::Grant { person, role } => self.grant(&person, role),
            Deed::Revoke { person, role } => self.revoke(&person, role),
            Deed::Disable { person } => self.disable(&person),
            Deed::Enable { person } => self.enable(&person),
            Deed::Unlock { person } => self.unlock(now, &person),
            Deed::RequestRecovery { person, id, half } => {
                self.request_recovery(now, by, office, person, id, half)
            }
            Deed::ApproveRecovery { person, id, one_time } => {
                self.approve_recovery(now, by, office, &person, id, one_time)
            }
            Deed::List => Ok(Vec::new()),
        }
    }

    fn create(&self, now: Now, person: PersonId, first: PasswordHash) -> Result<Vec<Change>, Refusal> {
        if self.named(&person).is_some() {
            return Err(Refusal::NameTaken);
        }
        let account = Account::new(person, Roles::none(), first, Nature::OneTime, now.utc);
        Ok(vec![Change::Account(account)])
    }

    fn grant(&self, person: &PersonId, role: Role) -> Result<Vec<Change>, Refusal> {
        let account = self.account(person)?;
        if account.roles.contains(role) {
            return Err(Refusal::NothingToDo);
        }
        let roles = account.roles.with(role)?;
        Ok(self.changed(Account { roles, ..account.clone() }))
    }

    fn revoke(&self, person: &PersonId, role: Role) -> Result<Vec<Change>, Refusal> {
        let account = self.account(person)?;
        if !account.roles.contains(role) {
            return Err(Refusal::NothingToDo);
        }
        self.spare_last(account, role)?;
        Ok(self.changed(Account { roles: account.roles.without(role), ..account.clone() }))
    }

    fn disable(&self, person: &PersonId) -> Result<Vec<Change>, Refusal> {
        let account = self.account(person)?;
        if account.standing == Standing::Disabled {
            return Err(Refusal::NothingToDo);
        }
        if let Some(office) = account.office() {
            self.spare_last(account, office)?;
        }
        let mut changes = self.changed(Account { standing: Standing::Disabled, ..account.clone() });
        changes.push(Change::RecoveryEnded(person.clone()));
        Ok(changes)
    }

    fn enable(&self, person: &PersonId) -> Result<Vec<Change>, Refusal> {
        let account = self.account(person)?;
        if account.standing == Standing::Enabled {
            return Err(Refusal::NothingToDo);
        }
        Ok(self.changed(Account { standing: Standing::Enabled, ..account.clone() }))
    }

    fn unlock(&self, now: Now, person: &PersonId) -> Result<Vec<Change>, Refusal> {
        let account = self.account(person)?;
        if !account.lock.holds(now.monotonic) {
            return Err(Refusal::NothingToDo);
        }
        Ok(vec![Change::Account(Account { lock: Lock::CLEAR, ..account.clone() })])
    }

    fn request_recovery(
        &self,
        now: Now,
        by: &Account,
        office: Role,
        person: PersonId,
        id: RecoveryId,
        half: Password,
    ) -> Result<Vec<Change>, Refusal> {
        let subject = self.account(&person)?;
        if subject.standing == Standing::Disabled {
            return Err(Refusal::AccountDisabled);
        }
        if subject.roles.contains(office) {
            return Err(Refusal::SecondOfficerNeeded);
        }
        let recovery = Recovery { id, subject: person, by: by.person.clone(), requested: now.utc, half };
        Ok(vec![Change::Recovery(recovery)])
    }

    fn approve_recovery(
        &self,
        now: Now,
        by: &Account,
        office: Role,
        person: &PersonId,
        id: RecoveryId,
        one_time: PasswordHash,
    ) -> Result<Vec<Change>, Refusal> {
        let subject = self.account(person)?;
        let pending = self.recoveries.get(person).filter(|pending| pending.id == id);
        let pending = pending.filter(|pending| now.utc.since(pending.requested) <= self.policy.recovery);
        let pending = pending.ok_or(Refusal::NoRecovery)?;
        let requested_as = self.accounts.get(&pending.by).and_then(Account::office);
        let requested_as = requested_as.ok_or(Refusal::NoRecovery)?;
        let alone = pending.by == by.person || requested_as == office;
        if alone && !mutant("auth-self-approval") {
            return Err(Refusal::SecondOfficerNeeded);
        }
        if subject.roles.contains(office) || subject.roles.contains(requested_as) {
            return Err(Refusal::SecondOfficerNeeded);
        }
        let keep = self.policy.history;
        let mut recovered = subject.clone().with_secret(one_time, Nature::OneTime, now.utc, keep);
        // Whoever lost the phone comes the same way: the next log-in enrols another.
        recovered.factor = Factor::None;
        let mut changes = self.changed(recovered);
        changes.push(Change::RecoveryEnded(person.clone()));
        Ok(changes)
    }

    fn account(&self, person: &PersonId) -> Result<&Account, Refusal> {
        self.accounts.get(person).ok_or(Refusal::NoSuchPerson)
    }

    /// The account as it shall be, and the end of the sessions that it had as it was.
    fn changed(&self, account: Account) -> Vec<Change> {
        let mut changes: Vec<_> = self.ends(&account.person).collect();
        changes.push(Change::Account(account));
        changes
    }

    /// Refuses to take an officer's role from the last person who can exercise it.
    fn spare_last(&self, account: &Account, role: Role) -> Result<(), Refusal> {
        let mut others = self.accounts.values().filter(|other| other.person != account.person);
        if role.is_officer()
            && account.standing == Standing::Enabled
            && !others.any(|other| other.office() == Some(role))
        {
            return Err(Refusal::LastOfficer(role));
        }
        Ok(())
    }
}
