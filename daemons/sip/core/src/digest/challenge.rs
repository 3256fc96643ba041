//! `WWW-Authenticate` and `Authorization` (and their Proxy- twins): to and from bytes.

use super::Algorithm;
use crate::message::{quote, split, unquote};

/// Quality of protection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quality {
    /// `auth`: method and URI.
    Auth,
    /// `auth-int`: the body too.
    AuthInt,
}

impl Quality {
    /// The token on the wire.
    pub const fn as_bytes(self) -> &'static [u8] {
        match self {
            Self::Auth => b"auth",
            Self::AuthInt => b"auth-int",
        }
    }
}

/// A challenge: prove that you know the password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Challenge {
    /// Protection domain.
    pub realm: Vec<u8>,
    /// The server's nonce.
    pub nonce: Vec<u8>,
    /// Hash.
    pub algorithm: Algorithm,
    /// Whether the algorithm is in its `-sess` form.
    pub session: bool,
    /// To be given back as it is.
    pub opaque: Option<Vec<u8>>,
    /// The quality we take of those offered; `None` for a server of RFC 2069.
    pub quality: Option<Quality>,
    /// Whether only the nonce was wrong: the password need not be asked for again.
    pub stale: bool,
}

/// The answer to a challenge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authorization {
    /// User name.
    pub user: Vec<u8>,
    /// Protection domain.
    pub realm: Vec<u8>,
    /// The server's nonce.
    pub nonce: Vec<u8>,
    /// The digest URI.
    pub uri: Vec<u8>,
    /// The proof, in hexadecimal digits.
    pub response: Vec<u8>,
    /// Hash.
    pub algorithm: Algorithm,
    /// Whether the algorithm is in its `-sess` form.
    pub session: bool,
    /// As the challenge had it.
    pub opaque: Option<Vec<u8>>,
    /// The quality taken.
    pub quality: Option<Quality>,
    /// Nonce count: how many requests this nonce has served.
    pub count: u32,
    /// The client's nonce.
    pub cnonce: Option<Vec<u8>>,
}

impl Challenge {
    /// Reads one challenge; `None` for another scheme, an unknown algorithm or quality, or a malformed one.
    pub fn parse(value: &[u8]) -> Option<Self> {
        let params = DigestParams::parse(value)?;
        let (algorithm, session) = params.algorithm()?;
        let quality = match params.value("qop") {
            None => None,
            Some(offered) => Some(choose(&offered)?),
        };
        Some(Self {
            realm: params.value("realm")?,
            nonce: params.value("nonce")?,
            algorithm,
            session,
            opaque: params.value("opaque"),
            quality,
            stale: params.value("stale").is_some_and(|v| v.eq_ignore_ascii_case(b"true")),
        })
    }

    /// The strongest of several challenges (RFC 8760 §2.4).
    pub fn strongest(challenges: impl Iterator<Item = Self>) -> Option<Self> {
        challenges.max_by_key(|challenge| challenge.algorithm)
    }

    /// The challenge as it stands on the wire: `auth` is what we ask for.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = b"Digest ".to_vec();
        quoted(&mut out, "realm", &self.realm);
        quoted(&mut out, ", nonce", &self.nonce);
        out.extend_from_slice(format!(", algorithm={}, qop=\"auth\"", self.algorithm.token()).as_bytes());
        if self.stale {
            out.extend_from_slice(b", stale=true");
        }
        out
    }
}

fn choose(offered: &[u8]) -> Option<Quality> {
    let tokens = offered.split(|b| *b == b',').map(<[u8]>::trim_ascii);
    let has = |quality: Quality| tokens.clone().any(|token| token.eq_ignore_ascii_case(quality.as_bytes()));
    [Quality::Auth, Quality::AuthInt].into_iter().find(|quality| has(*quality))
}

impl Authorization {
    /// Reads an answer; `None` for another scheme, an unknown algorithm or quality, or a malformed one.
    pub fn parse(value: &[u8]) -> Option<Self> {
        let params = DigestParams::parse(value)?;
        let (algorithm, session) = params.algorithm()?;
        let quality = match params.value("qop") {
            None => None,
            Some(token) => Some(choose(&token)?),
        };
        let count = match params.value("nc") {
            None => 0,
            Some(digits) if digits.len() == 8 && digits.iter().all(u8::is_ascii_hexdigit) => {
                u32::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?
            }
            Some(_) => return None,
        };
        let cnonce = params.value("cnonce");
        if quality.is_some() && (cnonce.is_none() || count == 0) {
            return None;
        }
        Some(Self {
            user: params.value("username")?,
            realm: params.value("realm")?,
            nonce: params.value("nonce")?,
            uri: params.value("uri")?,
            response: params.value("response")?.to_ascii_lowercase(),
            algorithm,
            session,
            opaque: params.value("opaque"),
            quality,
            count,
            cnonce,
        })
    }

    /// The answer as it stands on the wire.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = b"Digest ".to_vec();
        quoted(&mut out, "username", &self.user);
        quoted(&mut out, ", realm", &self.realm);
        quoted(&mut out, ", nonce", &self.nonce);
        quoted(&mut out, ", uri", &self.uri);
        quoted(&mut out, ", response", &self.response);
        let session = if self.session { "-sess" } else { "" };
        out.extend_from_slice(format!(", algorithm={}{session}", self.algorithm.token()).as_bytes());
        if let Some(opaque) = &self.opaque {
            quoted(&mut out, ", opaque", opaque);
        }
        if let Some(cnonce) = &self.cnonce {
            quoted(&mut out, ", cnonce", cnonce);
        }
        if let Some(quality) = self.quality {
            let quality = if quality == Quality::AuthInt { "auth-int" } else { "auth" };
            out.extend_from_slice(format!(", qop={quality}, nc={:08x}", self.count).as_bytes());
        }
        out
    }
}

/// The nonce that a server wants used next: `nextnonce` of Authentication-Info (RFC 7616 §3.5).
pub fn next_nonce(value: &[u8]) -> Option<Vec<u8>> {
    DigestParams::parse(&[b"Digest ", value].concat())?.value("nextnonce")
}

fn quoted(out: &mut Vec<u8>, name: &str, value: &[u8]) {
    out.extend_from_slice(name.as_bytes());
    out.push(b'=');
    out.extend_from_slice(&quote(value));
}

/// The parameters of the scheme `Digest`, unquoted, names in lower case.
struct DigestParams(Vec<(Vec<u8>, Vec<u8>)>);

impl DigestParams {
    fn parse(value: &[u8]) -> Option<Self> {
        let gap = value.iter().position(u8::is_ascii_whitespace)?;
        if !value[..gap].eq_ignore_ascii_case(b"Digest") {
            return None;
        }
        let mut params: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
        for part in split(&value[gap..], b',').ok()? {
            let equals = part.iter().position(|b| *b == b'=')?;
            let name = part[..equals].trim_ascii().to_ascii_lowercase();
            if params.iter().any(|(known, _)| *known == name) {
                return None;
            }
            params.push((name, unquote(part[equals + 1..].trim_ascii())));
        }
        Some(Self(params))
    }

    fn value(&self, name: &str) -> Option<Vec<u8>> {
        self.0.iter().find(|(known, _)| known == name.as_bytes()).map(|(_, value)| value.clone())
    }

    fn algorithm(&self) -> Option<(Algorithm, bool)> {
        self.value("algorithm").map_or(Some((Algorithm::Md5, false)), |token| Algorithm::parse(&token))
    }
}
