//! Deterministic CBOR (RFC 8949 §4.2.1), the subset that entries need: integers, byte and text strings,
//! arrays, maps and booleans. No tags, no floats, no null, nothing of indefinite length.
//!
//! A value has exactly one encoding: arguments are as short as they can be and the keys of a map stand in the
//! bytewise order of their encodings. The decoder refuses everything else, so two readers never see two
//! meanings in one entry.

/// Nesting that the decoder follows: a body is a map that holds maps of plain values.
pub const MAX_DEPTH: u8 = 4;

/// One data item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// Major type 0.
    Unsigned(u64),
    /// Major type 1: the integer −1 − n.
    Negative(u64),
    /// Major type 2.
    Bytes(Vec<u8>),
    /// Major type 3.
    Text(String),
    /// Major type 4.
    Array(Vec<Value>),
    /// Major type 5. The order of the pairs does not matter here; the encoder sorts them.
    Map(Vec<(Value, Value)>),
    /// Major type 7, simple values 20 and 21.
    Bool(bool),
}

/// Why bytes are no deterministic CBOR of the subset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("reading CBOR at byte {at}: {fault}")]
pub struct CborError {
    /// Offset within the bytes given.
    pub at: usize,
    /// What is wrong there.
    pub fault: CborFault,
}

/// What is wrong with an encoding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CborFault {
    /// The bytes end within an item.
    #[error("the item is cut off")]
    Truncated,
    /// Bytes follow the item.
    #[error("bytes follow the item")]
    Trailing,
    /// An argument takes more bytes than it needs (RFC 8949 §4.2.1).
    #[error("the argument is not in its shortest form")]
    NotShortest,
    /// The keys of a map are out of order or repeated (RFC 8949 §4.2.1).
    #[error("the keys of the map are out of order or repeated")]
    KeyOrder,
    /// A text string is not UTF-8.
    #[error("the text is not UTF-8")]
    NotUtf8,
    /// A tag, a float, an indefinite length, a reserved value.
    #[error("an item outside the subset")]
    Unsupported,
    /// Arrays and maps nested deeper than [`MAX_DEPTH`].
    #[error("nested too deep")]
    TooDeep,
}

impl Value {
    /// The one encoding of this value. A key that stands twice in a map is written once, with its last value.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.encode_into(&mut out);
        out
    }

    fn encode_into(&self, out: &mut Vec<u8>) {
        match self {
            Self::Unsigned(n) => head(out, 0, *n),
            Self::Negative(n) => head(out, 1, *n),
            Self::Bytes(bytes) => {
                head(out, 2, bytes.len() as u64);
                out.extend_from_slice(bytes);
            }
            Self::Text(text) => {
                head(out, 3, text.len() as u64);
                out.extend_from_slice(text.as_bytes());
            }
            Self::Array(items) => {
                head(out, 4, items.len() as u64);
                items.iter().for_each(|item| item.encode_into(out));
            }
            Self::Map(pairs) => {
                let sorted: std::collections::BTreeMap<Vec<u8>, &Self> =
                    pairs.iter().map(|(key, value)| (key.encode(), value)).collect();
                head(out, 5, sorted.len() as u64);
                for (key, value) in sorted {
                    out.extend_from_slice(&key);
                    value.encode_into(out);
                }
            }
            Self::Bool(truth) => out.push(if *truth { 0xf5 } else { 0xf4 }),
        }
    }

    /// Reads exactly one value from all of `bytes`.
    pub fn decode(bytes: &[u8]) -> Result<Self, CborError> {
        let mut decoder = Decoder { bytes, at: 0 };
        let value = decoder.item(0)?;
        if decoder.at == bytes.len() { Ok(value) } else { Err(decoder.fault(CborFault::Trailing)) }
    }
}

/// Major type and argument, in the shortest form (RFC 8949 §3).
fn head(out: &mut Vec<u8>, major: u8, argument: u64) {
    let major = major << 5;
    if argument < 24 {
        out.push(major | argument as u8);
    } else if let Ok(byte) = u8::try_from(argument) {
        out.extend_from_slice(&[major | 24, byte]);
    } else if let Ok(short) = u16::try_from(argument) {
        out.push(major | 25);
        out.extend_from_slice(&short.to_be_bytes());
    } else if let Ok(word) = u32::try_from(argument) {
        out.push(major | 26);
        out.extend_from_slice(&word.to_be_bytes());
    } else {
        out.push(major | 27);
        out.extend_from_slice(&argument.to_be_bytes());
    }
}

