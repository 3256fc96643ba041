//! Offer and answer (RFC 3264) for one audio stream of G.711 with telephone events (RFC 4733).
//!
//! Owns the choice of codec, payload types, packet time and direction. What cannot be met is refused with a
//! [`Refusal`]; a second audio stream, video and the like are refused singly with port 0.

use super::{Connection, Description, Direction, Map, Origin, Parameters, Stream, parse::payload_type};
use crate::{Error, g711::Law, rtp::PayloadType};
use serde::{Deserialize, Serialize};
use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    time::Duration,
};

const PLAIN_RTP: &str = "RTP/AVP";
const PACKET_TIME: Duration = Duration::from_millis(20);
/// Where an offer of ours puts telephone events.
const EVENTS: PayloadType = PayloadType(101);

/// What a payload is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Coding {
    /// Speech.
    G711(Law),
    /// RFC 4733.
    TelephoneEvent,
}

/// This side of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Local {
    /// The RTP address; RTCP is one port above.
    pub address: SocketAddr,
    /// The session id of `o=`.
    pub session: u64,
    /// The version of `o=`, one more with each description.
    pub version: u64,
    /// Who sends, as this side wishes it.
    pub direction: Direction,
}

/// Payload types of one direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Payloads {
    /// Of `PCMA`.
    pub alaw: Option<PayloadType>,
    /// Of `PCMU`.
    pub mulaw: Option<PayloadType>,
    /// Of `telephone-event`.
    pub events: Option<PayloadType>,
}

/// What offer and answer agreed on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Agreed {
    /// Where the party wants RTP; `None` while it wants none (hold by `0.0.0.0`, RFC 3264 §8.4).
    pub remote: Option<SocketAddr>,
    /// Where it wants RTCP.
    pub remote_rtcp: Option<SocketAddr>,
    /// The law this side sends.
    pub law: Law,
    /// What the party understands.
    pub send: Payloads,
    /// What this side understands.
    pub receive: Payloads,
    /// The length of a packet that this side makes.
    pub packet_time: Duration,
    /// Who sends, seen from this side.
    pub direction: Direction,
}

/// Why an offer or answer cannot be met.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// No stream of audio with a port.
    #[error("no audio stream")]
    NoAudio,
    /// Audio, but none over plain RTP (RTP/AVP).
    #[error("no audio over RTP/AVP")]
    Protocol,
    /// Neither PCMA nor PCMU.
    #[error("neither PCMA nor PCMU")]
    Codec,
    /// No `c=`, or a name in it.
    #[error("no address to send to")]
    NoAddress,
    /// An address of the family that this leg has not, or a multicast one.
    #[error("an address that this leg cannot reach")]
    Address,
    /// An answer with another number of streams than the offer (RFC 3264 §6).
    #[error("the answer does not fit the offer")]
    Mismatch,
}

/// The address where the audio of a description is wanted: its family is what a shell must know before it
/// opens a socket. `None` where there is none.
pub fn remote_address(description: &Description) -> Option<IpAddr> {
    let (_, stream) = description.audio().ok()?;
    description.connection(stream).ok()
}

/// Our offer: both laws, the preferred first, and telephone events.
pub fn offer(local: &Local, preferred: Law) -> Description {
    let laws = if preferred == Law::A { [Law::A, Law::Mu] } else { [Law::Mu, Law::A] };
    let mut stream = Stream { port: local.address.port(), ..blank() };
    for law in laws {
        stream.push_map(static_type(law), Coding::G711(law));
    }
    stream.push_map(EVENTS, Coding::TelephoneEvent);
    stream.packet_time = Some(PACKET_TIME);
    stream.direction = Some(local.direction);
    description(local, vec![stream])
}

