//! Legs, and what joins them: the one state machine of the media core.
//!
//! Owns every leg, bridge, prompt and tap. A shell owns sockets and the clock: it hands in packets and
//! ticks, drains [`Core::poll`], and sends. [`Core`] is serialisable: what comes back from a snapshot goes on
//! with the next sequence numbers (relayed packets carry their place in themselves, prompts follow the
//! clock), so a snapshot may be a second old.

mod dialling;
mod early;
mod input;
mod leg;
mod listening;
mod outbox;
mod output;
mod passing;
mod player;
mod report;
mod tap;
mod transcoder;

pub use early::PAUSE;
pub use input::{Input, Limits, Opening};
pub use leg::Dropped;
pub use outbox::Port;
pub use output::{Event, Output, Quality, Standing};
pub use player::{Extent, Play, Prompt, PromptDigest, TICK, Times};
pub use report::Far;
pub use tap::{BATCH, Batch, DEPTH, PATIENCE, Record, Track, TrackTotals};

use crate::{
    Error,
    codec::{Codec, Library},
    dtmf::Digit,
    sdp::Coding,
    sound,
};
use leg::{Heard, Leg};
use outbox::Outbox;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, net::SocketAddr, time::Duration};
use tap::{Pending, Tap};
use types::{LegId, Monotonic, RecordingId};

