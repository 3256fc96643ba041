//! RSeq and RAck: the numbers of reliable provisional responses (RFC 3262 §7).

use super::{Method, number};
use serde::{Deserialize, Serialize};

/// The number of a reliable provisional response, 1 to 2³²−1 (RFC 3262 §7.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RSeq(pub u32);

/// Which provisional response a PRACK acknowledges (RFC 3262 §7.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RAck {
    /// The number of the response.
    pub rseq: RSeq,
    /// The number of the request that it answers.
    pub number: u32,
    /// The method of that request.
    pub method: Method,
}

impl RSeq {
    /// Reads the header field; `None` where it is no number of its range.
    pub fn parse(value: &[u8]) -> Option<Self> {
        let number = u32::try_from(number(value.trim_ascii(), u64::from(u32::MAX))?).ok()?;
        (number > 0).then_some(Self(number))
    }

    /// The first of a dialog, from random bits: at most 2³¹−1 (RFC 3262 §3).
    pub fn first(random: u32) -> Self {
        Self((random >> 1).max(1))
    }

    /// The one after it; `None` after the last there can be.
    pub fn next(self) -> Option<Self> {
        self.0.checked_add(1).map(Self)
    }
}

impl RAck {
    /// Reads the header field.
    pub fn parse(value: &[u8]) -> Option<Self> {
        let mut words = value.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
        let (rseq, cseq, method) = (words.next()?, words.next()?, words.next()?);
        let None = words.next() else { return None };
        Some(Self {
            rseq: RSeq::parse(rseq)?,
            number: u32::try_from(number(cseq, (1 << 31) - 1)?).ok()?,
            method: Method::parse(method)?,
        })
    }

    /// The header field.
    pub fn to_bytes(&self) -> Vec<u8> {
        let numbers = format!("{} {} ", self.rseq.0, self.number);
        [numbers.as_bytes(), self.method.as_bytes()].concat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rack_is_read_as_it_is_written() {
        let rack = RAck { rseq: RSeq(776_656), number: 1, method: Method::Invite };
        assert_eq!(rack.to_bytes(), b"776656 1 INVITE");
        assert_eq!(RAck::parse(b"776656 1 INVITE"), Some(rack.clone()));
        assert_eq!(RAck::parse(b" 776656\t 1  INVITE "), Some(rack));
        for wrong in [
            "",
            "1",
            "1 1",
            "0 1 INVITE",
            "1 1 INVITE x",
            "4294967296 1 INVITE",
            "1 2147483648 INVITE",
            "1 1 IN\"V",
        ] {
            assert_eq!(RAck::parse(wrong.as_bytes()), None, "{wrong}");
        }
    }

    #[test]
    fn rseq_has_its_range() {
        assert_eq!(RSeq::parse(b"1"), Some(RSeq(1)));
        assert_eq!(RSeq::parse(b"4294967295").and_then(RSeq::next), None);
        assert_eq!(RSeq(8).next(), Some(RSeq(9)));
        assert!(
            ["0", "-1", "4294967296", "x", ""].iter().all(|wrong| RSeq::parse(wrong.as_bytes()).is_none())
        );
        assert_eq!((RSeq::first(0), RSeq::first(u32::MAX)), (RSeq(1), RSeq(i32::MAX as u32)));
    }
}
