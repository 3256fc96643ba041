//! What two readers of one message can be asked for.

use std::collections::BTreeMap;

/// What a reader found; each by its name, so that any two can be held against each other.
pub type Facts = BTreeMap<&'static str, String>;

/// What a reader made of a message: facts, or why it refuses it.
pub type Reading = Result<Facts, String>;

/// A reader other than ours.
pub struct Peer {
    /// Its name in the table.
    pub name: &'static str,
    /// Reads one datagram.
    pub read: fn(&[u8]) -> Reading,
}

/// A URI as two readers may write it: escapes resolved (RFC 3261 §19.1.4), case left out.
pub fn uri(text: &[u8]) -> String {
    let (mut out, mut rest) = (Vec::new(), text);
    while let Some((first, tail)) = rest.split_first() {
        let octet = tail.get(..2).and_then(|hex| std::str::from_utf8(hex).ok());
        match octet.and_then(|hex| u8::from_str_radix(hex, 16).ok()).filter(|_| *first == b'%') {
            Some(octet) => {
                out.push(octet);
                rest = &tail[2..];
            }
            None => {
                out.push(first.to_ascii_lowercase());
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&out).to_lowercase()
}

/// Octets as text, for comparing.
pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
