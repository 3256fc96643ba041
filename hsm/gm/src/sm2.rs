//! SM2 (GB/T 32918-2016) on the recommended curve of part 5: signatures over SM3, and public-key encryption.
//!
//! A signature covers e = SM3(Z ‖ M), where Z binds the signer's identity and public key (GB/T 32918.2 §5.5).
//! Certificates, checkpoints and assertions use [`DEFAULT_ID`]; TLS uses [`TLS_ID`] (RFC 8998 §3.2.1).

mod encryption;
mod identity;
mod signing;
mod verifying;

pub use encryption::{DecryptionKey, EncryptionKey};
pub use signing::SigningKey;
pub use verifying::{Signature, VerifyingKey};

/// The identity of a user without one of its own (GM/T 0009-2012 §10).
pub const DEFAULT_ID: &[u8] = b"1234567812345678";
/// The identity under which TLS 1.3 signs its handshake (RFC 8998 §3.2.1).
pub const TLS_ID: &[u8] = b"TLSv1.3+GM+Cipher+Suite";
