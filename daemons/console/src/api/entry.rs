//! Log-in, log-out, one's own password, and the naming of the three officers.

use super::{Body, Desk, person::Person};
use crate::{problem::Problem, sessions};
use auth_api::{
    ChangePassword, Claims, Code, LoggedIn, Login, Logout, NewOfficer, Offered, Origin, Password, Roles,
    Setup,
};
use axum::{
    Json,
    extract::{ConnectInfo, State},
    http::{HeaderMap, HeaderValue, StatusCode, header::SET_COOKIE},
    response::{AppendHeaders, IntoResponse},
};
use serde::{Deserialize, Serialize};
use std::{net::SocketAddr, sync::atomic::Ordering, time::Duration};
use types::{PersonId, Utc};

/// A hash waits for its turn when many log in at once.
const PATIENCE: Duration = Duration::from_secs(25);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entering {
    person: PersonId,
    password: Password,
    #[serde(default)]
    code: Option<Code>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Changing {
    person: PersonId,
    old: Password,
    new: Password,
    #[serde(default)]
    code: Option<Code>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Naming {
    password: Password,
    system: NewOfficer,
    security: NewOfficer,
    audit: NewOfficer,
}

/// Who is logged in.
#[derive(Serialize)]
pub struct Who {
    person: PersonId,
    roles: Roles,
    /// Until when auth has confirmed it; renewed by itself while the person is there.
    expires: Utc,
    /// For the header `x-csrf-token` of unsafe requests.
    csrf: String,
}

impl Who {
    fn new(claims: Claims, csrf: &str) -> Self {
        let Claims { person, roles, expires, .. } = claims;
        Self { person, roles, expires, csrf: csrf.to_owned() }
    }
}

/// What a right password opened.
#[derive(Serialize)]
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
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Officers {
    Named,
    Unknown,
}

#[derive(Serialize)]
pub struct SetupState {
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
    let (entered, _) = desk.0.auth.call_with(login, Vec::new(), PATIENCE).await?;
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
    let (session, cookie) = desk.0.sessions.open(token, assertion, claims.clone())?;
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
    desk.0.auth.call_with(change, Vec::new(), PATIENCE).await?;
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
    match desk.0.auth.call_with(setup, Vec::new(), PATIENCE).await {
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
    let Some(session) = desk.0.sessions.close(headers) else { return };
    if let Err(error) = desk.0.auth.call(Logout { token: session.token() }).await {
        tracing::warn!(%error, "auth has not heard of a log-out: its session ends when it has been idle");
    }
}

fn origin(peer: SocketAddr) -> Origin {
    Origin::Address(peer.ip().to_canonical())
}
