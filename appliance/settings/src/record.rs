//! `[record]`: when calls are recorded, for how long recordings stay, what happens when the disk fills.

use crate::value::{Period, Size};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use types::{Name, QueueId};

/// Recording.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Record {
    /// Which calls are recorded.
    pub when: When,
    /// Whether somebody outside the house is recorded who is called from here: in the middle of a call, consulted or
    /// handed the caller, or by a phone of the house.
    pub outside: Outside,
    /// The prompt that such a party hears, where `outside` says so.
    pub announcement: Option<Name>,
    /// How long a recording is kept at least, 180 days or more.
    pub retention: Period,
    /// Queues whose calls are kept for another time, 180 days or more. Of several rules the longest counts.
    pub queues: Vec<QueueRetention>,
    /// What becomes of calls when nothing more can be written.
    pub on_disk_full: OnDiskFull,
    /// Below this much free space the disk counts as full.
    pub minimum_free: Size,
    /// An alarm is raised when, by the trend, the disk will be full within this time.
    pub warn_before: Period,
}

/// For how long the recordings of a queue's calls are kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct QueueRetention {
    /// The queue, one of `[[route.queues]]`.
    pub name: QueueId,
    /// How long at least.
    pub retention: Period,
}

impl Record {
    /// How long a recording is kept whose call went through these queues: the longest rule that applies. Where no
    /// queue is known, any rule may apply.
    pub fn retention(&self, queues: &[QueueId]) -> Period {
        let applies = |rule: &&QueueRetention| queues.is_empty() || queues.contains(&rule.name);
        self.queues.iter().filter(applies).map(|rule| rule.retention).fold(self.retention, Period::max)
    }
}

impl Default for Record {
    fn default() -> Self {
        Self {
            when: When::Announced,
            outside: Outside::LeftOut,
            announcement: None,
            retention: Period::days(180),
            on_disk_full: OnDiskFull::Continue,
            minimum_free: Size::gibibytes(2),
            queues: Vec::new(),
            warn_before: Period::days(14),
        }
    }
}

/// Which calls are recorded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum When {
    /// Every call, from the moment at which the caller has heard the announcement.
    #[default]
    Announced,
    /// None.
    Never,
}

/// Whether a party outside the house is recorded that the house has called.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Outside {
    /// Nothing of what it says is kept; those who know are recorded on.
    #[default]
    LeftOut,
    /// It is recorded: the house answers for its consent, by a contract with that party.
    Recorded,
    /// It hears `announcement` when it begins to talk, and is recorded from its end on; until then what it says is left
    /// out.
    Announced,
}

/// What becomes of calls when nothing more can be written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OnDiskFull {
    /// They go on without recording; the call record says why the recording is missing.
    #[default]
    Continue,
    /// They are ended, and no new ones are taken.
    EndCalls,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_rule_that_applies_counts() {
        let name = |name: &str| QueueId(name.parse().unwrap());
        let rule = |queue, days| QueueRetention { name: name(queue), retention: Period::days(days) };
        let record = Record { queues: vec![rule("loans", 1_825), rule("cards", 365)], ..Record::default() };
        let days = |queues: &[QueueId]| record.retention(queues).duration().as_secs() / 86_400;
        assert_eq!(days(&[name("service")]), 180);
        assert_eq!(days(&[name("service"), name("cards")]), 365);
        assert_eq!(days(&[name("cards"), name("loans")]), 1_825);
        assert_eq!(days(&[]), 1_825, "nobody told the queue: it may be the one that is kept longest");
    }
}
