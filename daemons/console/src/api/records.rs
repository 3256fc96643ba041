//! The centre as it was: call records. A search by number and the sight of one are acts with a reason; neither
//! stands in an address, which is kept in histories and logs.

use super::{
    Asked, At, Body, Desk,
    centre::OfCall,
    fields::{Because, Limit, Number, Reason},
    person::Person,
};
use crate::problem::Problem;
use axum::{Json, extract::State};
use report_api::{CallRecord, CallRecordList, List, Show};
use schemars::JsonSchema;
use serde::Deserialize;
use types::{AgentId, CallId, Page, Pii, QueueId, Utc};

/// Which call records.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Which {
    /// Offered at this time or later, in nanoseconds since 1970.
    from: Option<Utc>,
    /// Offered before this time.
    until: Option<Utc>,
    /// Taken by this agent.
    agent: Option<AgentId>,
    /// Through this queue.
    queue: Option<QueueId>,
    /// How many at most.
    limit: Option<Limit>,
    /// Go on after this one, the last of the page before.
    after: Option<CallId>,
}

/// Which call records, with their numbers.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Search {
    /// Why numbers are searched and shown, for the audit log.
    reason: Reason,
    /// From this number.
    #[serde(default)]
    number: Option<Number>,
    /// Offered at this time or later, in nanoseconds since 1970.
    #[serde(default)]
    from: Option<Utc>,
    /// Offered before this time.
    #[serde(default)]
    until: Option<Utc>,
    /// Taken by this agent.
    #[serde(default)]
    agent: Option<AgentId>,
    /// Through this queue.
    #[serde(default)]
    queue: Option<QueueId>,
    /// How many at most.
    #[serde(default)]
    limit: Option<Limit>,
    /// Go on after this one, the last of the page before.
    #[serde(default)]
    after: Option<CallId>,
}

/// Numbers stay masked: no reason is given, so nothing is unmasked.
pub async fn list(
    State(desk): State<Desk>,
    person: Person,
    Asked(which): Asked<Which>,
) -> Result<Json<CallRecordList>, Problem> {
    let Which { from, until, agent, queue, limit, after } = which;
    let assertion = person.assertion();
    let page = Page { from, until, limit: limit.map(Limit::rows) };
    let list = List { assertion, page, number: None, agent, queue, after, reason: None };
    Ok(Json(desk.report().call(list).await?))
}

pub async fn search(
    State(desk): State<Desk>,
    person: Person,
    Body(search): Body<Search>,
) -> Result<Json<CallRecordList>, Problem> {
    let Search { reason, number, from, until, agent, queue, limit, after } = search;
    let assertion = person.assertion();
    let page = Page { from, until, limit: limit.map(Limit::rows) };
    let number = number.map(|number| Pii::new(number.into_text()));
    let reason = Some(reason.into_text());
    Ok(Json(desk.report().call(List { assertion, page, number, agent, queue, after, reason }).await?))
}

pub async fn show(
    State(desk): State<Desk>,
    At(of): At<OfCall>,
    person: Person,
) -> Result<Json<CallRecord>, Problem> {
    let show = Show { assertion: person.assertion(), call: of.call, reason: None };
    Ok(Json(desk.report().call(show).await?))
}

pub async fn unmask(
    State(desk): State<Desk>,
    At(of): At<OfCall>,
    person: Person,
    Body(because): Body<Because>,
) -> Result<Json<CallRecord>, Problem> {
    let reason = Some(because.reason.into_text());
    let show = Show { assertion: person.assertion(), call: of.call, reason };
    Ok(Json(desk.report().call(show).await?))
}
