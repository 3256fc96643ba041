//! One registration at a carrier (RFC 3261 §10.2): when it is due, what it holds.

use crate::{digest::Challenge, message::Name, settings::Account, transaction::TransactionId};
use route_api::Trouble;
use serde::{Deserialize, Serialize};
use std::time::Duration;
use types::Monotonic;

/// The first wait after a failure; doubled each time (RFC 5626 §4.5 in spirit, sooner at first).
const FIRST_WAIT: Duration = Duration::from_secs(2);
/// The longest wait after failures.
const LONGEST_WAIT: Duration = Duration::from_secs(300);
/// The shortest wait after a refusal that asking again will not change: carriers lock accounts out.
const REFUSED_WAIT: Duration = Duration::from_secs(60);
/// The longest wait that a carrier's Retry-After is given.
const LONGEST_RETRY: Duration = Duration::from_secs(3_600);
/// How soon after its connection broke a registration is made anew.
const RENEW: Duration = Duration::from_secs(3);
/// Longest lifetime asked for, whatever Min-Expires says.
const MOST: Duration = Duration::from_secs(7 * 86_400);

/// A registration.
#[derive(Clone, Serialize, Deserialize)]
pub struct Registration {
    /// What the last trouble was; `None` while all is well.
    pub error: Option<Trouble>,
    /// How to leave through the carrier's own proxies (RFC 3608), as it came.
    pub service_route: Vec<Vec<u8>>,
    user: String,
    domain: String,
    wish: Duration,
    expires: Duration,
    call_id: Vec<u8>,
    number: u32,
    registered: Option<Monotonic>,
    activity: Activity,
    failures: u32,
    /// Which target is asked.
    target: usize,
    /// Answers to challenges within this attempt.
    proofs: u32,
    /// The carrier's latest challenge and how often its nonce was used.
    #[serde(skip)]
    nonce: Option<(Nonce, u32)>,
}

#[derive(Clone, Serialize, Deserialize)]
enum Activity {
    Waiting(Monotonic),
    Asked(TransactionId),
}

/// A challenge, and the field in which its answer stands.
#[derive(Clone)]
pub(crate) struct Nonce {
    pub(crate) challenge: Challenge,
    pub(crate) field: Name,
}

/// What became of a REGISTER.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Then {
    /// Send another at once.
    Again,
    /// Nothing for now.
    Wait,
}

impl Registration {
    pub(super) fn new(account: &Account, expires: Duration) -> Self {
        Self {
            error: None,
            service_route: Vec::new(),
            user: account.user.clone(),
            domain: account.domain.clone(),
            wish: expires,
            expires,
            call_id: Vec::new(),
            number: 0,
            registered: None,
            activity: Activity::Waiting(Monotonic(0)),
            failures: 0,
            target: 0,
            proofs: 0,
            nonce: None,
        }
    }

    pub(super) fn is_of(&self, account: &Account) -> bool {
        self.user == account.user && self.domain == account.domain && Some(self.wish) == account.register
    }

    /// Whether the carrier knows us at the moment.
    pub fn is_registered(&self) -> bool {
        self.registered.is_some()
    }

    /// Until when, unless it is refreshed.
    pub fn until(&self) -> Option<Monotonic> {
        self.registered
    }

    pub(super) fn asks_by(&self, id: TransactionId) -> bool {
        matches!(self.activity, Activity::Asked(asked) if asked == id)
    }

    /// When the next REGISTER is due.
    pub(super) fn next_ask(&self) -> Option<Monotonic> {
        match self.activity {
            Activity::Waiting(at) => Some(at),
            Activity::Asked(_) => None,
        }
    }

    /// When something is to be done.
    pub(super) fn next_wake(&self) -> Option<Monotonic> {
        self.next_ask().into_iter().chain(self.registered).min()
    }

    /// What the next REGISTER has: Call-ID (`fresh` for the first), CSeq and lifetime.
    pub(crate) fn next(
        &mut self,
        target: usize,
        fresh: impl FnOnce() -> Vec<u8>,
    ) -> (Vec<u8>, u32, Duration) {
        self.target = target;
        if self.call_id.is_empty() {
            self.call_id = fresh();
        }
        self.number = self.number.saturating_add(1);
        (self.call_id.clone(), self.number, self.expires)
    }