/// The answer to an offer: its first law that is G.711, its telephone events under its payload type.
///
/// # Errors
/// [`Error::Negotiation`] with the reason why it cannot be met.
pub fn answer(local: &Local, offer: &Description) -> Result<(Description, Agreed), Error> {
    let (chosen, stream) = offer.audio()?;
    let offered = Payloads::of(stream);
    let law = stream.first_law().ok_or(Refusal::Codec)?;
    let payloads = offered.only(law);
    let agreed = offer.agree(local, stream, law, payloads, payloads)?;
    let mut accepted = Stream { port: local.address.port(), ..blank() };
    if let Some(number) = payloads.law(law) {
        accepted.push_map(number, Coding::G711(law));
    }
    if let Some(number) = payloads.events {
        accepted.push_map(number, Coding::TelephoneEvent);
    }
    accepted.packet_time = Some(agreed.packet_time);
    accepted.direction = Some(agreed.direction);
    let mut accepted = Some(accepted);
    let streams = offer.streams.iter().enumerate().map(|(at, stream)| match accepted.take() {
        Some(accepted) if at == chosen => accepted,
        waiting => {
            accepted = waiting;
            stream.refused()
        }
    });
    let streams = streams.collect();
    Ok((description(local, streams), agreed))
}

/// What the answer to our offer agrees on.
///
/// # Errors
/// [`Error::Negotiation`] with the reason why it is no answer to it.
pub fn accept_answer(local: &Local, answer: &Description) -> Result<Agreed, Error> {
    if answer.streams.len() != 1 {
        return Err(Refusal::Mismatch.into());
    }
    let (_, stream) = answer.audio()?;
    let send = Payloads::of(stream);
    let law = stream.first_law().ok_or(Refusal::Codec)?;
    let offered = Payloads {
        alaw: Some(static_type(Law::A)),
        mulaw: Some(static_type(Law::Mu)),
        events: send.events.and(Some(EVENTS)),
    };
    answer.agree(local, stream, law, send, offered)
}

impl Payloads {
    /// The payload type of a law.
    pub const fn law(&self, law: Law) -> Option<PayloadType> {
        match law {
            Law::A => self.alaw,
            Law::Mu => self.mulaw,
        }
    }

    /// What a payload of this type is.
    pub fn coding(&self, payload_type: PayloadType) -> Option<Coding> {
        let is = |number: Option<PayloadType>| number == Some(payload_type);
        if is(self.alaw) {
            Some(Coding::G711(Law::A))
        } else if is(self.mulaw) {
            Some(Coding::G711(Law::Mu))
        } else if is(self.events) {
            Some(Coding::TelephoneEvent)
        } else {
            None
        }
    }

    fn of(stream: &Stream) -> Self {
        let mut payloads = Self::default();
        for (number, coding) in stream.codings() {
            let place = match coding {
                Coding::G711(Law::A) => &mut payloads.alaw,
                Coding::G711(Law::Mu) => &mut payloads.mulaw,
                Coding::TelephoneEvent => &mut payloads.events,
            };
            place.get_or_insert(number);
        }
        payloads
    }

    fn only(mut self, law: Law) -> Self {
        match law {
            Law::A => self.mulaw = None,
            Law::Mu => self.alaw = None,
        }
        self
    }
}

impl Agreed {
    /// What a packet received is. A party that numbers its payloads as its own description does, where it
    /// should follow ours (RFC 3264 §5.1), is understood too.
    pub fn coding(&self, payload_type: PayloadType) -> Option<Coding> {
        self.receive.coding(payload_type).or_else(|| self.send.coding(payload_type))
    }
}

impl Description {
    /// The first stream of audio over plain RTP, and its place.
    fn audio(&self) -> Result<(usize, &Stream), Refusal> {
        let audio = || self.streams.iter().enumerate().filter(|(_, s)| s.kind == "audio" && s.port != 0);
        let refusal = if audio().next().is_some() { Refusal::Protocol } else { Refusal::NoAudio };
        audio().find(|(_, stream)| stream.protocol == PLAIN_RTP).ok_or(refusal)
    }

    fn connection(&self, stream: &Stream) -> Result<IpAddr, Refusal> {
        match stream.connection.as_ref().or(self.connection.as_ref()) {
            Some(Connection::Address(address)) => Ok(*address),
            Some(Connection::Name(_)) | None => Err(Refusal::NoAddress),
        }
    }

