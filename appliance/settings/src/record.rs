//! `[record]`: when calls are recorded, for how long recordings stay, what happens when the disk fills.

use crate::value::{Period, Size};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Recording.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Record {
    /// Which calls are recorded.
    pub when: When,
    /// How long a recording is kept at least, 180 days or more.
    pub retention: Period,
    /// What becomes of calls when nothing more can be written.
    pub on_disk_full: OnDiskFull,
    /// Below this much free space the disk counts as full.
    pub minimum_free: Size,
}

impl Default for Record {
    fn default() -> Self {
        Self {
            when: When::Announced,
            retention: Period::days(180),
            on_disk_full: OnDiskFull::Continue,
            minimum_free: Size::gibibytes(2),
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
