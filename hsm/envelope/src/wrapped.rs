//! The wrapped data key: one canonical encoding whatever token made it (`docs/formats/wrapped-dek.md`).

use crate::{DEK_LEN, Dek, Epoch, Error, Kek, KekId, ObjectId, cursor::Cursor};
use gm::{
    sm3,
    sm4::{NONCE_LEN, Nonce, TAG_LEN, Tag},
};
use types::Uid;
use zeroize::Zeroizing;

const VERSION: u8 = 1;
/// Version to algorithm.
const FRONT_LEN: usize = 1 + 16 + 4 + 16 + 1;
const MAC_LEN: usize = 32;
const SM4_GCM_LEN: usize = NONCE_LEN + DEK_LEN + TAG_LEN;

/// How `wrapped` was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Algorithm {
    /// Nonce ‖ SM4-GCM(DEK) ‖ tag, with the fields before it as additional data.
    Sm4Gcm,
}

/// A data key that only the token can open. Safe to store and to send; of no use without the KEK.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrappedDek {
    /// The master key it hangs under.
    pub kek: KekId,
    /// The epoch whose secret opens it.
    pub epoch: Epoch,
    /// The object that the data key seals.
    pub object: ObjectId,
    /// How `wrapped` was made.
    pub algorithm: Algorithm,
    wrapped: [u8; SM4_GCM_LEN],
    mac: [u8; MAC_LEN],
}

impl WrappedDek {
    /// Bytes of the encoding.
    pub const LEN: usize = FRONT_LEN + 1 + SM4_GCM_LEN + MAC_LEN;

    /// Reads the one encoding that [`WrappedDek::to_bytes`] writes. Whether it is authentic shows when it is
    /// unwrapped.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        let mut cursor = Cursor::new(bytes);
        if cursor.u8()? != VERSION {
            return Err(Error::Malformed("unknown version of a wrapped key"));
        }
        let kek = KekId(Uid(cursor.array()?));
        let epoch = Epoch(cursor.u32()?);
        let object = ObjectId(Uid(cursor.array()?));
        let algorithm = match cursor.u8()? {
            1 => Algorithm::Sm4Gcm,
            _ => return Err(Error::Malformed("unknown algorithm of a wrapped key")),
        };
        if usize::from(cursor.u8()?) != SM4_GCM_LEN {
            return Err(Error::Malformed("wrong length of a wrapped key"));
        }
        let (wrapped, mac) = (cursor.array()?, cursor.array()?);
        if !cursor.is_empty() {
            return Err(Error::Malformed("bytes behind a wrapped key"));
        }
        Ok(Self { kek, epoch, object, algorithm, wrapped, mac })
    }

    /// The canonical encoding, [`WrappedDek::LEN`] bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        [&self.front()[..], &[SM4_GCM_LEN as u8], &self.wrapped, &self.mac].concat()
    }

    /// Version to algorithm: what the SM4-GCM tag covers beside the key.
    fn front(&self) -> [u8; FRONT_LEN] {
        front(self.kek, self.epoch, self.object, self.algorithm)
    }
}

impl Kek {
    /// Wraps `dek` for `object`.
    pub fn wrap(&self, object: ObjectId, dek: &Dek) -> Result<WrappedDek, Error> {
        let algorithm = Algorithm::Sm4Gcm;
        let front = front(self.id, self.epoch, object, algorithm);
        let mut nonce = Nonce([0; NONCE_LEN]);
        gm::random(&mut nonce.0)?;
        let mut sealed = Zeroizing::new(*dek.bytes());
        let tag = self.wrapping.seal_in_place(&nonce, &front, &mut *sealed)?;
        let mut wrapped = [0; SM4_GCM_LEN];
        let (nonce_place, rest) = wrapped.split_at_mut(NONCE_LEN);
        let (sealed_place, tag_place) = rest.split_at_mut(DEK_LEN);
        nonce_place.copy_from_slice(&nonce.0);
        sealed_place.copy_from_slice(&*sealed);
        tag_place.copy_from_slice(&tag.0);
        let mac = sm3::hmac(&*self.authenticating, &[&front, &[SM4_GCM_LEN as u8], &wrapped]);
        Ok(WrappedDek { kek: self.id, epoch: self.epoch, object, algorithm, wrapped, mac })
    }

    /// Unwraps a key of this KEK and epoch, after its HMAC has been checked over every field.
    pub fn unwrap(&self, wrapped: &WrappedDek) -> Result<Dek, Error> {
        let front = wrapped.front();
        let covered: [&[u8]; 3] = [&front, &[SM4_GCM_LEN as u8], &wrapped.wrapped];
        sm3::verify_hmac(&*self.authenticating, &covered, &wrapped.mac).map_err(|_opaque| Error::WrongKek)?;
        if wrapped.kek != self.id || wrapped.epoch != self.epoch {
            return Err(Error::WrongKek);
        }
        let mut cursor = Cursor::new(&wrapped.wrapped);
        let nonce = Nonce(cursor.array()?);
        let mut dek = Zeroizing::new(cursor.array::<DEK_LEN>()?);
        let tag = Tag(cursor.array()?);
        self.wrapping.open_in_place(&nonce, &front, &mut *dek, &tag).map_err(|_opaque| Error::WrongKek)?;
        Ok(Dek::from_bytes(*dek))
    }
}

fn front(kek: KekId, epoch: Epoch, object: ObjectId, algorithm: Algorithm) -> [u8; FRONT_LEN] {
    let Algorithm::Sm4Gcm = algorithm;
    let mut front = [0; FRONT_LEN];
    front[0] = VERSION;
    front[1..17].copy_from_slice(&kek.0.0);
    front[17..21].copy_from_slice(&epoch.0.to_be_bytes());
    front[21..37].copy_from_slice(&object.0.0);
    front[37] = 1;
    front
}
