//! What the house says: paced, proven by a digest, and one stream with what follows.

#![allow(clippy::unwrap_used, clippy::panic)] // A test fails by panicking.

mod support;

use media_core::{
    Error, Event, Input,
    g711::Law,
    session::{Extent, Play, Port, Times},
};
use std::time::Duration;
use support::*;

const A: types::LegId = leg(1);
const B: types::LegId = leg(2);

const fn once<'a>(prompts: &'a [&'a str]) -> Play<'a> {
    Play { number: 1, prompts, times: Times::Once }
}

/// 1010 ms of octets that differ.
fn octets() -> Vec<u8> {
    (0..8080u32).map(|n| (n * 37 % 251) as u8).collect()
}

fn house() -> House {
    let mut house = House::new();
    house.load(&[("announcement", wav(&octets())), ("music", wav(&octets()[..250]))]);
    house
}

#[test]
fn a_prompt_is_sent_whole_in_20_ms_packets_and_proven() {
    let mut house = house();
    house.open(A, Some(&offer(4000, "8"))).unwrap();
    house.handle(Input::Play(A, once(&["announcement"]))).unwrap();
    let begin = house.now;
    let mut packets = 0;
    while house.events.is_empty() {
        house.tick();
        packets += house.sent.iter().filter(|(_, port, ..)| *port == Port::Rtp).count();
        for (_, _, to, datagram) in house.sent.drain(..) {
            assert_eq!((to, datagram.len()), (address(4000), 172));
        }
        assert!(house.now.since(begin) < Duration::from_secs(2));
    }
    assert_eq!(packets, 51);
    let digest = gm::sm3::digest(&wav(&octets())).0;
    let [Event::Played { play: 1, prompts, began, ended, extent: Extent::Whole, .. }] = &house.events[..]
    else {
        panic!("{:?}", house.events)
    };
    assert_eq!(prompts.len(), 1);
    assert_eq!((prompts[0].0.as_str(), prompts[0].1.0), ("announcement", digest));
    assert_eq!(ended.since(*began), Duration::from_secs(1));
}

#[test]
fn octets_are_those_of_the_file_in_the_legs_law() {
    for (formats, law) in [("8", Law::A), ("0", Law::Mu)] {
        let mut house = house();
        house.open(A, Some(&offer(4000, formats))).unwrap();
        house.handle(Input::Play(A, once(&["announcement"]))).unwrap();
        house.pass(Duration::from_secs(2));
        let heard: Vec<u8> =
            house.take_rtp(A).iter().flat_map(|sent| sent.packet().payload.to_vec()).collect();
        let mut file: Vec<u8> = octets().iter().map(|octet| Law::A.convert(*octet, law)).collect();
        file.extend([law.silence(); 80]);
        assert_eq!(heard, file);
    }
}

/// A number is said as a row of prompts: not a sample lies between them, and each is proven.
#[test]
fn a_row_of_prompts_is_one_sound() {
    let mut house = House::new();
    let parts: Vec<Vec<u8>> = [333, 1, 160, 420].iter().map(|length| octets()[..*length].to_vec()).collect();
    let names = ["about", "one", "two", "minutes"];
    let files: Vec<(&str, Vec<u8>)> = names.iter().copied().zip(parts.iter().map(|part| wav(part))).collect();
    house.load(&files);
    house.open(A, Some(&offer(4000, "8"))).unwrap();
    house.handle(Input::Play(A, once(&names))).unwrap();
    house.pass(Duration::from_secs(1));
    let heard: Vec<u8> = house.take_rtp(A).iter().flat_map(|sent| sent.packet().payload.to_vec()).collect();
    let mut row = parts.concat();
    row.extend(vec![Law::A.silence(); heard.len() - row.len()]);
    assert_eq!(heard, row);
    assert!(heard.len() < parts.concat().len() + 160);
    let [Event::Played { prompts, extent: Extent::Whole, .. }] = &house.take_events()[..] else { panic!() };
    let digests: Vec<_> =
        files.iter().map(|(name, file)| ((*name).to_owned(), gm::sm3::digest(file).0)).collect();
    let told: Vec<_> = prompts.iter().map(|(name, digest)| (name.clone(), digest.0)).collect();
    assert_eq!(told, digests);
    // The same again and again, also over the seam.
    house.handle(Input::Play(A, Play { number: 3, prompts: &names, times: Times::Endless })).unwrap();
    house.pass(Duration::from_millis(500));
    let heard: Vec<u8> = house.take_rtp(A).iter().flat_map(|sent| sent.packet().payload.to_vec()).collect();
    let endless: Vec<u8> = parts.concat().into_iter().cycle().take(heard.len()).collect();
    assert_eq!(heard, endless);
}

#[test]
fn a_playing_has_prompts_and_not_too_many() {
    let mut house = house();
    house.open(A, Some(&offer(4000, "8"))).unwrap();
    assert_eq!(house.handle(Input::Play(A, once(&[]))), Err(Error::PromptCount(0)));
    assert_eq!(house.handle(Input::Play(A, once(&["music"; 33]))), Err(Error::PromptCount(33)));
}

#[test]
fn music_has_no_gap_where_it_begins_again() {
    let mut house = house();
    house.open(A, Some(&offer(4000, "8"))).unwrap();
    house.handle(Input::Play(A, Play { number: 2, prompts: &["music"], times: Times::Endless })).unwrap();
    house.pass(Duration::from_secs(1));
    let heard: Vec<u8> = house.take_rtp(A).iter().flat_map(|sent| sent.packet().payload.to_vec()).collect();
    let endless: Vec<u8> = octets()[..250].iter().copied().cycle().take(heard.len()).collect();
    assert_eq!(heard, endless);
    house.handle(Input::Stop(A)).unwrap();
    assert!(matches!(house.events[..], [Event::Played { play: 2, extent: Extent::Part, .. }]));
}

/// Prompt, silence, music, then another party: to the phone one SSRC, no number missing, time goes on.
#[test]
fn one_stream_whatever_feeds_it() {
    let mut house = house();
    house.open(A, Some(&offer(4000, "8"))).unwrap();
    house.open(B, Some(&offer(5000, "8"))).unwrap();
    house.handle(Input::Play(A, once(&["announcement"]))).unwrap();
    house.pass(Duration::from_millis(1500));
    house.handle(Input::Play(A, Play { number: 2, prompts: &["music"], times: Times::Endless })).unwrap();
    house.pass(Duration::from_millis(300));
    house.handle(Input::Bridge(A, B)).unwrap();
    let mut b = Phone::new(5000, PCMA);
    for _ in 0..20 {
        house.hear(B, b.address, &b.speak());
        house.tick();
    }
    let heard = house.take_rtp(A);
    let mut marks = 0;
    for pair in heard.windows(2) {
        let (one, next) = (pair[0].packet(), pair[1].packet());
        assert_eq!(next.sequence, one.sequence.wrapping_add(1));
        assert_eq!(next.ssrc, one.ssrc);
        let step = next.timestamp.wrapping_sub(one.timestamp);
        if next.marker {
            marks += 1;
        } else {
            assert_eq!(step, 160);
        }
        assert!((160..6000).contains(&step), "{step}");
    }
    assert_eq!(marks, 2);
    assert!(matches!(
        house.take_events()[..],
        [Event::Played { play: 1, .. }, Event::Played { play: 2, .. }]
    ));
}

/// A process that slept does not speak faster afterwards, and keeps the time of what it did not say.
#[test]
fn late_ticks_catch_up_a_little_and_pass_over_much() {
    let mut house = house();
    house.open(A, Some(&offer(4000, "8"))).unwrap();
    house.handle(Input::Play(A, once(&["announcement"]))).unwrap();
    house.tick();
    house.take_rtp(A);
    house.now = house.now.plus(Duration::from_millis(60));
    house.tick();
    assert_eq!(house.take_rtp(A).len(), 4);
    house.now = house.now.plus(Duration::from_millis(400));
    house.tick();
    let sent = house.take_rtp(A);
    assert_eq!(sent.len(), 1);
    // 25 packets before it: 20 of them unsaid, their time gone.
    let payload = sent[0].packet().payload.to_vec();
    assert_eq!(payload, octets()[26 * 160..27 * 160]);
}

#[test]
fn what_cannot_be_played_is_told() {
    let mut house = house();
    house.open(A, None).unwrap();
    assert_eq!(house.handle(Input::Play(A, once(&["announcement"]))), Err(Error::NotAgreed(A)));
    let no_prompt = Error::NoPrompt("other".to_owned());
    assert_eq!(house.handle(Input::Play(A, once(&["announcement", "other"]))), Err(no_prompt));
    assert_eq!(house.handle(Input::Play(B, once(&["announcement"]))), Err(Error::NoLeg(B)));
}

#[test]
fn a_party_on_hold_hears_nothing_and_is_not_missed() {
    let mut house = house();
    house.open(A, Some(&format!("{}a=sendonly\r\n", offer(4000, "8")))).unwrap();
    house.handle(Input::Play(A, once(&["announcement"]))).unwrap();
    house.pass(Duration::from_millis(400));
    assert!(house.take_rtp(A).is_empty());
    house.open(A, Some(&format!("{}a=inactive\r\n", offer(4000, "8")))).unwrap();
    house.pass(Duration::from_secs(20));
    assert!(!house.take_events().iter().any(|event| matches!(event, Event::Silent { .. })));
    house.open(A, Some(&offer(4000, "8"))).unwrap();
    house.pass(Duration::from_secs(31));
    let silent = house.take_events().iter().filter(|event| matches!(event, Event::Silent { .. })).count();
    assert_eq!(silent, 1, "told once");
}

#[test]
fn reports_go_every_five_seconds_and_a_goodbye_at_the_end() {
    let mut house = house();
    house.open(A, Some(&offer(4000, "8"))).unwrap();
    let mut a = Phone::new(4000, PCMA);
    house.hear(A, a.address, &a.speak());
    house.handle(Input::Play(A, once(&["announcement"]))).unwrap();
    house.pass(Duration::from_secs(11));
    house.handle(Input::Close(A)).unwrap();
    let reports: Vec<_> = house.sent.iter().filter(|(_, port, ..)| *port == Port::Rtcp).collect();
    assert_eq!(reports.len(), 3);
    assert!(reports.iter().all(|(_, _, to, _)| *to == address(4001)));
    let kinds: Vec<u8> = reports.iter().map(|(_, _, _, datagram)| datagram[1]).collect();
    assert_eq!(kinds, [200, 201, 201], "SR while it spoke, RR after");
}
