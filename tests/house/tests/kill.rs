//! kill -9 of any daemon: it serves again in less than a second, and the supervisor has counted it.
#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

use house_test::running::{Running, skipped};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use std::{
    io::Write,
    time::{Duration, Instant},
};

/// How often each is killed.
const TIMES: usize = 3;
/// What the median may be.
const BACK: Duration = Duration::from_secs(1);

#[test]
fn a_killed_daemon_serves_again_in_less_than_a_second() {
    if skipped("killing daemons") {
        return;
    }
    let running = Running::start();
    let mut late = Vec::new();
    for daemon in house::DAEMONS.iter().filter(|daemon| daemon.runs()) {
        let mut times = [(); TIMES].map(|()| once(&running, daemon.name));
        times.sort();
        // Past the harness, which keeps what a passing test prints to itself.
        let _gone = writeln!(std::io::stderr(), "{:>8} back after {times:.0?}", daemon.name);
        if times[TIMES / 2] >= BACK {
            late.push(daemon.name);
        }
    }
    assert!(late.is_empty(), "not back within {BACK:?}: {late:?}");
}

/// Kills it once; returns how long it was away.
fn once(running: &Running, name: &str) -> Duration {
    running.until_all_serve();
    let before = running.daemon(name);
    kill(Pid::from_raw(before.pid.unwrap()), Signal::SIGKILL).unwrap();
    let began = Instant::now();
    running.until(Duration::from_secs(20), &format!("{name} serves again"), || {
        let now = running.daemon(name);
        now.pid != before.pid && now.stage == "running"
    });
    let away = began.elapsed();
    assert_eq!(running.daemon(name).restarts, before.restarts + 1, "{name}: the supervisor counts");
    away
}
