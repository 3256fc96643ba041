//! The house itself: its daemons, its disk, its certificate, and what is wrong with it.

use super::{Desk, person::Person};
use crate::{
    certificate::Facts,
    live::{Alarm, Severity, Signs, alarms},
    problem::{Problem, language},
};
use axum::{Json, extract::State, http::HeaderMap};
use host_api::{Health, HouseHealth};
use record_api::{Disk, DiskReport};
use route_api::{EndpointList, Endpoints};
use schemars::JsonSchema;
use serde::Serialize;
use service::clock;

/// What the daemons below say of the house.
pub struct Report {
    health: Option<HouseHealth>,
    disk: Option<DiskReport>,
    /// What is wrong.
    pub alarms: Vec<Alarm>,
}

/// How the house is.
#[derive(Serialize, JsonSchema)]
pub struct SystemState {
    /// The daemons; nothing where host did not answer.
    health: Option<HouseHealth>,
    /// The disk of recordings; nothing where record did not answer.
    disk: Option<DiskReport>,
    /// What is wrong, the gravest first.
    alarms: Vec<WordedAlarm>,
}

/// One thing that is wrong, in the language of the browser.
#[derive(Serialize, JsonSchema)]
pub struct WordedAlarm {
    /// How grave it is.
    severity: Severity,
    /// What, as a code.
    code: String,
    /// With what.
    subject: String,
    /// What it means and what to do.
    message: String,
}

impl Desk {
    /// Asks host and record how they are.
    pub async fn look(&self, endpoints: Option<&EndpointList>) -> Report {
        let (health, disk) = tokio::join!(self.host().call(Health {}), self.record().call(Disk {}));
        let (health, disk) = (health.ok(), disk.ok());
        let certificate = self.certificate().until;
        let signs = Signs { health: health.as_ref(), disk, endpoints, certificate, now: clock::utc() };
        let alarms = alarms(&signs);
        Report { health, disk, alarms }
    }
}

pub async fn state(
    State(desk): State<Desk>,
    person: Person,
    headers: HeaderMap,
) -> Result<Json<SystemState>, Problem> {
    let endpoints = desk.route().call(Endpoints { assertion: person.assertion() }).await.ok();
    let Report { health, disk, alarms } = desk.look(endpoints.as_ref()).await;
    let lang = language(&headers);
    let worded = |alarm: Alarm| WordedAlarm {
        message: words::text(lang, alarm.code, &[("subject", &alarm.subject)]),
        severity: alarm.severity,
        code: alarm.code.to_owned(),
        subject: alarm.subject,
    };
    Ok(Json(SystemState { health, disk, alarms: alarms.into_iter().map(worded).collect() }))
}

pub async fn certificate(State(desk): State<Desk>) -> Json<Facts> {
    Json(desk.certificate().clone())
}
