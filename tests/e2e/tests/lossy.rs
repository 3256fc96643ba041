//! A line that loses, delays, doubles and reorders: the call is set up and ends, both speak, what arrived of each is
//! recorded at its place to the sample, and loss and jitter are counted as they were on the wire.
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "tests")]

use e2e::{
    House,
    network::{Impairment, Network},
    peer::{self, Caller, HangUp, Phone},
    wire::{Capture, Rtp, aligned},
};
use std::{collections::BTreeMap, fs, time::Duration};

const IMPAIRMENT: Impairment =
    Impairment { delay: Duration::from_millis(30), jitter: Duration::from_millis(24), lost: 40, doubled: 10 };

#[test]
fn a_lossy_line_costs_what_it_lost_and_no_more() {
    let Some(line) = Network::lay(IMPAIRMENT) else {
        println!("SKIPPED: no namespaces and TAP devices here (root, iproute2)");
        return;
    };
    let house = House::start_beyond(&line);
    house.people();
    let (caller_speech, phone_speech) = peer::speech(house.folder.path());
    let _phone = Phone::register(&house, &phone_speech);
    house.agent_ready();

    let capture = Capture::begin(&house);
    let mut caller = Caller::call(&house, &caller_speech, HangUp::Caller { after: 27_000 });
    house.until_stage("talking");
    house.until("the caller has hung up", Duration::from_secs(90), |_| caller.ended().is_some());
    assert_eq!(caller.ended(), Some(true), "SIPp is content");
    let record = house.call_record(1);
    let wire = capture.end();
    assert_eq!(record["disposition"], "answered", "{record:#}");

    let recording = record["recording"]["yes"]["recording"].as_str().unwrap_or_else(|| panic!("{record:#}"));
    let out = house.folder.path().join("call.wav");
    let path = out.display().to_string();
    house.ym_as("wang", &["recordings", "export", recording, "--reason", "proof", "--out", &path], "");
    let wav = fs::read(&out).unwrap();

    let of_caller = |port: u16| (caller.media..caller.media + 100).contains(&port);
    let (from_caller, from_phone): (Vec<Rtp>, Vec<Rtp>) = wire
        .into_iter()
        .filter(|packet| house.media.contains(&packet.to) && packet.payload.len() == 160)
        .partition(|packet| of_caller(packet.from));
    for (channel, arrived, over) in [(0, from_caller, "trunk"), (1, from_phone, "phone")] {
        // What came, in the order in which it was said, each once.
        let said: BTreeMap<u32, Rtp> =
            arrived.iter().map(|packet| (packet.timestamp, packet.clone())).collect();
        let said: Vec<Rtp> = said.into_values().collect();
        let talk = &said[said.len().saturating_sub(450)..said.len() - 50];
        assert_eq!(talk.len(), 400, "channel {channel}");
        let wanted = (talk[399].timestamp - talk[0].timestamp) as usize / 160 + 1;
        assert!(wanted > 404, "channel {channel}: the line lost nothing");
        assert!(arrived.len() > said.len(), "channel {channel}: the line doubled nothing");
        let overtaken = arrived.windows(2).filter(|pair| pair[1].timestamp < pair[0].timestamp).count();
        assert!(overtaken > 0, "channel {channel}: the line reordered nothing");
        // Every sample that came is in the recording at its own time, whatever is missing around it.
        aligned(&wav, channel, talk);

        let legs = record["legs"].as_array().unwrap();
        let leg = legs.iter().find(|leg| leg["over"][over].is_string()).unwrap();
        let quality = &leg["quality"];
        let all = (said[said.len() - 1].timestamp - said[0].timestamp) as usize / 160 + 1;
        let lost = (all - said.len()) as f64;
        let counted = quality["lost"].as_f64().unwrap();
        // The capture ends a moment later than the leg.
        assert!((counted - lost).abs() <= 6.0, "{lost} lost, {counted} counted: {quality:#}");
        assert!(quality["reordered"].as_u64().unwrap() > 0, "{quality:#}");
        assert!(quality["jitter_us"].as_u64().unwrap() > 3_000, "{quality:#}");
        let mos = quality["mos"].as_f64().unwrap();
        assert!((1.5..4.2).contains(&mos), "{quality:#}");
    }
}
