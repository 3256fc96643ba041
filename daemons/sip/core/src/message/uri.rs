//! URIs (RFC 3261 §19.1, RFC 3966).

use super::{Fault, Params, grammar::number};
use serde::{Deserialize, Serialize};
use std::net::{IpAddr, SocketAddr};

/// Longest URI taken.
const MAX_URI: usize = 1024;

/// A URI; what it is not made of is kept as it came.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Uri {
    /// `sip:` or `sips:`.
    Sip(SipUri),
    /// `tel:` (RFC 3966).
    Tel(TelUri),
    /// Any other scheme, whole.
    Other(Vec<u8>),
}

/// Whether TLS is asked for on every hop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Scheme {
    /// `sip:`
    Sip,
    /// `sips:`
    Sips,
}

/// A `sip:` or `sips:` URI.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SipUri {
    /// `sip:` or `sips:`.
    pub scheme: Scheme,
    /// What stands before `@`, password included, escapes as written.
    pub user: Option<Vec<u8>>,
    /// Name or address; an IPv6 address with its brackets.
    pub host: Vec<u8>,
    /// The port, where written.
    pub port: Option<u16>,
    /// URI parameters.
    pub params: Params,
    /// What follows `?`, as written.
    pub headers: Option<Vec<u8>>,
}

/// A `tel:` URI.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TelUri {
    /// The number as written, visual separators included.
    pub number: Vec<u8>,
    /// Its parameters.
    pub params: Params,
}

impl Uri {
    /// Parses a URI that fills `bytes`: no white space, no brackets, no control characters.
    pub fn parse(bytes: &[u8]) -> Result<Self, Fault> {
        if bytes.len() > MAX_URI {
            return Err(Fault::TooLarge);
        }
        if bytes.iter().any(|b| *b <= b' ' || b"<>\"\x7f".contains(b)) {
            return Err(Fault::Uri);
        }
        let colon = bytes.iter().position(|b| *b == b':').ok_or(Fault::Uri)?;
        let (scheme, rest) = (&bytes[..colon], &bytes[colon + 1..]);
        let sound = scheme.iter().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(b));
        if !sound || !scheme.first().is_some_and(u8::is_ascii_alphabetic) || rest.is_empty() {
            return Err(Fault::Uri);
        }
        match scheme.to_ascii_lowercase().as_slice() {
            b"sip" => SipUri::parse(Scheme::Sip, rest).map(Self::Sip),
            b"sips" => SipUri::parse(Scheme::Sips, rest).map(Self::Sip),
            b"tel" => TelUri::parse(rest).map(Self::Tel),
            _ => Ok(Self::Other(bytes.to_vec())),
        }
    }

    /// The called or calling number: the user part of a SIP URI without password and parameters, or the
    /// digits of a `tel:` URI; escapes resolved.
    pub fn number(&self) -> Option<Vec<u8>> {
        match self {
            Self::Sip(uri) => {
                let user = uri.user.as_deref()?;
                let end = user.iter().position(|b| b":;".contains(b)).unwrap_or(user.len());
                Some(unescape(&user[..end]))
            }
            Self::Tel(uri) => Some(uri.number.iter().copied().filter(|b| !b"-.()".contains(b)).collect()),
            Self::Other(_) => None,
        }
    }

    /// A header field that the URI carries (RFC 3261 §19.1.1), escapes resolved.
    pub fn header(&self, name: &str) -> Option<Vec<u8>> {
        let Self::Sip(SipUri { headers: Some(headers), .. }) = self else { return None };
        headers.split(|b| *b == b'&').find_map(|field| {
            let equals = field.iter().position(|b| *b == b'=')?;
            let is = unescape(&field[..equals]).eq_ignore_ascii_case(name.as_bytes());
            is.then(|| unescape(&field[equals + 1..]))
        })
    }

    /// Where the URI points without a look-up: its address, if it is written as one.
    pub fn socket_addr(&self) -> Option<SocketAddr> {
        let Self::Sip(uri) = self else { return None };
        let default = if uri.scheme == Scheme::Sips { 5061 } else { 5060 };
        Some(SocketAddr::new(host_ip(&uri.host)?, uri.port.unwrap_or(default)))
    }

    /// The value of a URI parameter; `Some(b"")` for one without a value.
    pub fn param(&self, name: &str) -> Option<&[u8]> {
        match self {
            Self::Sip(SipUri { params, .. }) | Self::Tel(TelUri { params, .. }) => {
                params.has(name).then(|| params.value(name).unwrap_or_default())
            }
            Self::Other(_) => None,
        }
    }

    /// The URI of `user` at an address of ours.
    pub fn at(user: Option<&[u8]>, addr: SocketAddr) -> Self {
        let host = match addr.ip() {
            IpAddr::V4(ip) => ip.to_string(),
            IpAddr::V6(ip) => format!("[{ip}]"),
        };
        Self::Sip(SipUri {
            scheme: Scheme::Sip,
            user: user.map(escape),
            host: host.into_bytes(),
            port: Some(addr.port()),
            params: Params::default(),
            headers: None,
        })
    }

    /// The same over that protocol.
    #[must_use]
    pub fn over(mut self, protocol: crate::flow::Protocol) -> Self {
        if let (Self::Sip(uri), Some(transport)) = (&mut self, protocol.parameter()) {
            uri.params.set("transport", Some(transport.as_bytes()));
        }
        self
    }

    /// The same at a host or domain of that name, without a port; as it is where that is no name.
    #[must_use]
    pub fn named(mut self, host: &str) -> Self {
        if let (Self::Sip(uri), Some((host, port))) = (&mut self, host_port(host.as_bytes())) {
            (uri.host, uri.port) = (host.to_vec(), port);
        }
        self
    }

    /// The URI as it stands on the wire.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.write(&mut out);
        out
    }

    pub(super) fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Sip(uri) => uri.write(out),
            Self::Tel(uri) => {
                out.extend_from_slice(b"tel:");
                out.extend_from_slice(&uri.number);
                uri.params.write(out);
            }
            Self::Other(bytes) => out.extend_from_slice(bytes),
        }
    }
}

