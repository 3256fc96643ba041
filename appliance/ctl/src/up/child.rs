//! One daemon and its lives.

use super::{
    Log, Privileges, edges,
    notify::{Notification, NotifySocket},
    status::DaemonStatus,
};
use crate::{failure::Failure, home::Home};
use nix::{
    fcntl::{FcntlArg, FdFlag, fcntl},
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    ffi::OsString,
    os::fd::{AsRawFd, OwnedFd},
    path::PathBuf,
    process::Stdio,
    sync::Arc,
    time::Duration,
};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::Command,
    sync::mpsc,
    time::Instant,
};
use types::Utc;

/// How often a daemon must be heard of.
const WATCHDOG: Duration = Duration::from_secs(10);
/// The pause before a second life; it doubles while lives are shorter than [`STEADY`].
const PAUSE: Duration = Duration::from_millis(50);
/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// A life that lasted this long had nothing wrong at its start.
const STEADY: Duration = Duration::from_secs(10);
/// The most descriptors kept for one daemon.
const KEPT: usize = 4096;

/// How far the life of a daemon is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Before its next life.
    Waiting,
    /// Alive, not yet serving.
    Starting,
    /// Serving.
    Running,
    /// Told to stop.
    Stopping,
    /// Over.
    Stopped,
}

/// What the supervisor hears of a daemon.
pub enum News {
    /// It said something.
    Said(Notification),
    /// It wrote a line to stderr.
    Wrote(String),
    /// Its process is over.
    Ended(String),
}

/// One daemon.
pub struct Child {
    daemon: &'static house::Daemon,
    program: PathBuf,
    directory: PathBuf,
    privileges: Privileges,
    log: Log,
    listeners: Vec<(String, OwnedFd)>,
    kept: BTreeMap<String, Vec<OwnedFd>>,
    notify: Arc<NotifySocket>,
    news: mpsc::Sender<(&'static str, News)>,
    life: Option<Life>,
    stage: Stage,
    next: Instant,
    pause: Duration,
    restarts: u32,
    says: String,
    version: Option<String>,
    last_error: Option<String>,
}

/// One life of it.
struct Life {
    pid: u32,
    began: Instant,
    started: Utc,
    heard: Instant,
}

impl Child {
    /// A daemon that has not lived yet, its sockets bound.
    ///
    /// # Errors
    /// Its program or its user is missing, or a socket cannot be bound.
    pub fn new(
        home: &Home,
        daemon: &'static house::Daemon,
        privileges: Privileges,
        log: Log,
        news: mpsc::Sender<(&'static str, News)>,
    ) -> Result<Self, Failure> {
        let notify =
            NotifySocket::new(daemon.name).map_err(|error| Failure::new("make a notify socket", error))?;
        let notify = Arc::new(notify);
        tokio::spawn(listen(Arc::clone(&notify), daemon.name, news.clone()));
        Ok(Self {
            daemon,
            program: home.program(daemon)?,
            directory: home.state(daemon),
            privileges,
            log,
            listeners: edges::of(home, daemon, privileges)?,
            kept: BTreeMap::new(),
            notify,
            news,
            life: None,
            stage: Stage::Waiting,
            next: Instant::now(),
            pause: PAUSE,
            restarts: 0,
            says: String::new(),
            version: None,
            last_error: None,
        })
    }

    /// Which.
    pub fn daemon(&self) -> &'static house::Daemon {
        self.daemon
    }

    /// Whether its process lives.
    pub fn lives(&self) -> bool {
        self.life.is_some()
    }

    /// When it wants [`advance`](Self::advance) next.
    pub fn due(&self) -> Option<Instant> {
        match (&self.life, self.stage) {
            (Some(life), Stage::Running) => Some(life.heard + WATCHDOG),
            (None, Stage::Waiting) => Some(self.next),
            _ => None,
        }
    }

