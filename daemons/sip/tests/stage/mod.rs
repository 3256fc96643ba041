//! The real daemon on a stage: a host that gives settings, a route that listens and commands, a supervisor
//! that hands descriptors over, and the machine's loopback as the network.
#![allow(dead_code, reason = "each test file uses its part")]

use route_api::{AttachSignalling, Cause, EndedBy, SignallingCommand, SignallingEvent};
use serde_json::{Value, json};
use std::{
    fs::{self, File},
    io::{BufRead, BufReader, Write},
    net::UdpSocket,
    os::{
        fd::OwnedFd,
        unix::net::{UnixListener, UnixStream},
    },
    path::Path,
    process::{Child, Command, Stdio},
    sync::{
        Arc, Mutex,
        mpsc::{Receiver, Sender, channel},
    },
    thread,
    time::{Duration, Instant},
};
use types::LegId;

pub const PASSWORD: &str = "Yanmen-8001-demo";
const PATIENCE: Duration = Duration::from_secs(20);

/// What route was told.
#[derive(Debug)]
pub enum Told {
    Attach(AttachSignalling),
    Event(SignallingEvent),
}

type Reaction = dyn Fn(&SignallingEvent) -> Vec<SignallingCommand> + Send + Sync;

pub struct Stage {
    home: tempfile::TempDir,
    /// Ours, as the supervisor keeps it.
    socket: UdpSocket,
    memory: Option<File>,
    child: Option<Child>,
    told: Receiver<Told>,
    commands: Arc<Mutex<Option<UnixStream>>>,
}

impl Stage {
    /// A daemon that serves, with trunks at these addresses.
    pub fn new(trunks: &[&UdpSocket]) -> Self {
        Self::reacting(trunks, |_| Vec::new())
    }

    /// The same with a route that answers events by itself.
    pub fn reacting(
        trunks: &[&UdpSocket],
        reaction: impl Fn(&SignallingEvent) -> Vec<SignallingCommand> + Send + Sync + 'static,
    ) -> Self {
        let home = tempfile::tempdir().unwrap();
        for directory in ["sip", "run/host", "run/route"] {
            fs::create_dir_all(home.path().join(directory)).unwrap();
        }
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let trunks: Vec<Value> = trunks
            .iter()
            .enumerate()
            .map(|(n, trunk)| json!({ "name": format!("trunk{n}"), "address": trunk.local_addr().unwrap() }))
            .collect();
        let section = json!({
            "bind": [socket.local_addr().unwrap()], "realm": "yanmen", "trunks": trunks,
            "phones": [{ "extension": "8001", "password": PASSWORD }],
        });
        host(&home.path().join("run/host/sip"), section);
        let (tell, told) = channel();
        let commands = Arc::default();
        route(&home.path().join("run/route/sip"), tell, Arc::clone(&commands), Arc::new(reaction));
        let mut stage = Self { home, socket, memory: None, child: None, told, commands };
        stage.start();
        stage
    }

    /// Starts the daemon with what the supervisor kept of its earlier life.
    pub fn start(&mut self) {
        let (count, names) = match self.memory {
            Some(_) => ("2", ":state.even"),
            None => ("1", ""),
        };
        let port = self.socket.local_addr().unwrap().port();
        let script = "LISTEN_PID=$$; export LISTEN_PID; exec \"$0\" 3<&0 4<&1 </dev/null >/dev/null 2>>log";
        let mut command = Command::new("sh");
        command.args(["-c", script, env!("CARGO_BIN_EXE_sip")]).current_dir(self.home.path().join("sip"));
        command.env("LISTEN_FDS", count).env("LISTEN_FDNAMES", format!("udp.127.0.0.1-{port}{names}"));
        command.env("YANMEN_PRIVILEGES", "single").env_remove("YANMEN_RUN").env_remove("NOTIFY_SOCKET");
        let memory = self.memory.as_ref().map(|memory| OwnedFd::from(memory.try_clone().unwrap()));
        command.stdin(OwnedFd::from(self.socket.try_clone().unwrap()));
        command.stdout(memory.map_or_else(Stdio::null, Stdio::from));
        self.child = Some(command.spawn().unwrap());
    }

    /// kill -9. The supervisor still has the socket and the memory.
    pub fn kill(&mut self) {
        let mut child = self.child.take().unwrap();
        self.memory = Some(memory_of(child.id()));
        child.kill().unwrap();
        child.wait().unwrap();
    }

    pub fn pid(&self) -> u32 {
        self.child.as_ref().unwrap().id()
    }

    /// The address of the daemon.
    pub fn address(&self) -> String {
        self.socket.local_addr().unwrap().to_string()
    }

