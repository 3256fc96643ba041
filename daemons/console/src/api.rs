//! REST and the live stream for the page: `/api/v1`.
//!
//! Every path stands in [`doors::doors`], with who may come through; router and OpenAPI document are made of them. What the
//! daemons answer is passed on as it is. A search by number is not among what an address may hold: a number has no
//! place there, for addresses stand in histories and logs.

mod accounts;
mod centre;
mod door;
mod doors;
mod entry;
mod fields;
mod log;
mod openapi;
pub mod person;
mod recordings;
mod records;
mod settings;
mod system;

#[cfg(test)]
pub use openapi::{ROLES, document};

use crate::{certificate::Facts, guard, live::Feed, playing::Grants, problem::Problem, sessions::Sessions};
use audit_api::Audit;
use auth_api::{Auth, SessionId};
use axum::{
    Json, Router,
    extract::{FromRequest, FromRequestParts, Path, Query, Request},
    http::{StatusCode, request::Parts},
    middleware,
};
use doors::doors;
use host_api::Host;
use record_api::Record;
use report_api::Report;
use route_api::Route;
use serde::de::DeserializeOwned;
use serde_json::Value;
use service::Client;
use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

/// The ways to the daemons below.
pub struct Floors {
    pub host: Client<Host>,
    pub auth: Client<Auth>,
    pub route: Client<Route>,
    pub record: Client<Record>,
    pub report: Client<Report>,
    pub audit: Client<Audit>,
}

/// Where requests are answered from: the daemons below, and who is logged in. Cheap to clone.
#[derive(Clone)]
pub struct Desk(Arc<Shared>);

struct Shared {
    floors: Floors,
    certificate: Facts,
    sessions: Sessions,
    grants: Grants,
    feed: Feed,
    /// Live sockets at the moment.
    sockets: Arc<AtomicUsize>,
    /// Whether this process has learnt that the three officers are named: the page then offers no set-up.
    named: AtomicBool,
}

impl Desk {
    /// A desk before these daemons.
    pub fn new(floors: Floors, certificate: Facts) -> Self {
        Self(Arc::new(Shared {
            floors,
            certificate,
            sessions: Sessions::default(),
            grants: Grants::default(),
            feed: Feed::default(),
            sockets: Arc::default(),
            named: AtomicBool::new(false),
        }))
    }

    /// Who is logged in.
    pub fn sessions(&self) -> &Sessions {
        &self.0.sessions
    }

    /// What may be heard.
    pub fn grants(&self) -> &Grants {
        &self.0.grants
    }

    /// The live state.
    pub fn feed(&self) -> &Feed {
        &self.0.feed
    }

    /// How many live sockets there are.
    pub fn sockets(&self) -> &Arc<AtomicUsize> {
        &self.0.sockets
    }

    /// The way to auth.
    pub fn auth(&self) -> &Client<Auth> {
        &self.0.floors.auth
    }

    /// The way to route.
    pub fn route(&self) -> &Client<Route> {
        &self.0.floors.route
    }

    fn host(&self) -> &Client<Host> {
        &self.0.floors.host
    }

    fn record(&self) -> &Client<Record> {
        &self.0.floors.record
    }

    fn report(&self) -> &Client<Report> {
        &self.0.floors.report
    }

    fn audit(&self) -> &Client<Audit> {
        &self.0.floors.audit
    }

    fn certificate(&self) -> &Facts {
        &self.0.certificate
    }

    /// A session is over: its cookie opens nothing, its sound is gone, its sockets close.
    pub fn end(&self, session: SessionId) {
        self.sessions().end(session);
        self.grants().end(session);
    }

    fn learn_named(&self) {
        self.0.named.store(true, Ordering::Relaxed);
    }
}

/// Every path of the API.
pub fn router(desk: Desk) -> Router {
    let api = doors()
        .into_iter()
        .fold(Router::new(), |router, door| door.open(router, &desk))
        .fallback(nowhere)
        .method_not_allowed_fallback(no_method)
        .layer(middleware::from_fn_with_state(desk.clone(), guard::own_page))
        .with_state(desk);
    Router::new().nest("/api/v1", api).fallback(nowhere)
}

async fn nowhere(request: Request) -> Problem {
    guard::drain(request).await;
    Problem::NoSuchPath
}

async fn no_method(request: Request) -> Problem {
    guard::drain(request).await;
    Problem::NoSuchMethod
}

/// A body of JSON; whatever is wrong with it is told without repeating any of it.
struct Body<T>(T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        match Json::<Value>::from_request(request, state).await {
            Ok(Json(body)) => T::deserialize(whole(body)).map(Self).map_err(|_wrong| Problem::Malformed),
            Err(wrong) if wrong.status() == StatusCode::PAYLOAD_TOO_LARGE => Err(Problem::TooLarge),
            Err(_wrong) => Err(Problem::Malformed),
        }
    }
}

/// The value with `7.0` as `7`: to JSON Schema both are the same integer (2020-12, Core §4.2.2).
fn whole(value: Value) -> Value {
    /// Up to here each integer has one form as a float.
    const MOST: f64 = 9_007_199_254_740_991.0;
    match value {
        Value::Number(number) => match number.as_f64().filter(|_| number.is_f64()) {
            Some(float) if float.fract() == 0.0 && float.abs() <= MOST => Value::from(float as i64),
            _ => Value::Number(number),
        },
        Value::Array(items) => items.into_iter().map(whole).collect(),
        Value::Object(fields) => fields.into_iter().map(|(name, field)| (name, whole(field))).collect(),
        other => other,
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

/// What varies in the path, likewise.
struct At<T>(T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for At<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match Path::from_request_parts(parts, state).await {
            Ok(Path(path)) => Ok(Self(path)),
            Err(_wrong) => Err(Problem::Malformed),
        }
    }
}
