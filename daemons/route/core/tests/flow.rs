//! Flows: each kind of step, every time-out, and callers who do anything or nothing.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may stop")]

mod support;

use report_api::Disposition;
use route_api::{AgentState, Cause, Extent, MediaEvent, SignallingEvent, Stage};
use route_core::Input;
use std::time::Duration;
use support::{World, seconds};
use types::{LegId, Utc};

const FLOW: &str = r#"
[[sip.phones]]
extension = "8001"
password = "Geese-fly-North-1"
[[route.numbers]]
dialled = "95555"
flow = "service"
[[route.calendars]]
name = "office"
weekly = ["mon-fri 09:00-18:00"]
holidays = ["2026-10-01/2026-10-07"]
make_up_days = ["2026-10-10"]
[[route.flows]]
name = "service"
[[route.flows.steps]]
play = "greeting"
[[route.flows.steps]]
hours = { calendar = "office", closed = "night", holiday = "holiday" }
[[route.flows.steps]]
announce = "recorded"
[[route.flows.steps]]
name = "menu"
[route.flows.steps.menu]
prompt = "main"
choices = { "1" = "loans", "12" = "cards", "9" = "pin", "*" = "menu" }
first_digit = "5s"
inter_digit = "3s"
invalid = { times = 2, prompt = "wrong", next = "people" }
no_input = { times = 2, prompt = "silent", next = "people" }
[[route.flows.steps]]
name = "loans"
play = "loans"
next = "people"
[[route.flows.steps]]
name = "cards"
[route.flows.steps.menu]
prompt = "cards"
choices = { "1" = "people", "0" = "menu" }
barge_in = false
type_ahead = false
[[route.flows.steps]]
name = "people"
queue = { name = "service", full = "busy", overdue = "busy", unstaffed = "nobody" }
[[route.flows.steps]]
name = "busy"
play = "busy"
[[route.flows.steps]]
hang_up = "no-circuit-available"
[[route.flows.steps]]
name = "nobody"
play = "nobody"
[[route.flows.steps]]
hang_up = "normal-clearing"
[[route.flows.steps]]
name = "night"
play = "night"
[[route.flows.steps]]
hang_up = "normal-clearing"
[[route.flows.steps]]
name = "holiday"
play = "holiday"
[[route.flows.steps]]
hang_up = "normal-clearing"
[[route.flows.steps]]
name = "pin"
[route.flows.steps.menu]
prompt = "pin"
sensitive = true
choices = { "4711" = "people" }
[[route.queues]]
name = "service"
music = "waiting"
max_wait = "1m"
max_waiting = 1
[[route.agents]]
name = "alice"
extension = "8001"
queues = [{ queue = "service" }]
"#;

/// A world whose clock stands at this local time in Shanghai, its agent signed in.
fn world_at(utc: &str) -> World {
    let mut world = World::new();
    world.now.utc = Utc(i64::try_from(utc.parse::<jiff::Timestamp>().unwrap().as_nanosecond()).unwrap());
    world.settings(FLOW);
    world.router.sign_in(world.now, &support::agent("alice"), Some("8001".parse().unwrap())).unwrap();
    world
}

/// A Monday morning.
fn world() -> World {
    world_at("2026-10-12T02:00:00Z")
}

/// What the caller hears comes to its end.
fn heard(world: &mut World, leg: LegId, prompt: &str) {
    assert_eq!(world.playing(leg).as_deref(), Some(prompt));
    world.prompt_ends(leg, Extent::Whole);
    world.settle();
}

/// A caller at the menu.
fn at_menu(world: &mut World) -> LegId {
    let leg = world.call("95555");
    world.settle();
    heard(world, leg, "greeting");
    heard(world, leg, "recorded");
    assert_eq!(world.playing(leg).as_deref(), Some("main"));
    leg
}

fn step(world: &World) -> String {
    world.router.live_calls()[0].step.clone().unwrap()
}

/// Guarded by the mutant `route-barge-in-deaf`.
#[test]
fn a_digit_ends_the_prompt_and_chooses() {
    let mut world = world();
    let leg = at_menu(&mut world);
    assert_eq!(world.router.live_calls()[0].stage, Stage::Choosing);
    world.press(leg, "*");
    assert_eq!(
        (world.playing(leg).as_deref(), step(&world).as_str()),
        (Some("main"), "menu"),
        "back to itself"
    );
    // 1 could become 12: the time between digits decides.
    world.press(leg, "1");
    assert_eq!(world.playing(leg), None, "a digit ends the prompt");
    world.pass(Duration::from_millis(2900));
    assert_eq!(step(&world), "menu");
    world.pass(Duration::from_millis(100));
    heard(&mut world, leg, "loans");
    assert_eq!((world.playing(leg).as_deref(), step(&world).as_str()), (Some("waiting"), "people"));
    world.hang_up(leg);
    let told = world.decisions();
    for line in ["menu.chosen menu: * → menu", "menu.chosen menu: 1 → loans", "flow.step loans: play loans"]
    {
        assert!(told.iter().any(|decision| decision == line), "{line}: {told:#?}");
    }
}

