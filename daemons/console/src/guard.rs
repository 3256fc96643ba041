//! What holds for every request and every response, whatever it is about.
//!
//! ```text
//!   request ──> bound on time ──> origin and token (unsafe methods) ──> api
//!   response <── strict headers <── problem in the browser's language <──┘
//! ```

use crate::{
    api::Desk,
    problem::{Problem, language},
};
use axum::{
    body::{Body, HttpBody},
    extract::{Request, State},
    http::{
        HeaderMap, HeaderName, HeaderValue, Method,
        header::{
            ALLOW, CACHE_CONTROL, CONTENT_RANGE, CONTENT_SECURITY_POLICY, HOST, ORIGIN, REFERRER_POLICY,
            SET_COOKIE, STRICT_TRANSPORT_SECURITY, X_CONTENT_TYPE_OPTIONS,
        },
    },
    middleware::Next,
    response::Response,
};
use mutant::mutant;
use std::{future::poll_fn, pin::Pin, time::Duration};

/// Carries the session's token with an unsafe request.
pub const TOKEN: &str = "x-csrf-token";
/// The longest that a request may take, its body included. A log-in waits for a password hash in a queue.
const PATIENCE: Duration = Duration::from_secs(30);
/// The longest body, in bytes.
pub const LONGEST_BODY: usize = 16 * 1024;

/// The most of a refused body that is read, in bytes.
const LONGEST_DISCARDED: usize = 1 << 20;

/// Nothing from elsewhere, nothing inline, no frame around us.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
                      img-src 'self'; font-src 'self'; media-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'";

const STRICT: [(HeaderName, &str); 6] = [
    (CONTENT_SECURITY_POLICY, POLICY),
    (STRICT_TRANSPORT_SECURITY, "max-age=31536000"),
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (REFERRER_POLICY, "no-referrer"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
];

/// Bounds the time, words the problem, and sets the strict headers.
pub async fn every(request: Request, next: Next) -> Response {
    let lang = language(request.headers());
    let mut response = match tokio::time::timeout(PATIENCE, next.run(request)).await {
        Ok(response) => response,
        Err(_elapsed) => Problem::TimedOut.in_language_of(lang),
    };
    if let Some(problem) = response.extensions_mut().remove::<Problem>() {
        let kept =
            [SET_COOKIE, ALLOW, CONTENT_RANGE].map(|name| (response.headers_mut().remove(&name), name));
        response = problem.in_language_of(lang);
        for (value, name) in kept {
            value.map(|value| response.headers_mut().insert(name, value));
        }
    }
    let headers = response.headers_mut();
    for (name, value) in STRICT {
        headers.insert(name, HeaderValue::from_static(value));
    }
    // What may be stored says so by itself: the files of the page.
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

/// Lets an unsafe request pass that comes from our own page and, where somebody is logged in, carries the
/// session's token.
pub async fn own_page(State(desk): State<Desk>, request: Request, next: Next) -> Result<Response, Problem> {
    if let Err(foreign) = of_own_page(&desk, &request) {
        drain(request).await;
        return Err(foreign);
    }
    Ok(next.run(request).await)
}

/// Reads a request that is refused to its end, and keeps nothing of it: what is left unread would cut the connection off
/// under the next request.
pub async fn drain(request: Request) {
    discard(request.into_body()).await;
}

/// Reads a body to its end, within a bound, and keeps nothing of it.
pub async fn discard(mut body: Body) {
    let mut left = LONGEST_DISCARDED;
    // Too long, or gone: then the connection may as well be.
    while let Some(Ok(frame)) = poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await {
        match left.checked_sub(frame.data_ref().map_or(0, |bytes| bytes.len())) {
            Some(less) => left = less,
            None => return,
        }
    }
}

fn of_own_page(desk: &Desk, request: &Request) -> Result<(), Problem> {
    let safe = matches!(*request.method(), Method::GET | Method::HEAD);
    if safe || mutant("console-no-csrf") {
        return Ok(());
    }
    let headers = request.headers();
    if !is_own(headers) {
        return Err(Problem::ForeignOrigin);
    }
    let token = headers.get(TOKEN).and_then(|token| token.to_str().ok()).unwrap_or_default();
    // A log-in replaces whatever session there is: it is no act of that session.
    let enters = request.method() == Method::POST && request.uri().path().ends_with("/session");
    if !enters && desk.sessions().of(headers).is_some_and(|session| !session.has_csrf(token)) {
        return Err(Problem::NoToken);
    }
    Ok(())
}

/// Whether `Origin` is `https://` and the very host that was asked (RFC 6454 §7.3).
pub fn is_own(headers: &HeaderMap) -> bool {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    match (text(ORIGIN).and_then(|origin| origin.strip_prefix("https://")), text(HOST)) {
        (Some(origin), Some(host)) => origin.eq_ignore_ascii_case(host),
        _ => false,
    }
}
