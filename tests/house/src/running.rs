//! A whole house by `ym up`, in a home of its own under /tmp, with ports that are free.

use crate::attempt::{Attempt, Found};
use nix::{
    sys::signal::{Signal, kill},
    unistd::{Gid, Group, Pid, Uid, User},
};
use serde::Deserialize;
use std::{
    env, fs,
    io::Write,
    net::{TcpListener, UdpSocket},
    os::unix::{fs::PermissionsExt, process::CommandExt},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};
use tempfile::TempDir;

/// How long the house may take until every daemon serves, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(90);

/// A running house; it stops when this is dropped.
pub struct Running {
    supervisor: Child,
    place: TempDir,
}

/// Somebody.
#[derive(Clone, Copy, Debug)]
pub struct Somebody {
    /// The user.
    pub uid: Uid,
    /// The only group.
    pub gid: Gid,
}

/// What `ym status` says of one daemon.
#[derive(Clone, Debug, Deserialize)]
pub struct Daemon {
    /// Its name.
    pub name: String,
    /// How far its life is.
    pub stage: String,
    /// Its process.
    pub pid: Option<i32>,
    /// Lives before this one.
    pub restarts: u32,
    /// How its last life ended.
    pub last_error: Option<String>,
}

/// Whether this test may be somebody else; says so where it may not.
pub fn skipped(what: &str) -> bool {
    let skipped = !Uid::effective().is_root();
    if skipped {
        // Past the harness, which keeps what a passing test prints to itself.
        let _gone = writeln!(std::io::stderr(), "SKIPPED: {what} needs root, to be each daemon's user");
    }
    skipped
}

impl Somebody {
    /// Who runs this daemon; for `ctl` an operator: nobody, but a member of the group yanmen.
    pub fn caller(caller: &house::Daemon) -> Self {
        if caller.runs() { Self::user(&caller.user()) } else { Self { gid: operators(), ..Self::stranger() } }
    }

    /// A user of the machine who has nothing to do with the house.
    pub fn stranger() -> Self {
        Self::user("nobody")
    }

    fn user(name: &str) -> Self {
        let user = User::from_name(name).expect("read the users").unwrap_or_else(|| panic!("no user {name}"));
        Self { uid: user.uid, gid: user.gid }
    }
}

fn operators() -> Gid {
    Group::from_name("yanmen").expect("read the groups").expect("the group yanmen").gid
}

