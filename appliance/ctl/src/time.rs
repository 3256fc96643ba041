//! Moments for people.

use jiff::{Timestamp, civil::DateTime, tz::TimeZone};
use types::Utc;

/// The moment in the local zone, to the second.
pub fn local(at: Utc) -> String {
    Timestamp::from_nanosecond(i128::from(at.0)).map_or_else(
        |_| "–".to_owned(),
        |stamp| stamp.to_zoned(TimeZone::system()).strftime("%Y-%m-%d %H:%M:%S").to_string(),
    )
}

/// The time from a moment to now, to the second.
pub fn elapsed(since: Utc) -> String {
    let now = Utc(i64::try_from(Timestamp::now().as_nanosecond()).unwrap_or(i64::MAX));
    let seconds = now.since(since).as_secs();
    format!("{}:{:02}", seconds / 60, seconds % 60)
}

/// A moment that a person writes in local time, such as `2026-10-01T10:00`.
///
/// # Errors
/// What is wrong with it.
pub fn parse(text: &str) -> Result<Utc, String> {
    let local: DateTime = text.parse().map_err(|error: jiff::Error| error.to_string())?;
    let zoned = local.to_zoned(TimeZone::system()).map_err(|error| error.to_string())?;
    i64::try_from(zoned.timestamp().as_nanosecond())
        .map(Utc)
        .map_err(|_| "the year is too far away".to_owned())
}
