//! G.729: promised only where its library is there to speak it, passed as it came between two that speak it, waited
//! for, made whole and packed anew beside others. What is to be heard wants libbcg729-0; FFmpeg's judgement of it is
//! in `appliance/bcg729`.

#![allow(clippy::unwrap_used, clippy::panic)] // A test fails by panicking.

mod support;

use media_core::{
    Core, Error, Event, Input,
    codec::{Codec, Encoder, Library},
    sdp::{Description, Refusal},
    session::{Extent, Play, Prompt, Times, Track},
    sound::tone::sine,
};
use std::{
    io::{Write, stderr},
    time::Duration,
};
use support::*;

const A: types::LegId = leg(1);
const B: types::LegId = leg(2);
const KEPT: types::RecordingId = recording(9);

/// A library that says one thing.
#[derive(Debug)]
struct Parrot;

impl g729::Library for Parrot {
    fn encoder(&self) -> Option<Box<dyn g729::Encode>> {
        Some(Box::new(Self))
    }
}

impl g729::Encode for Parrot {
    fn encode(&mut self, _: &[i16; g729::SAMPLES]) -> [u8; g729::OCTETS] {
        *b"pretty boy"
    }
}

fn with_parrot() -> House {
    let mut house = House::new();
    house.core.equip(&Library::of(Parrot));
    house
}

/// The library, if this machine has it.
fn bcg729() -> Option<Library> {
    match bcg729::Library::load(None) {
        Ok(library) => Some(Library::of(library)),
        Err(lack) => {
            let _gone = writeln!(stderr(), "SKIPPED: {lack} (apt-get install libbcg729-0)");
            None
        }
    }
}

fn formats(description: &str) -> Vec<String> {
    Description::parse(description.as_bytes()).unwrap().streams[0].formats.clone()
}

#[test]
fn it_is_promised_where_it_can_be_spoken() {
    let mut house = House::new();
    let refused = house.open(A, Some(&offer(4000, "18 101")));
    assert_eq!(refused, Err(Error::Negotiation(Refusal::Library)), "why, is said");
    let refused = house.open(A, Some(&offer(4000, "3 101")));
    assert_eq!(refused, Err(Error::Negotiation(Refusal::Codec)), "of others it says nothing");
    assert_eq!(formats(&house.open(A, Some(&offer(4000, "18 8 101"))).unwrap()), ["8", "101"]);
    assert_eq!(formats(&house.open(B, None).unwrap()), ["8", "0", "9", "101"]);
    let answered = house.handle(Input::Accept(B, offer(5000, "18 101").as_bytes()));
    assert_eq!(answered, Err(Error::Negotiation(Refusal::Codec)), "nor is an answer that names it unasked");

    let mut house = with_parrot();
    let answer = house.open(A, Some(&offer(4000, "18 101"))).unwrap();
    assert_eq!(formats(&answer), ["18", "101"]);
    assert!(answer.contains("a=rtpmap:18 G729/8000\r\na=rtpmap:101"), "{answer}");
    assert!(answer.contains("a=fmtp:18 annexb=no\r\n"), "silence is to be sent as sound: {answer}");
    let ours = house.open(B, None).unwrap();
    assert_eq!(formats(&ours), ["8", "0", "9", "18", "101"]);
    assert!(ours.contains("a=fmtp:18 annexb=no\r\n"), "{ours}");
    let answer = format!("{}a=fmtp:18 annexb=yes\r\n", offer(5000, "18 101"));
    house.handle(Input::Accept(B, answer.as_bytes())).unwrap();
    assert_eq!(house.core.quality(B).unwrap().codec, Some(Codec::G729));
    // As Cisco's gateways write it, under a number of their own.
    let theirs = format!("{}a=rtpmap:116 G729a/8000\r\n", offer(6000, "116 101"));
    assert_eq!(formats(&house.open(leg(3), Some(&theirs)).unwrap()), ["116", "101"]);
    // Beside a leg that speaks it, it comes first.
    house.beside = Some(A);
    assert_eq!(formats(&house.open(leg(4), None).unwrap()), ["18", "8", "0", "9", "101"]);
    assert_eq!(formats(&house.open(leg(5), Some(&offer(7000, "8 18 101"))).unwrap()), ["18", "101"]);
}

