//! A party that puts the call on hold: it is told once, and the recording of who waits goes on.

#![allow(clippy::unwrap_used, clippy::panic)] // A test fails by panicking.

mod support;

use media_core::{Event, Input, session::Track};
use std::time::Duration;
use support::*;

const A: types::LegId = leg(1);
const B: types::LegId = leg(2);

#[test]
fn hold_is_told_and_who_is_held_is_recorded_on() {
    let mut house = House::new();
    house.open(A, Some(&offer(4000, "8"))).unwrap();
    house.open(B, Some(&offer(5000, "8"))).unwrap();
    house.handle(Input::Bridge(A, B)).unwrap();
    house.handle(Input::Tap(A, recording(9), Track(0))).unwrap();
    let (mut a, mut b) = (Phone::new(4000, PCMA), Phone::new(5000, PCMA));
    let talk = |house: &mut House, a: &mut Phone, b: &mut Phone| {
        for _ in 0..10 {
            house.hear(A, a.address, &a.speak());
            house.hear(B, b.address, &b.speak());
            house.tick();
        }
    };
    talk(&mut house, &mut a, &mut b);
    for (direction, held) in
        [("sendonly", true), ("inactive", true), ("sendrecv", false), ("recvonly", false)]
    {
        let before = house.events.len();
        let was_held = house.events.iter().rev().find_map(|event| match event {
            Event::Held { .. } => Some(true),
            Event::Resumed { .. } => Some(false),
            _ => None,
        });
        house.open(B, Some(&format!("{}a={direction}\r\n", offer(5000, "8")))).unwrap();
        let told = &house.events[before..];
        match (was_held.unwrap_or(false), held) {
            (false, true) => assert_eq!(told, [Event::Held { leg: B }]),
            (true, false) => assert_eq!(told, [Event::Resumed { leg: B }]),
            _ => assert!(told.is_empty(), "{direction}: {told:?}"),
        }
        talk(&mut house, &mut a, &mut b);
    }
    house.handle(Input::Untap(A)).unwrap();
    let recorded: Vec<_> = house.tapped.iter().map(|(.., payload)| payload.clone()).collect();
    assert_eq!(recorded, (0..50).map(|number| a.payload(number)).collect::<Vec<_>>());
    // A phone on hold says nothing, and is not taken for dead.
    house.open(B, Some(&format!("{}a=inactive\r\n", offer(5000, "8")))).unwrap();
    for _ in 0..2_000 {
        house.hear(A, a.address, &a.speak());
        house.tick();
    }
    house.pass(Duration::from_millis(20));
    assert!(!house.events.contains(&Event::Silent { leg: B }));
}
