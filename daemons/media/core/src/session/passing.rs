//! What goes to the party: the peer's packets, prompts, keys and reports, in one stream, sealed where that is agreed.
//!
//! ```text
//!   prompt  ──┐
//!   keys    ──┤ whichever is there, the first of these      ┌─ plain
//!   peer ─┬─ as it came, at once ──┼──► Sending ──► emit ───┤
//!         └─ waited for, transcoded┘                         └─ SRTP
//! ```

use super::{
    Extent, Port, Prompt,
    dialling::{Sound, hertz},
    leg::{Heard, Leg, Negotiation},
    outbox::Outbox,
    player::Turn,
    transcoder::Transcoder,
};
use crate::{
    codec::{Codec, Encoder, Library},
    dtmf::Digit,
    g711::Law,
    rtp::{self, Origin, rtcp},
    sdp::{Coding, Reports},
    sound::tone::sine,
    srtp::{LEAP, Outbound},
};
use std::{collections::BTreeMap, net::SocketAddr, time::Duration};
use types::Monotonic;

/// How the peer's packet goes to the party.
enum Way {
    /// Under this payload type, in this law where it is another one.
    AtOnce { to: SocketAddr, payload_type: rtp::PayloadType, conversion: Option<(Law, Law)> },
    /// By way of linear samples.
    Transcoded(Codec),
}

/// dBm0 of each of the two tones of a key: high ones are a little stronger, as lines weaken them more (Q.23).
const KEY_LEVELS: (f64, f64) = (-8.0, -6.0);

impl Leg {
    /// Passes the peer's packet to the party.
    pub fn relay(&mut self, now: Monotonic, bridge: u64, heard: &Heard<'_>, outbox: &mut Outbox) {
        self.leap();
        let origin = Origin::Party { bridge, stream: heard.stream };
        match self.way(heard) {
            Some(Way::AtOnce { to, payload_type, conversion }) => {
                if matches!(heard.coding, Some(Coding::Speech(_))) {
                    self.transcoder = None;
                }
                let packet = &heard.packet;
                let span = match heard.coding {
                    Some(Coding::Speech(codec)) => codec.ticks(packet.payload.len()),
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
                self.emit(outbox, to);
            }
            Some(Way::Transcoded(codec)) => {
                let of = (bridge, heard.stream, codec);
                let transcoder = match &mut self.transcoder {
                    Some(transcoder) if transcoder.is_of(of) => transcoder,
                    other => {
                        self.origins += 1;
                        other.insert(Box::new(Transcoder::new(now, of, self.origins)))
                    }
                };
                transcoder.put(now, heard.packet.timestamp, heard.packet.payload, heard.jitter);
            }
            None => {
                self.dropped.not_passed += 1;
                self.sending.skip(origin, heard.extended);
            }
        }
    }

    /// The peer pressed a key, which its packets do not bring to the party.
    pub fn press(&mut self, digit: Digit) {
        if self.player.is_none() && self.dialling.press(digit) {
            self.origins += 1;
        }
    }

    /// The key that the peer pressed is up.
    pub fn release(&mut self, held: Duration) {
        self.dialling.release(held);
    }

    /// Whether the peer's telephone events go to the party as they come.
    pub fn passes_events(&self) -> bool {
        self.knows_events() && self.transcoder.is_none()
    }

    /// Whether the party knows telephone events.
    pub fn knows_events(&self) -> bool {
        self.agreed().is_some_and(|agreed| agreed.send.events.is_some())
    }

    /// What the house has to say at this moment.
    pub fn say(&mut self, now: Monotonic, prompts: &BTreeMap<String, Prompt>, outbox: &mut Outbox) {
        self.leap();
        if self.player.is_some() && !self.gives_way() {
            self.speak(now, prompts, outbox);
        } else if self.dialling.sounds() {
            self.dial(now, outbox);
        } else if self.transcoder.is_some() {
            if self.bridge.is_none() && self.early.is_none() {
                self.transcoder = None;
            }
            self.transcode(now, outbox);
        }
    }

    /// A report of what came and went, and a goodbye where it is the last.
    pub fn report(&mut self, now: Monotonic, outbox: &mut Outbox, goodbye: bool) {
        self.leap();
        let Some((port, to)) = self.rtcp_destination() else { return };
        let silent = self.sending.sent().0 == 0 && self.reception.is_none();
        if goodbye && silent {
            return;
        }
        let datagram = outbox.datagram();
        self.reports.write(now, &self.sending, self.reception.as_mut(), datagram);
        if goodbye {
            rtcp::write_goodbye(datagram, self.sending.ssrc());
        }
        if self.seal(outbox, Outbound::seal_rtcp) {
            outbox.send(self.id, port, to);
        }
    }

    /// How the peer's packet goes to the party; `None` where it does not.
    fn way(&self, heard: &Heard<'_>) -> Option<Way> {
        let quiet = (self.player.is_none() || self.gives_way()) && !self.dialling.sounds();
        let agreed = self.agreed().filter(|agreed| agreed.direction.sends() && quiet)?;
        let to = self.destination()?;
        match heard.coding? {
            // Untouched where the party understands it as it is.
            Coding::Speech(codec) => match (agreed.send.codec(codec), codec.law(), agreed.codec.law()) {
                (Some(payload_type), ..) if !mutant::mutant("media-transcodes-all") => {
                    Some(Way::AtOnce { to, payload_type, conversion: None })
                }
                // Octet for octet: nothing has to be waited for.
                (None, Some(from), Some(into)) => {
                    let payload_type = agreed.send.codec(agreed.codec)?;
                    Some(Way::AtOnce { to, payload_type, conversion: Some((from, into)) })
                }
                _ => Some(Way::Transcoded(codec)),
            },
            Coding::TelephoneEvent => {
                let payload_type = agreed.send.events.filter(|_| self.passes_events())?;
                Some(Way::AtOnce { to, payload_type, conversion: None })
            }
        }
    }

    fn speak(&mut self, now: Monotonic, prompts: &BTreeMap<String, Prompt>, outbox: &mut Outbox) {
        let Some(player) = &self.player else { return };
        let wanted = player.prompts.iter().map(|(name, _)| prompts.get(name));
        let Some(prompts) = wanted.collect::<Option<Vec<&Prompt>>>() else {
            // A prompt that is there no more after a restart.
            return self.stop(Extent::Part, outbox);
        };
        let (Negotiation::Early { agreed } | Negotiation::Agreed { agreed, .. }) = &self.negotiation else {
            return;
        };
        let (codec, time) = (agreed.codec, agreed.packet_time);
        let law = codec.law().unwrap_or(Law::A);
        let mut samples = Vec::new();
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
            if codec.law().is_none() {
                let Some(encoder) = encoder(&mut self.encoder, codec, &self.library) else {
                    // Nothing is said to have been heard that was not.
                    datagram.truncate(start);
                    return self.stop(Extent::Part, outbox);
                };
                let octets = datagram.drain(start + rtp::HEADER..);
                samples.clear();
                samples.extend(octets.map(|octet| law.expand(octet)));
                encoder.encode(&samples, datagram);
            }
            let origin = Origin::House(player.number);
            self.send_speech(outbox, start, at, origin, (number, timestamp));
        }
    }

