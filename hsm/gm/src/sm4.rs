//! SM4 (GB/T 32907-2016) in Galois/Counter Mode with a nonce of 12 and a tag of 16 bytes, as RFC 8998 §3.2
//! uses it.

use crate::Error;
use ::sm4::cipher::BlockCipherEncrypt;
use aes_gcm::{
    AeadInOut, AesGcm, KeyInit,
    aead::consts::{U12, U16},
};
use std::fmt;

/// Bytes of a key.
pub const KEY_LEN: usize = 16;
/// Bytes of a nonce.
pub const NONCE_LEN: usize = 12;
/// Bytes of a tag.
pub const TAG_LEN: usize = 16;

/// Used once under one key: a second message under the same nonce reveals both and lets anyone forge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Nonce(pub [u8; NONCE_LEN]);

/// What proves that nobody changed a sealed message or its additional data.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Tag(pub [u8; TAG_LEN]);

impl fmt::Debug for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// An expanded SM4-GCM key, ready for many messages.
pub struct Key(AesGcm<::sm4::Sm4, U12, U16>);

impl Key {
    /// Expands the 16 bytes. The caller wipes its own copy.
    pub fn new(bytes: &[u8; KEY_LEN]) -> Self {
        Self(AesGcm::new(bytes.into()))
    }

    /// Encrypts `buffer` where it lies and authenticates it together with `aad`.
    pub fn seal_in_place(&self, nonce: &Nonce, aad: &[u8], buffer: &mut [u8]) -> Result<Tag, Error> {
        let tag = self
            .0
            .encrypt_inout_detached((&nonce.0).into(), aad, buffer.into())
            .map_err(|_too_long| Error::TooLong)?;
        Ok(Tag(tag.into()))
    }

    /// Checks the tag, then decrypts `buffer` where it lies. On a wrong tag `buffer` stays ciphertext.
    pub fn open_in_place(
        &self,
        nonce: &Nonce,
        aad: &[u8],
        buffer: &mut [u8],
        tag: &Tag,
    ) -> Result<(), Error> {
        self.0
            .decrypt_inout_detached((&nonce.0).into(), aad, buffer.into(), (&tag.0).into())
            .map_err(|_opaque| Error::NotAuthentic)
    }
}

/// One block of the bare cipher: for the self-test, which compares it with GB/T 32907 A.1.
pub(crate) fn encrypt_block(key: &[u8; KEY_LEN], block: [u8; 16]) -> [u8; 16] {
    let mut block = block.into();
    ::sm4::Sm4::new(key.into()).encrypt_block(&mut block);
    block.into()
}
