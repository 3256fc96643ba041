//! Reading fixed fields from the front of a slice, without a panic on any input.

use crate::Error;

/// The unread rest of some bytes.
#[derive(Clone, Copy)]
pub(crate) struct Cursor<'a>(&'a [u8]);

impl<'a> Cursor<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn bytes(&mut self, len: usize) -> Result<&'a [u8], Error> {
        let (taken, rest) = self.0.split_at_checked(len).ok_or(Error::Malformed("cut short"))?;
        self.0 = rest;
        Ok(taken)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], Error> {
        let (taken, rest) = self.0.split_first_chunk().ok_or(Error::Malformed("cut short"))?;
        self.0 = rest;
        Ok(*taken)
    }

    pub(crate) fn u8(&mut self) -> Result<u8, Error> {
        self.array().map(u8::from_be_bytes)
    }

    pub(crate) fn u16(&mut self) -> Result<u16, Error> {
        self.array().map(u16::from_be_bytes)
    }

    pub(crate) fn u32(&mut self) -> Result<u32, Error> {
        self.array().map(u32::from_be_bytes)
    }

    pub(crate) fn u64(&mut self) -> Result<u64, Error> {
        self.array().map(u64::from_be_bytes)
    }

    /// A text of at most 255 bytes behind its length.
    pub(crate) fn short_text(&mut self) -> Result<&'a str, Error> {
        let len = self.u8()?;
        std::str::from_utf8(self.bytes(len.into())?)
            .map_err(|_position| Error::Malformed("text is not UTF-8"))
    }

    pub(crate) fn zeros(&mut self, len: usize) -> Result<(), Error> {
        if self.bytes(len)?.iter().all(|byte| *byte == 0) {
            Ok(())
        } else {
            Err(Error::Malformed("reserved bytes are not zero"))
        }
    }

    pub(crate) fn rest(self) -> &'a [u8] {
        self.0
    }
}
