//! SIPp as the caller (`apt-get install sip-tester`).

use std::{fs, net::SocketAddr, process::Command};

/// A caller behind a carrier's proxy, who talks for a second.
const CALLER: &str = include_str!("caller.xml");

/// Whether it is installed.
pub fn installed() -> bool {
    Command::new("sipp").arg("-v").output().is_ok()
}

/// What carries the calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Over {
    /// Datagrams.
    Udp,
    /// One connection for all.
    Tcp,
}

/// So many calls from a port of 127.0.0.1 to this address, so many a second. Gives the time from INVITE to 200 OK
/// of each, in milliseconds and ascending.
///
/// # Errors
/// A call went another way than the scenario; what SIPp wrote of it.
pub fn call(from: u16, to: &str, calls: u32, rate: u32) -> Result<Vec<f64>, String> {
    call_over(Over::Udp, ([127, 0, 0, 1], from).into(), to, calls, rate)
}

/// The same over that transport, from any address of this machine.
///
/// # Errors
/// As [`call`].
pub fn call_over(over: Over, from: SocketAddr, to: &str, calls: u32, rate: u32) -> Result<Vec<f64>, String> {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("caller.xml"), CALLER).unwrap();
    let status = Command::new("sipp")
        .args(["-sf", "caller.xml", "-i", &from.ip().to_string(), "-p", &from.port().to_string(), "-nostdin"])
        .args(["-t", if over == Over::Tcp { "t1" } else { "u1" }])
        .args(["-m", &calls.to_string(), "-r", &rate.to_string(), "-l", "4000"])
        .args(["-timeout", "120", "-timeout_error", "-trace_err", "-trace_rtt", "-rtt_freq", "100", to])
        .current_dir(folder.path())
        .output()
        .unwrap()
        .status;
    let written = |part: &str| -> String {
        let files = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path());
        let named = files.filter(|path| path.to_string_lossy().contains(part));
        named.map(|path| fs::read_to_string(path).unwrap_or_default()).collect()
    };
    if !status.success() {
        return Err(format!("sipp: {status}\n{}", written("errors")));
    }
    // Date_ms;response_time_ms;rtd_no
    let mut times: Vec<f64> =
        written("rtt").lines().filter_map(|line| line.split(';').nth(1)?.parse().ok()).collect();
    times.sort_by(f64::total_cmp);
    Ok(times)
}
