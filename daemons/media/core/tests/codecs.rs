//! Parties that speak different codecs: each hears the other as it can, what both speak stays as it came, and the
//! recording keeps what each one sent.

#![allow(clippy::unwrap_used, clippy::panic)] // A test fails by panicking.

mod support;

use media_core::{
    Event, Input,
    codec::{Codec, Encoder},
    g711::Law,
    sdp::Description,
    session::{Extent, Play, Prompt, Times, Track},
    sound::tone::TONES,
};
use std::time::Duration;
use support::*;

const A: types::LegId = leg(1);
const B: types::LegId = leg(2);
const KEPT: types::RecordingId = recording(9);

/// A agreed on G.722, B on PCMA; bridged, both tapped.
fn mixed() -> (House, Phone, Phone) {
    let mut house = House::new();
    house.open(A, Some(&offer(4000, "9 101"))).unwrap();
    house.open(B, Some(&offer(5000, "8 101"))).unwrap();
    house.handle(Input::Bridge(A, B)).unwrap();
    house.handle(Input::Tap(A, KEPT, Track(0))).unwrap();
    house.handle(Input::Tap(B, KEPT, Track(1))).unwrap();
    (house, Phone::new(4000, G722), Phone::new(5000, PCMA))
}

#[test]
fn each_hears_the_other_and_the_recording_keeps_what_came() {
    let (mut house, mut a, mut b) = mixed();
    let (mut wide, mut law) = (encoder(Codec::G722), encoder(Codec::Pcma));
    let mut spoken = vec![];
    for n in 0..100 {
        spoken.push(said(&mut wide, 1000.0, n));
        say(&mut house, A, &mut a, &spoken[n as usize], 160);
        say(&mut house, B, &mut b, &said(&mut law, 600.0, n), 160);
        house.tick();
    }
    let (to_b, to_a) = (house.take_rtp(B), house.take_rtp(A));
    assert!(to_b.len() >= 97 && to_a.len() >= 97, "{} {}", to_b.len(), to_a.len());
    for (sent, codec, hertz) in [(&to_b, Codec::Pcma, 1000.0), (&to_a, Codec::G722, 600.0)] {
        assert!(purity(&decoded(sent, codec)[1600..14_400], hertz) > 0.995, "{codec:?}");
        for pair in sent.windows(2) {
            let (one, next) = (pair[0].packet(), pair[1].packet());
            assert_eq!(next.sequence, one.sequence.wrapping_add(1));
            assert_eq!(next.timestamp, one.timestamp.wrapping_add(160));
            assert_eq!(next.payload.len(), 160);
        }
    }
    house.handle(Input::Untap(A)).unwrap();
    let kept: Vec<_> = house.tapped.iter().filter(|(_, _, record, _)| record.track == Track(0)).collect();
    assert_eq!(kept.len(), 100);
    for ((_, _, record, payload), spoken) in kept.iter().zip(spoken) {
        assert_eq!((record.payload_type, payload), (G722, &spoken));
    }
}

