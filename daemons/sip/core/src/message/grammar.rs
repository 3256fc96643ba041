//! Scanners shared by the header parsers (RFC 3261 §25.1): tokens, white space, lists, parameters.

use super::{Fault, text::Script};
use serde::{Deserialize, Serialize};

/// Whether a byte belongs to `token`.
pub(super) fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-.!%*_+`'~".contains(&byte)
}

/// Whether all bytes belong to `token`, and there is one.
pub(super) fn all_token(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().copied().all(is_token)
}

/// Splits at `separator` where it stands neither in a quoted string nor in angle brackets.
pub(crate) fn split(value: &[u8], separator: u8) -> Result<Vec<&[u8]>, Fault> {
    let mut parts = Vec::new();
    let mut start = 0;
    while let Some(at) = find(value, start, &[separator])? {
        parts.push(value[start..at].trim_ascii());
        start = at + 1;
    }
    parts.push(value[start..].trim_ascii());
    Ok(parts)
}

/// The place at or after `from` of the first of `wanted` outside quotes and angle brackets.
pub(super) fn find(value: &[u8], from: usize, wanted: &[u8]) -> Result<Option<usize>, Fault> {
    let script = Script::of(value);
    let mut at = from;
    while let Some(&byte) = value.get(at) {
        if wanted.contains(&byte) {
            return Ok(Some(at));
        }
        at = match byte {
            b'"' => quoted_end(value, at)?,
            b'<' => {
                let length = value[at..].iter().position(|b| *b == b'>').ok_or(Fault::Unclosed)?;
                at + length + 1
            }
            _ => at + script.char_len(&value[at..]),
        };
    }
    Ok(None)
}

/// The place just after the quoted string that opens at `open`.
pub(super) fn quoted_end(value: &[u8], open: usize) -> Result<usize, Fault> {
    let script = Script::of(value);
    let mut at = open + 1;
    while let Some(&byte) = value.get(at) {
        at += match byte {
            b'"' => return Ok(at + 1),
            b'\\' => 2,
            _ => script.char_len(&value[at..]),
        };
    }
    Err(Fault::Unclosed)
}

/// The content of a quoted string without its quotes and escapes; other bytes as they are.
pub(crate) fn unquote(value: &[u8]) -> Vec<u8> {
    let [b'"', inner @ .., b'"'] = value else { return value.to_vec() };
    let script = Script::of(inner);
    let mut plain = Vec::with_capacity(inner.len());
    let mut at = 0;
    while at < inner.len() {
        if inner[at] == b'\\' && at + 1 < inner.len() {
            at += 1;
        }
        let length = script.char_len(&inner[at..]);
        plain.extend_from_slice(&inner[at..at + length]);
        at += length;
    }
    plain
}

/// The quoted string of a value: what [`unquote`] undoes.
pub(crate) fn quote(value: &[u8]) -> Vec<u8> {
    let script = Script::of(value);
    let mut quoted = vec![b'"'];
    let mut rest = value;
    while let [first, ..] = rest {
        // The second byte of a character is no backslash, whatever it looks like.
        if b"\"\\".contains(first) {
            quoted.push(b'\\');
        }
        let (character, after) = rest.split_at(script.char_len(rest));
        quoted.extend_from_slice(character);
        rest = after;
    }
    quoted.push(b'"');
    quoted
}

/// Decimal digits alone, at most `max`.
pub(crate) fn number(digits: &[u8], max: u64) -> Option<u64> {
    if digits.is_empty() || digits.len() > 20 {
        return None;
    }
    let value = digits.iter().try_fold(0u64, |sum, digit| {
        let digit = digit.is_ascii_digit().then(|| u64::from(digit - b'0'))?;
        sum.checked_mul(10)?.checked_add(digit)
    })?;
    (value <= max).then_some(value)
}

/// `;name=value` parameters, in order, values as written (quotes included).
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Params(Vec<(Vec<u8>, Option<Vec<u8>>)>);

impl Params {
    /// Parses what follows the first `;` (that one not included). Empty parameters are a fault.
    pub(super) fn parse(list: &[u8]) -> Result<Self, Fault> {
        let mut params = Vec::new();
        for part in split(list, b';')? {
            let (name, value) = match part.iter().position(|b| *b == b'=') {
                Some(at) => (part[..at].trim_ascii_end(), Some(part[at + 1..].trim_ascii_start().to_vec())),
                None => (part, None),
            };
            if name.is_empty() || name.iter().any(|b| b.is_ascii_whitespace() || b"\"<>,@".contains(b)) {
                return Err(Fault::Parameter);
            }
            // Control characters stand in quoted strings alone (RFC 3261 §25.1); a tag goes back as it came.
            let bare = value.as_deref().filter(|value| !value.starts_with(b"\""));
            if bare.is_some_and(|value| value.iter().any(|b| b.is_ascii_control() && *b != b'\t')) {
                return Err(Fault::Parameter);
            }
            params.push((name.to_vec(), value));
        }
        Ok(Self(params))
    }

    /// The parameters of a value that came escaped within another; `None` where they are malformed.
    pub(crate) fn read(list: &[u8]) -> Option<Self> {
        Self::parse(list).ok()
    }

    /// Whether a parameter of that name is there. Names compare without case.
    pub fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(known, _)| known.eq_ignore_ascii_case(name.as_bytes()))
    }

    /// The value as written; `None` where the parameter is absent or has no value.
    pub fn value(&self, name: &str) -> Option<&[u8]> {
        let (_, value) = self.0.iter().find(|(known, _)| known.eq_ignore_ascii_case(name.as_bytes()))?;
        value.as_deref()
    }

    /// Sets a parameter, in place where it was there.
    pub fn set(&mut self, name: &str, value: Option<&[u8]>) {
        let value = value.map(<[u8]>::to_vec);
        match self.0.iter_mut().find(|(known, _)| known.eq_ignore_ascii_case(name.as_bytes())) {
            Some((_, old)) => *old = value,
            None => self.0.push((name.as_bytes().to_vec(), value)),
        }
    }

    /// Takes a parameter away.
    pub fn remove(&mut self, name: &str) {
        self.0.retain(|(known, _)| !known.eq_ignore_ascii_case(name.as_bytes()));
    }

    pub(super) fn write(&self, out: &mut Vec<u8>) {
        for (name, value) in &self.0 {
            out.push(b';');
            out.extend_from_slice(name);
            if let Some(value) = value {
                out.push(b'=');
                out.extend_from_slice(value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn split_respects_quotes_and_brackets() {
        let parts = split(br#""a,\"b" <sip:x,y@z>;q="1,2", <sip:c>"#, b',').unwrap();
        assert_eq!(parts, [&br#""a,\"b" <sip:x,y@z>;q="1,2""#[..], b"<sip:c>"]);
        assert_eq!(split(b"\"open", b','), Err(Fault::Unclosed));
    }

    #[test]
    fn gbk_backslash_does_not_open_the_quote() {
        // 誠 in GBK ends in 0x5C, just before the closing quote.
        let value = [&b"\""[..], &[0xd5, 0x5c], b"\" <sip:1@h>, <sip:2@h>"].concat();
        assert_eq!(split(&value, b',').unwrap().len(), 2);
        assert_eq!(unquote(&value[..4]), [0xd5, 0x5c]);
    }

    #[test]
    fn numbers_are_bounded() {
        assert_eq!(number(b"0068", 255), Some(68));
        assert_eq!(number(b"300", 255), None);
        assert_eq!(number(b"-1", 255), None);
        assert_eq!(number(b"36893488147419103232", u64::MAX), None);
    }
}
