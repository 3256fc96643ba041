//! One leg: the media side of one party.
//!
//! Owns what is agreed with the party, the stream received, the stream sent, its prompt, its keys, its tap.
//! Knows its peer only by id: [`super::Core`] carries packets between legs.
//!
//! ```text
//!   Open without offer ──► Offering ── Answer ──► Agreed ──┐
//!   Open with offer ─────────────────────────────► Agreed ◄┘ Open again (re-INVITE)
//! ```

use super::{
    Event, Extent, Opening, Play, Port, Prompt, Quality,
    outbox::Outbox,
    player::{Player, Turn},
    report::Reports,
    tap::{Pending, Tap},
};
use crate::{
    Error,
    demux::{Class, classify},
    dtmf::{self, Keypad},
    g711::Law,
    rtp::{self, Arrival, Origin, Packet, Reception, Sending, SourceLock, Verdict, rtcp},
    sdp::{self, Agreed, Coding, Description, Direction, Local},
};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, net::SocketAddr, time::Duration};
use types::{LegId, Monotonic};

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Leg {
    id: LegId,
    pub memo: String,
    pub local: Local,
    preferred: Law,
    negotiation: Negotiation,
    lock: SourceLock,
    reception: Option<Reception>,
    /// Streams of the party so far: the lock opening or the stream beginning anew makes another one.
    streams: u64,
    sending: Sending,
    keypad: Keypad,
    pub player: Option<Player>,
    plays: u64,
    /// The leg it is bridged with, and the number of that bridge.
    pub bridge: Option<(LegId, u64)>,
    pub tap: Option<Tap>,
    heard: Monotonic,
    silence: Silence,
    reports: Reports,
    dropped: Dropped,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
enum Negotiation {
    /// Our first offer waits for its answer.
    Offering,
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
}

/// A packet of the party, fresh and in a stream.
pub(super) struct Heard<'a> {
    pub stream: u64,
    pub extended: u64,
    pub coding: Option<Coding>,
    pub packet: Packet<'a>,
}

/// How a packet goes to the party.
struct Way {
    to: SocketAddr,
    payload_type: rtp::PayloadType,
    conversion: Option<(Law, Law)>,
}

impl Leg {
    /// A new leg and this side's description: the answer to the party's offer, else an offer.
    pub fn open(now: Monotonic, id: LegId, opening: &Opening<'_>) -> Result<(Self, String), Error> {
        let local = Local {
            address: opening.address,
            session: opening.session,
            version: 1,
            direction: Direction::SendRecv,
        };
        let (description, negotiation, remote) = match opening.offer {
            Some(offer) => {
                let (answer, agreed) = sdp::answer(&local, &Description::parse(offer)?)?;
                let remote = agreed.remote;
                (answer, Negotiation::Agreed { agreed, reoffering: false }, remote)
            }
            None => (sdp::offer(&local, opening.preferred), Negotiation::Offering, None),
        };
        let leg = Self {
            id,
            memo: opening.memo.to_owned(),
            local,
            preferred: opening.preferred,
            negotiation,
            lock: SourceLock::new(remote),
            reception: None,
            streams: 0,
            sending: Sending::new(opening.seed),
            keypad: Keypad::default(),
            player: None,
            plays: 0,
            bridge: None,
            tap: None,
            heard: now,
            silence: Silence::Watched,
            reports: Reports::default(),
            dropped: Dropped::default(),
        };
        Ok((leg, description.to_string()))
    }

    /// A later offer of the party (re-INVITE), or one of ours; nothing changes where it cannot be met.
    pub fn reopen(&mut self, now: Monotonic, offer: Option<&[u8]>) -> Result<String, Error> {
        let local = Local { version: self.local.version + 1, ..self.local };
        let description = match offer {
            Some(offer) => {
                let (answer, agreed) = sdp::answer(&local, &Description::parse(offer)?)?;
                self.settle(now, agreed);
                answer
            }
            None => {
                let law = self.agreed().map_or(self.preferred, |agreed| agreed.law);
                if let Negotiation::Agreed { reoffering, .. } = &mut self.negotiation {
                    *reoffering = true;
                }
                sdp::offer(&local, law)
            }
        };
        self.local = local;
        Ok(description.to_string())
    }

