//! Flows in their versions: a live call stays in the one that it began with.
//!
//! A version is named by what the flow says (SM3 of it), so that the same flow has the same version in every
//! life of route and under every number of the settings. What the settings do not hold any more is kept while
//! a call goes through it; the shell keeps it over a kill.

use serde::{Deserialize, Serialize};
use settings::route::Flow;
use std::{collections::BTreeMap, fmt, sync::Arc};
use types::Name;

/// Versions that are kept at most. Beyond it a call goes on in the present version of its flow.
const MOST: usize = 256;

/// Which version of a flow: the first 64 bits of SM3 over its JSON, written as 16 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct FlowVersion(u64);

impl FlowVersion {
    /// The version of a flow.
    pub fn of(flow: &Flow) -> Self {
        // A flow holds text, numbers and lists alone, which JSON can always carry.
        let text = serde_json::to_vec(flow).unwrap_or_default();
        let digest = gm::sm3::digest(&text).0;
        let mut first = [0; 8];
        first.copy_from_slice(&digest[..8]);
        Self(u64::from_be_bytes(first))
    }
}

impl fmt::Display for FlowVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl From<FlowVersion> for String {
    fn from(version: FlowVersion) -> Self {
        version.to_string()
    }
}

impl TryFrom<String> for FlowVersion {
    type Error = std::num::ParseIntError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        u64::from_str_radix(&text, 16).map(Self)
    }
}

/// Where a call is in its flow.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    pub flow: Name,
    pub version: FlowVersion,
    /// The step's place in the list.
    pub step: usize,
    /// The step's name, by which it is found in another version where this one is gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<Name>,
}

/// The flows of the settings, and the earlier versions that live calls are in.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(from = "Vec<Flow>", into = "Vec<Flow>")]
pub struct Flows {
    versions: BTreeMap<FlowVersion, Arc<Flow>>,
    present: BTreeMap<Name, FlowVersion>,
}

impl Flows {
    /// The present version of a flow.
    pub fn present(&self, flow: &Name) -> Option<(FlowVersion, Arc<Flow>)> {
        let version = *self.present.get(flow)?;
        Some((version, self.version(version)?))
    }

    /// A version, present or not.
    pub fn version(&self, version: FlowVersion) -> Option<Arc<Flow>> {
        self.versions.get(&version).cloned()
    }

    /// Whether the settings hold this version.
    pub fn is_present(&self, position: &Position) -> bool {
        self.present.get(&position.flow) == Some(&position.version)
    }

    /// Takes the flows of the settings; what they replace stays.
    pub(crate) fn follow(&mut self, flows: &[Flow]) {
        self.present.clear();
        for flow in flows {
            let version = FlowVersion::of(flow);
            self.present.insert(flow.name.clone(), version);
            self.versions.entry(version).or_insert_with(|| Arc::new(flow.clone()));
        }
    }

    /// Forgets what the settings do not hold and nobody is in.
    pub(crate) fn forget(&mut self, in_use: impl Fn(FlowVersion) -> bool) {
        let present: Vec<FlowVersion> = self.present.values().copied().collect();
        let mut room = MOST.saturating_sub(present.len());
        self.versions.retain(|version, _| {
            let kept = present.contains(version) || (room > 0 && in_use(*version));
            room -= usize::from(kept && !present.contains(version));
            kept
        });
    }
}

impl PartialEq for Flows {
    /// By the versions that there are: what one holds is in its name.
    fn eq(&self, other: &Self) -> bool {
        self.versions.keys().eq(other.versions.keys())
    }
}

impl From<Vec<Flow>> for Flows {
    /// Versions of an earlier life; which are present the settings say.
    fn from(flows: Vec<Flow>) -> Self {
        let versions = flows.into_iter().map(|flow| (FlowVersion::of(&flow), Arc::new(flow))).collect();
        Self { versions, present: BTreeMap::new() }
    }
}

impl From<Flows> for Vec<Flow> {
    fn from(flows: Flows) -> Self {
        flows.versions.into_values().map(Arc::unwrap_or_clone).collect()
    }
}