    /// Begins its next life when it is time, and ends one that has fallen silent.
    pub fn advance(&mut self, now: Instant) {
        match (&self.life, self.stage) {
            (None, Stage::Waiting) if now >= self.next => {
                if let Err(failure) = self.begin(now) {
                    self.last_error = Some(failure.to_string());
                    self.wait(now);
                }
            }
            (Some(life), Stage::Running) if now >= life.heard + WATCHDOG => {
                self.last_error =
                    Some(format!("silent for {} s: killed by the watchdog", WATCHDOG.as_secs()));
                self.signal(Signal::SIGKILL);
            }
            _ => {}
        }
    }

    /// Ends it for good.
    pub fn stop(&mut self, how: Signal) {
        self.stage = if self.lives() { Stage::Stopping } else { Stage::Stopped };
        self.signal(how);
    }

    /// Takes in what was heard of it.
    pub fn heard(&mut self, news: &News) {
        match news {
            News::Said(said) => self.said(said),
            News::Wrote(line) => {
                crate::output::complain(&format!("{:>7} │ {line}", self.daemon.name));
                if line.trim_start().starts_with("ERROR") {
                    self.last_error = Some(line.trim_start().trim_start_matches("ERROR").trim().to_owned());
                }
            }
            News::Ended(how) => self.ended(how),
        }
    }

    /// What there is to know of it.
    pub fn status(&self) -> DaemonStatus {
        DaemonStatus {
            name: self.daemon.name.to_owned(),
            stage: self.stage,
            version: self.version.clone(),
            pid: self.life.as_ref().map(|life| life.pid),
            started: self.life.as_ref().map(|life| life.started),
            restarts: self.restarts,
            says: self.says.clone(),
            last_error: self.last_error.clone(),
            kept: self.kept.iter().map(|(name, all)| format!("{name} ×{}", all.len())).collect(),
        }
    }

    fn begin(&mut self, now: Instant) -> Result<(), Failure> {
        let kept = self.kept.iter().flat_map(|(name, all)| all.iter().map(move |one| (name.as_str(), one)));
        let handed: Vec<(&str, &OwnedFd)> =
            self.listeners.iter().map(|(name, one)| (name.as_str(), one)).chain(kept).collect();
        let numbers: Vec<String> = handed.iter().map(|(_, one)| one.as_raw_fd().to_string()).collect();
        let names: Vec<&str> = handed.iter().map(|(name, _)| *name).collect();
        let myself = std::env::current_exe().map_err(|error| Failure::new("find this program", error))?;
        let mut command = Command::new(myself);
        command.arg("launch").arg("--directory").arg(&self.directory);
        if !numbers.is_empty() {
            command.arg("--descriptors").arg(numbers.join(","));
        }
        if self.privileges == Privileges::Separated && !self.daemon.root {
            command.arg("--user").arg(self.daemon.user());
        }
        command
            .arg(&self.program)
            .env("NOTIFY_SOCKET", self.notify.address())
            .env("WATCHDOG_USEC", WATCHDOG.as_micros().to_string())
            .env("LISTEN_FDS", names.len().to_string())
            .env("LISTEN_FDNAMES", names.join(":"))
            .env("YANMEN_PRIVILEGES", privileges_word(self.privileges))
            .env("YANMEN_LOG", std::env::var("YANMEN_LOG").unwrap_or_else(|_| self.log.level().to_owned()))
            .env_remove("WATCHDOG_PID")
            .env_remove("JOURNAL_STREAM")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .process_group(0);
        // This process has one thread: nothing else is started while these are inheritable.
        let inheritable =
            |flag| handed.iter().try_for_each(|(_, one)| fcntl(one, FcntlArg::F_SETFD(flag)).map(|_| ()));
        let spawned =
            inheritable(FdFlag::empty()).map_err(std::io::Error::from).and_then(|()| command.spawn());
        inheritable(FdFlag::FD_CLOEXEC).map_err(|error| Failure::new("take the descriptors back", error))?;
        let mut process =
            spawned.map_err(|error| Failure::new(&format!("start {}", self.daemon.name), error))?;
        self.life = Some(Life {
            pid: process.id().unwrap_or(0),
            began: now,
            started: service::clock::utc(),
            heard: now,
        });
        self.stage = Stage::Starting;
        let (name, news) = (self.daemon.name, self.news.clone());
        let stderr = process.stderr.take();
        tokio::spawn(async move {
            if let Some(stderr) = stderr {
                let mut lines = BufReader::new(stderr).lines();
                while let Ok(Some(line)) = lines.next_line().await {
                    // The supervisor is gone when this fails, and so is the need.
                    let _gone = news.send((name, News::Wrote(line))).await;
                }
            }
            let how =
                process.wait().await.map_or_else(|error| error.to_string(), |status| status.to_string());
            let _gone = news.send((name, News::Ended(how))).await;
        });
        Ok(())
    }

