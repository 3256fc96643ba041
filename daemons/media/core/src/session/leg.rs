//! One leg: the media side of one party.
//!
//! Owns what is agreed with the party, the stream received, the stream sent, its prompt, its keys, its tap. What goes
//! to the party is in `passing`. Knows its peer only by id: [`super::Core`] carries packets between legs.
//!
//! ```text
//!   Open without offer ──► Offering ─── Accept ────► Agreed ──┐
//!                             └─ Early ─► Early ────────┘▲    │ Open again (re-INVITE)
//!   Open with offer ─────────────────────────────────────┴◄───┘
//! ```

use super::{
    Event, Extent, Opening, Play, Prompt, Quality,
    dialling::Dialling,
    early::Early,
    listening::Listening,
    outbox::Outbox,
    player::Player,
    report::Reports,
    tap::{Pending, Tap},
    transcoder::Transcoder,
};
use crate::{
    Error,
    codec::{Codec, Encoder, Library},
    demux::{Class, classify},
    dtmf::{self, Keypad},
    emodel,
    rtp::{self, Arrival, Packet, Reception, Sending, SourceLock, Verdict},
    sdp::{self, Agreed, Coding, Description, Direction, Local, Refusal, Terms},
    srtp::{Inbound, Keying, Outbound, Policy, Rejection},
};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, net::SocketAddr, time::Duration};
use types::{LegId, Monotonic};

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Leg {
    pub(super) id: LegId,
    pub memo: String,
    pub local: Local,
    codecs: Vec<Codec>,
    /// `None`: never protected.
    protected: Option<(Policy, Keying)>,
    pub(super) negotiation: Negotiation,
    pub(super) lock: SourceLock,
    pub(super) reception: Option<Reception>,
    /// Streams of the party so far: the lock opening or the stream beginning anew makes another one.
    streams: u64,
    pub(super) sending: Sending,
    inbound: Option<Inbound>,
    /// One for each suite that was agreed on so far: a key that comes back goes on where it was.
    pub(super) outbound: Vec<Outbound>,
    keypad: Keypad,
    pub player: Option<Player>,
    pub(super) dialling: Dialling,
    /// What the house began to say so far.
    pub(super) origins: u64,
    /// The leg it is bridged with, and the number of that bridge.
    pub bridge: Option<(LegId, u64)>,
    /// Whom it hears who does not hear it.
    pub(super) early: Option<Early>,
    pub tap: Option<Tap>,
    heard: Monotonic,
    silence: Silence,
    pub(super) reports: Reports,
    pub(super) dropped: Dropped,
    /// What speaks what only a library speaks; handed in again after a restart.
    #[serde(skip)]
    pub(super) library: Library,
    // Not kept over a restart: codecs and ears find back by themselves, and what waited is late by then.
    #[serde(skip)]
    pub(super) encoder: Option<(Codec, Encoder)>,
    #[serde(skip)]
    pub(super) transcoder: Option<Box<Transcoder>>,
    #[serde(skip)]
    listening: Option<Box<Listening>>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) enum Negotiation {
    /// Our first offer waits for its answer.
    Offering,
    /// It has one that the party may still replace: the call is not answered.
    Early { agreed: Agreed },
    /// Settled; `reoffering` while a later offer of ours waits.
    Agreed { agreed: Agreed, reoffering: bool },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Silence {
    Watched,
    Told,
}

/// Datagrams that were not heard, by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dropped {
    /// Neither RTP nor RTCP by their first byte (RFC 7983).
    pub other_class: u64,
    /// Malformed.
    pub malformed: u64,
    /// Before anything was agreed.
    pub early: u64,
    /// From an address that had not yet proven itself, or of no payload type agreed while unlocked.
    pub doubtful: u64,
    /// RTCP from elsewhere.
    pub foreign_rtcp: u64,
    /// Received and not passed to the peer: it hears a prompt, is on hold, or does not understand it.
    pub not_passed: u64,
    /// Not genuine by their tag (RFC 3711).
    pub forged: u64,
    /// Protected, and heard before.
    pub replayed: u64,
}

