//! What the browser is told where there is no answer: a status, a stable code, one sentence.
//!
//! The sentence is made at the very end, in the language that the browser asks for: whoever refuses does not
//! know it.

use axum::{
    Json,
    http::{HeaderMap, StatusCode, header::ACCEPT_LANGUAGE},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use service::{Refusal, RefusalKind};
use words::Lang;

/// Why there is no answer.
#[derive(Clone, Debug)]
pub enum Problem {
    /// Nobody is logged in, or no more.
    NoSession,
    /// An unsafe request that does not come from our own page.
    ForeignOrigin,
    /// An unsafe request without the token of its session.
    NoToken,
    /// Not the JSON or the query that is asked for.
    Malformed,
    /// More than a request may bring.
    TooLarge,
    /// There is nothing of this name.
    NoSuchPath,
    /// It is there, but not for this method.
    NoSuchMethod,
    /// It took too long.
    TimedOut,
    /// The right password, which opens nothing but its own change.
    MustChange,
    /// A daemon's word.
    Told(Refusal),
}

/// Problems as JSON.
#[derive(Serialize)]
struct Told<'a> {
    code: &'a str,
    message: String,
}

impl Problem {
    /// A stable code, the key of its words.
    pub fn code(&self) -> &str {
        match self {
            Self::NoSession => "console.no-session",
            Self::ForeignOrigin => "console.foreign-origin",
            Self::NoToken => "console.no-token",
            Self::Malformed => "console.malformed",
            Self::TooLarge => "console.too-large",
            Self::NoSuchPath => "console.no-such-path",
            Self::NoSuchMethod => "console.no-such-method",
            Self::TimedOut => "console.timed-out",
            Self::MustChange => "auth.must-change",
            Self::Told(refusal) => &refusal.code,
        }
    }

    fn status(&self) -> StatusCode {
        match self {
            Self::NoSession => StatusCode::UNAUTHORIZED,
            Self::ForeignOrigin | Self::NoToken | Self::MustChange => StatusCode::FORBIDDEN,
            Self::Malformed => StatusCode::BAD_REQUEST,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::NoSuchPath => StatusCode::NOT_FOUND,
            Self::NoSuchMethod => StatusCode::METHOD_NOT_ALLOWED,
            Self::TimedOut => StatusCode::SERVICE_UNAVAILABLE,
            Self::Told(refusal) => match refusal.kind {
                RefusalKind::NotPermitted => StatusCode::FORBIDDEN,
                RefusalKind::NotFound => StatusCode::NOT_FOUND,
                RefusalKind::Conflict => StatusCode::CONFLICT,
                RefusalKind::Busy => StatusCode::TOO_MANY_REQUESTS,
                RefusalKind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
                RefusalKind::Invalid => StatusCode::BAD_REQUEST,
            },
        }
    }

    fn message(&self, lang: Lang) -> String {
        let english = match self {
            Self::NoSession => "nobody is logged in here: log in",
            Self::ForeignOrigin => "the request does not come from this console's own page",
            Self::NoToken => "the request lacks the token of its session: load the page again",
            Self::Malformed => "the request is not of the agreed form",
            Self::TooLarge => "the request is too large",
            Self::NoSuchPath => "there is nothing of this name",
            Self::NoSuchMethod => "this cannot be done with it",
            Self::TimedOut => "it took too long: try again in a moment",
            Self::MustChange => "this password opens nothing but its own change",
            Self::Told(refusal) => &refusal.message,
        };
        // A code without words is answered as it is: then the sentence at hand says more.
        let words = words::text(lang, self.code(), &[]);
        if words == self.code() { english.to_owned() } else { words }
    }

    /// The response in the language of the request.
    pub fn in_language_of(&self, asked: Lang) -> Response {
        let told = Told { code: self.code(), message: self.message(asked) };
        (self.status(), Json(told)).into_response()
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = self.status().into_response();
        response.extensions_mut().insert(self);
        response
    }
}

impl From<service::Error> for Problem {
    fn from(error: service::Error) -> Self {
        if !matches!(error, service::Error::Refused(_)) {
            tracing::warn!(%error, "a daemon below did not answer");
        }
        Self::Told(error.into_refusal())
    }
}

impl From<crate::error::Error> for Problem {
    fn from(error: crate::error::Error) -> Self {
        tracing::error!(%error, "cannot serve a request");
        Self::Told(Refusal::unavailable("house.unavailable", error.to_string()))
    }
}

/// The first language that the browser names.
pub fn language(headers: &HeaderMap) -> Lang {
    let asked = headers.get(ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok());
    asked.map_or_else(Lang::default, Lang::of_locale)
}
