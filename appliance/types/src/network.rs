//! Whom an address stands for, where deeds are counted against whoever did them.

use std::net::{IpAddr, Ipv6Addr};

/// The network that one party commands: an IPv4 address (also one that is written in IPv6) is its own, an IPv6
/// address stands for its /64, because whoever has one address of it has all (RFC 4291 §2.5.4).
#[must_use]
pub fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
        v4 @ IpAddr::V4(_) => v4,
    }
}
