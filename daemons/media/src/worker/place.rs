//! The descriptors of legs: opened, watched, kept over the end of the process, and given up.

use super::{Kept, Worker, transport::Transport};
use crate::error::Error;
use media_core::{
    Input,
    rtp::{Seed, Ssrc},
    session::Port,
    srtp::Keying,
};
use service::clock;
use types::LegId;

/// A leg's descriptors; its place in the list is its token.
pub(super) struct Place {
    pub leg: LegId,
    pub port: u16,
    pub transport: Transport,
}

impl Worker {
    /// Ports and random beginnings for a leg; those of a known one are not looked at.
    pub(super) fn prepare(&mut self, leg: LegId, known: bool) -> Result<(u16, Seed, u64, Keying), Error> {
        let mut random = [0; 18 + Keying::LENGTH];
        gm::random(&mut random).map_err(|error| {
            Error::system("drawing random numbers")(std::io::Error::other(error.to_string()))
        })?;
        let [s0, s1, s2, s3, q0, q1, t0, t1, t2, t3, n0, n1, n2, n3, n4, n5, n6, n7, keys @ ..] = random;
        let seed = Seed {
            ssrc: Ssrc(u32::from_be_bytes([s0, s1, s2, s3])),
            sequence: u16::from_be_bytes([q0, q1]),
            timestamp: u32::from_be_bytes([t0, t1, t2, t3]),
        };
        // 63 bits: some peers read it as a signed number.
        let session = u64::from_be_bytes([n0, n1, n2, n3, n4, n5, n6, n7]) >> 1;
        let keying = Keying::new(keys);
        if known {
            return Ok((self.ports_of(leg), seed, session, keying));
        }
        let (port, transport) = self.ports.open()?;
        self.keeper.keep(&name(leg), &[Port::Rtp, Port::Rtcp].map(|port| transport.descriptor(port)));
        self.place(leg, port, transport)?;
        Ok((port, seed, session, keying))
    }

    fn ports_of(&self, leg: LegId) -> u16 {
        let place = self.by_leg.get(&leg).and_then(|at| self.places.get(*at)?.as_ref());
        place.map_or(0, |place| place.port)
    }

    fn place(&mut self, leg: LegId, port: u16, transport: Transport) -> Result<(), Error> {
        let at = self.places.iter().position(Option::is_none).unwrap_or(self.places.len());
        transport.watch(&self.epoll, at as u64 * 2)?;
        let place = Some(Place { leg, port, transport });
        match self.places.get_mut(at) {
            Some(free) => *free = place,
            None => self.places.push(place),
        }
        self.by_leg.insert(leg, at);
        Ok(())
    }

    /// Closes a leg's descriptors, here and where they are kept.
    pub(super) fn release(&mut self, leg: LegId) {
        let place = self.by_leg.remove(&leg).and_then(|at| self.places.get_mut(at)?.take());
        if let Some(place) = place {
            self.keeper.forget(&name(leg));
            self.ports.release(place.port);
        }
    }

    /// Gives each leg of the kept state its kept sockets; a leg without sockets and sockets without a leg end.
    pub(super) fn take_over(&mut self, mut kept: Kept) -> Result<(), Error> {
        let legs: Vec<_> = self.core.legs().map(|leg| (leg.leg, leg.tapped)).collect();
        for (leg, tapped) in legs {
            let reopened = kept.remove(&name(leg)).map(|pair| self.ports.reopen(pair));
            match reopened {
                Some(Ok((port, transport))) => {
                    self.place(leg, port, transport)?;
                    if let Some(recording) = tapped {
                        self.feed(recording);
                    }
                }
                Some(Err(error)) => {
                    tracing::error!(%leg, %error, "a leg ends: its sockets cannot be used");
                    self.follow(clock::monotonic(), Input::Close(leg));
                }
                None => {
                    tracing::error!(%leg, "a leg ends: its sockets were not kept");
                    self.follow(clock::monotonic(), Input::Close(leg));
                }
            }
        }
        for name in kept.keys() {
            self.keeper.forget(name);
        }
        Ok(())
    }
}

/// The name under which a leg's two descriptors are kept.
fn name(leg: LegId) -> String {
    format!("rtp.{leg}")
}
