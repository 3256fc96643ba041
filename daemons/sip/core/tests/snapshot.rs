//! kill -9: what was written down is enough to go on.

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "a test may stop at once")]

mod house;

use house::*;
use route_api::{Cause, EndedBy, LegState, LiveLeg, Reachability, SignallingCommand, SignallingEvent};
use sip_core::message::Method;
use std::time::Duration;

/// Guarded by the mutant `sip-leg-not-written`.
#[test]
fn an_established_call_goes_on_and_route_hangs_up() {
    let mut house = House::new();
    let mut written = house.written();
    let (leg, _) = house.established("c1");
    written.extend(house.written());
    house.restart(&written);
    let live = LiveLeg { leg, state: LegState::Established, memo: memo("talking") };
    assert_eq!(house.core.attach().legs, [live]);
    house.command(SignallingCommand::HangUp { leg, cause: Cause::NormalClearing });
    let bye = house.request();
    assert_eq!((&bye.method, bye.head.cseq.number), (&Method::Bye, 1));
    assert_eq!(bye.head.to.tag(), Some(&b"caller"[..]));
    assert_eq!(
        house.events(),
        [SignallingEvent::Ended { leg, cause: Cause::NormalClearing, by: EndedBy::House }]
    );
}

#[test]
fn an_established_call_goes_on_and_the_caller_hangs_up() {
    let mut house = House::new();
    let (leg, tag) = house.established("c1");
    let written = house.written();
    house.restart(&written);
    house.datagram(CARRIER, &request("BYE", "sip:192.0.2.1", "b", "c1", &tag, 2, ""));
    assert_eq!(house.statuses(), [200]);
    assert_eq!(
        house.events(),
        [SignallingEvent::Ended { leg, cause: Cause::NormalClearing, by: EndedBy::Peer }]
    );
    let written = [written, house.written()].concat();
    house.restart(&written);
    assert!(house.core.attach().legs.is_empty(), "what is over stays over");
    house.datagram(CARRIER, &request("BYE", "sip:192.0.2.1", "b", "c1", &tag, 2, ""));
    assert_eq!(house.statuses(), [200], "and a copy of the BYE still has its answer");
}

#[test]
fn a_registration_and_a_dialled_call_go_on() {
    let mut house = House::new();
    assert_eq!(house.register(1, PASSWORD).status.0, 200);
    let (_, invite) = house.dial(leg(1));
    house.reply(&invite, 180, "p", "");
    let written = house.written();
    house.events();
    house.restart(&written);
    assert_eq!(house.core.attach().endpoints[1], (phone(), Reachability::Reachable));
    house.reply(&invite, 200, "p", OFFER);
    assert_eq!(house.request().method, Method::Ack);
    assert_eq!(house.events(), [SignallingEvent::Answered { leg: leg(1), description: description(OFFER) }]);
    house.command(SignallingCommand::HangUp { leg: leg(1), cause: Cause::NormalClearing });
    assert_eq!(house.request().head.cseq.number, 2);
}

#[test]
fn timers_go_on_too() {
    let mut house = House::new();
    let leg = house.offered("c1");
    house.command(SignallingCommand::Answer { leg, description: description(ANSWER), memo: memo("") });
    house.sent();
    let written = house.written();
    house.restart(&written);
    house.pass(Duration::from_millis(600));
    assert_eq!(house.statuses(), [200], "the 2xx is still owed");
    house.pass(Duration::from_secs(33));
    assert!(matches!(house.events()[..], [SignallingEvent::Ended { by: EndedBy::Failure, .. }]));
}

#[test]
fn the_whole_state_equals_its_changes() {
    let mut house = House::new();
    house.established("c1");
    house.offered("c2");
    house.register(1, PASSWORD);
    let written = house.written();
    house.restart(&written);
    let whole: Vec<u8> =
        house.core.snapshot().iter().flat_map(|change| postcard::to_stdvec(change).unwrap()).collect();
    let mut again = House::new();
    again.restart(&whole);
    assert_eq!(again.core.attach(), house.core.attach());
    assert_eq!(again.core.snapshot().len(), house.core.snapshot().len());
    println!("the changes take {} bytes, the whole {} bytes", written.len(), whole.len());
}
