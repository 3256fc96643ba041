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

/// A house whose daemons are all the program `false`.
struct House {
    directory: tempfile::TempDir,
    ym: Child,
}

impl House {
    fn up() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        fs::create_dir(at("bin")).unwrap();
        fs::create_dir(at("home")).unwrap();
        copy(Path::new(YM), &at("bin/ym"));
        for daemon in house::DAEMONS.iter().filter(|daemon| daemon.runs()) {
            copy(Path::new("/bin/false"), &at("bin").join(daemon.name));
        }
        let sip = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let console = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        fs::write(at("seed.toml"), format!("[sip]\nbind = [\"{sip}\"]\n[console]\nlisten = \"{console}\"\n"))
            .unwrap();
        let mut command = Command::new(at("bin/ym"));
        command.arg("--home").arg(at("home")).arg("up").arg("--config").arg(at("seed.toml"));
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
    let mut house = House::up();
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