/// Not an octet is changed, descriptions of silence included, and no library is asked: it is there no more.
#[test]
fn what_both_speak_stays_as_it_came() {
    let mut house = with_parrot();
    house.open(A, Some(&offer(4000, "18 101"))).unwrap();
    house.open(B, Some(&offer(5000, "18 101"))).unwrap();
    house.handle(Input::Bridge(A, B)).unwrap();
    house.handle(Input::Tap(A, KEPT, Track(0))).unwrap();
    house.core.equip(&Library::default());
    let mut a = Phone::new(4000, G729);
    let payloads: Vec<(Vec<u8>, u32)> = vec![
        ((0..20).collect(), 160),
        ((20..40).collect(), 160),
        ((0..12).collect(), 160),
        (vec![7, 8], 480),
        ((40..70).collect(), 240),
    ];
    let mut timestamps = vec![];
    for (payload, ticks) in &payloads {
        say(&mut house, A, &mut a, payload, *ticks);
        let heard = house.take_rtp(B);
        assert_eq!(heard[0].packet().payload, payload, "at once, before any tick");
        timestamps.push(heard[0].packet().timestamp);
    }
    for (pair, (_, ticks)) in timestamps.windows(2).zip(&payloads) {
        assert_eq!(pair[1].wrapping_sub(pair[0]), *ticks);
    }
    house.handle(Input::Untap(A)).unwrap();
    let kept: Vec<_> =
        house.tapped.iter().map(|(_, _, record, octets)| (record.payload_type, octets.clone())).collect();
    let spoken: Vec<_> = payloads.into_iter().map(|(payload, _)| (G729, payload)).collect();
    assert_eq!(kept, spoken, "the recording keeps what came");
}

/// After the house has spoken, what is relayed goes on at the right moment: 20 octets last 20 ms.
#[test]
fn prompts_and_keys_are_packed_by_their_duration() {
    for (milliseconds, octets) in [(10, 10), (20, 20), (30, 30), (60, 60)] {
        let mut house = with_parrot();
        for (name, tone) in Prompt::tones() {
            house.core.load(name.to_owned(), tone);
        }
        let theirs = format!("{}a=ptime:{milliseconds}\r\n", offer(4000, "18"));
        house.open(A, Some(&theirs)).unwrap();
        house.open(B, Some(&offer(5000, "18"))).unwrap();
        let wish = Play { number: 1, prompts: &["tone.busy"], times: Times::Once };
        house.handle(Input::Play(A, wish)).unwrap();
        house.pass(Duration::from_secs(1));
        let heard = house.take_rtp(A);
        assert!(heard.len() as u32 >= 640 / milliseconds, "{} packets of {milliseconds} ms", heard.len());
        for pair in heard.windows(2) {
            let (one, next) = (pair[0].packet(), pair[1].packet());
            let ticks = next.timestamp.wrapping_sub(one.timestamp);
            assert_eq!((one.payload.len(), ticks), (octets, 8 * milliseconds));
            assert_eq!(one.payload_type, G729);
        }
        let last = heard.last().unwrap().packet().timestamp;
        house.handle(Input::Bridge(A, B)).unwrap();
        let mut b = Phone::new(5000, G729);
        say(&mut house, B, &mut b, &[1; 20], 160);
        let relayed = house.take_rtp(A)[0].packet().timestamp.wrapping_sub(last);
        assert!((8 * milliseconds..8 * 1100).contains(&relayed), "{relayed} ticks later");
    }
}

