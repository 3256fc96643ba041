//! The calls, one by one: what each needs before the guard is asked.

use crate::{error::Error, guard::Guard, hashing::Hashing, officers, refusal::told, secrets};
use auth_api::{
    Assertion, Auth, Call, ChangePassword, Claims, Done, EndSession, LoggedIn, Login, NewOfficer, Offered,
    Origin, Renew, Renewed, SessionId, SessionList, Sessions, Setup, Verifier,
};
use auth_core::{Act, Officers, PasswordHash, Policy, Reply};
use mutant::mutant;
use service::{Interface, Refusal, Request};
use std::sync::Arc;
use tokio::sync::Semaphore;
use types::PersonId;

/// Calls in hand; the next one is told Busy.
const CALLS: usize = 128;

/// Answers every call. Cheap to clone.
#[derive(Clone)]
pub struct Desk(pub(crate) Arc<Shared>);

pub(crate) struct Shared {
    pub(crate) guard: Guard,
    pub(crate) hashing: Hashing,
    verifier: Verifier,
    named: Box<dyn Fn() + Send + Sync>,
    places: Arc<Semaphore>,
}

impl Desk {
    /// A desk before this guard. `named` is called once the three officers are.
    pub fn new(guard: Guard, verifier: Verifier, named: impl Fn() + Send + Sync + 'static) -> Self {
        let places = Arc::new(Semaphore::new(CALLS));
        Self(Arc::new(Shared {
            guard,
            hashing: Hashing::default(),
            verifier,
            named: Box::new(named),
            places,
        }))
    }

    /// Puts other rules in force, in a task of its own.
    pub fn obey(&self, policy: Policy) {
        let desk = Arc::clone(&self.0);
        tokio::spawn(async move { desk.guard.obey(policy).await });
    }

    /// Answers the call in a task of its own.
    pub fn take(&self, request: Request<Auth>) {
        let Request { peer, call, .. } = request;
        // The operator's program runs on the box, whatever it says.
        let local = !peer.caller.runs();
        let place = Arc::clone(&self.0.places).try_acquire_owned();
        let desk = Arc::clone(&self.0);
        tokio::spawn(async move {
            match place {
                Ok(_place) => desk.answer(call, local).await,
                Err(_full) => turn_away(call),
            }
        });
    }
}

impl Shared {
    async fn answer(&self, call: Call, local: bool) {
        match call {
            Call::Setup(setup, reply) => reply.send(self.name_officers(setup, local).await),
            Call::Login(login, reply) => reply.send(self.log_in(login, local).await),
            Call::Renew(renew, reply) => reply.send(self.renew(&renew).await),
            Call::Logout(logout, reply) => {
                let act = Act::LogOut { session: logout.token.session() };
                reply.send(self.guard.act(act, None).await.map(done));
            }
            Call::ChangePassword(change, reply) => reply.send(self.change_password(change, local).await),
            Call::Sessions(asked, reply) => reply.send(self.sessions(&asked)),
            Call::EndSession(end, reply) => reply.send(self.end_session(end).await),
            Call::Accounts(accounts, reply) => reply.send(officers::accounts(self, &accounts).await),
            Call::Create(create, reply) => reply.send(officers::create(self, create).await),
            Call::Grant(grant, reply) => reply.send(officers::grant(self, grant).await),
            Call::Revoke(revoke, reply) => reply.send(officers::revoke(self, revoke).await),
            Call::Disable(disable, reply) => reply.send(officers::disable(self, disable).await),
            Call::Enable(enable, reply) => reply.send(officers::enable(self, enable).await),
            Call::Unlock(unlock, reply) => reply.send(officers::unlock(self, unlock).await),
            Call::RequestRecovery(request, reply) => {
                reply.send(officers::request_recovery(self, request).await);
            }
            Call::ApproveRecovery(approve, reply) => {
                reply.send(officers::approve_recovery(self, approve).await);
            }
        }
    }

    pub(crate) async fn name_officers(&self, setup: Setup, local: bool) -> Result<Done, Refusal> {
        let Setup { password, system, security, audit, origin } = setup;
        let origin = seen(origin, local)?;
        self.guard.admits(origin)?;
        let hand = self.hashing.hand().await?;
        let challenge = self.guard.challenge_set_up(origin)?;
        let policy = self.guard.directory().policy().clone();
        let hashed = hand.work(move || -> Result<_, Refusal> {
            let officers = Officers {
                system: first_password(&policy, system)?,
                security: first_password(&policy, security)?,
                audit: first_password(&policy, audit)?,
            };
            Ok((challenge.answer(&password), officers))
        });
        let (proof, officers) = hashed.await??;
        let done = self.guard.act(Act::SetUp { proof, officers, origin }, None).await.map(done)?;
        (self.named)();
        Ok(done)
    }

