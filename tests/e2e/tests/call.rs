//! The call: a SIP caller hears the announcement, reaches a phone, both talk; it is recorded, sealed with
//! SM4, audited, listed and exported, and each of these is compared with what was on the wire.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use e2e::{
    House,
    peer::{self, Caller, HangUp, Phone},
    reader::{read_independently, within},
    wire::{Capture, Rtp, aligned},
};
use serde_json::Value;
use std::{fs, time::Duration};

#[test]
fn a_call_is_announced_bridged_recorded_sealed_audited_listed_and_exported() {
    let house = House::start();
    house.people();
    let (caller_speech, phone_speech) = peer::speech(house.folder.path());
    let _phone = Phone::register(&house, &phone_speech);
    house.agent_ready();

    let capture = Capture::begin(&house);
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
    looked_at(&house, record["call"].as_str().unwrap());
    let recording = record["recording"]["yes"]["recording"].as_str().unwrap_or_else(|| panic!("{record:#}"));
    let about = house.ask_as("wang", &["recordings", "show", recording]);
    assert_eq!(about["state"], "sealed", "{about:#}");
    assert_eq!(about["lost"], 0, "{about:#}");

    // Sealed: the independent reader opens the file with its key, and with no other.
    let tracks: [Vec<u8>; 2] = read_independently(&house, recording);
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

/// The call as people look at it: its signalling as SIPp and baresip had it.
fn looked_at(house: &House, call: &str) {
    let shown = house.ask_as("wang", &["calls", "show", call]);
    let ladder = |over: &str| -> Vec<String> {
        let leg =
            shown["legs"].as_array().unwrap().iter().find(|leg| leg["over"].get(over).is_some()).unwrap();
        let steps = leg["ladder"]["steps"].as_array().unwrap_or_else(|| panic!("no ladder: {leg:#}"));
        steps
            .iter()
            .map(|step| format!("{} {}", step["way"].as_str().unwrap(), step["message"].as_str().unwrap()))
            .collect()
    };
    let caller = ladder("trunk");
    let expected =
        ["received INVITE", "sent 100 Trying", "sent 200 OK", "received ACK", "received BYE", "sent 200 OK"];
    assert_eq!(caller, expected);
    let phone = ladder("phone");
    let end = ["sent BYE", "received 200 OK"];
    assert_eq!(
        (&*phone[0], &phone[phone.len() - 2..]),
        ("sent INVITE", &end.map(str::to_owned)[..]),
        "{phone:?}"
    );
    assert!(
        phone[1..].iter().filter(|step| *step == "received 200 OK").count() == 2
            && phone.contains(&"sent ACK".to_owned()),
        "{phone:?}"
    );
    let drawn = house.ym_as("wang", &["calls", "show", call], "");
    assert!(drawn.contains("│── INVITE ─") && drawn.contains("─ 100 Trying (INVITE) ──│"), "{drawn}");
    let path = format!("carrier  UDP 127.0.0.1:{} – 127.0.0.1:{}", house.sip, house.trunk);
    assert_eq!(drawn.matches(&path).count(), 1, "said once, where it begins: {drawn}");
    assert!(!drawn.contains("13800138000") && !drawn.contains("Digest"), "{drawn}");
    std::io::Write::write_all(&mut std::io::stderr(), drawn.as_bytes()).unwrap();
}
