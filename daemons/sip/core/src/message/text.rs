//! What script the bytes of a header value are in. Bytes are kept as they came; this module only says how
//! long a character is, so that the scanners never mistake half of a character for punctuation, and decodes
//! for display.

use encoding_rs::GB18030;

/// How bytes above 0x7F are to be read. Chosen once for a whole header value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Script {
    /// UTF-8, as RFC 3261 §7.3.1 demands.
    Utf8,
    /// GB18030 (and its subset GBK), as phones and exchanges in China send it.
    Gb18030,
}

impl Script {
    pub(super) fn of(bytes: &[u8]) -> Self {
        if std::str::from_utf8(bytes).is_ok() { Self::Utf8 } else { Self::Gb18030 }
    }

    /// Length in bytes of the character at the head of `rest`; at least 1, at most `rest.len()`.
    ///
    /// The second byte of a GBK character may be 0x5C, the backslash (誠 is D5 5C): a scanner that works
    /// byte by byte takes it for an escape and runs past the closing quote.
    pub(super) fn char_len(self, rest: &[u8]) -> usize {
        match (self, rest) {
            (Self::Gb18030, [0x81..=0xfe, 0x30..=0x39, 0x81..=0xfe, 0x30..=0x39, ..]) => 4,
            (Self::Gb18030, [0x81..=0xfe, 0x40..=0x7e | 0x80..=0xfe, ..]) => 2,
            _ => 1,
        }
    }
}

/// Text for people: UTF-8 where the bytes are UTF-8, else GB18030 with U+FFFD for what is neither.
pub fn decode(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => GB18030.decode_without_bom_handling(bytes).0.into_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decodes_utf8_then_gb18030() {
        assert_eq!(decode("张三".as_bytes()), "张三");
        assert_eq!(decode(&[0xd5, 0xc5, 0xc8, 0xfd]), "张三");
        assert_eq!(decode(&[0xff]), "\u{fffd}");
    }

    #[test]
    fn trail_byte_of_gbk_is_no_backslash() {
        assert_eq!(Script::of(&[0xd5, 0x5c]).char_len(&[0xd5, 0x5c]), 2);
        assert_eq!(Script::of("张\\".as_bytes()), Script::Utf8);
    }
}