    pub(crate) async fn log_in(&self, login: Login, local: bool) -> Result<LoggedIn, Refusal> {
        let Login { person, password, code, origin } = login;
        let origin = seen(origin, local)?;
        self.guard.admits(origin)?;
        let hand = self.hashing.hand().await?;
        let challenge = self.guard.challenge(&person, origin)?;
        let named = person;
        let proof = hand.work(move || challenge.answer(&password)).await?;
        let token = secrets::token()?;
        let fresh = secrets::factor()?;
        let act = Act::LogIn { proof, code, origin, session: token.session(), fresh };
        let entered = |claims, assertion, recovery_codes| LoggedIn::Entered {
            token,
            assertion,
            claims,
            recovery_codes,
        };
        Ok(match self.guard.act(act, None).await? {
            (Reply::Claims(claims), Some(assertion)) => entered(claims, assertion, Vec::new()),
            (Reply::Enrolled(claims, codes), Some(assertion)) => entered(claims, assertion, codes),
            (Reply::CodeWanted, _) => LoggedIn::CodeWanted,
            (Reply::Enrol(secret), _) => {
                LoggedIn::Enrol(Offered { secret: secret.base32(), uri: secret.uri(&named) })
            }
            // Without claims nothing was opened.
            _ => LoggedIn::MustChange,
        })
    }

    pub(crate) async fn renew(&self, renew: &Renew) -> Result<Renewed, Refusal> {
        let (claims, assertion) = self.guard.renew(renew.token.session(), renew.presence).await?;
        Ok(Renewed { assertion, claims })
    }

    pub(crate) async fn change_password(&self, change: ChangePassword, local: bool) -> Result<Done, Refusal> {
        let ChangePassword { person, old, new, code, origin } = change;
        let origin = seen(origin, local)?;
        let salt = secrets::salt()?;
        self.guard.admits(origin)?;
        let hand = self.hashing.hand().await?;
        let challenge = self.guard.challenge(&person, origin)?;
        let replaced = hand.work(move || challenge.replace(&old, &new, salt)).await?;
        let replacement = replaced.map_err(Error::from)?;
        let voucher = SessionId(secrets::uid()?);
        let act = Act::ChangePassword { replacement, code, origin, voucher };
        self.guard.act(act, None).await.map(done)
    }

    pub(crate) fn sessions(&self, asked: &Sessions) -> Result<SessionList, Refusal> {
        let session = self.person(&asked.assertion)?.session;
        Ok(SessionList { sessions: self.guard.sessions(session)? })
    }

    pub(crate) async fn end_session(&self, end: EndSession) -> Result<Done, Refusal> {
        let session = self.person(&end.assertion)?.session;
        self.guard.act(Act::EndSession { session, other: end.session }, None).await.map(done)
    }

    /// Who asks, by an assertion of this house that holds now.
    pub(crate) fn person(&self, assertion: &Assertion) -> Result<Claims, Refusal> {
        self.verifier.person(assertion)
    }
}

/// Nothing more to say than that it is done.
pub(crate) fn done((_reply, _assertion): (Reply, Option<Assertion>)) -> Done {
    Done {}
}

/// Where the person is. An edge of the network never speaks for the box's own terminal: with five wrong passwords
/// it would lock the terminal, where the officers are.
fn seen(origin: Origin, local: bool) -> Result<Origin, Refusal> {
    match origin {
        _ if local => Ok(Origin::Local),
        Origin::Local if !mutant("auth-origin-unchecked") => {
            Err(Refusal::not_permitted("auth.not-local", "the terminal of the box is for ym alone"))
        }
        origin => Ok(origin),
    }
}

fn first_password(policy: &Policy, officer: NewOfficer) -> Result<(PersonId, PasswordHash), Refusal> {
    let NewOfficer { person, password } = officer;
    policy.accepts(&person, &password).map_err(|weakness| told(&auth_core::Refusal::Weak(weakness)))?;
    let hash = PasswordHash::new(&password, secrets::salt()?, policy.cost).map_err(Error::from)?;
    Ok((person, hash))
}

fn turn_away(call: Call) {
    let busy = format!("auth has {CALLS} calls in hand: try again in a moment");
    <Auth as Interface>::refuse(call, Refusal::busy("auth.busy", busy));
}
