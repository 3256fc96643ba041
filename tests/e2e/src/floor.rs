//! A house with many seats: queues of their own, each with its number, its agents and their phones, and short words
//! before them.

use crate::{House, ua::Line, voice::Voice};
use serde_json::Value;
use std::{path::Path, process::Command, thread, time::Duration};

/// The password of every phone of a floor.
pub const PASSWORD: &str = "Wild-Geese-9000";

/// One queue: callers of its number hear the announcement and wait here.
#[derive(Clone, Copy, Debug)]
pub struct Queue {
    /// How many agents serve it, the first with the highest skill.
    pub seats: u8,
    /// How long a caller waits at most.
    pub max_wait: &'static str,
    /// Whether a long greeting comes first.
    pub greeting: bool,
}

impl Queue {
    /// A queue with so many agents.
    pub const fn of(seats: u8) -> Self {
        Self { seats, max_wait: "5m", greeting: false }
    }
}

/// What happens in one queue, of that number.
pub type Scene = fn(&Floor, u8);

/// A house with its floor, and the carrier before it.
pub struct Floor {
    /// The house.
    pub house: House,
    /// Who calls.
    pub carrier: Line,
}

impl Floor {
    /// Starts a house with these queues; everybody has an account, nobody is signed in.
    pub fn start(queues: &[Queue]) -> Self {
        Self::start_as(queues, |settings| settings)
    }

    /// The same with its settings as changed here.
    pub fn start_as(queues: &[Queue], change: impl FnOnce(String) -> String) -> Self {
        let house = House::start_as(400, |folder, settings| {
            for prompt in ["recorded", "closing"] {
                brief(&folder.join("prompts").join(format!("{prompt}.wav")));
            }
            change(settings + &described(queues))
        });
        house.officers();
        let names: Vec<String> = seats(queues).map(|(queue, seat)| agent(queue, seat)).collect();
        let hire = |names: &[String]| names.iter().for_each(|name| house.person(name, "agent"));
        thread::scope(|scope| {
            let halves = names.split_at(names.len() / 2);
            scope.spawn(|| hire(halves.0));
            hire(halves.1);
            house.person("wang", "supervisor");
        });
        let carrier = Line::carrier(&house);
        Self { house, carrier }
    }

    /// Registers the phone of a seat, signs its agent in there, and makes the agent ready.
    pub fn sit(&self, queue: u8, seat: u8) -> Line {
        let (extension, agent) = (extension(queue, seat), agent(queue, seat));
        let phone = Line::phone(&self.house, &extension, PASSWORD);
        self.house.ym_as(&agent, &["agents", "sign-in", &extension], "");
        // Route hears of the phone a moment after the phone does.
        self.house.until("the agent is ready", Duration::from_secs(20), |house| {
            house.try_ym_as(&agent, &["agents", "ready"], "").status.success()
        });
        phone
    }

    /// Makes the agent of a seat ready again.
    pub fn ready(&self, queue: u8, seat: u8) {
        self.house.ym_as(&agent(queue, seat), &["agents", "ready"], "");
    }

    /// The state of the agent of a seat.
    pub fn state(&self, queue: u8, seat: u8) -> Value {
        let mut list = self.house.ask_as("wang", &["agents", "list"]);
        let agents = list["agents"].as_array_mut().unwrap();
        let name = agent(queue, seat);
        agents.iter_mut().find(|found| found["agent"] == name.as_str()).unwrap()["state"].take()
    }

    /// Waits until the agent of a seat is in that state.
    pub fn until_state(&self, queue: u8, seat: u8, wanted: &Value) {
        self.house.until(&format!("agent {queue}/{seat} is {wanted}"), crate::ua::PATIENCE, |_| {
            self.state(queue, seat) == *wanted
        });
    }

    /// Waits until the agent of a seat has no call any more.
    pub fn until_settled(&self, queue: u8, seat: u8) {
        self.house.until(&format!("agent {queue}/{seat} is free"), crate::ua::PATIENCE, |_| {
            let state = self.state(queue, seat);
            state == "ready" || state["aux"].is_string()
        });
    }

    /// Waits until the call to this queue is at this stage.
    pub fn until_stage(&self, queue: u8, stage: &str) {
        let number = number(queue);
        self.house.until(&format!("the call to {number} is {stage}"), crate::ua::PATIENCE, |house| {
            let list = house.ask_as("wang", &["calls", "live"]);
            let mut calls = list["calls"].as_array().unwrap().iter();
            calls.any(|call| call["dialled"] == number.as_str() && call["stage"] == stage)
        });
    }

