//! `[audit]`: how often the log is signed, and how long it stays.

use crate::value::Period;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The audit log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Audit {
    /// The tree's head is signed this often while there are new entries.
    pub checkpoint: Period,
    /// How long an entry is kept at least. The floor of 180 days cannot be lowered (Cybersecurity Law of
    /// the PRC, article 21: network logs for no less than six months).
    pub retention: Period,
}

impl Default for Audit {
    fn default() -> Self {
        Self { checkpoint: Period::seconds(60), retention: Period::days(180) }
    }
}
