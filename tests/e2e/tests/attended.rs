//! Transfers with phones as they are sold. An agent at a linphone calls a colleague, whose phone is a baresip, while the
//! caller is on hold, and joins the two (REFER with Replaces): to the packet it is heard on the wire who hears whom, and
//! there is one recording of it all. A phone that refuses whom it is to take: the caller is back, or waits again.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use e2e::{
    House, PHONES, free_udp_port,
    linphone::Linphone,
    peer::{self, Answers, Caller, HangUp, PORTS, Phone, Speaking},
    reader::{read_independently, within},
    wire::{Capture, Rtp},
};
use serde_json::Value;
use std::{collections::HashSet, fs, path::PathBuf, thread, time::Duration};

#[test]
fn the_caller_is_joined_with_whom_the_agent_has_consulted() {
    let _alone = e2e::alone();
    let house = House::start();
    house.people();
    let (caller_speech, phone_speech) = peer::speech(house.folder.path());
    let other_speech = peer::third_voice(house.folder.path());
    let other = free_udp_port() & !1;
    let mut agent = Linphone::register(&house, PHONES[0].0, PHONES[0].1, &phone_speech);
    let _other = Phone::at(&house, "8002", Answers::ByItself, Some(other), &other_speech, Speaking::PLAIN);
    house.agent_ready();
    house.until("the other phone is there", Duration::from_secs(10), |house| {
        house.ask_as("wang", &["trunks"])["endpoints"]
            .to_string()
            .contains(r#"[{"phone":"8002"},"reachable"]"#)
    });

    let capture = Capture::begin(&house);
    let mut caller = Caller::call(&house, &caller_speech, HangUp::Caller { after: 30_000 });
    house.until_stage("talking");
    thread::sleep(Duration::from_secs(3));
    agent.hold();
    thread::sleep(Duration::from_secs(2));
    agent.call(&house, "8002");
    house.until("the agent talks with the colleague", Duration::from_secs(20), |house| stages(house) == 2);
    thread::sleep(Duration::from_secs(3));
    agent.join_calls();
    house.until("only the caller's call is live", Duration::from_secs(20), |house| stages(house) == 1);
    house.until("the caller has hung up", Duration::from_secs(40), |_| caller.ended().is_some());
    assert_eq!(caller.ended(), Some(true), "SIPp is content: {:#}", house.call_record(2));
    let kept = house.ask_as("wang", &["calls", "list"]);
    house.until("both are kept", Duration::from_secs(15), |house| {
        house.ask_as("wang", &["calls", "list"])["calls"].as_array().unwrap().len() == 2
    });
    let wire = capture.end();

    let of = |over: &str| -> Value {
        let list = house.ask_as("wang", &["calls", "list"]);
        let mut calls = list["calls"].as_array().unwrap().iter();
        calls
            .find(|call| call["legs"][0]["over"][over].is_string())
            .unwrap_or_else(|| panic!("{kept:#}"))
            .clone()
    };
    let (record, consulting) = (of("trunk"), of("phone"));
    let decided = |record: &Value| -> Vec<String> {
        let all = record["decisions"].as_array().unwrap().iter();
        all.filter_map(|decision| decision["what"].as_str()).map(str::to_owned).collect()
    };
    for what in ["call.held", "transfer.asked", "transfer.done"] {
        assert!(decided(&record).iter().any(|decided| decided == what), "{what}: {record:#}");
    }
    assert!(decided(&consulting).iter().any(|what| what == "call.handed-over"), "{consulting:#}");
    // The call record has all who took part, and how each leg ended.
    let legs = record["legs"].as_array().unwrap();
    let over: Vec<&str> = legs.iter().filter_map(|leg| leg["over"]["phone"].as_str()).collect();
    assert_eq!((legs.len(), over), (3, vec!["8001", "8002"]), "{record:#}");
    assert!(legs.iter().all(|leg| leg["answered"].is_i64() || leg["answered"].is_string()), "{record:#}");
    assert_eq!(record["disposition"], "answered");
    assert_eq!(consulting["legs"].as_array().unwrap().len(), 1, "{consulting:#}");
    assert!(
        consulting["recording"]["no"].is_object(),
        "what they said to each other is theirs: {consulting:#}"
    );
    assert!(agent.messages("NOTIFY ") > 0, "the agent's phone is told how it went");

    // Who hears whom. Once the caller hears the colleague, nobody hears the agent any more.
    let ports = |first: u16, count: u16| move |port: u16| (first..first + count).contains(&port);
    let (at_caller, at_agent, at_other) =
        (ports(caller.media, 100), ports(agent.media, 20), ports(other, PORTS));
    let house_port = |port: u16| house.media.contains(&port);
    let said = |from: &dyn Fn(u16) -> bool| -> Vec<Rtp> {
        wire.iter().filter(|packet| from(packet.from) && house_port(packet.to)).cloned().collect()
    };
    let heard = |to: &dyn Fn(u16) -> bool| -> Vec<&Rtp> {
        wire.iter().filter(|packet| house_port(packet.from) && to(packet.to)).collect()
    };
    let (by_caller, by_agent, by_other) = (said(&at_caller), said(&at_agent), said(&at_other));
    let of_caller = words(&by_caller);
    let (of_agent, of_other) = (words(&by_agent), words(&by_other));
    let at = |heard: &[&Rtp], words: &HashSet<Vec<u8>>, from: u64| -> usize {
        heard.iter().filter(|packet| packet.at_us >= from && words.contains(&packet.payload)).count()
    };
    let caller_hears = heard(&at_caller);
    let joined = caller_hears.iter().find(|packet| of_other.contains(&packet.payload));
    let joined = joined.expect("the caller hears the colleague").at_us;
    assert!(at(&caller_hears, &of_agent, 0) > 50, "before, the caller heard the agent");
    assert!(at(&caller_hears, &of_other, joined) > 100, "then the colleague");
    assert_eq!(at(&caller_hears, &of_agent, joined), 0, "and the agent no more");
    let other_hears = heard(&at_other);
    assert!(at(&other_hears, &of_agent, 0) > 50, "the colleague heard the agent first");
    let before: Vec<&Rtp> =
        other_hears.iter().copied().filter(|packet| packet.at_us < joined - 500_000).collect();
    assert_eq!(at(&before, &of_caller, 0), 0, "and the caller not before they were joined");
    assert!(at(&other_hears, &of_caller, joined) > 100, "then the caller");
    let agent_hears = heard(&at_agent);
    assert_eq!(at(&agent_hears, &of_caller, joined + 500_000), 0, "the agent hears the caller no more");

    // One recording: each party's track is what it said while it was with the caller, packet after packet.
    let recording = record["recording"]["yes"]["recording"].as_str().unwrap_or_else(|| panic!("{record:#}"));
    assert_eq!(record["recording"]["yes"]["consents"].as_array().unwrap().len(), 3, "{record:#}");
    let about = house.ask_as("wang", &["recordings", "show", recording]);
    assert_eq!((&about["state"], &about["lost"]), (&"sealed".into(), &0.into()), "{about:#}");
    let tracks: [Vec<u8>; 3] = read_independently(&house, recording);
    let first = by_agent[0].from;
    let with_caller: Vec<Rtp> = by_agent.iter().filter(|packet| packet.from == first).cloned().collect();
    let customer = within(&by_caller, &tracks[0], "the caller's track");
    within(&with_caller, &tracks[1], "the agent's track");
    let colleague = within(&by_other, &tracks[2], "the colleague's track");
    assert!(customer[customer.len() - 1].at_us >= joined + 2_000_000, "through the transfer");
    assert!(
        colleague[0].at_us + 500_000 >= joined,
        "and of the colleague nothing that was said to the agent"
    );
}

/// The other phone is a baresip whose user presses the caller away: 486.
struct Refused {
    house: House,
    other: Phone,
    speech: [PathBuf; 2],
}

impl Refused {
    fn begin() -> Self {
        let house = House::start();
        house.people();
        let (caller, phone) = peer::speech(house.folder.path());
        let other = Phone::at(&house, "8002", Answers::ByHand, None, &phone, Speaking::PLAIN);
        Self { house, other, speech: [caller, phone] }
    }

    fn call(&self) -> Caller {
        self.house.agent_ready();
        self.house.until("the other phone is there", Duration::from_secs(10), |house| {
            house.ask_as("wang", &["trunks"])["endpoints"]
                .to_string()
                .contains(r#"[{"phone":"8002"},"reachable"]"#)
        });
        let caller = Caller::call(&self.house, &self.speech[0], HangUp::Caller { after: 30_000 });
        self.house.until_stage("talking");
        thread::sleep(Duration::from_secs(2));
        caller
    }

    /// Waits until it has rung so often.
    fn rings(&self, times: usize) {
        let log = self.house.folder.path().join("baresip-8002/log");
        self.house.until("the other phone rings", Duration::from_secs(20), |_| {
            fs::read_to_string(&log).unwrap_or_default().matches("Incoming call").count() >= times
        });
        self.house.until_stage("reaching");
    }

    /// The record of the one call, in which so many transfers came to nothing, with one recording through all of it.
    fn record(&self, mut caller: Caller, failed: usize) -> Value {
        self.house.until("the caller has hung up", Duration::from_secs(60), |_| caller.ended().is_some());
        assert_eq!(caller.ended(), Some(true), "SIPp is content: {:#}", self.house.call_record(1));
        let record = self.house.call_record(1);
        let decisions = record["decisions"].as_array().unwrap().iter();
        let of = decisions.filter(|decision| decision["what"] == "transfer.failed");
        let busy = of
            .filter(|decision| decision["why"].as_str().is_some_and(|why| why.contains("cause 17")))
            .count();
        assert_eq!(busy, failed, "{record:#}");
        let recording =
            record["recording"]["yes"]["recording"].as_str().unwrap_or_else(|| panic!("{record:#}"));
        let about = self.house.ask_as("wang", &["recordings", "show", recording]);
        assert_eq!((&about["state"], &about["lost"]), (&"sealed".into(), &0.into()), "{about:#}");
        record
    }
}

#[test]
fn a_caller_whom_the_other_phone_refuses_is_back_with_the_agent() {
    let _alone = e2e::alone();
    let mut scene = Refused::begin();
    let mut agent = Linphone::register(&scene.house, PHONES[0].0, PHONES[0].1, &scene.speech[1]);
    let caller = scene.call();
    agent.transfer(&scene.house, "8002");
    scene.rings(1);
    scene.other.hang_up();
    scene.house.until_stage("talking");
    let live = scene.house.ask_as("wang", &["calls", "live"]);
    assert_eq!(live["calls"][0]["agent"], "alice", "{live:#}");
    scene.house.until("the agent's phone is told", Duration::from_secs(10), |_| {
        agent.messages("SIP/2.0 486 Busy Here") > 0
    });
    thread::sleep(Duration::from_secs(3));
    scene.house.until_stage("talking");
    // Once more, and the agent does not stay for the outcome: the caller waits again.
    agent.transfer(&scene.house, "8002");
    scene.rings(2);
    agent.hang_up();
    thread::sleep(Duration::from_secs(1));
    scene.other.hang_up();
    scene.house.until_stage("waiting");
    scene.house.ym_as("alice", &["agents", "ready"], "");
    scene.house.until_stage("talking");
    let record = scene.record(caller, 2);
    assert_eq!((record["queued"].as_array().unwrap().len(), &record["disposition"]), (2, &"answered".into()));
    assert_eq!(
        record["recording"]["yes"]["consents"].as_array().unwrap().len(),
        3,
        "the agent twice: {record:#}"
    );
}

/// baresip 1.0 hangs up by itself as it is told that the transfer has failed.
#[test]
fn a_caller_whose_phone_hangs_up_at_the_failure_waits_again() {
    let _alone = e2e::alone();
    let mut scene = Refused::begin();
    let mut agent = Phone::register(&scene.house, &scene.speech[1]);
    let caller = scene.call();
    agent.transfer("8002");
    scene.rings(1);
    scene.other.hang_up();
    scene.house.until_stage("waiting");
    scene.house.ym_as("alice", &["agents", "ready"], "");
    scene.house.until_stage("talking");
    let record = scene.record(caller, 1);
    assert_eq!((record["queued"].as_array().unwrap().len(), &record["disposition"]), (2, &"answered".into()));
    assert_eq!(
        record["recording"]["yes"]["consents"].as_array().unwrap().len(),
        3,
        "the agent twice: {record:#}"
    );
}

/// How many calls are talked on.
fn stages(house: &House) -> usize {
    let live = house.ask_as("wang", &["calls", "live"]);
    live["calls"].as_array().unwrap().iter().filter(|call| call["stage"] == "talking").count()
}

/// Payloads that nobody else says: those in which something is said.
fn words(said: &[Rtp]) -> HashSet<Vec<u8>> {
    let loud = |packet: &&Rtp| packet.payload.iter().collect::<HashSet<_>>().len() > 24;
    said.iter().filter(loud).map(|packet| packet.payload.clone()).collect()
}
