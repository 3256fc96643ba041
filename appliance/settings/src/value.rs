//! The values of the file: each is read from its text once, and cannot be wrong afterwards.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use std::{borrow::Cow, fmt, str::FromStr, time::Duration};

/// Why a text is no value of its kind. `Display` gives the message code, which `words` turns into a sentence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// Not a whole number with a unit of time.
    #[error("settings.period")]
    Period,
    /// Not a whole number with a unit of size.
    #[error("settings.size")]
    Size,
    /// Not two ports with `-` between them, the lower one first.
    #[error("settings.ports")]
    Ports,
    /// The first port is odd or the last even (RFC 3550 §11: RTP on even, RTCP on the next odd port).
    #[error("settings.ports-parity")]
    PortsParity,
    /// Fewer ports than one call takes.
    #[error("settings.ports-few")]
    PortsFew,
    /// Ports below 1024.
    #[error("settings.ports-low")]
    PortsLow,
    /// Not a telephone number.
    #[error("settings.dialled")]
    Dialled,
    /// Not a prompt's name.
    #[error("settings.prompt")]
    Prompt,
    /// Not 1 to 8 digits, * or #.
    #[error("settings.keys")]
    Keys,
    /// Not a day of the week, or two with `-` between them, and two times of the day.
    #[error("settings.hours")]
    Hours,
    /// Not a day, or two with `/` between them.
    #[error("settings.days")]
    Days,
    /// No zone of the IANA database.
    #[error("settings.zone")]
    Zone,
    /// A step with no deed, or with more than one.
    #[error("settings.step")]
    Step,
    /// Too short, too plain, or with control characters.
    #[error("settings.password-weak")]
    PasswordWeak,
}

/// A length of time as people write it: a whole number and `s`, `m`, `h` or `d`. At most 100 years.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Period(u64);

impl Period {
    const MOST: u64 = 36_525 * 86_400;

    /// So many seconds.
    pub const fn seconds(seconds: u64) -> Self {
        Self(if seconds > Self::MOST { Self::MOST } else { seconds })
    }

    /// So many minutes.
    pub const fn minutes(minutes: u64) -> Self {
        Self::seconds(minutes.saturating_mul(60))
    }

    /// So many hours.
    pub const fn hours(hours: u64) -> Self {
        Self::seconds(hours.saturating_mul(3600))
    }

    /// So many days of 24 hours.
    pub const fn days(days: u64) -> Self {
        Self::seconds(days.saturating_mul(86_400))
    }

    /// The length of time.
    pub const fn duration(self) -> Duration {
        Duration::from_secs(self.0)
    }
}

impl From<Period> for Duration {
    fn from(period: Period) -> Self {
        period.duration()
    }
}

impl FromStr for Period {
    type Err = Fault;

    fn from_str(text: &str) -> Result<Self, Fault> {
        let (number, unit) = number_and_unit(text).ok_or(Fault::Period)?;
        let seconds = match unit {
            "s" => 1,
            "m" => 60,
            "h" => 3600,
            "d" => 86_400,
            _ => return Err(Fault::Period),
        };
        number.checked_mul(seconds).filter(|sum| *sum <= Self::MOST).map(Self).ok_or(Fault::Period)
    }
}

impl fmt::Display for Period {
    /// In the greatest unit that divides it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = [("d", 86_400), ("h", 3600), ("m", 60)];
        match units.into_iter().find(|(_, seconds)| self.0 > 0 && self.0.is_multiple_of(*seconds)) {
            Some((unit, seconds)) => write!(f, "{}{unit}", self.0 / seconds),
            None => write!(f, "{}s", self.0),
        }
    }
}

/// A number of bytes as people write it: a whole number and `KiB`, `MiB`, `GiB` or `TiB`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Size(u64);

impl Size {
    /// So many GiB.
    pub const fn gibibytes(number: u64) -> Self {
        Self(number.saturating_mul(1 << 30))
    }

    /// So many MiB.
    pub const fn mebibytes(number: u64) -> Self {
        Self(number.saturating_mul(1 << 20))
    }

    /// The number of bytes.
    pub const fn bytes(self) -> u64 {
        self.0
    }
}

const SIZES: [(&str, u64); 4] = [("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];

impl FromStr for Size {
    type Err = Fault;

    fn from_str(text: &str) -> Result<Self, Fault> {
        let (number, unit) = number_and_unit(text).ok_or(Fault::Size)?;
        let (_, bytes) = SIZES.into_iter().find(|(name, _)| *name == unit).ok_or(Fault::Size)?;
        number.checked_mul(bytes).map(Self).ok_or(Fault::Size)
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (unit, bytes) = SIZES
            .into_iter()
            .find(|(_, bytes)| self.0 > 0 && self.0.is_multiple_of(*bytes))
            .unwrap_or(("KiB", 1 << 10));
        write!(f, "{}{unit}", self.0 / bytes)
    }
}

/// `15s` → (15, "s"), `2 GiB` → (2, "GiB").
fn number_and_unit(text: &str) -> Option<(u64, &str)> {
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at_checked(digits)?;
    Some((number.parse().ok()?, unit.strip_prefix(' ').unwrap_or(unit)))
}

/// UDP ports from an even one to an odd one, both within, at least four: one call has two legs, a leg has a
/// port for RTP and the next one for RTCP (RFC 3550 §11).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PortRange {
    first: u16,
    last: u16,
}

impl PortRange {
    pub(crate) const fn new(first: u16, last: u16) -> Self {
        Self { first, last }
    }

    /// The first port, even.
    pub const fn first(self) -> u16 {
        self.first
    }

    /// The last port, odd.
    pub const fn last(self) -> u16 {
        self.last
    }

    /// Whether the port lies within.
    pub const fn contains(self, port: u16) -> bool {
        self.first <= port && port <= self.last
    }
}

impl FromStr for PortRange {
    type Err = Fault;

    fn from_str(text: &str) -> Result<Self, Fault> {
        let (first, last) = text.split_once('-').ok_or(Fault::Ports)?;
        let port = |text: &str| text.trim().parse::<u16>().map_err(|_| Fault::Ports);
        let (first, last) = (port(first)?, port(last)?);
        if first > last {
            Err(Fault::Ports)
        } else if first < 1024 {
            Err(Fault::PortsLow)
        } else if last - first < 3 {
            Err(Fault::PortsFew)
        } else if first % 2 == 1 || last % 2 == 0 {
            Err(Fault::PortsParity)
        } else {
            Ok(Self { first, last })
        }
    }
}

impl fmt::Display for PortRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.first, self.last)
    }
}

