//! The life of a daemon, and what it has in its hands while it lives.

use crate::{
    client::Client,
    interface::Interface,
    journal, notify,
    peer::Privileges,
    refusals::{Refusals, Refused},
    server::{self, Calls},
};
use std::{
    collections::BTreeMap,
    env,
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::net::UnixListener as StdUnixListener,
    },
    path::PathBuf,
    process::ExitCode,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::{
    net::UnixListener,
    signal::unix::{Signal, SignalKind, signal},
    sync::{mpsc, watch},
};

/// How long work on other threads may go on once the daemon has ended.
const LAST_WORK: Duration = Duration::from_secs(2);

/// Why a daemon ends: one sentence that names what was attempted and what to do.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Failure(pub String);

impl Failure {
    /// A failure in the words of `error`, after what was attempted.
    pub fn of(attempted: &str, error: impl std::fmt::Display) -> Self {
        Self(format!("{attempted}: {error}"))
    }
}

/// Runs a daemon until it is told to stop or fails. Its exit status is 0 after a clean stop and 1 after a
/// failure, which the supervisor also hears as the daemon's status.
pub fn run<F, Life>(daemon: &'static str, version: &'static str, live: F) -> ExitCode
where
    F: FnOnce(Context) -> Life,
    Life: Future<Output = Result<(), Failure>>,
{
    let handed_over = notify::handed_over();
    journal::start(daemon);
    let outcome = Context::new(daemon, version, handed_over).and_then(|context| {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| Failure::of("start the runtime", error))?;
        let outcome = runtime.block_on(async {
            context.watch_signals()?;
            live(context.clone()).await
        });
        // Work on other threads may hang on a disk or on whoever reads from us.
        runtime.shutdown_timeout(LAST_WORK);
        outcome
    });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            tracing::error!(daemon, "{failure}");
            notify::failed(&failure.0);
            ExitCode::FAILURE
        }
    }
}

/// What a daemon has: its callers, the daemons below, the descriptor store, the word to stop. Cheap to clone.
#[derive(Clone)]
pub struct Context {
    daemon: &'static str,
    version: &'static str,
    shared: Arc<Shared>,
}

struct Shared {
    listeners: Mutex<BTreeMap<String, StdUnixListener>>,
    kept: Mutex<BTreeMap<String, Vec<OwnedFd>>>,
    stop: watch::Sender<bool>,
    refusals: Refusals,
    refused: Mutex<Option<mpsc::Receiver<Refused>>>,
}

impl Context {
    fn new(
        daemon: &'static str,
        version: &'static str,
        handed_over: Vec<(String, OwnedFd)>,
    ) -> Result<Self, Failure> {
        let mut listeners = BTreeMap::new();
        let mut kept = BTreeMap::<String, Vec<OwnedFd>>::new();
        for (name, descriptor) in handed_over {
            match name.strip_prefix("peer.") {
                Some(caller) => {
                    let listener = StdUnixListener::from(descriptor);
                    listener.set_nonblocking(true).map_err(|error| Failure::of("prepare a socket", error))?;
                    listeners.insert(caller.to_owned(), listener);
                }
                None => kept.entry(name).or_default().push(descriptor),
            }
        }
        let (refusals, refused) = mpsc::channel(256);
        let shared = Shared {
            listeners: Mutex::new(listeners),
            kept: Mutex::new(kept),
            stop: watch::Sender::new(false),
            refusals: Refusals::into(refusals),
            refused: Mutex::new(Some(refused)),
        };
        Ok(Self { daemon, version, shared: Arc::new(shared) })
    }

