//! The order of every act: proposed, recorded, stored, committed, answered.
//!
//! Acts that are recorded go one after the other, so none is proposed on a state that another is about to
//! change. Renewals are not recorded and do not wait for them.

use crate::{keeping::Keeping, ledger::Ledger, refusal::told, signing::Signing};
use auth_api::{Assertion, Claims, Origin, Presence, SessionEntry, SessionId};
use auth_core::{Act, Challenge, Change, Directory, Now, Policy, Proposal, Reply, Snapshot};
use service::{Refusal, clock};
use std::sync::{Mutex, MutexGuard, PoisonError};
use types::PersonId;

/// Guards the directory. Every act goes through [`Guard::act`] or [`Guard::renew`].
pub struct Guard {
    directory: Mutex<Directory>,
    turn: tokio::sync::Mutex<()>,
    keeping: Keeping,
    ledger: Ledger,
    signing: Signing,
}

impl Guard {
    /// Over what the store brought back.
    pub fn new(policy: Policy, kept: Snapshot, keeping: Keeping, ledger: Ledger, signing: Signing) -> Self {
        let directory = Mutex::new(Directory::restore(policy, kept, clock::monotonic()));
        Self { directory, turn: tokio::sync::Mutex::default(), keeping, ledger, signing }
    }

    /// Does one act. What comes back is on record and durable. With it the assertion of the claims, where
    /// the act brought some.
    ///
    /// # Errors
    /// The act is refused, or could not be recorded or stored: then it was not done.
    pub async fn act(
        &self,
        act: Act,
        own: Option<&Assertion>,
    ) -> Result<(Reply, Option<Assertion>), Refusal> {
        let _turn = self.turn.lock().await;
        let proposal = self.directory().propose(now(), act);
        let voucher = match proposal.voucher() {
            Some(claims) => Some(self.signing.sign(claims).await?),
            None => None,
        };
        let proof = voucher.as_ref().or(own);
        self.ledger.record(proposal.events(), proof).await?;
        if let Err(error) = self.keeping.keep(proposal.changes()).await {
            self.ledger.undone(proposal.events(), proof, &error.to_string()).await;
            return Err(error.into());
        }
        let seen = proposal.changes().iter().find_map(|change| match change {
            Change::SessionSeen(id, _) => Some(*id),
            _ => None,
        });
        let reply = self.commit(proposal);
        seen.map_or(Ok(()), |id| self.keep_session(id))?;
        Ok((reply?, voucher))
    }

    /// A fresh assertion of a session.
    ///
    /// # Errors
    /// The session has ended, or key is away.
    pub async fn renew(
        &self,
        session: SessionId,
        presence: Presence,
    ) -> Result<(Claims, Assertion), Refusal> {
        let reply = {
            let mut directory = self.directory();
            let proposal = directory.propose(now(), Act::Renew { session, presence });
            directory.commit(proposal).map_err(stale)?
        };
        if presence == Presence::Active {
            self.keep_session(session)?;
        }
        match reply.map_err(|refusal| told(&refusal))? {
            Reply::Claims(claims) => {
                let assertion = self.signing.sign(&claims).await?;
                Ok((claims, assertion))
            }
            _ => Err(told(&auth_core::Refusal::SessionEnded)),
        }
    }

    /// One's own sessions, by one of them.
    ///
    /// # Errors
    /// The session has ended.
    pub fn sessions(&self, session: SessionId) -> Result<Vec<SessionEntry>, Refusal> {
        let (directory, now) = (self.directory(), now());
        let ago = |moment| now.utc.minus(now.monotonic.since(moment));
        let theirs = directory.sessions_of(now, session).map_err(|refusal| told(&refusal))?;
        let entry = |one: &auth_core::Session| SessionEntry {
            session: one.id,
            origin: one.origin,
            began: ago(one.began),
            active: ago(one.active),
        };
        Ok(theirs.into_iter().map(entry).collect())
    }

    /// Whether passwords from there are looked at now.
    ///
    /// # Errors
    /// Too many failures from there.
    pub fn admits(&self, origin: Origin) -> Result<(), Refusal> {
        self.directory().admits(clock::monotonic(), origin).map_err(|refusal| told(&refusal))
    }

    /// What this person's password is to be checked against.
    ///
    /// # Errors
    /// As [`Guard::admits`].
    pub fn challenge(&self, person: &PersonId, origin: Origin) -> Result<Challenge, Refusal> {
        self.admits(origin)?;
        Ok(self.directory().challenge(now(), person))
    }

    /// What the set-up password is to be checked against.
    ///
    /// # Errors
    /// As [`Guard::admits`].
    pub fn challenge_set_up(&self, origin: Origin) -> Result<Challenge, Refusal> {
        self.admits(origin)?;
        Ok(self.directory().challenge_set_up())
    }

    /// Puts other rules in force, once no act is under way.
    pub async fn obey(&self, policy: Policy) {
        let _turn = self.turn.lock().await;
        self.directory().obey(policy);
    }

    /// The directory, to be read at once and never held over a wait.
    pub fn directory(&self) -> MutexGuard<'_, Directory> {
        // Only `commit` changes it, and nothing in there panics half-way.
        self.directory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has the last sign of the person written down in its time.
    fn keep_session(&self, id: SessionId) -> Result<(), Refusal> {
        let seen = self.directory().session(id).cloned().map(Change::Session);
        Ok(seen.map_or(Ok(()), |seen| self.keeping.keep_in_time(&[seen]))?)
    }

    fn commit(&self, proposal: Proposal) -> Result<Reply, Refusal> {
        self.directory().commit(proposal).map_err(stale)?.map_err(|refusal| told(&refusal))
    }
}

/// This moment on both clocks.
pub fn now() -> Now {
    Now { monotonic: clock::monotonic(), utc: clock::utc() }
}

/// Cannot come while every act has its turn; if it did, nothing was done.
fn stale(stale: auth_core::Stale) -> Refusal {
    Refusal::busy("auth.busy", format!("{stale}: try again"))
}
