//! A carrier that speaks G.729 alone and a phone that does not: each hears the other, the recording keeps what came,
//! and the export is what was said. FFmpeg, which is no relative of what the house speaks and hears with, is the judge.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use e2e::{
    House,
    peer::{self, Caller, HangUp, Phone},
    reader::{read_independently, within},
    ua::Line,
    wire::{Capture, Rtp, aligned},
};
use g711::Law;
use g729::Library as _;
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

const G729: u8 = 18;
const SECOND: usize = 8_000;

#[test]
fn a_carrier_of_g729_and_a_phone_of_a_law_hear_each_other() {
    if let Err(lack) = bcg729::find(None) {
        println!("SKIPPED: {lack} (apt-get install libbcg729-0)");
        return;
    }
    let _alone = e2e::alone();
    let house = House::start_with("codecs = [\"PCMA\", \"G729\"]");
    house.people();
    let folder = house.folder.path();
    let (caller_speech, phone_speech) = peer::speech(folder);
    let _phone = Phone::register(&house, &phone_speech);
    house.agent_ready();

    let capture = Capture::begin(&house);
    let mut caller = Caller::call_in_g729(&house, &spoken(&caller_speech), HangUp::Caller { after: 16_000 });
    house.until_stage("talking");
    house.until("the caller has hung up", Duration::from_secs(40), |_| caller.ended().is_some());
    assert_eq!(caller.ended(), Some(true), "SIPp is content");
    let record = house.call_record(1);
    let wire = capture.end();

    // On the wire: G.729 with the carrier, 20 octets each 20 ms, A-law with the phone.
    let of_carrier = |port: u16| (caller.media..caller.media + 100).contains(&port);
    let between = |to_house: bool, carrier: bool| -> Vec<Rtp> {
        let ours =
            |p: &&Rtp| house.media.contains(&p.to) == to_house && house.media.contains(&p.from) != to_house;
        let theirs = |p: &&Rtp| of_carrier(p.to) || of_carrier(p.from);
        wire.iter().filter(ours).filter(|p| theirs(p) == carrier && p.payload.len() > 8).cloned().collect()
    };
    let (said, heard) = (between(true, true), between(false, true));
    let (phone_said, phone_heard) = (between(true, false), between(false, false));
    for (packets, number, length) in
        [(&said, G729, 20), (&heard, G729, 20), (&phone_said, 8, 160), (&phone_heard, 8, 160)]
    {
        let speech: Vec<&Rtp> = packets.iter().filter(|packet| packet.payload_type == number).collect();
        assert!(speech.len() > 300, "{} packets of {number}", speech.len());
        assert!(speech.iter().all(|packet| packet.payload.len() == length), "{number}");
    }
    // Each hears what the other said.
    let carrier = by_ffmpeg(folder, &said);
    let phone = by_law(&phone_said);
    let talk = |samples: &[i16]| samples[samples.len() - 4 * SECOND..samples.len() - 3 * SECOND].to_vec();
    let at_phone = likeness(&talk(&carrier), &by_law(&phone_heard));
    let at_carrier = likeness(&talk(&phone), &by_ffmpeg(folder, &heard));
    println!("the phone heard {at_phone:.3} of the carrier, the carrier {at_carrier:.3} of the phone");
    assert!(at_phone > 0.9, "what the phone heard of the carrier: {at_phone:.3}");
    assert!(at_carrier > 0.7, "what the carrier heard of the phone: {at_carrier:.3}");
    let at_nobody = likeness(&talk(&carrier), &phone);
    assert!(at_nobody < 0.6, "voices can be told apart: {at_nobody:.3}");

    // The call record says so.
    let legs = record["legs"].as_array().unwrap();
    let of =
        legs.iter().find(|leg| leg["quality"]["codec"] == "G729").unwrap_or_else(|| panic!("{record:#}"));
    assert_eq!(of["quality"]["lost"], 0, "{record:#}");
    assert!((3.9..4.2).contains(&of["quality"]["mos"].as_f64().unwrap()), "{record:#}");

    // The recording keeps what came, octet for octet; the export is what was said.
    let recording = record["recording"]["yes"]["recording"].as_str().unwrap_or_else(|| panic!("{record:#}"));
    let tracks: [Vec<u8>; 2] = read_independently(&house, recording);
    within(&said, &tracks[0], "the carrier's track");
    let right = within(&phone_said, &tracks[1], "the phone's track");
    let out = folder.join("call.wav");
    let path = out.display().to_string();
    house.ask_as("wang", &["recordings", "export", recording, "--reason", "complaint 17", "--out", &path]);
    let wav = fs::read(&out).unwrap();
    assert_eq!(u32::from_le_bytes(wav[24..28].try_into().unwrap()), 8_000);
    let left: Vec<i16> = wav[44..].chunks_exact(4).map(|b| i16::from_le_bytes([b[0], b[1]])).collect();
    let exported = likeness(&talk(&carrier), &left);
    println!("the export holds {exported:.3} of the carrier");
    assert!(exported > 0.95, "the carrier in the export: {exported:.3}");
    aligned(&wav, 1, right);
}

