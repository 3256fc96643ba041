//! REST and the live stream for the page: `/api/v1`.
//!
//! Every path stands in [`doors`], with who may come through; router and OpenAPI document are made of them. What the
//! daemons answer is passed on as it is. A search by number is not among what an address may hold: a number has no
//! place there, for addresses stand in histories and logs.

mod accounts;
mod centre;
mod door;
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

use crate::{
    certificate::Facts,
    guard,
    live::{self, Feed},
    playing::Grants,
    problem::Problem,
    sessions::Sessions,
};
use audit_api::Audit;
use auth_api::{Auth, Role, SessionId};
use axum::{
    Json, Router,
    extract::{FromRequest, FromRequestParts, Path, Query, Request},
    http::{StatusCode, request::Parts},
    middleware,
};
use door::{Door, delete, get, post};
use host_api::Host;
use record_api::Record;
use report_api::Report;
use route_api::Route;
use serde::de::DeserializeOwned;
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

/// Every door of the API: the whole of who may do what here. Each daemon decides again for itself.
pub fn doors() -> Vec<Door> {
    use door::Who::{Anyone, Holds, Person};
    const SYSTEM: door::Who = Holds(&[Role::SystemAdministrator]);
    const SECURITY: door::Who = Holds(&[Role::SecurityAdministrator]);
    const AUDIT: door::Who = Holds(&[Role::AuditAdministrator]);
    const OFFICERS: door::Who = Holds(&Role::OFFICERS);
    const SUPERVISOR: door::Who = Holds(&[Role::Supervisor]);
    const AGENT: door::Who = Holds(&[Role::Agent]);
    const CENTRE: door::Who = Holds(&[Role::Supervisor, Role::Agent]);
    const LEADERS: door::Who = Holds(&[
        Role::SystemAdministrator,
        Role::SecurityAdministrator,
        Role::AuditAdministrator,
        Role::Supervisor,
    ]);
    const ROLED: door::Who = Holds(&Role::ALL);
    const SEERS: door::Who =
        Holds(&[Role::Supervisor, Role::SecurityAdministrator, Role::AuditAdministrator]);
    const HOLDERS: door::Who = Holds(&[Role::Supervisor, Role::SecurityAdministrator]);
    const VERIFIERS: door::Who = Holds(&[Role::Supervisor, Role::AuditAdministrator]);
    vec![
        // Entering.
        get("/openapi.json", "openapi", Anyone, "This document.", openapi::serve)
            .gives::<serde_json::Value>(),
        get("/setup", "setupState", Anyone, "Whether the officers are known to be named.", entry::officers)
            .gives::<entry::SetupState>(),
        post("/setup", "nameOfficers", Anyone, "Names the three officers, once.", entry::name_officers)
            .takes::<entry::Naming>(),
        post("/session", "logIn", Anyone, "Logs in.", entry::log_in)
            .takes::<entry::Entering>()
            .gives::<entry::Opened>(),
        get("/session", "whoAmI", Person, "Who is logged in.", entry::who).gives::<entry::Who>(),
        delete("/session", "logOut", Anyone, "Logs out.", entry::log_out),
        post("/password", "changePassword", Anyone, "Changes one's own password.", entry::change_password)
            .takes::<entry::Changing>(),
        get("/sessions", "sessions", Person, "One's own sessions.", entry::sessions)
            .gives::<auth_api::SessionList>(),
        delete("/sessions/{session}", "endSession", Person, "Ends one of one's own.", entry::end_session)
            .at::<entry::OfSession>(),
        // Accounts.
        get("/accounts", "accounts", OFFICERS, "Every account and pending recovery.", accounts::list)
            .gives::<auth_api::AccountList>(),
        post("/accounts", "createAccount", SYSTEM, "Creates an account without a role.", accounts::create)
            .takes::<accounts::NewAccount>()
            .gives::<auth_api::Created>(),
        post("/accounts/{person}/disable", "disableAccount", SYSTEM, "Closes an account.", accounts::disable)
            .at::<accounts::OfPerson>(),
        post(
            "/accounts/{person}/enable",
            "enableAccount",
            SYSTEM,
            "Opens a closed account.",
            accounts::enable,
        )
        .at::<accounts::OfPerson>(),
        post("/accounts/{person}/unlock", "unlockAccount", SECURITY, "Ends a lock-out.", accounts::unlock)
            .at::<accounts::OfPerson>(),
        post("/accounts/{person}/roles", "grantRole", SECURITY, "Gives a role.", accounts::grant)
            .at::<accounts::OfPerson>()
            .takes::<accounts::NewRole>(),
        delete(
            "/accounts/{person}/roles/{role}",
            "revokeRole",
            SECURITY,
            "Takes a role away.",
            accounts::revoke,
        )
        .at::<accounts::OfRole>(),
        post(
            "/accounts/{person}/recoveries",
            "requestRecovery",
            OFFICERS,
            "Asks for a recovery.",
            accounts::recover,
        )
        .at::<accounts::OfPerson>()
        .gives::<auth_api::RecoveryRequested>(),
        post(
            "/accounts/{person}/recoveries/{recovery}/approve",
            "approveRecovery",
            OFFICERS,
            "Agrees to a recovery that another officer asked for.",
            accounts::approve,
        )
        .at::<accounts::OfRecovery>()
        .gives::<auth_api::RecoveryApproved>(),
        // The centre as it is.
        get("/live", "live", ROLED, "The live state as a stream.", live::serve)
            .gives_socket::<live::LiveMessage>(),
        get("/calls/live", "liveCalls", ROLED, "The calls of this moment.", centre::live_calls)
            .gives::<route_api::LiveCallList>(),
        post("/calls/live/{call}/hang-up", "hangUp", CENTRE, "Ends a call.", centre::hang_up)
            .at::<centre::OfCall>()
            .takes::<fields::Because>(),
        get("/queues", "queues", ROLED, "The queues and who waits.", centre::queues)
            .gives::<route_api::QueueList>(),
        get("/endpoints", "endpoints", ROLED, "Trunks and phones.", centre::endpoints)
            .gives::<route_api::EndpointList>(),
        get("/agents", "agents", ROLED, "The agents and their states.", centre::agents)
            .gives::<route_api::AgentList>(),
        post("/agents/{agent}/state", "setAgentState", SUPERVISOR, "Sets an agent's state.", centre::state)
            .at::<centre::OfAgent>()
            .takes::<centre::Wanted>()
            .gives::<route_api::AgentEntry>(),
        post(
            "/agents/{agent}/wrap-up",
            "setAgentWrapUp",
            SUPERVISOR,
            "Sets after-call work.",
            centre::wrap_up,
        )
        .at::<centre::OfAgent>()
        .takes::<centre::Lasting>()
        .gives::<route_api::AgentEntry>(),
        post("/agent/phone", "signIn", AGENT, "Signs in at a phone.", centre::sign_in)
            .takes::<centre::Seat>()
            .gives::<route_api::AgentEntry>(),
        delete("/agent/phone", "signOut", AGENT, "Signs out.", centre::sign_out)
            .gives::<route_api::AgentEntry>(),
        post("/agent/state", "setState", AGENT, "Sets one's own state.", centre::own_state)
            .takes::<centre::Wanted>()
            .gives::<route_api::AgentEntry>(),
        post("/agent/wrap-up", "setWrapUp", AGENT, "Sets one's own after-call work.", centre::own_wrap_up)
            .takes::<centre::Lasting>()
            .gives::<route_api::AgentEntry>(),
        post("/flows/{flow}/try", "tryFlow", ROLED, "Tries a flow without a phone.", centre::try_flow)
            .at::<centre::OfFlow>()
            .takes::<centre::Trial>()
            .gives::<route_api::Tried>(),
        // The centre as it was.
        get("/calls", "calls", ROLED, "Call records, the newest first, masked.", records::list)
            .asks::<records::Which>()
            .gives::<report_api::CallRecordList>(),
        post("/calls/search", "searchCalls", SUPERVISOR, "Call records with their numbers.", records::search)
            .takes::<records::Search>()
            .gives::<report_api::CallRecordList>(),
        get("/calls/{call}", "call", ROLED, "One call: ladder, legs, events, consent.", records::show)
            .at::<centre::OfCall>()
            .gives::<report_api::CallRecord>(),
        post("/calls/{call}/unmask", "unmaskCall", SUPERVISOR, "One call with its numbers.", records::unmask)
            .at::<centre::OfCall>()
            .takes::<fields::Because>()
            .gives::<report_api::CallRecord>(),
        // Recordings.
        get("/recordings", "recordings", SEERS, "The recordings, the newest first.", recordings::list)
            .asks::<recordings::Which>()
            .gives::<record_api::RecordingList>(),
        get("/recordings/{recording}", "recording", SEERS, "One recording.", recordings::show)
            .at::<recordings::OfRecording>()
            .gives::<record_api::Recording>(),
        post(
            "/recordings/{recording}/listen",
            "listen",
            SUPERVISOR,
            "Grants its sound for a while.",
            recordings::listen,
        )
        .at::<recordings::OfRecording>()
        .takes::<fields::BecauseOf>()
        .gives::<recordings::Granted>(),
        get(
            "/recordings/{recording}/audio",
            "audio",
            SUPERVISOR,
            "Its sound, or a range of it.",
            recordings::audio,
        )
        .at::<recordings::OfRecording>()
        .gives_sound(),
        get("/recordings/{recording}/peaks", "peaks", SUPERVISOR, "Its waveform.", recordings::peaks)
            .at::<recordings::OfRecording>()
            .asks::<recordings::Fineness>()
            .gives::<recordings::Peaks>(),
        post(
            "/recordings/{recording}/verify",
            "verifyRecording",
            VERIFIERS,
            "Opens every chunk.",
            recordings::verify,
        )
        .at::<recordings::OfRecording>()
        .takes::<fields::Because>()
        .gives::<record_api::Verified>(),
        post("/recordings/{recording}/hold", "hold", HOLDERS, "Puts it on legal hold.", recordings::hold)
            .at::<recordings::OfRecording>()
            .takes::<fields::BecauseOf>()
            .gives::<record_api::Recording>(),
        post(
            "/recordings/{recording}/release",
            "release",
            SECURITY,
            "Lifts a legal hold.",
            recordings::release,
        )
        .at::<recordings::OfRecording>()
        .takes::<fields::Because>()
        .gives::<record_api::Recording>(),
        // The audit log.
        get("/audit/entries", "auditEntries", AUDIT, "Entries, the newest first.", log::list)
            .asks::<log::Which>()
            .gives::<audit_api::EntryList>(),
        get(
            "/audit/entries/{sequence}/proof",
            "auditProof",
            AUDIT,
            "That an entry is in the log.",
            log::proof,
        )
        .at::<log::OfEntry>()
        .gives::<audit_api::InclusionProof>(),
        post("/audit/verify", "verifyAudit", AUDIT, "Reads the whole log again.", log::verify)
            .gives::<audit_api::Verified>(),
        get("/audit/checkpoint", "auditCheckpoint", AUDIT, "The newest checkpoint, signed.", log::checkpoint)
            .gives::<audit_api::SignedCheckpoint>(),
        // The house.
        get("/system", "systemState", LEADERS, "Daemons, disk and alarms.", system::state)
            .gives::<system::SystemState>(),
        get(
            "/system/certificate",
            "certificate",
            OFFICERS,
            "The console's certificate.",
            system::certificate,
        )
        .gives::<Facts>(),
        get("/settings", "settings", OFFICERS, "The settings, passwords masked.", settings::show)
            .gives::<host_api::Shown>(),
        get("/settings/versions", "settingsVersions", OFFICERS, "Every version.", settings::versions)
            .gives::<host_api::VersionList>(),
        get("/settings/diff", "settingsDiff", OFFICERS, "What differs between two versions.", settings::diff)
            .asks::<settings::Between>()
            .gives::<host_api::Differences>(),
        post("/settings/check", "checkSettings", SYSTEM, "What is wrong with a draft.", settings::check)
            .takes::<settings::Draft>()
            .gives::<settings::Judged>()
            .of_size(settings::LONGEST),
        post("/settings/apply", "applySettings", SYSTEM, "Has a draft obeyed.", settings::apply)
            .takes::<settings::Applying>()
            .gives::<settings::Outcome>()
            .of_size(settings::LONGEST),
        post(
            "/settings/roll-back",
            "rollBackSettings",
            SYSTEM,
            "Has an earlier version obeyed.",
            settings::roll_back,
        )
        .takes::<settings::Back>()
        .gives::<settings::Outcome>(),
    ]
}

/// Every path of the API.
pub fn router(desk: Desk) -> Router {
    let api = doors()
        .into_iter()
        .fold(Router::new(), |router, door| door.open(router, &desk))
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