impl Running {
    /// Starts a house and waits until every daemon serves.
    pub fn start() -> Self {
        make_users();
        let place = tempfile::Builder::new().prefix("house-").tempdir_in("/tmp").expect("make a folder");
        open_to_all(place.path());
        let settings = settings(place.path());
        let ym = program("ym");
        let log = fs::File::create(place.path().join("log")).expect("make the log");
        let supervisor = Command::new(&ym)
            .arg("--home")
            .arg(place.path().join("home"))
            .args(["up", "--config"])
            .arg(settings)
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("share the log"))
            .stderr(log)
            .spawn()
            .unwrap_or_else(|error| panic!("start {}: {error}", ym.display()));
        let running = Self { supervisor, place };
        running.until_all_serve();
        running
    }

    /// Where it lives.
    pub fn home(&self) -> PathBuf {
        self.place.path().join("home")
    }

    /// Every daemon, as the supervisor sees it now.
    pub fn daemons(&self) -> Vec<Daemon> {
        #[derive(Deserialize)]
        struct Status {
            daemons: Vec<Daemon>,
        }
        let text = fs::read(self.home().join("run/status.json")).unwrap_or_default();
        serde_json::from_slice::<Status>(&text).map(|status| status.daemons).unwrap_or_default()
    }

    /// One of them.
    pub fn daemon(&self, name: &str) -> Daemon {
        self.daemons().into_iter().find(|daemon| daemon.name == name).unwrap_or_else(|| panic!("no {name}"))
    }

    /// Waits until every daemon serves.
    pub fn until_all_serve(&self) {
        let all = house::DAEMONS.iter().filter(|daemon| daemon.runs()).count();
        self.until(PATIENCE, "every daemon serves", || {
            let daemons = self.daemons();
            daemons.len() == all && daemons.iter().all(|daemon| daemon.stage == "running")
        });
    }

    /// Waits for something; what the house said is told when it does not come.
    pub fn until(&self, patience: Duration, what: &str, come: impl Fn() -> bool) {
        let began = Instant::now();
        while !come() {
            if began.elapsed() > patience {
                let log = fs::read_to_string(self.place.path().join("log")).unwrap_or_default();
                panic!("not within {patience:?}: {what}\n{:#?}\n{log}", self.daemons());
            }
            thread::sleep(Duration::from_millis(2));
        }
    }

    /// Has an outside process of this user make the attempts.
    pub fn probe(&self, who: Somebody, attempts: &[Attempt]) -> Vec<Found> {
        // Somebody else may not be able to walk to where it was built.
        let probe = self.place.path().join("probe");
        if !probe.exists() {
            fs::copy(program("house-probe"), &probe).expect("copy the probe");
            open_to_all(&probe);
        }
        let mut child = Command::new(&probe)
            .uid(who.uid.as_raw())
            .gid(who.gid.as_raw())
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("start the probe");
        let plan = serde_json::to_vec(attempts).expect("write the plan");
        child.stdin.take().expect("a pipe").write_all(&plan).expect("tell the plan");
        let output = child.wait_with_output().expect("hear the probe");
        assert!(output.status.success(), "the probe as {who:?}: {}", output.status);
        serde_json::from_slice(&output.stdout).expect("understand the probe")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Ok(pid) = i32::try_from(self.supervisor.id()) {
            // It may have ended by itself.
            let _ended = kill(Pid::from_raw(pid), Signal::SIGTERM);
        }
        let _ended = self.supervisor.wait();
    }
}

/// A program of this build.
fn program(name: &str) -> PathBuf {
    let test = env::current_exe().expect("find this test");
    let path = test.ancestors().nth(2).expect("target/debug").join(name);
    assert!(path.is_file(), "{} is missing: cargo build --workspace --bins", path.display());
    path
}

/// The demonstration's settings with ports that are free, its prompts beside them.
fn settings(place: &Path) -> PathBuf {
    let demo = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../configs/demo");
    let text = fs::read_to_string(demo.join("appliance.toml")).expect("read the demonstration's settings");
    let mut table: toml::Table = toml::from_str(&text).expect("settings");
    let udp = UdpSocket::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a free port");
    let tcp = TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a free port");
    set(&mut table, "sip", "bind", vec![udp.to_string()].into());
    set(&mut table, "console", "listen", tcp.to_string().into());
    let folder = place.join("settings");
    fs::create_dir_all(folder.join("prompts")).expect("make a folder");
    for prompt in fs::read_dir(demo.join("prompts")).expect("read the prompts").flatten() {
        fs::copy(prompt.path(), folder.join("prompts").join(prompt.file_name())).expect("copy a prompt");
    }
    let path = folder.join("appliance.toml");
    fs::write(&path, table.to_string()).expect("write the settings");
    path
}

fn set(table: &mut toml::Table, section: &str, key: &str, value: toml::Value) {
    let section = table.entry(section).or_insert_with(|| toml::Table::new().into());
    section.as_table_mut().expect("a section").insert(key.to_owned(), value);
}

fn open_to_all(path: &Path) {
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("open it to all");
}

/// The users of the house, where they are not there yet.
fn make_users() {
    let missing = |daemon: &&house::Daemon| !matches!(User::from_name(&daemon.user()), Ok(Some(_)));
    if house::DAEMONS.iter().filter(|daemon| daemon.runs()).any(|daemon| missing(&daemon)) {
        let users = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../packaging/sysusers.d/yanmen.conf");
        let made = Command::new("systemd-sysusers").arg(users).status().expect("start systemd-sysusers");
        assert!(made.success(), "systemd-sysusers: {made}");
    }
}
