//! An edge's side of captures: pairs of sockets that never hold a packet up.

use super::{CAPTURES, Copying, LONGEST, dropped, packet};
use auth_api::Assertion;
use nix::{
    errno::Errno,
    sys::socket::{AddressFamily, MsgFlags, SockFlag, SockType, send, socketpair},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    os::fd::{AsRawFd, OwnedFd},
    time::Duration,
};
use types::{CallId, CaptureId, LegId, Monotonic, Utc};

/// Asks for the packets of a live call: its signalling whole but for credentials, of its sound the headers. The
/// descriptors to read from come with the reply.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Capture {
    /// A supervisor.
    pub assertion: Assertion,
    /// Which call.
    pub call: CallId,
    /// Why, for the audit log.
    pub reason: String,
    /// For how long; at most ten minutes.
    pub seconds: u32,
}

/// The capture has begun. One descriptor comes for each edge, on which its packets are.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Capturing {
    /// Its id.
    pub capture: CaptureId,
    /// The audit entry of its beginning.
    pub sequence: u64,
}

/// Hands down where the packets of a capture are: the descriptor comes with the call. Without one it says to a new
/// life of route that the capture goes on, with what is left of its time.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Captured {
    /// Which, of which legs.
    pub copying: Copying,
}

/// The captures of one edge.
#[derive(Debug, Default)]
pub struct Captures(BTreeMap<CaptureId, Tap>);

#[derive(Debug)]
struct Tap {
    socket: OwnedFd,
    call: CallId,
    until: Monotonic,
    legs: BTreeSet<LegId>,
    dropped: u32,
}

impl Captures {
    /// Begins one and gives the end to be handed down, or adds legs to one that goes on. `None` too where there
    /// are too many, or no descriptor is left.
    pub fn begin(&mut self, now: Monotonic, copying: Copying) -> Option<OwnedFd> {
        self.expire(now);
        if let Some(tap) = self.0.get_mut(&copying.capture) {
            tap.legs.extend(copying.legs);
            return None;
        }
        if self.0.len() >= CAPTURES {
            return None;
        }
        // Whoever reads may wait; we send with MSG_DONTWAIT.
        let flags = SockFlag::SOCK_CLOEXEC;
        let (ours, theirs) = socketpair(AddressFamily::Unix, SockType::SeqPacket, None, flags).ok()?;
        let until = now.plus(Duration::from_secs(copying.seconds.min(LONGEST).into()));
        let legs = copying.legs.into_iter().collect();
        self.0.insert(copying.capture, Tap { socket: ours, call: copying.call, until, legs, dropped: 0 });
        Some(theirs)
    }

    /// Ends those whose time is over: whoever reads sees the end.
    pub fn expire(&mut self, now: Monotonic) {
        self.0.retain(|_, tap| now < tap.until);
    }

    /// Those that go on, each with the time that is left, rounded up.
    pub fn going(&self, now: Monotonic) -> Vec<Copying> {
        let going = self.0.iter().filter(|(_, tap)| now < tap.until);
        going
            .map(|(capture, tap)| Copying {
                capture: *capture,
                call: tap.call,
                legs: tap.legs.iter().copied().collect(),
                seconds: left(now, tap.until),
            })
            .collect()
    }

    /// The legs whose packets are wanted.
    pub fn legs(&self) -> BTreeSet<LegId> {
        self.0.values().flat_map(|tap| tap.legs.iter().copied()).collect()
    }

    /// Whether nothing is copied.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// When the next one ends by itself.
    pub fn next_end(&self) -> Option<Monotonic> {
        self.0.values().map(|tap| tap.until).min()
    }

    /// Copies a datagram of `length` bytes that begins with `told`, wherever its leg is captured. What finds no
    /// room is dropped and counted; a reader that went away ends its capture.
    pub fn copy(
        &mut self,
        leg: LegId,
        at: Utc,
        (from, to): (SocketAddr, SocketAddr),
        told: &[u8],
        length: usize,
    ) {
        self.0.retain(|_, tap| {
            let wanted = tap.legs.contains(&leg) || mutant::mutant("capture-of-every-leg");
            !wanted || tap.put(&packet(at, from, to, told, length)) == Reader::There
        });
    }

    /// Whether packets of this leg are wanted.
    pub fn wants(&self, leg: LegId) -> bool {
        self.0.values().any(|tap| tap.legs.contains(&leg))
    }
}

