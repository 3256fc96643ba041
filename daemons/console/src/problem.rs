//! What the browser is told where there is no answer: a problem (RFC 9457) with a stable code and one sentence.
//!
//! The sentence is made at the very end, in the language that the browser asks for: whoever refuses does not
//! know it.

use axum::{
    http::{
        HeaderMap, HeaderValue, StatusCode,
        header::{ACCEPT_LANGUAGE, CONTENT_TYPE},
    },
    response::{IntoResponse, Response},
};
use schemars::JsonSchema;
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
    /// The person's roles do not permit it.
    NotPermitted,
    /// No reason was given yet, or its time is over.
    NoGrant,
    /// Too many recordings are being opened.
    Opening,
    /// The recording is too long to be played here.
    TooLong,
    /// The sound has no such bytes.
    NoSuchRange,
    /// Not the handshake of a WebSocket.
    NoSocket,
    /// Too many live sockets.
    NoPlace,
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

/// The media type of problems (RFC 9457 §3).
pub const KIND: &str = "application/problem+json";

/// Why there is no answer (RFC 9457).
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Problem")]
pub struct Told {
    /// The kind of problem, as a URN that ends with the code.
    r#type: String,
    /// What kind of thing it is, in the language of the browser.
    title: String,
    /// The status code.
    status: u16,
    /// What is wrong and what to do, in the language of the browser.
    detail: String,
    /// A stable code for programs.
    code: String,
}

impl Problem {
    /// A stable code, the key of its words.
    pub fn code(&self) -> &str {
        match self {
            Self::NoSession => "console.no-session",
            Self::ForeignOrigin => "console.foreign-origin",
            Self::NoToken => "console.no-token",
            Self::NotPermitted => "console.not-permitted",
            Self::NoGrant => "console.no-grant",
            Self::Opening => "console.opening",
            Self::TooLong => "console.too-long",
            Self::NoSuchRange => "console.no-such-range",
            Self::NoSocket => "console.no-socket",
            Self::NoPlace => "console.no-place",
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
            Self::ForeignOrigin | Self::NoToken | Self::MustChange | Self::NotPermitted | Self::NoGrant => {
                StatusCode::FORBIDDEN
            }
            Self::Opening | Self::NoPlace => StatusCode::TOO_MANY_REQUESTS,
            Self::TooLong => StatusCode::CONFLICT,
            Self::NoSuchRange => StatusCode::RANGE_NOT_SATISFIABLE,
            Self::Malformed | Self::NoSocket => StatusCode::BAD_REQUEST,
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
        let words = words::text(lang, self.code(), &[]);
        match self {
            // A code without words is answered as it is: then the sentence at hand says more.
            Self::Told(refusal) if words == self.code() => refusal.message.clone(),
            _ => words,
        }
    }

    fn title(&self, lang: Lang) -> String {
        let code = match self.status() {
            StatusCode::UNAUTHORIZED => "problem.unauthorized",
            StatusCode::FORBIDDEN => "problem.forbidden",
            StatusCode::NOT_FOUND => "problem.not-found",
            StatusCode::METHOD_NOT_ALLOWED => "problem.method",
            StatusCode::CONFLICT => "problem.conflict",
            StatusCode::TOO_MANY_REQUESTS => "problem.busy",
            status if status.is_server_error() => "problem.unavailable",
            _ => "problem.invalid",
        };
        words::text(lang, code, &[])
    }

    /// The response in the language of the request.
    pub fn in_language_of(&self, asked: Lang) -> Response {
        let status = self.status();
        let told = Told {
            r#type: format!("urn:yanmen:problem:{}", self.code()),
            title: self.title(asked),
            status: status.as_u16(),
            detail: self.message(asked),
            code: self.code().to_owned(),
        };
        let kind = HeaderValue::from_static(KIND);
        (status, [(CONTENT_TYPE, kind)], serde_json::to_string(&told).unwrap_or_default()).into_response()
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