    /// The record of the call whose caller's leg has this Call-ID, once it is kept.
    pub fn record(&self, call_id: &str) -> Value {
        let mut found = Value::Null;
        self.house.until(&format!("{call_id} is kept"), crate::ua::PATIENCE, |house| {
            let mut list = house.ask_as("wang", &["calls", "list", "--limit", "200"]);
            let calls = list["calls"].as_array_mut().unwrap();
            let mut of = calls.iter_mut().filter(|call| {
                call["legs"].as_array().unwrap().iter().any(|leg| leg["reference"] == call_id)
            });
            found = of.next().map(Value::take).unwrap_or_default();
            assert!(of.next().is_none(), "{call_id} has two records");
            !found.is_null()
        });
        found
    }

    /// The sound of a recorded call, as it is exported.
    pub fn sound(&self, record: &Value) -> Vec<u8> {
        let recording =
            record["recording"]["yes"]["recording"].as_str().unwrap_or_else(|| panic!("{record:#}"));
        let out = self.house.folder.path().join(format!("{recording}.wav"));
        let path = out.display().to_string();
        self.house.until("the recording is whole", crate::ua::PATIENCE, |house| {
            house.ask_as("wang", &["recordings", "show", recording])["state"] == "sealed"
        });
        let arguments = ["recordings", "export", recording, "--reason", "proof", "--out", &path];
        self.house.ym_as("wang", &arguments, "");
        std::fs::read(out).unwrap()
    }

    /// Plays all scenes at once, each with the queue of its place.
    pub fn play(&self, scenes: impl IntoIterator<Item = Scene>) {
        thread::scope(|scope| {
            for (scene, queue) in scenes.into_iter().zip(0..) {
                thread::Builder::new()
                    .name(format!("scene {queue}"))
                    .spawn_scoped(scope, move || scene(self, queue))
                    .unwrap();
            }
        });
    }

    /// Asserts that nothing is left of any call: no live call, no port of RTP, no daemon that had to begin again.
    pub fn nothing_is_left(&self) {
        self.house.until("no call is live", crate::ua::PATIENCE, |house| {
            house.ask_as("wang", &["calls", "live"])["calls"].as_array().unwrap().is_empty()
        });
        self.house.until("every port is free again", crate::ua::PATIENCE, |house| {
            house.media.clone().all(|port| std::net::UdpSocket::bind(("127.0.0.1", port)).is_ok())
        });
        for daemon in ["sip", "media", "route", "record", "report", "audit"] {
            assert_eq!(self.house.daemon(daemon)["restarts"], 0, "{daemon}");
        }
    }
}

/// Two voices that hear each other over the house.
pub fn talk(caller: &Voice, phone: &Voice) {
    caller.hears(phone, 25);
    phone.hears(caller, 25);
}

/// The number that leads to a queue.
pub fn number(queue: u8) -> String {
    format!("7{queue:02}")
}

/// The phone of a seat.
pub fn extension(queue: u8, seat: u8) -> String {
    format!("9{queue:02}{seat:02}")
}

/// The agent of a seat.
pub fn agent(queue: u8, seat: u8) -> String {
    format!("agent-{queue:02}-{seat:02}")
}

fn seats(queues: &[Queue]) -> impl Iterator<Item = (u8, u8)> {
    (0..).zip(queues).flat_map(|(number, queue)| (0..queue.seats).map(move |seat| (number, seat)))
}

/// A fifth of a second of a tone, in place of a sentence.
fn brief(prompt: &Path) {
    let mut command = Command::new("sox");
    command
        .args(["-n", "-r", "8000", "-c", "1", "-b", "16"])
        .arg(prompt)
        .args(["synth", "0.2", "sine", "440"]);
    assert!(command.status().expect("sox: apt-get install sox").success());
}

fn described(queues: &[Queue]) -> String {
    let mut text = String::new();
    for (at, queue) in (0..).zip(queues) {
        let (number, greeting) = (number(at), if queue.greeting { "{ play = \"greeting\" }, " } else { "" });
        text += &format!(
            "\n[[route.numbers]]\ndialled = \"{number}\"\nflow = \"f{number}\"\n\n\
             [[route.flows]]\nname = \"f{number}\"\n\
             steps = [{greeting}{{ announce = \"recorded\" }}, {{ queue = \"q{number}\" }}, {{ play = \"closing\" }}]\n\n\
             [[route.queues]]\nname = \"q{number}\"\nring = \"3s\"\nwrap_up = \"1s\"\nmax_wait = \"{}\"\n",
            queue.max_wait
        );
    }
    for (queue, seat) in seats(queues) {
        let (extension, agent, level) = (extension(queue, seat), agent(queue, seat), 10 - seat.min(9));
        text += &format!(
            "\n[[sip.phones]]\nextension = \"{extension}\"\npassword = \"{PASSWORD}\"\n\n\
             [[route.agents]]\nname = \"{agent}\"\nextension = \"{extension}\"\n\
             queues = [{{ queue = \"q{}\", level = {level} }}]\n",
            number(queue)
        );
    }
    text
}
