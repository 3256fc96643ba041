//! National cryptography: SM2 (GB/T 32918), SM3 (GB/T 32905) and SM4 (GB/T 32907).
//!
//! This is the one cryptographic interface of the product: no other crate names a cipher, a hash or a curve.
//! It owns the algorithms and the rules of their use (ranges checked, tags checked before plaintext is
//! shown, secrets wiped). It never stores a key, never reads a clock, and takes randomness from the kernel
//! alone.
//!
//! Secret keys have no `Debug`, no `Clone` and no serialisation, and are overwritten when they go out of
//! scope. Every daemon that uses cryptography calls [`selftest`] before it serves.
//!
//! The arithmetic is RustCrypto's. Callers see only the types of this crate, so that a faster back end
//! replaces it behind [`sm4::Key`], [`sm3::Sm3`] or [`sm2::SigningKey`] without a change anywhere else.

pub mod sm2;
pub mod sm3;
pub mod sm4;

mod selftest;

pub use selftest::selftest;

/// Fills `buffer` from the kernel's random source; waits only while that source is not yet seeded.
pub fn random(buffer: &mut [u8]) -> Result<(), Error> {
    getrandom::fill(buffer).map_err(Error::Random)
}

/// What was attempted and refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The kernel gave no randomness.
    #[error("reading the kernel's random source: {0}")]
    Random(getrandom::Error),
    /// The bytes are no SM2 private key: not in [1, n-2] (GB/T 32918.1 §6.1).
    #[error("reading an SM2 private key: out of range")]
    NotPrivateKey,
    /// The bytes are no SM2 public key: wrong form, not on the curve, or the point at infinity.
    #[error("reading an SM2 public key: not a point of the curve")]
    NotPublicKey,
    /// The user identity is longer than 8191 bytes (GB/T 32918.2 §5.5: its length in bits has 16 bits).
    #[error("hashing an SM2 user identity: longer than 8191 bytes")]
    LongIdentity,
    /// Signing gave no valid signature; of 2²⁵⁶ attempts one does that.
    #[error("signing with SM2")]
    Sign,
    /// The signature is out of range or does not belong to this key, identity and message.
    #[error("verifying an SM2 signature: not valid")]
    BadSignature,
    /// The message to encrypt is empty or too long.
    #[error("encrypting with SM2: message empty or too long")]
    Encrypt,
    /// The ciphertext is malformed or was not made for this key, or was changed.
    #[error("decrypting with SM2: not authentic")]
    BadCiphertext,
    /// The message or the additional data is longer than GCM allows.
    #[error("sealing with SM4-GCM: too long")]
    TooLong,
    /// Key, nonce, additional data, ciphertext or tag differ from those of the sealing.
    #[error("opening with SM4-GCM: not authentic")]
    NotAuthentic,
    /// A message authentication code does not match.
    #[error("checking an HMAC-SM3: not authentic")]
    BadMac,
    /// A known answer came out wrong: this processor or this build must not be trusted.
    #[error("self-test of {0} failed")]
    SelfTest(&'static str),
}

/// That secret keys cannot be shown or copied: each of these must not compile.
///
/// ```compile_fail,E0277
/// fn can<T: std::fmt::Debug>() {}
/// can::<gm::sm4::Key>();
/// ```
/// ```compile_fail,E0277
/// fn can<T: Clone>() {}
/// can::<gm::sm4::Key>();
/// ```
/// ```compile_fail,E0277
/// fn can<T: std::fmt::Debug>() {}
/// can::<gm::sm2::SigningKey>();
/// ```
/// ```compile_fail,E0277
/// fn can<T: Clone>() {}
/// can::<gm::sm2::SigningKey>();
/// ```
/// ```compile_fail,E0277
/// fn can<T: std::fmt::Debug>() {}
/// can::<gm::sm2::DecryptionKey>();
/// ```
/// ```compile_fail,E0277
/// fn can<T: Clone>() {}
/// can::<gm::sm2::DecryptionKey>();
/// ```
#[cfg(doctest)]
struct Secrecy;
