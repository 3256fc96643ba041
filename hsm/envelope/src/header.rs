//! The cleartext header of a sealed file (`docs/formats/sealed-file.md` §2).

use crate::{Dek, Error, ObjectId, cursor::Cursor};
use gm::sm3;
use mutant::mutant;
use types::{Uid, Utc};

/// Bytes of the header.
pub const HEADER_LEN: usize = FIELDS_LEN + 32;

const MAGIC: &[u8; 8] = b"YMSEALED";
const VERSION: u16 = 1;
const SUITE_SM4_GCM_SM3: u8 = 1;
/// Everything that the commitment covers.
const FIELDS_LEN: usize = 72;

/// Where the wrapped data key of this file is kept. It outlives a re-wrapping under a new epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct KeyReference(pub Uid);

/// The how-manieth file of its object, from 0: after a crash an object goes on in a new file with a new key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Segment(pub u32);

/// The random part of every nonce of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoncePrefix(pub [u8; 7]);

impl NoncePrefix {
    /// A new prefix from the kernel's randomness.
    pub fn random() -> Result<Self, Error> {
        let mut prefix = Self([0; 7]);
        gm::random(&mut prefix.0)?;
        Ok(prefix)
    }
}

/// What a sealed file says about itself to anyone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// What is sealed.
    pub object: ObjectId,
    /// Where its wrapped key is.
    pub key: KeyReference,
    /// Which of the files of the object this is.
    pub segment: Segment,
    /// The moment from which every media time counts.
    pub start: Utc,
    /// The random part of every nonce.
    pub prefix: NoncePrefix,
}

impl Header {
    /// Reads a header without a key: to find the key. Nothing in it is to be believed until an
    /// [`crate::Opener`] has checked the commitment.
    pub fn from_bytes(bytes: &[u8; HEADER_LEN]) -> Result<Self, Error> {
        let mut cursor = Cursor::new(bytes);
        if cursor.bytes(MAGIC.len())? != MAGIC {
            return Err(Error::Malformed("not a sealed file"));
        }
        if cursor.u16()? != VERSION || usize::from(cursor.u16()?) != HEADER_LEN {
            return Err(Error::Malformed("unknown version of a sealed file"));
        }
        if cursor.u8()? != SUITE_SM4_GCM_SM3 {
            return Err(Error::Malformed("unknown algorithms of a sealed file"));
        }
        cursor.zeros(3)?;
        let object = ObjectId(Uid(cursor.array()?));
        let key = KeyReference(Uid(cursor.array()?));
        let segment = Segment(cursor.u32()?);
        cursor.zeros(4)?;
        let start = Utc(i64::from_be_bytes(cursor.array()?));
        let prefix = NoncePrefix(cursor.array()?);
        cursor.zeros(1)?;
        Ok(Self { object, key, segment, start, prefix })
    }

    /// The header as it stands in the file, committed to `dek`.
    pub(crate) fn to_bytes(self, dek: &Dek) -> [u8; HEADER_LEN] {
        let mut bytes = [0; HEADER_LEN];
        bytes[..8].copy_from_slice(MAGIC);
        bytes[8..10].copy_from_slice(&VERSION.to_be_bytes());
        bytes[10..12].copy_from_slice(&(HEADER_LEN as u16).to_be_bytes());
        bytes[12] = SUITE_SM4_GCM_SM3;
        bytes[16..32].copy_from_slice(&self.object.0.0);
        bytes[32..48].copy_from_slice(&self.key.0.0);
        bytes[48..52].copy_from_slice(&self.segment.0.to_be_bytes());
        bytes[56..64].copy_from_slice(&self.start.0.to_be_bytes());
        bytes[64..71].copy_from_slice(&self.prefix.0);
        let (fields, commitment) = bytes.split_at_mut(FIELDS_LEN);
        commitment.copy_from_slice(&sm3::hmac(dek.bytes(), &[b"commit", fields]));
        bytes
    }

    /// Reads a header and checks that it was made with `dek`. GCM alone does not: one ciphertext can be made to
    /// open under two keys, and this is what forbids it.
    pub(crate) fn committed(bytes: &[u8; HEADER_LEN], dek: &Dek) -> Result<Self, Error> {
        let header = Self::from_bytes(bytes)?;
        let (fields, commitment) = bytes.split_at(FIELDS_LEN);
        if !mutant("commitment-unchecked") {
            sm3::verify_hmac(dek.bytes(), &[b"commit", fields], commitment)
                .map_err(|_opaque| Error::WrongKey)?;
        }
        Ok(header)
    }
}

/// SM3(header) ‖ object id: the additional data of every chunk, so that no chunk fits another file.
pub(crate) fn additional(header: &[u8; HEADER_LEN], object: ObjectId) -> [u8; 48] {
    let mut additional = [0; 48];
    additional[..32].copy_from_slice(&sm3::digest(header).0);
    additional[32..].copy_from_slice(&object.0.0);
    additional
}
