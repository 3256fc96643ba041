//! The person behind a request.

use super::Desk;
use crate::{
    problem::Problem,
    sessions::{Session, Standing},
};
use auth_api::{Assertion, Presence};
use axum::{
    extract::FromRequestParts,
    http::{Method, request::Parts},
};
use std::sync::Arc;

/// Says whether the person did something since the last request: `active`; without it the page asks by
/// itself, which keeps nobody logged in.
const PRESENCE: &str = "x-presence";

/// A person who is logged in, and what auth says of them now.
#[derive(Clone)]
pub struct Person {
    pub session: Arc<Session>,
    pub standing: Standing,
}

impl Person {
    /// For a daemon below.
    pub fn assertion(self) -> Assertion {
        self.standing.assertion
    }

    /// Whose request it is.
    ///
    /// # Errors
    /// [`Problem::NoSession`]; auth is away and its last word has expired.
    pub async fn of(parts: &Parts, desk: &Desk) -> Result<Self, Problem> {
        let session = desk.sessions().of(&parts.headers).ok_or(Problem::NoSession)?;
        let says_active = parts.headers.get(PRESENCE).is_some_and(|presence| presence == "active");
        let active = says_active || !matches!(parts.method, Method::GET | Method::HEAD);
        let presence = if active { Presence::Active } else { Presence::Idle };
        match session.standing(desk.auth(), presence).await {
            Ok(standing) => Ok(Self { session, standing }),
            Err(problem) => {
                if matches!(problem, Problem::NoSession) {
                    desk.end(session.id());
                }
                Err(problem)
            }
        }
    }
}

impl FromRequestParts<Desk> for Person {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, desk: &Desk) -> Result<Self, Problem> {
        // The door has looked already.
        match parts.extensions.get::<Self>() {
            Some(person) => Ok(person.clone()),
            None => Self::of(parts, desk).await,
        }
    }
}
