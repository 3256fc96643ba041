//! Trunks as they stand: registered or not (RFC 3261 §10.2), each target answering or not (§11), and what the
//! last trouble was.
//!
//! Owns when to register and when to ask for a sign of life. Sends nothing itself: it says what is due, and is
//! told what came of it.
//!
//! ```text
//!   registration:  Waiting ──due──► Asked ──200──► Waiting until shortly before it expires
//!                     ▲               │ 401, 407, 423: asked again at once
//!                     └───back-off────┘ refused, no answer
//!
//!   target:        Unknown ──any answer──► Up ──no answer, `failures` times──► Down ──any answer──► Up
//! ```

mod health;
mod registration;

pub use health::{Health, Target};
pub use registration::Registration;
pub(crate) use registration::{Nonce, Then};

use crate::{
    agenda::Agenda,
    flow::Protocol,
    settings::{Check, Trunk},
    transaction::TransactionId,
};
use route_api::{Reachability, Trouble};
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    time::Duration,
};
use types::{Monotonic, TrunkId};

/// A target on which TCP failed is asked over UDP for so long, however large the request.
const NARROW: Duration = Duration::from_secs(600);

/// How one trunk stands.
#[derive(Clone, Serialize, Deserialize)]
pub struct Standing {
    /// Its registration, where it has one.
    pub registration: Option<Registration>,
    /// Its targets, in the order of preference.
    pub targets: Vec<Target>,
    #[serde(skip)]
    told: Option<Reachability>,
}

/// What is due.
pub(crate) enum Due {
    /// Register, over the target of that number.
    Register(usize),
    /// Ask the target of that number for a sign of life.
    Ask(usize),
    /// Too long without a sign of life: give up that transaction.
    Missed(usize),
}

/// Which request of a trunk a transaction is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Errand {
    /// REGISTER.
    Registration,
    /// OPTIONS to the target of that number.
    Check(usize),
}

/// Every trunk.
#[derive(Default)]
pub(crate) struct Trunks {
    live: BTreeMap<TrunkId, Standing>,
    agenda: Agenda<TrunkId>,
    touched: BTreeSet<TrunkId>,
    stirred: BTreeSet<TrunkId>,
}

impl Standing {
    /// Whether calls can go out over it.
    pub fn reachability(&self, check: Option<Check>) -> Reachability {
        let registered = self.registration.as_ref().map(Registration::is_registered);
        let answering = |health| self.targets.iter().any(|target| target.health == health);
        match registered {
            Some(true) if check.is_none() || !self.all_down() => Reachability::Reachable,
            Some(false) if self.registration.as_ref().is_some_and(|r| r.error.is_none()) => {
                Reachability::Unknown
            }
            Some(_) => Reachability::Unreachable,
            None if check.is_none() => Reachability::Unknown,
            None if answering(Health::Up) => Reachability::Reachable,
            None if answering(Health::Unknown) => Reachability::Unknown,
            None => Reachability::Unreachable,
        }
    }

    fn all_down(&self) -> bool {
        self.targets.iter().all(|target| target.health == Health::Down)
    }

    /// The addresses to try for a call, in order: those that are not known to be down. All where nobody looks.
    pub fn candidates(&self) -> impl Iterator<Item = SocketAddr> {
        self.targets.iter().filter(|target| target.health != Health::Down).map(|target| target.address)
    }

    /// The target to register at: that one, or the first after it that is not known to be down.
    fn asked(&self, from: usize) -> usize {
        let count = self.targets.len().max(1);
        let order = (0..count).map(|step| (from + step) % count);
        let up = |at: &usize| self.targets.get(*at).is_some_and(|target| target.health != Health::Down);
        order.clone().find(up).unwrap_or(from % count)
    }

    fn next_wake(&self) -> Option<Monotonic> {
        let registration = self.registration.as_ref().and_then(Registration::next_wake);
        registration.into_iter().chain(self.targets.iter().filter_map(Target::next_wake)).min()
    }

    fn follow(&mut self, trunk: &Trunk) {
        let mut old = std::mem::take(&mut self.targets);
        let checked = trunk.check.is_some();
        self.targets = trunk
            .targets
            .iter()
            .map(|address| match old.iter().position(|target| target.address == *address) {
                Some(at) => old.swap_remove(at).looked_after(checked),
                None => Target::new(*address).looked_after(checked),
            })
            .collect();
        let wished = trunk.account.as_ref().and_then(|account| Some((account, account.register?)));
        self.registration = match (self.registration.take(), wished) {
            (Some(old), Some((account, _))) if old.is_of(account) => Some(old),
            (_, Some((account, expires))) => Some(Registration::new(account, expires)),
            (_, None) => None,
        };
    }
}

