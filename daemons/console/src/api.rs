//! REST for the page: `/api/v1`.
//!
//! ```text
//!   POST   /session    log in               GET /calls/live  the calls of this moment
//!   GET    /session    who is logged in     GET /calls       call records, the newest first
//!   DELETE /session    log out              GET /agents  GET /queues  GET /endpoints
//!   POST   /password   change one's own     GET /setup   whether the officers are known to be named
//!                                           POST /setup  name them
//! ```
//!
//! What the daemons answer is passed on as it is. A search by number is not among these: a number has no
//! place in an address, which stands in histories and logs.

mod centre;
mod entry;
mod person;

use crate::{guard, problem::Problem, sessions::Sessions};
use auth_api::Auth;
use axum::{
    Json, Router,
    extract::{FromRequest, FromRequestParts, Query, Request},
    http::{StatusCode, request::Parts},
    middleware,
    routing::{get, post},
};
use report_api::Report;
use route_api::Route;
use serde::de::DeserializeOwned;
use service::Client;
use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

/// Where requests are answered from: the daemons below, and who is logged in. Cheap to clone.
#[derive(Clone)]
pub struct Desk(Arc<Shared>);

struct Shared {
    auth: Client<Auth>,
    route: Client<Route>,
    report: Client<Report>,
    sessions: Sessions,
    /// Whether this process has learnt that the three officers are named: the page then offers no set-up.
    named: AtomicBool,
}

impl Desk {
    /// A desk before these daemons.
    pub fn new(auth: Client<Auth>, route: Client<Route>, report: Client<Report>) -> Self {
        let (sessions, named) = (Sessions::default(), AtomicBool::new(false));
        Self(Arc::new(Shared { auth, route, report, sessions, named }))
    }

    /// Who is logged in.
    pub fn sessions(&self) -> &Sessions {
        &self.0.sessions
    }

    fn learn_named(&self) {
        self.0.named.store(true, Ordering::Relaxed);
    }
}

/// Every path of the API.
pub fn router(desk: Desk) -> Router {
    let api = Router::new()
        .route("/session", get(entry::who).post(entry::log_in).delete(entry::log_out))
        .route("/password", post(entry::change_password))
        .route("/setup", get(entry::officers).post(entry::name_officers))
        .route("/calls", get(centre::calls))
        .route("/calls/live", get(centre::live_calls))
        .route("/agents", get(centre::agents))
        .route("/queues", get(centre::queues))
        .route("/endpoints", get(centre::endpoints))
        .fallback(async || Problem::NoSuchPath)
        .method_not_allowed_fallback(async || Problem::NoSuchMethod)
        .layer(middleware::from_fn_with_state(desk.clone(), guard::own_page))
        .with_state(desk);
    Router::new().nest("/api/v1", api).fallback(async || Problem::NoSuchPath)
}

/// A body of JSON; whatever is wrong with it is told without repeating any of it.
struct Body<T>(T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        match Json::from_request(request, state).await {
            Ok(Json(body)) => Ok(Self(body)),
            Err(wrong) if wrong.status() == StatusCode::PAYLOAD_TOO_LARGE => Err(Problem::TooLarge),
            Err(_wrong) => Err(Problem::Malformed),
        }
    }
}

/// The query of an address, likewise.
struct Asked<T>(T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Asked<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match Query::from_request_parts(parts, state).await {
            Ok(Query(query)) => Ok(Self(query)),
            Err(_wrong) => Err(Problem::Malformed),
        }
    }
}
