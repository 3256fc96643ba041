//! SIPp as the caller: every call is set up, talks and ends, at a rate; and what that costs.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test may stop"
)]

mod stage;

use route_api::{Memo, SessionDescription, SignallingCommand, SignallingEvent};
use stage::Stage;
use std::{net::UdpSocket, path::Path, process::Command};

const ANSWER: &str =
    "v=0\r\no=- 2 2 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 6000 RTP/AVP 0\r\n";

/// Runs where SIPp is installed (`apt-get install sip-tester`); elsewhere it says so and proves nothing.
#[test]
fn two_hundred_calls_of_sipp() {
    let calls = std::env::var("YANMEN_CALLS").ok().and_then(|calls| calls.parse().ok()).unwrap_or(200u32);
    let rate = std::env::var("YANMEN_RATE").unwrap_or_else(|_| "50".into());
    if Command::new("sipp").arg("-v").output().is_err() {
        println!("sipp is not installed: nothing was proved");
        return;
    }
    let carrier = UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = carrier.local_addr().unwrap().port();
    let stage = Stage::reacting(&[&carrier], |event| match event {
        SignallingEvent::Offered { leg, .. } => vec![
            SignallingCommand::Ring { leg: *leg, memo: Memo::default() },
            SignallingCommand::Answer {
                leg: *leg,
                description: SessionDescription(ANSWER.into()),
                memo: Memo(format!("{leg}")),
            },
        ],
        _ => Vec::new(),
    });
    stage.attached();
    // The port is SIPp's from here on.
    drop(carrier);
    let before = cpu(stage.pid());
    let scenario = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/caller.xml");
    let folder = tempfile::tempdir().unwrap();
    let sipp = Command::new("sipp")
        .args(["-sf", scenario.to_str().unwrap(), "-i", "127.0.0.1", "-p", &port.to_string(), "-nostdin"])
        .args(["-m", &calls.to_string(), "-r", &rate, "-l", "2000", "-timeout", "120", "-timeout_error"])
        .args(["-trace_err", "-trace_stat", "-trace_rtt", "-rtt_freq", "100", &stage.address()])
        .current_dir(folder.path())
        .output()
        .unwrap();
    let errors = errors(folder.path());
    assert!(sipp.status.success(), "{errors}{}", stage.log());
    let used = cpu(stage.pid()) - before;
    let mut ended = 0;
    stage.until("every call has ended", || {
        let events = stage.events();
        ended += events.iter().filter(|event| matches!(event, SignallingEvent::Ended { .. })).count();
        ended == calls as usize
    });
    println!("{calls} calls at {rate}/s: {:.3} ms of CPU each", used * 1000.0 / f64::from(calls));
}

/// Seconds of CPU that a process has used.
fn cpu(pid: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    // Fields 14 and 15 of proc_pid_stat(5), in ticks of 10 ms.
    (fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap()) / 100.0
}

fn errors(folder: &Path) -> String {
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let logs = files.filter(|path| path.to_string_lossy().contains("errors"));
    logs.map(|path| std::fs::read_to_string(path).unwrap_or_default()).collect()
}
