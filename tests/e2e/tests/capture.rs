//! A live call is captured: what tcpdump reads of the file is what was on the wire, but for what was said, and the
//! log knows who asked and why.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use e2e::{
    House,
    peer::{self, Caller, HangUp, Phone},
    wire::Capture,
};
use serde_json::Value;
use std::{fs, process::Command, thread, time::Duration};

#[test]
fn a_supervisor_captures_a_call_without_what_is_said() {
    let house = House::start();
    house.people();
    let (caller_speech, phone_speech) = peer::speech(house.folder.path());
    let _phone = Phone::register(&house, &phone_speech);
    house.agent_ready();
    let out = house.folder.path().join("call.pcap");
    let path = out.display().to_string();

    let wire = Capture::begin(&house);
    let mut caller = Caller::call(&house, &caller_speech, HangUp::Caller { after: 14_000 });
    house.until_stage("announcing");
    let live = house.ask_as("wang", &["calls", "live"])["calls"][0].clone();
    let call = live["call"].as_str().unwrap().to_owned();

    // Nobody else may, nobody without a reason, no other call; and nothing is left of a refusal.
    let ask = |reason: &'static str, call: &str| -> Vec<String> {
        let fixed = ["calls", "capture", call, "--reason", reason, "--for", "30s", "--out", &path];
        fixed.map(str::to_owned).to_vec()
    };
    let run = |person: &str, arguments: &[String]| {
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        house.try_ym_as(person, &arguments, "").status.code()
    };
    for person in ["alice", "sysadmin", "secadmin", "auditadmin"] {
        assert_eq!((run(person, &ask("curious", &call)), out.exists()), (Some(3), false), "{person}");
    }
    assert_eq!((run("wang", &ask(" ", &call)), out.exists()), (Some(1), false));
    let nobody = "0".repeat(32);
    assert_eq!((run("wang", &ask("one-way audio", &nobody)), out.exists()), (Some(4), false));

    // The phone is dialled after it has begun, and the call ends before its time is over.
    let (told, call) = thread::scope(|scope| {
        let asking = scope.spawn(|| {
            let fixed =
                ["calls", "capture", &call, "--reason", "one-way audio", "--for", "16s", "--out", &path];
            house.ask_as("wang", &fixed)
        });
        house.until_stage("talking");
        house.until("the caller has hung up", Duration::from_secs(40), |_| caller.ended().is_some());
        (asking.join().unwrap(), call.clone())
    });
    assert_eq!(caller.ended(), Some(true), "SIPp is content");
    let wire = wire.end();
    assert_eq!(told["dropped"], 0, "{told:#}");

    // SIP as it was, to both sides.
    let lines = tcpdump(&path);
    for message in ["INVITE sip:8001", "SIP/2.0 180 Ringing", "SIP/2.0 200 OK", "ACK sip:", "BYE sip:"] {
        assert!(lines.contains(message), "{message} is missing: {told:#}\n{lines}");
    }
    assert_eq!(told["packets"].as_u64().unwrap() as usize, lines.matches("IP (").count(), "{told:#}");

    // RTP: every packet that tcpdump saw meanwhile between the first and the last one, each a header alone.
    let mine = packets(&fs::read(&out).unwrap());
    let rtp: Vec<&(u64, Vec<u8>, usize)> = mine.iter().filter(|(_, packet, _)| is_rtp(packet)).collect();
    assert!(rtp.len() > 800, "{} of {}", rtp.len(), mine.len());
    for (_, packet, length) in &rtp {
        assert_eq!((packet.len(), *length), (20 + 8 + 12, 20 + 8 + 12 + 160), "header and no speech");
    }
    let (first, last) = (rtp[0].0 + 300_000, rtp[rtp.len() - 1].0 - 300_000);
    let number = |packet: &[u8]| u16::from_be_bytes([packet[30], packet[31]]);
    let port = |packet: &[u8], at: usize| u16::from_be_bytes([packet[at], packet[at + 1]]);
    let ours = |port| house.media.contains(port);
    let seen = wire
        .iter()
        .filter(|packet| (first..last).contains(&packet.at_us) && (ours(&packet.from) || ours(&packet.to)));
    let mut missing = Vec::new();
    let mut compared = 0;
    for packet in seen {
        compared += 1;
        let found = rtp.iter().any(|(at, mine, _)| {
            at.abs_diff(packet.at_us) < 300_000
                && (port(mine, 20), port(mine, 22), number(mine)) == (packet.from, packet.to, packet.sequence)
        });
        if !found {
            missing.push((packet.at_us - first, packet.from, packet.to, packet.sequence));
        }
    }
    assert!(compared > 500 && missing.is_empty(), "{} of {compared} are missing: {missing:?}", missing.len());

    // In the log: before, with the reason, and how it came out.
    let entries = house.ask_as("auditadmin", &["audit", "list", "--kind", "route.call-captured"]);
    let entries = entries["entries"].as_array().unwrap();
    let phases: Vec<&Value> = entries.iter().rev().map(|entry| &entry["event"]["phase"]).collect();
    assert_eq!(phases, ["begun", "ended"], "{entries:#?}");
    for entry in entries {
        assert_eq!(
            (&entry["event"]["reason"], &entry["event"]["object"]),
            (&"one-way audio".into(), &call.clone().into())
        );
    }
    assert_eq!(entries[0]["event"]["facts"]["edges"], "2");
    assert_eq!(entries[1]["sequence"], told["sequence"]);
}

/// What tcpdump says of the file, which it reads by itself.
fn tcpdump(path: &str) -> String {
    let output = Command::new("tcpdump").args(["-n", "-v", "-A", "-r", path]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(!text.contains("bad cksum"), "{text}");
    text
}

/// Each packet of a file with nanoseconds and LINKTYPE_RAW: when in µs, as much as there is of it, its length.
fn packets(file: &[u8]) -> Vec<(u64, Vec<u8>, usize)> {
    let word = |at: usize| u32::from_le_bytes(file[at..at + 4].try_into().unwrap());
    assert_eq!((word(0), word(20)), (0xa1b2_3c4d, 101));
    let (mut at, mut found) = (24, Vec::new());
    while at < file.len() {
        let told = word(at + 8) as usize;
        let moment = u64::from(word(at)) * 1_000_000 + u64::from(word(at + 4)) / 1_000;
        found.push((moment, file[at + 16..at + 16 + told].to_vec(), word(at + 12) as usize));
        at += 16 + told;
    }
    found
}

fn is_rtp(packet: &[u8]) -> bool {
    packet.get(28).is_some_and(|first| *first == 0x80) && !(192..=223).contains(&packet[29])
}