impl SipUri {
    fn parse(scheme: Scheme, rest: &[u8]) -> Result<Self, Fault> {
        // The user part may hold `;`, `?` and `/` (RFC 4475 §3.1.1.2), so it is cut off first.
        let (user, rest) = match rest.iter().position(|b| *b == b'@') {
            Some(0) => return Err(Fault::Uri),
            Some(at) => (Some(rest[..at].to_vec()), &rest[at + 1..]),
            None => (None, rest),
        };
        let (rest, headers) = match rest.iter().position(|b| *b == b'?') {
            Some(at) => (&rest[..at], Some(rest[at + 1..].to_vec())),
            None => (rest, None),
        };
        let (hostport, params) = match rest.iter().position(|b| *b == b';') {
            Some(at) => (&rest[..at], Params::parse(&rest[at + 1..])?),
            None => (rest, Params::default()),
        };
        let (host, port) = host_port(hostport).ok_or(Fault::Uri)?;
        Ok(Self { scheme, user, host: host.to_vec(), port, params, headers })
    }

    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(if self.scheme == Scheme::Sips { b"sips:" } else { b"sip:" });
        if let Some(user) = &self.user {
            out.extend_from_slice(user);
            out.push(b'@');
        }
        out.extend_from_slice(&self.host);
        if let Some(port) = self.port {
            out.extend_from_slice(format!(":{port}").as_bytes());
        }
        self.params.write(out);
        if let Some(headers) = &self.headers {
            out.push(b'?');
            out.extend_from_slice(headers);
        }
    }
}

impl TelUri {
    fn parse(rest: &[u8]) -> Result<Self, Fault> {
        let (number, params) = match rest.iter().position(|b| *b == b';') {
            Some(at) => (&rest[..at], Params::parse(&rest[at + 1..])?),
            None => (rest, Params::default()),
        };
        let digits = number.strip_prefix(b"+").unwrap_or(number);
        let sound = digits.iter().all(|b| b.is_ascii_hexdigit() || b"*#-.()".contains(b));
        if digits.is_empty() || !sound {
            return Err(Fault::Uri);
        }
        Ok(Self { number: number.to_vec(), params })
    }
}

