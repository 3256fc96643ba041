//! Early media: a caller hears a called side that has not answered, which does not hear the caller.

#![allow(clippy::unwrap_used, clippy::panic)] // A test fails by panicking.

mod support;

use media_core::{
    Core, Error, Event, Input,
    session::{PAUSE, Play, TICK, Times, Track},
};
use std::time::Duration;
use support::*;

const CALLER: types::LegId = leg(1);
const CALLED: types::LegId = leg(2);
const TONE: Play<'_> = Play { number: 7, prompts: &["tone"], times: Times::Endless };

/// A caller with a tone in its ear, a called side that was offered, and how both speak.
fn calling(formats: &str) -> (House, Phone, Phone) {
    let mut house = House::new();
    house.load(&[("tone", wav(&[0x55; 1600]))]);
    house.open(CALLER, Some(&offer(4000, formats))).unwrap();
    house.open(CALLED, None).unwrap();
    house.handle(Input::Play(CALLER, TONE)).unwrap();
    (house, Phone::new(4000, PCMA), Phone::new(5000, PCMA))
}

fn early(house: &mut House, answer: &str) -> Result<(), Error> {
    house.handle(Input::Early { leg: CALLED, answer: answer.as_bytes(), to: CALLER })
}

/// What the caller heard since the last look: of the tone, of the called side.
fn heard(house: &mut House) -> (usize, Vec<Vec<u8>>) {
    let payloads: Vec<Vec<u8>> =
        house.take_rtp(CALLER).iter().map(|sent| sent.packet().payload.to_vec()).collect();
    let (tone, speech): (Vec<_>, Vec<_>) = payloads.into_iter().partition(|p| p.iter().all(|b| *b == 0x55));
    (tone.len(), speech)
}

fn speak(house: &mut House, leg: types::LegId, phone: &mut Phone, times: usize) {
    for _ in 0..times {
        house.hear(leg, phone.address, &phone.speak());
        house.tick();
    }
}

/// Guarded by the mutants `media-tone-over-early`, `media-tone-stays-away` and `media-early-both-ways`.
#[test]
fn the_caller_hears_it_byte_for_byte_and_its_own_tone_gives_way() {
    let (mut house, mut caller, mut called) = calling("8 101");
    early(&mut house, &offer(5000, "8 101")).unwrap();
    house.pass(Duration::from_secs(1));
    assert_eq!(heard(&mut house), (51, vec![]), "nothing comes yet: the house's tone");
    speak(&mut house, CALLED, &mut called, 100);
    let (tone, speech) = heard(&mut house);
    assert!(tone <= 1, "{tone} packets of the tone over the carrier's word");
    assert_eq!(speech, (0..100).map(|n| called.payload(n)).collect::<Vec<_>>());
    // One way: nothing that the caller says goes to somebody who has not answered.
    speak(&mut house, CALLER, &mut caller, 50);
    assert!(house.take_rtp(CALLED).is_empty());
    heard(&mut house);
    // It has ceased, and the caller is not left in silence.
    house.pass(PAUSE);
    heard(&mut house);
    house.pass(Duration::from_secs(1));
    assert_eq!(heard(&mut house), (50, vec![]), "the tone is back");
    speak(&mut house, CALLED, &mut called, 10);
    assert!(heard(&mut house).0 <= 1, "and gives way again");
}

#[test]
fn a_ringing_tone_with_pauses_is_not_mixed_with_ours() {
    let (mut house, _, mut called) = calling("8");
    early(&mut house, &offer(5000, "8")).unwrap();
    for _ in 0..3 {
        speak(&mut house, CALLED, &mut called, 50);
        // E.180: at most 5 s, for which a line with silence suppression sends nothing.
        house.pass(Duration::from_secs(5));
        assert!(heard(&mut house).0 <= 1);
    }
}

