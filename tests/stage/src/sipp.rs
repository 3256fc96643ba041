//! SIPp as the caller (`apt-get install sip-tester`).

use std::{
    fs,
    net::SocketAddr,
    process::{Child, Command, Stdio},
};
use tempfile::TempDir;

/// A caller behind a carrier's proxy, who talks for a second.
const CALLER: &str = include_str!("caller.xml");
/// A caller who wants provisional responses to be reliable (RFC 3262); one in five of them is lost.
pub const RELIABLE_CALLER: &str = include_str!("reliable-caller.xml");
/// A called side that rings and sends early media reliably; one in five of its words and of our PRACKs is lost.
pub const RELIABLE_CALLED: &str = include_str!("reliable-called.xml");

/// SIPp with a scenario of its own.
pub struct Playing {
    child: Child,
    folder: TempDir,
}

/// Plays a scenario so many times at a port of 127.0.0.1: as the caller of `to`, else as who is called.
pub fn play(scenario: &str, port: u16, to: Option<&str>, calls: u32, rate: u32) -> Playing {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("scenario.xml"), scenario).unwrap();
    let child = Command::new("sipp")
        .args(["-sf", "scenario.xml", "-i", "127.0.0.1", "-p", &port.to_string(), "-nostdin", "-t", "u1"])
        .args(["-m", &calls.to_string(), "-r", &rate.to_string(), "-l", "4000"])
        .args(["-timeout", "120", "-timeout_error", "-trace_err"])
        .args(to)
        .current_dir(folder.path())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    Playing { child, folder }
}

impl Playing {
    /// Waits until every call went as the scenario says.
    ///
    /// # Errors
    /// One did not; what SIPp wrote of it.
    pub fn done(mut self) -> Result<(), String> {
        let status = self.child.wait().unwrap();
        if status.success() {
            return Ok(());
        }
        let files = fs::read_dir(self.folder.path()).unwrap().map(|entry| entry.unwrap().path());
        let errors = files.filter(|path| path.to_string_lossy().contains("errors"));
        let written: String = errors.map(|path| fs::read_to_string(path).unwrap_or_default()).collect();
        Err(format!("sipp: {status}\n{written}"))
    }
}

impl Drop for Playing {
    fn drop(&mut self) {
        // Over already, unless the test has failed.
        let _over = self.child.kill();
        let _reaped = self.child.wait();
    }
}

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
