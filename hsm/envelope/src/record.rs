//! Records: what is inside a chunk (`docs/formats/sealed-file.md` §4).

use crate::{Error, cursor::Cursor, frame::nanos};
use std::time::Duration;

/// One party's media in one codec, numbered within its file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Track(pub u8);

/// The RTP payload type, 0 to 127 (RFC 3550 §5.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PayloadType(pub u8);

/// The RTP timestamp in ticks of the codec's clock (RFC 3550 §5.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RtpTimestamp(pub u32);

/// One thing that happened on a track.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// Where.
    pub track: Track,
    /// When: since the start that the header names, as the packet arrived.
    pub time: Duration,
    /// What.
    pub body: Body<'a>,
}

/// What a record holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Body<'a> {
    /// Kind 1: the payload of one RTP packet, as it came.
    Media(Media<'a>),
    /// Kind 2: whose media the track holds from here on, and how they are encoded.
    Track(TrackDescription<'a>),
    /// Kind 3: media of this track are left out from here on, for this reason (a card number is spoken).
    MaskBegin {
        /// A code for machines, at most 255 bytes.
        reason: &'a str,
    },
    /// Kind 4: media of this track are recorded again.
    MaskEnd,
    /// Kind 5: media of this track were lost before they could be sealed.
    Gap {
        /// How long.
        lasting: Duration,
        /// A code for machines, at most 255 bytes.
        cause: &'a str,
    },
    /// Kinds 128 to 255: written by a later version, of no weight for the meaning of the others.
    Other {
        /// 128 to 255.
        kind: u8,
        /// As it came.
        bytes: &'a [u8],
    },
}

/// The payload of one RTP packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Media<'a> {
    /// Its timestamp.
    pub timestamp: RtpTimestamp,
    /// Its payload type, which a [`TrackDescription`] explains.
    pub payload_type: PayloadType,
    /// The payload without header, extension and padding.
    pub payload: &'a [u8],
}

/// Whose media, and in which codec.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrackDescription<'a> {
    /// The payload type that this describes.
    pub payload_type: PayloadType,
    /// The party: a leg id, or what else names it.
    pub party: &'a str,
    /// As in SDP `a=rtpmap` (RFC 8866 §6.6): `PCMA/8000`.
    pub codec: &'a str,
    /// As in SDP `a=fmtp` (RFC 8866 §6.15), or empty.
    pub parameters: &'a str,
}

/// Kind, track, body length, time.
const FRONT_LEN: usize = 1 + 1 + 2 + 8;

impl<'a> Record<'a> {
    /// Bytes of the encoding.
    pub(crate) const fn encoded_len(&self) -> usize {
        FRONT_LEN + self.body.encoded_len()
    }

    /// Appends the encoding to `out`, which is left as it was where the record cannot be encoded.
    pub(crate) fn encode(&self, out: &mut Vec<u8>) -> Result<(), Error> {
        let begin = out.len();
        let encoded = self.encode_whole(out);
        if encoded.is_err() {
            out.truncate(begin);
        }
        encoded
    }

    fn encode_whole(&self, out: &mut Vec<u8>) -> Result<(), Error> {
        let len = u16::try_from(self.body.encoded_len()).map_err(|_longer| Error::RecordTooLong)?;
        out.extend_from_slice(&[self.body.kind()?, self.track.0]);
        out.extend_from_slice(&len.to_be_bytes());
        out.extend_from_slice(&nanos(self.time)?.to_be_bytes());
        self.body.encode(out)
    }

    fn decode(cursor: &mut Cursor<'a>) -> Result<Self, Error> {
        let kind = cursor.u8()?;
        let track = Track(cursor.u8()?);
        let len = cursor.u16()?;
        let time = Duration::from_nanos(cursor.u64()?);
        let body = Body::decode(kind, Cursor::new(cursor.bytes(len.into())?))?;
        Ok(Self { track, time, body })
    }
}

