//! Allowances, penalties, reports, and a table that stays bounded.

use super::*;

const LIMITS: Limits = Limits { messages: 50, connections: 16, failures: 20 };

fn at(ms: u64) -> Monotonic {
    Monotonic(1_000_000_000 + ms * 1_000_000)
}

fn source(text: &str) -> Source {
    Source::of(text.parse().unwrap())
}

#[test]
fn a_burst_then_the_rate() {
    let mut sources = Sources::default();
    let limits = Limits { messages: 1, ..LIMITS };
    let mut admitted = |ms: u64| sources.admit(at(ms), source("192.0.2.1"), &limits);
    assert_eq!([0, 0, 0, 0, 0].map(&mut admitted), [true, true, true, true, false]);
    assert_eq!([999, 1_000, 1_001, 2_500].map(&mut admitted), [false, true, false, true]);
}

#[test]
fn all_addresses_of_a_64_are_one_source() {
    assert_eq!(source("2001:db8:1:2::3"), source("2001:db8:1:2:ffff::9"));
    assert_ne!(source("2001:db8:1:2::3"), source("2001:db8:1:3::3"));
    assert_eq!(source("::ffff:192.0.2.1"), source("192.0.2.1"));
    assert_eq!(source("2001:db8:1:2::3").to_string(), "2001:db8:1:2::/64");
}

/// Guarded by the mutant `sip-scan-not-slowed`.
#[test]
fn who_knocks_too_often_is_slowed_told_once_and_let_off_again() {
    let mut sources = Sources::default();
    let scanner = source("203.0.113.5");
    for ms in 0..19 {
        assert!(sources.admit(at(ms), scanner, &LIMITS));
        sources.note(at(ms), scanner, Offence::Unanswered, &LIMITS);
    }
    assert!(sources.reports().is_empty() && sources.slowed(at(19)).is_empty());
    for ms in 20..60 {
        sources.note(at(ms), scanner, Offence::User, &LIMITS);
    }
    let reports = sources.reports();
    assert_eq!(reports.len(), 1, "one for the source, not one for each packet");
    assert_eq!((reports[0].source.as_str(), reports[0].unanswered, reports[0].users), ("203.0.113.5", 19, 1));
    assert_eq!(sources.slowed(at(60)), [scanner]);
    let within = |sources: &mut Sources, ms: u64| sources.admit(at(ms), scanner, &LIMITS);
    let passed = (0..100).filter(|n| within(&mut sources, 100 + n * 100)).count();
    assert!((2..=4).contains(&passed), "two and one each five seconds, not {passed}");
    assert!(sources.slowed(at(60 + 600_000)).is_empty());
    // It goes on for hours: told each hour.
    for minute in 0..130 {
        sources.note(at(minute * 60_000), scanner, Offence::Password, &LIMITS);
    }
    assert_eq!(sources.reports().len(), 2);
}

#[test]
fn a_phone_that_answers_its_challenges_is_never_slowed() {
    let mut sources = Sources::default();
    let phone = source("192.0.2.7");
    for n in 0..1_000 {
        sources.note(at(n * 1_000), phone, Offence::Unanswered, &LIMITS);
        sources.forgive(phone, b"8001");
    }
    assert!(sources.slowed(at(1_000_000)).is_empty() && sources.reports().is_empty());
}

#[test]
fn one_wrong_phone_among_many_is_locked_out_alone() {
    let mut sources = Sources::default();
    let site = source("192.0.2.8");
    sources.registered(at(0), site, at(3_600_000), &LIMITS);
    for ms in 0..50 {
        sources.note(at(ms), site, Offence::Password, &LIMITS);
        sources.wrong(at(ms), site, b"8009", &LIMITS);
    }
    assert!(sources.slowed(at(50)).is_empty(), "phones are registered from there");
    assert!(sources.is_locked_out(at(50), site, b"8009", &LIMITS));
    assert!(!sources.is_locked_out(at(50), site, b"8001", &LIMITS));
    assert!(!sources.is_locked_out(at(700_000), site, b"8009", &LIMITS));
}

/// Guarded by the mutant `sip-sources-unbounded`.
#[test]
fn a_flood_from_many_addresses_stays_bounded_and_known_phones_go_on() {
    let mut sources = Sources::default();
    let phone = source("198.51.100.1");
    sources.registered(at(0), phone, at(3_600_000), &LIMITS);
    for n in 0..3 * SOURCES as u32 {
        sources.admit(at(u64::from(n) / 100), Source::of(IpAddr::from(n.to_be_bytes())), &LIMITS);
    }
    assert_eq!(sources.known.len(), SOURCES);
    assert!(sources.admit(at(300), phone, &LIMITS), "who is known keeps an allowance of its own");
    let newcomer = source("198.51.100.2");
    assert!(sources.admit(at(10_000), newcomer, &LIMITS), "and later there is room again");
    assert!(sources.known.contains_key(&newcomer));
}

#[test]
fn reports_of_a_flood_are_bounded_too() {
    let mut sources = Sources::default();
    for n in 0..200u32 {
        for _ in 0..20 {
            sources.note(at(5), Source::of(IpAddr::from(n.to_be_bytes())), Offence::User, &LIMITS);
        }
    }
    assert_eq!(sources.reports().len(), REPORTS as usize);
    for _ in 0..20 {
        sources.note(at(70_000), source("203.0.113.200"), Offence::User, &LIMITS);
    }
    assert_eq!(sources.reports()[0].others, 180);
}