/// A packet of the party, fresh and in a stream.
pub(super) struct Heard<'a> {
    pub stream: u64,
    pub extended: u64,
    pub coding: Option<Coding>,
    pub packet: Packet<'a>,
    /// Interarrival jitter of the stream.
    pub jitter: Duration,
}

impl Leg {
    /// A new leg and this side's description: the answer to the party's offer, else an offer. `beside` is what the
    /// leg speaks that it is to be bridged with.
    pub fn open(
        now: Monotonic,
        id: LegId,
        opening: &Opening<'_>,
        beside: Option<Codec>,
        library: &Library,
    ) -> Result<(Self, String), Error> {
        let local = Local {
            address: opening.address,
            session: opening.session,
            version: 1,
            direction: Direction::SendRecv,
        };
        let protected = (opening.policy != Policy::Off).then_some((opening.policy, *opening.keying));
        let mut leg = Self {
            id,
            memo: opening.memo.to_owned(),
            local,
            codecs: opening.codecs.to_vec(),
            protected,
            negotiation: Negotiation::Offering,
            lock: SourceLock::new(None),
            reception: None,
            streams: 0,
            sending: Sending::new(opening.seed),
            inbound: None,
            outbound: Vec::new(),
            keypad: Keypad::default(),
            player: None,
            dialling: Dialling::default(),
            origins: 0,
            bridge: None,
            early: None,
            tap: None,
            heard: now,
            silence: Silence::Watched,
            reports: Reports::default(),
            dropped: Dropped::default(),
            library: library.clone(),
            encoder: None,
            transcoder: None,
            listening: None,
        };
        let codecs = leg.preferred(beside);
        let description = match opening.offer {
            Some(offer) => {
                let (answer, agreed) = leg.answer(&local, &codecs, &Description::parse(offer)?)?;
                leg.protect(&agreed);
                leg.lock = SourceLock::new(agreed.remote);
                leg.negotiation = Negotiation::Agreed { agreed, reoffering: false };
                answer
            }
            None => sdp::offer(&local, &leg.terms(&codecs)),
        };
        Ok((leg, description.to_string()))
    }

    /// A later offer of the party (re-INVITE), or one of ours; nothing changes where it cannot be met.
    pub fn reopen(
        &mut self,
        now: Monotonic,
        offer: Option<&[u8]>,
        beside: Option<Codec>,
    ) -> Result<String, Error> {
        let local = Local { version: self.local.version + 1, ..self.local };
        let description = match offer {
            Some(offer) => {
                let codecs = self.preferred(beside);
                let (answer, agreed) = self.answer(&local, &codecs, &Description::parse(offer)?)?;
                match self.negotiation {
                    // The call is not answered: another may still answer it.
                    Negotiation::Early { .. } => self.settle_early(now, agreed),
                    Negotiation::Offering | Negotiation::Agreed { .. } => self.settle(now, agreed),
                }
                answer
            }
            None => {
                let codecs = self.preferred(self.agreed().map(|agreed| agreed.codec).or(beside));
                if let Negotiation::Agreed { reoffering, .. } = &mut self.negotiation {
                    *reoffering = true;
                }
                sdp::offer(&local, &self.terms(&codecs))
            }
        };
        self.local = local;
        Ok(description.to_string())
    }

    /// The party's answer to our offer.
    pub fn accept(&mut self, now: Monotonic, answer: &[u8]) -> Result<(), Error> {
        let agreed = self.accepted(answer)?;
        match &self.negotiation {
            // Said again, by an asker who does not know whether it was taken.
            Negotiation::Agreed { agreed: present, reoffering: false } if *present == agreed => {}
            Negotiation::Agreed { reoffering: false, .. } => return Err(Error::NoOfferPending(self.id)),
            // What was said early holds: the stream goes on.
            Negotiation::Early { agreed: present } if *present == agreed => self.confirm(now),
            Negotiation::Offering | Negotiation::Early { .. } | Negotiation::Agreed { .. } => {
                self.settle(now, agreed);
            }
        }
        Ok(())
    }