#[test]
fn the_time_between_digits_is_not_waited_for_where_nothing_else_fits() {
    let mut world = world();
    let leg = at_menu(&mut world);
    world.press(leg, "12");
    assert_eq!(step(&world), "cards");
    // # says that no more comes.
    let leg_two = at_menu_again(&mut world, leg);
    world.press(leg_two, "1#");
    assert_eq!(world.playing(leg_two).as_deref(), Some("loans"));
}

fn at_menu_again(world: &mut World, leg: LegId) -> LegId {
    world.hang_up(leg);
    at_menu(world)
}

/// Guarded by the mutant `route-type-ahead-lost`.
#[test]
fn digits_pressed_before_a_menu_count_where_it_says_so() {
    let mut world = world();
    let leg = world.call("95555");
    world.settle();
    world.press(leg, "12");
    heard(&mut world, leg, "greeting");
    world.press(leg, "1");
    heard(&mut world, leg, "recorded");
    assert_eq!(step(&world), "cards", "the main menu was not even said");
    assert_eq!(world.playing(leg).as_deref(), Some("cards"), "and this one forgets what came before");
    // No barge-in: the prompt goes on, and what was pressed counts after it.
    world.press(leg, "1");
    assert_eq!(world.playing(leg).as_deref(), Some("cards"));
    heard(&mut world, leg, "cards");
    assert_eq!(step(&world), "people");
}

/// The announcement is never cut, whatever is pressed.
#[test]
fn no_digit_cuts_the_announcement() {
    let mut world = world();
    let leg = world.call("95555");
    world.settle();
    heard(&mut world, leg, "greeting");
    world.press(leg, "1#");
    assert_eq!(world.playing(leg).as_deref(), Some("recorded"));
}

/// Guarded by the mutant `route-menu-without-end`.
#[test]
fn who_presses_nothing_is_asked_again_and_then_handed_to_a_person() {
    let mut world = world();
    let leg = at_menu(&mut world);
    heard(&mut world, leg, "main");
    world.pass(Duration::from_millis(4900));
    assert_eq!(world.playing(leg), None);
    world.pass(Duration::from_millis(100));
    heard(&mut world, leg, "silent+main");
    world.pass(seconds(5));
    assert_eq!(step(&world), "people");
}

#[test]
fn who_presses_what_is_no_choice_is_told_and_then_handed_to_a_person() {
    let mut world = world();
    let leg = at_menu(&mut world);
    world.press(leg, "7");
    assert_eq!(world.playing(leg).as_deref(), Some("wrong+main"));
    world.press(leg, "8");
    assert_eq!(step(&world), "people");
    world.hang_up(leg);
    let told = world.decisions();
    assert!(told.contains(&"menu.invalid menu: 7 is no choice, 1 of 2".to_owned()), "{told:#?}");
}

#[test]
fn digits_come_by_signalling_alike_and_one_press_counts_once() {
    let mut world = world();
    let leg = at_menu(&mut world);
    for (signalling, digit) in [(true, '1'), (false, '1'), (true, '2')] {
        world.give(match signalling {
            true => Input::Signalling(SignallingEvent::Digit { leg, digit }),
            false => Input::Media(MediaEvent::Digit { leg, digit }),
        });
    }
    assert_eq!(step(&world), "cards", "1 told twice and 2 are 12");
}

/// Guarded by the mutants `route-secret-digits-shown` and `route-secret-digits-kept`.
#[test]
fn secret_digits_are_neither_kept_nor_shown() {
    let mut world = world();
    let leg = at_menu(&mut world);
    world.press(leg, "9");
    world.press(leg, "47");
    assert!(!world.sip[&leg].memo.0.contains("47\""), "{}", world.sip[&leg].memo.0);
    world.press(leg, "99");
    world.press(leg, "4711");
    assert_eq!(step(&world), "people");
    world.hang_up(leg);
    let told = world.decisions();
    assert!(told.contains(&"menu.chosen pin: → people".to_owned()), "{told:#?}");
    assert!(told.iter().all(|line| !line.contains("47")), "{told:#?}");
}

