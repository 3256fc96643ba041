//! The calls of the three officers: who asks is proved by the assertion, what he may is the core's to say.

use crate::{
    desk::{Shared, done},
    error::Error,
    guard::now,
    secrets,
};
use auth_api::{
    AccountEntry, AccountList, Accounts, ApproveRecovery, Assertion, Create, Created, Disable, Done, Enable,
    Grant, PendingRecovery, RecoveryApproved, RecoveryRequested, RequestRecovery, Revoke, SecondFactor,
    Standing, Unlock,
};
use auth_core::{Account, Act, Deed, Directory, Nature, Now, PasswordHash, RecoveryId, joined};
use service::Refusal;

pub(crate) async fn accounts(desk: &Shared, asked: &Accounts) -> Result<AccountList, Refusal> {
    act(desk, &asked.assertion, Deed::List).await?;
    let (directory, now) = (desk.guard.directory(), now());
    let accounts = directory.accounts().map(|account| entry(&directory, account, now)).collect();
    let pending = directory
        .recoveries()
        .filter(|recovery| now.utc.since(recovery.requested) <= directory.policy().recovery)
        .map(|recovery| PendingRecovery {
            recovery: recovery.id.0,
            person: recovery.subject.clone(),
            by: recovery.by.clone(),
            requested: recovery.requested,
        });
    Ok(AccountList { accounts, recoveries: pending.collect() })
}

pub(crate) async fn create(desk: &Shared, asked: Create) -> Result<Created, Refusal> {
    let Create { assertion, person } = asked;
    desk.person(&assertion)?;
    let password = secrets::one_time()?;
    let first = hash(desk, password.clone()).await?;
    act(desk, &assertion, Deed::Create { person, first }).await?;
    Ok(Created { password })
}

pub(crate) async fn grant(desk: &Shared, asked: Grant) -> Result<Done, Refusal> {
    let Grant { assertion, person, role } = asked;
    act(desk, &assertion, Deed::Grant { person, role }).await
}

pub(crate) async fn revoke(desk: &Shared, asked: Revoke) -> Result<Done, Refusal> {
    let Revoke { assertion, person, role } = asked;
    act(desk, &assertion, Deed::Revoke { person, role }).await
}

pub(crate) async fn disable(desk: &Shared, asked: Disable) -> Result<Done, Refusal> {
    let Disable { assertion, person } = asked;
    act(desk, &assertion, Deed::Disable { person }).await
}

pub(crate) async fn enable(desk: &Shared, asked: Enable) -> Result<Done, Refusal> {
    let Enable { assertion, person } = asked;
    act(desk, &assertion, Deed::Enable { person }).await
}

pub(crate) async fn unlock(desk: &Shared, asked: Unlock) -> Result<Done, Refusal> {
    let Unlock { assertion, person } = asked;
    act(desk, &assertion, Deed::Unlock { person }).await
}

pub(crate) async fn request_recovery(
    desk: &Shared,
    asked: RequestRecovery,
) -> Result<RecoveryRequested, Refusal> {
    let RequestRecovery { assertion, person } = asked;
    let (recovery, first_half) = (secrets::uid()?, secrets::half()?);
    let deed = Deed::RequestRecovery { person, id: RecoveryId(recovery), half: first_half.clone() };
    act(desk, &assertion, deed).await?;
    Ok(RecoveryRequested { recovery, first_half })
}

pub(crate) async fn approve_recovery(
    desk: &Shared,
    asked: ApproveRecovery,
) -> Result<RecoveryApproved, Refusal> {
    let ApproveRecovery { assertion, person, recovery } = asked;
    desk.person(&assertion)?;
    let (id, second_half) = (RecoveryId(recovery), secrets::half()?);
    let first_half = desk
        .guard
        .directory()
        .recovery(&person)
        .filter(|pending| pending.id == id)
        .map(|pending| pending.half.clone());
    // Without a request the core refuses, and that is recorded like every other refusal.
    let whole = match first_half {
        Some(first_half) => joined(&first_half, &second_half).map_err(Error::from)?,
        None => secrets::one_time()?,
    };
    let one_time = hash(desk, whole).await?;
    act(desk, &assertion, Deed::ApproveRecovery { person, id, one_time }).await?;
    Ok(RecoveryApproved { second_half })
}

async fn act(desk: &Shared, assertion: &Assertion, deed: Deed) -> Result<Done, Refusal> {
    let session = desk.person(assertion)?.session;
    desk.guard.act(Act::Officer { session, deed }, Some(assertion)).await.map(done)
}

async fn hash(desk: &Shared, password: auth_api::Password) -> Result<PasswordHash, Refusal> {
    let (salt, cost) = (secrets::salt()?, desk.guard.directory().policy().cost);
    let hashed = desk.hashing.hand().await?.work(move || PasswordHash::new(&password, salt, cost)).await?;
    Ok(hashed.map_err(Error::from)?)
}

fn entry(directory: &Directory, account: &Account, now: Now) -> AccountEntry {
    let age = now.utc.since(account.secret.set);
    let standing = match account {
        Account { standing: auth_core::Standing::Disabled, .. } => Standing::Disabled,
        Account { lock, .. } if lock.holds(now.monotonic) => Standing::Locked,
        Account { secret, .. } if secret.nature != Nature::Chosen || age > directory.policy().age => {
            Standing::MustChange
        }
        _ => Standing::Open,
    };
    let sessions = directory.sessions().filter(|session| session.person == account.person).count();
    AccountEntry {
        person: account.person.clone(),
        roles: account.roles.clone(),
        standing,
        password_set: account.secret.set,
        created: account.created,
        entered: account.entered,
        sessions: u32::try_from(sessions).unwrap_or(u32::MAX),
        second_factor: match account.factor.is_enrolled() {
            true => SecondFactor::Enrolled,
            false if directory.wants_factor(account) => SecondFactor::Wanted,
            false => SecondFactor::None,
        },
    }
}
