//! The centre as it is and as it was: route's live state, report's call records.

use super::{Asked, Desk, person::Person};
use crate::problem::Problem;
use axum::{Json, extract::State};
use report_api::{CallRecordList, List};
use route_api::{AgentList, Agents, EndpointList, Endpoints, LiveCallList, LiveCalls, QueueList, Queues};
use serde::Deserialize;
use types::{AgentId, CallId, Page, QueueId, Utc};

/// Which call records; see [`List`].
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Which {
    from: Option<Utc>,
    until: Option<Utc>,
    agent: Option<AgentId>,
    queue: Option<QueueId>,
    limit: Option<u32>,
    after: Option<CallId>,
}

pub async fn live_calls(State(desk): State<Desk>, person: Person) -> Result<Json<LiveCallList>, Problem> {
    Ok(Json(desk.0.route.call(LiveCalls { assertion: person.assertion() }).await?))
}

pub async fn agents(State(desk): State<Desk>, person: Person) -> Result<Json<AgentList>, Problem> {
    Ok(Json(desk.0.route.call(Agents { assertion: person.assertion() }).await?))
}

pub async fn queues(State(desk): State<Desk>, person: Person) -> Result<Json<QueueList>, Problem> {
    Ok(Json(desk.0.route.call(Queues { assertion: person.assertion() }).await?))
}

pub async fn endpoints(State(desk): State<Desk>, person: Person) -> Result<Json<EndpointList>, Problem> {
    Ok(Json(desk.0.route.call(Endpoints { assertion: person.assertion() }).await?))
}

/// Numbers stay masked: no reason is given, so nothing is unmasked.
pub async fn calls(
    State(desk): State<Desk>,
    person: Person,
    Asked(which): Asked<Which>,
) -> Result<Json<CallRecordList>, Problem> {
    let Which { from, until, agent, queue, limit, after } = which;
    let assertion = person.assertion();
    let page = Page { from, until, limit };
    let list = List { assertion, page, number: None, agent, queue, after, reason: None };
    Ok(Json(desk.0.report.call(list).await?))
}
