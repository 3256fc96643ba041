//! The section `[sip]` as the core wants it.

use settings::{
    Period,
    sip::{Digest, MAIN, Redirects, Sip, Transport},
};
use sip_core::{
    Account, Bounds, Check, Limits, Listener, Network, Phone, Prefix, Protocol, Settings, Trunk,
    digest::{Algorithm, Credentials},
};
use std::net::{IpAddr, SocketAddr, UdpSocket};
use types::Name;

/// One socket that listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Its network's name.
    pub network: Name,
    /// What it takes.
    pub protocol: Protocol,
    /// Where.
    pub address: SocketAddr,
    advertised: Option<IpAddr>,
}

/// Every socket that the settings ask for, in the order in which flows number them.
pub fn places(section: &Sip) -> Vec<Place> {
    let networks: Vec<_> = section.all_networks().collect();
    let of = |protocol: Protocol| {
        networks.iter().flat_map(move |network| {
            let list = if protocol == Protocol::Tls { &network.tls } else { &network.bind };
            list.iter().map(move |address| Place {
                network: network.name.clone(),
                protocol,
                address: *address,
                advertised: network.advertised,
            })
        })
    };
    // Datagrams first: a network that is added behind the others moves none of their numbers.
    [Protocol::Udp, Protocol::Tcp, Protocol::Tls].into_iter().flat_map(of).collect()
}

/// The networks by number: as they were when the sockets were bound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Networks(Vec<Name>);

impl Networks {
    /// Those of the settings.
    pub fn of(section: &Sip) -> Self {
        Self(section.all_networks().map(|network| network.name).collect())
    }

    /// The number of a network; one that is not bound yet has a number that nothing else has.
    fn number(&self, name: Option<&Name>) -> Network {
        let wanted = name.map_or(MAIN, Name::as_str);
        let at = self.0.iter().position(|known| known.as_str() == wanted);
        Network(at.and_then(|at| u8::try_from(at).ok()).unwrap_or(u8::MAX))
    }
}

/// What the core is to obey.
pub fn settings(section: &Sip, networks: &Networks, listeners: Vec<Listener>) -> Settings {
    let trunks = section.trunks.iter().map(|trunk| trunk_of(trunk, networks));
    let phones = section.phones.iter().map(|phone| Phone {
        extension: phone.extension.clone(),
        password: phone.password.reveal().to_owned(),
        network: networks.number(phone.network.as_ref()),
    });
    let limits = Limits {
        messages: section.limits.messages,
        connections: usize::try_from(section.limits.connections).unwrap_or(usize::MAX),
        failures: section.limits.failures,
    };
    Settings {
        listeners,
        realm: section.realm.clone(),
        algorithms: section.digest.iter().map(algorithm).collect(),
        trunks: trunks.collect(),
        phones: phones.collect(),
        phone_check: check(section.phone_check, section.phone_check_failures),
        bounds: Bounds::default(),
        limits,
    }
}

fn trunk_of(trunk: &settings::sip::Trunk, networks: &Networks) -> Trunk {
    let account = trunk.account.as_ref().map(|account| Account {
        credentials: Credentials {
            user: account.login.as_ref().unwrap_or(&account.user).clone(),
            password: account.password.reveal().to_owned(),
        },
        user: account.user.clone(),
        domain: account.domain.clone().unwrap_or_else(|| host(trunk.address.ip())),
        register: account.register.then(|| account.expires.duration()),
    });
    Trunk {
        id: trunk.name.clone(),
        network: networks.number(trunk.network.as_ref()),
        protocol: match trunk.transport {
            Transport::Udp => Protocol::Udp,
            Transport::Tcp => Protocol::Tcp,
            Transport::Tls => Protocol::Tls,
        },
        targets: [trunk.address].into_iter().chain(trunk.standby.iter().copied()).collect(),
        sources: trunk.sources.iter().map(|p| Prefix { address: p.address(), bits: p.bits() }).collect(),
        account,
        check: check(trunk.check, trunk.check_failures),
        redirects: match trunk.redirects {
            Redirects::Refused => sip_core::Redirects::Refused,
            Redirects::Trunk => sip_core::Redirects::Trunk,
            Redirects::Anywhere => sip_core::Redirects::Anywhere,
        },
    }
}

