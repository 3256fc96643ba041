//! What is heard while waiting: music, and from time to time a word about place and time.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may stop")]

mod support;

use route_api::{AgentState, Extent};
use std::time::Duration;
use support::{World, seconds};
use types::LegId;

fn world(languages: &str) -> World {
    let mut world = World::new();
    let told = format!(
        "music = \"waiting\"\nwhile_waiting = {{ every = \"20s\", prompt = \"patience\", position = true, \
         estimate = true, languages = [{languages}] }}"
    );
    let text = support::SETTINGS.replace("music = \"waiting\"", &told);
    world.settings(&text);
    world
}

fn word(world: &World, leg: LegId) -> String {
    world.playing(leg).unwrap()
}

/// The word is over, and the music plays again.
fn word_ends(world: &mut World, leg: LegId) {
    world.prompt_ends(leg, Extent::Whole);
    world.settle();
    assert_eq!(word(world, leg), "waiting");
}

#[test]
fn the_first_word_comes_after_two_seconds_and_then_the_music_again() {
    let mut world = world("\"zh-CN\", \"en\"");
    let first = world.waiting_caller();
    let second = world.waiting_caller();
    let third = world.waiting_caller();
    assert_eq!(word(&world, first), "waiting");
    world.pass(Duration::from_millis(1999));
    assert_eq!(word(&world, first), "waiting");
    world.pass(Duration::from_millis(1));
    assert_eq!(word(&world, first), "patience+queue-next.zh-CN+queue-next.en");
    assert_eq!(
        word(&world, second),
        "patience+queue-ahead.zh-CN+number-1.zh-CN+queue-persons.zh-CN+queue-ahead.en+number-2.en+queue-persons.en"
    );
    assert!(
        word(&world, third).starts_with("patience+queue-ahead.zh-CN+number-liang.zh-CN+queue-persons.zh-CN+")
    );
    word_ends(&mut world, first);
    world.pass(seconds(19));
    assert_eq!(word(&world, first), "waiting");
    world.pass(seconds(1));
    assert!(word(&world, first).starts_with("patience+"), "and every twenty seconds");
}

#[test]
fn a_word_that_cannot_be_played_leaves_the_music() {
    let mut world = world("\"en\"");
    let leg = world.waiting_caller();
    world.pass(seconds(2));
    let play = world.media.get_mut(&leg).unwrap().playing.take().unwrap().0;
    let prompt = "patience".parse().unwrap();
    world.give(route_core::Input::Media(route_api::MediaEvent::NotPlayed {
        leg,
        play,
        prompt,
        detail: "no such file".to_owned(),
    }));
    assert_eq!(word(&world, leg), "waiting");
}

#[test]
fn nobody_is_told_to_wait_while_a_phone_rings_for_them() {
    let mut world = world("\"en\"");
    world.ready("alice", "8001");
    let leg = world.waiting_caller();
    let phone = *world.dialled.last().unwrap();
    world.give(route_core::Input::Signalling(route_api::SignallingEvent::Ringing {
        leg: phone,
        description: None,
    }));
    world.pass(seconds(10));
    assert_eq!(word(&world, leg), "waiting");
    // RONA: the word that fell due is said soon.
    world.pass(seconds(5));
    assert_eq!(world.state("alice"), AgentState::Aux("rona".to_owned()));
    world.pass(seconds(2));
    assert!(word(&world, leg).starts_with("patience+"));
}

#[test]
fn media_that_lost_a_word_plays_the_music() {
    let mut world = world("\"en\"");
    let leg = world.waiting_caller();
    world.pass(seconds(2));
    world.lose(route_core::Edge::Media);
    world.media.get_mut(&leg).unwrap().playing = None;
    world.attach_media();
    assert_eq!(word(&world, leg), "waiting");
}

/// The complaint about others: who waits long is told an ever longer wait. Mutant `route-estimate-rises`.
#[test]
fn the_estimate_does_not_rise_only_because_somebody_waits() {
    let mut world = world("\"en\"");
    world.ready("alice", "8001");
    // A conversation of two minutes, to reckon from.
    let talker = world.waiting_caller();
    world.answer();
    world.pass(seconds(115));
    world.hang_up(talker);
    world.pass(seconds(10));
    // Alice talks again, for very long, and others wait.
    world.waiting_caller();
    world.answer();
    let patient = world.waiting_caller();
    let mut told = Vec::new();
    for _ in 0..12 {
        world.pass(seconds(20));
        told.push(word(&world, patient));
        word_ends(&mut world, patient);
    }
    assert_eq!(told[0], "patience+queue-next.en+wait-about.en+number-2.en+wait-minutes.en");
    assert!(told.iter().all(|word| *word == told[0]), "{told:?}");
    // With a second agent it is half of that.
    world.router.sign_in(world.now, &support::agent("bob"), Some("8002".parse().unwrap())).unwrap();
    world.set("bob", AgentState::Ready);
    let third = world.waiting_caller();
    world.answer();
    assert!(world.media[&patient].bridged.is_some());
    world.pass(seconds(2));
    assert_eq!(word(&world, third), "patience+queue-next.en+wait-soon.en");
}
