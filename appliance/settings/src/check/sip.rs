//! `[sip]`: addresses, networks, trunks and phones that fit together.

use super::{Finding, Path, limits::within, listened, reachable, reached, twice};
use crate::sip::{MAIN, Network, Sip, Transport, Trunk};
use crate::{Period, Settings};
use std::net::SocketAddr;

/// Most addresses: each of `bind` is two sockets, and what lies beyond is a mistake rather than a house.
const MOST_ADDRESSES: usize = 32;

pub(super) fn addresses(settings: &Settings, findings: &mut Vec<Finding>) {
    let sip = &settings.sip;
    let path = Path::new("sip");
    let all: Vec<_> = bound(sip).collect();
    if all.is_empty() {
        findings.push(path.key("bind").says("settings.bind-none", []));
    }
    if all.len() > MOST_ADDRESSES {
        let most = ("most", MOST_ADDRESSES.to_string());
        findings.push(path.key("bind").says("settings.bind-many", [most]));
    }
    twice(findings, all.into_iter());
    for (network, path) in networks(sip) {
        reached(findings, network.advertised, path.key("advertised"));
        let any = |list: &[SocketAddr]| list.iter().position(|address| address.ip().is_unspecified());
        for (list, key) in [(&network.bind, "bind"), (&network.tls, "tls")] {
            for (at, address) in list.iter().enumerate() {
                listened(findings, *address, path.item(key, at));
            }
            if let Some(at) = any(list).filter(|_| network.advertised.is_none()) {
                findings.push(path.item(key, at).says("settings.advertise", [("section", path.to_string())]));
            }
        }
    }
    if sip.realm.is_empty() || sip.realm.chars().any(|c| c.is_control() || matches!(c, '"' | '\\')) {
        findings.push(path.key("realm").says("settings.realm", []));
    }
    if sip.digest.is_empty() {
        findings.push(path.key("digest").says("settings.digest-none", []));
    }
    let hashes = sip.digest.iter().enumerate();
    let name = |digest| serde_json::to_value(digest).ok().and_then(|v| v.as_str().map(str::to_owned));
    twice(findings, hashes.map(|(at, d)| (name(d).unwrap_or_default(), path.item("digest", at))));
    let limits = path.key("limits");
    within(findings, limits.key("messages"), sip.limits.messages, 5..=10_000);
    within(findings, limits.key("connections"), sip.limits.connections, 1..=1_000);
    within(findings, limits.key("failures"), sip.limits.failures, 3..=1_000);
    if sip.phone_check != Period::seconds(0) {
        within(findings, path.key("phone_check"), sip.phone_check, Period::seconds(5)..=Period::hours(1));
    }
    within(findings, path.key("phone_check_failures"), sip.phone_check_failures, 1..=20);
}

pub(super) fn names(settings: &Settings, findings: &mut Vec<Finding>) {
    let sip = &settings.sip;
    let path = Path::new("sip");
    let own = sip.networks.iter().enumerate();
    twice(findings, own.map(|(at, network)| (&network.name, path.item("networks", at).key("name"))));
    for (at, network) in sip.networks.iter().enumerate() {
        let path = path.item("networks", at);
        if network.name.as_str() == MAIN {
            findings.push(path.key("name").says("settings.network-main", []));
        }
        if network.bind.is_empty() && network.tls.is_empty() {
            findings.push(path.key("bind").says("settings.bind-none", []));
        }
    }
    let known = |name: &types::Name| sip.all_networks().any(|network| network.name == *name);
    let phones = || sip.phones.iter().enumerate().map(|(at, phone)| (phone, path.item("phones", at)));
    twice(findings, phones().map(|(phone, path)| (&phone.extension, path.key("extension"))));
    let trunks = sip.trunks.iter().enumerate().map(|(at, trunk)| (&trunk.network, path.item("trunks", at)));
    for (name, path) in phones().map(|(phone, path)| (&phone.network, path)).chain(trunks) {
        if let Some(name) = name.as_ref().filter(|name| !known(name)) {
            let name = ("name", name.to_string());
            findings.push(path.key("network").says("settings.network-unknown", [name]));
        }
    }
}

