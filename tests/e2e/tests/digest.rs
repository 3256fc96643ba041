//! A house that takes SHA-256 alone (RFC 8760), and linphone, which can: it registers, is rung, talks, and hangs up;
//! what each side said is recorded as it was on the wire. A wrong password and a phone that knows MD5 alone stay
//! outside, and whoever goes on guessing is slowed and shown.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use e2e::{
    House, PHONES,
    linphone::Linphone,
    peer::{self, Caller, HangUp},
    ua::{self, Line},
    wire::{Capture, Rtp, aligned},
};
use serde_json::Value;
use std::{fs, time::Duration};

#[test]
fn linphone_proves_its_password_by_sha_256_and_talks() {
    let house = House::start_as(50, |_, settings| {
        settings.replace("realm = \"demo.yanmen\"", "realm = \"demo.yanmen\"\ndigest = [\"SHA-256\"]")
    });
    house.people();
    let (caller_speech, phone_speech) = peer::speech(house.folder.path());

    let wrong = Linphone::register(&house, "8002", "Geese-fly-East-3", &phone_speech);
    let mut phone = Linphone::register(&house, PHONES[0].0, PHONES[0].1, &phone_speech);
    house.agent_ready();
    // The challenge, and the refusal of its proof.
    house.until("the wrong password is refused", Duration::from_secs(20), |_| {
        wrong.messages("SIP/2.0 401") >= 2
    });
    assert_eq!(wrong.messages("SIP/2.0 200"), 0);
    assert!(phone.messages("Authorization: ") > 0 && phone.messages("SIP/2.0 200") > 0);
    drop(wrong);

    // A phone that knows MD5 alone, with the right password; and somebody elsewhere who goes on guessing.
    let old = Line::unregistered(&house, "8002", "127.66.0.1");
    assert_eq!(old.register("Geese-fly-South-2", ua::PATIENCE), Some(401));
    let guesser = Line::unregistered(&house, "8002", "127.66.0.2");
    house.until("the guesser is slowed", Duration::from_secs(60), |house| {
        guesser.register("Geese-fly-West-4", Duration::from_millis(200));
        house.ym_as("wang", &["status"], "").contains("slowed 127.66.0.2")
    });
    house.until("the guesser is told of", Duration::from_secs(20), |house| {
        let entries = house.ask_as("auditadmin", &["audit", "list", "--limit", "1000"]);
        let refused = |entry: &Value| {
            let event = &entry["event"];
            event["kind"] == "sip.source-refused" && event.to_string().contains("127.66.0.2")
        };
        entries["entries"].as_array().unwrap().iter().any(refused)
    });
    let endpoints = house.ask_as("wang", &["trunks"])["endpoints"].to_string();
    assert!(endpoints.contains(r#"[{"phone":"8002"},"unreachable"]"#), "{endpoints}");

    let capture = Capture::begin(&house);
    let mut caller = Caller::call(&house, &caller_speech, HangUp::Callee);
    house.until_stage("talking");
    std::thread::sleep(Duration::from_secs(6));
    phone.hang_up();
    house.until("the caller's call is over", Duration::from_secs(30), |_| caller.ended().is_some());
    assert_eq!(caller.ended(), Some(true), "SIPp is content");
    let record = house.call_record(1);
    let wire = capture.end();
    assert_eq!(record["disposition"], "answered", "{record:#}");

    let out = house.folder.path().join("call.wav");
    let path = out.display().to_string();
    let recording = record["recording"]["yes"]["recording"].as_str().unwrap_or_else(|| panic!("{record:#}"));
    house.ym_as("wang", &["recordings", "export", recording, "--reason", "proof", "--out", &path], "");
    let wav = fs::read(&out).unwrap();
    let of_caller = |port: u16| (caller.media..caller.media + 100).contains(&port);
    let to_house: Vec<Rtp> = wire
        .into_iter()
        .filter(|packet| house.media.contains(&packet.to) && !house.media.contains(&packet.from))
        .collect();
    let (caller_sent, phone_sent): (Vec<Rtp>, Vec<Rtp>) =
        to_house.into_iter().partition(|packet| of_caller(packet.from));
    for (channel, sent) in [caller_sent, phone_sent].iter().enumerate() {
        assert!(sent.len() > 200, "channel {channel}: {} packets", sent.len());
        let middle = &sent[sent.len() - 200..sent.len() - 50];
        aligned(&wav, channel, middle);
    }
    let heard = fs::read(phone.heard()).unwrap();
    assert!(heard.len() > 16_000 * 3, "linphone heard {} octets", heard.len());
}
