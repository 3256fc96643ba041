//! `ym up`: the whole house in the foreground.
//!
//! What systemd does on the appliance, for a desk: binds one socket an edge and hands them over, starts every
//! daemon as its own user where it may, keeps their descriptors, watches them, restarts those that end, and
//! stops the exposed floors first. Daemons cannot tell the two apart: both speak sd_notify(3).
//!
//! ```text
//!            spawn            READY=1              SIGTERM
//!  Waiting ─────────► Starting ──────► Running ─────────────► Stopping ──► Stopped
//!     ▲                  │                │
//!     └── back-off ──────┴────────────────┴─ exit, kill, a start that takes too long, a missed watchdog
//! ```

mod back_off;
mod child;
mod edges;
mod hearing;
pub mod launch;
mod library;
mod notify;
mod preflight;
mod prompts;
pub mod status;

use crate::{failure::Failure, home::Home, output::text};
use child::Child;
use house::life::STOP;
use nix::sys::{
    resource::{Resource, getrlimit, setrlimit},
    signal::Signal,
};
use status::Status;
use std::{path::PathBuf, time::Duration};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::mpsc,
    time::Instant,
};

/// How long the supervisor sleeps where nothing is due.
const IDLE: Duration = Duration::from_secs(10);
/// The longest time that the kept descriptors in the status may be old.
const SHOW: Duration = Duration::from_millis(250);

/// How late the supervisor may wake before it blames itself for what it has not heard.
const LATE: Duration = Duration::from_secs(2);

/// Whether each daemon gets its own user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Privileges {
    /// Started by root: each has its own.
    Separated,
    /// Started by a plain user: one for all.
    Single,
}

impl Privileges {
    /// As this process may.
    pub fn here() -> Self {
        if nix::unistd::Uid::effective().is_root() { Self::Separated } else { Self::Single }
    }
}

/// How much of what the daemons write is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Log {
    /// What needs a person.
    Warnings,
    /// All of it.
    Everything,
}

impl Log {
    /// Tells the daemons, unless `YANMEN_LOG` does so already.
    fn level(self) -> &'static str {
        match self {
            Self::Warnings => "warn",
            Self::Everything => "info",
        }
    }
}

/// How the daemons are run.
#[derive(Clone, Copy, Debug)]
pub struct Terms {
    /// As whom.
    pub privileges: Privileges,
    /// How much of what they write is shown.
    pub log: Log,
    /// How long each may take until it serves.
    pub start: Duration,
}

/// Runs the house until SIGINT or SIGTERM.
///
/// # Errors
/// What keeps the house from starting, in one sentence with its remedy.
pub fn run(home: &Home, config: Option<PathBuf>, terms: Terms) -> Result<(), Failure> {
    let privileges = terms.privileges;
    // The descriptors kept for daemons are open here: as many as the hard limit admits.
    getrlimit(Resource::RLIMIT_NOFILE)
        .and_then(|(_soft, hard)| setrlimit(Resource::RLIMIT_NOFILE, hard, hard))
        .map_err(|error| Failure::new("raise the number of open files", error))?;
    let hold = home.hold()?;
    let settings = preflight::check(home, config.as_deref())?;
    if let Some(too_late) = preflight::too_late(home, config.as_deref())? {
        crate::output::complain(&format!("ym: {too_late}"));
    }
    home.prepare(privileges)?;
    home.install(config.as_deref(), privileges)?;
    for lacking in [prompts::missing(home, &settings), library::missing(&settings)].into_iter().flatten() {
        crate::output::complain(&format!("ym: {lacking}"));
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new("start the runtime", error))?;
    let outcome = runtime.block_on(supervise(home, terms, &settings));
    drop(hold);
    outcome
}

async fn supervise(home: &Home, terms: Terms, settings: &settings::Settings) -> Result<(), Failure> {
    let mut stop = [SignalKind::interrupt(), SignalKind::terminate()]
        .map(|kind| signal(kind).map_err(|error| Failure::new("watch for signals", error)));
    let [Ok(interrupt), Ok(terminate)] = &mut stop else {
        return Err(Failure::plain("cannot watch for signals"));
    };
    let (news, mut changes) = mpsc::channel(64);
    let mut children = Vec::new();
    for daemon in house::DAEMONS.iter().rev().filter(|daemon| daemon.runs()) {
        children.push(Child::new(home, daemon, terms, news.clone())?);
    }
    let mut told = Greeting::new(home, terms.privileges, settings);
    let mut shown = Shown::default();
    let mut wake = Instant::now();
    loop {
        let now = Instant::now();
        if now > wake + LATE {
            // Stopped at the terminal, or behind on a slow disk: their words wait in the sockets.
            children.iter_mut().for_each(|child| child.excuse(now));
        }
        for child in &mut children {
            child.advance(now);
        }
        if shown.is_due(&mut children) {
            let status = Status::of(&children);
            shown.write(home, &status);
            told.tell(home, &status);
        }
        let due = children.iter().filter_map(Child::due).chain(shown.due()).min();
        wake = due.unwrap_or_else(|| Instant::now() + IDLE);
        tokio::select! {
            Some(change) = changes.recv() => hear(&mut children, change, &mut changes),
            () = tokio::time::sleep_until(wake) => {}
            _ = interrupt.recv() => break,
            _ = terminate.recv() => break,
        }
    }
    told.say(&text("ym.stops", &[]));
    stop_by_floor(home, &mut children, &mut changes, &mut shown).await;
    Ok(())
}

