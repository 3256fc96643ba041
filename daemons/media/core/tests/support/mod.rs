//! A core on a fake clock, and parties that speak RTP to it.

#![allow(dead_code)]

use media_core::{
    Core, Error, Event, Input, Output,
    codec::{Codec, Decoder, Encoder, Library},
    rtp::{Packet, PayloadType, Seed, Ssrc},
    session::{Limits, Opening, Port, Prompt, Record, TICK},
    sound::tone::sine,
    srtp::{Keying, Policy},
};
use std::{net::SocketAddr, time::Duration};
use types::{LegId, Monotonic, RecordingId, Uid};

pub const PCMU: PayloadType = PayloadType(0);
pub const PCMA: PayloadType = PayloadType(8);
pub const EVENTS: PayloadType = PayloadType(101);
pub const G722: PayloadType = PayloadType(9);
pub const G729: PayloadType = PayloadType(18);

pub const fn leg(number: u8) -> LegId {
    LegId(Uid([number; 16]))
}

pub const fn recording(number: u8) -> RecordingId {
    RecordingId(Uid([number; 16]))
}

/// An encoder that needs no library.
pub fn encoder(codec: Codec) -> Encoder {
    Encoder::new(codec, &Library::default()).unwrap()
}

/// The `n`-th 20 ms of a tone, in a codec that goes on.
pub fn said(encoder: &mut Encoder, hertz: f64, n: u32) -> Vec<u8> {
    let samples: Vec<i16> = (n * 160..n * 160 + 160).map(|at| sine(&[(hertz, -10.0)], at)).collect();
    let mut octets = vec![];
    encoder.encode(&samples, &mut octets);
    octets
}

pub fn decoded(sent: &[Sent], codec: Codec) -> Vec<i16> {
    let (mut decoder, mut samples) = (Decoder::new(codec), vec![]);
    for sent in sent {
        assert_eq!(sent.packet().payload_type, codec.payload_type());
        decoder.decode(sent.packet().payload, &mut samples);
    }
    samples
}

/// How much of the power is the tone.
pub fn purity(samples: &[i16], hertz: f64) -> f64 {
    let (mut a, mut b, mut power) = (0.0, 0.0, 0.0);
    for (at, sample) in samples.iter().enumerate() {
        let angle = at as f64 * hertz / 8000.0 * std::f64::consts::TAU;
        a += f64::from(*sample) * angle.sin();
        b += f64::from(*sample) * angle.cos();
        power += f64::from(*sample).powi(2);
    }
    (a * a + b * b) * 2.0 / samples.len() as f64 / power
}

/// A packet from this phone, whose clock goes on by so many ticks.
pub fn say(house: &mut House, leg: LegId, phone: &mut Phone, payload: &[u8], ticks: u32) {
    let packet = phone.packet(false, phone.payload_type, phone.timestamp, payload);
    phone.timestamp = phone.timestamp.wrapping_add(ticks);
    house.hear(leg, phone.address, &packet);
}

pub fn address(port: u16) -> SocketAddr {
    ([198, 51, 100, 1], port).into()
}

pub fn offer(port: u16, formats: &str) -> String {
    format!(
        "v=0\r\no=- 1 1 IN IP4 198.51.100.1\r\ns=-\r\nc=IN IP4 198.51.100.1\r\nt=0 0\r\n\
         m=audio {port} RTP/AVP {formats}\r\na=rtpmap:101 telephone-event/8000\r\n"
    )
}

pub struct House {
    pub core: Core,
    pub now: Monotonic,
    pub sent: Vec<(LegId, Port, SocketAddr, Vec<u8>)>,
    pub tapped: Vec<(RecordingId, u64, Record, Vec<u8>)>,
    pub events: Vec<Event>,
    /// Of the legs that are opened next.
    pub policy: Policy,
    pub beside: Option<LegId>,
}

impl House {
    pub fn new() -> Self {
        let core = Core::new(Limits::default());
        Self {
            core,
            now: Monotonic(5_000_000_000),
            sent: vec![],
            tapped: vec![],
            events: vec![],
            policy: Policy::Off,
            beside: None,
        }
    }

    pub fn load(&mut self, files: &[(&str, Vec<u8>)]) {
        for (name, file) in files {
            self.core.load((*name).to_owned(), Prompt::read(file).unwrap());
        }
    }

    pub fn handle(&mut self, input: Input<'_>) -> Result<(), Error> {
        let outcome = self.core.handle(self.now, input);
        while let Some(output) = self.core.poll() {
            match output {
                Output::Send { leg, port, to, datagram } => {
                    self.sent.push((leg, port, to, datagram.to_vec()));
                }
                Output::Tap { recording, batch } => {
                    for (record, payload) in batch.records() {
                        self.tapped.push((recording, batch.number, *record, payload.to_vec()));
                    }
                }
                Output::Event(event) => self.events.push(event),
            }
        }
        outcome
    }

