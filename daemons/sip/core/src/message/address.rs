//! `name-addr` and `addr-spec` with header parameters: From, To, Contact, Route, Record-Route.

use super::{Fault, Params, Uri, grammar, text};
use serde::{Deserialize, Serialize};

/// One address with its display name and header parameters (RFC 3261 §20.10).
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NameAddr {
    /// The display name as written: a quoted string with its quotes, or tokens.
    display: Option<Vec<u8>>,
    /// The address.
    pub uri: Uri,
    /// Header parameters (`tag`, `expires`, `q` …), not those of the URI.
    pub params: Params,
}

impl NameAddr {
    /// An address without display name and parameters.
    pub fn new(uri: Uri) -> Self {
        Self { display: None, uri, params: Params::default() }
    }

    /// The same with a display name, quoted as it must be.
    #[must_use]
    pub fn named(mut self, display: &str) -> Self {
        let plain: String = display.chars().filter(|c| !c.is_control()).collect();
        let quoted = plain.replace('\\', "\\\\").replace('"', "\\\"");
        self.display = (!plain.is_empty()).then(|| format!("\"{quoted}\"").into_bytes());
        self
    }

    /// The same with that tag.
    #[must_use]
    pub fn tagged(mut self, tag: &[u8]) -> Self {
        self.params.set("tag", Some(tag));
        self
    }

    /// Parses one address that fills `value`.
    pub fn parse(value: &[u8]) -> Result<Self, Fault> {
        match grammar::find(value, 0, b"<")? {
            Some(open) => {
                let display = value[..open].trim_ascii();
                let length = value[open..].iter().position(|b| *b == b'>').ok_or(Fault::Unclosed)?;
                let uri = Uri::parse(&value[open + 1..open + length])?;
                let params = header_params(value[open + length + 1..].trim_ascii())?;
                let display = check_display(display)?.then(|| display.to_vec());
                Ok(Self { display, uri, params })
            }
            // RFC 3261 §20: without brackets every parameter is one of the header, and a URI that holds
            // `,`, `?` or `;` must have stood in brackets.
            None => {
                let end = value.iter().position(|b| *b == b';').unwrap_or(value.len());
                let spec = value[..end].trim_ascii();
                if spec.iter().any(|b| b"?,".contains(b)) {
                    return Err(Fault::Address);
                }
                Ok(Self { display: None, uri: Uri::parse(spec)?, params: header_params(&value[end..])? })
            }
        }
    }

    /// Parses a comma-separated list of addresses.
    pub fn parse_list(value: &[u8]) -> Result<Vec<Self>, Fault> {
        grammar::split(value, b',')?.into_iter().map(Self::parse).collect()
    }

    /// The display name for people, without quotes and escapes.
    pub fn display(&self) -> Option<String> {
        self.display.as_deref().map(|name| text::decode(&grammar::unquote(name)))
    }

    /// The `tag` parameter.
    pub fn tag(&self) -> Option<&[u8]> {
        self.params.value("tag")
    }

    pub(super) fn write(&self, out: &mut Vec<u8>) {
        if let Some(display) = &self.display {
            out.extend_from_slice(display);
            out.push(b' ');
        }
        out.push(b'<');
        self.uri.write(out);
        out.push(b'>');
        self.params.write(out);
    }

    /// The address as it stands on the wire.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.write(&mut out);
        out
    }
}

/// Whether there is a display name; a fault where it is neither a quoted string nor tokens. Bytes above
/// 0x7F are let through unquoted too: phones send them so.
fn check_display(display: &[u8]) -> Result<bool, Fault> {
    match display {
        [] => Ok(false),
        [b'"', ..] if grammar::quoted_end(display, 0)? == display.len() => Ok(true),
        _ if display.iter().all(|b| grammar::is_token(*b) || *b >= 0x80 || b.is_ascii_whitespace()) => {
            Ok(true)
        }
        // A GBK trail byte may be any of 0x40..=0x7E.
        _ if std::str::from_utf8(display).is_err() && !display.contains(&b'"') => Ok(true),
        _ => Err(Fault::Address),
    }
}

fn header_params(rest: &[u8]) -> Result<Params, Fault> {
    match rest {
        [] => Ok(Params::default()),
        [b';', list @ ..] => Params::parse(list),
        _ => Err(Fault::Address),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_both_forms() {
        let bare = NameAddr::parse(b"sip:a@h;tag=1").unwrap();
        assert_eq!(bare.tag(), Some(&b"1"[..]));
        assert_eq!(bare.to_bytes(), b"<sip:a@h>;tag=1");
        let full = NameAddr::parse("\"张 \\\"三\" <sip:a@h;lr>;q=0.5".as_bytes()).unwrap();
        assert_eq!(full.display().unwrap(), "张 \"三");
        assert_eq!(full.uri.param("lr"), Some(&b""[..]));
        let gbk = [&b"\""[..], &[0xd5, 0xc5, 0xc8, 0xfd], b"\" <sip:a@h>"].concat();
        assert_eq!(NameAddr::parse(&gbk).unwrap().display().unwrap(), "张三");
        assert_eq!(NameAddr::parse(&gbk).unwrap().to_bytes(), gbk);
    }

    #[test]
    fn own_display_names_are_quoted() {
        let uri = Uri::parse(b"sip:a@h").unwrap();
        let bytes = NameAddr::new(uri).named("a\"\r\nb\\").to_bytes();
        assert_eq!(bytes, br#""a\"b\\" <sip:a@h>"#);
    }

    #[test]
    fn refuses_malformed_addresses() {
        for text in [
            "Bell, A <sip:a@h>",
            "\"open <sip:a@h>",
            "<sip:a@h",
            "<sip:a@h>x",
            "<sip:a@h>;;",
            "sip:a@h?x=y",
            "< sip:a@h>",
        ] {
            assert!(NameAddr::parse(text.as_bytes()).is_err(), "{text}");
        }
    }
}