    /// An answer of the party to our first offer that it may still replace.
    pub fn accept_early(&mut self, now: Monotonic, answer: &[u8]) -> Result<(), Error> {
        let agreed = self.accepted(answer)?;
        match &self.negotiation {
            // Said again, or by an asker who does not know that the call is answered.
            Negotiation::Early { agreed: present } if *present == agreed => {}
            Negotiation::Agreed { agreed: present, .. } if *present == agreed => {}
            Negotiation::Agreed { .. } => return Err(Error::NoOfferPending(self.id)),
            Negotiation::Offering | Negotiation::Early { .. } => self.settle_early(now, agreed),
        }
        Ok(())
    }

    /// What was said early holds from now on: the call is answered.
    pub fn confirm(&mut self, now: Monotonic) {
        if let Negotiation::Early { agreed } = &self.negotiation {
            self.negotiation = Negotiation::Agreed { agreed: agreed.clone(), reoffering: false };
        }
        self.watch(now);
    }

    /// Watches for silence from now on.
    fn watch(&mut self, now: Monotonic) {
        (self.heard, self.silence) = (now, Silence::Watched);
    }

    /// What an answer to our offer agrees on.
    fn accepted(&self, answer: &[u8]) -> Result<Agreed, Error> {
        sdp::accept_answer(&self.local, &self.terms(&self.preferred(None)), &Description::parse(answer)?)
    }

    /// Our answer to an offer, or why there is none.
    fn answer(
        &self,
        local: &Local,
        codecs: &[Codec],
        offer: &Description,
    ) -> Result<(Description, Agreed), Error> {
        sdp::answer(local, &self.terms(codecs), offer).map_err(|error| {
            let unspoken = |codec: &Codec| !self.library.speaks(*codec) && sdp::names(offer, *codec);
            match error {
                Error::Negotiation(Refusal::Codec) if self.codecs.iter().any(unspoken) => {
                    Refusal::Library.into()
                }
                error => error,
            }
        })
    }

    /// Our codecs that can be spoken, with this one first if it is one of them.
    fn preferred(&self, first: Option<Codec>) -> Vec<Codec> {
        let spoken = |codec: &Codec| self.library.speaks(*codec) || mutant::mutant("media-promises-unspoken");
        let mut codecs: Vec<Codec> = self.codecs.iter().copied().filter(spoken).collect();
        codecs.sort_by_key(|codec| Some(*codec) != first);
        codecs
    }

    fn terms<'a>(&'a self, codecs: &'a [Codec]) -> Terms<'a> {
        match &self.protected {
            Some((policy, keying)) => Terms { codecs, policy: *policy, keying },
            None => Terms { codecs, policy: Policy::Off, keying: &Keying::NONE },
        }
    }

    /// Whether the party hears us: one that has put the call on hold does not.
    pub fn listens(&self) -> bool {
        self.agreed().is_none_or(|agreed| agreed.direction.sends())
    }

    pub fn agreed(&self) -> Option<&Agreed> {
        match &self.negotiation {
            Negotiation::Offering => None,
            Negotiation::Early { agreed } | Negotiation::Agreed { agreed, .. } => Some(agreed),
        }
    }

    /// The datagram without its protection, opened in `room` where it has one; `None` where it is not genuine.
    pub fn unseal<'a>(&mut self, datagram: &'a [u8], room: &'a mut Vec<u8>) -> Option<&'a [u8]> {
        let Some(inbound) = &mut self.inbound else { return Some(datagram) };
        let class = classify(datagram);
        if !matches!(class, Class::Rtp | Class::Rtcp) {
            return Some(datagram);
        }
        room.clear();
        room.extend(datagram);
        let opened = if class == Class::Rtp { inbound.open_rtp(room) } else { inbound.open_rtcp(room) };
        match opened {
            Ok(()) => return Some(room),
            Err(Rejection::Malformed) => self.dropped.malformed += 1,
            Err(Rejection::Forged) => self.dropped.forged += 1,
            Err(Rejection::Replayed) => self.dropped.replayed += 1,
        }
        None
    }