/// Takes in what daemons said: all that waits, since the kept descriptors of calls come and go in numbers.
fn hear(
    children: &mut [Child],
    first: (&'static str, child::News),
    others: &mut mpsc::Receiver<(&'static str, child::News)>,
) {
    let mut next = Some(first);
    while let Some((daemon, change)) = next {
        if let Some(child) = children.iter_mut().find(|child| child.daemon().name == daemon) {
            child.heard(change);
        }
        next = others.try_recv().ok();
    }
}

/// Ends the floors from the most exposed to the most trusted, so that each daemon can still ask those below
/// it while it finishes what it has in hand.
async fn stop_by_floor(
    home: &Home,
    children: &mut [Child],
    changes: &mut mpsc::Receiver<(&'static str, child::News)>,
    shown: &mut Shown,
) {
    for floor in house::FLOORS {
        let mut deadline = Instant::now() + STOP;
        let here = |child: &&mut Child| child.daemon().floor == *floor;
        children.iter_mut().filter(here).for_each(|child| child.stop(Signal::SIGTERM));
        while children.iter().any(|child| child.daemon().floor == *floor && child.lives()) {
            tokio::select! {
                Some(change) = changes.recv() => hear(children, change, changes),
                () = tokio::time::sleep_until(deadline) => {
                    children.iter_mut().filter(here).for_each(|child| child.stop(Signal::SIGKILL));
                    deadline = Instant::now() + STOP;
                }
            }
            shown.write(home, &Status::of(children));
        }
    }
    shown.write(home, &Status::of(children));
}

/// The status as it was written last, and when. What turns a daemon's life is shown at once, what descriptors are
/// kept [`SHOW`] later at most.
#[derive(Default)]
struct Shown {
    status: Option<Status>,
    at: Option<Instant>,
    stale: bool,
}

impl Shown {
    /// Whether it is to be written now.
    fn is_due(&mut self, children: &mut [Child]) -> bool {
        let mut turned = self.status.is_none();
        for child in children {
            let unseen = child.take_unseen();
            turned |= unseen.turned;
            self.stale |= unseen.turned || unseen.kept;
        }
        turned || self.due().is_some_and(|due| Instant::now() >= due)
    }

    /// When it is to be written.
    fn due(&self) -> Option<Instant> {
        self.at.filter(|_| self.stale).map(|at| at + SHOW)
    }

    /// Writes it where it has changed. A full disk hides the house from `ym status` and does not end it.
    fn write(&mut self, home: &Home, status: &Status) {
        (self.at, self.stale) = (Some(Instant::now()), false);
        if self.status.as_ref() == Some(status) {
            return;
        }
        if let Err(failure) = home.write_status(status) {
            crate::output::complain(&format!("ym: {failure}"));
        }
        self.status = Some(status.clone());
    }
}

/// What the person at the terminal is told, each thing once.
struct Greeting {
    lines: Vec<String>,
    ready: bool,
}

impl Greeting {
    fn new(home: &Home, privileges: Privileges, settings: &settings::Settings) -> Self {
        let mut lines = Vec::new();
        if privileges == Privileges::Single {
            lines.push(text("ym.one-user", &[]));
        }
        lines.push(format!(
            "SIP     {}",
            settings.sip.bind.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
        ));
        lines.push(format!("console https://{}/", settings.console.listen));
        lines.push(format!("home    {}", home.path().display()));
        let greeting = Self { lines, ready: false };
        greeting.say(&text("ym.starts", &[]));
        greeting
    }

    fn tell(&mut self, home: &Home, status: &Status) {
        if !self.ready && status.ready() {
            self.ready = true;
            self.say(&text("ym.up", &[]));
            for line in &self.lines {
                self.say(line);
            }
            if let Some(password) = home.set_up_password() {
                self.say(&text("ym.set-up-password", &[("password", &password)]));
            }
        }
    }

    fn say(&self, line: &str) {
        crate::output::say(&format!("ym: {line}"));
    }
}