/// A life that comes back without the library: the call goes on, and nothing is said to have been played that was not.
#[test]
fn a_leg_that_is_left_without_its_library_hears_no_prompt_and_is_not_said_to_have() {
    let mut house = with_parrot();
    house
        .core
        .load("tone.busy".to_owned(), Prompt::tones().find(|(name, _)| *name == "tone.busy").unwrap().1);
    house.open(A, Some(&offer(4000, "18 101"))).unwrap();
    house.open(B, Some(&offer(5000, "8 101"))).unwrap();
    let wish = Play { number: 7, prompts: &["tone.busy"], times: Times::Endless };
    house.handle(Input::Play(A, wish)).unwrap();
    house.pass(Duration::from_millis(200));
    assert!(!house.take_rtp(A).is_empty());
    let kept = serde_json::to_string(&house.core).unwrap();
    house.core = serde_json::from_str::<Core>(&kept).unwrap();
    house
        .core
        .load("tone.busy".to_owned(), Prompt::tones().find(|(name, _)| *name == "tone.busy").unwrap().1);
    house.take_events();
    house.pass(Duration::from_millis(200));
    assert!(house.take_rtp(A).is_empty());
    let events = house.take_events();
    let part = |event: &Event| matches!(event, Event::Played { play: 7, extent: Extent::Part, .. });
    assert!(events.iter().any(part), "{events:?}");
    assert_eq!(house.handle(Input::Play(A, wish)), Err(Error::NotSpoken("G729")));
    // The peer's speech cannot come through; what the party says still does.
    house.handle(Input::Bridge(A, B)).unwrap();
    let (mut a, mut b) = (Phone::new(4000, G729), Phone::new(5000, PCMA));
    for _ in 0..20 {
        say(&mut house, A, &mut a, &[0x5a; 20], 160);
        say(&mut house, B, &mut b, &[0xd5; 160], 160);
        house.tick();
    }
    assert!(house.take_rtp(A).is_empty());
    assert!(house.take_rtp(B).len() > 15);
    // An offer of its own is answered with what can be spoken.
    assert_eq!(formats(&house.open(A, Some(&offer(4000, "18 8 101"))).unwrap()), ["8", "101"]);
}

#[test]
fn it_and_the_other_codecs_hear_each_other() {
    let Some(library) = bcg729() else { return };
    for (other, number, purest) in
        [(Codec::Pcma, "8", 0.95), (Codec::Pcmu, "0", 0.95), (Codec::G722, "9", 0.95)]
    {
        let mut house = House::new();
        house.core.equip(&library);
        house.open(A, Some(&offer(4000, "18 101"))).unwrap();
        house.open(B, Some(&offer(5000, &format!("{number} 101")))).unwrap();
        house.handle(Input::Bridge(A, B)).unwrap();
        house.handle(Input::Tap(A, KEPT, Track(0))).unwrap();
        let (mut a, mut b) = (Phone::new(4000, G729), Phone::new(5000, other.payload_type()));
        let (mut small, mut large) = (Encoder::new(Codec::G729, &library).unwrap(), encoder(other));
        let mut spoken = vec![];
        for n in 0..150 {
            spoken.push(said(&mut small, 700.0, n));
            say(&mut house, A, &mut a, &spoken[n as usize], 160);
            say(&mut house, B, &mut b, &said(&mut large, 450.0, n), 160);
            house.tick();
        }
        let (to_b, to_a) = (house.take_rtp(B), house.take_rtp(A));
        assert!(to_b.len() >= 146 && to_a.len() >= 146, "{} {}", to_b.len(), to_a.len());
        for (sent, codec, hertz) in [(&to_b, other, 700.0), (&to_a, Codec::G729, 450.0)] {
            let tone = purity(&decoded(sent, codec)[4000..20_000], hertz);
            assert!(tone > purest, "{codec:?} beside {other:?}: {tone:.3}");
        }
        assert!(to_a.iter().all(|sent| sent.packet().payload.len() == 20));
        house.handle(Input::Untap(A)).unwrap();
        let kept: Vec<Vec<u8>> = house.tapped.iter().map(|(_, _, _, octets)| octets.clone()).collect();
        assert_eq!(kept, spoken);
    }
}

