//! `ym calls capture`: the packets of a live call into a file that Wireshark and tshark read.
//!
//! ```text
//!  sip ───► pair ─┐
//!                 ├─► in order of time ──► pcap (nanoseconds, LINKTYPE_RAW)
//!  media ─► pair ─┘
//! ```

use crate::{
    failure::Failure,
    output::{self, Form},
    session::Session,
};
use nix::sys::socket::{MsgFlags, recv};
use route_api::{
    Capture, Route,
    capture::{Word, read},
};
use serde::Serialize;
use std::{
    collections::BTreeMap,
    fs::OpenOptions,
    io::{BufWriter, Write},
    os::{
        fd::{AsRawFd, OwnedFd},
        unix::fs::OpenOptionsExt,
    },
    path::PathBuf,
    sync::mpsc::{self, RecvTimeoutError},
    thread,
    time::{Duration, Instant},
};
use types::{CallId, CaptureId, Utc};

/// How long a packet waits for one from the other edge that was there before it.
const ORDER: Duration = Duration::from_millis(500);
/// The longest word.
const WORD: usize = 128 << 10;
/// How long route may take: the entry in the log, and both edges.
const PATIENCE: Duration = Duration::from_secs(20);

/// What is wanted.
pub struct Wish {
    /// Of which call.
    pub call: CallId,
    /// Why.
    pub reason: String,
    /// For how long.
    pub lasts: Duration,
    /// The file to make.
    pub out: PathBuf,
}

/// What came of it.
#[derive(Serialize)]
struct Outcome {
    capture: CaptureId,
    sequence: u64,
    packets: u64,
    dropped: u64,
}

/// Captures until the time is over or the call's edges have ended.
///
/// # Errors
/// A refusal of route, or the file cannot be written.
pub async fn capture(session: &Session<'_>, form: Form, wish: Wish) -> Result<(), Failure> {
    let assertion = session.assertion().await?;
    let making = |error| Failure::new(&format!("make {}", wish.out.display()), error);
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&wish.out).map_err(making)?;
    // Past the longest, route says what is allowed.
    let seconds = u32::try_from(wish.lasts.as_secs()).unwrap_or(u32::MAX);
    let ask = Capture { assertion, call: wish.call, reason: wish.reason, seconds };
    let outcome = session.client::<Route>().call_with(ask, Vec::new(), PATIENCE).await;
    let (capturing, descriptors) = outcome.inspect_err(|_| {
        // Nothing is in it; a second try would find it in its way.
        let _gone = std::fs::remove_file(&wish.out);
    })?;
    if let Form::Human = form {
        output::complain(&output::text("ym.capturing", &[("seconds", &seconds.to_string())]));
    }
    let written = tokio::task::spawn_blocking(move || write(BufWriter::new(file), descriptors)).await;
    let writing =
        |error: &dyn std::fmt::Display| Failure::new(&format!("write {}", wish.out.display()), error);
    let (packets, dropped) = written.map_err(|error| writing(&error))?.map_err(|error| writing(&error))?;
    let outcome = Outcome { capture: capturing.capture, sequence: capturing.sequence, packets, dropped };
    output::show(form, &outcome, |outcome| {
        let arguments = [
            ("file", wish.out.display().to_string()),
            ("packets", outcome.packets.to_string()),
            ("dropped", outcome.dropped.to_string()),
            ("sequence", outcome.sequence.to_string()),
        ];
        let arguments = arguments.each_ref().map(|(name, value)| (*name, value.as_str()));
        output::say(&output::text("ym.captured", &arguments));
    });
    Ok(())
}

/// Writes what comes from all of these, in the order of time; gives how many packets came and were dropped.
fn write(mut file: impl Write, descriptors: Vec<OwnedFd>) -> std::io::Result<(u64, u64)> {
    // Magic of nanoseconds, version 2.4, no zone, whole packets, LINKTYPE_RAW.
    for word in [0xa1b2_3c4d_u32, 0x0004_0002, 0, 0, 0x0004_0000, 101] {
        file.write_all(&word.to_le_bytes())?;
    }
    let (said, words) = mpsc::channel();
    for descriptor in descriptors {
        let said = said.clone();
        thread::spawn(move || {
            let mut word = vec![0; WORD];
            while let Ok(length @ 1..) = recv(descriptor.as_raw_fd(), &mut word, MsgFlags::empty()) {
                if said.send((Instant::now(), word[..length].to_vec())).is_err() {
                    return;
                }
            }
        });
    }
    drop(said);
    let (mut waiting, mut number, mut dropped) = (BTreeMap::<(Utc, u64), (Instant, Vec<u8>)>::new(), 0, 0);
    loop {
        let over = match words.recv_timeout(ORDER / 5) {
            Ok((at, word)) => {
                match read(&word) {
                    Some(Word::Packet { at: moment, .. }) => {
                        waiting.insert((moment, number), (at, word));
                        number += 1;
                    }
                    Some(Word::Dropped(count)) => dropped += u64::from(count),
                    None => {}
                }
                false
            }
            Err(RecvTimeoutError::Timeout) => false,
            Err(RecvTimeoutError::Disconnected) => true,
        };
        while let Some(first) = waiting.first_entry().filter(|first| over || first.get().0.elapsed() >= ORDER)
        {
            let (_, word) = first.remove();
            if let Some(Word::Packet { at, length, bytes }) = read(&word) {
                record(&mut file, at, length, bytes)?;
            }
        }
        if over {
            file.flush()?;
            return Ok((number, dropped));
        }
    }
}

fn record(file: &mut impl Write, at: Utc, length: u32, bytes: &[u8]) -> std::io::Result<()> {
    let seconds = u32::try_from(at.seconds()).unwrap_or(0);
    let nanoseconds = u32::try_from(at.0.rem_euclid(1_000_000_000)).unwrap_or(0);
    let told = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    for word in [seconds, nanoseconds, told, length] {
        file.write_all(&word.to_le_bytes())?;
    }
    file.write_all(bytes)
}