    pub fn attached(&self) -> AttachSignalling {
        match self.told.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("not attached: {}", self.log())) {
            Told::Attach(attach) => attach,
            other => panic!("{other:?}"),
        }
    }

    /// What was said before the attachment, and the attachment.
    pub fn attached_again(&self) -> (Vec<SignallingEvent>, AttachSignalling) {
        let mut again = Vec::new();
        loop {
            match self.told.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("not attached: {}", self.log()))
            {
                Told::Attach(attach) => return (again, attach),
                Told::Event(event) => again.push(event),
            }
        }
    }

    /// The end of a leg.
    pub fn end(&self) -> (LegId, Cause, EndedBy) {
        match self.event() {
            SignallingEvent::Ended { leg, cause, by, .. } => (leg, cause, by),
            other => panic!("{other:?}"),
        }
    }

    pub fn event(&self) -> SignallingEvent {
        match self.told.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("no event: {}", self.log())) {
            Told::Event(event) => event,
            other => panic!("{other:?}"),
        }
    }

    /// Every event that came so far.
    pub fn events(&self) -> Vec<SignallingEvent> {
        self.told
            .try_iter()
            .filter_map(|told| if let Told::Event(e) = told { Some(e) } else { None })
            .collect()
    }

    pub fn command(&self, command: SignallingCommand) {
        let mut stream = self.commands.lock().unwrap();
        reply(stream.as_mut().unwrap(), &json!(command), true);
    }

    pub fn log(&self) -> String {
        fs::read_to_string(self.home.path().join("sip/log")).unwrap_or_default()
    }

    /// Waits until something holds.
    pub fn until(&self, what: &str, mut holds: impl FnMut() -> bool) {
        let start = Instant::now();
        while !holds() {
            assert!(start.elapsed() < PATIENCE, "{what}: {}", self.log());
            thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().ok();
            child.wait().ok();
        }
    }
}

/// The memory in which a process keeps its calls, as its supervisor holds it too.
fn memory_of(pid: u32) -> File {
    let descriptors = fs::read_dir(format!("/proc/{pid}/fd")).unwrap().map(|entry| entry.unwrap().path());
    let named = |path: &std::path::PathBuf| {
        fs::read_link(path).is_ok_and(|target| target.to_string_lossy().contains("memfd:sip-state"))
    };
    let path = descriptors.into_iter().find(named).expect("the daemon keeps its calls in a memfd");
    File::options().read(true).write(true).open(path).unwrap()
}

fn host(path: &Path, section: Value) {
    let listener = UnixListener::bind(path).unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let (mut stream, section) = (stream.unwrap(), section.clone());
            thread::spawn(move || {
                let mut read = BufReader::new(stream.try_clone().unwrap());
                while call(&mut read).is_some() {
                    reply(&mut stream, &json!({ "version": 1, "sections": { "sip": section } }), true);
                }
            });
        }
    });
}

fn route(path: &Path, tell: Sender<Told>, commands: Arc<Mutex<Option<UnixStream>>>, reaction: Arc<Reaction>) {
    let listener = UnixListener::bind(path).unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let (mut stream, tell) = (stream.unwrap(), tell.clone());
            let (commands, reaction) = (Arc::clone(&commands), Arc::clone(&reaction));
            thread::spawn(move || {
                let mut read = BufReader::new(stream.try_clone().unwrap());
                while let Some((method, mut parameters)) = call(&mut read) {
                    if method.ends_with("AttachSignalling") {
                        *commands.lock().unwrap() = Some(stream.try_clone().unwrap());
                        // A test that is over listens no more.
                        tell.send(Told::Attach(serde_json::from_value(parameters).unwrap())).ok();
                        reply(&mut stream, &json!({ "attached": {} }), true);
                    } else {
                        let event: SignallingEvent =
                            serde_json::from_value(parameters["event"].take()).unwrap();
                        reply(&mut stream, &json!({}), false);
                        for command in reaction(&event) {
                            reply(commands.lock().unwrap().as_mut().unwrap(), &json!(command), true);
                        }
                        tell.send(Told::Event(event)).ok();
                    }
                }
            });
        }
    });
}

/// The next call of Varlink's wire: NUL-terminated JSON.
fn call(read: &mut impl BufRead) -> Option<(String, Value)> {
    let mut bytes = Vec::new();
    read.read_until(0, &mut bytes).ok().filter(|length| *length > 0)?;
    bytes.pop();
    let mut call: Value = serde_json::from_slice(&bytes).unwrap();
    Some((call["method"].as_str().unwrap().to_owned(), call["parameters"].take()))
}

fn reply(stream: &mut UnixStream, parameters: &Value, continues: bool) {
    let mut bytes = json!({ "parameters": parameters, "continues": continues }).to_string().into_bytes();
    bytes.push(0);
    // The daemon may have been killed meanwhile.
    stream.write_all(&bytes).ok();
}