/// Without the library the house comes up, says what lacks and how it is mended, and refuses who speaks nothing else.
#[test]
fn without_the_library_the_house_says_so_and_refuses_the_call() {
    let _alone = e2e::alone();
    let house =
        House::start_with("codecs = [\"G729\", \"PCMA\"]\ng729_library = \"/nowhere/libbcg729.so.0\"");
    let told = fs::read_to_string(house.folder.path().join("log")).unwrap();
    assert!(told.contains("/nowhere/libbcg729.so.0") && told.contains("G.729"), "{told}");
    house.people();
    let file = house.folder.path().join("appliance.toml").display().to_string();
    let checked = house.try_ym_as("sysadmin", &["settings", "check", &file], "");
    let problems =
        String::from_utf8_lossy(&checked.stdout).into_owned() + &String::from_utf8_lossy(&checked.stderr);
    assert!(problems.contains("libbcg729"), "{problems}");

    let carrier = Line::carrier(&house);
    let sdp = |formats: &str| {
        format!(
            "v=0\r\no=- 7 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n\
             m=audio 4000 RTP/AVP {formats}\r\na=rtpmap:18 G729/8000\r\n"
        )
    };
    let call = carrier.dial("95555", &sdp("18"));
    let refused = call.last("INVITE");
    assert_eq!(refused.status, Some(488), "{refused:?}");
    call.ack_refusal(&refused);
    let record = house.call_record(1);
    assert_eq!(record["legs"][0]["cause"], "bearer_capability_not_implemented", "{record:#}");
    let shown = house.ym_as("wang", &["calls", "show", record["call"].as_str().unwrap()], "");
    assert!(shown.contains("whose library"), "{shown}");
    // Who speaks A-law beside it is heard.
    let mut call = carrier.dial("95555", &sdp("18 8"));
    let answer = call.answered().body;
    assert!(answer.contains("RTP/AVP 8\r\n"), "{answer}");
}

/// The frames of a file of A-law, spoken by the library.
fn spoken(law: &Path) -> PathBuf {
    let samples: Vec<i16> = fs::read(law).unwrap().iter().map(|octet| Law::A.expand(*octet)).collect();
    let mut encoder = bcg729::Library::load(None).unwrap().encoder().unwrap();
    let frames: Vec<u8> = samples.as_chunks().0.iter().flat_map(|frame| encoder.encode(frame)).collect();
    let path = law.with_extension("g729");
    fs::write(&path, frames).unwrap();
    path
}

fn by_law(packets: &[Rtp]) -> Vec<i16> {
    packets.iter().flat_map(|packet| packet.payload.iter().map(|octet| Law::A.expand(*octet))).collect()
}

fn by_ffmpeg(folder: &Path, packets: &[Rtp]) -> Vec<i16> {
    let (frames, out) = (folder.join("wire.g729"), folder.join("wire.raw"));
    fs::write(&frames, packets.iter().flat_map(|packet| packet.payload.clone()).collect::<Vec<u8>>())
        .unwrap();
    let mut ffmpeg = Command::new("ffmpeg");
    ffmpeg.args(["-loglevel", "error", "-y", "-f", "g729", "-i"]).arg(&frames);
    let status = ffmpeg.args(["-f", "s16le", "-ar", "8000"]).arg(&out).status();
    assert!(status.expect("ffmpeg: apt-get install ffmpeg").success());
    fs::read(out).unwrap().as_chunks().0.iter().map(|sample| i16::from_le_bytes(*sample)).collect()
}

/// How alike a piece of speech is to what is most like it in a longer one: 1 is the same form at any loudness.
fn likeness(piece: &[i16], whole: &[i16]) -> f64 {
    // Every fifth sample is enough to find it and to judge it.
    let piece: Vec<f64> = piece.iter().step_by(5).map(|sample| f64::from(*sample)).collect();
    let whole: Vec<f64> = whole.iter().map(|sample| f64::from(*sample)).collect();
    let own: f64 = piece.iter().map(|sample| sample * sample).sum();
    let at = |start: usize| {
        let (mut product, mut power) = (0.0, 0.0);
        for (sample, other) in piece.iter().zip(whole[start..].iter().step_by(5)) {
            product += sample * other;
            power += other * other;
        }
        product / (own * power).sqrt().max(1.0)
    };
    (0..=whole.len().saturating_sub(5 * piece.len())).map(at).fold(0.0, f64::max)
}
