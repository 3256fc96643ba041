//! A whole house in a temporary home, driven by `ym` as a person would, between real peers: SIPp calls,
//! baresip is the phone, tcpdump watches the wire.
//!
//! The programs under test are those that were built beside this test (`cargo build --workspace` first).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fixture: what fails here fails the test"
)]

pub mod crowd;
pub mod floor;
pub mod fuzz;
pub mod gateway;
pub mod keys;
pub mod linphone;
pub mod message;
pub mod mount;
pub mod network;
pub mod peer;
pub mod reader;
pub mod survival;
pub mod ua;
pub mod voice;
pub mod wire;

use auth_core::FactorSecret;
use network::{Network, Place};
use serde_json::Value;
use std::{
    env, fs,
    io::{BufRead, BufReader, Read, Write},
    net::UdpSocket,
    ops::RangeInclusive,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    sync::{Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};
use tempfile::TempDir;
use types::Utc;

/// The phones of the demonstration and their passwords.
pub const PHONES: [(&str, &str); 2] = [("8001", "Geese-fly-North-1"), ("8002", "Geese-fly-South-2")];

/// A house that is up.
pub struct House {
    /// Everything of this test lies here.
    pub folder: TempDir,
    /// Where phones and the trunk find it.
    pub sip: u16,
    /// From where the trunk calls.
    pub trunk: u16,
    /// Where the house receives RTP.
    pub media: RangeInclusive<u16>,
    /// Where the house lives.
    pub place: Place,
    /// Where its peers live.
    pub peers: Place,
    supervisor: Option<Child>,
}

/// The settings of the demonstration, with names where ports stand.
fn demonstration() -> String {
    fs::read_to_string(repository().join("configs/demo/appliance.toml"))
        .unwrap()
        .replace("127.0.0.1:5060", "127.0.0.1:SIP")
        .replace("127.0.0.1:8443", "127.0.0.1:CONSOLE")
        .replace("20000-20999", "MEDIA")
}

/// A port that nobody has, now.
pub fn free_udp_port() -> u16 {
    UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// One house at a time: those of one process have the same RTP ports.
pub fn alone() -> MutexGuard<'static, ()> {
    static PORTS: Mutex<()> = Mutex::new(());
    PORTS.lock().unwrap_or_else(PoisonError::into_inner)
}

impl House {
    /// Starts the house of the demonstration and waits until every daemon serves.
    pub fn start() -> Self {
        Self::start_with("")
    }

    /// Starts it with these lines more in its section `[media]`.
    pub fn start_with(media_lines: &str) -> Self {
        Self::start_as(50, |_, settings| settings.replace("[media]\n", &format!("[media]\n{media_lines}\n")))
    }

    /// Starts a house of these settings, in which `SIP`, `CONSOLE` and `MEDIA` stand for ports and 5070 for
    /// that of the trunk; `prepare` may add prompts to its folder. Waits until every daemon serves.
    pub fn with(settings: &str, prepare: impl FnOnce(&Path)) -> Self {
        Self::start_at(
            TempDir::new().unwrap(),
            [Place::here(), Place::here()],
            50,
            settings,
            |folder, settings| {
                prepare(folder);
                settings
            },
        )
    }

    /// Starts a house with so many ports for RTP, whose settings are those of the demonstration as changed here; the
    /// folder has the prompts in `prompts`.
    pub fn start_as(ports: u16, change: impl FnOnce(&Path, String) -> String) -> Self {
        Self::start_at(
            TempDir::new().unwrap(),
            [Place::here(), Place::here()],
            ports,
            &demonstration(),
            change,
        )
    }

    /// Starts a house in this folder, with the settings that `edit` makes of the demonstration's.
    pub fn start_in(folder: TempDir, edit: impl FnOnce(String) -> String) -> Self {
        Self::start_at(folder, [Place::here(), Place::here()], 50, &demonstration(), |_, settings| {
            edit(settings)
        })
    }

    /// Starts a house at the end of a line, its peers at the other.
    pub fn start_beyond(line: &Network) -> Self {
        let [house, peers] = line.ends();
        let (here, there) = (house.address.clone(), peers.address.clone());
        Self::start_at(TempDir::new().unwrap(), [house, peers], 50, &demonstration(), |_, settings| {
            let trunk = settings.find("address = \"127.0.0.1").expect("the trunk");
            let (before, after) = settings.split_at(trunk);
            let after = after.replacen("127.0.0.1", &there, 1);
            let after =
                after.replace("[media]\nbind = \"127.0.0.1\"", &format!("[media]\nbind = \"{here}\""));
            before.replace("bind = [\"127.0.0.1", &format!("bind = [\"{here}")) + &after
        })
    }

    fn start_at(
        folder: TempDir,
        [place, peers]: [Place; 2],
        ports: u16,
        settings: &str,
        change: impl FnOnce(&Path, String) -> String,
    ) -> Self {
        // Daemons of other users walk through it to their own directories.
        fs::set_permissions(folder.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        let prompts = repository().join("configs/demo/prompts");
        let status =
            Command::new("cp").arg("-rL").arg(&prompts).arg(folder.path().join("prompts")).status().unwrap();
        assert!(status.success());
        let (sip, trunk, console) = (free_udp_port(), free_udp_port(), free_udp_port());
        let first = 20_000 + u16::try_from(std::process::id() % 200).unwrap() * 50;
        let media = first..=first + ports - 1;
        let settings = settings
            .replace("127.0.0.1:SIP", &format!("127.0.0.1:{sip}"))
            .replace("127.0.0.1:5070", &format!("127.0.0.1:{trunk}"))
            .replace("127.0.0.1:CONSOLE", &format!("127.0.0.1:{console}"))
            .replace("MEDIA", &format!("{}-{}", media.start(), media.end()));
        let settings = change(folder.path(), settings);
        fs::write(folder.path().join("appliance.toml"), settings).unwrap();
        let mut house = Self { folder, sip, trunk, media, place, peers, supervisor: None };
        house.up();
        house
    }

    /// Starts the supervisor and waits until every daemon serves.
    pub fn up(&mut self) {
        let log = fs::File::options().create(true).append(true).open(self.folder.path().join("log")).unwrap();
        let mut command = self.place.command(program("ym"));
        command.arg("--home").arg(self.home()).env("LC_ALL", "C.UTF-8");
        command.arg("up").arg("--verbose").arg("--config").arg(self.folder.path().join("appliance.toml"));
        command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        let mut supervisor = command.spawn().unwrap();
        self.until("every daemon serves", Duration::from_secs(60), |house| {
            let over = supervisor.try_wait().unwrap();
            assert!(over.is_none(), "{}", fs::read_to_string(house.folder.path().join("log")).unwrap());
            house.ym_command().arg("status").output().unwrap().status.success()
        });
        self.supervisor = Some(supervisor);
    }

    /// Names officers and makes an agent (alice) and a supervisor, each with their own log-in.
    pub fn people(&self) {
        self.people_named(&[("alice", "agent"), ("wang", "supervisor")]);
    }

    /// Names officers and makes these people with their roles, each with their own log-in.
    pub fn people_named(&self, people: &[(&str, &str)]) {
        self.officers();
        for (name, role) in people {
            self.person(name, role);
        }
    }

    /// Names the officers, each with their own log-in.
    pub fn officers(&self) {
        let set_up = fs::read_to_string(self.home().join("auth/set-up-password")).unwrap();
        self.ym_as(
            "officers",
            &["setup"],
            &format!("{}\nFirst-one-1\nFirst-two-2\nFirst-three-3\n", set_up.trim()),
        );
        for (name, first) in
            [("sysadmin", "First-one-1"), ("secadmin", "First-two-2"), ("auditadmin", "First-three-3")]
        {
            self.change_password(name, first);
        }
    }

    /// Makes a person with this role, with their own log-in.
    pub fn person(&self, name: &str, role: &str) {
        let created = self.ask_as("sysadmin", &["accounts", "create", name]);
        self.ym_as("secadmin", &["accounts", "grant", name, role], "");
        self.change_password(name, created["password"].as_str().unwrap());
    }

    /// Waits until phone 8001 can be rung, signs alice in there, and makes her ready.
    pub fn agent_ready(&self) {
        self.ready_at("alice", "8001");
    }

    /// Waits until a phone can be rung, signs an agent in there, and makes the agent ready.
    pub fn ready_at(&self, agent: &str, phone: &str) {
        self.until("the phone is reachable", Duration::from_secs(10), |house| {
            let found = house.ask_as("wang", &["trunks"])["endpoints"].to_string();
            found.contains(&format!(r#"[{{"phone":"{phone}"}},"reachable"]"#))
        });
        self.ym_as(agent, &["agents", "sign-in", phone], "");
        self.ym_as(agent, &["agents", "ready"], "");
    }

    /// Waits until the one live call is at this stage.
    pub fn until_stage(&self, stage: &str) {
        self.until(&format!("the call is {stage}"), Duration::from_secs(20), |house| {
            house.ask_as("wang", &["calls", "live"])["calls"][0]["stage"] == stage
        });
    }

    /// The newest call record, once there are so many.
    pub fn call_record(&self, number: usize) -> Value {
        let mut found = Value::Null;
        self.until("the call is kept", Duration::from_secs(15), |house| {
            let calls = house.ask_as("wang", &["calls", "list"])["calls"].take();
            found = calls[0].clone();
            calls.as_array().is_some_and(|calls| calls.len() == number)
        });
        found
    }

    fn change_password(&self, name: &str, old: &str) {
        self.ym_as(name, &["password", name], &format!("{old}\nHarbour-lights-9\n"));
        self.log_in(name);
    }

    /// Logs in with `ym`, as a person with an authenticator app would where one is wanted: what `ym` says of it
    /// is read, and its code typed. A code counts once: whoever comes again types the one that the app shows next.
    pub fn log_in(&self, name: &str) {
        let mut command = self.ym_of(name);
        command.args(["login", name]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut keys = child.stdin.take().unwrap();
        writeln!(keys, "Harbour-lights-9").unwrap();
        if self.secret(name).is_some() {
            writeln!(keys, "{}", self.code(name, 1)).unwrap();
        }
        let mut told = String::new();
        let mut screen = BufReader::new(child.stderr.take().unwrap());
        while screen.read_line(&mut told).unwrap() > 0 {
            let offered = told.split_once("?secret=").and_then(|(_, rest)| rest.split_once('&'));
            if let Some((secret, _)) = offered {
                fs::write(self.folder.path().join("people").join(name).join("factor"), secret).unwrap();
                writeln!(keys, "{}", self.code(name, 0)).unwrap();
                break;
            }
        }
        drop(keys);
        screen.read_to_string(&mut told).unwrap();
        assert!(child.wait().unwrap().success(), "ym login {name}: {told}");
    }

    /// The secret of this person's app, where there is one.
    pub fn secret(&self, name: &str) -> Option<String> {
        fs::read_to_string(self.folder.path().join("people").join(name).join("factor")).ok()
    }

    /// The console's address and port.
    pub fn console(&self) -> String {
        let settings = fs::read_to_string(self.folder.path().join("appliance.toml")).unwrap();
        let console = settings.split_once("[console]").expect("the section").1;
        console.split('"').nth(1).expect("its address").to_owned()
    }

    /// The code that this person's app shows so many steps from now.
    pub fn code(&self, name: &str, steps: i64) -> String {
        let secret = fs::read_to_string(self.folder.path().join("people").join(name).join("factor")).unwrap();
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos();
        let now = i64::try_from(now).unwrap() + steps * 30_000_000_000;
        FactorSecret::of_base32(&secret).unwrap().code(Utc(now))
    }

    /// Where the house lives.
    pub fn home(&self) -> PathBuf {
        self.folder.path().join("home")
    }

    /// `ym` as this person; its standard output.
    ///
    /// # Panics
    /// It failed.
    pub fn ym_as(&self, person: &str, arguments: &[&str], input: &str) -> String {
        let output = self.try_ym_as(person, arguments, input);
        assert!(output.status.success(), "ym {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// `ym --json` as this person; its reply.
    pub fn ask_as(&self, person: &str, arguments: &[&str]) -> Value {
        serde_json::from_str(&self.ym_as(person, &[&["--json"], arguments].concat(), "")).unwrap()
    }

    /// `ym` as this person in this time zone; its standard output.
    ///
    /// # Panics
    /// It failed.
    pub fn ym_in(&self, person: &str, zone: &str, arguments: &[&str]) -> String {
        let mut command = self.ym_of(person);
        let output = command.args(arguments).env("TZ", zone).stdin(Stdio::null()).output().unwrap();
        assert!(output.status.success(), "ym {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// `ym` as this person in this language (LC_ALL), whatever comes of it.
    pub fn try_ym_in_language(&self, person: &str, language: &str, arguments: &[&str]) -> Output {
        let mut command = self.ym_of(person);
        command.args(arguments).env("LC_ALL", language).stdin(Stdio::null()).output().unwrap()
    }

    fn ym_of(&self, person: &str) -> Command {
        let sessions = self.folder.path().join("people").join(person);
        fs::create_dir_all(&sessions).unwrap();
        let mut command = self.ym_command();
        command.env("XDG_RUNTIME_DIR", sessions);
        command
    }

    /// `ym` as this person, whatever comes of it.
    pub fn try_ym_as(&self, person: &str, arguments: &[&str], input: &str) -> Output {
        let mut command = self.ym_of(person);
        command.args(arguments);
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        child.wait_with_output().unwrap()
    }

    /// The process of a daemon, as the status tells it.
    pub fn daemon(&self, name: &str) -> Value {
        let text = fs::read_to_string(self.home().join("run/status.json")).unwrap();
        let status: Value = serde_json::from_str(&text).unwrap();
        status["daemons"].as_array().unwrap().iter().find(|daemon| daemon["name"] == name).unwrap().clone()
    }

    /// Waits until something holds.
    ///
    /// # Panics
    /// It does not in time; then what the house wrote is shown.
    pub fn until(&self, what: &str, patience: Duration, mut holds: impl FnMut(&Self) -> bool) {
        let deadline = Instant::now() + patience;
        while !holds(self) {
            if Instant::now() >= deadline {
                let log = fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
                let tail: Vec<&str> = log.lines().rev().take(60).collect();
                panic!(
                    "{what}: not within {patience:?}\n{}",
                    tail.into_iter().rev().collect::<Vec<_>>().join("\n")
                );
            }
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// The data key of a recording's segment, as only someone with the token and its passphrase can have it.
    pub fn data_key(&self, recording: &str, segment: u32) -> String {
        let key = self.home().join("key");
        let passphrase = fs::read(key.join("passphrase")).unwrap().trim_ascii().to_vec();
        let token = token::Soft::open(&key.join("token"), &token::Passphrase::new(passphrase)).unwrap();
        let wrapped = fs::read(self.home().join(format!("record/keys/{recording}-{segment}.dek"))).unwrap();
        let wrapped = envelope::WrappedDek::from_bytes(&wrapped).unwrap();
        let dek = token::Token::unwrap(&token, &wrapped).unwrap();
        dek.bytes().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Ends every process of the house at once, as a loss of power does.
    pub fn lose_power(&mut self) {
        let Some(mut supervisor) = self.supervisor.take() else { return };
        supervisor.kill().ok();
        supervisor.wait().unwrap();
        // The supervisor's end ends every daemon (PR_SET_PDEATHSIG); none holds the home for longer.
        let home = self.home();
        self.until("every daemon is gone", Duration::from_secs(10), |_| !is_somebodys_home(&home));
    }

    /// Ends the supervisor and with it the house.
    pub fn down(&mut self) {
        if let Some(mut supervisor) = self.supervisor.take() {
            let pid = supervisor.id().to_string();
            Command::new("kill").args(["-TERM", &pid]).status().unwrap();
            supervisor.wait().unwrap();
        }
    }

    fn ym_command(&self) -> Command {
        let mut command = Command::new(program("ym"));
        command.arg("--home").arg(self.home()).env("LC_ALL", "C.UTF-8");
        command
    }
}

impl Drop for House {
    fn drop(&mut self) {
        self.down();
    }
}

/// A program that was built beside this test: `target/PROFILE/deps/TEST` is where it runs.
pub fn program(name: &str) -> PathBuf {
    let here = env::current_exe().unwrap();
    let path = here.ancestors().nth(2).unwrap().join(name);
    assert!(path.is_file(), "{} is missing: cargo build --workspace", path.display());
    path
}

/// Whether a process works in this directory or below it.
fn is_somebodys_home(home: &Path) -> bool {
    let processes = fs::read_dir("/proc").unwrap().flatten();
    processes
        .filter_map(|process| fs::read_link(process.path().join("cwd")).ok())
        .any(|cwd| cwd.starts_with(home))
}

/// The repository.
pub fn repository() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}
