//! Each daemon dies by kill -9 while one call talks, one rings, two wait and one is recorded. The gap that each
//! party hears is measured on the wire, what a recording lacks in its export, and both are held, with what
//! becomes of the call, to the table of `docs/survival.md`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr, reason = "tests")]

use e2e::{
    House, free_udp_port,
    peer::{self, Answers, Caller, HangUp, Line, PORTS, Phone, Speaking},
    repository,
    survival::{Cell, Pulse, STATES, State, now_us, promised},
    wire::{Capture, Heard, Rtp, heard},
};
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::Duration,
};

/// Who dies during the same five calls: those on the way of a call have theirs to themselves.
const ROUNDS: [&[&str]; 6] = [
    &["sip"],
    &["media"],
    &["route"],
    &["record"],
    &["audit", "key"],
    &["report", "auth", "host", "console"],
];
/// How long both parties are watched after a death, at the least.
const WATCHED: Duration = Duration::from_millis(1_500);
/// Before a death all is as it should be for so long.
const BEFORE: Duration = Duration::from_millis(300);
/// A death and for how long it was watched, in microseconds since 1970.
struct Death {
    daemon: &'static str,
    at: u64,
    until: u64,
    /// What was found to go on, by state.
    goes_on: BTreeMap<State, &'static str>,
}

/// A caller and the phone that it talks with, by the first of their ports.
#[derive(Clone, Copy)]
struct Pair {
    caller: u16,
    phone: Option<u16>,
}

#[test]
fn every_daemon_dies_at_every_state_of_a_call_and_keeps_what_is_promised() {
    let promised = promised();
    let all: BTreeSet<&str> = ROUNDS.iter().flat_map(|round| round.iter().copied()).collect();
    let named: BTreeSet<&str> = promised.keys().map(|(daemon, _)| daemon.as_str()).collect();
    assert_eq!(named, all, "the table of docs/survival.md names each daemon that dies here");

    let mut desk = Desk::open();
    let capture = Capture::begin(&desk.house);
    let pulse = Pulse::begin();
    let (mut deaths, mut fates) = (Vec::new(), BTreeMap::new());
    for round in ROUNDS {
        let calls = desk.five_calls();
        let mut died = Vec::new();
        for daemon in round {
            died.push(desk.dies(daemon, &calls));
        }
        let recording = desk.end(calls);
        for death in died {
            for state in STATES {
                let mut fate = death.goes_on[&state].to_owned();
                let mut missing = None;
                if state == State::Recording {
                    fate.clone_from(&recording.0);
                    missing = Some(recording.1);
                }
                fates.insert((death.daemon.to_owned(), state), (missing, fate));
            }
            deaths.push(death);
        }
    }
    assert_eq!(desk.house.ask_as("auditadmin", &["audit", "verify"])["damage"], Value::Null);
    let wire = capture.end();

    let mut broken = Vec::new();
    for death in &deaths {
        let stall = pulse.latest(death.at - as_us(BEFORE), death.until);
        let mut row = format!("{:<8} machine {:>3} ms late", death.daemon, stall.as_millis());
        for state in STATES {
            let (heard, starved) = desk.heard(&wire, state, death);
            let (missing, fate) = fates[&(death.daemon.to_owned(), state)].clone();
            let found = Cell { gap: missing.unwrap_or(heard.silence), fate };
            let cell = &promised[&(death.daemon.to_owned(), state)];
            row += &format!(
                " | {state}: {} ms, {} missing of {}; {}",
                found.gap.as_millis(),
                heard.missing,
                heard.packets,
                found.fate
            );
            // A machine that is late, or a peer that did not speak, is not the house's silence.
            let allowed = cell.gap + stall.max(starved);
            if found.gap > allowed || found.fate != cell.fate {
                broken.push(format!("{} while {state}: {found:?}, promised {cell:?}", death.daemon));
            }
        }
        eprintln!("{row}");
    }
    assert!(broken.is_empty(), "{broken:#?}");
}

