//! When people work: the hours of a week in a time zone, public holidays, and the Saturdays and Sundays that
//! the State Council makes working days for them.

use crate::value::{Fault, as_text};
use jiff::{
    civil::{Date, Weekday},
    tz::{TimeZone, TimeZoneDatabase},
};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use std::{borrow::Cow, fmt, str::FromStr};
use types::Name;

/// When people work.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Calendar {
    /// The calendar's name.
    pub name: Name,
    /// The time zone of its hours and days.
    #[serde(default)]
    pub zone: Zone,
    /// The hours of a usual week.
    pub weekly: Vec<WeeklyHours>,
    /// Public holidays: closed all day.
    #[serde(default)]
    pub holidays: Vec<Days>,
    /// Days worked in exchange for a holiday (调休上班), with the hours of a Monday.
    #[serde(default)]
    pub make_up_days: Vec<Days>,
}

/// A time zone of the IANA database, as the program carries it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Zone(TimeZone);

impl Zone {
    /// The zone itself.
    pub const fn time_zone(&self) -> &TimeZone {
        &self.0
    }
}

impl Default for Zone {
    /// Asia/Shanghai.
    fn default() -> Self {
        // The bundled database has it; without it UTC is at least a zone.
        "Asia/Shanghai".parse().unwrap_or(Self(TimeZone::UTC))
    }
}

impl FromStr for Zone {
    type Err = Fault;

    fn from_str(text: &str) -> Result<Self, Fault> {
        TimeZoneDatabase::bundled().get(text).map(Self).map_err(|_| Fault::Zone)
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.iana_name().unwrap_or("UTC"))
    }
}

/// Hours of one or more days of the week: `mon-fri 09:00-18:00`, `sat 09:00-12:00`. The end is not within;
/// `24:00` is the end of a day. Hours over midnight are two entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WeeklyHours {
    first: Weekday,
    last: Weekday,
    from: u16,
    until: u16,
}

impl WeeklyHours {
    /// Whether the day of the week has hours here, and the minute of the day lies within.
    pub fn cover(&self, day: Weekday, minute: u16) -> bool {
        self.on(day) && (self.from..self.until).contains(&minute)
    }

    /// Whether the day of the week has hours here.
    pub fn on(&self, day: Weekday) -> bool {
        let day = day.to_monday_zero_offset();
        (self.first.to_monday_zero_offset()..=self.last.to_monday_zero_offset()).contains(&day)
    }
}

impl FromStr for WeeklyHours {
    type Err = Fault;

    fn from_str(text: &str) -> Result<Self, Fault> {
        let (days, hours) = text.split_once(' ').ok_or(Fault::Hours)?;
        let (first, last) = days.split_once('-').unwrap_or((days, days));
        let (first, last) = (weekday(first)?, weekday(last)?);
        let (from, until) = hours.split_once('-').ok_or(Fault::Hours)?;
        let (from, until) = (minute(from)?, minute(until)?);
        let sound = from < until && first.to_monday_zero_offset() <= last.to_monday_zero_offset();
        if sound { Ok(Self { first, last, from, until }) } else { Err(Fault::Hours) }
    }
}

impl fmt::Display for WeeklyHours {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { first, last, from, until } = *self;
        f.write_str(DAYS[usize::from(first.to_monday_zero_offset().unsigned_abs())])?;
        if first != last {
            write!(f, "-{}", DAYS[usize::from(last.to_monday_zero_offset().unsigned_abs())])?;
        }
        write!(f, " {:02}:{:02}-{:02}:{:02}", from / 60, from % 60, until / 60, until % 60)
    }
}

const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

fn weekday(text: &str) -> Result<Weekday, Fault> {
    let at = DAYS.iter().position(|day| *day == text).ok_or(Fault::Hours)?;
    i8::try_from(at).ok().and_then(|at| Weekday::from_monday_zero_offset(at).ok()).ok_or(Fault::Hours)
}

