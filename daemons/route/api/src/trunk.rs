//! How a trunk stands, as its signalling edge tells it: for people to see. Route decides by
//! [`crate::Reachability`] alone.

use crate::Reachability;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use types::{TrunkId, Utc};

/// How one trunk stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TrunkEntry {
    /// Which.
    pub trunk: TrunkId,
    /// Whether calls can go out over it; `None` while nothing is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reachable: Option<Reachability>,
    /// Its registration and its targets.
    pub standing: TrunkStanding,
    /// Since when its registration and the health of its targets are as they are.
    pub since: Utc,
}

/// How a trunk stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TrunkStanding {
    /// Its registration at the carrier.
    pub registration: RegistrationStanding,
    /// What is wrong with its registration; `None` while nothing is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<Trouble>,
    /// Its targets, in the order in which they are tried.
    pub targets: Vec<TargetStanding>,
}

/// How a registration stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RegistrationStanding {
    /// The trunk is one by address: there is nothing to register.
    None,
    /// The carrier knows us.
    Registered,
    /// It does not, and we ask.
    Unregistered,
}

/// How one target of a trunk stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TargetStanding {
    /// Address and port.
    pub address: String,
    /// Whether it answers to OPTIONS.
    pub health: TargetHealth,
    /// How long its last answer took, in microseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub round_trip_us: Option<u64>,
    /// The last trouble with it; `None` after it answered again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<Trouble>,
}

/// Whether a target answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TargetHealth {
    /// Nobody has looked yet, or nobody looks.
    Unknown,
    /// It does.
    Up,
    /// It did not, too often.
    Down,
}

/// What went wrong between a trunk and us.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Trouble {
    /// It answered with that status code.
    Status(u16),
    /// It did not answer.
    Silent,
    /// Nobody listens at that port.
    Refused,
    /// No way leads there, or the connection did not open in time.
    Unreachable,
    /// Its certificate is not the expected one, or TLS failed otherwise.
    Untrusted,
    /// It closed the connection, or the connection broke.
    Closed,
    /// What it sent was no SIP.
    Foreign,
    /// It does not take our user name and password.
    Password,
    /// It asks for a proof by an algorithm that we do not know.
    Algorithm,
    /// We have no address on its network from which it can be reached.
    Address,
}