    /// The party's answer to our offer.
    pub fn accept(&mut self, now: Monotonic, answer: &[u8]) -> Result<(), Error> {
        let agreed = sdp::accept_answer(&self.local, &Description::parse(answer)?)?;
        match &self.negotiation {
            // Said again, by an asker who does not know whether it was taken.
            Negotiation::Agreed { agreed: present, reoffering: false } if *present == agreed => {}
            Negotiation::Agreed { reoffering: false, .. } => return Err(Error::NoOfferPending(self.id)),
            Negotiation::Offering | Negotiation::Agreed { .. } => self.settle(now, agreed),
        }
        Ok(())
    }

    /// Whether the party hears us: one that has put the call on hold does not.
    pub fn listens(&self) -> bool {
        self.agreed().is_none_or(|agreed| agreed.direction.sends())
    }

    pub fn agreed(&self) -> Option<&Agreed> {
        match &self.negotiation {
            Negotiation::Offering => None,
            Negotiation::Agreed { agreed, .. } => Some(agreed),
        }
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
                if let (Some(tap), Some(pending)) = (&mut self.tap, pending) {
                    tap.restart(now, pending);
                }
                extended
            }
            Arrival::Duplicate | Arrival::Stale => return None,
        };
        Some(Heard { stream: self.streams, extended, coding, packet })
    }

    /// A key of the party.
    pub fn press(&mut self, now: Monotonic, packet: &Packet<'_>) -> Option<dtmf::Press> {
        self.keypad.take(now, packet.timestamp, dtmf::Event::parse(packet.payload)?)
    }

    /// Passes the peer's packet to the party.
    pub fn relay(&mut self, now: Monotonic, bridge: u64, heard: &Heard<'_>, outbox: &mut Outbox) {
        let origin = Origin::Party { bridge, stream: heard.stream };
        match self.passable(heard) {
            Some(Way { to, payload_type, conversion }) => {
                let packet = &heard.packet;
                let span = match heard.coding {
                    Some(Coding::G711(_)) => packet.payload.len() as u32,
                    _ => 0,
                };
                let place = (heard.extended, packet.timestamp);
                let sent = (packet.marker, payload_type, packet.payload);
                let Some(sent) = self.sending.pass(now, origin, place, span, sent) else {
                    self.dropped.not_passed += 1;
                    return;
                };
                let datagram = outbox.datagram();
                datagram.extend(sent.header());
                match conversion {
                    None => datagram.extend(sent.payload),
                    Some((from, to)) => datagram.extend(sent.payload.iter().map(|o| from.convert(*o, to))),
                }
                outbox.send(self.id, Port::Rtp, to);
            }
            None => {
                self.dropped.not_passed += 1;
                self.sending.skip(origin, heard.extended);
            }
        }
    }

    pub fn play(
        &mut self,
        now: Monotonic,
        play: Play<'_>,
        prompts: &[&Prompt],
        outbox: &mut Outbox,
    ) -> Result<(), Error> {
        if self.agreed().is_none() {
            return Err(Error::NotAgreed(self.id));
        }
        self.stop(Extent::Part, outbox);
        self.plays += 1;
        self.player = Some(Player::new(now, play, self.plays, prompts));
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
        self.speak(now, prompts, outbox);
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
        Quality {
            law: self.agreed().map(|agreed| agreed.law),
            received: self.reception.as_ref().map(Reception::totals).unwrap_or_default(),
            foreign: self.lock.refused(),
            sent: u64::from(self.sending.sent().0),
            round_trip: self.reports.round_trip(),
            dropped: self.dropped,
        }
    }

    /// Takes a datagram of the RTCP port.
    pub fn hear_rtcp(&mut self, now: Monotonic, source: SocketAddr, datagram: &[u8]) {
        let known = self.lock.destination().is_some_and(|rtp| rtp.ip() == source.ip())
            || self.agreed().and_then(|agreed| agreed.remote_rtcp) == Some(source);
        if !known {
            self.dropped.foreign_rtcp += 1;
            return;
        }
        if self.reports.hear(now, datagram, &self.sending).is_err() {
            self.dropped.malformed += 1;
        }
    }

    fn settle(&mut self, now: Monotonic, agreed: Agreed) {
        self.lock.announce(agreed.remote);
        self.heard = now;
        self.silence = Silence::Watched;
        self.reports.start(now);
        self.negotiation = Negotiation::Agreed { agreed, reoffering: false };
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

    /// How the peer's packet goes to the party; `None` where it does not.
    fn passable(&self, heard: &Heard<'_>) -> Option<Way> {
        let agreed = self.agreed().filter(|agreed| agreed.direction.sends() && self.player.is_none())?;
        let to = self.destination()?;
        match heard.coding? {
            // Untouched where the party understands it as it is.
            Coding::G711(law) => match agreed.send.law(law) {
                Some(payload_type) => Some(Way { to, payload_type, conversion: None }),
                None => {
                    let payload_type = agreed.send.law(agreed.law)?;
                    Some(Way { to, payload_type, conversion: Some((law, agreed.law)) })
                }
            },
            Coding::TelephoneEvent => Some(Way { to, payload_type: agreed.send.events?, conversion: None }),
        }
    }

    /// Where RTP goes; nowhere while the party wants none.
    fn destination(&self) -> Option<SocketAddr> {
        self.agreed()?.remote?;
        self.lock.destination()
    }

    fn speak(&mut self, now: Monotonic, prompts: &BTreeMap<String, Prompt>, outbox: &mut Outbox) {
        let Some(player) = &self.player else { return };
        let wanted = player.prompts.iter().map(|(name, _)| prompts.get(name));
        let Some(prompts) = wanted.collect::<Option<Vec<&Prompt>>>() else {
            // A prompt that is there no more after a restart.
            return self.stop(Extent::Part, outbox);
        };
        let Negotiation::Agreed { agreed, .. } = &self.negotiation else { return };
        let (law, time, sends) = (agreed.law, agreed.packet_time, agreed.direction.sends());
        let to = self.destination().zip(agreed.send.law(law)).filter(|_| sends);
        while let Some(player) = &mut self.player {
            let datagram = outbox.datagram();
            let start = datagram.len();
            datagram.extend([0; rtp::HEADER]);
            let turn = player.turn(now, &prompts, law, time, datagram);
            let Turn::Packet { at, number, timestamp } = turn else {
                datagram.truncate(start);
                if matches!(turn, Turn::Over) {
                    self.stop(Extent::Whole, outbox);
                }
                return;
            };
            let Some((to, payload_type)) = to else {
                // On hold: the prompt goes on unheard, as a conversation would.
                datagram.truncate(start);
                continue;
            };
            let (head, payload) = datagram.split_at_mut(start + rtp::HEADER);
            let origin = Origin::Prompt(player.number);
            let span = payload.len() as u32;
            let sent = (false, payload_type, &*payload);
            let Some(sent) = self.sending.pass(at, origin, (number, timestamp), span, sent) else { continue };
            head[start..].copy_from_slice(&sent.header());
            outbox.send(self.id, Port::Rtp, to);
        }
    }

    fn report(&mut self, now: Monotonic, outbox: &mut Outbox, goodbye: bool) {
        let Some(to) = self.rtcp_destination() else { return };
        let silent = self.sending.sent().0 == 0 && self.reception.is_none();
        if goodbye && silent {
            return;
        }
        let datagram = outbox.datagram();
        self.reports.write(now, &self.sending, self.reception.as_mut(), datagram);
        if goodbye {
            rtcp::write_goodbye(datagram, self.sending.ssrc());
        }
        outbox.send(self.id, Port::Rtcp, to);
    }

    /// As announced; behind NAT the port above the locked one.
    fn rtcp_destination(&self) -> Option<SocketAddr> {
        let announced = self.agreed()?.remote_rtcp?;
        match self.lock.locked() {
            Some(rtp) if rtp.ip() != announced.ip() => {
                Some(SocketAddr::new(rtp.ip(), rtp.port().checked_add(1)?))
            }
            _ => Some(announced),
        }
    }
}
