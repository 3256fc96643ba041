//! Twenty cuts on four disks. Needs root for mounting.
#![expect(clippy::expect_used, clippy::panic, reason = "what fails here fails the test")]

use nix::{sys::signal::Signal, unistd::geteuid};
use power_cut::{Ack, Acknowledged, Disk, check};
use std::{
    fs::File,
    io::{self, BufRead, BufReader, Read, Write},
    os::unix::process::ExitStatusExt,
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
    sync::mpsc,
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

const DISKS: u64 = 4;
const CUTS: u64 = 5;

#[test]
fn nothing_acknowledged_is_lost() {
    if skipped() {
        return;
    }
    let mut broken = Vec::new();
    for seed in 1..=DISKS {
        let mut disk = Disk::new(96).expect("as root, with loop devices and ext4");
        let mut acknowledged = Acknowledged::default();
        for cut in 0..CUTS {
            let moment = moment(seed * 100 + cut);
            let before = acknowledged.count();
            let neighbour = seed.is_multiple_of(2).then(|| neighbour(&disk));
            let end = write_until_cut(&disk, moment, &mut acknowledged);
            neighbour.map(JoinHandle::join).transpose().expect("it ends at its first error");
            disk.restore().expect("unmount and mount again");
            let name = format!("disk {seed}, cut {cut} after {moment:?}");
            let lost = match check(&disk.root().join("db"), &acknowledged) {
                Ok(lost) => lost,
                Err(error) => vec![format!("the database does not open: {error}")],
            };
            println!("{name}: {} acknowledged, {} lost", acknowledged.count() - before, lost.len());
            assert!(
                acknowledged.count() > before,
                "{name}: a cut before the first acknowledgement proves nothing"
            );
            if end.signal() != Some(Signal::SIGABRT as i32) {
                broken.push(format!("{name}: the writer went on after a failed write, then: {end}"));
            }
            let end = !lost.is_empty();
            broken.extend(lost.into_iter().take(3).map(|lost| format!("{name}: {lost}")));
            if end {
                // What was lost once would be counted at every later cut of this disk.
                break;
            }
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
}

#[test]
fn a_first_start_that_is_cut_off_is_repeated() {
    if skipped() {
        return;
    }
    let mut disk = Disk::new(32).expect("as root, with loop devices and ext4");
    for cut in 0..16 {
        let directory = disk.root().join(format!("db{cut}"));
        let neighbour = neighbour(&disk);
        let mut writer = Ended::start(&directory);
        let begun = || ["sled", "sled.new"].iter().any(|name| directory.join(name).exists());
        let start = Instant::now();
        while !begun() && start.elapsed() < Duration::from_secs(5) {
            thread::yield_now();
        }
        thread::sleep(Duration::from_millis(cut));
        disk.cut().expect("EXT4_IOC_SHUTDOWN");
        writer.end_within(Duration::from_secs(5));
        neighbour.join().expect("it ends at its first error");
        disk.restore().expect("unmount and mount again");
        let lost = check(&directory, &Acknowledged::default());
        assert!(matches!(lost.as_deref(), Ok([])), "cut {cut}: {lost:?}");
    }
}

/// Whether this machine cannot cut power, which is said past the harness, who shows nothing of what passes.
fn skipped() -> bool {
    let skipped = !geteuid().is_root();
    if skipped {
        writeln!(io::stderr(), "SKIPPED: a power cut needs root, to mount a disk of its own")
            .expect("standard error");
    }
    skipped
}

/// Syncs a file of its own until the power is cut, which makes half-made things of others durable too.
fn neighbour(disk: &Disk) -> JoinHandle<()> {
    let mut file = File::create(disk.root().join("neighbour")).expect("a file on the disk");
    thread::spawn(move || while file.write_all(b"x").and_then(|()| file.sync_all()).is_ok() {})
}

/// Runs a writer, cuts the power `moment` after its first acknowledgement, and answers how it ended.
fn write_until_cut(disk: &Disk, moment: Duration, acknowledged: &mut Acknowledged) -> ExitStatus {
    let mut writer = Ended::start(&disk.root().join("db"));
    let lines = BufReader::new(writer.0.stdout.take().expect("its output is a pipe")).lines();
    let (told, acks) = mpsc::channel();
    let reading = thread::spawn(move || {
        for line in lines.map_while(Result::ok) {
            // Nobody listens any more only when the test has failed.
            let _ = told.send(line.parse::<Ack>().expect("whole lines"));
        }
    });
    let first = acks.recv_timeout(Duration::from_secs(20));
    acknowledged.add(first.unwrap_or_else(|_| panic!("the writer writes; it said: {}", writer.complaint())));
    thread::sleep(moment);
    disk.cut().expect("EXT4_IOC_SHUTDOWN");
    let end = writer.end_within(Duration::from_secs(5));
    reading.join().expect("whole lines");
    acks.try_iter().for_each(|ack| acknowledged.add(ack));
    end
}

/// 20 to 420 ms, by SplitMix64.
fn moment(seed: u64) -> Duration {
    let mut z = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    Duration::from_micros(20_000 + (z ^ z >> 31) % 400_000)
}

/// A process that does not outlive the test.
struct Ended(Child);

impl Ended {
    fn start(directory: &Path) -> Self {
        let writer = Command::new(env!("CARGO_BIN_EXE_power-cut-writer"))
            .arg(directory)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn();
        Self(writer.expect("the writer starts"))
    }

    fn end_within(&mut self, patience: Duration) -> ExitStatus {
        let start = Instant::now();
        loop {
            if let Some(status) = self.0.try_wait().expect("it is our child") {
                return status;
            }
            if start.elapsed() > patience {
                self.0.kill().expect("it is our child");
                return self.0.wait().expect("it is our child");
            }
            thread::sleep(Duration::from_millis(2));
        }
    }

    fn complaint(&mut self) -> String {
        // Whether it runs or has ended, no more is to come.
        let _ = self.0.kill();
        let mut said = String::new();
        let _ = self.0.stderr.take().map(|mut stderr| stderr.read_to_string(&mut said));
        said
    }
}

impl Drop for Ended {
    fn drop(&mut self) {
        // Fails only when it has ended before.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
