//! Registered phones that are asked for a sign of life, and what becomes of those that are silent.

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "a test may stop at once")]

mod house;

use house::*;
use route_api::{Reachability, SignallingEvent};
use sip_core::{
    Bounds, Check, Core, Input, Limits, Phone, Seed, Settings,
    message::{Message, Method, Request, Status},
};
use std::{collections::BTreeSet, time::Duration};

const EVERY: Duration = Duration::from_secs(10);

fn checking(phones: usize) -> Settings {
    let phone = |n| Phone::new(format!("{}", 8_001 + n).parse().unwrap(), PASSWORD.into());
    let bounds = Bounds { transactions: 10_000, ..settings().bounds };
    let check = Some(Check { every: EVERY, failures: 2 });
    let limits = Limits { messages: 10_000, ..Limits::default() };
    Settings { phones: (0..phones).map(phone).collect(), phone_check: check, bounds, limits, ..settings() }
}

fn house() -> House {
    House::of(Core::new(checking(1), Seed([7; 32])))
}

fn reachable(reachable: Reachability) -> SignallingEvent {
    SignallingEvent::Reachable { endpoint: phone(), reachable }
}

/// The questions that have gone out, and where to; copies of one are one.
fn asked(house: &mut House) -> Vec<(String, Request)> {
    let sent = house.sent_to().into_iter().filter_map(|(to, message)| match message {
        Message::Request(request) if request.method == Method::Options => Some((to.to_string(), request)),
        _ => None,
    });
    let mut known = BTreeSet::new();
    sent.filter(|(_, request)| known.insert(request.head.call_id.clone())).collect()
}

/// Lets time go on until a phone is asked what it was not asked before.
fn until_asked(house: &mut House, known: &mut BTreeSet<Vec<u8>>) -> Request {
    for _ in 0..200 {
        house.pass(Duration::from_millis(100));
        let new = asked(house).into_iter().find(|(_, request)| known.insert(request.head.call_id.clone()));
        if let Some((to, request)) = new {
            assert_eq!(to, PHONE, "it is asked where it is seen");
            return request;
        }
    }
    panic!("nobody is asked");
}

/// It is asked twice, and says nothing; gives the second question.
fn silent(house: &mut House, known: &mut BTreeSet<Vec<u8>>) -> Request {
    until_asked(house, known);
    let second = until_asked(house, known);
    assert!(house.events().is_empty(), "silent once is an accident");
    house.pass(Duration::from_secs(4));
    second
}

fn answer(house: &mut House, request: &Request, status: u16) {
    house.datagram(PHONE, &request.respond(Status(status)).tagged(b"phone").to_bytes());
}

/// Guarded by the mutant `sip-lost-phone-kept`.
#[test]
fn a_phone_that_is_silent_twice_is_away_until_it_answers_or_registers() {
    let (mut house, known) = (house(), &mut BTreeSet::new());
    house.register(1, PASSWORD);
    assert_eq!(house.events(), [reachable(Reachability::Reachable)]);
    // Whatever it says, it is there; it is asked again after the interval.
    for status in [200, 404, 486] {
        let request = until_asked(&mut house, known);
        assert_eq!(request.uri.to_bytes(), b"sip:8001@10.0.0.5:5070");
        answer(&mut house, &request, status);
        house.pass(EVERY - Duration::from_millis(200));
        assert!(asked(&mut house).is_empty());
    }
    let began = house.now;
    silent(&mut house, known);
    assert_eq!(house.events(), [reachable(Reachability::Unreachable)]);
    assert!(house.now.since(began) < Duration::from_secs(20), "{:?}", house.now.since(began));
    assert_eq!(house.core.attach().endpoints[1], (phone(), Reachability::Unreachable));
    // A life of ours that begins anew knows it.
    let written = house.written();
    house.restart_with(&written, checking(1), &[]);
    assert_eq!(house.core.attach().endpoints[1], (phone(), Reachability::Unreachable));
    house.events();
    let request = until_asked(&mut house, known);
    answer(&mut house, &request, 200);
    assert_eq!(house.events(), [reachable(Reachability::Reachable)], "it is back");
    // Away once more, and back by a late answer.
    let late = silent(&mut house, known);
    assert_eq!(house.events(), [reachable(Reachability::Unreachable)]);
    answer(&mut house, &late, 200);
    assert_eq!(house.events(), [reachable(Reachability::Reachable)]);
    // And back by REGISTER.
    silent(&mut house, known);
    assert_eq!(house.events(), [reachable(Reachability::Unreachable)]);
    house.sent();
    house.register(3, PASSWORD);
    assert_eq!(house.events(), [reachable(Reachability::Reachable)]);
}

/// Guarded by the mutant `sip-phones-asked-at-once`.
#[test]
fn a_thousand_phones_are_asked_evenly_however_they_came() {
    let mut house = House::of(Core::new(checking(1_000), Seed([7; 32])));
    // All at once, as after a loss of power: put back as an earlier life left them.
    house.register(1, PASSWORD);
    let bindings = house.core.snapshot().into_iter().find_map(|change| match change {
        sip_core::Change::Bindings(_, bindings) => Some(bindings),
        _ => None,
    });
    let bindings = bindings.unwrap();
    let changes = (0..1_000)
        .map(|n| sip_core::Change::Bindings(format!("{}", 8_001 + n).parse().unwrap(), bindings.clone()));
    let core = Core::restore(checking(1_000), Seed([8; 32]), changes);
    let now = house.now;
    house = House::of(core);
    house.now = now;
    let (_, first) = rate(&mut house);
    assert!(first <= 30, "{first} at once as they come back, of 10 on average");
    // The machine slept: every moment was missed.
    house.now = house.now.plus(Duration::from_secs(300));
    let (all, most) = rate(&mut house);
    assert!((900..=1_100).contains(&all), "{all} in {EVERY:?}");
    assert!(most <= 30, "{most} at once, of 10 on average");
}

/// How many are asked within the interval, and how many within a tenth of a second at most; all answer.
fn rate(house: &mut House) -> (usize, usize) {
    let (mut all, mut most) = (0, 0);
    for _ in 0..100 {
        house.pass(Duration::from_millis(100));
        let questions = asked(house);
        most = most.max(questions.len());
        all += questions.len();
        for (_, question) in questions {
            answer(house, &question, 200);
        }
    }
    (all, most)
}

#[test]
fn other_settings_hold_at_once_and_nobody_is_asked_where_none_says_so() {
    let (mut house, known) = (House::new(), &mut BTreeSet::new());
    house.register(1, PASSWORD);
    house.pass(Duration::from_secs(300));
    assert!(asked(&mut house).is_empty());
    house.events();
    house.core.obey(checking(1));
    silent(&mut house, known);
    assert_eq!(house.events(), [reachable(Reachability::Unreachable)]);
    house.core.obey(Settings { phone_check: None, ..checking(1) });
    house.hand(Input::Tick);
    assert_eq!(
        house.events(),
        [reachable(Reachability::Reachable)],
        "who is not asked is there while registered"
    );
    house.pass(Duration::from_secs(32));
    house.sent();
    house.pass(Duration::from_secs(60));
    assert!(asked(&mut house).is_empty());
}
