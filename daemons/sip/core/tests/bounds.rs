//! What is too much, too fast, or nonsense: refused and counted, and never a panic.

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "a test may stop at once")]

mod house;

use house::*;
use proptest::prelude::*;
use route_api::SignallingEvent;
use sip_core::{Input, Presence, message::parse};
use std::{path::PathBuf, time::Duration};

#[test]
fn a_call_too_many_is_refused() {
    let mut house = House::new();
    for call in ["c1", "c2", "c3"] {
        house.offered(call);
    }
    let invite = house.invite("c4", "");
    house.datagram(CARRIER, &invite);
    assert_eq!(house.statuses(), [503]);
    assert_eq!(house.core.counters().no_room, 1);
}

#[test]
fn without_route_no_new_call_is_taken() {
    let mut house = House::new();
    house.hand(Input::Route(Presence::Absent));
    let invite = house.invite("c1", "");
    house.datagram(CARRIER, &invite);
    assert_eq!(house.statuses(), [503]);
    house.datagram(CARRIER, &request("OPTIONS", "sip:192.0.2.1", "o", "o", "", 1, ""));
    assert_eq!(house.statuses(), [200]);
}

#[test]
fn a_transaction_too_many_is_refused_and_old_ones_make_room() {
    let mut house = House::new();
    for n in 0..41 {
        house.datagram(CARRIER, &request("OPTIONS", "sip:192.0.2.1", &format!("o{n}"), "o", "", 1, ""));
    }
    let statuses = house.statuses();
    assert_eq!((statuses.len(), statuses[39], statuses[40]), (41, 200, 503));
    house.pass(Duration::from_secs(33));
    house.datagram(CARRIER, &request("OPTIONS", "sip:192.0.2.1", "again", "o", "", 1, ""));
    assert_eq!(house.statuses(), [200]);
}

#[test]
fn a_stranger_too_fast_gets_no_answer() {
    let mut house = House::new();
    let options = request("OPTIONS", "sip:192.0.2.1", "o", "o", "", 1, "");
    for _ in 0..300 {
        house.datagram("203.0.113.77:5060", &options);
    }
    assert_eq!(house.sent().len(), 200);
    assert_eq!(house.core.counters().too_fast, 100);
}

/// What a scanner sends: a REGISTER for each number, and guesses for one.
fn knock(user: &str, number: u32, headers: &str) -> Vec<u8> {
    format!(
        "REGISTER sip:192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP 203.0.113.66:5060;branch=z9hG4bK{user}{number};rport\r\n\
         From: <sip:{user}@192.0.2.1>;tag=r\r\nTo: <sip:{user}@192.0.2.1>\r\nCall-ID: {user}\r\n\
         CSeq: {number} REGISTER\r\nContact: <sip:{user}@203.0.113.66>\r\n{headers}\r\n"
    )
    .into_bytes()
}

const SCANNER: &str = "203.0.113.66:5060";

#[test]
fn a_scan_is_slowed_counted_and_reported_once() {
    let mut house = House::new();
    let mut answered = 0;
    for n in 0..500 {
        house.datagram(SCANNER, &knock(&format!("{}", 1_000 + n), 1, ""));
        answered += house.sent().len();
        house.pass(Duration::from_millis(20));
        house.sent();
    }
    assert!(answered < 30, "20 and then one in five seconds, not {answered} of 500");
    assert_eq!(house.reports.len(), 1, "{:?}", house.reports);
    assert_eq!((house.reports[0].source.as_str(), house.reports[0].unanswered), ("203.0.113.66", 20));
    assert_eq!(house.core.slowed(house.now).len(), 1);
    // Others notice nothing.
    assert_eq!(house.register(1, PASSWORD).status.0, 200);
    house.offered("c1");
    house.pass(Duration::from_secs(700));
    assert!(house.core.slowed(house.now).is_empty());
}

/// Guarded by the mutant `sip-guesses-unlimited`.
#[test]
fn guesses_at_one_password_end_whatever_network_they_come_from() {
    let mut house = House::new();
    // A phone of ours is registered from behind the same address: the source is not slowed as a whole.
    assert_eq!(house.register(1, PASSWORD).status.0, 200);
    let guesser = "203.0.113.9:41000";
    let mut refused = Vec::new();
    for n in 0..40 {
        house.datagram(guesser, &house.registering(100 + 2 * n, ""));
        let challenged = house.response();
        if challenged.status.0 == 403 {
            panic!("a challenge tells nobody that they are locked out");
        }
        let password = if n == 39 { PASSWORD.to_owned() } else { format!("guess{n}") };
        let proof = prove(&challenged, sip_core::digest::Algorithm::Md5, &password);
        let again = house.registering(101 + 2 * n, &format!("Authorization: {proof}\r\n"));
        house.datagram(guesser, &again);
        refused.push(house.response().status.0);
        house.pass(Duration::from_secs(4));
        house.sent();
    }
    assert_eq!((refused[0], refused[19], refused[20]), (401, 401, 403), "{refused:?}");
    assert_eq!(refused[39], 403, "not even the right one is taken while it is locked out");
    house.pass(Duration::from_secs(601));
    house.sent();
    assert_eq!(house.register(900, PASSWORD).status.0, 200);
}

