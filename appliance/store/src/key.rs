//! Keys whose bytes sort as their values do, and of which none is the beginning of another, so that tuples
//! of keys sort part by part.

use types::{AgentId, CallId, Extension, LegId, Name, PersonId, QueueId, RecordingId, TrunkId, Uid, Utc};

/// A value that names a row or an index entry.
///
/// For all `a`, `b` of one type: `a < b` exactly when `a.bytes() < b.bytes()`; and `decode` takes exactly the
/// bytes that `encode` wrote.
pub trait Key: Sized {
    /// Appends the bytes.
    fn encode(&self, to: &mut Vec<u8>);

    /// Takes the bytes off the front; none when they are no such key.
    fn decode(from: &mut &[u8]) -> Option<Self>;

    /// The bytes alone.
    fn bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.encode(&mut bytes);
        bytes
    }
}

/// The lowest bytes above everything that begins with `prefix`; none when there are none.
pub(crate) fn after_prefix(prefix: &[u8]) -> Option<Vec<u8>> {
    let last = prefix.iter().rposition(|byte| *byte < u8::MAX)?;
    let mut bytes = prefix[..=last].to_vec();
    bytes[last] += 1;
    Some(bytes)
}

macro_rules! unsigned {
    ($($int:ty)*) => {$(
        impl Key for $int {
            fn encode(&self, to: &mut Vec<u8>) {
                to.extend_from_slice(&self.to_be_bytes());
            }
            fn decode(from: &mut &[u8]) -> Option<Self> {
                from.split_off(..size_of::<Self>())?.try_into().ok().map(Self::from_be_bytes)
            }
        }
    )*};
}

unsigned!(u8 u16 u32 u64);

impl Key for i64 {
    fn encode(&self, to: &mut Vec<u8>) {
        // The flipped sign bit puts the negative below the positive.
        (self.cast_unsigned() ^ 1 << 63).encode(to);
    }
    fn decode(from: &mut &[u8]) -> Option<Self> {
        u64::decode(from).map(|bits| (bits ^ 1 << 63).cast_signed())
    }
}

impl<const N: usize> Key for [u8; N] {
    fn encode(&self, to: &mut Vec<u8>) {
        to.extend_from_slice(self);
    }
    fn decode(from: &mut &[u8]) -> Option<Self> {
        from.split_off(..N)?.try_into().ok()
    }
}

/// Ends with 00 00; a 00 within is 00 FF. So a shorter text sorts before every longer one it begins.
impl Key for String {
    fn encode(&self, to: &mut Vec<u8>) {
        text(self, to);
    }
    fn decode(from: &mut &[u8]) -> Option<Self> {
        let mut bytes = Vec::new();
        loop {
            match (*from.split_off_first()?, from.first()) {
                (0, Some(0)) => {
                    from.split_off_first()?;
                    return Self::from_utf8(bytes).ok();
                }
                (0, Some(0xff)) => {
                    from.split_off_first()?;
                    bytes.push(0);
                }
                (0, _) => return None,
                (byte, _) => bytes.push(byte),
            }
        }
    }
}

fn text(text: &str, to: &mut Vec<u8>) {
    for byte in text.bytes() {
        to.push(byte);
        if byte == 0 {
            to.push(0xff);
        }
    }
    to.extend_from_slice(&[0, 0]);
}

impl<K: Key> Key for Option<K> {
    fn encode(&self, to: &mut Vec<u8>) {
        match self {
            None => to.push(0),
            Some(key) => {
                to.push(1);
                key.encode(to);
            }
        }
    }
    fn decode(from: &mut &[u8]) -> Option<Self> {
        match from.split_off_first()? {
            0 => Some(None),
            1 => K::decode(from).map(Some),
            _ => None,
        }
    }
}

macro_rules! tuples {
    ($(($($part:ident $at:tt),+))*) => {$(
        impl<$($part: Key),+> Key for ($($part,)+) {
            fn encode(&self, to: &mut Vec<u8>) {
                $(self.$at.encode(to);)+
            }
            fn decode(from: &mut &[u8]) -> Option<Self> {
                Some(($($part::decode(from)?,)+))
            }
        }
    )*};
}

tuples! { (A 0) (A 0, B 1) (A 0, B 1, C 2) (A 0, B 1, C 2, D 3) }

impl Key for Uid {
    fn encode(&self, to: &mut Vec<u8>) {
        self.0.encode(to);
    }
    fn decode(from: &mut &[u8]) -> Option<Self> {
        Key::decode(from).map(Self)
    }
}

impl Key for Utc {
    fn encode(&self, to: &mut Vec<u8>) {
        self.0.encode(to);
    }
    fn decode(from: &mut &[u8]) -> Option<Self> {
        Key::decode(from).map(Self)
    }
}

impl Key for Name {
    fn encode(&self, to: &mut Vec<u8>) {
        text(self.as_str(), to);
    }
    fn decode(from: &mut &[u8]) -> Option<Self> {
        Self::try_from(String::decode(from)?).ok()
    }
}

macro_rules! ids {
    ($($id:ident)*) => {$(
        impl Key for $id {
            fn encode(&self, to: &mut Vec<u8>) {
                self.0.encode(to);
            }
            fn decode(from: &mut &[u8]) -> Option<Self> {
                Key::decode(from).map(Self)
            }
        }
    )*};
}

ids!(CallId LegId RecordingId PersonId AgentId QueueId TrunkId Extension);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::fmt::Debug;

    fn sorts<K: Key + Ord + Debug>(a: &K, b: &K) {
        assert_eq!(a.cmp(b), a.bytes().cmp(&b.bytes()), "{a:?} {b:?}");
        for key in [a, b] {
            let mut bytes = key.bytes();
            bytes.extend_from_slice(b"rest");
            let mut left = bytes.as_slice();
            assert_eq!(K::decode(&mut left).as_ref(), Some(key));
            assert_eq!(left, b"rest");
        }
    }

    proptest! {
        #[test]
        fn numbers_sort(a: i64, b: i64, c: u32, d: u32) {
            sorts(&a, &b);
            sorts(&c, &d);
            sorts(&Utc(a), &Utc(b));
        }

        #[test]
        fn tuples_with_texts_sort(a: (String, i64), b: (String, i64), c in "[\0\u{1}a]{0,4}", d in "[\0\u{1}a]{0,4}") {
            sorts(&a, &b);
            sorts(&(c.clone(), d.clone()), &(d, c));
        }

        #[test]
        fn options_and_ids_sort(a: Option<String>, b: Option<String>, c: [u8; 16], d: [u8; 16]) {
            sorts(&(a, Uid(c)), &(b, Uid(d)));
        }

        #[test]
        fn no_bytes_panic(bytes: Vec<u8>) {
            let _ = <(Option<String>, Name, i64, Uid)>::decode(&mut bytes.as_slice());
        }

        #[test]
        fn a_prefix_ends_before_its_successor(prefix: Vec<u8>, rest: Vec<u8>) {
            let within = [prefix.clone(), rest].concat();
            if let Some(after) = after_prefix(&prefix) {
                prop_assert!(within < after && prefix < after);
            } else {
                prop_assert!(prefix.iter().all(|byte| *byte == 0xff));
            }
        }
    }
}