#[test]
fn a_menu_that_cannot_be_said_still_listens() {
    let mut world = world();
    let leg = at_menu(&mut world);
    let play = world.media.get_mut(&leg).unwrap().playing.take().unwrap().0;
    let prompt = "main".parse().unwrap();
    world.give(Input::Media(MediaEvent::NotPlayed { leg, play, prompt, detail: "no such file".to_owned() }));
    world.press(leg, "12");
    assert_eq!(step(&world), "cards");
}

#[test]
fn the_calendar_decides_where_the_call_goes() {
    for (utc, prompt) in [
        ("2026-10-12T02:00:00Z", "recorded"),
        ("2026-10-12T10:00:00Z", "night"),
        ("2026-10-11T02:00:00Z", "night"),
        ("2026-10-05T02:00:00Z", "holiday"),
        ("2026-10-10T02:00:00Z", "recorded"),
    ] {
        let mut world = world_at(utc);
        let leg = world.call("95555");
        world.settle();
        heard(&mut world, leg, "greeting");
        assert_eq!(world.playing(leg).as_deref(), Some(prompt), "{utc}");
        if prompt != "recorded" {
            heard(&mut world, leg, prompt);
            assert_eq!(world.hung_up, [(leg, Cause::NormalClearing)]);
            assert_eq!(world.saved[0].disposition, Disposition::EndedInFlow);
        }
    }
}

#[test]
fn a_queue_that_is_full_or_takes_too_long_has_its_own_way_out_and_cause() {
    let mut world = world();
    let first = at_menu(&mut world);
    world.press(first, "1#");
    heard(&mut world, first, "loans");
    let second = at_menu(&mut world);
    world.press(second, "1#");
    heard(&mut world, second, "loans");
    heard(&mut world, second, "busy");
    assert_eq!(world.hung_up, [(second, Cause::NoCircuitAvailable)]);
    world.pass(seconds(60));
    heard(&mut world, first, "busy");
    assert_eq!(world.hung_up.len(), 2);
    assert!(world.saved.iter().all(|record| record.disposition == Disposition::Refused));
}

/// Guarded by the mutant `route-unstaffed-queue-waits`.
#[test]
fn nobody_waits_for_nobody() {
    let mut world = world();
    let first = at_menu(&mut world);
    world.press(first, "1#");
    heard(&mut world, first, "loans");
    assert_eq!(world.router.live_calls()[0].stage, Stage::Waiting, "somebody is signed in, if in Aux");
    world.set("alice", AgentState::SignedOut);
    assert_eq!(world.playing(first).as_deref(), Some("nobody"), "the last went home");
    let second = at_menu(&mut world);
    world.press(second, "1#");
    heard(&mut world, second, "loans");
    heard(&mut world, second, "nobody");
    assert_eq!(world.hung_up, [(second, Cause::NormalClearing)]);
}

#[test]
fn who_waits_for_people_that_the_settings_take_away_goes_on() {
    let mut world = world();
    let leg = at_menu(&mut world);
    world.press(leg, "1#");
    heard(&mut world, leg, "loans");
    let without = FLOW[..FLOW.find("[[route.agents]]").unwrap()].to_owned();
    world.settings(&without);
    assert_eq!(world.playing(leg).as_deref(), Some("nobody"));
}

#[test]
fn a_menu_hung_up_in_leaves_a_call_record_that_ended_in_the_flow() {
    let mut world = world();
    let leg = at_menu(&mut world);
    world.hang_up(leg);
    assert_eq!(world.saved[0].disposition, Disposition::EndedInFlow);
    assert!(world.sip.is_empty() && world.media.is_empty());
}

