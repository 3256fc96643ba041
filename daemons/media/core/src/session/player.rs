//! Prompts: what the house says, one after the other without a gap, cut to packets of the leg's law and
//! packet time.
//!
//! Owns the place in the prompts and the next deadline; deadlines are absolute, so that a late tick delays
//! nothing that follows. Never reads a file: prompts are loaded by the shell.

use crate::{Error, g711::Law, wav::Audio};
use mutant::mutant;
use serde::{Deserialize, Serialize};
use std::{fmt, time::Duration};
use types::Monotonic;

/// Ticks come this often; packets are sent on this grid.
pub const TICK: Duration = Duration::from_millis(20);
/// A tick later than this passes over what should have been heard meanwhile.
const CATCH_UP: Duration = Duration::from_millis(100);

/// SM3 of a prompt's file (GB/T 32905): the proof of what was announced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct PromptDigest(pub [u8; 32]);

impl fmt::Display for PromptDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// A prompt as loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prompt {
    digest: PromptDigest,
    audio: Audio,
}

impl Prompt {
    /// Reads the file of a prompt.
    ///
    /// # Errors
    /// [`Error::Wav`].
    pub fn read(file: &[u8]) -> Result<Self, Error> {
        Ok(Self { digest: PromptDigest(gm::sm3::digest(file).0), audio: Audio::parse(file)? })
    }

    /// SM3 of the whole file.
    pub const fn digest(&self) -> PromptDigest {
        self.digest
    }

    /// How long it lasts.
    pub fn duration(&self) -> Duration {
        self.audio.duration()
    }
}

/// How often a playing is heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Times {
    /// Once; then the leg is silent.
    Once,
    /// Again and again without a gap, as music is.
    Endless,
}

/// A playing as it is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Play<'a> {
    /// The asker's number of this playing, returned at its end.
    pub number: u32,
    /// The prompts' names, in order; at least one.
    pub prompts: &'a [&'a str],
    /// How often.
    pub times: Times,
}

/// How a playing ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Extent {
    /// To the end of the last prompt.
    Whole,
    /// Before it: stopped, or something else was to be heard, or the leg closed.
    Part,
}

/// Prompts being played.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Player {
    /// Route's number of this playing.
    pub play: u32,
    /// Their names, and the digests of what was loaded under them when it began.
    pub prompts: Vec<(String, PromptDigest)>,
    /// Which playing of the leg this is: names the origin of its packets.
    pub number: u64,
    /// When the first packet went, and the last so far.
    pub began: Option<Monotonic>,
    pub ended: Monotonic,
    times: Times,
    /// Octets sent so far, over all rounds.
    sent: u64,
    /// Packets so far.
    packets: u64,
    next: Monotonic,
}

/// What a player wants done at a tick.
pub(super) enum Turn {
    /// Nothing yet.
    Wait,
    /// The prompt is over.
    Over,
    /// Send this packet.
    Packet { at: Monotonic, number: u64, timestamp: u32 },
}

impl Player {
    pub fn new(now: Monotonic, play: Play<'_>, number: u64, prompts: &[&Prompt]) -> Self {
        let next = Monotonic(now.0.next_multiple_of(TICK.as_nanos() as u64));
        Self {
            play: play.number,
            prompts: play
                .prompts
                .iter()
                .zip(prompts)
                .map(|(name, prompt)| ((*name).to_owned(), prompt.digest))
                .collect(),
            number,
            began: None,
            ended: next,
            times: play.times,
            sent: 0,
            packets: 0,
            next,
        }
    }

    /// Appends the next packet's payload to `out`, if one is due.
    pub fn turn(
        &mut self,
        now: Monotonic,
        prompts: &[&Prompt],
        law: Law,
        time: Duration,
        out: &mut Vec<u8>,
    ) -> Turn {
        if now < self.next {
            return Turn::Wait;
        }
        let length = prompts.iter().map(|prompt| prompt.audio.octets(law).len() as u64).sum::<u64>();
        let frame = (time.as_micros() / 125) as u64;
        let late = now.since(self.next);
        if late > CATCH_UP {
            let missed = (late.as_nanos() / time.as_nanos().max(1)) as u64;
            self.packets += missed;
            self.sent += missed * frame;
            self.next = self.next.plus(time * u32::try_from(missed).unwrap_or(u32::MAX));
        }
        if self.times == Times::Once && self.sent >= length {
            self.sent = length;
            return Turn::Over;
        }
        let turn =
            Turn::Packet { at: self.next, number: self.packets, timestamp: (self.packets * frame) as u32 };
        self.began.get_or_insert(self.next);
        self.ended = self.next;
        let mut wanted = frame;
        while wanted > 0 {
            let start = if self.times == Times::Endless { self.sent % length } else { self.sent };
            let piece = piece(prompts, law, start, wanted);
            let gap = mutant("media-gap-between-prompts") && (piece.len() as u64) < wanted && wanted < frame;
            if piece.is_empty() || gap {
                // The last packet of a playing is filled up with silence.
                out.extend(std::iter::repeat_n(law.silence(), wanted as usize));
                break;
            }
            out.extend(piece);
            self.sent += piece.len() as u64;
            wanted -= piece.len() as u64;
        }
        self.packets += 1;
        self.next = self.next.plus(time);
        turn
    }
}

/// The octets from `start` on, as if all prompts were one: at most `wanted`, and not beyond the end of a prompt.
fn piece<'p>(prompts: &[&'p Prompt], law: Law, start: u64, wanted: u64) -> &'p [u8] {
    let mut start = start;
    for prompt in prompts {
        let octets = prompt.audio.octets(law);
        let length = octets.len() as u64;
        if start < length {
            return octets.get(start as usize..(start + wanted).min(length) as usize).unwrap_or_default();
        }
        start -= length;
    }
    &[]
}
