//! One browser's WebSocket (RFC 6455).
//!
//! ```text
//!   handshake: our own page, a session, a place ──> the whole ──> news …
//!   closes with   4401 the session is over    4408 the browser does not read or does not answer a ping
//! ```

use super::feed::{Looking, News};
use crate::{api::Desk, api::person::Person, guard, problem::Problem, sessions::Session};
use auth_api::{Claims, Presence};
use axum::{
    extract::{
        State, WebSocketUpgrade,
        ws::{CloseFrame, Message, Utf8Bytes, WebSocket},
    },
    http::HeaderMap,
    response::Response,
};
use mutant::mutant;
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::{
    sync::{broadcast::error::RecvError, watch},
    time::{Instant, interval, timeout},
};

/// Sockets at a time, of all and of one session.
const MOST: usize = 512;
const MOST_OF_ONE: usize = 4;
/// How often a browser is asked for a sign, and auth for the session.
const PING: Duration = Duration::from_secs(20);
/// Without a sign for so long it is gone.
const SILENT: Duration = Duration::from_secs(50);
/// For the browser to take one message.
const TAKEN: Duration = Duration::from_secs(5);
/// A browser has nothing to say.
const LONGEST: usize = 1_024;

/// The session is over.
const OVER: u16 = 4401;
/// The browser is behind or silent: it connects again and begins with the whole.
const BEHIND: u16 = 4408;

/// A place for a socket, free again when dropped.
struct Place(Arc<AtomicUsize>, Arc<Session>);

impl Place {
    fn of(desk: &Desk, session: &Arc<Session>) -> Option<Self> {
        let all = desk.sockets();
        if all.fetch_add(1, Ordering::Relaxed) >= MOST {
            all.fetch_sub(1, Ordering::Relaxed);
            return None;
        }
        let place = Self(Arc::clone(all), Arc::clone(session));
        // From here on the drop gives both back.
        (session.sockets().fetch_add(1, Ordering::Relaxed) < MOST_OF_ONE).then_some(place)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
        self.1.sockets().fetch_sub(1, Ordering::Relaxed);
    }
}

/// Opens the socket. A handshake is a safe request that any page may make, so its origin is looked at here.
pub async fn serve(
    State(desk): State<Desk>,
    person: Person,
    headers: HeaderMap,
    upgrade: Result<WebSocketUpgrade, axum::extract::ws::rejection::WebSocketUpgradeRejection>,
) -> Result<Response, Problem> {
    if !guard::is_own(&headers) && !mutant("console-live-any-origin") {
        return Err(Problem::ForeignOrigin);
    }
    let upgrade = upgrade.map_err(|_no_handshake| Problem::NoSocket)?;
    let place = Place::of(&desk, &person.session).ok_or(Problem::NoPlace)?;
    let looking = desk.feed().join(&person.session);
    let Person { session, standing } = person;
    let upgrade = upgrade.max_message_size(LONGEST).max_frame_size(LONGEST);
    Ok(upgrade.on_upgrade(move |socket| async move {
        let code = run(&desk, socket, &session, standing.claims, looking).await;
        tracing::debug!(code, "a live socket is over");
        drop(place);
    }))
}

/// Runs to the end of the socket; with which code it was closed, or 0 where the browser has gone.
async fn run(
    desk: &Desk,
    mut socket: WebSocket,
    session: &Session,
    mut claims: Claims,
    looking: Looking,
) -> u16 {
    let Looking { first, mut news } = looking;
    for message in &first {
        if !told(&mut socket, message, &claims).await {
            return close(socket, BEHIND).await;
        }
    }
    let (mut pings, mut heard) = (interval(PING), Instant::now());
    let mut over = session.over();
    loop {
        tokio::select! {
            () = ended(&mut over) => return close(socket, OVER).await,
            message = news.recv() => match message {
                Ok(message) if told(&mut socket, &message, &claims).await => {}
                Ok(_) | Err(RecvError::Lagged(_)) => return close(socket, BEHIND).await,
                Err(RecvError::Closed) => return close(socket, BEHIND).await,
            },
            sign = socket.recv() => match sign {
                Some(Ok(Message::Close(_)) | Err(_)) | None => return 0,
                Some(Ok(_)) => heard = Instant::now(),
            },
            _ = pings.tick() => {
                if heard.elapsed() > SILENT {
                    return close(socket, BEHIND).await;
                }
                match session.standing(desk.auth(), Presence::Idle).await {
                    Ok(standing) => claims = standing.claims,
                    Err(Problem::NoSession) => {
                        desk.sessions().end(session.id());
                        return close(socket, OVER).await;
                    }
                    // auth is away: its last word holds for its time.
                    Err(_away) => {}
                }
                if !sent(&mut socket, Message::Ping(Default::default())).await {
                    return 0;
                }
            }
        }
    }
}

/// Resolves when the session has ended.
async fn ended(over: &mut watch::Receiver<bool>) {
    // Its other end lives in the session, which is at hand.
    let _closed = over.wait_for(|over| *over).await.map(drop);
}

async fn told(socket: &mut WebSocket, news: &News, claims: &Claims) -> bool {
    match news.text(claims) {
        Some(text) => sent(socket, Message::Text(text)).await,
        None => true,
    }
}

async fn sent(socket: &mut WebSocket, message: Message) -> bool {
    matches!(timeout(TAKEN, socket.send(message)).await, Ok(Ok(())))
}

async fn close(mut socket: WebSocket, code: u16) -> u16 {
    let reason =
        Utf8Bytes::from_static(if code == OVER { "the session is over" } else { "behind: connect again" });
    // Whoever reads nothing does not read this either.
    let _unread =
        timeout(Duration::from_secs(1), socket.send(Message::Close(Some(CloseFrame { code, reason })))).await;
    code
}
