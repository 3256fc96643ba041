//! The centre as it is: live calls, queues, agents, trunks and phones.

use super::{
    At, Body, Desk,
    fields::{AuxReason, Because},
    person::Person,
};
use crate::{live, problem::Problem};
use axum::{Json, extract::State, http::StatusCode};
use route_api::{
    AgentEntry, AgentList, AgentState, Agents, EndpointList, Endpoints, HangUp, LiveCallList, LiveCalls,
    QueueList, Queues, SetState, SignIn, Tried, TryFlow, WrapUp,
};
use schemars::JsonSchema;
use serde::Deserialize;
use types::{AgentId, CallId, Extension, Name, Utc};

/// Which agent.
#[derive(Deserialize, JsonSchema)]
pub struct OfAgent {
    agent: AgentId,
}

/// Which call.
#[derive(Deserialize, JsonSchema)]
pub struct OfCall {
    pub call: CallId,
}

/// Which flow.
#[derive(Deserialize, JsonSchema)]
pub struct OfFlow {
    flow: Name,
}

/// At which phone an agent signs in.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Seat {
    /// Its extension.
    phone: Extension,
}

/// What an agent shall do.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Wanted {
    /// Which state.
    state: WantedState,
}

/// A state that may be wanted: the others come of calls.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum WantedState {
    /// Waits for a contact.
    Ready,
    /// Auxiliary work, for this reason.
    Aux(AuxReason),
    /// Not signed in.
    SignedOut,
}

impl From<WantedState> for AgentState {
    fn from(wanted: WantedState) -> Self {
        match wanted {
            WantedState::Ready => Self::Ready,
            WantedState::Aux(reason) => Self::Aux(reason.into_text()),
            WantedState::SignedOut => Self::SignedOut,
        }
    }
}

/// How long after-call work lasts.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Lasting {
    /// Seconds, at most an hour.
    #[schemars(range(max = 3600))]
    seconds: u32,
}

/// A trial of a flow.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Trial {
    /// When the call comes; now where it is left out.
    #[serde(default)]
    at: Option<Utc>,
    /// What the caller presses: at each menu what stands up to the next comma.
    #[serde(default)]
    #[schemars(regex(pattern = "^[0-9*#,]{0,256}$"))]
    digits: String,
}

pub async fn live_calls(State(desk): State<Desk>, person: Person) -> Result<Json<LiveCallList>, Problem> {
    let claims = person.standing.claims.clone();
    let mut list = desk.route().call(LiveCalls { assertion: person.assertion() }).await?;
    list.calls.retain(|call| live::sees(&claims, call));
    Ok(Json(list))
}

pub async fn agents(State(desk): State<Desk>, person: Person) -> Result<Json<AgentList>, Problem> {
    Ok(Json(desk.route().call(Agents { assertion: person.assertion() }).await?))
}

pub async fn queues(State(desk): State<Desk>, person: Person) -> Result<Json<QueueList>, Problem> {
    Ok(Json(desk.route().call(Queues { assertion: person.assertion() }).await?))
}

pub async fn endpoints(State(desk): State<Desk>, person: Person) -> Result<Json<EndpointList>, Problem> {
    Ok(Json(desk.route().call(Endpoints { assertion: person.assertion() }).await?))
}

pub async fn sign_in(
    State(desk): State<Desk>,
    person: Person,
    Body(seat): Body<Seat>,
) -> Result<Json<AgentEntry>, Problem> {
    let sign_in = SignIn { assertion: person.assertion(), phone: Some(seat.phone) };
    Ok(Json(desk.route().call(sign_in).await?))
}

pub async fn sign_out(State(desk): State<Desk>, person: Person) -> Result<Json<AgentEntry>, Problem> {
    Ok(Json(desk.route().call(SignIn { assertion: person.assertion(), phone: None }).await?))
}

pub async fn own_state(
    State(desk): State<Desk>,
    person: Person,
    Body(wanted): Body<Wanted>,
) -> Result<Json<AgentEntry>, Problem> {
    let set = SetState { assertion: person.assertion(), agent: None, state: wanted.state.into() };
    Ok(Json(desk.route().call(set).await?))
}

pub async fn state(
    State(desk): State<Desk>,
    At(of): At<OfAgent>,
    person: Person,
    Body(wanted): Body<Wanted>,
) -> Result<Json<AgentEntry>, Problem> {
    let set = SetState { assertion: person.assertion(), agent: Some(of.agent), state: wanted.state.into() };
    Ok(Json(desk.route().call(set).await?))
}

pub async fn own_wrap_up(
    State(desk): State<Desk>,
    person: Person,
    Body(lasting): Body<Lasting>,
) -> Result<Json<AgentEntry>, Problem> {
    let wrap_up = WrapUp { assertion: person.assertion(), agent: None, seconds: lasting.seconds };
    Ok(Json(desk.route().call(wrap_up).await?))
}

pub async fn wrap_up(
    State(desk): State<Desk>,
    At(of): At<OfAgent>,
    person: Person,
    Body(lasting): Body<Lasting>,
) -> Result<Json<AgentEntry>, Problem> {
    let wrap_up = WrapUp { assertion: person.assertion(), agent: Some(of.agent), seconds: lasting.seconds };
    Ok(Json(desk.route().call(wrap_up).await?))
}

pub async fn hang_up(
    State(desk): State<Desk>,
    At(of): At<OfCall>,
    person: Person,
    Body(because): Body<Because>,
) -> Result<StatusCode, Problem> {
    let reason = because.reason.into_text();
    desk.route().call(HangUp { assertion: person.assertion(), call: of.call, reason }).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub async fn try_flow(
    State(desk): State<Desk>,
    At(of): At<OfFlow>,
    person: Person,
    Body(trial): Body<Trial>,
) -> Result<Json<Tried>, Problem> {
    let Trial { at, digits } = trial;
    Ok(Json(desk.route().call(TryFlow { assertion: person.assertion(), flow: of.flow, at, digits }).await?))
}