/// How signs of life are asked for; none where the interval is nothing.
fn check(every: Period, failures: u32) -> Option<Check> {
    let every = every.duration();
    (!every.is_zero()).then_some(Check { every, failures })
}

/// An address as the host of a URI.
fn host(ip: IpAddr) -> String {
    if ip.is_ipv6() { format!("[{ip}]") } else { ip.to_string() }
}

const fn algorithm(digest: &Digest) -> Algorithm {
    match digest {
        Digest::Md5 => Algorithm::Md5,
        Digest::Sha256 => Algorithm::Sha256,
        Digest::Sha512_256 => Algorithm::Sha512_256,
    }
}

/// How others reach each of our sockets: the advertised address, else the bound one, else the one from which
/// this machine would send.
pub fn listeners(places: &[(Place, SocketAddr)], networks: &Networks) -> Vec<Listener> {
    let advertised = |place: &Place, bound: &SocketAddr| match place.advertised {
        Some(ip) if ip.is_ipv4() == bound.is_ipv4() => ip,
        _ if bound.ip().is_unspecified() => outward(bound.ip()).unwrap_or(bound.ip()),
        _ => bound.ip(),
    };
    let listener = |(place, bound): &(Place, SocketAddr)| Listener {
        network: networks.number(Some(&place.network)),
        protocol: place.protocol,
        advertised: SocketAddr::new(advertised(place, bound), bound.port()),
    };
    places.iter().map(listener).collect()
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

    fn shown(section: &Sip) -> Vec<String> {
        let places: Vec<_> = places(section).into_iter().map(|p| (p.clone(), p.address)).collect();
        let all = listeners(&places, &Networks::of(section));
        all.iter().map(|l| format!("{} {:?} {}", l.network.0, l.protocol, l.advertised)).collect()
    }

    #[test]
    fn an_advertised_address_stands_in_place_of_the_bound_one() {
        let mut section = Sip { advertised: Some("203.0.113.1".parse().unwrap()), ..Sip::default() };
        section.bind = vec!["10.0.0.1:5060".parse().unwrap(), "[::1]:5080".parse().unwrap()];
        let all = shown(&section);
        assert_eq!(all[..2], ["0 Udp 203.0.113.1:5060", "0 Udp [::1]:5080"]);
        section.advertised = None;
        assert_eq!(shown(&section)[0], "0 Udp 10.0.0.1:5060");
        section.bind = vec!["0.0.0.0:5060".parse().unwrap()];
        assert!(shown(&section)[0].ends_with(":5060"));
    }

    #[test]
    fn each_network_has_its_sockets_and_its_advertised_address() {
        let text = "[sip]\nbind = [\"10.1.0.5:5060\"]\ntls = [\"10.1.0.5:5061\"]\n\
            [[sip.networks]]\nname = \"carrier\"\nbind = [\"192.0.2.10:5060\"]\nadvertised = \"203.0.113.9\"\n\
            [[sip.trunks]]\nname = \"line\"\naddress = \"198.51.100.1:5060\"\nnetwork = \"carrier\"\n";
        let section = settings::Settings::parse(text).ok().unwrap().sip;
        assert_eq!(
            shown(&section),
            [
                "0 Udp 10.1.0.5:5060",
                "1 Udp 203.0.113.9:5060",
                "0 Tcp 10.1.0.5:5060",
                "1 Tcp 203.0.113.9:5060",
                "0 Tls 10.1.0.5:5061",
            ]
        );
        let networks = Networks::of(&section);
        assert_eq!(super::settings(&section, &networks, Vec::new()).trunks[0].network, Network(1));
        assert_eq!(Networks::of(&Sip::default()).number(Some(&"carrier".parse().unwrap())), Network(u8::MAX));
    }
}
