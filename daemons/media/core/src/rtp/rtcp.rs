//! RTCP (RFC 3550 §6): sender and receiver reports, read and built; source description and goodbye, built.
//!
//! NTP timestamps are of this machine's uptime, as RFC 3550 §6.4.1 permits: a core knows no calendar.

use super::{PayloadType, Ssrc};
use crate::Error;
use serde::{Deserialize, Serialize};
use std::time::Duration;
use types::Monotonic;

const SENDER_REPORT: u8 = 200;
const RECEIVER_REPORT: u8 = 201;
const SOURCE_DESCRIPTION: u8 = 202;
const GOODBYE: u8 = 203;
const CNAME: u8 = 1;

/// One reception report (RFC 3550 §6.4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Block {
    /// Whose stream is reported on.
    pub ssrc: Ssrc,
    /// Lost since the last report, in 256ths.
    pub fraction_lost: u8,
    /// Lost since the beginning, 24 bits, negative where duplicates outnumber the lost.
    pub lost: i32,
    /// Extended highest sequence number received.
    pub highest: u32,
    /// Interarrival jitter in ticks.
    pub jitter: u32,
    /// The middle 32 bits of the last sender report's NTP timestamp; 0: none came.
    pub last_report: u32,
    /// Time since that came, in 65536ths of a second.
    pub delay: u32,
}

/// What a sender report says of its sender.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sent {
    /// 32 bits of seconds, 32 of their fraction.
    pub ntp: u64,
    /// The same moment on the RTP clock.
    pub timestamp: u32,
    /// Packets sent.
    pub packets: u32,
    /// Payload octets sent.
    pub octets: u32,
}

/// One packet of a compound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Report {
    /// SR, or RR where nothing was sent.
    Report {
        /// Who reports.
        from: Ssrc,
        /// SR only.
        sent: Option<Sent>,
        /// The first reception report, the only one there is between two parties.
        block: Option<Block>,
    },
    /// BYE.
    Goodbye,
    /// A type that this side has no use for.
    Other(PayloadType),
}

/// The packets of a compound, in order.
///
/// # Errors
/// An item is [`Error::Rtcp`] where a packet does not fit; it is the last one.
pub fn parse(datagram: &[u8]) -> impl Iterator<Item = Result<Report, Error>> + '_ {
    let mut rest = Some(datagram).filter(|d| !d.is_empty());
    std::iter::from_fn(move || {
        let packet = split(rest.take()?);
        Some(packet.and_then(|(packet, after)| {
            let report = read(packet)?;
            rest = Some(after).filter(|after| !after.is_empty());
            Ok(report)
        }))
    })
}

/// Appends SR (or RR) and SDES with a CNAME, the least compound there is (RFC 3550 §6.1).
pub fn write_report(out: &mut Vec<u8>, from: Ssrc, sent: Option<Sent>, block: Option<Block>, cname: &str) {
    let count = u8::from(block.is_some());
    let words = 1 + if sent.is_some() { 5 } else { 0 } + u16::from(count) * 6;
    let kind = if sent.is_some() { SENDER_REPORT } else { RECEIVER_REPORT };
    write_header(out, count, kind, words);
    out.extend(from.0.to_be_bytes());
    if let Some(sent) = sent {
        out.extend(sent.ntp.to_be_bytes());
        out.extend(sent.timestamp.to_be_bytes());
        out.extend(sent.packets.to_be_bytes());
        out.extend(sent.octets.to_be_bytes());
    }
    if let Some(block) = block {
        let [_, l0, l1, l2] = block.lost.clamp(-0x80_0000, 0x7f_ffff).to_be_bytes();
        out.extend(block.ssrc.0.to_be_bytes());
        out.extend([block.fraction_lost, l0, l1, l2]);
        for word in [block.highest, block.jitter, block.last_report, block.delay] {
            out.extend(word.to_be_bytes());
        }
    }
    let name = cname.as_bytes();
    let name = name.get(..name.len().min(255)).unwrap_or_default();
    // The item, at least one zero octet to end the chunk, and padding to a whole word.
    let item = 2 + name.len();
    let padding = 4 - item % 4;
    write_header(out, 1, SOURCE_DESCRIPTION, 1 + ((item + padding) / 4) as u16);
    out.extend(from.0.to_be_bytes());
    out.extend([CNAME, name.len() as u8]);
    out.extend(name);
    out.extend(std::iter::repeat_n(0, padding));
}

/// Appends a BYE.
pub fn write_goodbye(out: &mut Vec<u8>, from: Ssrc) {
    write_header(out, 1, GOODBYE, 1);
    out.extend(from.0.to_be_bytes());
}

/// The NTP format of an uptime: 32 bits of seconds, 32 of their fraction.
pub fn ntp(now: Monotonic) -> u64 {
    let (seconds, nanoseconds) = (now.0 / 1_000_000_000, now.0 % 1_000_000_000);
    (seconds << 32) | ((nanoseconds << 32) / 1_000_000_000)
}