impl Trunks {
    /// Takes the trunks of the settings: new ones begin at once, others go on, those that are gone are
    /// forgotten.
    pub(crate) fn follow(&mut self, trunks: &[Trunk]) {
        let gone: Vec<_> =
            self.live.keys().filter(|id| !trunks.iter().any(|t| t.id == **id)).cloned().collect();
        for id in gone {
            self.live.remove(&id);
            self.agenda.set(id.clone(), None);
            self.touched.insert(id);
        }
        for trunk in trunks {
            let standing = self.live.entry(trunk.id.clone()).or_insert_with(|| Standing {
                registration: None,
                targets: Vec::new(),
                told: Some(Reachability::Unknown),
            });
            standing.follow(trunk);
            self.settle(&trunk.id);
        }
    }

    pub(crate) fn get(&self, id: &TrunkId) -> Option<&Standing> {
        self.live.get(id)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&TrunkId, &Standing)> {
        self.live.iter()
    }

    /// Changes how a trunk stands.
    pub(crate) fn change<T>(&mut self, id: &TrunkId, change: impl FnOnce(&mut Standing) -> T) -> Option<T> {
        let changed = change(self.live.get_mut(id)?);
        self.settle(id);
        Some(changed)
    }

    /// The trunk and the errand of a transaction, if it is one.
    pub(crate) fn errand(&self, transaction: TransactionId) -> Option<(TrunkId, Errand)> {
        self.live.iter().find_map(|(id, standing)| {
            let registers = standing.registration.as_ref().is_some_and(|r| r.asks_by(transaction));
            let errand = match registers {
                true => Errand::Registration,
                false => Errand::Check(standing.targets.iter().position(|t| t.asks_by(transaction))?),
            };
            Some((id.clone(), errand))
        })
    }

    /// The next thing that is due.
    pub(crate) fn due(&mut self, now: Monotonic) -> Option<(TrunkId, Due)> {
        while let Some(id) = self.agenda.due(now) {
            let Some(standing) = self.live.get_mut(&id) else { continue };
            let due = |at: Option<Monotonic>| at.is_some_and(|at| at <= now);
            if let Some(registration) = &mut standing.registration {
                registration.lapse(now);
            }
            let registration = standing.registration.as_ref();
            let due = match registration.filter(|registration| due(registration.next_ask())) {
                Some(registration) => Some(Due::Register(standing.asked(registration.target()))),
                None => {
                    let target = standing.targets.iter().position(|target| due(target.next_wake()));
                    target.map(|at| match standing.targets[at].is_asked() {
                        true => Due::Missed(at),
                        false => Due::Ask(at),
                    })
                }
            };
            if let Some(due) = due {
                return Some((id, due));
            }
            self.settle(&id);
        }
        None
    }

    pub(crate) fn next_wake(&self) -> Option<Monotonic> {
        self.agenda.next()
    }

    /// Whether a trunk's reachability is another than was last told; notes that it is told now. What an earlier
    /// life left is told when route is attached.
    pub(crate) fn news(&mut self, id: &TrunkId, check: Option<Check>) -> Option<Reachability> {
        let standing = self.live.get_mut(id)?;
        let now = standing.reachability(check);
        let told = standing.told.replace(now);
        (told.is_some_and(|told| told != now)).then_some(now)
    }

    /// Whether TCP to that address failed of late.
    pub(crate) fn is_narrow(&self, now: Monotonic, id: &TrunkId, address: SocketAddr) -> bool {
        let target = self.live.get(id).and_then(|s| s.targets.iter().find(|t| t.address == address));
        target.is_some_and(|target| target.narrow.is_some_and(|until| until > now))
    }

    /// A call or a connection to that address failed, or went well.
    pub(crate) fn met(
        &mut self,
        now: Monotonic,
        id: &TrunkId,
        address: SocketAddr,
        protocol: Protocol,
        trouble: Option<Trouble>,
        own: Protocol,
    ) {
        let standing = self.live.get_mut(id);
        let Some(target) = standing.and_then(|s| s.targets.iter_mut().find(|t| t.address == address)) else {
            return;
        };
        match trouble {
            // The trunk speaks UDP, and only a large request was to go by TCP.
            Some(_) if protocol != own => target.narrow = Some(now.plus(NARROW)),
            _ if target.error == trouble => return,
            trouble => target.error = trouble,
        }
        self.settle(id);
    }

    /// The trunks of which something may be news since the last call.
    pub(crate) fn stirred(&mut self) -> BTreeSet<TrunkId> {
        std::mem::take(&mut self.stirred)
    }

    /// The trunks that changed since the last call; `None` for one that is gone.
    pub(crate) fn changes(&mut self) -> Vec<(TrunkId, Option<Standing>)> {
        let touched = std::mem::take(&mut self.touched);
        touched.into_iter().map(|id| (id.clone(), self.live.get(&id).cloned())).collect()
    }

    /// Puts one back, or away, as [`Self::changes`] gave it.
    pub(crate) fn restore(&mut self, id: TrunkId, standing: Option<Standing>) {
        match standing {
            Some(standing) => self.live.insert(id.clone(), standing),
            None => self.live.remove(&id),
        };
        self.settle(&id);
    }

    fn settle(&mut self, id: &TrunkId) {
        self.agenda.set(id.clone(), self.live.get(id).and_then(Standing::next_wake));
        self.touched.insert(id.clone());
        self.stirred.insert(id.clone());
    }
}
