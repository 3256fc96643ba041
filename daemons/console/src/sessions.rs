//! Who is logged in at this console: a cookie in the browser, everything else here in memory.
//!
//! The browser holds a secret that means nothing elsewhere; auth's own token and the assertions never leave
//! this process. A restart forgets them all, and each person logs in again.

use crate::{error::Error, problem::Problem, randomness};
use auth_api::{Assertion, Auth, Claims, Presence, Renew, SessionId, SessionToken};
use axum::http::{
    HeaderMap, HeaderValue,
    header::{COOKIE, InvalidHeaderValue},
};
use mutant::mutant;
use ring::digest::{SHA256, SHA256_OUTPUT_LEN, digest};
use service::{Client, RefusalKind, clock};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError, atomic::AtomicUsize},
    time::Duration,
};
use subtle::ConstantTimeEq;
use tokio::sync::watch;
use types::Monotonic;

/// `__Host-` binds it to this very host, https and the whole path (RFC 6265bis §4.1.3.2).
pub const COOKIE_NAME: &str = "__Host-session";
/// Most persons logged in at a time; the next one puts the longest-silent out.
const MOST: usize = 1_024;
/// An assertion with less left than this is renewed before it is used.
const MARGIN: Duration = Duration::from_secs(60);
/// How often at most auth is told that the person is there.
const SIGN_OF_LIFE: Duration = Duration::from_secs(30);

/// SHA-256 of a cookie: whoever reads the memory of the table still has no cookie.
type Digest = [u8; SHA256_OUTPUT_LEN];

/// The sessions of this console.
#[derive(Default)]
pub struct Sessions(Mutex<HashMap<Digest, Arc<Session>>>);

/// One person's log-in in one browser.
pub struct Session {
    token: SessionToken,
    /// What an unsafe request carries in a header, so that no foreign page can make one.
    csrf: String,
    standing: tokio::sync::Mutex<Standing>,
    asked: Mutex<Monotonic>,
    /// Whether it has ended; whoever waits for that hears it.
    over: watch::Sender<bool>,
    /// Its live sockets at the moment.
    sockets: AtomicUsize,
}

/// What auth last said.
#[derive(Clone)]
pub struct Standing {
    /// For the daemons below.
    pub assertion: Assertion,
    /// What it says.
    pub claims: Claims,
    /// When auth last heard that the person is there.
    seen: Monotonic,
}

impl Sessions {
    /// Opens a session; returns it with the `Set-Cookie` value that carries it.
    ///
    /// # Errors
    /// The kernel gave no randomness.
    pub fn open(
        &self,
        token: SessionToken,
        assertion: Assertion,
        claims: Claims,
    ) -> Result<(Arc<Session>, HeaderValue), Error> {
        let (secret, csrf, now) = (randomness::secret()?, randomness::secret()?, clock::monotonic());
        let standing = tokio::sync::Mutex::new(Standing { assertion, claims, seen: now });
        let (asked, over) = (Mutex::new(now), watch::Sender::new(false));
        let session = Arc::new(Session { token, csrf, standing, asked, over, sockets: AtomicUsize::new(0) });
        let mut open = self.table();
        if open.len() >= MOST {
            let silent = open.iter().min_by_key(|(_, session)| *locked(&session.asked)).map(|(key, _)| *key);
            silent.and_then(|key| open.remove(&key)).iter().for_each(|session| session.finish());
        }
        open.insert(key(&secret), Arc::clone(&session));
        // Hexadecimal digits are a header value; were they not, no cookie is the safe outcome.
        let cookie = cookie(&secret).unwrap_or_else(|_not_a_header| expired());
        Ok((session, cookie))
    }

    /// The session that the request's cookie opens.
    pub fn of(&self, headers: &HeaderMap) -> Option<Arc<Session>> {
        let session = self.table().get(&key(secret(headers)?)).cloned()?;
        *locked(&session.asked) = clock::monotonic();
        Some(session)
    }

    /// Forgets a session: its cookie opens nothing any more.
    pub fn end(&self, id: SessionId) {
        self.table().retain(|_, session| {
            let stays = session.id() != id;
            if !stays {
                session.finish();
            }
            stays
        });
    }

    fn table(&self) -> MutexGuard<'_, HashMap<Digest, Arc<Session>>> {
        locked(&self.0)
    }
}

impl Session {
    /// The token of unsafe requests.
    pub fn csrf(&self) -> &str {
        &self.csrf
    }

    /// Its public name.
    pub fn id(&self) -> SessionId {
        self.token.session()
    }

    /// Turns true when it has ended.
    pub fn over(&self) -> watch::Receiver<bool> {
        self.over.subscribe()
    }

    /// Whether it has ended.
    pub fn is_over(&self) -> bool {
        *self.over.borrow()
    }

    /// How many live sockets it has.
    pub fn sockets(&self) -> &AtomicUsize {
        &self.sockets
    }

    fn finish(&self) {
        self.over.send_replace(true);
    }

    /// auth's token, for the log-out.
    pub fn token(&self) -> SessionToken {
        self.token.clone()
    }

    /// Whether this is the token of unsafe requests; in constant time.
    pub fn has_csrf(&self, token: &str) -> bool {
        self.csrf.as_bytes().ct_eq(token.as_bytes()).into()
    }

    /// Who it is now, renewed where that is due.
    ///
    /// # Errors
    /// [`Problem::NoSession`] where auth says that the session is over.
    pub async fn standing(&self, auth: &Client<Auth>, presence: Presence) -> Result<Standing, Problem> {
        let mut standing = self.standing.lock().await;
        let now = clock::monotonic();
        let left = standing.claims.expires.since(clock::utc());
        let seen = presence == Presence::Idle || now.since(standing.seen) < SIGN_OF_LIFE;
        if left > MARGIN && seen {
            return Ok(standing.clone());
        }
        match auth.call(Renew { token: self.token.clone(), presence }).await {
            Ok(renewed) => {
                let seen = if presence == Presence::Active { now } else { standing.seen };
                *standing = Standing { assertion: renewed.assertion, claims: renewed.claims, seen };
                Ok(standing.clone())
            }
            Err(service::Error::Refused(refusal)) if refusal.kind == RefusalKind::NotPermitted => {
                Err(Problem::NoSession)
            }
            // auth is away: what it said last holds until it expires.
            Err(_) if !left.is_zero() => Ok(standing.clone()),
            Err(error) => Err(error.into()),
        }
    }
}

/// The `Set-Cookie` value that takes the cookie away.
pub fn expired() -> HeaderValue {
    HeaderValue::from_static("__Host-session=; Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age=0")
}

fn cookie(secret: &str) -> Result<HeaderValue, InvalidHeaderValue> {
    let site = if mutant("console-cookie-lax") { "Lax" } else { "Strict" };
    format!("{COOKIE_NAME}={secret}; Path=/; Secure; HttpOnly; SameSite={site}").parse()
}

/// The secret of our cookie, of all that the browser sent.
fn secret(headers: &HeaderMap) -> Option<&str> {
    headers
        .get_all(COOKIE)
        .iter()
        .filter_map(|header| header.to_str().ok())
        .flat_map(|header| header.split(';'))
        .find_map(|pair| pair.trim().strip_prefix(COOKIE_NAME)?.strip_prefix('='))
}

fn key(secret: &str) -> Digest {
    let mut key = [0; SHA256_OUTPUT_LEN];
    key.iter_mut().zip(digest(&SHA256, secret.as_bytes()).as_ref()).for_each(|(to, from)| *to = *from);
    key
}

/// What this guards, for the moment.
pub fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What is guarded stays whole at every step: a panic elsewhere leaves nothing half done.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
