//! sip on a stage: a route that listens and commands, and the machine's loopback as the network.

use crate::{Answers, PATIENCE, Stage, supervisor::Supervisor};
use route_api::{AttachSignalling, Cause, EndedBy, SignallingCommand, SignallingEvent, TrunkStanding};
use serde_json::{Value, json};
use std::{
    net::{SocketAddr, TcpListener, UdpSocket},
    path::PathBuf,
    sync::{
        Arc, Mutex,
        mpsc::{Receiver, channel},
    },
    thread,
    time::{Duration, Instant},
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
    supervisor: Supervisor,
    address: SocketAddr,
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
        let trunk = |(number, socket): (usize, &&UdpSocket)| {
            let address = socket.local_addr().unwrap();
            json!({ "name": format!("trunk{number}"), "address": address, "check": "0s" })
        };
        let trunks: Vec<Value> = trunks.iter().enumerate().map(trunk).collect();
        Self::with(program, &json!({ "trunks": trunks }), reaction)
    }

    /// The same with these settings of `[sip]` beside or in place of the usual ones.
    pub fn with(
        program: impl Into<PathBuf>,
        settings: &Value,
        reaction: impl Fn(&SignallingEvent) -> Vec<SignallingCommand> + Send + Sync + 'static,
    ) -> Self {
        let stage = Stage::new("sip", program);
        let supervisor = Supervisor::at(&stage.home().join("notify"));
        let address = settings["bind"][0].as_str().map_or_else(free, |bind| bind.parse().unwrap());
        let mut section = json!({
            "bind": [address], "realm": "yanmen",
            "phones": [{ "extension": "8001", "password": PASSWORD }],
        });
        for (key, value) in settings.as_object().unwrap() {
            section[key] = value.clone();
        }
        stage.neighbour("host", move |_, answers| {
            answers.one_of_many(&json!({ "version": 1, "sections": { "sip": section } }));
        });
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
        let mut signalling = Self { stage, supervisor, address, told, commands };
        signalling.start();
        signalling
    }

    /// Starts the daemon with what the supervisor kept of its earlier life.
    pub fn start(&mut self) {
        let notify = self.stage.home().join("notify");
        self.stage.start_supervised(&self.supervisor.kept(), &notify);
    }

    /// kill -9. The supervisor still has what it was given.
    pub fn kill(&mut self) {
        // What the daemon gave away a moment ago is on its way to the supervisor.
        thread::sleep(Duration::from_millis(50));
        self.stage.kill();
    }

    /// The names of what the supervisor keeps.
    pub fn kept(&self) -> Vec<String> {
        self.supervisor.kept().into_iter().map(|(name, _)| name).collect()
    }

    /// The directory of the daemon.
    pub fn directory(&self) -> PathBuf {
        self.stage.directory()
    }

    /// The process of the daemon.
    pub fn pid(&self) -> u32 {
        self.stage.pid()
    }

    /// The address of the daemon.
    pub fn address(&self) -> String {
        self.address.to_string()
    }

    /// Waits until the daemon attaches to route.
    ///
    /// # Panics
    /// Something else comes first, or nothing in time.
    pub fn attached(&self) -> AttachSignalling {
        match self.told.recv_timeout(PATIENCE).expect("the daemon attaches") {
            Told::Attach(attach) => attach,
            Told::Event(SignallingEvent::Standing { .. }) => self.attached(),
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
                Told::Event(SignallingEvent::Standing { .. }) => {}
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

    /// How a trunk stands, once that is told of it.
    ///
    /// # Panics
    /// It is not in time.
    pub fn standing(&self, holds: impl Fn(&TrunkStanding) -> bool) -> TrunkStanding {
        let (start, mut last) = (Instant::now(), None);
        while start.elapsed() < PATIENCE {
            match self.told.recv_timeout(PATIENCE) {
                Ok(Told::Event(SignallingEvent::Standing { standing, .. })) if holds(&standing) => {
                    return standing;
                }
                Ok(Told::Event(SignallingEvent::Standing { standing, .. })) => last = Some(standing),
                Ok(_) => {}
                Err(_) => break,
            }
        }
        panic!("the trunk never stood so, but {last:?}")
    }

    /// The next event; how trunks stand is told beside.
    ///
    /// # Panics
    /// Something else comes first, or nothing in time.
    pub fn event(&self) -> SignallingEvent {
        match self.told.recv_timeout(PATIENCE).expect("an event comes") {
            Told::Event(SignallingEvent::Standing { .. }) => self.event(),
            Told::Event(event) => event,
            other => panic!("{other:?}"),
        }
    }

    /// Every event that came so far.
    pub fn events(&self) -> Vec<SignallingEvent> {
        let event = |told| match told {
            Told::Event(SignallingEvent::Standing { .. }) | Told::Attach(_) => None,
            Told::Event(event) => Some(event),
        };
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

/// An address that is free for datagrams and for connections.
pub fn free() -> SocketAddr {
    loop {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        if TcpListener::bind(address).is_ok() {
            return address;
        }
    }
}