    fn dial(&mut self, now: Monotonic, outbox: &mut Outbox) {
        let Some((codec, time, events)) =
            self.agreed().map(|agreed| (agreed.codec, agreed.packet_time, agreed.send.events))
        else {
            return;
        };
        let mut samples = Vec::new();
        while let Some(turn) = self.dialling.turn(now, time, events.is_some()) {
            let datagram = outbox.datagram();
            let start = datagram.len();
            datagram.extend([0; rtp::HEADER]);
            let origin = Origin::House(self.origins);
            let place = (turn.number, turn.timestamp);
            let ticks = rtp::ticks(time);
            match turn.sound {
                Sound::Tones(..) | Sound::Silence => {
                    samples.clear();
                    match turn.sound {
                        Sound::Tones(digit, from) => {
                            let (low, high) = hertz(digit);
                            let tones = [(low, KEY_LEVELS.0), (high, KEY_LEVELS.1)];
                            samples.extend((from..from + ticks).map(|at| sine(&tones, at)));
                        }
                        _ => samples.resize(ticks as usize, 0),
                    }
                    match encoder(&mut self.encoder, codec, &self.library) {
                        Some(encoder) => encoder.encode(&samples, datagram),
                        None => {
                            datagram.truncate(start);
                            continue;
                        }
                    }
                    self.send_speech(outbox, start, turn.at, origin, place);
                }
                Sound::Event { event, first } => {
                    // −10 dBm0 (RFC 4733 §2.3.3).
                    datagram.extend(event.payload(10));
                    let span = event.duration.into();
                    self.send(outbox, start, turn.at, origin, place, (first, events, span));
                }
            }
        }
    }