/// The middle 32 bits of an NTP timestamp.
pub const fn middle(ntp: u64) -> u32 {
    (ntp >> 16) as u32
}

/// The round trip that a report on our stream shows (RFC 3550 §6.4.1), if it shows one.
pub fn round_trip(now: Monotonic, block: &Block) -> Option<Duration> {
    if block.last_report == 0 {
        return None;
    }
    let trip = middle(ntp(now)).wrapping_sub(block.last_report).wrapping_sub(block.delay);
    // More than half the circle is a report that contradicts itself.
    (trip < 1 << 31).then(|| Duration::from_nanos((u64::from(trip) * 1_000_000_000) >> 16))
}

fn write_header(out: &mut Vec<u8>, count: u8, kind: u8, words_after: u16) {
    let [high, low] = words_after.to_be_bytes();
    out.extend([0x80 | count & 0x1f, kind, high, low]);
}

fn split(datagram: &[u8]) -> Result<(&[u8], &[u8]), Error> {
    let &[flags, _, high, low, ..] = datagram else {
        return Err(Error::Rtcp("shorter than its header"));
    };
    if flags >> 6 != 2 {
        return Err(Error::Rtcp("version is not 2"));
    }
    let length = (usize::from(u16::from_be_bytes([high, low])) + 1) * 4;
    datagram.split_at_checked(length).ok_or(Error::Rtcp("length does not fit"))
}

fn read(packet: &[u8]) -> Result<Report, Error> {
    let [flags, kind, _, _, rest @ ..] = packet else {
        return Err(Error::Rtcp("shorter than its header"));
    };
    let mut words = Words(rest);
    match *kind {
        SENDER_REPORT => {
            let from = Ssrc(words.next()?);
            let ntp = u64::from(words.next()?) << 32 | u64::from(words.next()?);
            let sent = Sent { ntp, timestamp: words.next()?, packets: words.next()?, octets: words.next()? };
            Ok(Report::Report { from, sent: Some(sent), block: read_block(*flags, &mut words)? })
        }
        RECEIVER_REPORT => {
            let from = Ssrc(words.next()?);
            Ok(Report::Report { from, sent: None, block: read_block(*flags, &mut words)? })
        }
        GOODBYE => Ok(Report::Goodbye),
        other => Ok(Report::Other(PayloadType(other))),
    }
}

fn read_block(flags: u8, words: &mut Words<'_>) -> Result<Option<Block>, Error> {
    if flags & 0x1f == 0 {
        return Ok(None);
    }
    let ssrc = Ssrc(words.next()?);
    let [fraction_lost, l0, l1, l2] = words.next()?.to_be_bytes();
    // Sign-extends 24 bits.
    let lost = i32::from_be_bytes([l0, l1, l2, 0]) >> 8;
    Ok(Some(Block {
        ssrc,
        fraction_lost,
        lost,
        highest: words.next()?,
        jitter: words.next()?,
        last_report: words.next()?,
        delay: words.next()?,
    }))
}

struct Words<'a>(&'a [u8]);

impl Words<'_> {
    fn next(&mut self) -> Result<u32, Error> {
        let (word, rest) = self.0.split_first_chunk().ok_or(Error::Rtcp("cut off"))?;
        self.0 = rest;
        Ok(u32::from_be_bytes(*word))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn block() -> Block {
        Block {
            ssrc: Ssrc(5),
            fraction_lost: 12,
            lost: -3,
            highest: 70_000,
            jitter: 40,
            last_report: 0x1234_5678,
            delay: 65_536,
        }
    }

    #[test]
    fn reads_what_it_wrote() {
        let sent = Sent { ntp: ntp(Monotonic(1_500_000_000)), timestamp: 7, packets: 8, octets: 9 };
        for cname in ["", "a", "ab", "abc", "media@house"] {
            let mut out = Vec::new();
            write_report(&mut out, Ssrc(1), Some(sent), Some(block()), cname);
            write_goodbye(&mut out, Ssrc(1));
            assert_eq!(out.len() % 4, 0, "{cname}");
            let reports: Vec<_> = parse(&out).collect::<Result<_, _>>().unwrap();
            let report = Report::Report { from: Ssrc(1), sent: Some(sent), block: Some(block()) };
            assert_eq!(reports, [report, Report::Other(PayloadType(202)), Report::Goodbye]);
        }
    }

    /// The worked example of RFC 3550 §6.4.1, Figure 2: 6.125 s round trip.
    #[test]
    fn round_trip_of_figure_2() {
        // A = 0xb710:8000, DLSR = 5.25 s, LSR = 0xb705:2000.
        let received = Monotonic((0xb710_u64) * 1_000_000_000 + 500_000_000);
        let block = Block { last_report: 0xb705_2000, delay: 0x0005_4000, ..block() };
        assert_eq!(round_trip(received, &block), Some(Duration::from_millis(6125)));
        assert_eq!(round_trip(received, &Block { last_report: 0, ..block }), None);
    }

    proptest! {
        #[test]
        fn never_panics(datagram in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse(&datagram).count();
        }
    }
}
