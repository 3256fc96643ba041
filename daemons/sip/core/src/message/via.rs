//! The Via header (RFC 3261 §20.42, RFC 3581).

use super::{Fault, Params, grammar, uri};
use serde::{Deserialize, Serialize};
use std::net::{IpAddr, SocketAddr};

/// What every branch of RFC 3261 begins with.
pub const MAGIC_COOKIE: &[u8] = b"z9hG4bK";

/// One hop of a request's way.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Via {
    /// `UDP`, `TCP`, `TLS`, `WS` …, as written.
    pub transport: Vec<u8>,
    /// The host that sent, an IPv6 address with its brackets.
    pub host: Vec<u8>,
    /// The port, where written.
    pub port: Option<u16>,
    /// `branch`, `received`, `rport` and others.
    pub params: Params,
}

impl Via {
    /// Our own Via, with `rport` asked for (RFC 3581 §3).
    pub fn ours(transport: &str, addr: SocketAddr, branch: &[u8]) -> Self {
        let host = match addr.ip() {
            IpAddr::V4(ip) => ip.to_string(),
            IpAddr::V6(ip) => format!("[{ip}]"),
        };
        let mut params = Params::default();
        params.set("rport", None);
        params.set("branch", Some(branch));
        Self {
            transport: transport.as_bytes().to_vec(),
            host: host.into_bytes(),
            port: Some(addr.port()),
            params,
        }
    }

    /// Parses a comma-separated list.
    pub fn parse_list(value: &[u8]) -> Result<Vec<Self>, Fault> {
        grammar::split(value, b',')?.into_iter().map(Self::parse).collect()
    }

    fn parse(value: &[u8]) -> Result<Self, Fault> {
        let (head, params) = match value.iter().position(|b| *b == b';') {
            Some(at) => (&value[..at], Params::parse(&value[at + 1..])?),
            None => (value, Params::default()),
        };
        let mut parts = head.splitn(3, |b| *b == b'/').map(<[u8]>::trim_ascii);
        let (name, version, rest) = (parts.next(), parts.next(), parts.next().ok_or(Fault::Via)?);
        if !name.is_some_and(|n| n.eq_ignore_ascii_case(b"SIP")) || version != Some(b"2.0") {
            return Err(Fault::Via);
        }
        let gap = rest.iter().position(u8::is_ascii_whitespace).ok_or(Fault::Via)?;
        let (transport, sent_by) = (&rest[..gap], rest[gap..].trim_ascii());
        let (host, port) = uri::host_port(sent_by).ok_or(Fault::Via)?;
        if !grammar::all_token(transport) {
            return Err(Fault::Via);
        }
        Ok(Self { transport: transport.to_vec(), host: host.to_vec(), port, params })
    }

    /// The branch, with or without the magic cookie; `None` for a sender of RFC 2543.
    pub fn branch(&self) -> Option<&[u8]> {
        self.params.value("branch")
    }

    /// Notes where the request truly came from (RFC 3261 §18.2.1, RFC 3581 §4).
    pub fn receive(&mut self, source: SocketAddr) {
        let asked = self.params.has("rport");
        if asked || uri::host_ip(&self.host) != Some(source.ip()) {
            self.params.set("received", Some(source.ip().to_string().as_bytes()));
        }
        if asked {
            self.params.set("rport", Some(source.port().to_string().as_bytes()));
        }
    }

    /// Where a response goes, given where the request came from (RFC 3261 §18.2.2, RFC 3581 §4).
    pub fn reply_to(&self, source: SocketAddr) -> SocketAddr {
        match self.params.has("rport") {
            true => source,
            false => SocketAddr::new(source.ip(), self.port.unwrap_or(5060)),
        }
    }

    /// Where its sender listens (RFC 3261 §18.2.2): the address it was seen at, the port that it names.
    pub fn sent_by(&self) -> Option<SocketAddr> {
        let default = if self.transport.eq_ignore_ascii_case(b"TLS") { 5061 } else { 5060 };
        let received = self.params.value("received").and_then(|ip| std::str::from_utf8(ip).ok());
        let ip = received.and_then(|ip| ip.parse().ok()).or_else(|| uri::host_ip(&self.host))?;
        Some(SocketAddr::new(ip, self.port.unwrap_or(default)))
    }

    pub(super) fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"SIP/2.0/");
        out.extend_from_slice(&self.transport);
        out.push(b' ');
        out.extend_from_slice(&self.host);
        if let Some(port) = self.port {
            out.extend_from_slice(format!(":{port}").as_bytes());
        }
        self.params.write(out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_white_space_where_the_grammar_has_it() {
        let vias = Via::parse_list(
            b"SIP  / 2.0  / TCP     spindle.example.com   ; branch  =   z9hG4bK9  , SIP/2.0/UDP [::1]:5070",
        )
        .unwrap();
        assert_eq!(vias[0].branch(), Some(&b"z9hG4bK9"[..]));
        assert_eq!(vias[1].port, Some(5070));
        assert!(Via::parse_list(b"SIP/2.0/UDP 192.0.2.15;;,;,,").is_err());
        assert!(Via::parse_list(b"SIP/2.0/UDP").is_err());
    }

    #[test]
    fn received_and_rport() {
        let source = "192.0.2.9:1024".parse().unwrap();
        let mut via = Via::parse(b"SIP/2.0/UDP 10.0.0.1:5070;rport;branch=z9hG4bK1").unwrap();
        via.receive(source);
        let mut out = Vec::new();
        via.write(&mut out);
        assert_eq!(out, b"SIP/2.0/UDP 10.0.0.1:5070;rport=1024;branch=z9hG4bK1;received=192.0.2.9");
        assert_eq!(via.reply_to(source), source);
        let plain = Via::parse(b"SIP/2.0/UDP 192.0.2.9").unwrap();
        assert_eq!(plain.reply_to(source), "192.0.2.9:5060".parse().unwrap());
    }
}
