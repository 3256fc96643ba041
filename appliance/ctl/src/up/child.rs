//! One daemon and its lives.

use super::{
    Privileges, Terms,
    back_off::BackOff,
    edges, hearing,
    notify::{Notification, NotifySocket},
    status::DaemonStatus,
};
use crate::{failure::Failure, home::Home};
use host_api::DaemonStage;
use house::life::{KEPT, STOP, WATCHDOG};
use mutant::mutant;
use nix::{
    fcntl::{FcntlArg, FdFlag, fcntl},
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use std::{
    collections::BTreeMap,
    ffi::OsString,
    os::fd::{AsRawFd, OwnedFd},
    path::PathBuf,
    process::Stdio,
    sync::Arc,
    time::Duration,
};
use tokio::{process::Command, sync::mpsc, time::Instant};
use types::Utc;

/// The most bytes of the names of kept descriptors, which ride in one variable of the environment (execve(2):
/// 128 KiB).
const NAMES: usize = 100 << 10;

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
    terms: Terms,
    listeners: Vec<(String, OwnedFd)>,
    kept: BTreeMap<String, Vec<OwnedFd>>,
    notify: Arc<NotifySocket>,
    news: mpsc::Sender<(&'static str, News)>,
    life: Option<Life>,
    stage: DaemonStage,
    next: Instant,
    back_off: BackOff,
    restarts: u32,
    says: String,
    version: Option<String>,
    last_error: Option<String>,
    holds: Holds,
    unseen: Unseen,
}

/// How much is kept in [`Child::kept`], counted along: it changes with every leg of a call.
#[derive(Clone, Copy, Default)]
struct Holds {
    descriptors: usize,
    /// Of their names, as they are handed over.
    bytes: usize,
}

/// What happened since that was last asked.
#[derive(Clone, Copy, Default)]
pub struct Unseen {
    /// Its life took a turn.
    pub turned: bool,
    /// Other descriptors are kept.
    pub kept: bool,
}

/// One life of it.
struct Life {
    pid: u32,
    started: Utc,
    /// Until when the supervisor waits for what is due: for the start, the watchdog, or the end.
    patience: Instant,
    /// Since when it serves.
    served: Option<Instant>,
    /// The last thing that it said was wrong.
    complaint: Option<String>,
    /// Why the supervisor ends it.
    overdue: Option<Overdue>,
}

/// What a daemon did not do in its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Overdue {
    /// It never said that it serves.
    Start,
    /// It served and fell silent.
    Watchdog,
}

