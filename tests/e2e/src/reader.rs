//! What the independent reader finds in a sealed recording, and where it was on the wire.

use crate::{House, program, repository, wire::Rtp};
use std::{fs, path::Path, process::Command};

/// Payloads of each track by the reader in Python, which shares no code with ours.
///
/// # Panics
/// It does not open, or opens with another key.
pub fn read_independently<const TRACKS: usize>(house: &House, recording: &str) -> [Vec<u8>; TRACKS] {
    let venv = program("ym").ancestors().nth(2).unwrap().join("readers-venv");
    let readers = repository().join("tests/readers");
    let python = venv.join("bin/python");
    let run = |program: &Path, arguments: &[&str]| {
        let output = Command::new(program).args(arguments).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    };
    let text = |path: &Path| path.display().to_string();
    if !python.is_file() {
        run(Path::new("python3"), &["-m", "venv", &text(&venv)]);
    }
    run(
        &python,
        &["-m", "pip", "install", "--quiet", "--requirement", &text(&readers.join("requirements.txt"))],
    );
    let sealed = house.home().join(format!("record/recordings/{recording}/0.sealed"));
    let (dek, out) = (house.data_key(recording, 0), house.folder.path().join("read"));
    let reader = text(&readers.join("sealed_file.py"));
    run(&python, &[&reader, &text(&sealed), &dek, &text(&out)]);
    let wrong = dek.replace(|c: char| c.is_ascii_digit(), "0");
    let refused = Command::new(&python).args([&reader, &text(&sealed), &wrong]).output().unwrap();
    assert!(!refused.status.success(), "another key opens it");
    std::array::from_fn(|track| fs::read(out.join(format!("track-{track}.payload"))).unwrap())
}

/// The packets whose payloads, one after the other, are exactly the track.
///
/// # Panics
/// There are no such packets.
pub fn within<'a>(sent: &'a [Rtp], track: &[u8], which: &str) -> &'a [Rtp] {
    assert!(!track.is_empty(), "{which} is empty");
    let all: Vec<u8> = sent.iter().flat_map(|packet| packet.payload.clone()).collect();
    let first = (0..sent.len()).find(|first| {
        let skipped: usize = sent[..*first].iter().map(|packet| packet.payload.len()).sum();
        all[skipped..].starts_with(track)
    });
    let first = first
        .unwrap_or_else(|| panic!("{which}: {} bytes are not what {} packets held", track.len(), sent.len()));
    let mut length = 0;
    let count = sent[first..].iter().take_while(|packet| {
        length += packet.payload.len();
        length <= track.len()
    });
    let count = count.count();
    &sent[first..first + count]
}
