//! The call: a SIP caller hears the announcement, reaches a phone, both talk; it is recorded, sealed with
//! SM4, audited, listed and exported, and each of these is compared with what was on the wire.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use e2e::{
    House,
    peer::{self, Caller, HangUp, Phone},
    program, repository,
    wire::{Capture, Rtp, aligned},
};
use serde_json::Value;
use std::{fs, path::Path, process::Command, time::Duration};

#[test]
fn a_call_is_announced_bridged_recorded_sealed_audited_listed_and_exported() {
    let house = House::start();
    house.people();
    let (caller_speech, phone_speech) = peer::speech(house.folder.path());
    let _phone = Phone::register(&house, &phone_speech);
    house.agent_ready();

    let capture = Capture::begin(house.folder.path());
    let mut caller = Caller::call(&house, &caller_speech, HangUp::Caller { after: 16_000 });
    house.until_stage("talking");
    house.until("the caller has hung up", Duration::from_secs(40), |_| caller.ended().is_some());
    assert_eq!(caller.ended(), Some(true), "SIPp is content");
    let record = house.call_record(1);
    let wire = capture.end();

    // Listed: one call record with both legs, the recording and the caller's number masked.
    assert_eq!(record["disposition"], "answered", "{record:#}");
    assert_eq!(record["legs"].as_array().unwrap().len(), 2, "{record:#}");
    assert_eq!(record["from"]["number"], "138******00");
    let recording = record["recording"]["yes"]["recording"].as_str().unwrap_or_else(|| panic!("{record:#}"));
    let about = house.ask_as("wang", &["recordings", "show", recording]);
    assert_eq!(about["state"], "sealed", "{about:#}");
    assert_eq!(about["lost"], 0, "{about:#}");

    // Sealed: the independent reader opens the file with its key, and with no other.
    let tracks = read_independently(&house, recording);
    let to_house: Vec<&Rtp> = wire
        .iter()
        .filter(|packet| house.media.contains(&packet.to) && !house.media.contains(&packet.from))
        .collect();
    let by_caller = |packet: &&&Rtp| (caller.media..caller.media + 100).contains(&packet.from);
    let caller_sent: Vec<Rtp> = to_house.iter().filter(by_caller).map(|packet| (*packet).clone()).collect();
    let phone_sent: Vec<Rtp> =
        to_house.iter().filter(|packet| !by_caller(packet)).map(|packet| (*packet).clone()).collect();
    let left = within(&caller_sent, &tracks[0], "the caller's track");
    let right = within(&phone_sent, &tracks[1], "the phone's track");
    let talked = Duration::from_millis(20) * u32::try_from(left.len().min(right.len())).unwrap();
    assert!(talked >= Duration::from_secs(5), "only {talked:?} of talk is recorded");

    // Exported: sample by sample what was on the wire, both sides aligned within 20 ms of it.
    let out = house.folder.path().join("call.wav");
    let path = out.display().to_string();
    let export =
        ["recordings", "export", recording, "--reason", "complaint 17", "--case", "C-17", "--out", &path];
    let exported = house.ask_as("wang", &export);
    let wav = fs::read(&out).unwrap();
    assert_eq!(exported["digest"], gm::sm3::digest(&wav).to_string());
    let starts =
        [(0, left), (1, right)].map(|(channel, packets)| (aligned(&wav, channel, packets), packets[0].at_us));
    let in_wav = (starts[0].0 as i64 - starts[1].0 as i64) * 125;
    let on_wire = starts[0].1 as i64 - starts[1].1 as i64;
    assert!((in_wav - on_wire).abs() <= 20_000, "{in_wav} µs apart in the export, {on_wire} µs on the wire");

    // Permitted: nobody else may, and what is refused leaves no file.
    for person in ["alice", "sysadmin", "auditadmin"] {
        let refused = house.folder.path().join("refused.wav");
        let path = refused.display().to_string();
        let arguments = ["recordings", "export", recording, "--reason", "curious", "--out", &path];
        let output = house.try_ym_as(person, &arguments, "");
        assert_eq!((output.status.code(), refused.exists()), (Some(3), false), "{person}");
    }

    // Audited: the way of this call through the log, and the log holds.
    let entries = house.ask_as("auditadmin", &["audit", "list", "--limit", "1000"]);
    for kind in ["record.begun", "record.sealed", "record.exported", "report.call-recorded", "auth.log-in"] {
        assert!(
            entries["entries"].as_array().unwrap().iter().any(|entry| entry["event"]["kind"] == kind),
            "{kind}"
        );
    }
    let exports = |outcome: &str| -> Vec<&Value> {
        let all = entries["entries"].as_array().unwrap().iter().map(|entry| &entry["event"]);
        all.filter(|event| event["kind"] == "record.exported" && event["outcome"] == outcome).collect()
    };
    assert_eq!(exports("done")[0]["reason"], "complaint 17");
    let refused: Vec<_> = exports("refused").iter().map(|event| &event["actor"]["person"]).collect();
    assert_eq!(
        refused,
        ["auditadmin", "sysadmin", "alice"],
        "each attempt without the role, the newest first"
    );
    let verified = house.ask_as("auditadmin", &["audit", "verify"]);
    assert_eq!(verified["damage"], Value::Null);
    let verified = house.ym_as("wang", &["recordings", "verify", recording, "--reason", "check"], "");
    assert!(verified.contains("opens"), "{verified}");
}

/// Payloads of each track by the reader in Python, which shares no code with ours.
fn read_independently(house: &House, recording: &str) -> [Vec<u8>; 2] {
    let venv = program("ym").ancestors().nth(2).unwrap().join("readers-venv");
    let readers = repository().join("tests/readers");
    let python = venv.join("bin/python");
    let run = |program: &Path, arguments: &[&str]| {
        let output = Command::new(program).args(arguments).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    };
    let text = |path: &Path| path.display().to_string();
    if !python.is_file() {
        run(Path::new("python3"), &["-m", "venv", &text(&venv)]);
    }
    run(
        &python,
        &["-m", "pip", "install", "--quiet", "--requirement", &text(&readers.join("requirements.txt"))],
    );
    let sealed = house.home().join(format!("record/recordings/{recording}/0.sealed"));
    let (dek, out) = (house.data_key(recording, 0), house.folder.path().join("read"));
    let reader = text(&readers.join("sealed_file.py"));
    run(&python, &[&reader, &text(&sealed), &dek, &text(&out)]);
    let wrong = dek.replace(|c: char| c.is_ascii_digit(), "0");
    let refused = Command::new(&python).args([&reader, &text(&sealed), &wrong]).output().unwrap();
    assert!(!refused.status.success(), "another key opens it");
    [0, 1].map(|track| fs::read(out.join(format!("track-{track}.payload"))).unwrap())
}

/// The packets whose payloads, one after the other, are exactly the track.
fn within<'a>(sent: &'a [Rtp], track: &[u8], which: &str) -> &'a [Rtp] {
    assert!(!track.is_empty(), "{which} is empty");
    let all: Vec<u8> = sent.iter().flat_map(|packet| packet.payload.clone()).collect();
    let first = (0..sent.len()).find(|first| {
        let skipped: usize = sent[..*first].iter().map(|packet| packet.payload.len()).sum();
        all[skipped..].starts_with(track)
    });
    let first = first
        .unwrap_or_else(|| panic!("{which}: {} bytes are not what {} packets held", track.len(), sent.len()));
    let mut length = 0;
    let count = sent[first..].iter().take_while(|packet| {
        length += packet.payload.len();
        length <= track.len()
    });
    let count = count.count();
    &sent[first..first + count]
}