/// The check of the settings finds circles; a flow that got past it is stopped all the same. Mutant
/// `route-flow-spins`.
#[test]
fn a_flow_cannot_spin() {
    let mut world = world();
    world.settings(
        r#"
[[route.numbers]]
dialled = "95555"
flow = "round"
[[route.calendars]]
name = "office"
weekly = []
[[route.flows]]
name = "round"
steps = [{ name = "a", hours = { calendar = "office", closed = "b" } }, { name = "b", hang_up = "user-busy" }]
"#,
    );
    let text = serde_json::to_string(&world.plan).unwrap();
    world.plan = serde_json::from_str(&text.replace(r#""closed":"b""#, r#""closed":"a""#)).unwrap();
    world.give(Input::Settings(Box::new(world.plan.clone())));
    let leg = world.call("95555");
    world.settle();
    assert_eq!(world.hung_up, [(leg, Cause::TemporaryFailure)]);
    assert!(world.decisions().iter().any(|line| line.starts_with("flow.spins")));
}

/// Guarded by the mutant `route-flow-changes-under-call`.
#[test]
fn a_live_call_stays_in_the_version_that_it_began_in() {
    let mut world = world();
    let leg = at_menu(&mut world);
    let was = world.router.flows().clone();
    world.settings(
        &FLOW
            .replace("play = \"loans\"", "play = \"credits\"")
            .replace("prompt = \"wrong\"", "prompt = \"no\""),
    );
    assert_ne!(*world.router.flows(), was);
    world.press(leg, "7");
    assert_eq!(world.playing(leg).as_deref(), Some("wrong+main"));
    // Also over a kill of route, that begins with the new settings alone.
    world.restart();
    world.attach_sip();
    world.attach_media();
    world.settle();
    assert_eq!(world.playing(leg).as_deref(), Some("wrong+main"));
    world.press(leg, "1#");
    assert_eq!(world.playing(leg).as_deref(), Some("loans"));
    let next = at_menu_of_new(&mut world);
    world.press(next, "1#");
    assert_eq!(world.playing(next).as_deref(), Some("credits"), "a new call begins in the new version");
    // With the last call of the old version it is forgotten.
    let with_old = serde_json::to_string(world.router.flows()).unwrap().len();
    world.hang_up(leg);
    assert!(serde_json::to_string(world.router.flows()).unwrap().len() < with_old);
}

fn at_menu_of_new(world: &mut World) -> LegId {
    at_menu(world)
}

#[test]
fn a_version_that_is_gone_is_followed_by_the_step_of_the_same_name_and_said() {
    for (changed, prompt) in [
        // The step has kept its name and another prompt.
        (FLOW.replace("play = \"busy\"", "play = \"late\""), "late"),
        // It has it not: the flow begins anew.
        (
            FLOW.replace("name = \"people\"", "name = \"staff\"").replace("\"people\"", "\"staff\""),
            "greeting",
        ),
    ] {
        let mut world = world();
        let leg = at_menu(&mut world);
        world.press(leg, "1#");
        heard(&mut world, leg, "loans");
        world.settings(&changed);
        world.flows_are_lost = true;
        world.restart();
        world.attach_sip();
        world.attach_media();
        world.settle();
        assert_eq!(world.playing(leg).as_deref(), Some("waiting"), "who waits goes on waiting");
        world.pass(seconds(60));
        assert_eq!(world.playing(leg).as_deref(), Some(prompt));
        world.hang_up(leg);
        assert!(world.decisions().iter().any(|line| line.starts_with("flow.version-gone service@")));
    }
}

#[test]
fn a_flow_that_is_gone_altogether_ends_its_calls_when_they_leave_their_step() {
    let mut world = world();
    let leg = at_menu(&mut world);
    world.settings("");
    world.flows_are_lost = true;
    world.restart();
    world.attach_sip();
    world.attach_media();
    world.settle();
    world.press(leg, "1");
    assert_eq!(world.hung_up, [(leg, Cause::TemporaryFailure)]);
    assert_eq!(world.saved[0].disposition, Disposition::Failed);
}

#[test]
fn a_kill_of_route_keeps_the_place_in_the_menu_its_failures_and_the_digits_so_far() {
    let text = FLOW.replace("sensitive = true", "");
    let mut world = world();
    world.settings(&text);
    let leg = at_menu(&mut world);
    world.press(leg, "7");
    world.press(leg, "1");
    assert_eq!(world.playing(leg), None);
    world.restart();
    world.attach_media();
    world.attach_sip();
    world.settle();
    assert_eq!((step(&world).as_str(), world.playing(leg)), ("menu", None), "the digits are waited for");
    world.press(leg, "2");
    assert_eq!(step(&world), "cards", "1 before the kill and 2 after it are 12");
    // One mistake more than the menu forgives in all.
    let other = at_menu(&mut world);
    world.press(other, "7");
    world.restart();
    world.attach_sip();
    world.attach_media();
    world.settle();
    assert_eq!(
        world.playing(other).as_deref(),
        Some("wrong+main"),
        "media is asked again for what was heard"
    );
    world.press(other, "7");
    let call = world.router.live_calls().into_iter().find(|call| call.legs[0] == other).unwrap();
    assert_eq!(call.step.as_deref(), Some("people"));
}

/// A long way through menus: the memo keeps its bound, the call its place, and the record says what it lost.
#[test]
fn a_long_way_through_menus_is_kept_in_a_small_memo() {
    let mut world = world();
    let leg = at_menu(&mut world);
    for _ in 0..60 {
        world.press(leg, "*");
    }
    world.restart();
    world.attach_sip();
    world.attach_media();
    world.settle();
    world.press(leg, "12");
    assert_eq!(step(&world), "cards");
    world.hang_up(leg);
    let told = world.decisions();
    assert_eq!(told[0], "decisions.lost earlier ones were not kept over a restart of route");
    assert!(told.len() > 8, "{told:#?}");
}
