//! Whether people work at a moment: what a calendar of the settings says.

use jiff::{Timestamp, civil::Weekday};
use mutant::mutant;
use settings::route::Calendar;
use types::Utc;

/// What a calendar says of a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opening {
    /// People work.
    Open,
    /// Not at this hour or on this day of the week.
    Closed,
    /// A public holiday.
    Holiday,
}

/// What the calendar says: a make-up day has the hours of a Monday, a holiday none, every other day those of
/// its day of the week.
pub fn opening(calendar: &Calendar, at: Utc) -> Opening {
    // Every moment of the clock has a date: only the year 9999 lies beyond.
    let Ok(stamp) = Timestamp::from_nanosecond(i128::from(at.0)) else { return Opening::Closed };
    let local = calendar.zone.time_zone().to_datetime(stamp);
    let (date, minute) = (
        local.date(),
        u16::from(local.hour().unsigned_abs()) * 60 + u16::from(local.minute().unsigned_abs()),
    );
    let day = if calendar.make_up_days.iter().any(|days| days.contain(date)) {
        Weekday::Monday
    } else if calendar.holidays.iter().any(|days| days.contain(date)) && !mutant("route-holidays-worked") {
        return Opening::Holiday;
    } else {
        date.weekday()
    };
    let open = calendar.weekly.iter().any(|hours| hours.cover(day, minute));
    if open { Opening::Open } else { Opening::Closed }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn utc(local: &str, zone: &str) -> Utc {
        let moment = local.parse::<jiff::civil::DateTime>().unwrap();
        let zone = jiff::tz::TimeZoneDatabase::bundled().get(zone).unwrap();
        Utc(i64::try_from(moment.to_zoned(zone).unwrap().timestamp().as_nanosecond()).unwrap())
    }

    #[test]
    fn hours_holidays_and_make_up_days() {
        let calendar: Calendar = serde_json::from_value(serde_json::json!({
            "name": "office",
            "weekly": ["mon-fri 09:00-18:00", "sat 09:00-12:00"],
            "holidays": ["2026-10-01/2026-10-07"],
            "make_up_days": ["2026-09-20", "2026-10-10"],
        }))
        .unwrap();
        for (local, expected) in [
            ("2026-09-18T08:59:59", Opening::Closed),
            ("2026-09-18T09:00:00", Opening::Open),
            ("2026-09-18T17:59:59", Opening::Open),
            ("2026-09-18T18:00:00", Opening::Closed),
            ("2026-09-19T11:00:00", Opening::Open),
            ("2026-09-19T12:00:00", Opening::Closed),
            // A Sunday that is worked, with the hours of a Monday.
            ("2026-09-20T15:00:00", Opening::Open),
            ("2026-09-27T15:00:00", Opening::Closed),
            // A holiday that is a Thursday.
            ("2026-10-01T00:00:00", Opening::Holiday),
            ("2026-10-07T23:59:59", Opening::Holiday),
            ("2026-10-08T10:00:00", Opening::Open),
            // A make-up Saturday is open in the afternoon too.
            ("2026-10-10T15:00:00", Opening::Open),
        ] {
            assert_eq!(opening(&calendar, utc(local, "Asia/Shanghai")), expected, "{local}");
        }
    }

    /// In Berlin 09:00 is 08:00 UTC in winter and 07:00 UTC in summer.
    #[test]
    fn the_zone_counts_with_its_summer_time() {
        let calendar: Calendar = serde_json::from_value(serde_json::json!({
            "name": "office", "zone": "Europe/Berlin", "weekly": ["mon-sun 09:00-10:00"],
        }))
        .unwrap();
        let seen = |utc_time| opening(&calendar, utc(utc_time, "UTC"));
        assert_eq!(seen("2026-01-15T08:30:00"), Opening::Open);
        assert_eq!(seen("2026-01-15T07:30:00"), Opening::Closed);
        assert_eq!(seen("2026-07-15T07:30:00"), Opening::Open);
        assert_eq!(seen("2026-07-15T08:30:00"), Opening::Closed);
    }
}