/// The most prompts of one playing.
const PROMPTS: usize = 32;

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
    library: Library,
    #[serde(skip)]
    outbox: Outbox,
    /// Where packets are opened.
    #[serde(skip)]
    room: Vec<u8>,
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

    /// What speaks from now on what only a library speaks: at the start, after a restart, and when it changed. What
    /// a leg speaks already goes on as it began.
    pub fn equip(&mut self, library: &Library) {
        self.library = library.clone();
        self.legs.values_mut().for_each(|leg| leg.library = library.clone());
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
            Input::Early { leg, answer, to } => self.early(now, leg, answer, to),
            Input::Play(leg, play) => {
                if !(1..=PROMPTS).contains(&play.prompts.len()) {
                    return Err(Error::PromptCount(play.prompts.len()));
                }
                let named = play.prompts.iter();
                let prompts = named
                    .map(|name| self.prompts.get(*name).ok_or_else(|| Error::NoPrompt((*name).to_owned())))
                    .collect::<Result<Vec<_>, _>>()?;
                let state = self.legs.get_mut(&leg).ok_or(Error::NoLeg(leg))?;
                state.play(now, play, &prompts, &mut self.outbox)
            }
            Input::Stop(leg) => {
                let state = self.legs.get_mut(&leg).ok_or(Error::NoLeg(leg))?;
                state.stop(Extent::Part, &mut self.outbox);
                Ok(())
            }
            Input::Bridge(leg, with) => self.bridge(now, leg, with),
            Input::Part(leg) => {
                self.leg(leg)?;
                self.part(leg);
                Ok(())
            }
            Input::Tap(leg, recording, track) => {
                self.leg(leg)?;
                let first = self.legs.keys().next().copied().unwrap_or(leg);
                let leg = if mutant::mutant("media-tap-of-another") { first } else { leg };
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
                // Taken for a while, so that what is opened in it can be passed on.
                let mut room = std::mem::take(&mut self.room);
                match port {
                    Port::Rtp => self.rtp(now, leg, source, bytes, &mut room),
                    Port::Rtcp => {
                        if let Some(leg) = self.legs.get_mut(&leg)
                            && let Some(bytes) = leg.unseal(bytes, &mut room)
                        {
                            leg.hear_rtcp(now, source, bytes);
                        }
                    }
                }
                self.room = room;
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
            Input::Kept => {
                self.legs.values_mut().for_each(Leg::kept);
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
        let beside =
            self.legs.get(&leg).and_then(|open| open.bridge).map(|(with, _)| with).or(opening.beside);
        let beside = beside.and_then(|with| self.spoken(with));
        if let Some(open) = self.legs.get_mut(&leg) {
            let listened = open.listens();
            let description = open.reopen(now, opening.offer, beside)?;
            match (listened, open.listens()) {
                (true, false) => self.outbox.event(Event::Held { leg }),
                (false, true) => self.outbox.event(Event::Resumed { leg }),
                _ => {}
            }
            self.outbox.event(Event::Opened { leg, description });
            return Ok(());
        }
        if self.legs.len() >= self.limits.legs {
            return Err(Error::Full(self.limits.legs));
        }
        if !opening.address.port().is_multiple_of(2) || opening.address.port() == 0 {
            return Err(Error::OddPort(opening.address));
        }
        let (opened, description) = Leg::open(now, leg, &opening, beside, &self.library)?;
        self.legs.insert(leg, opened);
        self.outbox.event(Event::Opened { leg, description });
        Ok(())
    }

    /// The codec that a leg agreed on.
    fn spoken(&self, leg: LegId) -> Option<Codec> {
        self.legs.get(&leg)?.agreed().map(|agreed| agreed.codec)
    }

    fn bridge(&mut self, now: Monotonic, leg: LegId, with: LegId) -> Result<(), Error> {
        if leg == with {
            return Err(Error::SameLeg(leg));
        }
        self.leg(leg)?;
        self.leg(with)?;
        self.bridges += 1;
        for (one, other) in [(leg, with), (with, leg)] {
            self.part(one);
            if let Some(state) = self.legs.get_mut(&one) {
                state.confirm(now);
                state.stop(Extent::Part, &mut self.outbox);
                state.bridge = Some((other, self.bridges));
            }
        }
        Ok(())
    }

    /// Parts a leg from another than the bridge just made.
    fn part(&mut self, leg: LegId) {
        let bridge = self.legs.get_mut(&leg).and_then(|state| state.bridge.take());
        if let Some((with, number)) = bridge
            && let Some(other) = self.legs.get_mut(&with)
        {
            other.bridge.take_if(|bridge| *bridge == (leg, number));
            other.early.take_if(|early| early.is_by(number));
        }
        self.unhear(leg);
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

    /// The way of every packet: nothing here allocates unless a tap waits for one that was overtaken, or the two
    /// legs speak codecs of different kinds.
    fn rtp(&mut self, now: Monotonic, id: LegId, source: SocketAddr, bytes: &[u8], room: &mut Vec<u8>) {
        let Some(leg) = self.legs.get_mut(&id) else { return };
        let Some(bytes) = leg.unseal(bytes, room) else { return };
        let tapped = leg.tap.as_ref().map(|tap| tap.recording);
        let mut pending = tapped.and_then(|recording| self.recordings.get_mut(&recording));
        let Some(heard) = leg.hear(now, source, bytes, pending.as_deref_mut()) else { return };
        let Heard { extended, coding, packet, .. } = &heard;
        if let (Some(tap), Some(pending)) = (&mut leg.tap, pending) {
            tap.take(now, *extended, packet, *coding, pending);
        }
        let bridge = leg.bridge;
        let mut keys = Keys::default();
        if *coding == Some(Coding::TelephoneEvent) {
            keys.pressed = leg.press_of(now, packet).map(|press| (press.digit, press.held));
        } else {
            leg.listen(&heard, |key| match key {
                sound::Heard::Pressed(digit) => keys.down = Some(digit),
                sound::Heard::Released(digit, held) => keys.up = Some((digit, held)),
            });
        }
        if let Some((digit, held)) = keys.pressed.or(keys.up) {
            self.outbox.event(Event::Digit { leg: id, digit, held });
        }
        if let Some((with, number)) = bridge
            && let Some(peer) = self.legs.get_mut(&with)
        {
            if matches!(coding, Some(Coding::Speech(_))) {
                peer.flows(now, number);
            }
            keys.pass(peer);
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

/// The keys that one packet tells of.
#[derive(Default)]
struct Keys {
    /// By a telephone event, at its end.
    pressed: Option<(Digit, Duration)>,
    /// By ear, as they go down and up.
    down: Option<Digit>,
    up: Option<(Digit, Duration)>,
}

impl Keys {
    /// Presses for the peer's party what does not come to it with the packets.
    fn pass(&self, peer: &mut Leg) {
        if let Some((digit, held)) = self.pressed.filter(|_| !peer.passes_events()) {
            peer.press(digit);
            peer.release(held);
        }
        // Who knows no telephone events hears the tones as they came.
        if peer.knows_events() {
            if let Some((_, held)) = self.up {
                peer.release(held);
            }
            if let Some(digit) = self.down {
                peer.press(digit);
            }
        }
    }
}
