//! Private keys and signatures (GB/T 32918.2 §6).

use super::{Signature, VerifyingKey, identity::bound_digest};
use crate::{Error, sm3::Digest};
use ::sm2::{
    dsa::{self, signature::hazmat::RandomizedPrehashSigner},
    elliptic_curve::common::getrandom::SysRng,
};
use zeroize::Zeroizing;

/// n - 1: a private key of this value has no signature, for 1 + d has no inverse.
const ORDER_MINUS_ONE: [u8; 32] = [
    0xff, 0xff, 0xff, 0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, //
    0x72, 0x03, 0xdf, 0x6b, 0x21, 0xc6, 0x05, 0x2b, 0x53, 0xbb, 0xf4, 0x09, 0x39, 0xd5, 0x41, 0x22, //
];

/// A private key that signs. Wiped when dropped; shown to nobody.
pub struct SigningKey {
    key: dsa::SigningKey,
    verifying: VerifyingKey,
}

impl SigningKey {
    /// A new key from the kernel's randomness, uniform in [1, n-2].
    pub fn generate() -> Result<Self, Error> {
        loop {
            let mut bytes = Zeroizing::new([0; 32]);
            crate::random(&mut *bytes)?;
            // One draw in 2³² is out of range; another is drawn then, so no value is likelier than another.
            if let Ok(key) = Self::from_bytes(&bytes) {
                return Ok(key);
            }
        }
    }

    /// Reads the big-endian private key; refuses values outside [1, n-2] (GB/T 32918.1 §6.1).
    pub fn from_bytes(bytes: &[u8; 32]) -> Result<Self, Error> {
        if *bytes == ORDER_MINUS_ONE {
            return Err(Error::NotPrivateKey);
        }
        let key = dsa::SigningKey::from_slice("", bytes).map_err(|_opaque| Error::NotPrivateKey)?;
        let verifying = VerifyingKey::from_key(key.verifying_key().into())?;
        Ok(Self { key, verifying })
    }

    /// The private key as 32 bytes, for the token that stores it sealed.
    pub fn to_bytes(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(self.key.to_bytes().into())
    }

    /// The public half.
    pub fn verifying_key(&self) -> &VerifyingKey {
        &self.verifying
    }

    /// Signs `message` under the identity `id`. The nonce k is derived from key, digest and fresh randomness
    /// (RFC 6979 §3.6 over HMAC-SM3), so neither a weak random source nor a repeated one reveals the key.
    pub fn sign(&self, id: &[u8], message: &[u8]) -> Result<Signature, Error> {
        self.sign_digest(&bound_digest(id, self.verifying.point(), message)?)
    }

    /// Signs e itself, for protocols that hash on their own: `digest` is already SM3(Z ‖ M).
    pub fn sign_digest(&self, digest: &Digest) -> Result<Signature, Error> {
        let signature =
            self.key.sign_prehash_with_rng(&mut SysRng, &digest.0).map_err(|_opaque| Error::Sign)?;
        Ok(Signature(signature.to_bytes().into()))
    }
}

impl Drop for SigningKey {
    fn drop(&mut self) {
        let mut one = [0; 32];
        one[31] = 1;
        // The inner type cannot be wiped, only replaced by a key that everybody knows.
        if let Ok(known) = dsa::SigningKey::from_slice("", &one) {
            self.key = known;
            zeroize::optimization_barrier(&self.key);
        }
    }
}