pub(super) fn trunks(settings: &Settings, findings: &mut Vec<Finding>) {
    let sip = &settings.sip;
    let path = Path::new("sip");
    let trunks = || sip.trunks.iter().enumerate().map(|(at, trunk)| (trunk, path.item("trunks", at)));
    twice(findings, trunks().map(|(trunk, path)| (&trunk.name, path.key("name"))));
    // Two accounts at one carrier are told apart by their numbers; two lines without one are not.
    let plain = trunks().filter(|(trunk, _)| trunk.account.is_none());
    twice(findings, plain.map(|(trunk, path)| (trunk.address, path.key("address"))));
    for (trunk, path) in trunks() {
        let standby = trunk.standby.iter().enumerate().map(|(at, a)| (*a, path.item("standby", at)));
        let targets: Vec<_> = [(trunk.address, path.key("address"))].into_iter().chain(standby).collect();
        twice(findings, targets.iter().map(|(address, path)| (*address, path.clone())));
        for (address, path) in targets {
            if !reachable(address.ip()) || address.port() == 0 {
                findings.push(path.says("settings.trunk-address", []));
            } else if !reaches(sip, trunk, address) {
                let transport = match trunk.transport {
                    Transport::Udp | Transport::Tcp => "bind",
                    Transport::Tls => "tls",
                };
                let network = trunk.network.as_ref().map_or_else(|| MAIN.to_owned(), ToString::to_string);
                let args = [("network", network), ("list", transport.to_owned())];
                findings.push(path.says("settings.trunk-unreachable", args));
            }
        }
        verification(trunk, &path, findings);
        account(trunk, &path, findings);
        if trunk.check != Period::seconds(0) {
            within(findings, path.key("check"), trunk.check, Period::seconds(5)..=Period::hours(1));
        }
        within(findings, path.key("check_failures"), trunk.check_failures, 1..=20);
    }
}

/// Every bound address and where it stands.
pub(super) fn bound(sip: &Sip) -> impl Iterator<Item = (SocketAddr, Path)> {
    networks(sip).into_iter().flat_map(|(network, path)| {
        let lists = [(network.bind, "bind"), (network.tls, "tls")];
        lists.into_iter().flat_map(move |(list, key)| {
            let path = path.clone();
            list.into_iter().enumerate().map(move |(at, address)| (address, path.item(key, at)))
        })
    })
}

fn networks(sip: &Sip) -> Vec<(Network, Path)> {
    let path = Path::new("sip");
    let place = |at: usize| if at == 0 { path.clone() } else { path.item("networks", at - 1) };
    sip.all_networks().enumerate().map(|(at, network)| (network, place(at))).collect()
}

/// Whether the trunk's network has an address from which its carrier can be reached; one that does not exist is
/// told of elsewhere.
fn reaches(sip: &Sip, trunk: &Trunk, address: SocketAddr) -> bool {
    let named = |network: &Network| match &trunk.network {
        Some(name) => network.name == *name,
        None => network.name.as_str() == MAIN,
    };
    let Some(network) = sip.all_networks().find(named) else { return true };
    let list = if trunk.transport == Transport::Tls { network.tls } else { network.bind };
    list.iter().any(|bound| bound.is_ipv4() == address.is_ipv4())
}

fn verification(trunk: &Trunk, path: &Path, findings: &mut Vec<Finding>) {
    let path = path.key("tls");
    let Some(tls) = &trunk.tls else {
        if trunk.transport == Transport::Tls {
            findings.push(path.says("settings.trunk-unverified", []));
        }
        return;
    };
    if trunk.transport != Transport::Tls {
        findings.push(path.clone().says("settings.trunk-no-tls", []));
    } else if tls.authorities.is_none() && tls.pin.is_none() {
        findings.push(path.clone().says("settings.trunk-unverified", []));
    }
    let hexadecimal = |pin: &String| pin.len() == 64 && pin.bytes().all(|b| b.is_ascii_hexdigit());
    if tls.pin.as_ref().is_some_and(|pin| !hexadecimal(pin)) {
        findings.push(path.key("pin").says("settings.pin", []));
    }
    if tls.server_name.as_ref().is_some_and(|name| !is_host(name)) {
        findings.push(path.key("server_name").says("settings.host", []));
    }
}

fn account(trunk: &Trunk, path: &Path, findings: &mut Vec<Finding>) {
    let Some(account) = &trunk.account else { return };
    let path = path.key("account");
    let word = |text: &str| {
        (1..=128).contains(&text.len())
            && text.chars().all(|c| c.is_ascii_graphic() && !"\"\\<>@".contains(c))
    };
    for (text, key) in [(Some(&account.user), "user"), (account.login.as_ref(), "login")] {
        // A login may have the form of an address.
        if text.is_some_and(|text| !word(&text.replace('@', "a"))) {
            findings.push(path.key(key).says("settings.account-word", []));
        }
    }
    if account.domain.as_ref().is_some_and(|domain| !is_host(domain)) {
        findings.push(path.key("domain").says("settings.host", []));
    }
    within(findings, path.key("expires"), account.expires, Period::minutes(1)..=Period::days(7));
}

/// A DNS name or an address.
fn is_host(name: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    name.len() <= 253 && name.split('.').all(label)
}