/// A number as it is dialled: a `+` or not, then 1 to 32 digits, `*` or `#`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Dialled(String);

impl Dialled {
    /// The number as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Dialled {
    type Err = Fault;

    fn from_str(text: &str) -> Result<Self, Fault> {
        let digits = text.strip_prefix('+').unwrap_or(text);
        let sound = digits.bytes().all(|b| b.is_ascii_digit() || b == b'*' || b == b'#');
        if sound && (1..=32).contains(&digits.len()) {
            Ok(Self(text.to_owned()))
        } else {
            Err(Fault::Dialled)
        }
    }
}

impl fmt::Display for Dialled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A prompt's name: a [`types::Name`], so that it is a file name and never a path; the file is `NAME.wav`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Prompt(types::Name);

impl Prompt {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl FromStr for Prompt {
    type Err = Fault;

    fn from_str(text: &str) -> Result<Self, Fault> {
        text.parse().map(Self).map_err(|_| Fault::Prompt)
    }
}

impl fmt::Display for Prompt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str())
    }
}

/// `serde` by way of `Display` and `FromStr`, and the pattern of the text.
macro_rules! as_text {
    ($($name:ident: $pattern:literal;)*) => {$(
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                Cow::<'de, str>::deserialize(deserializer)?.parse().map_err(D::Error::custom)
            }
        }

        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }
            fn inline_schema() -> bool {
                true
            }
            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "type": "string", "pattern": $pattern })
            }
        }
    )*};
}

pub(crate) use as_text;

as_text! {
    Period: "^[0-9]+ ?(s|m|h|d)$";
    Size: "^[0-9]+ ?(KiB|MiB|GiB|TiB)$";
    PortRange: "^[0-9]{4,5}-[0-9]{4,5}$";
    Dialled: r"^\+?[0-9*#]{1,32}$";
    Prompt: r"^[^\s/]{1,64}$";
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn periods_are_read_and_written() {
        for (text, seconds, written) in [
            ("15s", 15, "15s"),
            ("90s", 90, "90s"),
            ("10m", 600, "10m"),
            ("24h", 86_400, "1d"),
            ("0s", 0, "0s"),
        ] {
            let period: Period = text.parse().unwrap();
            assert_eq!(period.duration(), Duration::from_secs(seconds));
            assert_eq!(period.to_string(), written);
        }
        for wrong in ["", "15", "s", "-1s", "1.5s", "1w", "36526d", "99999999999999999999s", "1 s "] {
            assert_eq!(wrong.parse::<Period>(), Err(Fault::Period), "{wrong:?}");
        }
    }

    #[test]
    fn sizes_are_read_and_written() {
        assert_eq!("2GiB".parse::<Size>().unwrap().bytes(), 2 << 30);
        assert_eq!("2048 MiB".parse::<Size>().unwrap().to_string(), "2GiB");
        for wrong in ["2GB", "2", "99999999999TiB", ""] {
            assert_eq!(wrong.parse::<Size>(), Err(Fault::Size), "{wrong:?}");
        }
    }

    #[test]
    fn port_ranges_hold_pairs() {
        assert!("20000-20003".parse::<PortRange>().is_ok());
        for (wrong, fault) in [
            ("20000", Fault::Ports),
            ("20003-20000", Fault::Ports),
            ("1-70000", Fault::Ports),
            ("1000-1999", Fault::PortsLow),
            ("20000-20001", Fault::PortsFew),
            ("20001-20007", Fault::PortsParity),
            ("20000-20004", Fault::PortsParity),
        ] {
            assert_eq!(wrong.parse::<PortRange>(), Err(fault), "{wrong:?}");
        }
    }

    proptest! {
        #[test]
        fn a_period_survives_its_text(seconds in 0..=Period::MOST) {
            let period = Period::seconds(seconds);
            prop_assert_eq!(period.to_string().parse::<Period>(), Ok(period));
        }

        #[test]
        fn a_port_range_survives_its_text(first in 512_u16..32_000, pairs in 2_u16..300) {
            let range = PortRange::new(first * 2, first * 2 + pairs * 2 - 1);
            prop_assert_eq!(range.to_string().parse::<PortRange>(), Ok(range));
        }
    }
}