/// Every twentieth packet is lost, every ninth overtakes two others, and all are up to 30 ms late.
#[test]
fn loss_and_jitter_before_a_transcoder_are_hidden() {
    let (mut house, mut a, _) = mixed();
    let mut wide = encoder(Codec::G722);
    let mut underway: Vec<(u64, Vec<u8>)> = vec![];
    for n in 0..400_u32 {
        let payload = said(&mut wide, 500.0, n);
        let packet = a.packet(false, G722, a.timestamp, &payload);
        a.timestamp = a.timestamp.wrapping_add(160);
        let late = u64::from(n * 7 % 31) + if n % 9 == 8 { 45 } else { 0 };
        if n % 20 != 19 {
            underway.push((u64::from(n) * 20 + late, packet));
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
    // Once the buffer has grown, concealment repeats the tone, so there is no hole in it: no 20 ms are silent.
    let loud = |frame: &[i16]| frame.iter().map(|s| i32::from(s.abs())).max().unwrap() > 2000;
    let silent = samples[8000..390 * 160].chunks(160).filter(|frame| !loud(frame)).count();
    assert_eq!(silent, 0);
    let quality = house.core.quality(A).unwrap();
    assert_eq!(
        (quality.codec, quality.received.lost),
        (Some(Codec::G722), 19),
        "the last is not known to be lost"
    );
    assert!(quality.received.reordered > 20, "{}", quality.received.reordered);
    let mos = quality.mos.unwrap().0;
    assert!((370..410).contains(&mos), "5 % lost: {mos}");
}

/// What is packed anew is packed as the party wishes.
#[test]
fn packets_are_as_long_as_the_party_wants_them() {
    for (milliseconds, octets) in [(10, 80), (30, 240), (40, 320), (60, 480)] {
        let mut house = House::new();
        house.open(A, Some(&offer(4000, "9 101"))).unwrap();
        house.open(B, Some(&format!("{}a=ptime:{milliseconds}\r\n", offer(5000, "8 101")))).unwrap();
        house.handle(Input::Bridge(A, B)).unwrap();
        let (mut a, mut wide) = (Phone::new(4000, G722), encoder(Codec::G722));
        for n in 0..100 {
            say(&mut house, A, &mut a, &said(&mut wide, 1000.0, n), 160);
            house.tick();
        }
        let heard = house.take_rtp(B);
        assert!(heard.len() >= 1900 / milliseconds, "{} packets of {milliseconds} ms", heard.len());
        for pair in heard.windows(2) {
            let (one, next) = (pair[0].packet(), pair[1].packet());
            assert_eq!(
                (one.payload.len(), next.timestamp.wrapping_sub(one.timestamp)),
                (octets, octets as u32)
            );
        }
        assert!(purity(&decoded(&heard, Codec::Pcma)[1600..12_800], 1000.0) > 0.995, "{milliseconds} ms");
    }
}

#[test]
fn what_both_speak_stays_as_it_came_wide_too() {
    let mut house = House::new();
    house.open(A, Some(&offer(4000, "9"))).unwrap();
    house.open(B, Some(&offer(5000, "9"))).unwrap();
    house.handle(Input::Bridge(A, B)).unwrap();
    let mut a = Phone::new(4000, G722);
    for n in 0..20 {
        house.hear(A, a.address, &a.speak());
        let heard = house.take_rtp(B);
        assert_eq!(heard[0].packet().payload, a.payload(n), "at once, before any tick");
    }
}

/// A caller who speaks G.722 alone is called on to a phone that speaks it among others.
#[test]
fn the_other_leg_s_codec_is_preferred() {
    let mut house = House::new();
    house.open(A, Some(&offer(4000, "9 101"))).unwrap();
    let plain = Description::parse(house.open(leg(3), None).unwrap().as_bytes()).unwrap();
    assert_eq!(plain.streams[0].formats, ["8", "0", "9", "101"], "the settings' order");
    house.beside = Some(A);
    let ours = Description::parse(house.open(B, None).unwrap().as_bytes()).unwrap();
    assert_eq!(ours.streams[0].formats, ["9", "8", "0", "101"]);
    let answer =
        Description::parse(house.open(leg(4), Some(&offer(6000, "8 0 9 101"))).unwrap().as_bytes()).unwrap();
    assert_eq!(answer.streams[0].formats, ["9", "101"]);
    house.beside = None;
    // A party that offers anew while it is bridged is answered with what its peer speaks.
    house.open(leg(5), Some(&offer(7000, "8 0"))).unwrap();
    house.handle(Input::Bridge(A, leg(5))).unwrap();
    let again =
        Description::parse(house.open(leg(5), Some(&offer(7000, "8 0 9"))).unwrap().as_bytes()).unwrap();
    assert_eq!(again.streams[0].formats, ["9"]);
}

#[test]
fn a_wideband_party_hears_prompts_and_tones() {
    let mut house = House::new();
    for (name, tone) in Prompt::tones() {
        house.core.load(name.to_owned(), tone);
    }
    for (formats, codec) in [("9", Codec::G722), ("8", Codec::Pcma), ("0", Codec::Pcmu)] {
        house.open(A, Some(&offer(4000, formats))).unwrap();
        house
            .handle(Input::Play(A, Play { number: 1, prompts: &["tone.busy"], times: Times::Endless }))
            .unwrap();
        house.take_rtp(A);
        house.pass(Duration::from_millis(2100));
        let samples = decoded(&house.take_rtp(A), codec);
        assert!(samples.len() >= 16_000, "{codec:?}");
        assert!(purity(&samples[400..2700], 450.0) > 0.99, "{codec:?}");
        let loudest = |range: std::ops::Range<usize>| samples[range].iter().map(|s| s.abs()).max().unwrap();
        assert!(loudest(3000..5500) < 100, "350 ms of silence");
        assert!(loudest(5700..8000) > 6000, "and again");
        house.handle(Input::Close(A)).unwrap();
    }
    house.open(A, Some(&offer(4000, "8"))).unwrap();
    house.take_events();
    house
        .handle(Input::Play(A, Play { number: 2, prompts: &["tone.ringback"], times: Times::Once }))
        .unwrap();
    house.pass(Duration::from_secs(6));
    let events = house.take_events();
    let [Event::Played { prompts, extent: Extent::Whole, .. }] = &events[..] else { panic!("{events:?}") };
    let ringback = TONES.iter().find(|tone| tone.name == "tone.ringback").unwrap();
    assert_eq!(prompts[0].1.0, gm::sm3::digest(ringback.definition().as_bytes()).0);
}

/// The way to a party whose codec changes in a re-INVITE goes on as one stream.
#[test]
fn a_change_of_codec_is_one_stream() {
    let (mut house, mut a, _) = mixed();
    let mut wide = encoder(Codec::G722);
    for n in 0..20 {
        say(&mut house, A, &mut a, &said(&mut wide, 1000.0, n), 160);
        house.tick();
    }
    house.open(A, Some(&offer(4000, "8 101"))).unwrap();
    a.payload_type = PCMA;
    let mut law = encoder(Codec::Pcma);
    for n in 0..20 {
        say(&mut house, A, &mut a, &said(&mut law, 1000.0, n), 160);
        house.tick();
    }
    let heard = house.take_rtp(B);
    for pair in heard.windows(2) {
        assert_eq!(pair[1].packet().sequence, pair[0].packet().sequence.wrapping_add(1));
        assert_eq!(pair[1].packet().ssrc, pair[0].packet().ssrc);
    }
    let last = heard.last().unwrap().packet().payload.to_vec();
    assert_eq!(last, said(&mut Encoder::G711(Law::A), 1000.0, 19), "untouched from then on");
}
