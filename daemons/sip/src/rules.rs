//! The section `[sip]` as the core wants it.

use settings::sip::Sip;
use sip_core::{Bounds, Listener, Phone, Settings, Trunk, digest::Algorithm};
use std::net::{IpAddr, SocketAddr, UdpSocket};

/// What phones are challenged with. RFC 8760 has the stronger ones offered beside MD5, but many phones give
/// up at the sight of a challenge they do not know (baresip 1.0: "Function not implemented"), so a stronger
/// one needs a house whose phones all know it: the core takes any list.
const DIGESTS: [Algorithm; 1] = [Algorithm::Md5];

/// What the core is to obey.
pub fn settings(section: &Sip, listeners: Vec<Listener>) -> Settings {
    let trunks = section.trunks.iter().map(|trunk| Trunk { id: trunk.name.clone(), address: trunk.address });
    let phones = section.phones.iter().map(|phone| Phone {
        extension: phone.extension.clone(),
        password: phone.password.reveal().to_owned(),
    });
    Settings {
        listeners,
        realm: section.realm.clone(),
        algorithms: DIGESTS.to_vec(),
        trunks: trunks.collect(),
        phones: phones.collect(),
        bounds: Bounds::default(),
    }
}

/// How others reach each of our sockets: the advertised address, else the bound one, else the one from which
/// this machine would send.
pub fn listeners(section: &Sip, bound: &[SocketAddr]) -> Vec<Listener> {
    let advertised = |bound: &SocketAddr| match section.advertised {
        Some(ip) if ip.is_ipv4() == bound.is_ipv4() => ip,
        _ if bound.ip().is_unspecified() => outward(bound.ip()).unwrap_or(bound.ip()),
        _ => bound.ip(),
    };
    bound.iter().map(|addr| Listener { advertised: SocketAddr::new(advertised(addr), addr.port()) }).collect()
}

/// The address from which the kernel would send to the world; a connected UDP socket sends nothing by itself.
fn outward(any: IpAddr) -> Option<IpAddr> {
    // TEST-NET-1 (RFC 5737) and the documentation prefix (RFC 3849): routed like any address far away.
    let far = if any.is_ipv4() { "192.0.2.1:9" } else { "[2001:db8::1]:9" };
    let socket = UdpSocket::bind((any, 0)).ok()?;
    socket.connect(far).ok()?;
    Some(socket.local_addr().ok()?.ip())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_advertised_address_stands_in_place_of_the_bound_one() {
        let bound = ["10.0.0.1:5060".parse().unwrap(), "[::1]:5080".parse().unwrap()];
        let mut section = Sip { advertised: Some("203.0.113.1".parse().unwrap()), ..Sip::default() };
        let shown: Vec<_> =
            listeners(&section, &bound).into_iter().map(|l| l.advertised.to_string()).collect();
        assert_eq!(shown, ["203.0.113.1:5060", "[::1]:5080"]);
        section.advertised = None;
        assert_eq!(listeners(&section, &bound)[0].advertised, bound[0]);
        let any = listeners(&section, &["0.0.0.0:5060".parse().unwrap()])[0].advertised;
        assert_eq!(any.port(), 5060);
    }
}
