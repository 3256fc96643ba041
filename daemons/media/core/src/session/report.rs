//! Reports of one leg: when they go, what they say, and what the party's say of us (RFC 3550 §6).
//!
//! Owns the five seconds between reports and the round trip; never where they go.

use crate::{
    Error,
    rtp::{Reception, Sending, lasting, rtcp},
};
use serde::{Deserialize, Serialize};
use std::time::Duration;
use types::Monotonic;

/// RFC 3550 §6.2: five seconds at least.
const INTERVAL: Duration = Duration::from_secs(5);
/// A name that says nothing of the house (RFC 7022).
const CNAME: &str = "media";

#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(super) struct Reports {
    next: Option<Monotonic>,
    /// The party's last sender report: the middle of its NTP timestamp, and when it came.
    last: Option<(u32, Monotonic)>,
    /// Packets that the last report told of: where no more were sent, there is nothing for an SR to say.
    told: u32,
    round_trip: Option<Duration>,
    far: Option<Far>,
}

/// What the party says of what it heard of us (RFC 3550 §6.4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Far {
    /// Packets that did not come there; at least 0.
    pub lost: u64,
    /// Interarrival jitter there.
    pub jitter: Duration,
}

impl Far {
    fn of(block: rtcp::Block) -> Self {
        Self { lost: u64::try_from(block.lost).unwrap_or(0), jitter: lasting(block.jitter) }
    }
}

impl Reports {
    /// Reports go from now on.
    pub fn start(&mut self, now: Monotonic) {
        self.next.get_or_insert(now.plus(INTERVAL));
    }

    /// Whether one is to go now.
    pub fn take_due(&mut self, now: Monotonic) -> bool {
        let due = self.next.is_some_and(|next| now >= next);
        if due {
            self.next = Some(now.plus(INTERVAL));
        }
        due
    }

    /// The last round trip that the party's reports showed.
    pub const fn round_trip(&self) -> Option<Duration> {
        self.round_trip
    }

    /// What the party's last report said.
    pub const fn far(&self) -> Option<Far> {
        self.far
    }

    /// Takes the party's compound.
    pub fn hear(&mut self, now: Monotonic, datagram: &[u8], ours: &Sending) -> Result<(), Error> {
        for report in rtcp::parse(datagram) {
            let rtcp::Report::Report { sent, block, .. } = report? else { continue };
            if let Some(sent) = sent {
                self.last = Some((rtcp::middle(sent.ntp), now));
            }
            let on_us = block.filter(|block| block.ssrc == ours.ssrc());
            self.far = on_us.map(Far::of).or(self.far);
            self.round_trip = on_us.and_then(|block| rtcp::round_trip(now, &block)).or(self.round_trip);
        }
        Ok(())
    }

    /// Appends a compound: SR where something was sent since the last one, else RR.
    pub fn write(
        &mut self,
        now: Monotonic,
        sending: &Sending,
        reception: Option<&mut Reception>,
        out: &mut Vec<u8>,
    ) {
        let (packets, octets) = sending.sent();
        let sent = (packets != self.told).then(|| rtcp::Sent {
            ntp: rtcp::ntp(now),
            timestamp: sending.timestamp(now),
            packets,
            octets,
        });
        self.told = packets;
        let (last_report, delay) = self.last.map_or((0, 0), |(middle, came)| {
            let waited = now.0.saturating_sub(came.0);
            (middle, rtcp::middle(rtcp::ntp(Monotonic(waited))))
        });
        let block = reception.map(|reception| rtcp::Block {
            ssrc: reception.ssrc(),
            fraction_lost: reception.take_fraction_lost(),
            lost: i32::try_from(reception.lost()).unwrap_or(i32::MAX),
            highest: reception.highest(),
            jitter: reception.jitter(),
            last_report,
            delay,
        });
        rtcp::write_report(out, sending.ssrc(), sent, block, CNAME);
    }
}
