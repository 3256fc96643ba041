//! The supervisor's own work, with programs in the place of daemons: descriptors handed over, lives that end at
//! once, and nothing of the person's environment.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may stop")]

use nix::{
    fcntl::{FcntlArg, FdFlag, fcntl},
    sys::signal::{Signal, kill},
    unistd::{Gid, Uid, chown},
};
use serde_json::Value;
use std::{
    fs::{self, File},
    io::Write,
    net::{TcpListener, UdpSocket},
    os::{
        fd::{AsRawFd, OwnedFd},
        unix::process::CommandExt,
    },
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

const YM: &str = env!("CARGO_BIN_EXE_ym");

/// Turns into a shell by way of `ym launch` and returns what its script wrote.
fn launched(directory: &Path, descriptors: &[&OwnedFd], script: &str) -> String {
    let numbers: Vec<String> = descriptors.iter().map(|one| one.as_raw_fd().to_string()).collect();
    let mut command = Command::new(YM);
    command.arg("launch").arg("--directory").arg(directory);
    if !numbers.is_empty() {
        command.arg("--descriptors").arg(numbers.join(","));
    }
    command
        .arg("/bin/sh")
        .env("LISTEN_FDS", numbers.len().to_string())
        .env("LISTEN_PID", "1")
        .env("SECRET_OF_THE_PERSON", "x")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    let inheritable = |flag| {
        descriptors.iter().for_each(|one| {
            fcntl(one, FcntlArg::F_SETFD(flag)).unwrap();
        });
    };
    inheritable(FdFlag::empty());
    let mut shell = command.spawn().unwrap();
    inheritable(FdFlag::FD_CLOEXEC);
    shell.stdin.take().unwrap().write_all(script.as_bytes()).unwrap();
    let output = shell.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", output.status);
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn descriptors_stand_in_their_order_wherever_they_came_from() {
    let directory = tempfile::tempdir().unwrap();
    let files: Vec<OwnedFd> =
        (0..120).map(|n| File::create(directory.path().join(n.to_string())).unwrap().into()).collect();
    let script = "for n in $(seq 3 $((LISTEN_FDS + 2))); do readlink /proc/$$/fd/$n; done\n\
                  set -- /proc/$$/fd/*; echo $#\n";
    // The same numbers that are their places, backwards, each second one, and one alone.
    let backwards: Vec<&OwnedFd> = files.iter().rev().collect();
    let swapped: Vec<&OwnedFd> = files.chunks_exact(2).flat_map(|pair| [&pair[1], &pair[0]]).collect();
    let sparse: Vec<&OwnedFd> = files.iter().skip(1).step_by(2).collect();
    for order in [files.iter().collect(), backwards, swapped, sparse, vec![&files[119]], Vec::new()] {
        let told = launched(directory.path(), &order, script);
        let mut lines: Vec<&str> = told.lines().collect();
        let open: usize = lines.pop().unwrap().parse().unwrap();
        let expected: Vec<PathBuf> = order
            .iter()
            .map(|one| fs::read_link(format!("/proc/self/fd/{}", one.as_raw_fd())).unwrap())
            .collect();
        assert_eq!(lines.iter().map(PathBuf::from).collect::<Vec<_>>(), expected);
        // Beside the three standard ones: the shell keeps a copy of its script and opens the folder it lists.
        assert!(open <= order.len() + 5, "{open} are open beside {}", order.len());
    }
}

#[test]
fn a_daemon_sees_its_own_environment_alone() {
    let directory = tempfile::tempdir().unwrap();
    let told =
        launched(directory.path(), &[], "echo $LISTEN_PID $$ ${SECRET_OF_THE_PERSON-none}; pwd -P; umask\n");
    let mut lines = told.lines();
    let words: Vec<&str> = lines.next().unwrap().split(' ').collect();
    assert_eq!((words[0], words[2]), (words[1], "none"));
    assert_eq!(lines.next().unwrap(), directory.path().canonicalize().unwrap().to_str().unwrap());
    let orphan = Command::new(YM)
        .args(["launch", "--supervisor", "1", "--directory", "/", "/bin/true"])
        .stderr(Stdio::null())
        .status();
    assert_eq!(orphan.unwrap().code(), Some(1), "its supervisor is another process");
}

/// A house with other programs in the place of its daemons.
struct House {
    directory: tempfile::TempDir,
    ym: Child,
}

/// Ends at once.
const FALSE: &str = "/bin/false";
/// Never ends, and never says that it serves.
const YES: &str = "/usr/bin/yes";

impl House {
    fn up(sip: &str, others: &str, arguments: &[&str]) -> Self {
        let programs = |daemon: &house::Daemon| if daemon.name == "sip" { sip } else { others }.to_owned();
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        fs::create_dir(at("bin")).unwrap();
        fs::create_dir(at("home")).unwrap();
        copy(Path::new(YM), &at("bin/ym"));
        for daemon in house::DAEMONS.iter().filter(|daemon| daemon.runs()) {
            copy(Path::new(&programs(daemon)), &at("bin").join(daemon.name));
        }
        let sip = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let console = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        fs::write(at("seed.toml"), format!("[sip]\nbind = [\"{sip}\"]\n[console]\nlisten = \"{console}\"\n"))
            .unwrap();
        let mut command = Command::new(at("bin/ym"));
        command.arg("--home").arg(at("home")).arg("up").arg("--config").arg(at("seed.toml")).args(arguments);
        if Uid::effective().is_root() {
            // As a plain user, so that no daemon's user is needed.
            let (uid, gid) = (65_534, 65_534);
            for path in [directory.path().to_owned(), at("home")] {
                chown(&path, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid))).unwrap();
            }
            command.uid(uid).gid(gid);
        }
        let ym = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        Self { directory, ym }
    }

    /// Waits until the row of a daemon is as wanted.
    fn until(&self, daemon: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let began = Instant::now();
        loop {
            let row = self.status(daemon);
            if let Some(row) = row.as_ref().filter(|row| wanted(row)) {
                return row.clone();
            }
            assert!(began.elapsed() < Duration::from_secs(30), "{row:?}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn status(&self, daemon: &str) -> Option<Value> {
        let text = fs::read_to_string(self.directory.path().join("home/run/status.json")).ok()?;
        let status: Value = serde_json::from_str(&text).unwrap();
        status["daemons"].as_array().unwrap().iter().find(|row| row["name"] == daemon).cloned()
    }
}

/// By another process: one that is forked here meanwhile would hold the new program open for writing, and no
/// program runs that somebody writes (execve(2), ETXTBSY).
fn copy(from: &Path, to: &Path) {
    assert!(Command::new("cp").arg(from).arg(to).status().unwrap().success());
}

impl Drop for House {
    fn drop(&mut self) {
        let _ended = self.ym.kill();
        let _reaped = self.ym.wait();
    }
}

#[test]
fn a_daemon_that_ends_at_once_is_started_again_with_growing_pauses_and_says_why() {
    let mut house = House::up(FALSE, FALSE, &[]);
    let began = Instant::now();
    // When each restart was first seen.
    let mut seen = Vec::new();
    while seen.len() < 6 {
        assert!(began.elapsed() < Duration::from_secs(30), "{:?}", house.status("sip"));
        if let Some(row) = house.status("sip")
            && row["restarts"].as_u64() > Some(seen.len() as u64)
        {
            assert_eq!(row["last_error"], "ended by itself: exit status: 1");
            seen.push(Instant::now());
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    // 50 ms before the second life, twice as long before each further one; and the sixth end came after five.
    let pause = seen[5].duration_since(seen[4]);
    assert!(pause >= Duration::from_millis(600), "{pause:?}");
    assert!(seen[5].duration_since(began) >= Duration::from_millis(1_500));

    kill(nix::unistd::Pid::from_raw(house.ym.id().cast_signed()), Signal::SIGTERM).unwrap();
    assert!(house.ym.wait().unwrap().success(), "a house that never came up can be stopped");
    assert_eq!(house.status("sip").unwrap()["stage"], "stopped");
}

#[test]
fn a_daemon_that_never_comes_to_serve_is_ended_and_started_again_and_the_status_says_why() {
    let house = House::up(YES, FALSE, &["--start-timeout", "1s"]);
    let first = house.until("sip", |row| row["stage"] == "starting");
    assert_eq!(first["last_error"], Value::Null);
    let again = house.until("sip", |row| row["restarts"] == 1);
    assert_eq!(again["last_error"], "not ready 1 s after its start: ended");
    assert!(!runs(&first), "the hung one is gone");
    let second = house.until("sip", |row| row["stage"] == "starting");
    assert_ne!(second["pid"], first["pid"]);

    // One that cannot even end in order: it is told to at its time, and killed when that has passed too.
    kill(pid(&second), Signal::SIGSTOP).unwrap();
    let told = Instant::now();
    house.until("sip", |row| row["restarts"] == 2);
    assert!(told.elapsed() >= house::life::STOP, "it had its time to end in order");
    assert!(!runs(&second));
    let shown = Command::new(YM)
        .arg("--home")
        .arg(house.directory.path().join("home"))
        .arg("status")
        .output()
        .unwrap();
    assert_eq!(shown.status.code(), Some(5));
    let shown = String::from_utf8(shown.stdout).unwrap();
    let line = shown.lines().find(|line| line.starts_with("sip")).unwrap();
    assert!(line.contains("not ready 1 s after its start"), "{line}");
}

#[test]
fn a_start_timeout_of_nothing_is_no_time() {
    for wrong in ["0s", "soon"] {
        let told = Command::new(YM).args(["up", "--start-timeout", wrong]).output().unwrap();
        assert_eq!(told.status.code(), Some(2), "{wrong}");
    }
}

fn pid(row: &Value) -> nix::unistd::Pid {
    nix::unistd::Pid::from_raw(i32::try_from(row["pid"].as_u64().unwrap()).unwrap())
}

fn runs(row: &Value) -> bool {
    kill(pid(row), None).is_ok()
}
