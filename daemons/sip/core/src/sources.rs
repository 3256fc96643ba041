//! Who sends, how much, and how ill: bounds and penalties for each source.
//!
//! Owns a bounded table. A source is an IPv4 address or an IPv6 /64, since whoever has one address of a /64 has
//! all of them. A carrier has an allowance of its own, a source behind which phones are registered a larger one
//! than a stranger. A stranger who knocks at numbers and passwords is slowed to two messages in ten seconds, and
//! a person whose phone has the wrong password still gets in after mending it.

use crate::settings::Limits;
use serde::Serialize;
use std::{
    collections::{HashMap, VecDeque},
    fmt,
    net::IpAddr,
    time::Duration,
};
use types::{Monotonic, TrunkId};

/// Sources that are watched at once.
const SOURCES: usize = 8_192;
/// Names that are watched of one source.
const NAMES: usize = 32;
/// How long offences are remembered, and how long a source stays slowed after its last.
const PERIOD: Duration = Duration::from_secs(600);
/// How often a source that goes on is told of again.
const AGAIN: Duration = Duration::from_secs(3_600);
/// Reports of sources in one minute; those beyond are counted into the next.
const REPORTS: u32 = 20;
/// What a carrier may send us.
const TRUNK: Allowance = Allowance { burst: 20_000_000, per_second: 10_000_000 };
/// What a slowed source may.
const SLOWED: Allowance = Allowance { burst: 2_000, per_second: 200 };
/// How much more than a stranger a source may send behind which phones are registered.
const PHONES: u64 = 10;
/// How many seconds' worth a source may send at once.
const BURST: u64 = 4;

/// One sender, as far as senders can be told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Source(IpAddr);

/// What is held against a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Offence {
    /// A password that is not the one of that user.
    Password,
    /// A user that there is not.
    User,
    /// A challenge that was never answered.
    Unanswered,
    /// Something that is no SIP.
    Malformed,
    /// More than its allowance.
    TooFast,
}

/// What one source did, for the audit log: one report when it begins to be slowed, then at most one an hour.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    /// The source: an address or a /64.
    pub source: String,
    /// Over how many seconds.
    pub seconds: u64,
    /// Wrong passwords.
    pub passwords: u64,
    /// Users that there are not.
    pub users: u64,
    /// Challenges that were not answered.
    pub unanswered: u64,
    /// Messages that were none.
    pub malformed: u64,
    /// Messages dropped.
    pub dropped: u64,
    /// Sources that were slowed too and have no report of their own.
    pub others: u64,
}

/// Everyone seen of late.
#[derive(Default)]
pub(crate) struct Sources {
    known: HashMap<Source, Record>,
    trunks: HashMap<TrunkId, Bucket>,
    /// What all have together for whom the table has no place.
    others: Option<Bucket>,
    swept: Option<Monotonic>,
    reports: VecDeque<Report>,
    reported: (u64, u32),
    untold: u64,
}

/// In thousandths of a message.
#[derive(Clone, Copy)]
struct Allowance {
    burst: u64,
    per_second: u64,
}

struct Record {
    bucket: Bucket,
    since: Monotonic,
    last: Monotonic,
    counts: [u64; 5],
    /// Offences that count towards being slowed.
    points: u32,
    slowed: Option<Monotonic>,
    told: Option<Monotonic>,
    /// Until when a phone is registered from there.
    phones: Option<Monotonic>,
    /// Wrong passwords by name: how many, and until when no more is tried.
    names: HashMap<Vec<u8>, (u32, Monotonic)>,
}

struct Bucket {
    left: u64,
    at: Monotonic,
}

impl Source {
    /// The source of that address.
    pub fn of(ip: IpAddr) -> Self {
        Self(types::network(ip))
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            IpAddr::V4(ip) => write!(f, "{ip}"),
            IpAddr::V6(ip) => write!(f, "{ip}/64"),
        }
    }
}

