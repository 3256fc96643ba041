//! `a=crypto` (RFC 4568): keys of SRTP in a description.
//!
//! Owns the reading and writing of one attribute; which one is taken is the negotiation's. An attribute that this
//! side cannot meet in every part is passed over, as if its suite were unknown (RFC 4568 §5.1.2).

use crate::srtp::{Master, Mki, Suite};
use base64ct::{Base64, Encoding};
use std::fmt;

/// The most attributes of one stream.
pub const MAX_CRYPTO: usize = 16;
/// What a key must last for: fewer packets than this are less than a day.
const LEAST_LIFETIME: u64 = 1 << 23;

/// An attribute as written. It holds a key and does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct CryptoLine(String);

/// An attribute that this side can meet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Crypto {
    /// Which attribute it is, for the answer (RFC 4568 §5.1.1).
    pub tag: u32,
    /// The suite.
    pub suite: Suite,
    /// The key of who wrote it.
    pub master: Master,
    /// The name that the packets give to the key.
    pub mki: Option<Mki>,
}

impl CryptoLine {
    /// The attribute's value.
    pub fn new(value: &str) -> Self {
        Self(value.to_owned())
    }

    /// The attribute's value, with its key.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for CryptoLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CryptoLine(‹key›)")
    }
}

impl Crypto {
    /// Reads an attribute; `None` where it is not one that can be met.
    pub fn read(line: &CryptoLine) -> Option<Self> {
        let mut words = line.0.split_ascii_whitespace();
        let (tag, suite, keys) = (words.next()?, Suite::by_name(words.next()?)?, words.next()?);
        // A hint for the window is harmless (§6.3.6); every other parameter changes what is on the wire.
        if !words.all(|parameter| parameter.starts_with("WSH=")) {
            return None;
        }
        let tag = Some(tag).filter(|tag| (1..=9).contains(&tag.len()))?.parse().ok()?;
        // Several keys are several lines of a rotation that nobody does.
        let mut parts = keys.strip_prefix("inline:").filter(|keys| !keys.contains(';'))?.split('|');
        let mut octets = [0; Master::LENGTH];
        let octets = Base64::decode(parts.next()?, &mut octets).ok()?;
        let master = Master::new(octets).filter(|_| octets.len() == 16 + suite.salt())?;
        let mut mki = None;
        for part in parts {
            match part.split_once(':') {
                Some((value, length)) => {
                    let length = length.parse().ok().filter(|length| (1..=8).contains(length))?;
                    mki = Some(Mki { value: value.parse().ok()?, length });
                }
                None => lifetime(part).filter(|packets| *packets >= LEAST_LIFETIME).map(|_| ())?,
            }
        }
        Some(Self { tag, suite, master, mki })
    }

    /// The attribute of a key of ours.
    pub fn write(tag: u32, suite: Suite, master: &Master) -> CryptoLine {
        let mut octets = [0; Master::LENGTH];
        octets[..16].copy_from_slice(&master.key);
        octets[16..].copy_from_slice(&master.salt);
        let octets = octets.get(..16 + suite.salt()).unwrap_or_default();
        CryptoLine(format!("{tag} {} inline:{}", suite.name(), Base64::encode_string(octets)))
    }
}

/// A number of packets, or a power of two of them (§6.1).
fn lifetime(text: &str) -> Option<u64> {
    match text.strip_prefix("2^") {
        Some(power) => 1_u64.checked_shl(power.parse().ok()?),
        None => text.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// RFC 4568 §6.1, with the key of its example.
    #[test]
    fn reads_what_phones_write() {
        let key = "inline:d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj";
        let read = |line: &str| Crypto::read(&CryptoLine::new(line));
        let plain = read(&format!("1 AES_CM_128_HMAC_SHA1_80 {key}")).unwrap();
        assert_eq!((plain.tag, plain.suite, plain.mki), (1, Suite::Sha1Tag80, None));
        let named = read(&format!("2 AES_CM_128_HMAC_SHA1_32 {key}|2^20000000|1:4"));
        assert!(named.is_none(), "a lifetime that is no number");
        let named = read(&format!("2 AES_CM_128_HMAC_SHA1_32 {key}|2^31|1:4 WSH=64")).unwrap();
        assert_eq!((named.suite, named.mki), (Suite::Sha1Tag32, Some(Mki { value: 1, length: 4 })));
        assert_eq!(named.master, plain.master);
        for wrong in [
            format!("1 AES_256_CM_HMAC_SHA1_80 {key}"),
            format!("1 AEAD_AES_128_GCM {key}"),
            format!("1 AES_CM_128_HMAC_SHA1_80 {key} UNENCRYPTED_SRTP"),
            format!("1 AES_CM_128_HMAC_SHA1_80 {key} KDR=1"),
            format!("1 AES_CM_128_HMAC_SHA1_80 {key};{key}"),
            format!("1 AES_CM_128_HMAC_SHA1_80 {key}|2^10"),
            format!("1 AES_CM_128_HMAC_SHA1_80 {key}|1:9"),
            format!("1234567890 AES_CM_128_HMAC_SHA1_80 {key}"),
            format!("one AES_CM_128_HMAC_SHA1_80 {key}"),
            "1 AES_CM_128_HMAC_SHA1_80 inline:d0Rm".to_owned(),
            "1 AES_CM_128_HMAC_SHA1_80".to_owned(),
            String::new(),
        ] {
            assert_eq!(read(&wrong), None, "{wrong}");
        }
        assert!(
            !format!("{plain:?} {:?}", CryptoLine::new(key)).contains("d0Rm"),
            "a key is shown to nobody"
        );
    }

    proptest! {
        #[test]
        fn reads_what_it_wrote(octets: [u8; 30], tag in 0_u32..1_000_000_000) {
            for suite in Suite::ALL {
                let master = Master::new(&octets[..16 + suite.salt()]).unwrap();
                let read = Crypto::read(&Crypto::write(tag, suite, &master));
                prop_assert_eq!(read, Some(Crypto { tag, suite, master, mki: None }));
            }
        }

        #[test]
        fn never_panics(line in ".{0,80}") {
            let _ = Crypto::read(&CryptoLine::new(&line));
        }
    }
}
