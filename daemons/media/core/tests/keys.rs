//! Keys between parties that have different ways to say them: telephone events, tones, and neither heard twice.

#![allow(clippy::unwrap_used, clippy::panic)] // A test fails by panicking.

mod support;

use media_core::{
    Event, Input,
    dtmf::{self, Digit},
    g711::Law,
    sound::{Ear, Heard, tone::sine},
};
use std::{process::Command, time::Duration};
use support::*;

const A: types::LegId = leg(1);
const B: types::LegId = leg(2);
const WITH: &str = "8 101";
const WITHOUT: &str = "8";

fn talking(formats_a: &str, formats_b: &str) -> (House, Phone, Phone) {
    let mut house = House::new();
    house.open(A, Some(&offer(4000, formats_a))).unwrap();
    house.open(B, Some(&offer(5000, formats_b))).unwrap();
    house.handle(Input::Bridge(A, B)).unwrap();
    let kind = |formats: &str| if formats.starts_with('9') { G722 } else { PCMA };
    (house, Phone::new(4000, kind(formats_a)), Phone::new(5000, kind(formats_b)))
}

fn digits(house: &mut House) -> String {
    let events = house.take_events();
    events
        .iter()
        .filter_map(|e| if let Event::Digit { digit, .. } = e { Some(char::from(*digit)) } else { None })
        .collect()
}

fn by_ear(sent: &[Sent]) -> String {
    let (mut ear, mut keys) = (Ear::default(), String::new());
    for sent in sent {
        let octets = sent.packet().payload.to_vec();
        ear.listen(octets.iter().map(|octet| Law::A.expand(*octet)), |heard| {
            if let Heard::Pressed(digit) = heard {
                keys.push(digit.into());
            }
        });
    }
    keys
}

/// Keys as RFC 4733 has them: the end three times.
fn events(phone: &mut Phone, code: u8, duration: u16) -> Vec<Vec<u8>> {
    let timestamp = phone.timestamp;
    let packets = (1..=duration / 160)
        .map(|n| (false, n * 160))
        .chain([(true, duration); 3])
        .map(|(end, duration)| {
            let payload = dtmf::Event { code, end, duration }.payload(10);
            phone.packet(duration == 160, EVENTS, timestamp, &payload)
        })
        .collect();
    phone.timestamp = timestamp.wrapping_add(duration.into());
    packets
}

#[test]
fn events_become_tones_for_a_party_that_knows_none() {
    let (mut house, mut a, _) = talking(WITH, WITHOUT);
    house.hear(A, a.address, &a.speak());
    for code in [1, 1, 11] {
        for packet in events(&mut a, code, 800) {
            house.hear(A, a.address, &packet);
            house.tick();
        }
        for _ in 0..10 {
            house.hear(A, a.address, &a.speak());
            house.tick();
        }
    }
    assert_eq!(digits(&mut house), "11#", "told once each");
    let heard = house.take_rtp(B);
    assert_eq!(by_ear(&heard), "11#");
    assert!(
        heard.iter().all(|sent| sent.packet().payload_type == PCMA && sent.packet().payload.len() == 160)
    );
    for pair in heard.windows(2) {
        let (one, next) = (pair[0].packet(), pair[1].packet());
        assert_eq!(next.sequence, one.sequence.wrapping_add(1), "no number is missing");
        assert!((160..3200).contains(&next.timestamp.wrapping_sub(one.timestamp)), "time goes on");
    }
    let last = heard.last().unwrap().packet().payload.to_vec();
    assert_eq!(last, a.payload(a.spoken - 1), "then the party is heard as it speaks");
}

#[test]
fn tones_become_events_for_a_party_that_knows_them() {
    let (mut house, mut a, _) = talking(WITHOUT, WITH);
    let silence = [Law::A.silence(); 160];
    let say = |house: &mut House, a: &mut Phone, payload: &[u8]| {
        let packet = a.packet(false, PCMA, a.timestamp, payload);
        a.timestamp = a.timestamp.wrapping_add(160);
        house.hear(A, a.address, &packet);
        house.tick();
    };
    for (low, high) in [(697.0, 1209.0), (697.0, 1209.0), (941.0, 1477.0)] {
        for frame in 0..8 {
            let tones: Vec<u8> = (frame * 160..frame * 160 + 160)
                .map(|at| Law::A.compress(sine(&[(low, -10.0), (high, -9.0)], at)))
                .collect();
            say(&mut house, &mut a, &tones);
        }
        for _ in 0..15 {
            say(&mut house, &mut a, &silence);
        }
    }
    assert_eq!(digits(&mut house), "11#");
    let heard = house.take_rtp(B);
    let events: Vec<_> = heard
        .iter()
        .filter(|sent| sent.packet().payload_type == EVENTS)
        .map(|sent| {
            let packet = sent.packet();
            (packet.timestamp, packet.marker, dtmf::Event::parse(packet.payload).unwrap())
        })
        .collect();
    let mut presses = vec![];
    let mut keypad = dtmf::Keypad::default();
    for (timestamp, _, event) in &events {
        presses.extend(keypad.take(house.now, *timestamp, *event));
    }
    assert_eq!(presses.iter().map(|press| char::from(press.digit)).collect::<String>(), "11#");
    for press in presses {
        assert!((100..=180).contains(&press.held.as_millis()), "{:?}", press.held);
    }
    assert_eq!(events.iter().filter(|(_, marker, _)| *marker).count(), 3, "a beginning each");
    assert_eq!(events.iter().filter(|(.., event)| event.end).count(), 9, "an end each, three times");
    // What of the tones went out before they were known is too short to be a key.
    let speech: Vec<Sent> = heard.into_iter().filter(|sent| sent.packet().payload_type == PCMA).collect();
    assert_eq!(by_ear(&speech), "");
}

