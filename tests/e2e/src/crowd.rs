//! Many calls at once: SIPp in the place of the carrier and of all phones, which answer at once and say what they
//! hear. What is asked of a crowd is that none of its calls is lost from any book.

use crate::{House, PHONES, free_udp_port};
use serde_json::Value;
use std::{
    fs,
    path::Path,
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU16, Ordering},
    thread,
    time::{Duration, Instant},
};
use tempfile::TempDir;

/// Where houses of crowds receive RTP, and callers of crowds: beside the ports of other tests and of the kernel's own
/// choice, for each crowd of this process a thousand.
const HOUSES: u16 = 11_000;
const CALLERS: u16 = 15_000;
static CROWDS: AtomicU16 = AtomicU16::new(0);
const FIRST_EXTENSION: usize = 7001;
/// The password of every phone of a crowd.
const PASSWORD: &str = PHONES[0].1;

/// A number of an environment variable, else this one: `make test` does with few of what a release does with many.
pub fn number(variable: &str, otherwise: usize) -> usize {
    std::env::var(variable).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

/// A house whose agents are as many as the crowd wants.
pub struct Crowd {
    /// The house.
    pub house: House,
    agents: usize,
    talk: Duration,
    phones: Phones,
    /// The first port of its callers' media.
    media: u16,
}

impl Crowd {
    /// Starts a house in this folder with so many agents, all ready, each at a phone that answers and hangs up after
    /// `talk`; `record` are lines for the section of that name.
    pub fn start(folder: TempDir, agents: usize, talk: Duration, record: &str) -> Self {
        let thousand = 1_000 * (CROWDS.fetch_add(1, Ordering::Relaxed) % 4);
        let ports = format!("{}-{}", HOUSES + thousand, HOUSES + thousand + 999);
        let house = House::start_in(folder, |settings| settings_for(&settings, agents, &ports, record));
        house.officers();
        house.person("wang", "supervisor");
        let phones = Phones::start(&house, agents, talk);
        shared(agents, |agent| {
            house.person(&name(agent), "agent");
            go_to_work(&house, agent);
        });
        Self { house, agents, talk, phones, media: CALLERS + thousand }
    }

    /// Ends every process of the house and all phones at once, as a loss of power does.
    pub fn lose_power(&mut self) {
        self.house.lose_power();
        self.phones.vanish();
    }

    /// Starts the house again; phones register anew, and everybody logs in and goes back to work.
    pub fn come_back(&mut self) {
        self.house.up();
        self.phones = Phones::start(&self.house, self.agents, self.talk);
        for name in ["auditadmin", "wang"] {
            self.house.log_in(name);
        }
        shared(self.agents, |agent| {
            self.house.log_in(&name(agent));
            go_to_work(&self.house, agent);
        });
    }

    /// So many calls, so many a second; SIPp runs until all are over.
    pub fn call(&self, calls: usize, rate: f64) -> Callers {
        let folder = TempDir::new().unwrap();
        let speech = folder.path().join("speech.al");
        // A rising and falling tone is enough: each octet differs from its neighbours.
        let octets: Vec<u8> = (0..8_000_u32).map(|n| 0x55 ^ (n / 7 % 64) as u8).collect();
        fs::write(&speech, octets).unwrap();
        let scenario = include_str!("../peers/caller.xml")
            .replace("SPEECH", &speech.display().to_string())
            .replace("<!-- ENDING -->", crate::peer::AWAIT_BYE);
        fs::write(folder.path().join("caller.xml"), scenario).unwrap();
        let log = fs::File::create(folder.path().join("log")).unwrap();
        let every = Duration::from_secs_f64(1.0 / rate).as_millis().to_string();
        let sipp = Command::new("sipp")
            .current_dir(folder.path())
            .args(["-sf", "caller.xml", "-i", "127.0.0.1", "-nostdin", "-trace_err"])
            .args([
                "-m",
                &calls.to_string(),
                "-r",
                "1",
                "-rp",
                &every,
                "-l",
                "400",
                "-recv_timeout",
                "240000",
            ])
            .args(["-p", &self.house.trunk.to_string(), "-mp", &self.media.to_string()])
            .arg(format!("127.0.0.1:{}", self.house.sip))
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .expect("sipp: apt-get install sip-tester");
        Callers { sipp, folder }
    }

    /// Waits until the books are closed over so many calls and agree; what `ym reconcile` says then.
    ///
    /// # Panics
    /// They do not in time.
    pub fn reconciled(&self, calls: usize, patience: Duration) -> Value {
        let deadline = Instant::now() + patience;
        loop {
            let output = self.house.try_ym_as("auditadmin", &["--json", "reconcile"], "");
            let verdict: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
            let settled = verdict["going_on"] == 0 && verdict["calls"] == calls;
            if output.status.success() && settled {
                return verdict;
            }
            assert!(
                Instant::now() < deadline,
                "the books do not agree: {verdict:#} {}",
                String::from_utf8_lossy(&output.stderr)
            );
            thread::sleep(Duration::from_secs(1));
        }
    }
}

/// Does something for each agent, for some at a time.
fn shared(agents: usize, act: impl Fn(usize) + Sync) {
    const WORKERS: usize = 4;
    thread::scope(|scope| {
        for worker in 0..WORKERS {
            let act = &act;
            scope.spawn(move || (worker..agents).step_by(WORKERS).for_each(act));
        }
    });
}

fn go_to_work(house: &House, agent: usize) {
    let name = name(agent);
    house.ym_as(&name, &["agents", "sign-in", &extension(agent)], "");
    house.ym_as(&name, &["agents", "ready"], "");
}

/// The phones of all agents, in one SIPp.
struct Phones {
    sipp: Child,
    _folder: TempDir,
}

impl Phones {
    fn start(house: &House, agents: usize, talk: Duration) -> Self {
        let port = free_udp_port();
        register(house, port, agents);
        let folder = TempDir::new().unwrap();
        Self { sipp: answer(folder.path(), port, talk), _folder: folder }
    }

    fn vanish(&mut self) {
        // It may have ended by itself.
        self.sipp.kill().ok();
        self.sipp.wait().ok();
    }
}

impl Drop for Phones {
    fn drop(&mut self) {
        self.vanish();
    }
}

/// Calls on their way.
pub struct Callers {
    sipp: Child,
    folder: TempDir,
}

impl Callers {
    /// Whether all calls are over.
    pub fn over(&mut self) -> bool {
        self.sipp.try_wait().unwrap().is_some()
    }

    /// Waits for the end of all calls; what SIPp complains of where one did not go as written.
    pub fn ended(&mut self) -> Result<(), String> {
        if self.sipp.wait().unwrap().success() {
            return Ok(());
        }
        let files = fs::read_dir(self.folder.path()).unwrap().map(|entry| entry.unwrap().path());
        let errors = files.filter(|path| path.ends_with("log") || path.to_string_lossy().contains("errors"));
        let text: String = errors.map(|path| fs::read_to_string(path).unwrap_or_default()).collect();
        Err(text.lines().rev().take(1_000).collect::<Vec<_>>().join("\n"))
    }

    /// Ends SIPp in the middle of its calls.
    pub fn vanish(&mut self) {
        self.sipp.kill().ok();
        self.sipp.wait().ok();
    }
}

impl Drop for Callers {
    fn drop(&mut self) {
        self.vanish();
    }
}

fn name(agent: usize) -> String {
    format!("agent{agent}")
}

fn extension(agent: usize) -> String {
    (FIRST_EXTENSION + agent).to_string()
}

fn settings_for(demo: &str, agents: usize, ports: &str, record: &str) -> String {
    let mut settings = demo
        .replace("wrap_up = \"5s\"", "wrap_up = \"0s\"")
        .replace("    { play = \"greeting\" },\n", "")
        .replace("    { play = \"closing\" },\n", "")
        .replace("[record]\n", &format!("[record]\n{record}\n"));
    let line = settings.lines().find(|line| line.starts_with("ports = ")).unwrap().to_owned();
    settings = settings.replace(&line, &format!("ports = \"{ports}\""));
    for agent in 0..agents {
        let (name, extension) = (name(agent), extension(agent));
        settings += &format!(
            "\n[[sip.phones]]\nextension = \"{extension}\"\npassword = \"{PASSWORD}\"\n\
             \n[[route.agents]]\nname = \"{name}\"\nextension = \"{extension}\"\n\
             queues = [{{ queue = \"service\", level = 5 }}]\n"
        );
    }
    settings
}

fn register(house: &House, port: u16, agents: usize) {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("register.xml"), include_str!("../peers/register.xml")).unwrap();
    let rows: String = (0..agents)
        .map(extension)
        .map(|phone| format!("{phone};[authentication username={phone} password={PASSWORD}]\n"))
        .collect();
    fs::write(folder.path().join("phones.csv"), format!("SEQUENTIAL\n{rows}")).unwrap();
    let output = Command::new("sipp")
        .current_dir(folder.path())
        .args(["-sf", "register.xml", "-inf", "phones.csv", "-i", "127.0.0.1", "-nostdin"])
        .args(["-m", &agents.to_string(), "-r", "10", "-p", &port.to_string(), "-timeout", "30"])
        .arg(format!("127.0.0.1:{}", house.sip))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

fn answer(folder: &Path, port: u16, talk: Duration) -> Child {
    let scenario = include_str!("../peers/phone.xml").replace("TALK", &talk.as_millis().to_string());
    fs::write(folder.join("phone.xml"), scenario).unwrap();
    let log = fs::File::create(folder.join("log")).unwrap();
    Command::new("sipp")
        .current_dir(folder)
        .args(["-sf", "phone.xml", "-i", "127.0.0.1", "-nostdin", "-rtp_echo", "-trace_err"])
        .args(["-p", &port.to_string(), "-mp", &(free_udp_port() & !1).to_string()])
        .stdin(Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .spawn()
        .unwrap()
}