/// The house with its three phones, and the lines on which callers come.
struct Desk {
    house: House,
    phones: [Phone; 3],
    trunks: [u16; 5],
    /// The first port of all peers.
    ports: u16,
    speech: PathBuf,
    kept: usize,
}

/// Five calls that stand.
struct Calls {
    callers: Vec<Caller>,
    by_state: BTreeMap<State, Vec<String>>,
}

impl Desk {
    fn open() -> Self {
        let trunks: [u16; 5] = std::array::from_fn(|_| free_udp_port());
        let lines: String = trunks
            .iter()
            .enumerate()
            .map(|(n, port)| {
                format!("[[sip.trunks]]\nname = \"carrier-{n}\"\naddress = \"127.0.0.1:{port}\"\ncheck = \"0s\"\n\n")
            })
            .collect();
        let settings = fs::read_to_string(repository().join("tests/e2e/peers/survival.toml")).unwrap();
        let house = House::with(&settings.replace("# TRUNKS", &lines), |folder| {
            let prompt = folder.join("prompts/announced.wav");
            let tone = ["-n", "-r", "8000", "-c", "1", "-b", "16"];
            let made =
                Command::new("sox").args(tone).arg(prompt).args(["synth", "0.6", "sine", "440"]).status();
            assert!(made.unwrap().success());
        });
        let agents = [("alice", "8001"), ("bob", "8002"), ("carol", "8003")];
        house.people_named(&[
            ("alice", "agent"),
            ("bob", "agent"),
            ("carol", "agent"),
            ("wang", "supervisor"),
        ]);
        let (speech, phone_speech) = peer::speech(house.folder.path());
        let ports = 12_000 + u16::try_from(std::process::id() % 40).unwrap() * 10 * PORTS;
        let phones = [0, 1, 2].map(|n| {
            let answers = if n == 1 { Answers::ByHand } else { Answers::ByItself };
            let media = ports + (5 + u16::try_from(n).unwrap()) * PORTS;
            Phone::at(&house, agents[n].1, answers, Some(media), &phone_speech, Speaking::PLAIN)
        });
        for (agent, phone) in agents {
            house.ready_at(agent, phone);
        }
        Self { house, phones, trunks, ports, speech, kept: 0 }
    }

    /// Two talk, one rings, one is recorded; then two more wait.
    fn five_calls(&self) -> Calls {
        let dial = |n: usize, dialled| {
            let media = self.ports + u16::try_from(n).unwrap() * PORTS;
            let line = Line { trunk: self.trunks[n], dialled, media };
            Caller::dial(&self.house, line, &self.speech, HangUp::Callee)
        };
        let mut callers = vec![dial(0, "95551"), dial(1, "95552"), dial(3, "95554")];
        let stood = [("95551", "talking"), ("95552", "offering"), ("95554", "talking")];
        self.until_live("three calls stand", &stood);
        callers.push(dial(2, "95553"));
        self.until_live("one waits", &[("95553", "waiting")]);
        callers.push(dial(4, "95553"));
        let ids = self.until_live(
            "five calls stand",
            &[stood[0], stood[1], stood[2], ("95553", "waiting"), ("95553", "waiting")],
        );
        // The waiting ones in the order of the queue.
        let by_state = [
            (State::Talking, vec![ids[0].clone()]),
            (State::Ringing, vec![ids[1].clone()]),
            (State::Recording, vec![ids[2].clone()]),
            (State::Waiting, vec![ids[3].clone(), ids[4].clone()]),
        ];
        thread::sleep(BEFORE + Duration::from_millis(400));
        Calls { callers, by_state: BTreeMap::from(by_state) }
    }

    /// Waits for live calls of these numbers at these stages; their ids, the oldest first among equals.
    fn until_live(&self, what: &str, wanted: &[(&str, &str)]) -> Vec<String> {
        let mut found = Vec::new();
        self.house.until(what, Duration::from_secs(20), |house| {
            let live = house.ask_as("wang", &["calls", "live"])["calls"].take();
            found = places(&live, wanted);
            found.len() == wanted.len()
        });
        found
    }

