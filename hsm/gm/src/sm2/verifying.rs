//! Public keys and the verification of signatures (GB/T 32918.2 §7).

use super::identity::bound_digest;
use crate::{Error, sm3::Digest};
use ::sm2::{
    FieldBytes, PublicKey, Scalar,
    dsa::{self, signature::hazmat::PrehashVerifier},
    elliptic_curve::{PrimeField, ops::Reduce, sec1::ToSec1Point},
    pkcs8::{DecodePublicKey, EncodePublicKey, LineEnding},
};
use std::fmt;

/// r ‖ s, each 32 bytes, big-endian. Whether both are in [1, n-1] is checked when the signature is verified.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Signature(pub [u8; 64]);

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// A point of the curve that verifies signatures. Public, so it may be shown and copied.
#[derive(Clone, PartialEq, Eq)]
pub struct VerifyingKey {
    key: PublicKey,
    point: [u8; 65],
}

impl VerifyingKey {
    /// Reads 04 ‖ X ‖ Y (GB/T 32918.1 §4.2.8); every other form and every point off the curve is refused.
    pub fn from_bytes(point: &[u8]) -> Result<Self, Error> {
        let point: [u8; 65] = point.try_into().map_err(|_length| Error::NotPublicKey)?;
        if point[0] != 4 {
            return Err(Error::NotPublicKey);
        }
        let key = PublicKey::from_sec1_bytes(&point).map_err(|_opaque| Error::NotPublicKey)?;
        Ok(Self { key, point })
    }

    /// 04 ‖ X ‖ Y.
    pub fn to_bytes(&self) -> [u8; 65] {
        self.point
    }

    /// Reads a SubjectPublicKeyInfo in PEM (RFC 7468 §13).
    pub fn from_pem(pem: &str) -> Result<Self, Error> {
        let key = PublicKey::from_public_key_pem(pem).map_err(|_opaque| Error::NotPublicKey)?;
        Self::from_key(key)
    }

    /// The SubjectPublicKeyInfo in PEM, lines ended by LF.
    pub fn to_pem(&self) -> Result<String, Error> {
        self.key.to_public_key_pem(LineEnding::LF).map_err(|_opaque| Error::NotPublicKey)
    }

    /// Verifies a signature by the holder of this key, who signs under the identity `id`.
    pub fn verify(&self, id: &[u8], message: &[u8], signature: &Signature) -> Result<(), Error> {
        self.verify_digest(&bound_digest(id, &self.point, message)?, signature)
    }

    /// Verifies a signature over e itself, for protocols that hash on their own: `digest` is already
    /// SM3(Z ‖ M). With any other digest the signature is bound to no identity.
    pub fn verify_digest(&self, digest: &Digest, signature: &Signature) -> Result<(), Error> {
        let signature = if mutant::mutant("sm2-accept-s-ge-n") { reduced(signature) } else { *signature };
        // GB/T 32918.2 §7.1, steps B1 and B2: r and s outside [1, n-1] are refused as they are read.
        let signature = dsa::Signature::from_slice(&signature.0).map_err(|_opaque| Error::BadSignature)?;
        // The identity that this constructor wants enters its own hashing only, which is not used here.
        dsa::VerifyingKey::new("", self.key)
            .and_then(|key| key.verify_prehash(&digest.0, &signature))
            .map_err(|_opaque| Error::BadSignature)
    }

    pub(super) fn from_key(key: PublicKey) -> Result<Self, Error> {
        let point = key.to_sec1_point(false);
        let point = point.as_bytes().try_into().map_err(|_length| Error::NotPublicKey)?;
        Ok(Self { key, point })
    }

    pub(super) fn point(&self) -> &[u8; 65] {
        &self.point
    }
}

impl fmt::Debug for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.point.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// r ‖ s with s mod n in place of s: what a verifier computes with that forgot the range.
fn reduced(signature: &Signature) -> Signature {
    let mut reduced = *signature;
    let (_r, s) = reduced.0.split_at_mut(32);
    let mut bytes = FieldBytes::default();
    bytes.copy_from_slice(s);
    s.copy_from_slice(&Scalar::reduce(&bytes).to_repr());
    reduced
}