    /// Takes a datagram; what the party said comes back, the rest is counted. A stream that began anew
    /// first ends what the tap held of the one before.
    pub fn hear<'a>(
        &mut self,
        now: Monotonic,
        source: SocketAddr,
        datagram: &'a [u8],
        pending: Option<&mut Pending>,
    ) -> Option<Heard<'a>> {
        match classify(datagram) {
            Class::Rtp => {}
            // Reports may share the port (RFC 5761).
            Class::Rtcp => {
                self.hear_rtcp(now, source, datagram);
                return None;
            }
            _ if mutant::mutant("media-one-class") => {}
            _ => {
                self.dropped.other_class += 1;
                return None;
            }
        }
        let Ok(packet) = Packet::parse(datagram) else {
            self.dropped.malformed += 1;
            return None;
        };
        let Some(agreed) = self.agreed() else {
            self.dropped.early += 1;
            return None;
        };
        let coding = agreed.coding(packet.payload_type);
        if coding.is_none() && self.lock.locked() != Some(source) {
            self.dropped.doubtful += 1;
            return None;
        }
        let arrival = match self.lock.judge(now, source, &packet) {
            Verdict::Refused => return None,
            Verdict::Doubtful => {
                self.dropped.doubtful += 1;
                return None;
            }
            Verdict::Locked => self.locked(now, &packet),
            Verdict::Accepted => match &mut self.reception {
                Some(reception) => reception.arrive(now, &packet),
                None => self.locked(now, &packet),
            },
        };
        self.heard = now;
        self.silence = Silence::Watched;
        let extended = match arrival {
            Arrival::New(extended) => extended,
            Arrival::Restarted(extended) => {
                self.streams += 1;
                self.keypad = Keypad::default();
                self.listening = None;
                if let (Some(tap), Some(pending)) = (&mut self.tap, pending) {
                    tap.restart(now, pending);
                }
                extended
            }
            Arrival::Duplicate | Arrival::Stale => return None,
        };
        let jitter = rtp::lasting(self.reception.as_ref().map_or(0, Reception::jitter));
        Some(Heard { stream: self.streams, extended, coding, packet, jitter })
    }

    /// A key of the party.
    pub fn press_of(&mut self, now: Monotonic, packet: &Packet<'_>) -> Option<dtmf::Press> {
        self.keypad.take(now, packet.timestamp, dtmf::Event::parse(packet.payload)?)
    }

    /// Listens for keys in the party's voice, where it knows no telephone events.
    pub fn listen(&mut self, heard: &Heard<'_>, keys: impl FnMut(crate::sound::Heard)) {
        let Some(Coding::Speech(codec)) = heard.coding else { return };
        let deaf = self.agreed().is_none_or(|agreed| agreed.send.events.or(agreed.receive.events).is_some());
        if deaf {
            return;
        }
        let listening = match &mut self.listening {
            Some(listening) if listening.is_to(codec) => listening,
            other => other.insert(Box::new(Listening::new(codec))),
        };
        listening.listen(heard.packet.payload, keys);
    }

    pub fn play(
        &mut self,
        now: Monotonic,
        play: Play<'_>,
        prompts: &[&Prompt],
        outbox: &mut Outbox,
    ) -> Result<(), Error> {
        let codec = self.agreed().ok_or(Error::NotAgreed(self.id))?.codec;
        if !self.library.speaks(codec) {
            return Err(Error::NotSpoken(codec.encoding()));
        }
        self.stop(Extent::Part, outbox);
        self.origins += 1;
        self.player = Some(Player::new(now, play, self.origins, prompts));
        Ok(())
    }

    /// Ends what is played, if anything is, and tells so.
    pub fn stop(&mut self, extent: Extent, outbox: &mut Outbox) {
        if let Some(player) = self.player.take() {
            outbox.event(Event::Played {
                leg: self.id,
                play: player.play,
                prompts: player.prompts,
                began: player.began.unwrap_or(player.ended),
                ended: player.ended,
                extent,
            });
        }
    }

    /// What is due at this moment: prompt packets, a key whose end was lost, the report, the word of silence.
    pub fn tick(
        &mut self,
        now: Monotonic,
        silence: Duration,
        prompts: &BTreeMap<String, Prompt>,
        outbox: &mut Outbox,
    ) {
        self.pauses(now);
        self.say(now, prompts, outbox);
        if let Some(press) = self.keypad.tick(now) {
            outbox.event(Event::Digit { leg: self.id, digit: press.digit, held: press.held });
        }
        let watched = self.agreed().is_some_and(|agreed| agreed.direction.receives());
        if !watched {
            self.heard = now;
        } else if self.silence == Silence::Watched && now.since(self.heard) >= silence {
            self.silence = Silence::Told;
            outbox.event(Event::Silent { leg: self.id });
        }
        if self.reports.take_due(now) {
            self.report(now, outbox, false);
        }
    }

    /// The last words: the prompt's end and a goodbye.
    pub fn close(&mut self, now: Monotonic, outbox: &mut Outbox) {
        self.stop(Extent::Part, outbox);
        self.report(now, outbox, true);
    }

    pub fn quality(&self) -> Quality {
        let received = self.reception.as_ref().map(Reception::totals).unwrap_or_default();
        let round_trip = self.reports.round_trip();
        let mos = self.agreed().filter(|_| received.received > 0).map(|agreed| {
            let expected = received.received + received.lost;
            // From mouth to ear: half the way round, a packet to fill, and what waits for the jitter.
            let delay = round_trip.unwrap_or_default() / 2 + agreed.packet_time + received.jitter * 2;
            emodel::mos(agreed.codec, received.lost as f64 / expected as f64, delay)
        });
        Quality {
            codec: self.agreed().map(|agreed| agreed.codec),
            protection: self.agreed().and_then(|agreed| agreed.protection).map(|protection| protection.suite),
            received,
            foreign: self.lock.refused(),
            sent: u64::from(self.sending.sent().0),
            round_trip,
            mos,
            far: self.reports.far(),
            dropped: self.dropped,
        }
    }

    /// The state is kept as it stands.
    pub fn kept(&mut self) {
        let next = self.sending.next();
        self.outbound.iter_mut().for_each(|outbound| outbound.kept(next));
    }

    /// Takes a datagram of the RTCP port, or of RTP's where they share it, without its protection.
    pub fn hear_rtcp(&mut self, now: Monotonic, source: SocketAddr, datagram: &[u8]) {
        let known = self.lock.destination().is_some_and(|rtp| rtp.ip() == source.ip())
            || self.agreed().and_then(|agreed| agreed.remote_rtcp) == Some(source);
        if !known && !mutant::mutant("media-heeds-any-report") {
            self.dropped.foreign_rtcp += 1;
            return;
        }
        if self.reports.hear(now, datagram, &self.sending).is_err() {
            self.dropped.malformed += 1;
        }
    }

    fn settle_early(&mut self, now: Monotonic, agreed: Agreed) {
        self.settle(now, agreed.clone());
        self.negotiation = Negotiation::Early { agreed };
    }

    fn settle(&mut self, now: Monotonic, agreed: Agreed) {
        self.lock.announce(agreed.remote);
        self.watch(now);
        self.reports.start(now);
        self.protect(&agreed);
        self.negotiation = Negotiation::Agreed { agreed, reoffering: false };
    }

    /// The two directions of what was agreed; what goes on unchanged keeps its place.
    fn protect(&mut self, agreed: &Agreed) {
        let Some((protection, (_, keying))) = agreed.protection.zip(self.protected.as_ref()) else {
            self.inbound = None;
            return;
        };
        if !self.inbound.as_ref().is_some_and(|inbound| inbound.fits(&protection)) {
            self.inbound = Some(Inbound::new(&protection));
        }
        let suite = protection.suite;
        if self.outbound.iter().all(|outbound| outbound.suite() != suite) {
            self.outbound.push(Outbound::new(suite, *keying.master(suite)));
        }
    }

    /// The first packet under a lock: of the same stream, or of a new one.
    fn locked(&mut self, now: Monotonic, packet: &Packet<'_>) -> Arrival {
        self.reports.start(now);
        match &mut self.reception {
            Some(reception) if reception.ssrc() == packet.ssrc => reception.arrive(now, packet),
            Some(reception) => reception.succeed(now, packet),
            None => {
                let (reception, extended) = Reception::begin(now, packet);
                self.reception = Some(reception);
                Arrival::Restarted(extended)
            }
        }
    }
}