    fn agree(
        &self,
        local: &Local,
        stream: &Stream,
        law: Law,
        send: Payloads,
        receive: Payloads,
    ) -> Result<Agreed, Error> {
        let address = self.connection(stream)?;
        let held = address == IpAddr::V4(Ipv4Addr::UNSPECIFIED);
        if address.is_multicast() || !held && address.is_ipv4() != local.address.is_ipv4() {
            return Err(Refusal::Address.into());
        }
        let theirs = stream.direction.or(self.direction).unwrap_or_default().reversed();
        let ours = local.direction;
        let (rtcp_port, rtcp_address) = stream.rtcp.unwrap_or((stream.port.wrapping_add(1), None));
        let rtcp = SocketAddr::new(rtcp_address.unwrap_or(address), rtcp_port);
        Ok(Agreed {
            remote: (!held).then_some(SocketAddr::new(address, stream.port)),
            remote_rtcp: Some(rtcp).filter(|rtcp| !held && rtcp.is_ipv4() == local.address.is_ipv4()),
            law,
            send,
            receive,
            packet_time: stream.fitting_packet_time(),
            direction: both(theirs.sends() && ours.sends(), theirs.receives() && ours.receives()),
        })
    }
}

impl Stream {
    /// G.711 and telephone events, in the stream's order.
    fn codings(&self) -> impl Iterator<Item = (PayloadType, Coding)> + '_ {
        self.formats.iter().filter_map(|format| {
            let number = payload_type(format)?;
            let (encoding, clock) = self.encoding(number)?;
            let coding = if encoding.eq_ignore_ascii_case("PCMA") {
                Coding::G711(Law::A)
            } else if encoding.eq_ignore_ascii_case("PCMU") {
                Coding::G711(Law::Mu)
            } else if encoding.eq_ignore_ascii_case("telephone-event") {
                Coding::TelephoneEvent
            } else {
                return None;
            };
            (clock == crate::rtp::CLOCK).then_some((number, coding))
        })
    }

    fn first_law(&self) -> Option<Law> {
        self.codings().find_map(|(_, coding)| match coding {
            Coding::G711(law) => Some(law),
            Coding::TelephoneEvent => None,
        })
    }

    /// The party's wish where it is a multiple of 10 ms up to 60, else 20 ms; never above its longest.
    fn fitting_packet_time(&self) -> Duration {
        let fits =
            |time: &Duration| (10..=60).contains(&time.as_millis()) && time.as_millis().is_multiple_of(10);
        let wish = self.packet_time.filter(fits).unwrap_or(PACKET_TIME);
        match self.longest_packet {
            Some(longest) if longest < wish => Duration::from_millis(10),
            _ => wish,
        }
    }

    fn push_map(&mut self, number: PayloadType, coding: Coding) {
        let encoding = match coding {
            Coding::G711(Law::A) => "PCMA",
            Coding::G711(Law::Mu) => "PCMU",
            Coding::TelephoneEvent => {
                self.parameters.push(Parameters { payload_type: number, text: "0-15".to_owned() });
                "telephone-event"
            }
        };
        self.formats.push(number.to_string());
        self.maps.push(Map {
            payload_type: number,
            encoding: encoding.to_owned(),
            clock: crate::rtp::CLOCK,
            channels: 1,
        });
    }
}

const fn static_type(law: Law) -> PayloadType {
    match law {
        Law::A => PayloadType(8),
        Law::Mu => PayloadType(0),
    }
}

const fn both(sends: bool, receives: bool) -> Direction {
    match (sends, receives) {
        (true, true) => Direction::SendRecv,
        (true, false) => Direction::SendOnly,
        (false, true) => Direction::RecvOnly,
        (false, false) => Direction::Inactive,
    }
}

fn blank() -> Stream {
    Stream {
        kind: "audio".to_owned(),
        port: 0,
        protocol: PLAIN_RTP.to_owned(),
        formats: Vec::new(),
        connection: None,
        maps: Vec::new(),
        parameters: Vec::new(),
        packet_time: None,
        longest_packet: None,
        direction: None,
        rtcp: None,
    }
}

fn description(local: &Local, streams: Vec<Stream>) -> Description {
    Description {
        origin: Origin {
            user: "-".to_owned(),
            session: local.session.to_string(),
            version: local.version.to_string(),
            host: local.address.ip().to_string(),
        },
        name: "-".to_owned(),
        connection: Some(Connection::Address(local.address.ip())),
        direction: None,
        streams,
    }
}