    pub fn open(&mut self, leg: LegId, offer: Option<&str>) -> Result<String, Error> {
        let number = leg.0.0[0];
        self.handle(Input::Open(
            leg,
            Opening {
                offer: offer.map(str::as_bytes),
                memo: "memo",
                address: ([192, 0, 2, 10], 20_000 + 2 * u16::from(number)).into(),
                session: u64::from(number),
                seed: Seed { ssrc: Ssrc(u32::from(number)), sequence: 65_530, timestamp: u32::MAX - 1000 },
                codecs: &Codec::ALL,
                beside: self.beside,
                policy: self.policy,
                keying: &Keying::new(std::array::from_fn(|at| at as u8 ^ number)),
            },
        ))?;
        match self.events.pop() {
            Some(Event::Opened { description, .. }) => Ok(description),
            other => panic!("{other:?}"),
        }
    }

    /// 20 ms go by.
    pub fn tick(&mut self) {
        self.now = self.now.plus(TICK);
        self.handle(Input::Tick).unwrap();
    }

    pub fn pass(&mut self, time: Duration) {
        let until = self.now.plus(time);
        while self.now < until {
            self.tick();
        }
    }

    pub fn hear(&mut self, leg: LegId, source: SocketAddr, bytes: &[u8]) {
        self.handle(Input::Datagram { leg, port: Port::Rtp, source, bytes }).unwrap();
    }

    /// RTP sent from this leg since the last call.
    pub fn take_rtp(&mut self, leg: LegId) -> Vec<Sent> {
        let (ours, others) = std::mem::take(&mut self.sent)
            .into_iter()
            .partition(|(from, port, _, _)| *from == leg && *port == Port::Rtp);
        self.sent = others;
        let ours: Vec<(LegId, Port, SocketAddr, Vec<u8>)> = ours;
        ours.into_iter().map(|(_, _, to, datagram)| Sent { to, datagram }).collect()
    }

    pub fn take_events(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.events)
    }
}

pub struct Sent {
    pub to: SocketAddr,
    pub datagram: Vec<u8>,
}

impl Sent {
    pub fn packet(&self) -> Packet<'_> {
        Packet::parse(&self.datagram).unwrap()
    }
}

/// A phone: its own SSRC, sequence numbers and timestamps, and a payload unlike any other of its own.
pub struct Phone {
    pub address: SocketAddr,
    pub ssrc: u32,
    pub payload_type: PayloadType,
    pub sequence: u16,
    pub timestamp: u32,
    pub spoken: u32,
}

impl Phone {
    pub fn new(port: u16, payload_type: PayloadType) -> Self {
        let ssrc = 0xabc0_0000 + u32::from(port);
        let (sequence, timestamp) = (65_500, u32::MAX - 3000);
        Self { address: address(port), ssrc, payload_type, sequence, timestamp, spoken: 0 }
    }

    /// The next 20 ms of speech.
    pub fn speak(&mut self) -> Vec<u8> {
        let datagram = self.packet(false, self.payload_type, self.timestamp, &self.payload(self.spoken));
        self.spoken += 1;
        self.timestamp = self.timestamp.wrapping_add(160);
        datagram
    }

    /// What the n-th 20 ms of speech are.
    pub fn payload(&self, number: u32) -> Vec<u8> {
        (0..160).map(|at| (self.ssrc.wrapping_mul(31) + number * 7 + at * 13) as u8).collect()
    }

    pub fn packet(&mut self, marker: bool, kind: PayloadType, timestamp: u32, payload: &[u8]) -> Vec<u8> {
        let packet = Packet {
            marker,
            payload_type: kind,
            sequence: self.sequence,
            timestamp,
            ssrc: Ssrc(self.ssrc),
            payload,
        };
        self.sequence = self.sequence.wrapping_add(1);
        [&packet.header()[..], payload].concat()
    }
}

/// A WAV file of A-law octets.
pub fn wav(octets: &[u8]) -> Vec<u8> {
    let mut file = b"RIFF\0\0\0\0WAVEfmt ".to_vec();
    file.extend(16u32.to_le_bytes());
    file.extend([6, 0, 1, 0]);
    file.extend(8000u32.to_le_bytes());
    file.extend(8000u32.to_le_bytes());
    file.extend([1, 0, 8, 0]);
    file.extend(b"data");
    file.extend((octets.len() as u32).to_le_bytes());
    file.extend(octets);
    file
}