/// Every twentieth packet is lost and all are up to 30 ms late: none of it is a hole, and the score says what it was.
#[test]
fn loss_and_jitter_before_a_transcoder_are_hidden() {
    let Some(library) = bcg729() else { return };
    let mut house = House::new();
    house.core.equip(&library);
    house.open(A, Some(&offer(4000, "18 101"))).unwrap();
    house.open(B, Some(&offer(5000, "8 101"))).unwrap();
    house.handle(Input::Bridge(A, B)).unwrap();
    let (mut a, mut small) = (Phone::new(4000, G729), Encoder::new(Codec::G729, &library).unwrap());
    let mut underway: Vec<(u64, Vec<u8>)> = vec![];
    for n in 0..400_u32 {
        let payload = said(&mut small, 500.0, n);
        let packet = a.packet(false, G729, a.timestamp, &payload);
        a.timestamp = a.timestamp.wrapping_add(160);
        if n % 20 != 19 {
            underway.push((u64::from(n) * 20 + u64::from(n * 7 % 31), packet));
        }
    }
    underway.sort_by_key(|(at, _)| *at);
    let mut underway = underway.into_iter().peekable();
    for tick in 0..420 {
        while let Some((_, packet)) = underway.next_if(|(at, _)| *at <= tick * 20) {
            house.hear(A, a.address, &packet);
        }
        house.tick();
    }
    let heard = house.take_rtp(B);
    assert!(heard.len() >= 395, "{} packets: none is missing", heard.len());
    let samples = decoded(&heard, Codec::Pcma);
    let loud = |frame: &[i16]| frame.iter().map(|s| i32::from(s.abs())).max().unwrap() > 300;
    let silent = samples[8000..390 * 160].chunks(160).filter(|frame| !loud(frame)).count();
    assert_eq!(silent, 0);
    let quality = house.core.quality(A).unwrap();
    assert_eq!((quality.codec, quality.received.lost), (Some(Codec::G729), 19));
    let mos = quality.mos.unwrap().0;
    assert!((300..345).contains(&mos), "5 % lost: {mos}");
}

/// A party without telephone events presses keys. A codec for speech garbles tones (RFC 4733 §1), so a few are missed;
/// none is mistaken.
#[test]
fn keys_are_heard_through_it_as_far_as_it_lets_them() {
    let Some(library) = bcg729() else { return };
    let mut house = House::new();
    house.core.equip(&library);
    house.open(A, Some(&offer(4000, "18"))).unwrap();
    let (mut a, mut small) = (Phone::new(4000, G729), Encoder::new(Codec::G729, &library).unwrap());
    const LOW: [f64; 4] = [697.0, 770.0, 852.0, 941.0];
    const HIGH: [f64; 4] = [1209.0, 1336.0, 1477.0, 1633.0];
    let keys = ["123A", "456B", "789C", "*0#D"];
    let mut pressed = String::new();
    for (row, line) in keys.iter().enumerate() {
        for (column, key) in line.chars().enumerate() {
            pressed.push(key);
            for n in 0..12_u32 {
                let tones = [(LOW[row], -8.0), (HIGH[column], -6.0)];
                let level = |at| if n < 6 { sine(&tones, at) } else { 0 };
                let samples: Vec<i16> = (n * 160..n * 160 + 160).map(level).collect();
                let mut octets = vec![];
                small.encode(&samples, &mut octets);
                say(&mut house, A, &mut a, &octets, 160);
                house.tick();
            }
        }
    }
    let heard: String = house
        .take_events()
        .iter()
        .filter_map(|event| match event {
            Event::Digit { digit, .. } => Some(char::from(*digit)),
            _ => None,
        })
        .collect();
    let mut rest = pressed.chars();
    assert!(heard.chars().all(|key| rest.any(|pressed| pressed == key)), "{heard} of {pressed}");
    assert!(heard.len() >= 14, "{heard} of {pressed}");
}