    fn said(&mut self, said: &Notification) {
        let Some(life) = &mut self.life else { return };
        if u32::try_from(said.pid) != Ok(life.pid) {
            return;
        }
        let value =
            |key: &str| said.lines.iter().find(|(name, _)| name == key).map(|(_, value)| value.as_str());
        life.heard = Instant::now();
        if value("READY") == Some("1") && self.stage == Stage::Starting {
            self.stage = Stage::Running;
        }
        if let Some(text) = value("STATUS") {
            self.says = text.to_owned();
        }
        if let Some(version) = value("X_YANMEN_VERSION") {
            self.version = Some(version.to_owned());
        }
        if let Some(error) = value("X_YANMEN_ERROR") {
            self.last_error = Some(error.to_owned());
        }
        if let Some(name) = value("FDNAME") {
            if value("FDSTOREREMOVE") == Some("1") {
                self.kept.remove(name);
            } else if value("FDSTORE") == Some("1") {
                let already: usize = self.kept.values().map(Vec::len).sum();
                let copies = said.descriptors.iter().filter_map(|one| one.try_clone().ok());
                self.kept
                    .entry(name.to_owned())
                    .or_default()
                    .extend(copies.take(KEPT.saturating_sub(already)));
            }
        }
    }

    fn ended(&mut self, how: &str) {
        let now = Instant::now();
        let lasted = self.life.take().map_or(Duration::ZERO, |life| now.duration_since(life.began));
        if self.stage == Stage::Stopping {
            self.stage = Stage::Stopped;
            return;
        }
        if self.last_error.is_none() || lasted >= STEADY || !how.starts_with("exit status: 1") {
            self.last_error = Some(format!("ended by itself: {how}"));
        }
        crate::output::complain(&format!("ym: {} ended ({how}) and is started again", self.daemon.name));
        if lasted >= STEADY {
            self.pause = PAUSE;
        }
        self.restarts += 1;
        self.wait(now);
    }

    fn wait(&mut self, now: Instant) {
        self.stage = Stage::Waiting;
        self.next = now + self.pause;
        self.pause = (2 * self.pause).min(LONGEST_PAUSE);
    }

    fn signal(&self, how: Signal) {
        if let Some(pid) = self.life.as_ref().and_then(|life| i32::try_from(life.pid).ok()) {
            // A process that has just ended is what is wanted.
            let _ended = kill(Pid::from_raw(pid), how);
        }
    }
}

async fn listen(notify: Arc<NotifySocket>, daemon: &'static str, news: mpsc::Sender<(&'static str, News)>) {
    while let Ok(said) = notify.next().await {
        if news.send((daemon, News::Said(said))).await.is_err() {
            return;
        }
    }
}

fn privileges_word(privileges: Privileges) -> OsString {
    match privileges {
        Privileges::Separated => "separated",
        Privileges::Single => "single",
    }
    .into()
}
