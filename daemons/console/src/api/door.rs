//! One door of the API: a method and a path, who may come through, what it takes and gives, and what answers.
//!
//! Router and OpenAPI document are made from the same doors, so that neither knows one that the other does not.
//!
//! ```text
//!   doors ──┬─> router: guard ──> who may (401, 403) ──> bounds (400) ──> handler ──> a daemon, which decides again
//!           └─> openapi.json
//! ```

use super::{Desk, person::Person};
use crate::{guard, problem::Problem};
use auth_api::Role;
use axum::{
    Router,
    body::to_bytes,
    extract::{DefaultBodyLimit, Request},
    handler::Handler,
    http::request::Parts,
    middleware::{self, Next},
    response::Response,
    routing::{self, MethodRouter},
};
use mutant::mutant;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use utoipa::openapi::HttpMethod;

/// Gives a type's schema.
pub type SchemaOf = fn(&mut SchemaGenerator) -> Schema;

/// Who may come through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    /// Anybody, logged in or not.
    Anyone,
    /// Whoever is logged in.
    Person,
    /// Whoever holds one of these roles.
    Holds(&'static [Role]),
}

/// What comes back where all is well.
#[derive(Clone, Copy)]
pub enum Gives {
    /// A JSON document.
    Json(SchemaOf),
    /// Nothing (204).
    Nothing,
    /// Sound, whole or a range of it (RFC 9110 §14).
    Sound,
    /// Another protocol on this connection (RFC 6455).
    Socket(SchemaOf),
}

/// One door.
pub struct Door {
    /// The method.
    pub verb: HttpMethod,
    /// The path under `/api/v1`, with `{…}` for what varies.
    pub path: &'static str,
    /// Its name in the document.
    pub id: &'static str,
    /// What it does.
    pub summary: &'static str,
    /// Who may.
    pub who: Who,
    /// What varies in the path.
    pub at: Option<SchemaOf>,
    /// What the query may hold.
    pub asks: Option<SchemaOf>,
    /// The body.
    pub takes: Option<SchemaOf>,
    /// The answer.
    pub gives: Gives,
    /// The longest body, in bytes.
    most: usize,
    handler: MethodRouter<Desk>,
}

/// A door for looking.
pub fn get<H, T>(path: &'static str, id: &'static str, who: Who, summary: &'static str, handler: H) -> Door
where
    H: Handler<T, Desk>,
    T: 'static,
{
    Door::new(HttpMethod::Get, path, id, who, summary, routing::get(handler))
}

/// A door for doing.
pub fn post<H, T>(path: &'static str, id: &'static str, who: Who, summary: &'static str, handler: H) -> Door
where
    H: Handler<T, Desk>,
    T: 'static,
{
    Door::new(HttpMethod::Post, path, id, who, summary, routing::post(handler))
}

/// A door for ending something.
pub fn delete<H, T>(path: &'static str, id: &'static str, who: Who, summary: &'static str, handler: H) -> Door
where
    H: Handler<T, Desk>,
    T: 'static,
{
    Door::new(HttpMethod::Delete, path, id, who, summary, routing::delete(handler))
}

impl Door {
    fn new(
        verb: HttpMethod,
        path: &'static str,
        id: &'static str,
        who: Who,
        summary: &'static str,
        handler: MethodRouter<Desk>,
    ) -> Self {
        let (at, asks, takes, gives, most) = (None, None, None, Gives::Nothing, guard::LONGEST_BODY);
        Self { verb, path, id, summary, who, at, asks, takes, gives, most, handler }
    }

    /// What varies in the path.
    pub fn at<T: JsonSchema>(self) -> Self {
        Self { at: Some(T::json_schema), ..self }
    }

    /// What the query may hold.
    pub fn asks<T: JsonSchema>(self) -> Self {
        Self { asks: Some(T::json_schema), ..self }
    }

    /// The body.
    pub fn takes<T: JsonSchema>(self) -> Self {
        Self { takes: Some(SchemaGenerator::subschema_for::<T>), ..self }
    }

    /// The answer, in JSON.
    pub fn gives<T: JsonSchema>(self) -> Self {
        Self { gives: Gives::Json(SchemaGenerator::subschema_for::<T>), ..self }
    }

    /// The answer is sound.
    pub fn gives_sound(self) -> Self {
        Self { gives: Gives::Sound, ..self }
    }

    /// The answer is a WebSocket with these messages.
    pub fn gives_socket<T: JsonSchema>(self) -> Self {
        Self { gives: Gives::Socket(SchemaGenerator::subschema_for::<T>), ..self }
    }

    /// Takes a body of so many bytes.
    pub fn of_size(self, most: usize) -> Self {
        Self { most, ..self }
    }

    /// Adds it to a router, with the look at who comes before everything else.
    pub fn open(self, router: Router<Desk>, desk: &Desk) -> Router<Desk> {
        let (desk, who, most) = (desk.clone(), self.who, self.most);
        let gate = middleware::from_fn(move |request: Request, next: Next| {
            let desk = desk.clone();
            async move { pass(&desk, who, most, request, next).await }
        });
        // The gate has bounded the body already.
        router.route(self.path, self.handler.layer(DefaultBodyLimit::disable()).layer(gate))
    }
}

impl Who {
    /// Whether somebody with these roles may.
    pub fn admits(self, roles: &auth_api::Roles) -> bool {
        match self {
            Self::Anyone | Self::Person => true,
            Self::Holds(some) => some.iter().any(|role| roles.contains(*role)),
        }
    }
}

/// Lets those through who may. The daemon below decides again, by the person's own assertion.
///
/// The body is read to its end in any case: what is left unread would cut the connection off under the next request.
async fn pass(desk: &Desk, who: Who, most: usize, request: Request, next: Next) -> Result<Response, Problem> {
    let (mut parts, body) = request.into_parts();
    if let Err(refused) = admit(desk, who, &mut parts).await {
        guard::discard(body).await;
        return Err(refused);
    }
    let body = to_bytes(body, most).await.map_err(|_too_long_or_gone| Problem::TooLarge)?;
    Ok(next.run(Request::from_parts(parts, body.into())).await)
}

async fn admit(desk: &Desk, who: Who, parts: &mut Parts) -> Result<(), Problem> {
    if who == Who::Anyone {
        return Ok(());
    }
    let person = Person::of(parts, desk).await?;
    if !who.admits(&person.standing.claims.roles) && !mutant("console-any-role") {
        return Err(Problem::NotPermitted);
    }
    parts.extensions.insert(person);
    Ok(())
}
