//! Offer and answer (RFC 3264) for one audio stream with telephone events (RFC 4733).
//!
//! Owns the choice of codec, payload types, packet time, direction, protection (RFC 4568) and the place of RTCP
//! (RFC 5761). What cannot be met is refused with a [`Refusal`]; a second audio stream, video and the like are
//! refused singly with port 0.

use super::{
    Connection, Crypto, Description, Direction, Map, Origin, Parameters, Stream, parse::payload_type,
};
use crate::{
    Error,
    codec::Codec,
    rtp::PayloadType,
    srtp::{Keying, Policy, Protection, Suite},
};
use serde::{Deserialize, Serialize};
use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    time::Duration,
};

const PLAIN_RTP: &str = "RTP/AVP";
const SECURE_RTP: &str = "RTP/SAVP";
const PACKET_TIME: Duration = Duration::from_millis(20);
/// Where an offer of ours puts telephone events.
const EVENTS: PayloadType = PayloadType(101);

/// What a payload is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Coding {
    /// Speech.
    Speech(Codec),
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

/// What this side wishes and can.
#[derive(Clone, Copy, Debug)]
pub struct Terms<'a> {
    /// The codecs that are spoken, the preferred first.
    pub codecs: &'a [Codec],
    /// Whether sound is protected.
    pub policy: Policy,
    /// The keys with which it is.
    pub keying: &'a Keying,
}

/// Payload types of one direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Payloads {
    /// Of `PCMA`.
    pub pcma: Option<PayloadType>,
    /// Of `PCMU`.
    pub pcmu: Option<PayloadType>,
    /// Of `G722`.
    pub g722: Option<PayloadType>,
    /// Of `G729`.
    pub g729: Option<PayloadType>,
    /// Of `telephone-event`.
    pub events: Option<PayloadType>,
}

/// Where RTCP goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Reports {
    /// To a port of its own.
    Apart,
    /// To the port of RTP (RFC 5761).
    Muxed,
}

/// What offer and answer agreed on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Agreed {
    /// Where the party wants RTP; `None` while it wants none (hold by `0.0.0.0`, RFC 3264 §8.4).
    pub remote: Option<SocketAddr>,
    /// Where it wants RTCP.
    pub remote_rtcp: Option<SocketAddr>,
    /// On which of our ports RTCP comes, and from which it goes.
    pub reports: Reports,
    /// The codec this side sends.
    pub codec: Codec,
    /// What the party understands.
    pub send: Payloads,
    /// What this side understands.
    pub receive: Payloads,
    /// The length of a packet that this side makes.
    pub packet_time: Duration,
    /// Who sends, seen from this side.
    pub direction: Direction,
    /// How packets are protected; `None`: they are not.
    pub protection: Option<Protection>,
}

/// Why an offer or answer cannot be met.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// No stream of audio with a port.
    #[error("no audio stream")]
    NoAudio,
    /// Audio, but none over RTP/AVP or RTP/SAVP as the settings allow them.
    #[error("no audio over a protocol that is spoken")]
    Protocol,
    /// Protection without a key for a suite that is spoken (RFC 4568), or none where it is required.
    #[error("no protection that is spoken (a=crypto)")]
    Protection,
    /// None of our codecs.
    #[error("no codec in common")]
    Codec,
    /// Of our codecs only one that is spoken by a library, which is not there.
    #[error("no codec in common but G.729, whose library (bcg729) is not loaded")]
    Library,
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

/// Whether a description names this codec.
pub fn names(description: &Description, codec: Codec) -> bool {
    description.streams.iter().any(|stream| Payloads::of(stream).codec(codec).is_some())
}

/// The address where the audio of a description is wanted: its family is what a shell must know before it
/// opens a socket. `None` where there is none.
pub fn remote_address(description: &Description) -> Option<IpAddr> {
    let (_, stream) = description.audio(Policy::Offered).ok()?;
    description.connection(stream).ok()
}

/// Our offer: every codec in our order, telephone events, RTCP on one port or two, and keys where the policy has
/// them: under RTP/AVP where the party may decline them (RFC 8643), under RTP/SAVP where it may not.
pub fn offer(local: &Local, terms: &Terms<'_>) -> Description {
    let mut stream = Stream { port: local.address.port(), ..blank() };
    for codec in terms.codecs {
        stream.push_map(codec.payload_type(), Coding::Speech(*codec));
    }
    stream.push_map(EVENTS, Coding::TelephoneEvent);
    stream.packet_time = Some(PACKET_TIME);
    stream.direction = Some(local.direction);
    stream.rtcp_mux = true;
    if terms.policy != Policy::Off {
        let lines = Suite::ALL.into_iter().zip(1..);
        stream.crypto =
            lines.map(|(suite, tag)| Crypto::write(tag, suite, terms.keying.master(suite))).collect();
    }
    if terms.policy == Policy::Required {
        SECURE_RTP.clone_into(&mut stream.protocol);
    }
    description(local, vec![stream])
}

