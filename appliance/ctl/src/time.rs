//! Moments for people.

use jiff::{Timestamp, tz::TimeZone};
use types::Utc;

/// The moment in the local zone, to the second.
pub fn local(at: Utc) -> String {
    Timestamp::from_nanosecond(i128::from(at.0)).map_or_else(
        |_| "–".to_owned(),
        |stamp| stamp.to_zoned(TimeZone::system()).strftime("%Y-%m-%d %H:%M:%S").to_string(),
    )
}