struct Decoder<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Decoder<'a> {
    fn item(&mut self, depth: u8) -> Result<Value, CborError> {
        let start = self.at;
        let initial = self.byte()?;
        match (initial >> 5, initial & 31) {
            (0, length) => Ok(Value::Unsigned(self.argument(length)?)),
            (1, length) => Ok(Value::Negative(self.argument(length)?)),
            (2, length) => Ok(Value::Bytes(self.string(length)?.to_vec())),
            (3, length) => {
                let text = std::str::from_utf8(self.string(length)?);
                text.map(|text| Value::Text(text.to_owned()))
                    .map_err(|_offset| CborError { at: start, fault: CborFault::NotUtf8 })
            }
            (4, length) => self.array(length, depth),
            (5, length) => self.map(length, depth),
            (7, 20) => Ok(Value::Bool(false)),
            (7, 21) => Ok(Value::Bool(true)),
            _ => Err(CborError { at: start, fault: CborFault::Unsupported }),
        }
    }

    fn array(&mut self, length: u8, depth: u8) -> Result<Value, CborError> {
        let count = self.count(length, depth)?;
        // Nothing is reserved by a length that was only claimed.
        let mut items = Vec::new();
        for _item in 0..count {
            items.push(self.item(depth + 1)?);
        }
        Ok(Value::Array(items))
    }

    fn map(&mut self, length: u8, depth: u8) -> Result<Value, CborError> {
        let count = self.count(length, depth)?;
        let mut pairs = Vec::new();
        let mut previous: &[u8] = &[];
        for _pair in 0..count {
            let start = self.at;
            let key = self.item(depth + 1)?;
            let encoded = &self.bytes[start..self.at];
            // No encoding is empty, so the first key is above the empty string.
            if encoded <= previous {
                return Err(CborError { at: start, fault: CborFault::KeyOrder });
            }
            previous = encoded;
            pairs.push((key, self.item(depth + 1)?));
        }
        Ok(Value::Map(pairs))
    }

    fn count(&mut self, length: u8, depth: u8) -> Result<u64, CborError> {
        if depth >= MAX_DEPTH { Err(self.fault(CborFault::TooDeep)) } else { self.argument(length) }
    }

    fn argument(&mut self, length: u8) -> Result<u64, CborError> {
        let start = self.at;
        let (value, least) = match length {
            0..=23 => return Ok(u64::from(length)),
            24 => (u64::from(self.byte()?), 24),
            25 => (u64::from(u16::from_be_bytes(self.array_of()?)), 1 << 8),
            26 => (u64::from(u32::from_be_bytes(self.array_of()?)), 1 << 16),
            27 => (u64::from_be_bytes(self.array_of()?), 1 << 32),
            _ => return Err(self.fault(CborFault::Unsupported)),
        };
        if value >= least { Ok(value) } else { Err(CborError { at: start, fault: CborFault::NotShortest }) }
    }

    fn string(&mut self, length: u8) -> Result<&'a [u8], CborError> {
        let length = self.argument(length)?;
        let length = usize::try_from(length).map_err(|_beyond| self.fault(CborFault::Truncated))?;
        self.take(length)
    }

    fn byte(&mut self) -> Result<u8, CborError> {
        self.array_of::<1>().map(|[byte]| byte)
    }

    fn array_of<const N: usize>(&mut self) -> Result<[u8; N], CborError> {
        let (array, _rest) = self.bytes[self.at..]
            .split_first_chunk::<N>()
            .ok_or(CborError { at: self.at, fault: CborFault::Truncated })?;
        self.at += N;
        Ok(*array)
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], CborError> {
        let (taken, _rest) = self.bytes[self.at..]
            .split_at_checked(length)
            .ok_or(CborError { at: self.at, fault: CborFault::Truncated })?;
        self.at += length;
        Ok(taken)
    }

    fn fault(&self, fault: CborFault) -> CborError {
        CborError { at: self.at, fault }
    }
}
