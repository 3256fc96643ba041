//! One real daemon on a stage: its program with the descriptors that a supervisor would hand over, in a home
//! of its own, and neighbours that the test plays on real sockets.
//!
//! It knows the wire (Varlink's) and nothing of what a daemon decides.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fixture: what fails here fails the test"
)]

mod neighbour;
mod signalling;
pub mod sipp;
mod supervisor;

pub use neighbour::{Answers, Asked};
pub use signalling::{PASSWORD, Signalling, Told, free};

use auth_api::{Assertion, Claims, PUBLIC_KEY, Role, Roles, SIGNING_ID, SessionId};
use gm::sm2::SigningKey;
use nix::{
    fcntl::{FcntlArg, fcntl},
    unistd::close,
};
use serde_json::json;
use service::{Client, Interface};
use settings::Settings;
use std::{
    fs,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};
use types::Uid;

/// How long anything may take on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// The home of one daemon, and the daemon while it runs. What it wrote is shown when a test fails.
pub struct Stage {
    daemon: &'static str,
    program: PathBuf,
    home: tempfile::TempDir,
    key: SigningKey,
    child: Option<Child>,
}

impl Stage {
    /// A home for `daemon`, whose program lies at `program`; its callees may be played by
    /// [`Stage::neighbour`]. The public key of assertions is there.
    pub fn new(daemon: &'static str, program: impl Into<PathBuf>) -> Self {
        let home = tempfile::tempdir().unwrap();
        let key = SigningKey::generate().unwrap();
        let callees = house::daemon(daemon).unwrap().calls.iter().map(|calls| calls.callee);
        for callee in callees.chain([daemon]) {
            fs::create_dir_all(home.path().join("run").join(callee)).unwrap();
        }
        for directory in [daemon, "public"] {
            fs::create_dir(home.path().join(directory)).unwrap();
        }
        let public = home.path().join("public").join(PUBLIC_KEY);
        fs::write(public, key.verifying_key().to_pem().unwrap()).unwrap();
        Self { daemon, program: program.into(), home, key, child: None }
    }

    /// Where everything lies.
    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// The socket on which `callee` hears `caller`.
    pub fn socket(&self, callee: &str, caller: &str) -> PathBuf {
        self.home().join("run").join(callee).join(caller)
    }

    /// Starts the daemon as a supervisor does: descriptors with their names, by sd_listen_fds(3). A shell
    /// hands them over, from its first three: there are three at most.
    pub fn start<const N: usize>(&mut self, handed: [(String, OwnedFd); N]) {
        const { assert!(N <= 3) };
        let names: Vec<&str> = handed.iter().map(|(name, _)| name.as_str()).collect();
        let script =
            "LISTEN_PID=$$; export LISTEN_PID; exec \"$0\" 3<&0 4<&1 5<&2 </dev/null >/dev/null 2>>log";
        let mut command = Command::new("sh");
        command.args(["-c", script]).arg(&self.program).current_dir(self.home().join(self.daemon));
        command.env("LISTEN_FDS", N.to_string()).env("LISTEN_FDNAMES", names.join(":"));
        command.env("YANMEN_PRIVILEGES", "single").env("LANG", "en").env_remove("NOTIFY_SOCKET");
        command.env_remove("YANMEN_PUBLIC").env_remove("YANMEN_RUN");
        let mut descriptors = handed.into_iter().map(|(_, descriptor)| Stdio::from(descriptor));
        let mut next = || descriptors.next().unwrap_or_else(Stdio::null);
        self.child = Some(command.stdin(next()).stdout(next()).stderr(next()).spawn().unwrap());
    }

