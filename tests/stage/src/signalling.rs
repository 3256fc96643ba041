//! sip on a stage: a route that listens and commands, and the machine's loopback as the network.

use crate::{Answers, PATIENCE, Stage};
use route_api::{AttachSignalling, Cause, EndedBy, SignallingCommand, SignallingEvent};
use serde_json::json;
use std::{
    fs::{self, File},
    net::UdpSocket,
    os::fd::OwnedFd,
    path::PathBuf,
    sync::{
        Arc, Mutex,
        mpsc::{Receiver, channel},
    },
};
use types::LegId;

/// The password of the phone 8001.
pub const PASSWORD: &str = "Yanmen-8001-demo";

/// What route was told.
#[derive(Debug)]
pub enum Told {
    /// The edge attached.
    Attach(AttachSignalling),
    /// Something happened.
    Event(SignallingEvent),
}

/// The daemon sip, a route that the test plays, and what a supervisor keeps.
pub struct Signalling {
    stage: Stage,
    /// Ours, as the supervisor keeps it.
    socket: UdpSocket,
    memory: Option<File>,
    told: Receiver<Told>,
    commands: Arc<Mutex<Option<Answers>>>,
}

impl Signalling {
    /// A daemon that serves, with trunks at these addresses and the phone 8001; route answers events by
    /// itself as `reaction` says.
    pub fn new(
        program: impl Into<PathBuf>,
        trunks: &[&UdpSocket],
        reaction: impl Fn(&SignallingEvent) -> Vec<SignallingCommand> + Send + Sync + 'static,
    ) -> Self {
        let stage = Stage::new("sip", program);
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let mut settings = format!(
            "[sip]\nbind = [\"{}\"]\nrealm = \"yanmen\"\n[[sip.phones]]\nextension = \"8001\"\npassword = \"{PASSWORD}\"\n",
            socket.local_addr().unwrap()
        );
        for (number, trunk) in trunks.iter().enumerate() {
            let address = trunk.local_addr().unwrap();
            settings += &format!("[[sip.trunks]]\nname = \"trunk{number}\"\naddress = \"{address}\"\n");
        }
        stage.settings(&settings);
        let (tell, told) = channel();
        let commands: Arc<Mutex<Option<Answers>>> = Arc::default();
        let commanded = Arc::clone(&commands);
        stage.neighbour("route", move |mut asked, answers| {
            if asked.method == "AttachSignalling" {
                // First of all: a command before it would break the stream.
                answers.one_of_many(&json!({ "attached": {} }));
                *commanded.lock().unwrap() = Some(answers.shared());
                // A test that is over listens no more.
                let _over = tell.send(Told::Attach(serde_json::from_value(asked.parameters).unwrap()));
            } else {
                let event: SignallingEvent =
                    serde_json::from_value(asked.parameters["event"].take()).unwrap();
                answers.only(&json!({}));
                for command in reaction(&event) {
                    commanded.lock().unwrap().as_mut().unwrap().one_of_many(&json!(command));
                }
                let _over = tell.send(Told::Event(event));
            }
        });
        let mut signalling = Self { stage, socket, memory: None, told, commands };
        signalling.start();
        signalling
    }

    /// Starts the daemon with what the supervisor kept of its earlier life.
    pub fn start(&mut self) {
        let port = self.socket.local_addr().unwrap().port();
        let socket = (format!("udp.127.0.0.1-{port}"), OwnedFd::from(self.socket.try_clone().unwrap()));
        match &self.memory {
            Some(memory) => {
                let memory = ("state.even".to_owned(), OwnedFd::from(memory.try_clone().unwrap()));
                self.stage.start([socket, memory]);
            }
            None => self.stage.start([socket]),
        }
    }

    /// kill -9. The supervisor still has the socket and the memory.
    pub fn kill(&mut self) {
        self.memory = Some(memory_of(self.stage.pid()));
        self.stage.kill();
    }

    /// The process of the daemon.
    pub fn pid(&self) -> u32 {
        self.stage.pid()
    }

    /// The address of the daemon.
    pub fn address(&self) -> String {
        self.socket.local_addr().unwrap().to_string()
    }

    /// Waits until the daemon attaches to route.
    ///
    /// # Panics
    /// Something else comes first, or nothing in time.
    pub fn attached(&self) -> AttachSignalling {
        match self.told.recv_timeout(PATIENCE).expect("the daemon attaches") {
            Told::Attach(attach) => attach,
            other => panic!("{other:?}"),
        }
    }

    /// What was said before the attachment, and the attachment.
    ///
    /// # Panics
    /// It does not come in time.
    pub fn attached_again(&self) -> (Vec<SignallingEvent>, AttachSignalling) {
        let mut again = Vec::new();
        loop {
            match self.told.recv_timeout(PATIENCE).expect("the daemon attaches") {
                Told::Attach(attach) => return (again, attach),
                Told::Event(event) => again.push(event),
            }
        }
    }

    /// The end of a leg.
    ///
    /// # Panics
    /// Something else comes first, or nothing in time.
    pub fn end(&self) -> (LegId, Cause, EndedBy) {
        match self.event() {
            SignallingEvent::Ended { leg, cause, by, .. } => (leg, cause, by),
            other => panic!("{other:?}"),
        }
    }

    /// The next event.
    ///
    /// # Panics
    /// Something else comes first, or nothing in time.
    pub fn event(&self) -> SignallingEvent {
        match self.told.recv_timeout(PATIENCE).expect("an event comes") {
            Told::Event(event) => event,
            other => panic!("{other:?}"),
        }
    }

    /// Every event that came so far.
    pub fn events(&self) -> Vec<SignallingEvent> {
        let event = |told| if let Told::Event(event) = told { Some(event) } else { None };
        self.told.try_iter().filter_map(event).collect()
    }

    /// Route wants something.
    pub fn command(&self, command: SignallingCommand) {
        self.commands.lock().unwrap().as_mut().unwrap().one_of_many(&json!(command));
    }

    /// What the daemon wrote.
    pub fn log(&self) -> String {
        self.stage.log()
    }

    /// Waits until something holds.
    pub fn until(&self, what: &str, holds: impl FnMut() -> bool) {
        self.stage.until(what, holds);
    }
}

/// The memory in which a process keeps its calls, as its supervisor holds it too.
fn memory_of(pid: u32) -> File {
    let descriptors = fs::read_dir(format!("/proc/{pid}/fd")).unwrap().map(|entry| entry.unwrap().path());
    let named = |path: &PathBuf| {
        fs::read_link(path).is_ok_and(|target| target.to_string_lossy().contains("memfd:sip-state"))
    };
    let path = descriptors.into_iter().find(named).expect("the daemon keeps its calls in a memfd");
    File::options().read(true).write(true).open(path).unwrap()
}
