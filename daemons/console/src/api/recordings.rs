//! Recordings: which there are, what is heard of them, and the acts on them.

use super::{
    Asked, At, Body, Desk,
    fields::{Because, BecauseOf, Limit, Reason},
    person::Person,
};
use crate::{
    playing::Wish,
    problem::Problem,
    range::{Part, part},
};
use axum::{
    Json,
    body::Body as Stream,
    extract::State,
    http::{
        HeaderMap, HeaderValue, StatusCode,
        header::{ACCEPT_RANGES, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, IF_RANGE, RANGE},
    },
    response::{IntoResponse, Response},
};
use record_api::{Hold, List, Recording, RecordingList, Release, Show, Verified, Verify};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use service::clock;
use std::time::Duration;
use types::{CallId, Page, RecordingId, Utc};

/// Every chunk is opened.
const PATIENCE: Duration = Duration::from_secs(28);
/// Columns of a waveform where nobody says how many.
const COLUMNS: usize = 800;

/// Which recording.
#[derive(Deserialize, JsonSchema)]
pub struct OfRecording {
    recording: RecordingId,
}

/// Which recordings.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Which {
    /// Begun at this time or later, in nanoseconds since 1970.
    from: Option<Utc>,
    /// Begun before this time.
    until: Option<Utc>,
    /// Of this call.
    call: Option<CallId>,
    /// How many at most.
    limit: Option<Limit>,
    /// Go on after this one, the last of the page before.
    after: Option<RecordingId>,
}

/// How fine a waveform is.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Fineness {
    /// Columns, from 16 to 4000.
    #[schemars(range(min = 16, max = 4000))]
    columns: Option<u16>,
}

/// What may be heard now, in this session alone.
#[derive(Serialize, JsonSchema)]
pub struct Granted {
    /// Until when.
    until: Utc,
    /// How long it lasts, in milliseconds.
    length_ms: u64,
    /// Bytes of the sound.
    size: u64,
    /// SM3 of the sound, 64 hexadecimal digits, as it stands in the audit log.
    digest: String,
    /// The audit entry of this act.
    sequence: u64,
    /// As it stands in the list.
    recording: Recording,
}

/// How loud each stretch is, from 0 to 100.
#[derive(Serialize, JsonSchema)]
pub struct Peaks {
    /// How long all of them are together, in milliseconds.
    length_ms: u64,
    /// The customer.
    left: Vec<u8>,
    /// The agent.
    right: Vec<u8>,
}

pub async fn list(
    State(desk): State<Desk>,
    person: Person,
    Asked(which): Asked<Which>,
) -> Result<Json<RecordingList>, Problem> {
    let Which { from, until, call, limit, after } = which;
    let page = Page { from, until, limit: limit.map(Limit::rows) };
    Ok(Json(desk.record().call(List { assertion: person.assertion(), call, after, page }).await?))
}

pub async fn show(
    State(desk): State<Desk>,
    At(of): At<OfRecording>,
    person: Person,
) -> Result<Json<Recording>, Problem> {
    Ok(Json(desk.record().call(Show { assertion: person.assertion(), recording: of.recording }).await?))
}

pub async fn listen(
    State(desk): State<Desk>,
    At(of): At<OfRecording>,
    person: Person,
    Body(because): Body<BecauseOf>,
) -> Result<Json<Granted>, Problem> {
    let wish = Wish {
        session: person.standing.claims.session,
        assertion: person.assertion(),
        recording: of.recording,
        reason: because.reason.into_text(),
        case: because.case.map(Reason::into_text),
    };
    let (grant, exported, lasting) = desk.grants().give(desk.record(), wish).await?;
    Ok(Json(Granted {
        until: clock::utc().plus(lasting),
        length_ms: milliseconds(grant.sound.length()),
        size: exported.size,
        digest: exported.digest,
        sequence: exported.sequence,
        recording: exported.recording,
    }))
}