/// `09:30` → 570.
fn minute(text: &str) -> Result<u16, Fault> {
    let (hour, minute) = text.split_once(':').ok_or(Fault::Hours)?;
    let number = |text: &str, most: u16| {
        let digits = text.len() == 2 && text.bytes().all(|b| b.is_ascii_digit());
        text.parse::<u16>().ok().filter(|number| digits && *number <= most).ok_or(Fault::Hours)
    };
    let minute = number(hour, 24)? * 60 + number(minute, 59)?;
    if minute <= 24 * 60 { Ok(minute) } else { Err(Fault::Hours) }
}

/// One day or an interval of days, both ends within (ISO 8601): `2026-10-01`, `2026-10-01/2026-10-07`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Days {
    first: Date,
    last: Date,
}

impl Days {
    /// Whether the day is one of them.
    pub fn contain(&self, day: Date) -> bool {
        (self.first..=self.last).contains(&day)
    }

    /// Whether a day is in both.
    pub fn overlap(&self, other: &Self) -> bool {
        self.first <= other.last && other.first <= self.last
    }
}

impl FromStr for Days {
    type Err = Fault;

    fn from_str(text: &str) -> Result<Self, Fault> {
        let (first, last) = text.split_once('/').unwrap_or((text, text));
        let day = |text: &str| {
            // ISO 8601's extended form alone: jiff would take more.
            let shape = text.len() == 10 && text.bytes().all(|b| b.is_ascii_digit() || b == b'-');
            text.parse::<Date>().ok().filter(|_| shape).ok_or(Fault::Days)
        };
        let (first, last) = (day(first)?, day(last)?);
        if first <= last { Ok(Self { first, last }) } else { Err(Fault::Days) }
    }
}

impl fmt::Display for Days {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.first)?;
        if self.first != self.last {
            write!(f, "/{}", self.last)?;
        }
        Ok(())
    }
}

as_text! {
    Zone: r"^[A-Za-z0-9_+/-]{1,64}$";
    WeeklyHours: "^[a-z]{3}(-[a-z]{3})? [0-9]{2}:[0-9]{2}-[0-9]{2}:[0-9]{2}$";
    Days: "^[0-9]{4}-[0-9]{2}-[0-9]{2}(/[0-9]{4}-[0-9]{2}-[0-9]{2})?$";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hours_are_read_and_written() {
        let hours: WeeklyHours = "mon-fri 09:00-18:00".parse().unwrap();
        assert!(hours.cover(Weekday::Monday, 9 * 60) && hours.cover(Weekday::Friday, 17 * 60 + 59));
        assert!(!hours.cover(Weekday::Monday, 18 * 60) && !hours.cover(Weekday::Saturday, 10 * 60));
        for text in ["mon-fri 09:00-18:00", "sun 00:00-24:00"] {
            assert_eq!(text.parse::<WeeklyHours>().unwrap().to_string(), text);
        }
        for wrong in [
            "",
            "mon",
            "mon-fri",
            "fri-mon 09:00-18:00",
            "mon 18:00-09:00",
            "mon 9:00-18:00",
            "mon 09:00-24:01",
            "mon 09:60-18:00",
            "Mon 09:00-18:00",
            "mon  09:00-18:00",
            "mon 09:00-09:00",
        ] {
            assert_eq!(wrong.parse::<WeeklyHours>(), Err(Fault::Hours), "{wrong:?}");
        }
    }

    #[test]
    fn days_are_read_and_written() {
        for text in ["2026-10-01", "2026-10-01/2026-10-07"] {
            assert_eq!(text.parse::<Days>().unwrap().to_string(), text);
        }
        for wrong in ["", "2026-13-01", "2026-10-07/2026-10-01", "2026-10-1", "20261001", "2026-10-01/"] {
            assert_eq!(wrong.parse::<Days>(), Err(Fault::Days), "{wrong:?}");
        }
    }

    #[test]
    fn zones_are_those_of_the_database() {
        assert_eq!(Zone::default().to_string(), "Asia/Shanghai");
        assert_eq!("Europe/Berlin".parse::<Zone>().unwrap().to_string(), "Europe/Berlin");
        assert_eq!("Asia/Beijing".parse::<Zone>(), Err(Fault::Zone));
    }
}
