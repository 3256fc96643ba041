//! Accounts, roles and recoveries: what the officers do.

use super::{At, Body, Desk, person::Person};
use crate::problem::Problem;
use auth_api::{
    AccountList, Accounts, ApproveRecovery, Create, Created, Disable, Enable, Grant, RecoveryApproved,
    RecoveryRequested, RequestRecovery, Revoke, Role, Unlock,
};
use axum::{Json, extract::State, http::StatusCode};
use schemars::JsonSchema;
use serde::Deserialize;
use std::time::Duration;
use types::{PersonId, Uid};

/// A one-time password is hashed, in a queue.
const PATIENCE: Duration = Duration::from_secs(25);

/// Whose account.
#[derive(Deserialize, JsonSchema)]
pub struct OfPerson {
    person: PersonId,
}

/// One role of an account.
#[derive(Deserialize, JsonSchema)]
pub struct OfRole {
    person: PersonId,
    role: Role,
}

/// One recovery of an account.
#[derive(Deserialize, JsonSchema)]
pub struct OfRecovery {
    person: PersonId,
    recovery: Uid,
}

/// A new account.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewAccount {
    /// Whose.
    person: PersonId,
}

/// A role to be given.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewRole {
    /// Which.
    role: Role,
}

pub async fn list(State(desk): State<Desk>, person: Person) -> Result<Json<AccountList>, Problem> {
    Ok(Json(desk.auth().call(Accounts { assertion: person.assertion() }).await?))
}

pub async fn create(
    State(desk): State<Desk>,
    by: Person,
    Body(new): Body<NewAccount>,
) -> Result<Json<Created>, Problem> {
    let create = Create { assertion: by.assertion(), person: new.person };
    Ok(Json(desk.auth().call_with(create, Vec::new(), PATIENCE).await?.0))
}

pub async fn grant(
    State(desk): State<Desk>,
    At(of): At<OfPerson>,
    by: Person,
    Body(new): Body<NewRole>,
) -> Result<StatusCode, Problem> {
    desk.auth().call(Grant { assertion: by.assertion(), person: of.person, role: new.role }).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub async fn revoke(State(desk): State<Desk>, At(of): At<OfRole>, by: Person) -> Result<StatusCode, Problem> {
    desk.auth().call(Revoke { assertion: by.assertion(), person: of.person, role: of.role }).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub async fn disable(
    State(desk): State<Desk>,
    At(of): At<OfPerson>,
    by: Person,
) -> Result<StatusCode, Problem> {
    desk.auth().call(Disable { assertion: by.assertion(), person: of.person }).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub async fn enable(
    State(desk): State<Desk>,
    At(of): At<OfPerson>,
    by: Person,
) -> Result<StatusCode, Problem> {
    desk.auth().call(Enable { assertion: by.assertion(), person: of.person }).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub async fn unlock(
    State(desk): State<Desk>,
    At(of): At<OfPerson>,
    by: Person,
) -> Result<StatusCode, Problem> {
    desk.auth().call(Unlock { assertion: by.assertion(), person: of.person }).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub async fn recover(
    State(desk): State<Desk>,
    At(of): At<OfPerson>,
    by: Person,
) -> Result<Json<RecoveryRequested>, Problem> {
    let request = RequestRecovery { assertion: by.assertion(), person: of.person };
    Ok(Json(desk.auth().call(request).await?))
}

pub async fn approve(
    State(desk): State<Desk>,
    At(of): At<OfRecovery>,
    by: Person,
) -> Result<Json<RecoveryApproved>, Problem> {
    let approve = ApproveRecovery { assertion: by.assertion(), person: of.person, recovery: of.recovery };
    Ok(Json(desk.auth().call_with(approve, Vec::new(), PATIENCE).await?.0))
}