/// What is left until then, in whole seconds.
pub fn left(now: Monotonic, until: Monotonic) -> u32 {
    u32::try_from(until.since(now).as_millis().div_ceil(1_000)).unwrap_or(LONGEST)
}

#[derive(PartialEq, Eq)]
enum Reader {
    There,
    Gone,
}

impl Tap {
    fn put(&mut self, word: &[u8]) -> Reader {
        if self.dropped > 0 {
            match self.send(&dropped(self.dropped)) {
                Ok(()) => self.dropped = 0,
                Err(Reader::Gone) => return Reader::Gone,
                Err(Reader::There) => {
                    self.dropped = self.dropped.saturating_add(1);
                    return Reader::There;
                }
            }
        }
        match self.send(word) {
            Ok(()) => Reader::There,
            Err(Reader::Gone) => Reader::Gone,
            Err(Reader::There) => {
                self.dropped = self.dropped.saturating_add(1);
                Reader::There
            }
        }
    }

    fn send(&self, word: &[u8]) -> Result<(), Reader> {
        let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
        match send(self.socket.as_raw_fd(), word, flags) {
            Ok(_) => Ok(()),
            Err(Errno::EAGAIN | Errno::ENOBUFS | Errno::EINTR | Errno::EMSGSIZE) => Err(Reader::There),
            Err(_broken) => Err(Reader::Gone),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::{Word, read};
    use nix::sys::socket::recv;
    use types::Uid;

    const LEG: LegId = LegId(Uid([1; 16]));
    const OTHER: LegId = LegId(Uid([2; 16]));

    fn copying(n: u8, leg: LegId) -> Copying {
        Copying { capture: CaptureId(Uid([n; 16])), call: CallId(Uid([9; 16])), legs: vec![leg], seconds: 10 }
    }

    fn all(from: &OwnedFd) -> (usize, u32) {
        let (mut packets, mut missing, mut word) = (0, 0, [0; 2048]);
        while let Ok(length @ 1..) = recv(from.as_raw_fd(), &mut word, MsgFlags::MSG_DONTWAIT) {
            match read(&word[..length]).unwrap() {
                Word::Packet { .. } => packets += 1,
                Word::Dropped(count) => missing += count,
            }
        }
        (packets, missing)
    }

    /// Guarded by the mutant `capture-of-every-leg`.
    #[test]
    fn a_reader_that_sleeps_costs_nothing_and_is_told_what_it_missed() {
        let mut captures = Captures::default();
        let theirs = captures.begin(Monotonic(0), copying(1, LEG)).unwrap();
        assert!(captures.begin(Monotonic(0), copying(1, LEG)).is_none(), "the same again");
        let way = ("192.0.2.1:1".parse().unwrap(), "192.0.2.2:2".parse().unwrap());
        for _ in 0..5_000 {
            captures.copy(LEG, Utc(1), way, &[0; 172], 172);
            captures.copy(OTHER, Utc(1), way, &[0; 172], 172);
        }
        let (packets, missing) = all(&theirs);
        assert!(packets < 5_000 && missing == 0, "{packets}");
        captures.copy(LEG, Utc(1), way, &[0; 172], 172);
        assert_eq!(all(&theirs), (1, 5_000 - u32::try_from(packets).unwrap()), "not those of another leg");
        captures.expire(Monotonic(9_999_999_999));
        assert!(captures.wants(LEG) && !captures.wants(OTHER));
        let again = captures.going(Monotonic(8_500_000_000));
        assert_eq!(again, [Copying { seconds: 2, ..copying(1, LEG) }], "as a new life of route is told");
        assert!(captures.going(Monotonic(10_000_000_000)).is_empty());
        captures.expire(Monotonic(10_000_000_000));
        assert!(captures.is_empty(), "its time is over");
    }

    #[test]
    fn a_reader_that_goes_ends_its_capture_and_few_go_on_at_a_time() {
        let mut captures = Captures::default();
        let readers: Vec<_> = (0..10).filter_map(|n| captures.begin(Monotonic(0), copying(n, LEG))).collect();
        assert_eq!(readers.len(), CAPTURES);
        drop(readers);
        let way = ("192.0.2.1:1".parse().unwrap(), "192.0.2.2:2".parse().unwrap());
        captures.copy(LEG, Utc(1), way, &[0; 172], 172);
        assert!(captures.is_empty());
    }
}