/// The answer to an offer: the first of our codecs that stands in it, its telephone events under its payload type,
/// its first key that can be met.
///
/// # Errors
/// [`Error::Negotiation`] with the reason why it cannot be met.
pub fn answer(local: &Local, terms: &Terms<'_>, offer: &Description) -> Result<(Description, Agreed), Error> {
    let (chosen, stream) = offer.audio(terms.policy)?;
    let offered = Payloads::of(stream);
    let codec = terms.codecs.iter().copied().find(|codec| offered.codec(*codec).is_some());
    let codec = codec.ok_or(Refusal::Codec)?;
    let crypto = stream.crypto(terms.policy)?;
    let payloads = offered.only(codec);
    let agreed = offer.agree(local, stream, codec, payloads, payloads, crypto)?;
    let mut accepted = Stream { port: local.address.port(), ..blank() };
    stream.protocol.clone_into(&mut accepted.protocol);
    if let Some(number) = payloads.codec(codec) {
        accepted.push_map(number, Coding::Speech(codec));
    }
    if let Some(number) = payloads.events {
        accepted.push_map(number, Coding::TelephoneEvent);
    }
    accepted.packet_time = Some(agreed.packet_time);
    accepted.direction = Some(agreed.direction);
    accepted.rtcp_mux = agreed.reports == Reports::Muxed;
    let ours = |crypto: Crypto| Crypto::write(crypto.tag, crypto.suite, terms.keying.master(crypto.suite));
    accepted.crypto = crypto.into_iter().map(ours).collect();
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
pub fn accept_answer(local: &Local, terms: &Terms<'_>, answer: &Description) -> Result<Agreed, Error> {
    if answer.streams.len() != 1 {
        return Err(Refusal::Mismatch.into());
    }
    let (_, stream) = answer.audio(terms.policy)?;
    let send = Payloads::of(stream);
    let codec = stream.first_of(terms.codecs).ok_or(Refusal::Codec)?;
    let crypto = stream.crypto(terms.policy)?;
    // The tag names the attribute of ours that is taken (RFC 4568 §5.1.3).
    let ours =
        |crypto: &Crypto| Suite::ALL.into_iter().zip(1..).any(|known| known == (crypto.suite, crypto.tag));
    if crypto.is_some_and(|crypto| !ours(&crypto)) {
        return Err(Refusal::Protection.into());
    }
    let offered = |codec: Codec| terms.codecs.contains(&codec).then_some(codec.payload_type());
    let receive = Payloads {
        pcma: offered(Codec::Pcma),
        pcmu: offered(Codec::Pcmu),
        g722: offered(Codec::G722),
        g729: offered(Codec::G729),
        events: send.events.and(Some(EVENTS)),
    };
    answer.agree(local, stream, codec, send, receive, crypto)
}

impl Payloads {
    /// The payload type of a codec.
    pub const fn codec(&self, codec: Codec) -> Option<PayloadType> {
        match codec {
            Codec::Pcma => self.pcma,
            Codec::Pcmu => self.pcmu,
            Codec::G722 => self.g722,
            Codec::G729 => self.g729,
        }
    }

    /// What a payload of this type is.
    pub fn coding(&self, payload_type: PayloadType) -> Option<Coding> {
        let number = Some(payload_type);
        let speech = Codec::ALL.into_iter().find(|codec| self.codec(*codec) == number);
        speech.map(Coding::Speech).or_else(|| (self.events == number).then_some(Coding::TelephoneEvent))
    }

    fn of(stream: &Stream) -> Self {
        let mut payloads = Self::default();
        for (number, coding) in stream.codings() {
            let place = match coding {
                Coding::Speech(codec) => payloads.place(codec),
                Coding::TelephoneEvent => &mut payloads.events,
            };
            place.get_or_insert(number);
        }
        payloads
    }

    const fn place(&mut self, codec: Codec) -> &mut Option<PayloadType> {
        match codec {
            Codec::Pcma => &mut self.pcma,
            Codec::Pcmu => &mut self.pcmu,
            Codec::G722 => &mut self.g722,
            Codec::G729 => &mut self.g729,
        }
    }

    fn only(self, codec: Codec) -> Self {
        let mut only = Self { events: self.events, ..Self::default() };
        *only.place(codec) = self.codec(codec);
        only
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
    /// The first stream of audio over a protocol that the policy allows, and its place: a protected one before
    /// a plain one.
    fn audio(&self, policy: Policy) -> Result<(usize, &Stream), Refusal> {
        let audio = || self.streams.iter().enumerate().filter(|(_, s)| s.kind == "audio" && s.port != 0);
        let refusal = if audio().next().is_some() { Refusal::Protocol } else { Refusal::NoAudio };
        let secure = |stream: &Stream| {
            policy != Policy::Off && stream.protocol == SECURE_RTP && stream.crypto(policy).is_ok()
        };
        // Plain by its name, protected by a key: RFC 8643.
        let plain = |stream: &Stream| stream.protocol == PLAIN_RTP && stream.crypto(policy).is_ok();
        let found = audio().find(|(_, stream)| secure(stream)).or_else(|| audio().find(|(_, s)| plain(s)));
        found.ok_or_else(|| {
            let spoken =
                |s: &Stream| s.protocol == PLAIN_RTP || policy != Policy::Off && s.protocol == SECURE_RTP;
            if audio().any(|(_, stream)| spoken(stream)) { Refusal::Protection } else { refusal }
        })
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
        codec: Codec,
        send: Payloads,
        receive: Payloads,
        crypto: Option<Crypto>,
    ) -> Result<Agreed, Error> {
        let address = self.connection(stream)?;
        let held = address == IpAddr::V4(Ipv4Addr::UNSPECIFIED);
        if address.is_multicast() || !held && address.is_ipv4() != local.address.is_ipv4() {
            return Err(Refusal::Address.into());
        }
        let theirs = stream.direction.or(self.direction).unwrap_or_default().reversed();
        let ours = local.direction;
        let (rtcp_port, rtcp_address) = match stream.rtcp {
            _ if stream.rtcp_mux => (stream.port, None),
            Some(told) => told,
            None => (stream.port.wrapping_add(1), None),
        };
        let rtcp = SocketAddr::new(rtcp_address.unwrap_or(address), rtcp_port);
        Ok(Agreed {
            remote: (!held).then_some(SocketAddr::new(address, stream.port)),
            remote_rtcp: Some(rtcp).filter(|rtcp| !held && rtcp.is_ipv4() == local.address.is_ipv4()),
            reports: if stream.rtcp_mux { Reports::Muxed } else { Reports::Apart },
            codec,
            send,
            receive,
            packet_time: stream.fitting_packet_time(),
            direction: both(theirs.sends() && ours.sends(), theirs.receives() && ours.receives()),
            protection: crypto.map(|Crypto { suite, master, mki, .. }| Protection {
                suite,
                theirs: master,
                mki,
            }),
        })
    }
}

impl Stream {
    /// Speech and telephone events, in the stream's order. Events are at the clock of the speech: 8 kHz.
    fn codings(&self) -> impl Iterator<Item = (PayloadType, Coding)> + '_ {
        self.formats.iter().filter_map(|format| {
            let number = payload_type(format)?;
            let (encoding, clock) = self.encoding(number)?;
            let events = encoding.eq_ignore_ascii_case("telephone-event").then_some(Coding::TelephoneEvent);
            let coding = Codec::by_encoding(encoding).map(Coding::Speech).or(events)?;
            (clock == crate::rtp::CLOCK).then_some((number, coding))
        })
    }

    fn first_of(&self, codecs: &[Codec]) -> Option<Codec> {
        self.codings().find_map(|(_, coding)| match coding {
            Coding::Speech(codec) => Some(codec).filter(|codec| codecs.contains(codec)),
            Coding::TelephoneEvent => None,
        })
    }

    /// The first key that can be met, where keys are to be; `None` where the stream is to be plain.
    fn crypto(&self, policy: Policy) -> Result<Option<Crypto>, Refusal> {
        let secure = self.protocol == SECURE_RTP;
        let crypto = self.crypto.iter().filter(|_| policy != Policy::Off).find_map(Crypto::read);
        match crypto {
            None if secure || policy == Policy::Required => Err(Refusal::Protection),
            crypto => Ok(crypto),
        }
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
            Coding::Speech(codec) => {
                let told = codec.parameters().map(str::to_owned);
                self.parameters.extend(told.map(|text| Parameters { payload_type: number, text }));
                codec.encoding()
            }
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
        rtcp_mux: false,
        crypto: Vec::new(),
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
