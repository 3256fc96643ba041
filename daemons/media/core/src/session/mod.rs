//! Legs, and what joins them: the one state machine of the media core.
//!
//! Owns every leg, bridge, prompt and tap. A shell owns sockets and the clock: it hands in packets and
//! ticks, drains [`Core::poll`], and sends. [`Core`] is serialisable: what comes back from a snapshot goes on
//! with the next sequence numbers (relayed packets carry their place in themselves, prompts follow the
//! clock), so a snapshot may be a second old.

mod leg;
mod outbox;
mod player;
mod tap;

pub use leg::Dropped;
pub use outbox::Port;
pub use player::{Extent, Play, Prompt, PromptDigest, TICK, Times};
pub use tap::{BATCH, Batch, DEPTH, PATIENCE, Record, Track, TrackTotals};

use crate::{
    Error,
    dtmf::Digit,
    g711::Law,
    rtp::{Seed, Totals},
    sdp::Coding,
};
use leg::{Heard, Leg};
use outbox::Outbox;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, net::SocketAddr, time::Duration};
use tap::{Pending, Tap};
use types::{LegId, Monotonic, RecordingId};

/// How a leg is opened.
#[derive(Clone, Copy, Debug)]
pub struct Opening<'a> {
    /// The party's offer; without it the leg makes one.
    pub offer: Option<&'a [u8]>,
    /// Opaque: kept for the asker over restarts.
    pub memo: &'a str,
    /// The leg's RTP address, with an even port; RTCP is one above.
    pub address: SocketAddr,
    /// The session id of `o=` (RFC 8866 §5.2), unique.
    pub session: u64,
    /// Random beginnings of the stream sent.
    pub seed: Seed,
    /// Which law an offer of ours names first.
    pub preferred: Law,
}

/// What happens to a core.
#[derive(Clone, Copy, Debug)]
pub enum Input<'a> {
    /// Opens a leg, or negotiates an open one anew: [`Event::Opened`]. Of an open leg only `offer` counts.
    Open(LegId, Opening<'a>),
    /// The party's answer to our offer: [`Event::Accepted`].
    Accept(LegId, &'a [u8]),
    /// Plays a prompt, in place of what is played or heard: [`Event::Played`] at its end.
    Play(LegId, Play<'a>),
    /// Ends the prompt.
    Stop(LegId),
    /// Lets two legs hear each other; ends their prompts and parts them from whom they heard.
    Bridge(LegId, LegId),
    /// Parts a leg from its bridge.
    Part(LegId),
    /// Hands what comes from the party to a recording, until [`Input::Untap`] or [`Input::Close`].
    Tap(LegId, RecordingId, Track),
    /// Ends the tap: [`Output::TapEnded`] after its last batch.
    Untap(LegId),
    /// Keeps another memo.
    Remember(LegId, &'a str),
    /// Ends the leg: [`Event::Closed`].
    Close(LegId),
    /// A datagram came to one of the leg's ports.
    Datagram {
        /// Whose port.
        leg: LegId,
        /// Which port.
        port: Port,
        /// From where.
        source: SocketAddr,
        /// What.
        bytes: &'a [u8],
    },
    /// The record side did not take a batch.
    TapRefused(RecordingId),
    /// Time went on; comes every [`TICK`].
    Tick,
    /// The process is about to end and the legs are not: hands over every batch as it is.
    Flush,
}

/// What a core wants done.
#[derive(Debug, PartialEq, Eq)]
pub enum Output<'a> {
    /// Send this datagram from one of the leg's ports.
    Send {
        /// Whose port.
        leg: LegId,
        /// Which port.
        port: Port,
        /// Where to.
        to: SocketAddr,
        /// What.
        datagram: &'a [u8],
    },
    /// Hand this to the record side, or drop it and say [`Input::TapRefused`].
    Tap {
        /// Which recording.
        recording: RecordingId,
        /// What was received.
        batch: Batch<'a>,
    },
    /// Tell this to whom the legs belong.
    Event(Event),
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The leg stands: our answer, or our offer.
    Opened {
        /// The leg.
        leg: LegId,
        /// Our description (RFC 8866).
        description: String,
    },
    /// The party's answer is taken.
    Accepted {
        /// The leg.
        leg: LegId,
    },
    /// A playing is over.
    Played {
        /// The leg.
        leg: LegId,
        /// The asker's number.
        play: u32,
        /// The prompt's name.
        prompt: String,
        /// SM3 of its file.
        digest: PromptDigest,
        /// When the first packet went.
        began: Monotonic,
        /// When the last packet went; as `began` where none did.
        ended: Monotonic,
        /// How it ended.
        extent: Extent,
    },
    /// The party pressed a key (RFC 4733).
    Digit {
        /// The leg.
        leg: LegId,
        /// Which key.
        digit: Digit,
        /// For how long.
        held: Duration,
    },
    /// Nothing came from the party for the time that [`Limits`] give; told once, until something comes.
    Silent {
        /// The leg.
        leg: LegId,
    },
    /// A tap is over; no batch of this track follows.
    TapEnded {
        /// Which recording.
        recording: RecordingId,
        /// Whose.
        track: Track,
        /// What was handed over.
        totals: TrackTotals,
    },
    /// The record side did not take batches of a recording since the last word.
    TapLost {
        /// Which recording.
        recording: RecordingId,
        /// How many.
        batches: u64,
    },
    /// The leg is no more.
    Closed {
        /// The leg.
        leg: LegId,
        /// What was received and sent.
        quality: Quality,
    },
}

/// What was received and sent on a leg.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quality {
    /// The law agreed on.
    pub law: Option<Law>,
    /// The stream received.
    pub received: Totals,
    /// Packets from elsewhere than the locked source.
    pub foreign: u64,
    /// Packets sent, modulo 2³².
    pub sent: u64,
    /// The last round trip that reports showed (RFC 3550 §6.4.1).
    pub round_trip: Option<Duration>,
    /// Datagrams not heard.
    pub dropped: Dropped,
}

/// Bounds and waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// The most legs.
    pub legs: usize,
    /// How long nothing comes until [`Event::Silent`].
    pub silence: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { legs: 4000, silence: Duration::from_secs(15) }
    }
}

