//! One target of a trunk: whether it answers.

use crate::{settings::Check, transaction::TransactionId};
use route_api::Trouble;
use serde::{Deserialize, Serialize};
use std::{net::SocketAddr, time::Duration};
use types::Monotonic;

/// How long a sign of life may take.
const PATIENCE: Duration = Duration::from_secs(8);
/// How soon a target is asked again that did not answer and is not down yet.
const SOON: Duration = Duration::from_secs(5);

/// Whether a target answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Health {
    /// Nobody has looked yet, or nobody looks.
    #[default]
    Unknown,
    /// It does.
    Up,
    /// It did not, too often.
    Down,
}

/// One address of a trunk.
#[derive(Clone, Serialize, Deserialize)]
pub struct Target {
    /// Where we send.
    pub address: SocketAddr,
    /// Whether it answers.
    pub health: Health,
    /// How long its last answer took.
    pub round_trip: Option<Duration>,
    /// What the last trouble with it was; `None` after it answered again.
    pub error: Option<Trouble>,
    pub(super) narrow: Option<Monotonic>,
    missed: u32,
    check: Checking,
}

#[derive(Clone, Serialize, Deserialize)]
enum Checking {
    Never,
    At(Monotonic),
    Asked { transaction: TransactionId, since: Monotonic },
}

impl Target {
    pub(super) fn new(address: SocketAddr) -> Self {
        Self {
            address,
            health: Health::Unknown,
            round_trip: None,
            error: None,
            narrow: None,
            missed: 0,
            check: Checking::Never,
        }
    }

    /// The same, looked after or not.
    pub(super) fn looked_after(mut self, checked: bool) -> Self {
        match (&self.check, checked) {
            (Checking::Never, true) => self.check = Checking::At(Monotonic(0)),
            (_, false) => (self.check, self.health, self.missed) = (Checking::Never, Health::Unknown, 0),
            (_, true) => {}
        }
        self
    }

    pub(super) fn next_wake(&self) -> Option<Monotonic> {
        match self.check {
            Checking::Never => None,
            Checking::At(at) => Some(at),
            Checking::Asked { since, .. } => Some(since.plus(PATIENCE)),
        }
    }

    pub(super) fn is_asked(&self) -> bool {
        matches!(self.check, Checking::Asked { .. })
    }

    pub(super) fn asks_by(&self, id: TransactionId) -> bool {
        matches!(self.check, Checking::Asked { transaction, .. } if transaction == id)
    }

    /// It is asked now; `None` where there was no room for a transaction.
    pub(crate) fn ask(&mut self, now: Monotonic, transaction: Option<TransactionId>) {
        self.check = match transaction {
            Some(transaction) => Checking::Asked { transaction, since: now },
            None => Checking::At(now.plus(SOON)),
        };
    }

    /// It answered: any answer is a sign of life but one of a proxy that reached nobody.
    pub(crate) fn answered(&mut self, now: Monotonic, status: u16, check: Check) {
        if matches!(status, 408 | 503 | 504) {
            return self.missed(now, Trouble::Status(status), check);
        }
        if let Checking::Asked { since, .. } = self.check {
            self.round_trip = Some(now.since(since));
        }
        (self.health, self.missed, self.error) = (Health::Up, 0, None);
        self.check = Checking::At(now.plus(check.every));
    }

    /// It did not.
    pub(crate) fn missed(&mut self, now: Monotonic, trouble: Trouble, check: Check) {
        self.missed = self.missed.saturating_add(1);
        self.error = Some(trouble);
        let down = self.missed >= check.failures && !mutant::mutant("sip-dead-target-kept");
        if down {
            self.health = Health::Down;
        }
        let after = if down { check.every } else { SOON.min(check.every) };
        self.check = Checking::At(now.plus(after));
    }
}