    fn transcode(&mut self, now: Monotonic, outbox: &mut Outbox) {
        let Some((codec, time)) = self.agreed().map(|agreed| (agreed.codec, agreed.packet_time)) else {
            return;
        };
        let Some(mut transcoder) = self.transcoder.take() else { return };
        let origin = Origin::House(transcoder.number);
        while let Some((at, number, timestamp, samples)) = transcoder.turn(now, time) {
            let datagram = outbox.datagram();
            let start = datagram.len();
            datagram.extend([0; rtp::HEADER]);
            let Some(encoder) = encoder(&mut self.encoder, codec, &self.library) else {
                datagram.truncate(start);
                continue;
            };
            encoder.encode(samples, datagram);
            self.send_speech(outbox, start, at, origin, (number, timestamp));
        }
        self.transcoder = Some(transcoder);
    }

    /// Sends the speech that lies in the buffer behind an empty header, in the leg's codec.
    fn send_speech(
        &mut self,
        outbox: &mut Outbox,
        start: usize,
        at: Monotonic,
        origin: Origin,
        place: (u64, u32),
    ) {
        let Some(agreed) = self.agreed() else { return };
        let payload_type = agreed.send.codec(agreed.codec);
        let span = agreed.codec.ticks(outbox.written() - rtp::HEADER);
        self.send(outbox, start, at, origin, place, (false, payload_type, span));
    }

    /// Sends what lies in the buffer behind an empty header. On hold it goes unheard, as a conversation would.
    fn send(
        &mut self,
        outbox: &mut Outbox,
        start: usize,
        at: Monotonic,
        origin: Origin,
        place: (u64, u32),
        (marker, payload_type, span): (bool, Option<rtp::PayloadType>, u32),
    ) {
        let sends = self.agreed().is_some_and(|agreed| agreed.direction.sends());
        let way = self.destination().zip(payload_type).filter(|_| sends);
        let datagram = outbox.resumed();
        let sent = way.and_then(|(to, payload_type)| {
            let payload = datagram.get(start + rtp::HEADER..)?;
            let sent = self.sending.pass(at, origin, place, span, (marker, payload_type, payload))?;
            Some((to, sent.header()))
        });
        let Some((to, header)) = sent else {
            datagram.truncate(start);
            return;
        };
        if let Some(place) = datagram.get_mut(start..start + rtp::HEADER) {
            place.copy_from_slice(&header);
        }
        self.emit(outbox, to);
    }

    /// Sends the packet of RTP that was begun last.
    fn emit(&mut self, outbox: &mut Outbox, to: SocketAddr) {
        if self.seal(outbox, Outbound::seal_rtp) {
            outbox.send(self.id, Port::Rtp, to);
        } else {
            self.dropped.not_passed += 1;
        }
    }

    /// Seals what was begun last, where that is agreed. `false`: it must not be sent, and is gone.
    fn seal(&mut self, outbox: &mut Outbox, seal: fn(&mut Outbound, &mut Vec<u8>, usize) -> bool) -> bool {
        let suite = self.agreed().and_then(|agreed| agreed.protection).map(|protection| protection.suite);
        let Some(suite) = suite else { return true };
        let outbound = self.outbound.iter_mut().find(|outbound| outbound.suite() == suite);
        outbox.transform(|datagram, start| outbound.is_some_and(|outbound| seal(outbound, datagram, start)))
    }

    /// The first thing of a life that came back from a snapshot: numbers leap to where no life was.
    fn leap(&mut self) {
        let next = self.sending.next();
        // All of them leap, and the stream once.
        let leaps =
            self.outbound.iter_mut().filter_map(|outbound| outbound.take_leap(next).then_some(())).count();
        if leaps > 0 {
            self.sending.leap(LEAP);
        }
    }

    /// Where RTP goes; nowhere while the party wants none.
    fn destination(&self) -> Option<SocketAddr> {
        self.agreed()?.remote?;
        self.lock.destination()
    }

    /// From which port and where to: as announced; behind NAT the port above the locked one.
    fn rtcp_destination(&self) -> Option<(Port, SocketAddr)> {
        let agreed = self.agreed()?;
        let announced = agreed.remote_rtcp?;
        match self.lock.locked() {
            _ if agreed.reports == Reports::Muxed => Some((Port::Rtp, self.destination()?)),
            Some(rtp) if rtp.ip() != announced.ip() => {
                Some((Port::Rtcp, SocketAddr::new(rtp.ip(), rtp.port().checked_add(1)?)))
            }
            _ => Some((Port::Rtcp, announced)),
        }
    }
}

/// The encoder of what the house says: one for the whole stream; `None` where nothing speaks the codec any more.
fn encoder<'a>(
    kept: &'a mut Option<(Codec, Encoder)>,
    codec: Codec,
    library: &Library,
) -> Option<&'a mut Encoder> {
    if kept.as_ref().is_none_or(|(of, _)| *of != codec) {
        *kept = Encoder::new(codec, library).map(|encoder| (codec, encoder));
    }
    kept.as_mut().map(|(_, encoder)| encoder)
}