    /// This daemon's name.
    pub fn daemon(&self) -> &'static str {
        self.daemon
    }

    /// This daemon's version.
    pub fn version(&self) -> &'static str {
        self.version
    }

    /// Takes calls from every caller of the table whose socket was handed over.
    ///
    /// # Errors
    /// A caller's user is missing, or a socket cannot be used.
    pub fn serve<I: Interface>(&self) -> Result<Calls<I>, Failure> {
        let privileges = Privileges::of_environment(I::DAEMON).map_err(Failure)?;
        if let Privileges::Single(uid) = privileges {
            tracing::debug!(uid, "one user for the whole house: the walls between daemons are thinner");
        }
        let mut listeners = Vec::new();
        for (caller, listener) in std::mem::take(&mut *locked(&self.shared.listeners)) {
            let Some(row) = house::callers(I::DAEMON).find(|row| row.name == caller) else {
                return Err(Failure(format!(
                    "a socket for {caller} was handed over, which may not call {}",
                    I::DAEMON
                )));
            };
            let listener =
                UnixListener::from_std(listener).map_err(|error| Failure::of("listen to a caller", error))?;
            listeners.push((row, listener));
        }
        Ok(server::serve(listeners, privileges, self.shared.refusals.clone()))
    }

    /// The calls that were refused before this daemon saw them, for the audit log; the first asker gets them.
    pub fn refused(&self) -> Option<mpsc::Receiver<Refused>> {
        locked(&self.shared.refused).take()
    }

    /// The way to a daemon on a lower floor.
    pub fn client<I: Interface>(&self) -> Client<I> {
        Client::at(run_directory().join(I::DAEMON).join(self.daemon))
    }

    /// Says that the daemon serves from now on, and keeps the watchdog fed from the runtime's own thread.
    pub fn ready(&self) {
        notify::ready(self.version);
        if let Some(interval) = notify::watchdog_interval() {
            tokio::spawn(async move {
                let mut ticks = tokio::time::interval(interval);
                loop {
                    ticks.tick().await;
                    notify::alive();
                }
            });
        }
    }

    /// One line about the present state, for `ym status`.
    pub fn status(&self, text: &str) {
        notify::status(text);
    }

    /// Resolves when the daemon shall stop (SIGTERM, SIGINT).
    pub async fn stopping(&self) {
        let mut stop = self.shared.stop.subscribe();
        // The sender lives as long as `self`, so waiting ends only with the word to stop.
        let _closed = stop.wait_for(|stop| *stop).await;
        notify::stopping();
    }

    /// Takes back the descriptors kept under this name by an earlier life of this daemon.
    pub fn kept(&self, name: &str) -> Vec<OwnedFd> {
        locked(&self.shared.kept).remove(name).unwrap_or_default()
    }

    /// Every name under which an earlier life kept descriptors that have not been taken back.
    pub fn kept_names(&self) -> Vec<String> {
        locked(&self.shared.kept).keys().cloned().collect()
    }

    /// Gives a copy of the descriptor to the supervisor, who hands it to the next life of this daemon.
    pub fn keep(&self, name: &str, descriptor: &impl AsFd) {
        notify::store(name, &[descriptor.as_fd()]);
    }

    /// Gives copies of descriptors that belong together, under one name and in one message; they come back in no
    /// order.
    pub fn keep_together(&self, name: &str, descriptors: &[BorrowedFd<'_>]) {
        notify::store(name, descriptors);
    }

    /// Lets the supervisor close what it keeps under this name.
    pub fn forget(&self, name: &str) {
        notify::remove(name);
    }

    /// The directory of this daemon's own state: its working directory.
    pub fn state_directory(&self) -> PathBuf {
        PathBuf::from(".")
    }

    /// The directory of sockets.
    pub fn run_directory(&self) -> PathBuf {
        run_directory()
    }

    /// The directory of public keys, which everyone reads and only `key` writes.
    pub fn public_directory(&self) -> PathBuf {
        env::var_os("YANMEN_PUBLIC").map_or_else(|| PathBuf::from("../public"), PathBuf::from)
    }

    fn watch_signals(&self) -> Result<(), Failure> {
        let watched = |kind| signal(kind).map_err(|error| Failure::of("watch for signals", error));
        for mut arriving in [watched(SignalKind::terminate())?, watched(SignalKind::interrupt())?] {
            let shared = Arc::clone(&self.shared);
            tokio::spawn(async move {
                Signal::recv(&mut arriving).await;
                shared.stop.send_replace(true);
            });
        }
        Ok(())
    }
}

/// Where the sockets lie: `CALLEE/CALLER`.
fn run_directory() -> PathBuf {
    env::var_os("YANMEN_RUN").map_or_else(|| PathBuf::from("../run"), PathBuf::from)
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    // What is guarded stays whole at every step: a panic elsewhere leaves nothing half done.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