impl<'a> Body<'a> {
    const fn kind(&self) -> Result<u8, Error> {
        Ok(match self {
            Self::Media(_) => 1,
            Self::Track(_) => 2,
            Self::MaskBegin { .. } => 3,
            Self::MaskEnd => 4,
            Self::Gap { .. } => 5,
            Self::Other { kind: kind @ 128.., .. } => *kind,
            Self::Other { .. } => {
                return Err(Error::Unsealable("a record kind below 128 has its own meaning"));
            }
        })
    }

    const fn encoded_len(&self) -> usize {
        match self {
            Self::Media(media) => 4 + 1 + media.payload.len(),
            Self::Track(TrackDescription { party, codec, parameters, .. }) => {
                1 + 1 + party.len() + 1 + codec.len() + 1 + parameters.len()
            }
            Self::MaskBegin { reason } => 1 + reason.len(),
            Self::MaskEnd => 0,
            Self::Gap { cause, .. } => 8 + 1 + cause.len(),
            Self::Other { bytes, .. } => bytes.len(),
        }
    }

    fn encode(&self, out: &mut Vec<u8>) -> Result<(), Error> {
        match self {
            Self::Media(media) => {
                out.extend_from_slice(&media.timestamp.0.to_be_bytes());
                out.push(media.payload_type.0);
                out.extend_from_slice(media.payload);
            }
            Self::Track(description) => {
                out.push(description.payload_type.0);
                push_text(out, description.party)?;
                push_text(out, description.codec)?;
                push_text(out, description.parameters)?;
            }
            Self::MaskBegin { reason } => push_text(out, reason)?,
            Self::MaskEnd => {}
            Self::Gap { lasting, cause } => {
                out.extend_from_slice(&nanos(*lasting)?.to_be_bytes());
                push_text(out, cause)?;
            }
            Self::Other { bytes, .. } => out.extend_from_slice(bytes),
        }
        Ok(())
    }

    fn decode(kind: u8, mut cursor: Cursor<'a>) -> Result<Self, Error> {
        let body = match kind {
            1 => {
                let timestamp = RtpTimestamp(cursor.u32()?);
                let payload_type = PayloadType(cursor.u8()?);
                return Ok(Self::Media(Media { timestamp, payload_type, payload: cursor.rest() }));
            }
            2 => Self::Track(TrackDescription {
                payload_type: PayloadType(cursor.u8()?),
                party: cursor.short_text()?,
                codec: cursor.short_text()?,
                parameters: cursor.short_text()?,
            }),
            3 => Self::MaskBegin { reason: cursor.short_text()? },
            4 => Self::MaskEnd,
            5 => Self::Gap { lasting: Duration::from_nanos(cursor.u64()?), cause: cursor.short_text()? },
            128.. => return Ok(Self::Other { kind, bytes: cursor.rest() }),
            _ => return Err(Error::Malformed("unknown kind of record")),
        };
        if cursor.is_empty() { Ok(body) } else { Err(Error::Malformed("bytes behind a record")) }
    }
}

fn push_text(out: &mut Vec<u8>, text: &str) -> Result<(), Error> {
    out.push(u8::try_from(text.len()).map_err(|_longer| Error::RecordTooLong)?);
    out.extend_from_slice(text.as_bytes());
    Ok(())
}

/// The records of one opened chunk, in the order in which they were sealed.
#[derive(Clone)]
pub struct Records<'a>(Cursor<'a>);

impl<'a> Records<'a> {
    /// Over encodings that may be malformed.
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self(Cursor::new(bytes))
    }

    /// The next record, an error where the bytes are none, or nothing at their end.
    pub(crate) fn step(&mut self) -> Result<Option<Record<'a>>, Error> {
        if self.0.is_empty() {
            return Ok(None);
        }
        Record::decode(&mut self.0).map(Some)
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = Record<'a>;

    fn next(&mut self) -> Option<Record<'a>> {
        // Every record was decoded once when the chunk was opened, so no error is left to drop here.
        self.step().ok().flatten()
    }
}
