//! What a browser is told, and who is told what.

use super::alarms::Alarm;
use auth_api::{Claims, Role};
use route_api::{Changed, LiveCall};
use schemars::JsonSchema;
use serde::Serialize;

/// One message of the live stream.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum LiveMessage {
    /// The live state, or what changed of it.
    State(Changed),
    /// What is wrong with the house, all of it.
    Alarms {
        /// The gravest first.
        alarms: Vec<Alarm>,
    },
    /// The live state cannot be told at the moment; what was told is old.
    Away,
}

/// Whether a person sees this call: an agent sees their own.
pub fn sees(claims: &Claims, call: &LiveCall) -> bool {
    sees_all(claims) || call.agent.as_ref().is_some_and(|agent| agent.0 == claims.person.0)
}

/// Whether a person is told of alarms.
pub(super) fn hears_alarms(claims: &Claims) -> bool {
    sees_all(claims)
}

fn sees_all(claims: &Claims) -> bool {
    claims.roles.contains(Role::Supervisor) || claims.roles.officer().is_some()
}

/// The part of a change that a person sees. A call that is none of theirs any more is over for them.
pub(super) fn seen(claims: &Claims, changed: &Changed) -> Changed {
    let mut changed = changed.clone();
    let (calls, others) = changed.calls.into_iter().partition(|call| sees(claims, call));
    changed.calls = calls;
    changed.ended.extend(others.into_iter().map(|call: LiveCall| call.call));
    changed
}

/// Whether a person sees everything, so that what is told to all of them is written once.
pub(super) fn whole(claims: &Claims) -> bool {
    sees_all(claims)
}

#[cfg(test)]
mod tests {
    use super::*;
    use auth_api::{Roles, SessionId};
    use route_api::Stage;
    use types::{AgentId, CallId, PersonId, Uid, Utc};

    fn claims(person: &str, role: Role) -> Claims {
        Claims {
            person: PersonId(person.parse().unwrap()),
            roles: Roles::only(role),
            session: SessionId(Uid([1; 16])),
            issued: Utc(1),
            expires: Utc(2),
        }
    }

    fn call(number: u8, agent: Option<&str>) -> LiveCall {
        LiveCall {
            call: CallId(Uid([number; 16])),
            offered: Utc(1),
            from: "138******00".to_owned(),
            dialled: "95555".to_owned(),
            stage: Stage::Talking,
            step: None,
            queue: None,
            agent: agent.map(|agent| AgentId(agent.parse().unwrap())),
            recording: None,
            legs: Vec::new(),
        }
    }

    #[test]
    fn an_agent_sees_their_own_calls_and_a_supervisor_all() {
        let changed = Changed {
            calls: vec![call(1, Some("li")), call(2, Some("wang")), call(3, None)],
            ..Changed::default()
        };
        let own = seen(&claims("li", Role::Agent), &changed);
        assert_eq!(own.calls, [call(1, Some("li"))]);
        assert_eq!(own.ended, [call(2, None).call, call(3, None).call], "handed on: over for them");
        assert_eq!(seen(&claims("zhao", Role::Supervisor), &changed), changed);
        assert!(hears_alarms(&claims("aud", Role::AuditAdministrator)));
        assert!(!hears_alarms(&claims("li", Role::Agent)));
    }
}
