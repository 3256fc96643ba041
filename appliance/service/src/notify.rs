//! Readiness, status, watchdog and the descriptor store: sd_notify(3) by libsystemd, answered by systemd or
//! by `ym up` alike.

use std::{
    os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd},
    time::Duration,
};
use systemd::daemon::{
    STATE_FDNAME, STATE_FDSTORE, STATE_READY, STATE_STATUS, STATE_STOPPING, STATE_WATCHDOG,
};

const STATE_FDSTOREREMOVE: &str = "FDSTOREREMOVE";

pub(crate) fn ready(version: &str) {
    tell(&[(STATE_READY, "1"), (STATE_STATUS, "ready"), ("X_YANMEN_VERSION", version)], &[]);
}

pub(crate) fn status(text: &str) {
    tell(&[(STATE_STATUS, text)], &[]);
}

pub(crate) fn failed(text: &str) {
    tell(&[(STATE_STATUS, text), ("X_YANMEN_ERROR", text)], &[]);
}

pub(crate) fn stopping() {
    tell(&[(STATE_STOPPING, "1"), (STATE_STATUS, "stopping")], &[]);
}

pub(crate) fn store(name: &str, descriptors: &[BorrowedFd<'_>]) {
    let raw: Vec<i32> = descriptors.iter().map(AsRawFd::as_raw_fd).collect();
    tell(&[(STATE_FDSTORE, "1"), (STATE_FDNAME, name)], &raw);
}

pub(crate) fn remove(name: &str) {
    tell(&[(STATE_FDSTOREREMOVE, "1"), (STATE_FDNAME, name)], &[]);
}

/// Half the interval within which the supervisor wants to hear of us; `None` where it does not watch.
pub(crate) fn watchdog_interval() -> Option<Duration> {
    match systemd::daemon::watchdog_enabled() {
        Ok(0) | Err(_) => None,
        Ok(microseconds) => Some(Duration::from_micros(microseconds) / 2),
    }
}

pub(crate) fn alive() {
    tell(&[(STATE_WATCHDOG, "1")], &[]);
}

fn tell(state: &[(&str, &str)], descriptors: &[i32]) {
    // A line end within a value would begin another assignment.
    let lines: Vec<(&str, String)> =
        state.iter().map(|(key, value)| (*key, value.replace(['\n', '\r'], " "))).collect();
    // Without a supervisor there is no one to tell; with one that does not listen there is nothing to do.
    if let Err(error) = systemd::daemon::pid_notify_with_fds(0, lines.iter(), descriptors) {
        tracing::warn!(%error, "cannot notify the supervisor");
    }
}

/// Every descriptor that the supervisor handed over, with its name. To be called once, before any other
/// descriptor is opened or thread started.
pub(crate) fn handed_over() -> Vec<(String, OwnedFd)> {
    let named = match systemd::daemon::listen_fds_with_names() {
        Ok(named) => named,
        Err(error) => {
            tracing::error!(%error, "cannot take over the supervisor's descriptors");
            return Vec::new();
        }
    };
    named
        .iter()
        .map(|(raw, name)| {
            // SAFETY: the supervisor opened this descriptor for us alone (sd_listen_fds(3)), and this
            // function runs once, so nothing else owns it.
            (name.to_string_lossy().into_owned(), unsafe { OwnedFd::from_raw_fd(raw) })
        })
        .collect()
}