impl Child {
    /// A daemon that has not lived yet, its sockets bound.
    ///
    /// # Errors
    /// Its program or its user is missing, or a socket cannot be bound.
    pub fn new(
        home: &Home,
        daemon: &'static house::Daemon,
        terms: Terms,
        news: mpsc::Sender<(&'static str, News)>,
    ) -> Result<Self, Failure> {
        let notify =
            NotifySocket::new(daemon.name).map_err(|error| Failure::new("make a notify socket", error))?;
        let notify = Arc::new(notify);
        tokio::spawn(hearing::listen(Arc::clone(&notify), daemon.name, news.clone()));
        Ok(Self {
            daemon,
            program: home.program(daemon)?,
            directory: home.state(daemon),
            terms,
            listeners: edges::of(home, daemon, terms.privileges)?,
            kept: BTreeMap::new(),
            notify,
            news,
            life: None,
            stage: DaemonStage::Waiting,
            next: Instant::now(),
            back_off: BackOff::new(),
            restarts: 0,
            says: String::new(),
            version: None,
            last_error: None,
            holds: Holds::default(),
            unseen: Unseen { turned: true, kept: false },
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

    /// What happened since this was last asked.
    pub fn take_unseen(&mut self) -> Unseen {
        std::mem::take(&mut self.unseen)
    }

    /// When it wants [`advance`](Self::advance) next.
    pub fn due(&self) -> Option<Instant> {
        match (&self.life, self.stage) {
            (Some(life), DaemonStage::Starting | DaemonStage::Running) => Some(life.patience),
            (None, DaemonStage::Waiting) => Some(self.next),
            _ => None,
        }
    }

    /// Forgives silence up to now: it was the supervisor that did not listen.
    pub fn excuse(&mut self, now: Instant) {
        let Some(life) = &mut self.life else { return };
        life.patience = now
            + match (self.stage, life.overdue) {
                (DaemonStage::Starting, None) => self.terms.start,
                (DaemonStage::Starting, Some(_)) => STOP,
                _ => WATCHDOG,
            };
    }

    /// Begins its next life when it is time, and ends one that never came to serve or has fallen silent.
    pub fn advance(&mut self, now: Instant) {
        match (&mut self.life, self.stage) {
            (None, DaemonStage::Waiting) if now >= self.next => {
                if let Err(failure) = self.begin(now) {
                    crate::output::complain(&format!("ym: {failure}"));
                    self.last_error = Some(failure.to_string());
                    self.wait(now, None);
                }
            }
            (Some(life), DaemonStage::Starting) if now >= life.patience && !mutant("up-waits-for-ever") => {
                // It may end in order; the second time it must.
                let how = if life.overdue.is_none() { Signal::SIGTERM } else { Signal::SIGKILL };
                life.overdue = Some(Overdue::Start);
                life.patience = now + STOP;
                self.signal(how);
            }
            (Some(life), DaemonStage::Running) if now >= life.patience => {
                life.overdue = Some(Overdue::Watchdog);
                life.patience = now + WATCHDOG;
                self.signal(Signal::SIGKILL);
            }
            _ => {}
        }
    }

    /// Ends it for good.
    pub fn stop(&mut self, how: Signal) {
        self.unseen.turned = true;
        self.stage = if self.lives() { DaemonStage::Stopping } else { DaemonStage::Stopped };
        self.signal(how);
    }

    /// Takes in what was heard of it.
    pub fn heard(&mut self, news: News) {
        match news {
            News::Said(said) => self.said(said),
            News::Wrote(line) => {
                crate::output::complain(&format!("{:>7} │ {line}", self.daemon.name));
                // tracing's words, and those of `ym launch`.
                let error = ["ERROR", "ym:"].iter().find_map(|mark| line.trim_start().strip_prefix(mark));
                if let Some(error) = error {
                    self.went_wrong(error.trim());
                }
            }
            News::Ended(how) => self.ended(&how),
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
        self.unseen.turned = true;
        let kept = self.kept.iter().flat_map(|(name, all)| all.iter().map(move |one| (name.as_str(), one)));
        let handed: Vec<(&str, &OwnedFd)> =
            self.listeners.iter().map(|(name, one)| (name.as_str(), one)).chain(kept).collect();
        let numbers: Vec<String> = handed.iter().map(|(_, one)| one.as_raw_fd().to_string()).collect();
        let names: Vec<&str> = handed.iter().map(|(name, _)| *name).collect();
        // This very program, also when another version has taken its place on the disk meanwhile.
        let mut command = Command::new("/proc/self/exe");
        command.arg("launch").arg("--directory").arg(&self.directory);
        command.arg("--supervisor").arg(std::process::id().to_string());
        if !numbers.is_empty() {
            command.arg("--descriptors").arg(numbers.join(","));
        }
        if self.terms.privileges == Privileges::Separated && !self.daemon.root {
            command.arg("--user").arg(self.daemon.user());
        }
        command
            .arg(&self.program)
            .env("NOTIFY_SOCKET", self.notify.address())
            .env("WATCHDOG_USEC", WATCHDOG.as_micros().to_string())
            .env("LISTEN_FDS", names.len().to_string())
            .env("LISTEN_FDNAMES", names.join(":"))
            .env("YANMEN_PRIVILEGES", privileges_word(self.terms.privileges))
            .env(
                "YANMEN_LOG",
                std::env::var("YANMEN_LOG").unwrap_or_else(|_| self.terms.log.level().to_owned()),
            )
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
        let process = spawned.map_err(|error| Failure::new(&format!("start {}", self.daemon.name), error))?;
        let life = Life {
            pid: process.id().unwrap_or(0),
            started: service::clock::utc(),
            patience: now + self.terms.start,
            served: None,
            complaint: None,
            overdue: None,
        };
        self.life = Some(life);
        self.says.clear();
        self.stage = DaemonStage::Starting;
        let (notify, name, news) = (Arc::clone(&self.notify), self.daemon.name, self.news.clone());
        tokio::spawn(hearing::outlive(process, notify, name, news));
        Ok(())
    }

    fn said(&mut self, said: Notification) {
        let Some(life) = &mut self.life else { return };
        if u32::try_from(said.pid) != Ok(life.pid) {
            return;
        }
        let value =
            |key: &str| said.lines.iter().find(|(name, _)| name == key).map(|(_, value)| value.as_str());
        let now = Instant::now();
        if value("READY") == Some("1") && self.stage == DaemonStage::Starting && life.overdue.is_none() {
            self.stage = DaemonStage::Running;
            life.served = Some(now);
        }
        if self.stage == DaemonStage::Running {
            life.patience = now + WATCHDOG;
        }
        if let Some(text) = value("STATUS") {
            self.says = text.to_owned();
        }
        if let Some(version) = value("X_YANMEN_VERSION") {
            self.version = Some(version.to_owned());
        }
        if let Some(error) = value("X_YANMEN_ERROR") {
            self.went_wrong(error);
        }
        let turns = ["READY", "STATUS", "X_YANMEN_VERSION", "X_YANMEN_ERROR"];
        self.unseen.turned |= turns.into_iter().any(|key| value(key).is_some());
        if let Some(name) = value("FDNAME").map(str::to_owned) {
            self.unseen.kept = true;
            if value("FDSTOREREMOVE") == Some("1") {
                let gone = self.kept.remove(&name).unwrap_or_default().len();
                self.holds.descriptors -= gone;
                self.holds.bytes -= gone * (name.len() + 1);
            } else if value("FDSTORE") == Some("1") {
                self.keep(name, said.descriptors);
            }
        }
    }

    fn ended(&mut self, how: &str) {
        self.unseen.turned = true;
        let now = Instant::now();
        let Some(life) = self.life.take() else { return };
        if self.stage == DaemonStage::Stopping {
            self.stage = DaemonStage::Stopped;
            return;
        }
        self.last_error = Some(match (life.overdue, life.complaint) {
            (Some(Overdue::Watchdog), _) => {
                format!("silent for {} s: killed by the watchdog", WATCHDOG.as_secs())
            }
            (Some(Overdue::Start), complaint) => {
                let late = format!("not ready {} s after its start: ended", self.terms.start.as_secs());
                complaint.map_or_else(|| late.clone(), |complaint| format!("{late}; it said: {complaint}"))
            }
            // A daemon that ends in order has said why.
            (None, Some(complaint)) if how == "exit status: 1" => complaint,
            _ => format!("ended by itself: {how}"),
        });
        crate::output::complain(&format!("ym: {} ended ({how}) and is started again", self.daemon.name));
        self.restarts += 1;
        self.wait(now, life.served.map(|since| now.duration_since(since)));
    }

    /// It says what is wrong with it: the cause, where it ends now.
    fn went_wrong(&mut self, error: &str) {
        self.unseen.turned = true;
        if let Some(life) = &mut self.life {
            life.complaint = Some(error.to_owned());
        }
        self.last_error = Some(error.to_owned());
    }

    fn keep(&mut self, name: String, descriptors: Vec<OwnedFd>) {
        let new = descriptors.len();
        let holds = Holds {
            descriptors: self.holds.descriptors + new,
            bytes: self.holds.bytes + new * (name.len() + 1),
        };
        if holds.descriptors > KEPT || holds.bytes > NAMES || name.contains(':') {
            let kept = self.holds.descriptors;
            return self.went_wrong(&format!("{name} cannot be kept: {kept} descriptors are kept already"));
        }
        self.holds = holds;
        self.kept.entry(name).or_default().extend(descriptors);
    }

    fn wait(&mut self, now: Instant, served: Option<Duration>) {
        self.unseen.turned = true;
        self.stage = DaemonStage::Waiting;
        self.next = now + self.back_off.after(served);
    }

    fn signal(&self, how: Signal) {
        if let Some(pid) = self.life.as_ref().and_then(|life| i32::try_from(life.pid).ok()) {
            // A process that has just ended is what is wanted.
            let _ended = kill(Pid::from_raw(pid), how);
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