    /// Starts the daemon with any number of descriptors, under a supervisor that listens at `notify`.
    pub fn start_supervised(&mut self, handed: &[(String, OwnedFd)], notify: &Path) {
        // Descriptors that are to be inherited must not be by the child of another test.
        static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
        let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut moves, mut names, mut copies) = (String::new(), Vec::new(), Vec::new());
        for (number, (name, descriptor)) in handed.iter().enumerate() {
            // Above those that the shell moves them to.
            let copy = fcntl(descriptor, FcntlArg::F_DUPFD(400)).unwrap();
            moves += &format!("{}<&{copy} {copy}<&- ", number + 3);
            copies.push(copy);
            names.push(name.as_str());
        }
        let script =
            format!("LISTEN_PID=$$; export LISTEN_PID; exec \"$0\" {moves} </dev/null >/dev/null 2>>log");
        let mut command = Command::new("bash");
        command.args(["-c", &script]).arg(&self.program).current_dir(self.home().join(self.daemon));
        command.env("LISTEN_FDS", handed.len().to_string()).env("LISTEN_FDNAMES", names.join(":"));
        command.env("YANMEN_PRIVILEGES", "single").env("LANG", "en").env("NOTIFY_SOCKET", notify);
        command.env_remove("YANMEN_PUBLIC").env_remove("YANMEN_RUN");
        self.child = Some(command.spawn().unwrap());
        for copy in copies {
            close(copy).unwrap();
        }
    }

    /// The directory of the daemon.
    pub fn directory(&self) -> PathBuf {
        self.home().join(self.daemon)
    }

    /// kill -9.
    pub fn kill(&mut self) {
        let mut child = self.child.take().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// Waits until the daemon ends by itself.
    pub fn wait(&mut self) -> ExitStatus {
        self.child.take().unwrap().wait().unwrap()
    }

    /// The process of the daemon.
    pub fn pid(&self) -> u32 {
        self.child.as_ref().unwrap().id()
    }

    /// A way to the daemon, as `caller` has it.
    pub fn client<I: Interface>(&self, caller: &str) -> Client<I> {
        Client::at(self.socket(self.daemon, caller))
    }

    /// The word of auth that this person has this role, for a minute.
    pub fn assertion(&self, person: &str, role: Role) -> Assertion {
        let issued = service::clock::utc();
        let claims = Claims {
            person: person.parse().unwrap(),
            roles: Roles::only(role),
            session: SessionId(Uid([7; 16])),
            issued,
            expires: issued.plus(Duration::from_secs(60)),
        };
        let signature = self.key.sign(SIGNING_ID, &Assertion::message(&claims)).unwrap();
        Assertion::new(&claims, &signature)
    }

    /// Plays `callee`: `answer` hears each call of the daemon, on a thread for each connection.
    pub fn neighbour(&self, callee: &str, answer: impl Fn(Asked, &mut Answers) + Send + Sync + 'static) {
        neighbour::play(&self.socket(callee, self.daemon), answer);
    }

    /// Plays host: the daemon's own sections of this settings file.
    pub fn settings(&self, text: &str) {
        let all = Settings::parse(text).unwrap_or_else(|problems| panic!("{problems:?}"));
        let own = house::daemon(self.daemon).unwrap().settings;
        let sections: serde_json::Map<String, _> =
            own.iter().map(|name| ((*name).to_owned(), all.section(name.parse().unwrap()))).collect();
        self.neighbour("host", move |_, answers| {
            answers.one_of_many(&json!({ "version": 1, "sections": sections }));
        });
    }

    /// What the daemon wrote.
    pub fn log(&self) -> String {
        fs::read_to_string(self.home().join(self.daemon).join("log")).unwrap_or_default()
    }

    /// Waits until something holds.
    ///
    /// # Panics
    /// It does not in time.
    pub fn until(&self, what: &str, mut holds: impl FnMut() -> bool) {
        let start = Instant::now();
        while !holds() {
            assert!(start.elapsed() < PATIENCE, "{what}: not within {PATIENCE:?}");
            thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if self.child.is_some() {
            self.kill();
        }
        if thread::panicking() {
            eprintln!("{}", self.log());
        }
    }
}