#[test]
fn nothing_of_it_is_recorded_and_the_answer_joins_both_ways() {
    let (mut house, mut caller, mut called) = calling("8");
    house.handle(Input::Tap(CALLER, recording(9), Track(0))).unwrap();
    early(&mut house, &offer(5000, "8")).unwrap();
    speak(&mut house, CALLED, &mut called, 50);
    // The same answer again: the stream goes on, its place is kept.
    house.handle(Input::Accept(CALLED, offer(5000, "8").as_bytes())).unwrap();
    assert!(house.take_events().contains(&Event::Accepted { leg: CALLED }));
    house.handle(Input::Bridge(CALLER, CALLED)).unwrap();
    assert!(house.take_events().iter().any(|event| matches!(event, Event::Played { play: 7, .. })));
    heard(&mut house);
    house.take_rtp(CALLED);
    speak(&mut house, CALLED, &mut called, 20);
    speak(&mut house, CALLER, &mut caller, 20);
    assert_eq!(heard(&mut house).1.len(), 20);
    assert_eq!(house.take_rtp(CALLED).len(), 20);
    house.handle(Input::Untap(CALLER)).unwrap();
    let recorded: Vec<_> = house.tapped.iter().map(|(.., payload)| payload.clone()).collect();
    assert_eq!(
        recorded,
        (0..20).map(|n| caller.payload(n)).collect::<Vec<_>>(),
        "the caller's own words alone"
    );
}

/// Another fork, or the person behind the announcement: another address, another codec.
#[test]
fn a_later_answer_replaces_an_early_one() {
    let (mut house, _, mut announcement) = calling("8 0");
    early(&mut house, &offer(5000, "8")).unwrap();
    speak(&mut house, CALLED, &mut announcement, 10);
    heard(&mut house);
    let mut other = Phone::new(6000, PCMU);
    early(&mut house, &offer(6000, "0")).unwrap();
    speak(&mut house, CALLED, &mut other, 10);
    assert_eq!(heard(&mut house).1.len(), 10);
    let refused = early(&mut house, &offer(5000, "18"));
    assert!(refused.is_err(), "a codec that we did not offer");
    speak(&mut house, CALLED, &mut other, 10);
    assert_eq!(heard(&mut house).1.len(), 10, "what cannot be met changes nothing");
    // An UPDATE of who speaks (RFC 3311), and then another answers after all.
    house.open(CALLED, Some(&offer(7000, "8"))).unwrap();
    let mut moved = Phone::new(7000, PCMA);
    speak(&mut house, CALLED, &mut moved, 10);
    assert_eq!(heard(&mut house).1.len(), 10);
    house.handle(Input::Accept(CALLED, offer(5002, "8").as_bytes())).unwrap();
    assert_eq!(early(&mut house, &offer(6000, "0")), Err(Error::NoOfferPending(CALLED)), "it is answered");
}

#[test]
fn the_end_of_either_leg_ends_it_and_it_outlives_a_kill() {
    let (mut house, _, mut called) = calling("8");
    early(&mut house, &offer(5000, "8")).unwrap();
    speak(&mut house, CALLED, &mut called, 10);
    let kept = serde_json::to_vec(&house.core).unwrap();
    house.core = serde_json::from_slice::<Core>(&kept).unwrap();
    house.load(&[("tone", wav(&[0x55; 1600]))]);
    heard(&mut house);
    speak(&mut house, CALLED, &mut called, 10);
    assert_eq!(heard(&mut house).1.len(), 10);
    house.handle(Input::Close(CALLED)).unwrap();
    heard(&mut house);
    house.pass(TICK * 50);
    assert_eq!(heard(&mut house).0, 50, "the called side is gone: its own sound again");
    house.open(CALLED, None).unwrap();
    early(&mut house, &offer(5000, "8")).unwrap();
    house.handle(Input::Close(CALLER)).unwrap();
    speak(&mut house, CALLED, &mut called, 10);
    assert!(house.take_rtp(CALLER).is_empty());
    assert_eq!(early(&mut house, &offer(5000, "8")), Err(Error::NoLeg(CALLER)));
}
