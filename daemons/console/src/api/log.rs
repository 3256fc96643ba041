//! The audit log: its entries, and what proves them.

use super::{Asked, At, Desk, fields::Limit, person::Person};
use crate::problem::Problem;
use audit_api::{
    Checkpoint, EntryList, EventKind, InclusionProof, List, Proof, SignedCheckpoint, Verified, Verify,
};
use axum::{Json, extract::State};
use schemars::JsonSchema;
use serde::Deserialize;
use std::time::Duration;
use types::{Page, PersonId, Utc};

/// The whole log is read.
const PATIENCE: Duration = Duration::from_secs(28);

/// Which entries.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Which {
    /// Entered at this time or later, in nanoseconds since 1970.
    from: Option<Utc>,
    /// Entered before this time.
    until: Option<Utc>,
    /// Of this kind.
    kind: Option<EventKind>,
    /// By this person.
    person: Option<PersonId>,
    /// On this object.
    #[schemars(length(min = 1, max = 128))]
    object: Option<String>,
    /// How many at most.
    limit: Option<Limit>,
    /// Before this entry: the next page.
    before: Option<u64>,
}

/// Which entry.
#[derive(Deserialize, JsonSchema)]
pub struct OfEntry {
    sequence: u64,
}

pub async fn list(
    State(desk): State<Desk>,
    person: Person,
    Asked(which): Asked<Which>,
) -> Result<Json<EntryList>, Problem> {
    let Which { from, until, kind, person: by, object, limit, before } = which;
    if object.as_ref().is_some_and(|object| object.is_empty() || object.chars().count() > 128) {
        return Err(Problem::Malformed);
    }
    let page = Page { from, until, limit: limit.map(Limit::rows) };
    let (assertion, person) = (person.assertion(), by.map(|by| by.to_string()));
    Ok(Json(desk.audit().call(List { assertion, page, kind, person, object, before }).await?))
}

pub async fn verify(State(desk): State<Desk>, person: Person) -> Result<Json<Verified>, Problem> {
    let verify = Verify { assertion: person.assertion() };
    Ok(Json(desk.audit().call_with(verify, Vec::new(), PATIENCE).await?.0))
}

pub async fn checkpoint(State(desk): State<Desk>) -> Result<Json<SignedCheckpoint>, Problem> {
    Ok(Json(desk.audit().call(Checkpoint {}).await?))
}

pub async fn proof(State(desk): State<Desk>, At(of): At<OfEntry>) -> Result<Json<InclusionProof>, Problem> {
    Ok(Json(desk.audit().call(Proof { sequence: of.sequence }).await?))
}
