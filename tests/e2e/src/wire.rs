//! What was really on the wire: RTP packets out of a capture of loopback, which is whole or says that it is not.

use crate::{House, network::Place};
use g711::Law;
use std::{
    fs,
    io::Read,
    net::UdpSocket,
    ops::RangeInclusive,
    path::{Path, PathBuf},
    process::{self, Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

/// What is kept of a packet: more than any of ours has. The kernel lays its buffer out in slots of this size: of the
/// longest packets that loopback can carry (64 KiB) 16 MiB hold 256, which one call fills in half a second of
/// inattention, and what comes then is lost.
const SNAPLEN: &str = "2048";
/// KiB for packets that tcpdump has not read: 16,384 slots.
const BUFFER: &str = "32768";
/// To where the last datagram of a capture goes: nobody listens (RFC 863).
const DISCARD: u16 = 9;

/// A running capture of what comes to the RTP ports of a house, and goes from there.
pub struct Capture {
    tcpdump: Child,
    file: PathBuf,
    log: PathBuf,
    place: Place,
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
    /// Begins where the line comes in; returns once tcpdump listens.
    pub fn begin(house: &House) -> Self {
        Self::of(&house.place, house.folder.path(), &house.media)
    }

    /// What others have on loopback at the same time is none of ours, and may be much.
    fn of(place: &Place, folder: &Path, ports: &RangeInclusive<u16>) -> Self {
        let ours = format!("udp and (portrange {}-{} or dst port {DISCARD})", ports.start(), ports.end());
        let file = folder.join("wire.pcap");
        let log = folder.join("tcpdump.log");
        let tcpdump = place
            .command("tcpdump")
            .args(["-i", &place.interface, "--immediate-mode", "-U", "-n"])
            .args(["-B", BUFFER, "-s", SNAPLEN, "-w"])
            .arg(&file)
            .args(["-Q", if place.namespace.is_some() { "in" } else { "inout" }, &ours])
            .stdin(Stdio::null())
            .stderr(fs::File::create(&log).unwrap())
            .spawn()
            .expect("tcpdump: apt-get install tcpdump");
        let deadline = Instant::now() + Duration::from_secs(10);
        while !fs::read_to_string(&log).unwrap().contains("listening on") {
            assert!(Instant::now() < deadline, "tcpdump: {}", fs::read_to_string(&log).unwrap());
            thread::sleep(Duration::from_millis(20));
        }
        Self { tcpdump, file, log, place: place.clone() }
    }

    /// Ends, and returns every RTP packet in order.
    ///
    /// # Panics
    /// The capture is not whole: the kernel says that it dropped packets, or what was sent last is not in it.
    pub fn end(mut self) -> Vec<Rtp> {
        match self.place.namespace {
            None => self.reach_the_end(),
            // From here nothing can be sent there.
            Some(_) => thread::sleep(Duration::from_millis(300)),
        }
        self.signal("-INT");
        self.tcpdump.wait().unwrap();
        let log = fs::read_to_string(&self.log).unwrap();
        let dropped = log.lines().filter(|line| line.contains(" dropped by "));
        let lost: Vec<&str> = dropped.filter(|line| !line.starts_with("0 ")).collect();
        assert!(log.contains("0 packets dropped by kernel") && lost.is_empty(), "not whole: {log}");
        packets(&fs::read(&self.file).unwrap())
    }

    /// Waits until the file has a datagram that is sent now: all that came before stands before it.
    fn reach_the_end(&self) {
        let last = format!("the end of the capture of {}, {:?}", process::id(), Instant::now());
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.send_to(last.as_bytes(), ("127.0.0.1", DISCARD)).unwrap();
        let (mut file, mut read) = (fs::File::open(&self.file).unwrap(), Vec::new());
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            file.read_to_end(&mut read).unwrap();
            if read.windows(last.len()).any(|part| part == last.as_bytes()) {
                return;
            }
            read.drain(..read.len().saturating_sub(last.len()));
            assert!(Instant::now() < deadline, "what was sent last is not captured");
            thread::sleep(Duration::from_millis(20));
        }
    }

    fn signal(&self, signal: &str) {
        let pid = self.tcpdump.id().to_string();
        assert!(Command::new("kill").args([signal, &pid]).status().unwrap().success());
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        // Of a test that failed, it would go on and hold the test's output open; else it has ended.
        self.tcpdump.kill().ok();
        self.tcpdump.wait().ok();
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

/// What one party was sent in a stretch of time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Heard {
    /// Packets.
    pub packets: usize,
    /// The longest time without one.
    pub silence: Duration,
    /// Packets that the timestamps tell of and that never came.
    pub missing: u32,
}

/// What went from one set of ports to another between two moments, in microseconds since 1970. Packets are of
/// 160 samples.
pub fn heard(
    wire: &[Rtp],
    from: impl Fn(u16) -> bool,
    to: impl Fn(u16) -> bool,
    (begin, end): (u64, u64),
) -> Heard {
    let mut heard = Heard::default();
    let (mut at, mut timestamp) = (begin, None);
    for packet in wire.iter().filter(|packet| from(packet.from) && to(packet.to)) {
        if !(begin..end).contains(&packet.at_us) {
            continue;
        }
        heard.packets += 1;
        heard.silence = heard.silence.max(Duration::from_micros(packet.at_us.saturating_sub(at)));
        at = packet.at_us;
        if let Some(last) = timestamp.replace(packet.timestamp) {
            // A stream that begins anew says nothing about what was missing.
            let steps = packet.timestamp.wrapping_sub(last) / 160;
            heard.missing += if steps < 500 { steps.saturating_sub(1) } else { 0 };
        }
    }
    heard.silence = heard.silence.max(Duration::from_micros(end.saturating_sub(at)));
    heard
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(number: u32, at_us: u64) -> Rtp {
        Rtp {
            at_us,
            from: 1,
            to: 2,
            payload_type: 8,
            sequence: number as u16,
            timestamp: number * 160,
            payload: vec![0; 160],
        }
    }

    /// A second of the machine's attention that tcpdump does not get.
    #[test]
    fn what_came_while_nobody_read_is_captured() {
        let folder = tempfile::tempdir().unwrap();
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let port = socket.local_addr().unwrap().port();
        let capture = Capture::of(&Place::here(), folder.path(), &(port..=port));
        capture.signal("-STOP");
        for number in 0_u16..2_000 {
            let mut packet = [0; 172];
            (packet[0], packet[1]) = (0x80, 8);
            packet[2..4].copy_from_slice(&number.to_be_bytes());
            socket.send_to(&packet, ("127.0.0.1", port)).unwrap();
        }
        capture.signal("-CONT");
        let wire = capture.end();
        let ours = wire.iter().filter(|packet| packet.from == port).map(|packet| packet.sequence);
        assert!(ours.eq(0..2_000));
    }

    #[test]
    fn silence_and_what_is_missing_are_told_apart() {
        let on_time = |number: u32| packet(number, u64::from(number) * 20_000);
        let all: Vec<Rtp> = (0..50).map(on_time).collect();
        let of = |wire: &[Rtp]| heard(wire, |port| port == 1, |port| port == 2, (0, 1_000_000));
        let ms = Duration::from_millis;
        assert_eq!(of(&all), Heard { packets: 50, silence: ms(20), missing: 0 });
        let lost: Vec<Rtp> = all.iter().filter(|p| !(10..20).contains(&p.sequence)).cloned().collect();
        assert_eq!(of(&lost), Heard { packets: 40, silence: ms(220), missing: 10 });
        let mut late = all.clone();
        late[10..20].iter_mut().for_each(|packet| packet.at_us = 400_000);
        assert_eq!(of(&late), Heard { packets: 50, silence: ms(220), missing: 0 });
        assert_eq!(
            of(&all[..30]),
            Heard { packets: 30, silence: ms(420), missing: 0 },
            "it never comes back"
        );
        assert_eq!(of(&[]), Heard { packets: 0, silence: ms(1_000), missing: 0 });
    }
}
