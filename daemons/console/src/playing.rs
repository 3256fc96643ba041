//! Sound that a person may hear for a while: after a reason was given and entered, in memory, for that person's own
//! session alone.
//!
//! ```text
//!   POST …/listen ── reason ──> record: entry, ticket, key ── WAV ──> a grant of this session
//!   GET …/audio, …/peaks ──> the grant, any range of it, until it expires: the one entry stands for all of them
//! ```
//!
//! Nothing of it touches a disk. A grant ends with its time, with its session, or with the next one of the session.

use crate::{error::Error, problem::Problem, sessions::locked};
use auth_api::{Assertion, SessionId};
use axum::body::Bytes;
use mutant::mutant;
use nix::fcntl::OFlag;
use record_api::{Export, Exported, Record};
use service::{Client, clock};
use std::{
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::{io::AsyncReadExt, net::unix::pipe, sync::Semaphore};
use types::{Monotonic, RecordingId};

/// The longest sound that is played, in bytes: an hour and three quarters of narrowband speech.
const LONGEST: usize = 192 << 20;
/// The most that all grants hold together; the oldest gives way.
const MOST: usize = 384 << 20;
/// Recordings that are opened at a time.
const OPENING: usize = 2;
/// For opening one.
const PATIENCE: Duration = Duration::from_secs(28);
/// How long a grant lasts beyond the length of its recording.
const PAUSES: Duration = Duration::from_secs(15 * 60);
/// The head of a WAV file (RIFF, Microsoft 1991), in bytes.
const HEAD: usize = 44;

/// Every grant of this console.
pub struct Grants {
    held: Arc<Mutex<Vec<Grant>>>,
    opening: Semaphore,
}

/// Sound that one session may hear until a moment. It has no `Debug`.
#[derive(Clone)]
pub struct Grant {
    session: SessionId,
    recording: RecordingId,
    until: Monotonic,
    /// What is heard.
    pub sound: Sound,
}

/// A WAV file of two channels of 16 bits in memory.
#[derive(Clone)]
pub struct Sound {
    /// The file.
    pub bytes: Bytes,
    /// SM3 of the file, 64 hexadecimal digits.
    pub digest: String,
}

/// What a person asks to hear, and why.
pub struct Wish {
    /// Who.
    pub assertion: Assertion,
    /// In which session.
    pub session: SessionId,
    /// What.
    pub recording: RecordingId,
    /// Why.
    pub reason: String,
    /// The case.
    pub case: Option<String>,
}

impl Default for Grants {
    fn default() -> Self {
        Self { held: Arc::default(), opening: Semaphore::new(OPENING) }
    }
}

impl Grants {
    /// Has a recording opened, which enters the reason, and grants its sound. Returns with it what record said, and
    /// for how long it holds.
    ///
    /// # Errors
    /// record refuses, the recording is too long, or too many are being opened.
    pub async fn give(
        &self,
        record: &Client<Record>,
        wish: Wish,
    ) -> Result<(Grant, Exported, Duration), Problem> {
        let Ok(_place) = self.opening.try_acquire() else { return Err(Problem::Opening) };
        let Wish { assertion, session, recording, reason, case } = wish;
        let (reader, writer) = nix::unistd::pipe2(OFlag::O_CLOEXEC).map_err(Error::Pipe)?;
        nix::fcntl::fcntl(&reader, nix::fcntl::FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).map_err(Error::Pipe)?;
        let reader = pipe::Receiver::from_owned_fd(reader).map_err(Error::Read)?;
        let export = Export { assertion, recording, reason, case };
        // The call holds the writing end until it is answered; then the reading end comes to its end.
        let (exported, read) = tokio::join!(record.call_with(export, vec![writer], PATIENCE), drain(reader));
        let bytes = match (read, exported.as_ref().err()) {
            // Whoever reads no more makes record fail: the cause is here.
            (Err(Problem::TooLong), _) => return Err(Problem::TooLong),
            (_, Some(_)) => Bytes::new(),
            (read, None) => read?,
        };
        let (exported, _) = exported?;
        let sound = Sound { bytes, digest: exported.digest.clone() };
        let lasting = sound.length() + PAUSES;
        let grant = Grant { session, recording, until: clock::monotonic().plus(lasting), sound };
        self.keep(grant.clone());
        let held = Arc::clone(&self.held);
        tokio::spawn(async move {
            tokio::time::sleep(lasting).await;
            sweep(&mut locked(&held));
        });
        Ok((grant, exported, lasting))
    }

    /// What this session may hear of this recording now.
    ///
    /// # Errors
    /// [`Problem::NoGrant`].
    pub fn of(&self, session: SessionId, recording: RecordingId) -> Result<Sound, Problem> {
        let mut held = locked(&self.held);
        sweep(&mut held);
        let own = |grant: &&Grant| {
            (grant.session == session || mutant("console-grant-for-all")) && grant.recording == recording
        };
        held.iter().find(own).map(|grant| grant.sound.clone()).ok_or(Problem::NoGrant)
    }

    /// The session is over.
    pub fn end(&self, session: SessionId) {
        locked(&self.held).retain(|grant| grant.session != session);
    }

    fn keep(&self, grant: Grant) {
        let mut held = locked(&self.held);
        sweep(&mut held);
        held.retain(|other| other.session != grant.session);
        while held.iter().map(|other| other.sound.bytes.len()).sum::<usize>() + grant.sound.bytes.len() > MOST
        {
            held.remove(0);
        }
        held.push(grant);
    }
}

impl Sound {
    /// Samples of each channel in a second.
    fn rate(&self) -> u32 {
        let rate = self.bytes.get(24..28).and_then(|rate| <[u8; 4]>::try_from(rate).ok());
        rate.map_or(0, u32::from_le_bytes)
    }

    /// How long it lasts.
    pub fn length(&self) -> Duration {
        let pairs = self.bytes.len().saturating_sub(HEAD) / 4;
        match self.rate() {
            0 => Duration::ZERO,
            rate => Duration::from_secs_f64(pairs as f64 / f64::from(rate)),
        }
    }

    /// The loudest sample of each of so many equal stretches, left and right, from 0 to 100.
    pub fn peaks(&self, columns: usize) -> (Vec<u8>, Vec<u8>) {
        let sound = self.bytes.get(HEAD..).unwrap_or_default();
        let pairs = sound.len() / 4;
        let column = |channel: usize| {
            (0..columns).map(move |at| {
                let (from, to) =
                    (at * pairs / columns, ((at + 1) * pairs / columns).max(at * pairs / columns + 1));
                let stretch = sound.chunks_exact(4).skip(from).take(to - from);
                let loudest = stretch.filter_map(|pair| {
                    let sample = pair.get(2 * channel..2 * channel + 2)?;
                    Some(i16::from_le_bytes(<[u8; 2]>::try_from(sample).ok()?).unsigned_abs())
                });
                u8::try_from(u32::from(loudest.max().unwrap_or(0)) * 100 / 32_768).unwrap_or(100)
            })
        };
        (column(0).collect(), column(1).collect())
    }
}

async fn drain(mut reader: pipe::Receiver) -> Result<Bytes, Problem> {
    let mut bytes = Vec::new();
    loop {
        let read = reader.read_buf(&mut bytes).await.map_err(Error::Read)?;
        if bytes.len() > LONGEST {
            return Err(Problem::TooLong);
        }
        if read == 0 {
            return Ok(bytes.into());
        }
    }
}

fn sweep(held: &mut Vec<Grant>) {
    let now = clock::monotonic();
    held.retain(|grant| now < grant.until || mutant("console-grant-for-ever"));
}

#[cfg(test)]
mod tests {
    use super::*;
    use types::Uid;

    fn session(number: u8) -> SessionId {
        SessionId(Uid([number; 16]))
    }

    fn recording(number: u8) -> RecordingId {
        RecordingId(Uid([number; 16]))
    }

    fn sound(pairs: &[(i16, i16)]) -> Sound {
        let mut bytes = vec![0; HEAD];
        bytes[24..28].copy_from_slice(&8_000_u32.to_le_bytes());
        for (left, right) in pairs {
            bytes.extend(left.to_le_bytes());
            bytes.extend(right.to_le_bytes());
        }
        Sound { bytes: bytes.into(), digest: "00".repeat(32) }
    }

    fn grant(of: u8, what: u8, lasting: Duration) -> Grant {
        let until = clock::monotonic().plus(lasting);
        Grant { session: session(of), recording: recording(what), until, sound: sound(&[(0, 0); 8]) }
    }

    /// Mutants console-grant-for-all, console-grant-for-ever.
    #[test]
    fn a_grant_is_for_one_session_one_recording_and_a_while() {
        let grants = Grants::default();
        grants.keep(grant(1, 7, Duration::from_secs(60)));
        assert!(grants.of(session(1), recording(7)).is_ok());
        assert!(grants.of(session(2), recording(7)).is_err(), "another person's");
        assert!(grants.of(session(1), recording(8)).is_err(), "another recording");
        grants.end(session(1));
        assert!(grants.of(session(1), recording(7)).is_err(), "logged out");
        grants.keep(grant(1, 7, Duration::ZERO));
        assert!(grants.of(session(1), recording(7)).is_err(), "over");
        grants.keep(grant(1, 7, Duration::from_secs(60)));
        grants.keep(grant(1, 8, Duration::from_secs(60)));
        assert!(grants.of(session(1), recording(7)).is_err(), "the next one takes its place");
    }

    #[test]
    fn peaks_show_where_who_speaks() {
        let sound = sound(&[(0, 0), (16_384, 0), (0, i16::MIN), (-328, 0)]);
        assert_eq!(sound.peaks(2), (vec![50, 1], vec![0, 100]));
        assert_eq!(sound.peaks(4), (vec![0, 50, 0, 1], vec![0, 0, 100, 0]));
        // More columns than samples.
        assert_eq!(sound.peaks(8).0.len(), 8);
        assert_eq!(sound.length(), Duration::from_micros(500));
        let nothing = Sound { bytes: Bytes::new(), digest: String::new() };
        assert_eq!((nothing.peaks(3), nothing.length()), ((vec![0; 3], vec![0; 3]), Duration::ZERO));
    }
}