    /// kill -9, and what goes on.
    fn dies(&self, daemon: &'static str, calls: &Calls) -> Death {
        let before = self.house.daemon(daemon);
        let queue = self.queue();
        assert_eq!(queue, calls.by_state[&State::Waiting], "who came first is first");
        let at = now_us();
        let pid = before["pid"].to_string();
        assert!(Command::new("kill").args(["-KILL", &pid]).status().unwrap().success());
        self.house.until(&format!("{daemon} is back"), Duration::from_secs(15), |house| {
            let now = house.daemon(daemon);
            now["stage"] == "running" && now["pid"] != before["pid"]
        });
        thread::sleep(WATCHED);
        // Edges attach to a new route, and people ask again.
        self.house.until("route knows its calls", Duration::from_secs(10), |house| {
            let live = house.try_ym_as("wang", &["--json", "calls", "live"], "");
            live.status.success()
        });
        let live = self.house.ask_as("wang", &["calls", "live"])["calls"].take();
        let stage = |id: &String| {
            let call = live.as_array().unwrap().iter().find(|call| call["call"] == id.as_str());
            call.map_or(Value::Null, |call| call["stage"].clone())
        };
        let goes_on = STATES.map(|state| {
            let ids = &calls.by_state[&state];
            let fate = match state {
                State::Talking | State::Recording if stage(&ids[0]) == "talking" => "goes on",
                State::Ringing if stage(&ids[0]) == "offering" => "rings on",
                State::Waiting if ids.iter().all(|id| stage(id) == "waiting") && self.queue() == *ids => {
                    "keeps its place"
                }
                _ => "is lost",
            };
            (state, fate)
        });
        Death { daemon, at, until: now_us(), goes_on: BTreeMap::from(goes_on) }
    }

    fn queue(&self) -> Vec<String> {
        let queues = self.house.ask_as("wang", &["queues"])["queues"].take();
        let queue = queues.as_array().unwrap().iter().find(|queue| queue["queue"] == "waiting").unwrap();
        queue["waiting"].as_array().unwrap().iter().map(|id| id.as_str().unwrap().to_owned()).collect()
    }