impl Sources {
    /// Whether one more message of a carrier is within its allowance; counts it if so.
    pub(crate) fn admit_trunk(&mut self, now: Monotonic, trunk: &TrunkId) -> bool {
        if let Some(bucket) = self.trunks.get_mut(trunk) {
            return bucket.take(now, TRUNK);
        }
        // As many as there are trunks in the settings.
        self.trunks.entry(trunk.clone()).or_insert_with(|| Bucket::full(now, TRUNK)).take(now, TRUNK)
    }

    /// Whether one more message of `source` is within its allowance; counts it if so.
    pub(crate) fn admit(&mut self, now: Monotonic, source: Source, limits: &Limits) -> bool {
        let stranger = Allowance::stranger(limits);
        let Some(record) = self.record(now, source, limits) else {
            let others = self.others.get_or_insert_with(|| Bucket::full(now, stranger));
            return others.take(now, stranger);
        };
        let allowance = match record.phones.is_some_and(|until| until > now) {
            true => stranger.times(PHONES),
            false if record.slowed.is_some_and(|until| until > now) => SLOWED,
            false => stranger,
        };
        record.last = now;
        let admitted = record.bucket.take(now, allowance);
        if !admitted {
            record.counts[Offence::TooFast as usize] += 1;
            self.again(now, source);
        }
        admitted
    }

    /// Notes what a source did; slows it where that is too much.
    pub(crate) fn note(&mut self, now: Monotonic, source: Source, offence: Offence, limits: &Limits) {
        let Some(record) = self.record(now, source, limits) else { return };
        if now.since(record.last) > PERIOD && record.slowed.is_none_or(|until| until <= now) {
            record.begin(now);
        }
        record.last = now;
        record.counts[offence as usize] += 1;
        record.points = record.points.saturating_add(1);
        let is_friend = record.phones.is_some_and(|until| until > now);
        if record.points < limits.failures || is_friend || mutant::mutant("sip-scan-not-slowed") {
            return;
        }
        let first = record.slowed.is_none_or(|until| until <= now);
        record.slowed = Some(now.plus(PERIOD));
        if first {
            record.told = Some(now);
            record.bucket.left = record.bucket.left.min(SLOWED.burst);
            self.report(now, source);
        } else {
            self.again(now, source);
        }
    }

    /// A challenge was answered rightly: what was counted when it was sent is forgiven.
    pub(crate) fn forgive(&mut self, source: Source, name: &[u8]) {
        if let Some(record) = self.known.get_mut(&source) {
            let unanswered = &mut record.counts[Offence::Unanswered as usize];
            *unanswered = unanswered.saturating_sub(1);
            record.points = record.points.saturating_sub(1);
            record.names.remove(name);
        }
    }

    /// A phone is registered from there until then.
    pub(crate) fn registered(&mut self, now: Monotonic, source: Source, until: Monotonic, limits: &Limits) {
        if let Some(record) = self.record(now, source, limits) {
            record.phones = record.phones.max(Some(until));
        }
    }

    /// Whether phones are registered from there.
    pub(crate) fn has_phones(&self, now: Monotonic, source: Source) -> bool {
        self.known.get(&source).is_some_and(|record| record.phones.is_some_and(|until| until > now))
    }

    /// A wrong password for that name: whoever guesses from one source is locked out for that name alone.
    pub(crate) fn wrong(&mut self, now: Monotonic, source: Source, name: &[u8], limits: &Limits) {
        if let Some(record) = self.record(now, source, limits) {
            record.names.retain(|_, (_, until)| *until > now);
            if record.names.len() < NAMES || record.names.contains_key(name) {
                let (count, until) = record.names.entry(name.to_vec()).or_insert((0, now));
                *count += 1;
                *until = now.plus(PERIOD);
            }
        }
    }

    /// Whether no password is tried for that name from there at the moment.
    pub(crate) fn is_locked_out(&self, now: Monotonic, source: Source, name: &[u8], limits: &Limits) -> bool {
        let of_name = self.known.get(&source).and_then(|record| record.names.get(name));
        let locked = of_name.is_some_and(|(count, until)| *count >= limits.failures && *until > now);
        locked && !mutant::mutant("sip-guesses-unlimited")
    }

