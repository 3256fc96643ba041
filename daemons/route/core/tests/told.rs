//! Whoever is called outside is told before what they say is kept, where the settings want that.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may stop")]

mod support;

use record_api::{Consent, PartyRole, Track};
use report_api::Recorded;
use route_api::{Extent, MediaEvent};
use route_core::Input;
use settings::record::{Outside, Record};
use support::World;
use types::LegId;

fn world() -> World {
    let mut world = World::new();
    let rule = Record {
        outside: Outside::Announced,
        announcement: Some("told".parse().unwrap()),
        ..Record::default()
    };
    world.give(Input::Rule(Box::new(rule)));
    world
}

/// alice has handed her recorded caller to somebody outside, who has answered.
fn handed_on() -> (World, LegId, LegId) {
    let mut world = world();
    let caller = world.waiting_caller();
    world.ready("alice", "8001");
    let alice = world.answer();
    world.transfer(alice, "01088886666", None);
    let outside = world.answer();
    (world, caller, outside)
}

/// What record was told last of this leg's track.
fn track(world: &World, leg: LegId) -> Track {
    world.consents.iter().rev().find(|track| track.leg == leg).unwrap().clone()
}

/// Mutant route-outside-recorded-untold.
#[test]
fn a_party_outside_hears_the_announcement_and_is_recorded_from_its_end_on() {
    let (mut world, caller, outside) = handed_on();
    assert_eq!(
        (world.media[&caller].bridged, world.playing(outside).as_deref()),
        (Some(outside), Some("told"))
    );
    let masked = track(&world, outside);
    assert_eq!((masked.consent, masked.party), (Consent::Refused {}, PartyRole::Outside));
    assert_eq!(world.playing(caller), None, "the caller waits in no queue any more");
    world.prompt_ends(outside, Extent::Whole);
    world.settle();
    let told = track(&world, outside);
    let at = world.now.utc;
    let heard = Consent::Announced { prompt: "told".parse().unwrap(), digest: "ab".repeat(32), at };
    assert_eq!((&told.consent, told.track), (&heard, masked.track), "the same track, with the proof");
    assert_eq!(world.media[&outside].tapped.unwrap().1, told.track);
    world.hang_up(outside);
    let Recorded::Yes { consents, .. } = &world.saved[0].recording else { panic!("{:?}", world.saved[0]) };
    assert!(consents.contains(&(outside, heard)), "{consents:?}");
    assert!(
        world.decisions().iter().any(|why| why.contains(&format!("leg {outside} heard told to its end")))
    );
}

#[test]
fn who_has_not_heard_it_to_its_end_is_left_out() {
    for failed in [true, false] {
        let (mut world, _, outside) = handed_on();
        if failed {
            let (play, _) = world.media[&outside].playing.clone().unwrap();
            let why = "no such prompt".to_owned();
            let prompt = "told".parse().unwrap();
            world.give(Input::Media(MediaEvent::NotPlayed { leg: outside, play, prompt, detail: why }));
        } else {
            world.prompt_ends(outside, Extent::Part);
        }
        world.settle();
        assert_eq!(track(&world, outside).consent, Consent::Refused {});
        world.hang_up(outside);
        let Recorded::Yes { consents, .. } = &world.saved[0].recording else {
            panic!("{:?}", world.saved[0])
        };
        assert!(consents.contains(&(outside, Consent::Refused {})), "{consents:?}");
        assert!(world.decisions().iter().any(|why| why.starts_with("consent.missing")));
    }
}

#[test]
fn an_announcement_that_a_kill_of_route_or_media_broke_is_heard_anew() {
    let (mut world, caller, outside) = handed_on();
    world.media.get_mut(&outside).unwrap().playing = None;
    world.restart();
    let rule = Record {
        outside: Outside::Announced,
        announcement: Some("told".parse().unwrap()),
        ..Record::default()
    };
    world.give(Input::Rule(Box::new(rule)));
    world.attach(false);
    assert_eq!(
        (world.media[&caller].bridged, world.playing(outside).as_deref()),
        (Some(outside), Some("told"))
    );
    world.prompt_ends(outside, Extent::Whole);
    world.settle();
    assert!(matches!(track(&world, outside).consent, Consent::Announced { .. }));
}

#[test]
fn a_call_from_a_phone_to_outside_is_recorded_and_its_other_side_told() {
    let mut world = world();
    let alice = world.call_from_phone("8001", "01088886666");
    let outside = world.answer();
    assert_eq!(world.playing(outside).as_deref(), Some("told"));
    let own = track(&world, alice);
    assert_eq!((own.consent, own.party), (Consent::Employed {}, PartyRole::Agent));
    world.prompt_ends(outside, Extent::Whole);
    world.settle();
    world.hang_up(outside);
    let Recorded::Yes { recording, consents } = &world.saved[0].recording else {
        panic!("{:?}", world.saved[0])
    };
    assert_eq!(consents.len(), 2);
    assert_eq!(world.finished, [*recording]);
}

/// Nor is what is said there kept.
#[test]
fn nothing_is_said_where_the_settings_do_not_want_it_or_somebody_is_to_help() {
    for (wish, to) in [(Outside::Announced, "110"), (Outside::LeftOut, "01088886666")] {
        let mut world = world();
        let announcement = Some("told".parse().unwrap());
        world.give(Input::Rule(Box::new(Record { outside: wish, announcement, ..Record::default() })));
        world.call_from_phone("8001", to);
        let outside = world.answer();
        assert_eq!(world.playing(outside), None, "{to}");
        assert_eq!(track(&world, outside).consent, Consent::Refused {});
    }
}