#[test]
fn a_forged_sender_is_not_held_against_its_victim() {
    let mut house = House::new();
    // Wrong proofs over nonces that we never made: whoever sends them has not seen our answers.
    for n in 0..100 {
        let proof = "Authorization: Digest username=\"8001\", realm=\"yanmen\", nonce=\"forged\", \
                     uri=\"sip:192.0.2.1\", response=\"00000000000000000000000000000000\"\r\n";
        house.datagram(PHONE, &house.registering(500 + n, proof));
        house.pass(Duration::from_secs(5));
    }
    house.sent();
    assert_eq!(house.register(1, PASSWORD).status.0, 200, "the phone itself still gets in");
}

fn torture(name: &str) -> Vec<u8> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../tests/golden/sip-torture");
    std::fs::read(folder.join(format!("{name}.dat"))).unwrap()
}

/// RFC 4475 §3.3 and what else a server has to say to its well-formed messages.
#[test]
fn the_torture_messages_get_the_answers_of_their_rfc() {
    let mut wrong = Vec::new();
    for (name, expected) in [
        // It has a tag on To, and we have no such dialog.
        ("wsinv", &[481][..]),
        ("dblreq", &[401]),
        ("badbranch", &[200]),
        ("unkscm", &[416]),
        ("novelsc", &[416]),
        ("unksm2", &[401]),
        ("bext01", &[420]),
        ("invut", &[415]),
        ("regaut01", &[401]),
        ("sdp01", &[406]),
        ("zeromf", &[200]),
        // Taken as a call, which rings.
        ("inv2543", &[100]),
        ("mpart01", &[405]),
        ("esc02", &[501]),
        ("intmeth", &[501]),
        ("bcast", &[]),
        ("unreason", &[]),
        ("multi01", &[400]),
        ("badvers", &[505]),
        ("mismatch02", &[400]),
        ("insuf", &[]),
    ] {
        let mut house = House::new();
        house.datagram(CARRIER, &torture(name));
        let statuses = house.statuses();
        wrong.extend((statuses != expected).then_some((name, statuses)));
    }
    assert_eq!(wrong, []);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Whatever comes in a call, the core goes on, sends only what parses, and ends each leg once.
    #[test]
    fn mutants_within_a_call_do_no_harm(
        steps in prop::collection::vec((0usize..8, any::<prop::sample::Index>(), any::<u8>(), 0u64..40), 1..30),
    ) {
        let mut house = House::new();
        let (_, tag) = house.established("c1");
        let mut seen = Vec::new();
        for (n, (pick, at, byte, seconds)) in steps.into_iter().enumerate() {
            let branch = format!("p{n}");
            let number = n as u32 + 2;
            let sdp = with_sdp("sip:a@198.51.100.7", OFFER);
            let mut datagram = match pick {
                0 => request("INVITE", "sip:192.0.2.1", &branch, "c1", &tag, number, &sdp),
                1 => request("UPDATE", "sip:192.0.2.1", &branch, "c1", &tag, number, &sdp),
                2 => request("ACK", "sip:192.0.2.1", &branch, "c1", &tag, number, ""),
                3 => request("BYE", "sip:192.0.2.1", &branch, "c1", &tag, number, ""),
                4 => request("CANCEL", "sip:400@192.0.2.1", "invc1", "c1", "", 1, ""),
                5 => house.invite(&format!("n{n}"), ""),
                6 => house.registering(number, ""),
                _ => request("INFO", "sip:192.0.2.1", &branch, "c1", &tag, number, ""),
            };
            if byte > 128 {
                let at = at.index(datagram.len());
                datagram[at] = byte;
            }
            house.datagram(CARRIER, &datagram);
            house.pass(Duration::from_secs(seconds));
            for event in house.events() {
                if let SignallingEvent::Ended { leg, .. } = event {
                    prop_assert!(!seen.contains(&leg));
                    seen.push(leg);
                }
            }
            prop_assert!(house.sent().iter().all(|message| parse(&message.to_bytes()).is_ok()));
        }
    }
}
