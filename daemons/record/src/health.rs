//! How the disk of recordings is: measured every two seconds, told to people and to route when it changes.
//!
//! ```text
//!  free space ─┐
//!  the trend ──┼─► good, filling, full, stalled ──► an entry in the log, `ym status`, route
//!  the thread ─┘
//! ```

use crate::{disk::Disk, herald::Herald, shelf::Shelf};
use audit_api::{Append, Audit, Event, EventKind, Outcome, TicketWish};
use host_api::Settings;
use mutant::mutant;
use record_api::{DiskHealth, DiskReport};
use record_core::Trend;
use service::{Client, Context, clock};
use std::{sync::Arc, time::Duration};
use tokio::{sync::watch, task::JoinHandle};
use types::Monotonic;

/// How often it is looked at.
const EVERY: Duration = Duration::from_secs(2);
/// So long at one piece of work, and the disk counts as stalled.
const STALLED: Duration = Duration::from_secs(5);

/// The disk, and how it was when it was last looked at.
pub struct Watchman {
    shelf: Shelf,
    disk: Disk,
    settings: Settings<settings::record::Record>,
    trend: Trend,
    /// A reading that the kernel has not given yet: it hangs where the disk does.
    reading: Option<(Monotonic, JoinHandle<Option<u64>>)>,
    seen: Seen,
}

/// What was seen last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// How it is.
    pub health: DiskHealth,
    /// Bytes that are free; `None` before the first reading.
    pub free: Option<u64>,
    /// When it will be full, by the trend.
    pub full_in: Option<Duration>,
}

impl Watchman {
    /// Over this disk; takes up the trend that an earlier life kept.
    pub fn new(shelf: Shelf, disk: Disk, settings: Settings<settings::record::Record>) -> Self {
        let trend = shelf.trend();
        Self { shelf, disk, settings, trend, reading: None, seen: Seen::default() }
    }

    /// Looks at the disk for ever.
    /// What it sees comes back.
    pub fn watch(
        mut self,
        house: &Context,
        audit: Client<Audit>,
        herald: Arc<Herald>,
    ) -> watch::Receiver<Seen> {
        let (looks, looked) = watch::channel(Seen::default());
        let (alarms, queue) = watch::channel(Seen::default());
        tokio::spawn(enter(queue, audit));
        let house = house.clone();
        tokio::spawn(async move {
            let mut ticks = tokio::time::interval(EVERY);
            let mut told = String::new();
            loop {
                ticks.tick().await;
                let before = self.seen;
                let seen = self.look().await;
                if seen.health != before.health {
                    match seen.health {
                        DiskHealth::Good => tracing::warn!("the disk of recordings is well again"),
                        health => tracing::error!(?health, "ALARM: {}", seen.sentence()),
                    }
                    herald.disk(seen.health);
                    alarms.send_replace(seen);
                }
                looks.send_replace(seen);
                let sentence = seen.sentence();
                if sentence != told {
                    house.status(&sentence);
                    told = sentence;
                }
            }
        });
        looked
    }

    /// Looks once.
    pub async fn look(&mut self) -> Seen {
        let now = clock::monotonic();
        let hangs = self.read(now).await;
        if self.disk.failing() && !hangs && self.disk.stuck(now) < STALLED {
            self.try_again().await;
        }
        let rule = self.settings.borrow().clone();
        let least = rule.minimum_free.bytes();
        self.seen.full_in = self.seen.free.and_then(|free| self.trend.until(free, least));
        // Once full it stays so until there is room for some more: it would come and go with every recording.
        let enough = if self.seen.health == DiskHealth::Full { least + least / 10 } else { least };
        self.seen.health = if hangs || self.disk.failing() || self.disk.stuck(now) >= STALLED {
            DiskHealth::Stalled
        } else if self.seen.free.is_some_and(|free| free < enough) {
            DiskHealth::Full
        } else if self.seen.full_in.is_some_and(|left| left < rule.warn_before.duration()) {
            DiskHealth::Filling
        } else {
            DiskHealth::Good
        };
        if mutant("record-disk-unwatched") {
            self.seen.health = DiskHealth::Good;
        }
        self.seen
    }

    /// Writes something else where the last thing failed: perhaps nobody records, and nothing would ever be tried.
    async fn try_again(&self) {
        let (shelf, disk) = (self.shelf.clone(), self.disk.clone());
        let probe = tokio::task::spawn_blocking(move || shelf.probe().map(|()| disk.well()));
        if let Ok(Ok(Err(error))) = tokio::time::timeout(EVERY, probe).await {
            tracing::warn!(%error, "the disk of recordings still takes nothing");
        }
    }

    /// Takes a reading of what is free; whether the kernel has owed one for too long.
    async fn read(&mut self, now: Monotonic) -> bool {
        let shelf = self.shelf.clone();
        let (since, task) =
            self.reading.get_or_insert_with(|| (now, tokio::task::spawn_blocking(move || shelf.free().ok())));
        let Ok(read) = tokio::time::timeout(EVERY, task).await else {
            return now.since(*since) + EVERY >= STALLED;
        };
        self.reading = None;
        let Ok(Some(free)) = read else { return true };
        self.seen.free = Some(free);
        if self.trend.take(clock::utc(), free) {
            let (shelf, trend) = (self.shelf.clone(), self.trend.clone());
            // Not waited for: a disk that has stalled since must not hold up the watch.
            tokio::task::spawn_blocking(move || {
                if let Err(error) = shelf.keep_trend(&trend) {
                    tracing::warn!(%error, "the trend of the disk is not kept");
                }
            });
        }
        false
    }
}

impl Seen {
    /// For people who ask.
    pub fn report(self) -> DiskReport {
        let full_at = self.full_in.map(|left| clock::utc().plus(left));
        DiskReport { health: self.health, free: self.free, full_at }
    }

    /// One line for `ym status`.
    pub fn sentence(&self) -> String {
        let free =
            self.free.map_or_else(|| "room unknown".to_owned(), |free| format!("{} GiB free", free >> 30));
        let left =
            self.full_in.map_or_else(String::new, |left| format!(", full in {} d", left.as_secs() / 86_400));
        match self.health {
            DiskHealth::Good => format!("{free}{left}"),
            DiskHealth::Filling => format!("DISK FILLS: {free}{left}"),
            DiskHealth::Full => format!("DISK FULL: {free}, nothing is recorded"),
            DiskHealth::Stalled => "DISK STALLED: it takes nothing".to_owned(),
        }
    }
}

/// Brings each change into the log, the newest where several waited for audit.
async fn enter(mut alarms: watch::Receiver<Seen>, audit: Client<Audit>) {
    while alarms.changed().await.is_ok() {
        loop {
            let seen = *alarms.borrow_and_update();
            let mut event = Event::of_daemon(EventKind::DiskAlarm, "record", "recordings")
                .with("health", format!("{:?}", seen.health).to_lowercase())
                .with("free", seen.free.unwrap_or_default());
            if let Some(left) = seen.full_in {
                event = event.with("full_in_days", left.as_secs() / 86_400);
            }
            if seen.health != DiskHealth::Good {
                event.outcome = Outcome::Failed;
            }
            match audit.call(Append { event, assertion: None, ticket: TicketWish::None }).await {
                Ok(_) => break,
                Err(error) => tracing::warn!(%error, "an alarm waits for the log"),
            }
            tokio::time::sleep(EVERY).await;
        }
    }
}
