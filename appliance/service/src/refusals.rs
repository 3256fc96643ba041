//! Calls that were refused before the daemon saw them, on their way to the audit log: told one by one, and in a flood
//! counted, because whoever is refused in a loop must fill neither the log nor the journal.

use crate::rate::{Rate, Share};
use mutant::mutant;
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};
use tokio::sync::mpsc;

/// Refusals of one caller that are told in one minute; the others are counted.
const TOLD: u32 = 100;

/// A call that was refused before the daemon saw it: for the audit log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The caller's row, by its socket.
    pub caller: &'static str,
    /// The uid, where the connection came that far.
    pub uid: u32,
    /// The method asked for; empty where the uid itself was wrong.
    pub method: String,
    /// Refusals of this caller since the one told before, which were only counted.
    pub counted: u64,
}

/// The way of refusals. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Refusals {
    told: mpsc::Sender<Refused>,
    rate: Arc<Rate>,
    /// By caller, what has only been counted.
    counted: Arc<Mutex<BTreeMap<&'static str, u64>>>,
}

impl Refusals {
    /// Into this channel.
    pub fn into(told: mpsc::Sender<Refused>) -> Self {
        Self { told, rate: Arc::new(Rate::a_minute(TOLD)), counted: Arc::default() }
    }

    /// One more. Never waits.
    pub fn tell(&self, caller: &'static str, uid: u32, method: &str) {
        self.tell_at(Instant::now(), caller, uid, method);
    }

    fn tell_at(&self, now: Instant, caller: &'static str, uid: u32, method: &str) {
        let share = self.rate.one_more(caller, now);
        // Every step leaves the counts whole: a panic elsewhere does not make them wrong.
        let mut counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        let counted = counted.entry(caller).or_default();
        if share == Share::Beyond && !mutant("refusals-uncounted") {
            *counted += 1;
            return;
        }
        let method: String = method.chars().take(64).collect();
        tracing::warn!(caller, uid, method, counted, "call refused");
        if share == Share::Last {
            tracing::error!(
                caller,
                "refused so often that the next refusals of this minute are only counted"
            );
        }
        match self.told.try_send(Refused { caller, uid, method, counted: *counted }) {
            Ok(()) => *counted = 0,
            // audit has been away for long, or the daemon tells it nothing.
            Err(_full_or_gone) => *counted += 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    /// Mutant refusals-uncounted.
    #[tokio::test]
    async fn a_flood_is_counted_and_another_caller_is_told_all_the_same() {
        let (sender, mut told) = mpsc::channel(256);
        let refusals = Refusals::into(sender);
        let began = Instant::now();
        for _ in 0..10_000 {
            refusals.tell_at(began, "console", 994, "Begin");
        }
        refusals.tell_at(began, "sip", 992, "Begin");
        refusals.tell_at(began + Duration::from_secs(60), "console", 994, &"x".repeat(1_000));
        drop(refusals);
        let mut all = Vec::new();
        while let Some(refused) = told.recv().await {
            all.push(refused);
        }
        assert_eq!(all.len(), 102);
        assert!(all[..100].iter().all(|refused| (refused.caller, refused.counted) == ("console", 0)));
        assert_eq!((all[100].caller, all[100].counted), ("sip", 0));
        assert_eq!((all[101].caller, all[101].counted, all[101].method.len()), ("console", 9_900, 64));
    }
}
