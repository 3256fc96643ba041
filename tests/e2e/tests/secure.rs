//! Two parties that have neither codec nor protection in common, both real: a carrier (SIPp) with A-law in the clear,
//! a phone (baresip) with G.722 in SRTP. Each says a tone and hears the other's.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use e2e::{
    House,
    peer::{Answers, Caller, HangUp, Phone, Speaking},
    wire::{Capture, Rtp},
};
use g711::Law;
use std::{fs, path::Path, process::Command, time::Duration};

const CALLER_HERTZ: f64 = 1000.0;
const PHONE_HERTZ: f64 = 600.0;
const G722: u8 = 9;

#[test]
fn a_law_in_the_clear_and_g722_in_srtp_hear_each_other() {
    let _alone = e2e::alone();
    let house = House::start_with("codecs = [\"PCMA\", \"G722\"]\nsrtp = \"offered\"");
    house.people();
    let folder = house.folder.path();
    let (caller_speech, phone_speech) = (folder.join("caller.al"), folder.join("phone.wav"));
    tone(&["-r", "8000", "-c", "1", "-t", "al"], &caller_speech, CALLER_HERTZ);
    tone(&["-r", "16000", "-c", "1", "-b", "16"], &phone_speech, PHONE_HERTZ);
    let speaking = Speaking { codec: ("g722.so", "G722/16000/1"), protection: "srtp" };
    let _phone = Phone::register_speaking(&house, &phone_speech, speaking);
    house.agent_ready();

    let capture = Capture::begin(&house);
    let mut caller = Caller::call(&house, &caller_speech, HangUp::Caller { after: 16_000 });
    house.until_stage("talking");
    house.until("the caller has hung up", Duration::from_secs(40), |_| caller.ended().is_some());
    assert_eq!(caller.ended(), Some(true), "SIPp is content");
    let record = house.call_record(1);
    let wire = capture.end();

    // On the wire: the phone's sound is G.722 and sealed, both ways; the carrier's is neither.
    let of_carrier = |port: u16| (caller.media..caller.media + 100).contains(&port);
    let speech = |packet: &&Rtp| packet.payload_type < 96 && packet.payload.len() >= 160;
    let with_phone: Vec<&Rtp> = wire
        .iter()
        .filter(|p| house.media.contains(&p.to) != house.media.contains(&p.from))
        .filter(|p| !of_carrier(p.to) && !of_carrier(p.from))
        .filter(speech)
        .collect();
    let (from_phone, to_phone): (Vec<&Rtp>, Vec<&Rtp>) =
        with_phone.into_iter().partition(|packet| house.media.contains(&packet.to));
    for (packets, whose) in [(&from_phone, "the phone's"), (&to_phone, "the house's")] {
        assert!(packets.len() > 250, "{} packets are {whose}", packets.len());
        assert!(packets.iter().all(|packet| packet.payload_type == G722), "{whose}");
        assert!(packets.iter().all(|packet| packet.payload.len() > 160), "{whose} have a tag");
    }

    // The carrier hears the phone's tone, the phone the carrier's.
    let heard: Vec<i16> = wire
        .iter()
        .filter(|packet| of_carrier(packet.to) && packet.payload_type == 8)
        .flat_map(|packet| packet.payload.iter().map(|octet| Law::A.expand(*octet)))
        .collect();
    let talk = heard.len() - 5 * 8000..heard.len() - 8000;
    assert!(purity(&heard[talk], PHONE_HERTZ, 8000.0) > 0.98, "what the carrier heard at the end");
    let dump = fs::read_dir(folder.join("baresip-8001"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.to_string_lossy().ends_with("-dec.wav"))
        .expect("what the phone heard");
    let heard = samples(&fs::read(dump).unwrap());
    let talk = heard.len() - 4 * 16_000..heard.len() - 16_000;
    assert!(purity(&heard[talk], CALLER_HERTZ, 16_000.0) > 0.98, "what the phone heard at the end");

    // The call record says so, and the export is wide.
    let legs = record["legs"].as_array().unwrap();
    let quality = |codec: &str| {
        let of = |leg: &&serde_json::Value| leg["quality"]["codec"] == codec;
        legs.iter().find(of).unwrap_or_else(|| panic!("{record:#}"))["quality"].clone()
    };
    assert_eq!(quality("G722")["srtp"], "AEAD_AES_128_GCM", "{record:#}");
    assert_eq!(quality("G722")["forged"], 0, "{record:#}");
    assert!(quality("G722")["mos"].as_f64().unwrap() > 4.0, "{record:#}");
    assert!(quality("PCMA")["srtp"].is_null(), "{record:#}");
    let recording = record["recording"]["yes"]["recording"].as_str().unwrap_or_else(|| panic!("{record:#}"));
    let out = folder.join("call.wav");
    let path = out.display().to_string();
    house.ask_as("wang", &["recordings", "export", recording, "--reason", "complaint 17", "--out", &path]);
    let wav = fs::read(&out).unwrap();
    assert_eq!(u32::from_le_bytes(wav[24..28].try_into().unwrap()), 16_000);
    let both = samples(&wav);
    for (channel, hertz) in [(0, CALLER_HERTZ), (1, PHONE_HERTZ)] {
        let side: Vec<i16> = both.iter().skip(channel).step_by(2).copied().collect();
        let talk = side.len() - 4 * 16_000..side.len() - 16_000;
        assert!(purity(&side[talk], hertz, 16_000.0) > 0.98, "channel {channel} of the export");
    }
}

/// Each endpoint by its own rule: a phone that must be protected and is, a carrier in the clear, and a phone that must be
/// and is not, which is refused with its reason.
#[test]
fn each_phone_and_trunk_is_protected_by_its_own_rule() {
    let _alone = e2e::alone();
    let rules = "\n[[media.phones]]\nextension = \"8001\"\nsrtp = \"required\"\n\
                 \n[[media.phones]]\nextension = \"8002\"\nsrtp = \"required\"\n";
    let house = House::start_as(50, |_, settings| settings + rules);
    house.people();
    let folder = house.folder.path();
    let (caller_speech, phone_speech) = (folder.join("caller.al"), folder.join("phone.wav"));
    tone(&["-r", "8000", "-c", "1", "-t", "al"], &caller_speech, CALLER_HERTZ);
    tone(&["-r", "8000", "-c", "1", "-b", "16"], &phone_speech, PHONE_HERTZ);
    let speaking = Speaking { protection: "srtp-mand", ..Speaking::PLAIN };
    let _phone = Phone::register_speaking(&house, &phone_speech, speaking);
    house.agent_ready();

    let mut caller = Caller::call(&house, &caller_speech, HangUp::Caller { after: 12_000 });
    house.until_stage("talking");
    house.until("the caller has hung up", Duration::from_secs(40), |_| caller.ended().is_some());
    assert_eq!(caller.ended(), Some(true), "SIPp is content");
    let record = house.call_record(1);
    let legs = record["legs"].as_array().unwrap();
    assert_eq!(legs.len(), 2, "{record:#}");
    assert!(legs[0]["quality"]["srtp"].is_null(), "the carrier is in the clear: {record:#}");
    let suite = legs[1]["quality"]["srtp"].as_str().unwrap_or_else(|| panic!("{record:#}"));
    assert!(legs.iter().all(|leg| leg["quality"]["received"].as_u64().unwrap() > 100), "{record:#}");
    let shown = house.ym_as("wang", &["calls", "show", record["call"].as_str().unwrap()], "");
    assert!(shown.contains(suite), "{shown}");

    let speaking = Speaking::PLAIN;
    let mut plain = Phone::at(&house, "8002", Answers::ByHand, None, &phone_speech, speaking);
    house.until("the other phone is there", Duration::from_secs(10), |house| {
        let found = house.ask_as("wang", &["trunks"])["endpoints"].to_string();
        found.contains(r#"[{"phone":"8002"},"reachable"]"#)
    });
    plain.dial("95555");
    let record = house.call_record(2);
    assert_eq!(record["legs"][0]["cause"], "bearer_capability_not_implemented", "{record:#}");
    assert!(record["decisions"].to_string().contains("no protection that is spoken"), "{record:#}");
    let shown = house.ask_as("wang", &["calls", "show", record["call"].as_str().unwrap()]);
    let steps = shown["legs"][0]["ladder"]["steps"].to_string();
    assert!(steps.contains("488 Not Acceptable Here"), "{steps}");
}

/// Two minutes of a tone.
fn tone(format: &[&str], path: &Path, hertz: f64) {
    let mut command = Command::new("sox");
    command.arg("-n").args(format).arg(path).args([
        "synth",
        "120",
        "sine",
        &hertz.to_string(),
        "gain",
        "-12",
    ]);
    assert!(command.status().expect("sox: apt-get install sox").success());
}

/// 16-bit samples of a WAV.
fn samples(wav: &[u8]) -> Vec<i16> {
    wav[44..].as_chunks().0.iter().map(|sample| i16::from_le_bytes(*sample)).collect()
}

/// How much of the power is the tone.
fn purity(samples: &[i16], hertz: f64, rate: f64) -> f64 {
    let (mut a, mut b, mut power) = (0.0, 0.0, 0.0);
    for (at, sample) in samples.iter().enumerate() {
        let angle = at as f64 * hertz / rate * std::f64::consts::TAU;
        a += f64::from(*sample) * angle.sin();
        b += f64::from(*sample) * angle.cos();
        power += f64::from(*sample).powi(2);
    }
    (a * a + b * b) * 2.0 / samples.len() as f64 / power
}