    /// What the audit log is to know.
    pub(crate) fn reports(&mut self) -> Vec<Report> {
        self.reports.drain(..).collect()
    }

    /// The sources that are slowed now.
    pub(crate) fn slowed(&self, now: Monotonic) -> Vec<Source> {
        let slowed = |record: &Record| record.slowed.is_some_and(|until| until > now);
        let mut all: Vec<_> = self.known.iter().filter(|(_, r)| slowed(r)).map(|(s, _)| *s).collect();
        all.sort_unstable();
        all
    }

    /// The record of a source; `None` where the table is full of others that count.
    fn record(&mut self, now: Monotonic, source: Source, limits: &Limits) -> Option<&mut Record> {
        if self.known.len() >= SOURCES && !self.known.contains_key(&source) {
            // A flood from many addresses must not buy a walk through the table with each packet.
            if self.swept.is_none_or(|swept| now.since(swept) >= Duration::from_secs(1)) {
                self.swept = Some(now);
                self.known.retain(|_, record| record.counts_still(now));
            }
            if self.known.len() >= SOURCES && !mutant::mutant("sip-sources-unbounded") {
                return None;
            }
        }
        let allowance = Allowance::stranger(limits);
        Some(self.known.entry(source).or_insert_with(|| Record::new(now, allowance)))
    }

    fn again(&mut self, now: Monotonic, source: Source) {
        let Some(record) = self.known.get_mut(&source) else { return };
        if record.told.is_some_and(|told| now.since(told) >= AGAIN) {
            record.told = Some(now);
            self.report(now, source);
        }
    }

    fn report(&mut self, now: Monotonic, source: Source) {
        let minute = now.0 / 60_000_000_000;
        let (of, count) = self.reported;
        let count = if of == minute { count } else { 0 };
        if count >= REPORTS {
            self.reported = (of, count);
            self.untold += 1;
            return;
        }
        self.reported = (minute, count + 1);
        let others = std::mem::take(&mut self.untold);
        let Some(record) = self.known.get_mut(&source) else { return };
        let [passwords, users, unanswered, malformed, dropped] = record.counts;
        let seconds = now.since(record.since).as_secs();
        record.counts = [0; 5];
        record.since = now;
        self.reports.push_back(Report {
            source: source.to_string(),
            seconds,
            passwords,
            users,
            unanswered,
            malformed,
            dropped,
            others,
        });
    }
}

impl Record {
    fn new(now: Monotonic, allowance: Allowance) -> Self {
        Self {
            bucket: Bucket::full(now, allowance),
            since: now,
            last: now,
            counts: [0; 5],
            points: 0,
            slowed: None,
            told: None,
            phones: None,
            names: HashMap::new(),
        }
    }

    fn begin(&mut self, now: Monotonic) {
        (self.since, self.counts, self.points, self.slowed, self.told) = (now, [0; 5], 0, None, None);
    }

    /// Whether forgetting it would let somebody off.
    fn counts_still(&self, now: Monotonic) -> bool {
        let later = |until: Option<Monotonic>| until.is_some_and(|until| until > now);
        later(self.slowed) || later(self.phones) || now.since(self.last) < Duration::from_secs(5)
    }
}

impl Allowance {
    fn stranger(limits: &Limits) -> Self {
        let per_second = u64::from(limits.messages) * 1_000;
        Self { burst: per_second * BURST, per_second }
    }

    fn times(self, factor: u64) -> Self {
        Self { burst: self.burst * factor, per_second: self.per_second * factor }
    }
}

impl Bucket {
    fn full(now: Monotonic, allowance: Allowance) -> Self {
        Self { left: allowance.burst, at: now }
    }

    fn take(&mut self, now: Monotonic, allowance: Allowance) -> bool {
        let micros = u64::try_from(now.since(self.at).as_micros()).unwrap_or(u64::MAX);
        let gained = micros.saturating_mul(allowance.per_second) / 1_000_000;
        self.left = self.left.saturating_add(gained).min(allowance.burst);
        self.at = now;
        let within = self.left >= 1_000;
        self.left -= if within { 1_000 } else { 0 };
        within
    }
}

#[cfg(test)]
mod tests;