#[test]
fn both_know_none_and_hear_the_tones_as_they_came() {
    let (mut house, mut a, _) = talking(WITHOUT, WITHOUT);
    let mut spoken = vec![];
    for frame in 0..10 {
        let tones: Vec<u8> = (frame * 160..frame * 160 + 160)
            .map(|at| Law::A.compress(sine(&[(770.0, -10.0), (1336.0, -9.0)], at)))
            .collect();
        let packet = a.packet(false, PCMA, a.timestamp, &tones);
        a.timestamp = a.timestamp.wrapping_add(160);
        spoken.push(tones);
        house.hear(A, a.address, &packet);
        house.tick();
    }
    for _ in 0..5 {
        let silence = a.packet(false, PCMA, a.timestamp, &[Law::A.silence(); 160]);
        a.timestamp = a.timestamp.wrapping_add(160);
        house.hear(A, a.address, &silence);
    }
    assert_eq!(digits(&mut house), "5");
    let heard = house.take_rtp(B);
    assert_eq!(heard.iter().map(|sent| sent.packet().payload.to_vec()).collect::<Vec<_>>()[..10], spoken);
}

/// Who knows telephone events says keys by them: its voice is not listened to.
#[test]
fn a_party_that_knows_events_is_not_listened_to() {
    let (mut house, mut a, _) = talking(WITH, WITHOUT);
    for frame in 0..10 {
        let tones: Vec<u8> = (frame * 160..frame * 160 + 160)
            .map(|at| Law::A.compress(sine(&[(770.0, -10.0), (1336.0, -9.0)], at)))
            .collect();
        let packet = a.packet(false, PCMA, a.timestamp, &tones);
        a.timestamp = a.timestamp.wrapping_add(160);
        house.hear(A, a.address, &packet);
    }
    assert_eq!(digits(&mut house), "");
}

#[test]
fn events_stay_events_between_codecs_of_different_kinds() {
    let (mut house, mut a, _) = talking("9 101", "8 101");
    for _ in 0..5 {
        house.hear(A, a.address, &a.speak());
        house.tick();
    }
    for packet in events(&mut a, 7, 1600) {
        house.hear(A, a.address, &packet);
        house.tick();
    }
    house.pass(Duration::from_millis(400));
    assert_eq!(digits(&mut house), "7");
    let mut keypad = dtmf::Keypad::default();
    let heard = house.take_rtp(B);
    let events = heard.iter().filter(|sent| sent.packet().payload_type == EVENTS);
    let presses: Vec<_> = events
        .filter_map(|sent| {
            let packet = sent.packet();
            keypad.take(house.now, packet.timestamp, dtmf::Event::parse(packet.payload)?)
        })
        .collect();
    assert_eq!(presses.len(), 1);
    assert_eq!(
        (presses[0].digit, presses[0].held),
        (Digit::try_from('7').unwrap(), Duration::from_millis(200))
    );
}

/// Talk-off (Q.24 §A.4): minutes of talk, of men and women, in both languages, are no keys.
#[test]
fn speech_is_no_key() {
    let text = "您好，欢迎致电服务热线。请输入您的账号，以井号键结束。一二三四五六七八九零。\
        我想查询一下上个月的账单，还有我的信用卡额度是多少？请稍等，正在为您转接人工坐席。\
        Good morning, thank you for calling. Please hold the line while we are transferring your call. \
        Sixty-six thousand, seven hundred and seventy-one yuan and eighty-eight fen. Yes, exactly, I see, oh really? ";
    let (mut seconds, mut heard) = (0, String::new());
    for voice in ["cmn", "cmn+f2", "en+m3", "en+f4"] {
        for pitch in ["20", "70"] {
            let arguments = ["-v", voice, "-p", pitch, "-a", "180", "--stdout", text];
            let Ok(spoken) = Command::new("espeak-ng").args(arguments).output() else {
                println!("SKIPPED: espeak-ng is not here");
                return;
            };
            let data = spoken.stdout.get(44..).unwrap_or_default();
            let samples: Vec<i16> =
                data.as_chunks().0.iter().map(|sample| i16::from_le_bytes(*sample)).collect();
            let samples = media_core::sound::resample(&samples, 22_050);
            seconds += samples.len() / 8000;
            let through_the_law = samples.iter().map(|sample| Law::A.expand(Law::A.compress(*sample)));
            Ear::default().listen(through_the_law, |key| {
                if let Heard::Pressed(digit) = key {
                    heard.push(digit.into());
                }
            });
        }
    }
    assert!(seconds > 150, "{seconds} s are too few");
    assert_eq!(heard, "", "in {seconds} s of speech");
}