    /// Ends the calls as people do; what became of the recording.
    fn end(&mut self, mut calls: Calls) -> (String, Duration) {
        let of = |state: State| calls.by_state[&state].clone();
        self.phones[1].answer();
        self.until_live("the phone that rang is answered", &[("95552", "talking")]);
        thread::sleep(Duration::from_millis(300));
        for phone in &mut self.phones {
            phone.hang_up();
        }
        // Who waited is served in turn by whoever is free now: both at once, or one after the other.
        self.house.until("those who waited are served", Duration::from_secs(20), |house| {
            let live = house.ask_as("wang", &["calls", "live"])["calls"].take();
            places(&live, &[("95553", "talking"), ("95553", "talking")]) == of(State::Waiting)
        });
        self.phones[0].hang_up();
        self.phones[2].hang_up();
        self.house.until("every caller's call is over", Duration::from_secs(20), |_| {
            calls.callers.iter_mut().all(|caller| caller.ended().is_some())
        });
        assert!(calls.callers.iter_mut().all(|caller| caller.ended() == Some(true)), "SIPp is content");
        self.kept += 5;
        self.house.call_record(self.kept);
        let mut recording = None;
        for state in STATES {
            for id in of(state) {
                let record = self.house.ask_as("wang", &["calls", "show", &id]);
                assert_eq!(record["disposition"], "answered", "{state}: {record:#}");
                let offers = record["queued"][0]["offers"].as_array().unwrap();
                assert_eq!(offers.len(), 1, "{state}, offered once: {record:#}");
                if state == State::Recording {
                    recording = Some(self.recorded(&record));
                }
            }
        }
        self.house.until("the agents are ready again", Duration::from_secs(10), |house| {
            let agents = house.ask_as("wang", &["agents", "list"]).to_string();
            agents.matches(r#""state":"ready""#).count() == 3
        });
        recording.unwrap()
    }

    /// In how many segments a recording lies, and how much of the conversation is in none.
    fn recorded(&self, record: &Value) -> (String, Duration) {
        let id = record["recording"]["yes"]["recording"].as_str().unwrap_or_else(|| panic!("{record:#}"));
        let files = fs::read_dir(self.house.home().join("record/recordings").join(id)).unwrap();
        let segments = files
            .filter(|file| file.as_ref().unwrap().path().extension().is_some_and(|kind| kind == "sealed"))
            .count();
        let about = self.house.ask_as("wang", &["recordings", "show", id]);
        let out = self.house.folder.path().join(format!("{id}.wav"));
        let path = out.display().to_string();
        self.house.ym_as("wang", &["recordings", "export", id, "--reason", "survival", "--out", &path], "");
        let fate = match (segments, about["state"].as_str().unwrap()) {
            (1, "sealed") => "recorded whole".to_owned(),
            (2, "truncated") => "recorded in two segments".to_owned(),
            other => format!("recorded as {other:?}"),
        };
        (fate, silent(&out))
    }

    /// What the parties of the state heard around the death, the worst of each; and how long a party that
    /// should have spoken did not.
    fn heard(&self, wire: &[Rtp], state: State, death: &Death) -> (Heard, Duration) {
        let port = |n: u16| self.ports + n * PORTS;
        let pairs = match state {
            State::Talking => vec![Pair { caller: port(0), phone: Some(port(5)) }],
            State::Ringing => vec![Pair { caller: port(1), phone: None }],
            State::Recording => vec![Pair { caller: port(3), phone: Some(port(7)) }],
            State::Waiting => {
                vec![Pair { caller: port(2), phone: None }, Pair { caller: port(4), phone: None }]
            }
        };
        let window = (death.at - as_us(BEFORE), death.until);
        let house = |port: u16| self.house.media.contains(&port);
        let (mut worst, mut starved) = (Heard::default(), Duration::ZERO);
        let mut take = |heard: Heard, who: u16| {
            assert!(heard.packets > 50, "{} while {state}: {heard:?} at {who}", death.daemon);
            worst.packets += heard.packets;
            worst.missing += heard.missing;
            worst.silence = worst.silence.max(heard.silence);
        };
        for Pair { caller, phone } in pairs {
            for party in [Some(caller), phone].into_iter().flatten() {
                let own = move |port: u16| (party..party + PORTS).contains(&port);
                take(heard(wire, house, own, window), party);
                if phone.is_some() {
                    let spoken = heard(wire, own, house, window);
                    starved = starved.max(spoken.silence.saturating_sub(Duration::from_millis(20)));
                }
            }
        }
        (worst, starved)
    }
}

/// The ids of live calls of these numbers at these stages, each once, the oldest first among equals.
fn places(live: &Value, wanted: &[(&str, &str)]) -> Vec<String> {
    let mut left: Vec<&Value> = live.as_array().unwrap().iter().collect();
    let take = |(dialled, stage): &(&str, &str)| {
        let at = left.iter().position(|call| call["dialled"] == *dialled && call["stage"] == *stage)?;
        Some(left.remove(at)["call"].as_str().unwrap().to_owned())
    };
    wanted.iter().filter_map(take).collect()
}

/// How much of the conversation a WAV of both sides does not hold: A-law has no sample that is zero, so a zero
/// is what was not recorded. The side that misses more counts.
fn silent(wav: &Path) -> Duration {
    let wav = fs::read(wav).unwrap();
    let missing = [0, 2].map(|side| {
        let spoken: Vec<bool> =
            wav[44..].chunks_exact(4).map(|pair| pair[side..side + 2] != [0, 0]).collect();
        let first = spoken.iter().position(|spoken| *spoken).expect("it holds something");
        let last = spoken.iter().rposition(|spoken| *spoken).unwrap();
        spoken[first..last].iter().filter(|spoken| !**spoken).count()
    });
    Duration::from_micros(missing.into_iter().max().unwrap() as u64 * 125)
}

fn as_us(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap()
}
