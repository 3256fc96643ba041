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
    let ended = house.ended(leg, Cause::NormalClearing, EndedBy::House, "talking");
    house.reply(&bye, 200, "", "");
    assert_eq!(house.events(), [ended]);
}

#[test]
fn an_established_call_goes_on_and_the_caller_hangs_up() {
    let mut house = House::new();
    let (leg, tag) = house.established("c1");
    let written = house.written();
    house.restart(&written);
    house.datagram(CARRIER, &request("BYE", "sip:192.0.2.1", "b", "c1", &tag, 2, ""));
    assert_eq!(house.statuses(), [200]);
    let ended = house.ended(leg, Cause::NormalClearing, EndedBy::Peer, "talking");
    assert_eq!(house.events(), [ended]);
    let written = [written, house.written()].concat();
    house.restart(&written);
    assert!(house.core.attach().legs.is_empty(), "what is over stays over");
    house.datagram(CARRIER, &request("BYE", "sip:192.0.2.1", "b", "c1", &tag, 2, ""));
    assert_eq!(house.statuses(), [200], "and a copy of the BYE still has its answer");
}

/// Guarded by the mutant `sip-forgets-ended-legs`.
#[test]
fn the_end_of_a_leg_is_said_again_until_route_forgets_it() {
    let mut house = House::new();
    let (leg, tag) = house.established("c1");
    house.pass(Duration::from_secs(5));
    house.datagram(CARRIER, &request("BYE", "sip:192.0.2.1", "b", "c1", &tag, 2, ""));
    let ended = house.ended(leg, Cause::NormalClearing, EndedBy::Peer, "talking");
    assert_eq!(house.events(), std::slice::from_ref(&ended));
    let mut written = house.written();
    house.restart(&written);
    house.pass(Duration::from_secs(100));
    for _ in 0..2 {
        assert_eq!(house.again(), std::slice::from_ref(&ended), "with its time, and whoever was killed");
    }
    // What route learns of the call later lies there too; anything else comes too late.
    house.command(SignallingCommand::Remember { leg, memo: memo("over") });
    house.command(SignallingCommand::HangUp { leg, cause: Cause::NormalClearing });
    assert!(house.events().is_empty() && house.core.attach().legs.is_empty());
    written.extend(house.written());
    house.restart(&written);
    let memos: Vec<_> = house.again().into_iter().map(memo_of).collect();
    assert_eq!(memos, ["over"]);
    house.command(SignallingCommand::Forget { leg });
    assert!(house.again().is_empty());
    written.extend(house.written());
    house.restart(&written);
    assert!(house.again().is_empty());
}

#[test]
fn an_offer_is_said_again_until_a_memo_comes() {
    let mut house = House::new();
    let (alive, over, known) = (house.offered("c1"), house.offered("c2"), house.offered("c3"));
    house.command(SignallingCommand::Remember { leg: known, memo: memo("known") });
    house.datagram(CARRIER, &request("CANCEL", "sip:400@192.0.2.1", "invc2", "c2", "", 1, ""));
    let written = house.written();
    house.restart(&written);
    let again = house.again();
    let [
        SignallingEvent::Offered { leg: first, description: Some(_), .. },
        SignallingEvent::Offered { leg: second, .. },
        SignallingEvent::Ended { leg: third, .. },
    ] = &again[..]
    else {
        panic!("{again:?}")
    };
    assert_eq!((*first, *second, *third), (alive, over, over));
    assert_eq!(house.core.attach().legs.len(), 2);
}

#[test]
fn ends_beyond_the_bound_go_the_oldest_first_and_are_counted() {
    let mut house = House::new();
    let mut legs = Vec::new();
    for call in ["c1", "c2", "c3"] {
        house.pass(Duration::from_secs(1));
        let (leg, _) = house.established(call);
        house.command(SignallingCommand::HangUp { leg, cause: Cause::NormalClearing });
        house.sent();
        legs.push(leg);
    }
    let kept = |house: &House| house.again().into_iter().map(leg_of).collect::<Vec<_>>();
    assert_eq!((kept(&house), house.core.counters().dropped_ends), (legs[1..].to_vec(), 1));
    house.events();
    let (leg, _) = house.established("c4");
    house.command(SignallingCommand::Remember { leg, memo: memo(&"m".repeat(995)) });
    house.command(SignallingCommand::HangUp { leg, cause: Cause::NormalClearing });
    assert_eq!((kept(&house), house.core.counters().dropped_ends), (vec![leg], 3));
}

fn memo_of(event: SignallingEvent) -> String {
    match event {
        SignallingEvent::Ended { memo, .. } => memo.0,
        other => panic!("{other:?}"),
    }
}

fn leg_of(event: SignallingEvent) -> types::LegId {
    match event {
        SignallingEvent::Ended { leg, .. } => leg,
        other => panic!("{other:?}"),
    }
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
    assert_eq!(
        house.events(),
        [SignallingEvent::Answered { leg: leg(1), description: Some(description(OFFER)) }]
    );
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
        house.core.pieces().flat_map(|change| postcard::to_stdvec(&change).unwrap()).collect();
    let mut again = House::new();
    again.restart(&whole);
    assert_eq!(again.core.attach(), house.core.attach());
    assert_eq!(again.again(), house.again());
    assert_eq!(again.core.snapshot().len(), house.core.snapshot().len());
    println!("the changes take {} bytes, the whole {} bytes", written.len(), whole.len());
}
