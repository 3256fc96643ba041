//! What was really on the wire: RTP packets out of a capture of loopback.

use crate::network::Place;
use g711::Law;
use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

/// A running capture of UDP on loopback.
pub struct Capture {
    tcpdump: Child,
    file: PathBuf,
}

/// One RTP packet (RFC 3550 §5.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rtp {
    /// When it was captured, in microseconds since 1970.
    pub at_us: u64,
    /// From which port.
    pub from: u16,
    /// To which port.
    pub to: u16,
    /// Payload type.
    pub payload_type: u8,
    /// Sequence number.
    pub sequence: u16,
    /// Timestamp.
    pub timestamp: u32,
    /// Payload.
    pub payload: Vec<u8>,
}

impl Capture {
    /// Begins; returns once tcpdump listens.
    pub fn begin(folder: &Path) -> Self {
        Self::begin_at(&Place::here(), folder)
    }

    /// Begins where the line comes in.
    pub fn begin_at(place: &Place, folder: &Path) -> Self {
        let file = folder.join("wire.pcap");
        let log = folder.join("tcpdump.log");
        let tcpdump = place
            .command("tcpdump")
            .args(["-i", &place.interface, "--immediate-mode", "-U", "-n", "-B", "16384", "-s", "0", "-w"])
            .arg(&file)
            .args(["-Q", if place.namespace.is_some() { "in" } else { "inout" }, "udp"])
            .stdin(Stdio::null())
            .stderr(fs::File::create(&log).unwrap())
            .spawn()
            .expect("tcpdump: apt-get install tcpdump");
        let deadline = Instant::now() + Duration::from_secs(10);
        while !fs::read_to_string(&log).unwrap().contains("listening on") {
            assert!(Instant::now() < deadline, "tcpdump: {}", fs::read_to_string(&log).unwrap());
            thread::sleep(Duration::from_millis(20));
        }
        Self { tcpdump, file }
    }

    /// Ends, and returns every RTP packet in order.
    pub fn end(mut self) -> Vec<Rtp> {
        thread::sleep(Duration::from_millis(300));
        let pid = self.tcpdump.id().to_string();
        Command::new("kill").args(["-INT", &pid]).status().unwrap();
        self.tcpdump.wait().unwrap();
        packets(&fs::read(&self.file).unwrap())
    }
}

/// Where in a channel of an exported WAV packets of A-law lie, sample by sample, each at its RTP timestamp.
///
/// # Panics
/// They do not lie there.
pub fn aligned(wav: &[u8], channel: usize, packets: &[Rtp]) -> usize {
    let samples: Vec<i16> = wav[44..]
        .chunks_exact(4)
        .map(|pair| i16::from_le_bytes([pair[2 * channel], pair[2 * channel + 1]]))
        .collect();
    let expected: Vec<(usize, i16)> = packets
        .iter()
        .flat_map(|packet| {
            let begin = packet.timestamp.wrapping_sub(packets[0].timestamp) as usize;
            packet.payload.iter().enumerate().map(move |(n, octet)| (begin + n, Law::A.expand(*octet)))
        })
        .collect();
    let last = expected.iter().map(|(at, _)| *at).max().unwrap();
    let fits = |start: usize| expected.iter().all(|(at, sample)| samples[start + at] == *sample);
    (0..samples.len().saturating_sub(last)).find(|start| fits(*start)).unwrap_or_else(|| {
        panic!("channel {channel}: {} packets are nowhere in {} samples", packets.len(), samples.len())
    })
}

/// The classic capture file of libpcap, microseconds, Ethernet frames as loopback makes them.
fn packets(file: &[u8]) -> Vec<Rtp> {
    let word = |at: usize| u32::from_le_bytes(file[at..at + 4].try_into().unwrap());
    assert_eq!((word(0), word(20)), (0xa1b2_c3d4, 1), "another kind of capture file");
    let (mut at, mut found) = (24, Vec::new());
    while at + 16 <= file.len() {
        let (seconds, microseconds, length) = (word(at), word(at + 4), word(at + 8) as usize);
        let Some(frame) = file.get(at + 16..at + 16 + length) else { break };
        found.extend(rtp(frame, u64::from(seconds) * 1_000_000 + u64::from(microseconds)));
        at += 16 + length;
    }
    found
}

/// An RTP packet in an IPv4 UDP datagram in an Ethernet frame; nothing where it is none.
fn rtp(frame: &[u8], at_us: u64) -> Option<Rtp> {
    let ip = frame.get(14..).filter(|ip| ip.first().is_some_and(|first| first >> 4 == 4))?;
    let udp = ip.get(usize::from(ip[0] & 15) * 4..)?;
    let (header, packet) = udp.split_at_checked(8)?;
    let short = |bytes: &[u8], at: usize| u16::from_be_bytes([bytes[at], bytes[at + 1]]);
    let (fixed, payload) = packet.split_at_checked(12)?;
    // Version 2, no padding, no extension, no contributors, and no RTCP (RFC 5761 §4).
    if fixed[0] != 0x80 || (64..96).contains(&(fixed[1] & 0x7f)) {
        return None;
    }
    Some(Rtp {
        at_us,
        from: short(header, 0),
        to: short(header, 2),
        payload_type: fixed[1] & 0x7f,
        sequence: short(fixed, 2),
        timestamp: u32::from_be_bytes([fixed[4], fixed[5], fixed[6], fixed[7]]),
        payload: payload.to_vec(),
    })
}