/// A leg as it stands, for the asker that comes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing<'a> {
    /// The leg.
    pub leg: LegId,
    /// Its RTP address.
    pub address: SocketAddr,
    /// With which it is bridged.
    pub bridged: Option<LegId>,
    /// The recording it is tapped for.
    pub tapped: Option<RecordingId>,
    /// What was last remembered.
    pub memo: &'a str,
}

/// All legs of this house.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Core {
    limits: Limits,
    legs: BTreeMap<LegId, Leg>,
    recordings: BTreeMap<RecordingId, Pending>,
    bridges: u64,
    #[serde(skip)]
    prompts: BTreeMap<String, Prompt>,
    #[serde(skip)]
    outbox: Outbox,
}

impl Core {
    /// A core without legs.
    pub fn new(limits: Limits) -> Self {
        Self { limits, ..Self::default() }
    }

    /// Loads a prompt under its name, in place of the one that was there: at the start, after a restart, and
    /// when its file changed. Where it is being played, it goes on in its new form.
    pub fn load(&mut self, name: String, prompt: Prompt) {
        self.prompts.insert(name, prompt);
    }

    /// Every leg.
    pub fn legs(&self) -> impl Iterator<Item = Standing<'_>> {
        self.legs.iter().map(|(leg, state)| Standing {
            leg: *leg,
            address: state.local.address,
            bridged: state.bridge.map(|(with, _)| with),
            tapped: state.tap.as_ref().map(|tap| tap.recording),
            memo: &state.memo,
        })
    }

    /// What was received and sent on a leg so far.
    pub fn quality(&self, leg: LegId) -> Option<Quality> {
        self.legs.get(&leg).map(Leg::quality)
    }

    /// Takes what happened. Drain [`Core::poll`] after it, also after an error.
    ///
    /// # Errors
    /// A command that cannot be followed; nothing changed then. Datagrams and ticks never fail.
    pub fn handle(&mut self, now: Monotonic, input: Input<'_>) -> Result<(), Error> {
        match input {
            Input::Open(leg, opening) => self.open(now, leg, opening),
            Input::Accept(leg, answer) => {
                self.leg(leg)?.accept(now, answer)?;
                self.outbox.event(Event::Accepted { leg });
                Ok(())
            }
            Input::Play(leg, play) => {
                let prompt = self.prompts.get(play.prompt);
                let prompt = prompt.ok_or_else(|| Error::NoPrompt(play.prompt.to_owned()))?;
                let state = self.legs.get_mut(&leg).ok_or(Error::NoLeg(leg))?;
                state.play(now, play, prompt, &mut self.outbox)
            }
            Input::Stop(leg) => {
                let state = self.legs.get_mut(&leg).ok_or(Error::NoLeg(leg))?;
                state.stop(Extent::Part, &mut self.outbox);
                Ok(())
            }
            Input::Bridge(leg, with) => self.bridge(leg, with),
            Input::Part(leg) => {
                self.leg(leg)?;
                self.part(leg);
                Ok(())
            }
            Input::Tap(leg, recording, track) => {
                self.leg(leg)?;
                self.untap(now, leg);
                self.recordings.entry(recording).or_default();
                self.leg(leg)?.tap = Some(Tap::new(recording, track));
                Ok(())
            }
            Input::Untap(leg) => {
                self.leg(leg)?;
                self.untap(now, leg);
                Ok(())
            }
            Input::Remember(leg, memo) => {
                memo.clone_into(&mut self.leg(leg)?.memo);
                Ok(())
            }
            Input::Close(leg) => self.close(now, leg),
            Input::Datagram { leg, port, source, bytes } => {
                match port {
                    Port::Rtp => self.rtp(now, leg, source, bytes),
                    Port::Rtcp => {
                        if let Some(leg) = self.legs.get_mut(&leg) {
                            leg.hear_rtcp(now, source, bytes);
                        }
                    }
                }
                Ok(())
            }
            Input::TapRefused(recording) => {
                if let Some(pending) = self.recordings.get_mut(&recording) {
                    pending.dropped += 1;
                }
                Ok(())
            }
            Input::Tick => {
                self.tick(now);
                Ok(())
            }
            Input::Flush => {
                self.flush(now);
                Ok(())
            }
        }
    }

    /// The next thing to do; `None` when all is done.
    pub fn poll(&mut self) -> Option<Output<'_>> {
        self.outbox.poll()
    }

    fn leg(&mut self, leg: LegId) -> Result<&mut Leg, Error> {
        self.legs.get_mut(&leg).ok_or(Error::NoLeg(leg))
    }

    fn open(&mut self, now: Monotonic, leg: LegId, opening: Opening<'_>) -> Result<(), Error> {
        let description = if let Some(open) = self.legs.get_mut(&leg) {
            open.reopen(now, opening.offer)?
        } else {
            if self.legs.len() >= self.limits.legs {
                return Err(Error::Full(self.limits.legs));
            }
            if !opening.address.port().is_multiple_of(2) || opening.address.port() == 0 {
                return Err(Error::OddPort(opening.address));
            }
            let (opened, description) = Leg::open(now, leg, &opening)?;
            self.legs.insert(leg, opened);
            description
        };
        self.outbox.event(Event::Opened { leg, description });
        Ok(())
    }

    fn bridge(&mut self, leg: LegId, with: LegId) -> Result<(), Error> {
        if leg == with {
            return Err(Error::SameLeg(leg));
        }
        self.leg(leg)?;
        self.leg(with)?;
        self.bridges += 1;
        for (one, other) in [(leg, with), (with, leg)] {
            self.part(one);
            if let Some(state) = self.legs.get_mut(&one) {
                state.stop(Extent::Part, &mut self.outbox);
                state.bridge = Some((other, self.bridges));
            }
        }
        Ok(())
    }

    /// Parts a leg from another than the bridge just made.
    fn part(&mut self, leg: LegId) {
        let bridge = self.legs.get_mut(&leg).and_then(|state| state.bridge.take());
        let Some((with, number)) = bridge else { return };
        if let Some(other) = self.legs.get_mut(&with).filter(|o| o.bridge == Some((leg, number))) {
            other.bridge = None;
        }
    }

    fn untap(&mut self, now: Monotonic, leg: LegId) {
        let Some(mut tap) = self.legs.get_mut(&leg).and_then(|state| state.tap.take()) else { return };
        let (recording, track) = (tap.recording, tap.track);
        if let Some(pending) = self.recordings.get_mut(&recording) {
            tap.flush(now, pending);
            self.outbox.batch(recording, pending);
        }
        self.outbox.event(Event::TapEnded { recording, track, totals: tap.totals });
        self.forget_recording(recording);
    }

    /// A recording without taps is forgotten, and what the record side lost of it told.
    fn forget_recording(&mut self, recording: RecordingId) {
        let tapped = |leg: &Leg| leg.tap.as_ref().is_some_and(|tap| tap.recording == recording);
        if self.legs.values().any(tapped) {
            return;
        }
        if let Some(pending) = self.recordings.remove(&recording).filter(|pending| pending.dropped > 0) {
            self.outbox.event(Event::TapLost { recording, batches: pending.dropped });
        }
    }

    fn close(&mut self, now: Monotonic, leg: LegId) -> Result<(), Error> {
        self.leg(leg)?;
        self.part(leg);
        self.untap(now, leg);
        if let Some(mut closed) = self.legs.remove(&leg) {
            closed.close(now, &mut self.outbox);
            self.outbox.event(Event::Closed { leg, quality: closed.quality() });
        }
        Ok(())
    }

    /// The way of every packet: nothing here allocates unless a tap waits for one that was overtaken.
    fn rtp(&mut self, now: Monotonic, id: LegId, source: SocketAddr, bytes: &[u8]) {
        let Some(leg) = self.legs.get_mut(&id) else { return };
        let tapped = leg.tap.as_ref().map(|tap| tap.recording);
        let mut pending = tapped.and_then(|recording| self.recordings.get_mut(&recording));
        let Some(heard) = leg.hear(now, source, bytes, pending.as_deref_mut()) else { return };
        let Heard { extended, coding, packet, .. } = &heard;
        if let (Some(tap), Some(pending)) = (&mut leg.tap, pending) {
            tap.take(now, *extended, packet, *coding, pending);
        }
        if *coding == Some(Coding::TelephoneEvent)
            && let Some(press) = leg.press(now, packet)
        {
            self.outbox.event(Event::Digit { leg: id, digit: press.digit, held: press.held });
        }
        if let Some((with, number)) = leg.bridge
            && let Some(peer) = self.legs.get_mut(&with)
        {
            peer.relay(now, number, &heard, &mut self.outbox);
        }
    }

    fn flush(&mut self, now: Monotonic) {
        for tap in self.legs.values_mut().filter_map(|leg| leg.tap.as_mut()) {
            if let Some(pending) = self.recordings.get_mut(&tap.recording) {
                tap.flush(now, pending);
            }
        }
        for (recording, pending) in &mut self.recordings {
            self.outbox.batch(*recording, pending);
        }
    }

    fn tick(&mut self, now: Monotonic) {
        for leg in self.legs.values_mut() {
            leg.tick(now, self.limits.silence, &self.prompts, &mut self.outbox);
            let recording = leg.tap.as_ref().map(|tap| tap.recording);
            let pending = recording.and_then(|recording| self.recordings.get_mut(&recording));
            if let (Some(tap), Some(pending)) = (&mut leg.tap, pending) {
                tap.tick(now, pending);
            }
        }
        for (recording, pending) in &mut self.recordings {
            if pending.due(now) {
                if pending.dropped > 0 {
                    let batches = std::mem::take(&mut pending.dropped);
                    self.outbox.event(Event::TapLost { recording: *recording, batches });
                }
                self.outbox.batch(*recording, pending);
            }
        }
    }
}
