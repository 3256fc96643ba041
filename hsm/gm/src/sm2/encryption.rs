//! Public-key encryption (GB/T 32918.4), in the order C1 ‖ C3 ‖ C2 that GM/T 0009-2012 settled.

use super::VerifyingKey;
use crate::Error;
use ::sm2::{NonZeroScalar, PublicKey, SecretKey, elliptic_curve::common::getrandom::SysRng, pke};
use zeroize::Zeroizing;

/// 04 ‖ x₁ ‖ y₁ and the 32 bytes of C3.
const OVERHEAD: usize = 65 + 32;
/// A key is what is encrypted, never a stream: 64 KiB bounds what an attacker can have computed.
const LONGEST: usize = 65_536;

/// A public key that encrypts.
pub struct EncryptionKey(pke::EncryptingKey);

impl EncryptionKey {
    /// Reads 04 ‖ X ‖ Y; every other form and every point off the curve is refused.
    pub fn from_bytes(point: &[u8]) -> Result<Self, Error> {
        let checked = VerifyingKey::from_bytes(point)?;
        PublicKey::from_sec1_bytes(checked.point())
            .map(|key| Self(pke::EncryptingKey::new(key)))
            .map_err(|_opaque| Error::NotPublicKey)
    }

    /// Encrypts 1 to 65,536 bytes; the result is 97 bytes longer.
    pub fn encrypt(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        if message.is_empty() || message.len() > LONGEST {
            return Err(Error::Encrypt);
        }
        self.0.encrypt(&mut SysRng, message).map_err(|_opaque| Error::Encrypt)
    }
}

/// A private key that decrypts. Wiped when dropped; shown to nobody.
pub struct DecryptionKey(SecretKey);

impl DecryptionKey {
    /// Reads the big-endian private key; refuses values outside [1, n-2].
    pub fn from_bytes(bytes: &[u8; 32]) -> Result<Self, Error> {
        super::SigningKey::from_bytes(bytes)?;
        SecretKey::from_slice(bytes).map(Self).map_err(|_opaque| Error::NotPrivateKey)
    }

    /// Decrypts C1 ‖ C3 ‖ C2. C1 must be an uncompressed point of the curve and C3 must match (GB/T 32918.4
    /// §7.1, steps B1 and B6); nothing of the plaintext is shown otherwise.
    pub fn decrypt(&self, ciphertext: &[u8]) -> Result<Zeroizing<Vec<u8>>, Error> {
        let sound = ciphertext.first() == Some(&4)
            && ciphertext.len() > OVERHEAD
            && ciphertext.len() <= OVERHEAD + LONGEST;
        if !sound {
            return Err(Error::BadCiphertext);
        }
        let scalar: NonZeroScalar = self.0.to_nonzero_scalar();
        pke::DecryptingKey::new_with_mode(scalar, pke::Mode::C1C3C2)
            .decrypt(ciphertext)
            .map(Zeroizing::new)
            .map_err(|_opaque| Error::BadCiphertext)
    }
}