/// `host[:port]`, an IPv6 address in brackets.
pub(super) fn host_port(bytes: &[u8]) -> Option<(&[u8], Option<u16>)> {
    let end = match bytes.first()? {
        b'[' => bytes.iter().position(|b| *b == b']')? + 1,
        _ => bytes.iter().position(|b| *b == b':').unwrap_or(bytes.len()),
    };
    let (host, rest) = (bytes[..end].trim_ascii(), bytes[end..].trim_ascii());
    let sound = match host {
        [b'[', ..] => host_ip(host).is_some(),
        _ => host.iter().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(b)) && !host.is_empty(),
    };
    let port = match rest {
        [] => None,
        [b':', digits @ ..] => Some(u16::try_from(number(digits.trim_ascii(), 65535)?).ok()?),
        _ => return None,
    };
    sound.then_some((host, port))
}

/// The address that a host is written as; `None` for a name.
pub(super) fn host_ip(host: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(host).ok()?;
    match text.strip_prefix('[') {
        Some(rest) => Some(IpAddr::V6(rest.strip_suffix(']')?.parse().ok()?)),
        None => Some(IpAddr::V4(text.parse().ok()?)),
    }
}

fn unescape(bytes: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let [first, tail @ ..] = rest {
        let digits = tail.get(..2).and_then(|two| std::str::from_utf8(two).ok());
        match digits.and_then(|two| u8::from_str_radix(two, 16).ok()) {
            Some(byte) if *first == b'%' => {
                plain.push(byte);
                rest = &tail[2..];
            }
            _ => {
                plain.push(*first);
                rest = tail;
            }
        }
    }
    plain
}

fn escape(user: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(user.len());
    for byte in user {
        if byte.is_ascii_alphanumeric() || b"-_.!~*'()&=+$,/".contains(byte) {
            out.push(*byte);
        } else {
            out.extend_from_slice(format!("%{byte:02X}").as_bytes());
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trips() {
        for text in [
            "sip:8001@192.0.2.1:5070;transport=udp;lr",
            "sips:user;par=u%40example.net@example.com",
            "sip:[2001:db8::1]:5060",
            "tel:+86-10-5555;phone-context=+86",
            "sip:example.com?Subject=x",
            "isbn:2983792873",
        ] {
            assert_eq!(Uri::parse(text.as_bytes()).unwrap().to_bytes(), text.as_bytes());
        }
    }

    #[test]
    fn refuses_what_is_no_uri() {
        for text in [
            "",
            "sip:",
            "8001@host",
            "sip:@host",
            "sip:a@",
            "sip:a@h:99999",
            "<sip:a@h>",
            "sip:a b@h",
            "tel:",
            "sip:[::1",
        ] {
            assert!(Uri::parse(text.as_bytes()).is_err(), "{text}");
        }
    }

    #[test]
    fn numbers_and_addresses() {
        let uri = Uri::parse(b"sip:%2B861088:secret@192.0.2.1").unwrap();
        assert_eq!(uri.number().unwrap(), b"+861088");
        let refer_to = Uri::parse(b"sip:8002@h?a=b&replaces=c%40h%3Bto-tag%3D1").unwrap();
        assert_eq!(refer_to.header("Replaces").unwrap(), b"c@h;to-tag=1");
        assert!(refer_to.header("b").is_none());
        assert_eq!(uri.socket_addr(), Some("192.0.2.1:5060".parse().unwrap()));
        assert_eq!(Uri::parse(b"tel:+86-(10)-88").unwrap().number().unwrap(), b"+861088");
        assert_eq!(Uri::at(Some(b"#31"), "[::1]:5060".parse().unwrap()).to_bytes(), b"sip:%2331@[::1]:5060");
    }
}