/// The sound, or a range of it (RFC 9110 §14): an audio element seeks by ranges.
pub async fn audio(
    State(desk): State<Desk>,
    At(of): At<OfRecording>,
    person: Person,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let sound = desk.grants().of(person.standing.claims.session, of.recording)?;
    let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    let tag = format!("\"{}\"", sound.digest);
    let size = sound.bytes.len();
    // A range of another version of it would be no part of this one (RFC 9110 §13.1.5).
    let same = text(IF_RANGE).is_none_or(|of| of == tag);
    let part = text(RANGE).filter(|_| same).map_or(Part::Whole, |range| part(range, size));
    let (status, bytes, range) = match part {
        Part::Whole => (StatusCode::OK, sound.bytes, None),
        Part::Of(part) => {
            let range = format!("bytes {}-{}/{size}", part.start, part.end.saturating_sub(1));
            (StatusCode::PARTIAL_CONTENT, sound.bytes.slice(part), Some(range))
        }
        Part::Nowhere => {
            let mut response = Problem::NoSuchRange.into_response();
            header(&mut response, CONTENT_RANGE, &format!("bytes */{size}"));
            return Ok(response);
        }
    };
    let length = bytes.len().to_string();
    let mut response = (status, Stream::from(bytes)).into_response();
    header(&mut response, CONTENT_TYPE, "audio/wav");
    header(&mut response, ACCEPT_RANGES, "bytes");
    header(&mut response, CONTENT_LENGTH, &length);
    header(&mut response, ETAG, &tag);
    range.iter().for_each(|range| header(&mut response, CONTENT_RANGE, range));
    Ok(response)
}

pub async fn peaks(
    State(desk): State<Desk>,
    At(of): At<OfRecording>,
    person: Person,
    Asked(fineness): Asked<Fineness>,
) -> Result<Json<Peaks>, Problem> {
    let columns = match fineness.columns {
        Some(columns @ 16..=4_000) => usize::from(columns),
        Some(_) => return Err(Problem::Malformed),
        None => COLUMNS,
    };
    let sound = desk.grants().of(person.standing.claims.session, of.recording)?;
    let length_ms = milliseconds(sound.length());
    let peaks = tokio::task::spawn_blocking(move || sound.peaks(columns)).await;
    let (left, right) = peaks.map_err(crate::error::Error::Worker)?;
    Ok(Json(Peaks { length_ms, left, right }))
}

pub async fn verify(
    State(desk): State<Desk>,
    At(of): At<OfRecording>,
    person: Person,
    Body(because): Body<Because>,
) -> Result<Json<Verified>, Problem> {
    let reason = because.reason.into_text();
    let verify = Verify { assertion: person.assertion(), recording: of.recording, reason };
    Ok(Json(desk.record().call_with(verify, Vec::new(), PATIENCE).await?.0))
}

pub async fn hold(
    State(desk): State<Desk>,
    At(of): At<OfRecording>,
    person: Person,
    Body(because): Body<BecauseOf>,
) -> Result<Json<Recording>, Problem> {
    let (reason, case) = (because.reason.into_text(), because.case.map(Reason::into_text));
    let hold = Hold { assertion: person.assertion(), recording: of.recording, reason, case };
    Ok(Json(desk.record().call(hold).await?))
}

pub async fn release(
    State(desk): State<Desk>,
    At(of): At<OfRecording>,
    person: Person,
    Body(because): Body<Because>,
) -> Result<Json<Recording>, Problem> {
    let reason = because.reason.into_text();
    let release = Release { assertion: person.assertion(), recording: of.recording, reason };
    Ok(Json(desk.record().call(release).await?))
}

fn milliseconds(length: Duration) -> u64 {
    u64::try_from(length.as_millis()).unwrap_or(u64::MAX)
}

fn header(response: &mut Response, name: axum::http::HeaderName, value: &str) {
    // Digits, signs and hexadecimal digits are a header value.
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(name, value);
    }
}
