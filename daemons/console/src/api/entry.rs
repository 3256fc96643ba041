//! Log-in, log-out, one's own password, and the naming of the three officers.

use super::{At, Body, Desk, person::Person};
use crate::{problem::Problem, sessions};
use auth_api::{
    ChangePassword, Claims, Code, EndSession, LoggedIn, Login, Logout, NewOfficer, Offered, Origin, Password,
    Roles, SessionId, SessionList, Sessions, Setup,
};
use axum::{
    Json,
    extract::{ConnectInfo, State},
    http::{HeaderMap, HeaderValue, StatusCode, header::SET_COOKIE},
    response::{AppendHeaders, IntoResponse},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::{net::SocketAddr, sync::atomic::Ordering, time::Duration};
use types::{PersonId, Utc};

/// A hash waits for its turn when many log in at once.
const PATIENCE: Duration = Duration::from_secs(25);

/// A log-in.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Entering {
    /// Who.
    person: PersonId,
    /// The password.
    #[schemars(length(max = 64))]
    password: Password,
    /// The code of the second factor, where one is wanted.
    #[serde(default)]
    code: Option<Code>,
}

/// One's own password, to be changed.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Changing {
    /// Whose.
    person: PersonId,
    /// The present one.
    old: Password,
    /// The next one.
    new: Password,
    /// The code of the second factor, where there is one.
    #[serde(default)]
    code: Option<Code>,
}

/// The three officers-to-be.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Naming {
    /// The set-up password.
    password: Password,
    /// 系统管理员.
    system: NewOfficer,
    /// 安全管理员.
    security: NewOfficer,
    /// 审计管理员.
    audit: NewOfficer,
}

/// Which session.
#[derive(Deserialize, JsonSchema)]
pub struct OfSession {
    session: SessionId,
}

/// Who is logged in.
#[derive(Serialize, JsonSchema)]
pub struct Who {
    /// Their name.
    person: PersonId,
    /// What they may do.
    roles: Roles,
    /// The public name of the session.
    session: SessionId,
    /// Until when auth has confirmed it; renewed by itself while the person is there.
    expires: Utc,
    /// For the header `x-csrf-token` of unsafe requests.
    csrf: String,
}

impl Who {
    fn new(claims: Claims, csrf: &str) -> Self {
        let Claims { person, roles, session, expires, .. } = claims;
        Self { person, roles, session, expires, csrf: csrf.to_owned() }
    }
}

/// What a right password opened.
#[derive(Serialize, JsonSchema)]
#[serde(tag = "outcome", rename_all = "kebab-case")]
pub enum Opened {
    /// A session.
    Entered {
        /// Whose.
        #[serde(flatten)]
        who: Who,
        /// Of a second factor that was enrolled with it, shown this once.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        recovery_codes: Vec<Code>,
    },
    /// Nothing before the code of the second factor comes with it.
    CodeWanted,
    /// Nothing before a second factor is enrolled, with the code of this secret.
    Enrol(Offered),
}

/// Whether the three officers are named, as far as this process has learnt.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Officers {
    /// They are.
    Named,
    /// Nobody has said so here.
    Unknown,
}

/// Whether the three officers are named.
#[derive(Serialize, JsonSchema)]
pub struct SetupState {
    /// As far as this process has learnt.
    officers: Officers,
}

type WithCookie = AppendHeaders<Option<(axum::http::HeaderName, HeaderValue)>>;

pub async fn who(person: Person) -> Json<Who> {
    Json(Who::new(person.standing.claims, person.session.csrf()))
}

pub async fn log_in(
    State(desk): State<Desk>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    Body(entering): Body<Entering>,
) -> Result<(WithCookie, Json<Opened>), Problem> {
    let Entering { person, password, code } = entering;
    let login = Login { person, password, code, origin: origin(peer) };
    let (entered, _) = desk.auth().call_with(login, Vec::new(), PATIENCE).await?;
    desk.learn_named();
    let (token, assertion, claims, recovery_codes) = match entered {
        LoggedIn::Entered { token, assertion, claims, recovery_codes } => {
            (token, assertion, claims, recovery_codes)
        }
        LoggedIn::MustChange => return Err(Problem::MustChange),
        LoggedIn::CodeWanted => return Ok((AppendHeaders(None), Json(Opened::CodeWanted))),
        LoggedIn::Enrol(offered) => return Ok((AppendHeaders(None), Json(Opened::Enrol(offered)))),
    };
    // The cookie that came with the log-in opens nothing from now on, whoever planted it there.
    leave(&desk, &headers).await;
    let (session, cookie) = desk.sessions().open(token, assertion, claims.clone())?;
    let who = Who::new(claims, session.csrf());
    Ok((AppendHeaders(Some((SET_COOKIE, cookie))), Json(Opened::Entered { who, recovery_codes })))
}

pub async fn log_out(State(desk): State<Desk>, headers: HeaderMap) -> impl IntoResponse {
    leave(&desk, &headers).await;
    (StatusCode::NO_CONTENT, AppendHeaders([(SET_COOKIE, sessions::expired())]))
}

pub async fn change_password(
    State(desk): State<Desk>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    Body(changing): Body<Changing>,
) -> Result<StatusCode, Problem> {
    let Changing { person, old, new, code } = changing;
    let change = ChangePassword { person, old, new, code, origin: origin(peer) };
    desk.auth().call_with(change, Vec::new(), PATIENCE).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub async fn sessions(State(desk): State<Desk>, person: Person) -> Result<Json<SessionList>, Problem> {
    Ok(Json(desk.auth().call(Sessions { assertion: person.assertion() }).await?))
}

/// Here at once; elsewhere its last assertion holds for its minutes.
pub async fn end_session(
    State(desk): State<Desk>,
    At(of): At<OfSession>,
    person: Person,
) -> Result<StatusCode, Problem> {
    desk.auth().call(EndSession { assertion: person.assertion(), session: of.session }).await?;
    desk.end(of.session);
    Ok(StatusCode::NO_CONTENT)
}

pub async fn officers(State(desk): State<Desk>) -> Json<SetupState> {
    let named = desk.0.named.load(Ordering::Relaxed);
    Json(SetupState { officers: if named { Officers::Named } else { Officers::Unknown } })
}

pub async fn name_officers(
    State(desk): State<Desk>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    Body(naming): Body<Naming>,
) -> Result<StatusCode, Problem> {
    let Naming { password, system, security, audit } = naming;
    let setup = Setup { password, system, security, audit, origin: origin(peer) };
    match desk.auth().call_with(setup, Vec::new(), PATIENCE).await {
        Ok(_) => {
            desk.learn_named();
            Ok(StatusCode::NO_CONTENT)
        }
        Err(error) => {
            if matches!(&error, service::Error::Refused(refusal) if refusal.code == "auth.set-up-done") {
                desk.learn_named();
            }
            Err(error.into())
        }
    }
}

/// Ends the session of the request's cookie, here at once and with auth when it hears of it.
async fn leave(desk: &Desk, headers: &HeaderMap) {
    let Some(session) = desk.sessions().of(headers) else { return };
    desk.end(session.id());
    if let Err(error) = desk.auth().call(Logout { token: session.token() }).await {
        tracing::warn!(%error, "auth has not heard of a log-out: its session ends when it has been idle");
    }
}

fn origin(peer: SocketAddr) -> Origin {
    Origin::Address(peer.ip().to_canonical())
}