    /// The nonce to prove the next request with, and for which time. A `-sess` nonce is bound to the first
    /// cnonce, and is not used again.
    pub(crate) fn nonce(&mut self) -> Option<(Nonce, u32)> {
        let (nonce, count) = self.nonce.as_mut()?;
        *count += 1;
        let once = nonce.challenge.session && *count > 1;
        (!once).then(|| (nonce.clone(), *count))
    }

    /// The server wants that nonce used next.
    pub(crate) fn renonce(&mut self, next: Vec<u8>) {
        if let Some((nonce, count)) = &mut self.nonce {
            (nonce.challenge.nonce, *count) = (next, 0);
        }
    }

    /// Which target is asked.
    pub(crate) fn target(&self) -> usize {
        self.target
    }

    /// It is asked; with no room for a transaction a little later.
    pub(crate) fn ask(&mut self, now: Monotonic, transaction: Option<TransactionId>) {
        self.activity = match transaction {
            Some(transaction) => Activity::Asked(transaction),
            None => Activity::Waiting(now.plus(FIRST_WAIT)),
        };
    }

    /// 2xx: registered for so long. `jitter` spreads refreshes: 0 to 1.
    pub(crate) fn granted(&mut self, now: Monotonic, lifetime: Duration, jitter: f64) {
        (self.error, self.failures, self.proofs) = (None, 0, 0);
        self.registered = Some(now.plus(lifetime));
        // Between 75 and 90 % of its life: room for a second attempt before it ends.
        self.activity = Activity::Waiting(now.plus(lifetime.mul_f64(0.75 + 0.15 * jitter)));
    }

    /// 401 or 407: whether the proof is worth a try. A carrier may call one nonce stale in each attempt.
    pub(crate) fn challenged(&mut self, nonce: Nonce) -> Then {
        let again = self.proofs == 0 || (nonce.challenge.stale && self.proofs < 3);
        if again {
            self.proofs += 1;
            self.nonce = Some((nonce, 0));
            return Then::Again;
        }
        Then::Wait
    }

    /// 423: it wants a longer lifetime.
    pub(crate) fn brief(&mut self, least: Duration) -> Then {
        if least <= self.expires || least > MOST {
            return Then::Wait;
        }
        self.expires = least;
        Then::Again
    }

    /// It failed. The next target is asked at once, while there is one that was not asked; then it waits.
    pub(crate) fn failed(
        &mut self,
        now: Monotonic,
        trouble: Trouble,
        retry_after: Option<Duration>,
        targets: usize,
        jitter: f64,
    ) -> Then {
        self.error = Some(trouble);
        self.proofs = 0;
        self.nonce = None;
        // What it granted holds until it expires; only a refusal takes it away.
        let refused = matches!(trouble, Trouble::Status(status) if (400..500).contains(&status) && status != 408)
            || matches!(trouble, Trouble::Status(status) if status >= 600);
        if refused || self.registered.is_some_and(|until| until <= now) {
            self.registered = None;
        }
        if !refused {
            self.target += 1;
            if self.target < targets {
                return Then::Again;
            }
            self.target = 0;
        }
        let doubled = FIRST_WAIT.saturating_mul(1 << self.failures.min(16)).min(LONGEST_WAIT);
        self.failures = self.failures.saturating_add(1);
        let floor = if refused { REFUSED_WAIT } else { Duration::ZERO };
        let wait = doubled.max(floor).mul_f64(0.5 + 0.5 * jitter).max(floor / 2);
        let wait = wait.max(retry_after.unwrap_or_default().min(LONGEST_RETRY));
        let wait = if mutant::mutant("sip-register-gives-up") { MOST } else { wait };
        self.activity = Activity::Waiting(now.plus(wait));
        Then::Wait
    }

    /// Drops what lapsed.
    pub(crate) fn lapse(&mut self, now: Monotonic) {
        if self.registered.is_some_and(|until| until <= now) {
            self.registered = None;
        }
    }

    /// Registers anew at once: the flow over which the carrier reached us is gone.
    pub(crate) fn renew(&mut self, now: Monotonic) {
        if self.registered.is_some() {
            self.activity = Activity::Waiting(now.plus(RENEW));
        }
    }
}
