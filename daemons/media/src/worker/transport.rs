//! How a leg's packets come and go. UDP today; a DAHDI channel is another variant here, and io_uring another
//! way to drive the same descriptors.

use crate::error::Error;
use media_core::session::Port;
use nix::sys::epoll::{Epoll, EpollEvent, EpollFlags};
use std::{
    collections::BTreeSet,
    io,
    net::{IpAddr, SocketAddr, UdpSocket},
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

/// The descriptors of one leg.
#[derive(Debug)]
pub enum Transport {
    /// An even port for RTP and the odd one above for RTCP (RFC 3550 §11).
    Udp {
        /// RTP.
        rtp: UdpSocket,
        /// RTCP.
        rtcp: UdpSocket,
    },
}

/// The even ports that legs may have.
#[derive(Debug)]
pub struct Ports {
    bind: IpAddr,
    first: u16,
    last: u16,
    next: u16,
    taken: BTreeSet<u16>,
}

impl Ports {
    /// The ports `first` (even) to `last` (odd) of this address.
    pub const fn new(bind: IpAddr, first: u16, last: u16) -> Self {
        Self { bind, first, last, next: first, taken: BTreeSet::new() }
    }

    /// The next free pair. Ports are used in turn, so that packets of a call that ended meet nobody.
    ///
    /// # Errors
    /// [`Error::NoPort`] where none is free.
    pub fn open(&mut self) -> Result<(u16, Transport), Error> {
        for _ in 0..(self.last - self.first).div_ceil(2) {
            let port = self.next;
            self.next = if port + 3 > self.last { self.first } else { port + 2 };
            if self.taken.contains(&port) {
                continue;
            }
            // Another program may hold one of the two.
            let pair = bind(self.bind, port).and_then(|rtp| Ok((rtp, bind(self.bind, port + 1)?)));
            if let Ok((rtp, rtcp)) = pair {
                self.taken.insert(port);
                return Ok((port, Transport::Udp { rtp, rtcp }));
            }
        }
        Err(Error::NoPort { first: self.first, last: self.last })
    }

    /// Takes note of a pair that an earlier life opened, in either order.
    pub fn reopen(&mut self, pair: Vec<OwnedFd>) -> Result<(u16, Transport), Error> {
        let attempted = Error::system("asking a kept socket for its port");
        let mut pair = pair
            .into_iter()
            .map(|one| {
                let socket = UdpSocket::from(one);
                socket.local_addr().map(|address| (address.port(), socket))
            })
            .collect::<io::Result<Vec<_>>>()
            .map_err(&attempted)?;
        pair.sort_by_key(|(port, _)| *port);
        let odd = io::Error::new(io::ErrorKind::InvalidData, "it is not one of a pair");
        let [(port, rtp), (above, rtcp)] = pair.try_into().map_err(|_other| attempted(odd))?;
        if above != port + 1 {
            let apart = io::Error::new(io::ErrorKind::InvalidData, "the two are not side by side");
            return Err(attempted(apart));
        }
        self.taken.insert(port);
        Ok((port, Transport::Udp { rtp, rtcp }))
    }

    /// The pair is free again.
    pub fn release(&mut self, port: u16) {
        self.taken.remove(&port);
    }
}

impl Transport {
    /// Takes one datagram, which lies in `buffer` then.
    pub fn receive(&self, port: Port, buffer: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        self.socket(port).recv_from(buffer)
    }

    /// Sends one datagram, or drops it where the kernel has no room: late audio is no audio.
    pub fn send(&self, port: Port, to: SocketAddr, datagram: &[u8]) -> io::Result<()> {
        self.socket(port).send_to(datagram, to).map(|_| ())
    }

    /// Watches both descriptors: the RTCP one under the next token.
    pub fn watch(&self, epoll: &Epoll, token: u64) -> Result<(), Error> {
        for (port, token) in [(Port::Rtp, token), (Port::Rtcp, token + 1)] {
            epoll
                .add(self.socket(port), EpollEvent::new(EpollFlags::EPOLLIN, token))
                .map_err(Error::errno("watching an RTP socket"))?;
        }
        Ok(())
    }

    /// A descriptor, to be kept by the supervisor.
    pub fn descriptor(&self, port: Port) -> BorrowedFd<'_> {
        self.socket(port).as_fd()
    }

    const fn socket(&self, port: Port) -> &UdpSocket {
        match (self, port) {
            (Self::Udp { rtp, .. }, Port::Rtp) => rtp,
            (Self::Udp { rtcp, .. }, Port::Rtcp) => rtcp,
        }
    }
}

fn bind(address: IpAddr, port: u16) -> io::Result<UdpSocket> {
    let socket = UdpSocket::bind((address, port))?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    #[test]
    fn pairs_go_round_and_skip_what_others_hold() {
        let mut ports = Ports::new(Ipv4Addr::LOCALHOST.into(), 28_100, 28_107);
        let foreign = UdpSocket::bind((Ipv4Addr::LOCALHOST, 28_103)).unwrap();
        let opened: Vec<_> = (0..3).map(|_| ports.open().unwrap()).collect();
        assert_eq!(opened.iter().map(|(port, _)| *port).collect::<Vec<_>>(), [28_100, 28_104, 28_106]);
        assert!(matches!(ports.open(), Err(Error::NoPort { first: 28_100, last: 28_107 })));
        drop((opened, foreign));
        ports.release(28_104);
        assert_eq!(ports.open().unwrap().0, 28_102, "the next in turn");
    }
}
