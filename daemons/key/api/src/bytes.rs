//! The bytes behind the hexadecimal fields, wiped where they are secret.

use crate::{NewDataKey, PublicKey, SharedKey, Sign, Signed, SigningPurpose, Unwrap, Unwrapped};
use audit_event::Ticket;
use envelope::{DEK_LEN, Dek, WrappedDek};
use gm::sm2::{Signature, VerifyingKey};
use zeroize::{Zeroize, Zeroizing};

/// What a field holds instead of what it should.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Malformed {
    /// Not lower-case hexadecimal digits, or not as many as there should be.
    #[error("reading a field of key's: not hexadecimal, or of the wrong length")]
    Hexadecimal,
    /// Not a wrapped data key.
    #[error(transparent)]
    Wrapped(#[from] envelope::Error),
    /// Not a public key.
    #[error(transparent)]
    PublicKey(#[from] gm::Error),
}

impl NewDataKey {
    /// On its way to the caller.
    pub fn new(dek: &Dek, wrapped: &WrappedDek) -> Self {
        Self { key: encode(dek.bytes()), wrapped: encode(&wrapped.to_bytes()) }
    }

    /// The key for sealing, and its wrapping for keeping.
    ///
    /// # Errors
    /// The reply is not what key sends.
    pub fn open(mut self) -> Result<(Dek, WrappedDek), Malformed> {
        let dek = secret::<DEK_LEN>(&mut self.key)?;
        Ok((Dek::from_bytes(*dek), wrapped(&self.wrapped)?))
    }
}

impl Unwrap {
    /// Asks for the data key of the object that `wrapped` names.
    pub fn new(wrapped: &WrappedDek, ticket: Ticket) -> Self {
        Self { wrapped: encode(&wrapped.to_bytes()), object: wrapped.object.0, ticket }
    }

    /// The wrapped key.
    ///
    /// # Errors
    /// It is none.
    pub fn wrapped(&self) -> Result<WrappedDek, Malformed> {
        wrapped(&self.wrapped)
    }
}

impl Unwrapped {
    /// On its way to the caller.
    pub fn new(dek: &Dek) -> Self {
        Self { key: encode(dek.bytes()) }
    }

    /// The key for opening.
    ///
    /// # Errors
    /// The reply is not what key sends.
    pub fn open(mut self) -> Result<Dek, Malformed> {
        Ok(Dek::from_bytes(*secret::<DEK_LEN>(&mut self.key)?))
    }
}

impl SharedKey {
    /// On its way to audit.
    pub fn new(key: &[u8; 32]) -> Self {
        Self { key: encode(key) }
    }

    /// The key of HMAC-SM3 over [`Ticket::message`].
    ///
    /// # Errors
    /// The reply is not what key sends.
    pub fn open(mut self) -> Result<Zeroizing<[u8; 32]>, Malformed> {
        secret(&mut self.key)
    }
}

impl Sign {
    /// Asks for a signature over `message`.
    pub fn new(purpose: SigningPurpose, message: &[u8]) -> Self {
        Self { purpose, message: encode(message) }
    }

    /// The message itself.
    ///
    /// # Errors
    /// It is not hexadecimal.
    pub fn bytes(&self) -> Result<Vec<u8>, Malformed> {
        decode(&self.message)
    }
}

impl Signed {
    /// On its way to the caller.
    pub fn new(signature: &Signature) -> Self {
        Self { signature: encode(&signature.0) }
    }

    /// r ‖ s.
    ///
    /// # Errors
    /// The reply is not what key sends.
    pub fn bytes(&self) -> Result<Signature, Malformed> {
        array(&self.signature).map(|signature| Signature(*signature))
    }
}

impl PublicKey {
    /// The key.
    ///
    /// # Errors
    /// The text is not a public key of the curve.
    pub fn verifying_key(&self) -> Result<VerifyingKey, Malformed> {
        Ok(VerifyingKey::from_pem(&self.pem)?)
    }
}

impl SigningPurpose {
    /// The file in the public directory that holds the public half, SubjectPublicKeyInfo in PEM.
    pub const fn file_name(self) -> &'static str {
        match self {
            Self::AuditLog => "audit-log.pem",
            Self::Assertion => "assertion.pem",
        }
    }
}

fn wrapped(digits: &str) -> Result<WrappedDek, Malformed> {
    Ok(WrappedDek::from_bytes(&decode(digits)?)?)
}

/// The bytes of a secret field, which is wiped.
fn secret<const N: usize>(digits: &mut String) -> Result<Zeroizing<[u8; N]>, Malformed> {
    let secret = array(digits);
    digits.zeroize();
    secret
}

fn array<const N: usize>(digits: &str) -> Result<Zeroizing<[u8; N]>, Malformed> {
    if digits.len() != 2 * N {
        return Err(Malformed::Hexadecimal);
    }
    let mut bytes = Zeroizing::new([0; N]);
    for (byte, pair) in bytes.iter_mut().zip(digits.as_bytes().chunks_exact(2)) {
        *byte = byte_of(pair)?;
    }
    Ok(bytes)
}

fn decode(digits: &str) -> Result<Vec<u8>, Malformed> {
    let pairs = digits.as_bytes().chunks_exact(2);
    if pairs.remainder().is_empty() { pairs.map(byte_of).collect() } else { Err(Malformed::Hexadecimal) }
}

fn byte_of(pair: &[u8]) -> Result<u8, Malformed> {
    let &[high, low] = pair else { return Err(Malformed::Hexadecimal) };
    Ok(nibble(high)? << 4 | nibble(low)?)
}

const fn nibble(digit: u8) -> Result<u8, Malformed> {
    match digit {
        b'0'..=b'9' => Ok(digit - b'0'),
        b'a'..=b'f' => Ok(digit - b'a' + 10),
        _ => Err(Malformed::Hexadecimal),
    }
}

fn encode(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |nibble: u8| char::from(DIGITS[usize::from(nibble & 15)]);
    let mut digits = String::with_capacity(2 * bytes.len());
    bytes.iter().for_each(|byte| digits.extend([digit(byte >> 4), digit(*byte)]));
    digits
}

#[cfg(test)]
mod tests {
    use super::*;
    use envelope::{Epoch, Kek, KekId, ObjectId};
    use types::Uid;

    #[test]
    fn bytes_come_back() {
        let kek = Kek::new(KekId(Uid([1; 16])), Epoch(0), &[2; 32]);
        let dek = Dek::generate().unwrap();
        let wrapped = kek.wrap(ObjectId(Uid([3; 16])), &dek).unwrap();
        let (opened, kept) = NewDataKey::new(&dek, &wrapped).open().unwrap();
        assert_eq!((opened.bytes(), &kept), (dek.bytes(), &wrapped));
        assert_eq!(Unwrapped::new(&dek).open().unwrap().bytes(), dek.bytes());
        assert_eq!(*SharedKey::new(&[9; 32]).open().unwrap(), [9; 32]);
        assert_eq!(Sign::new(SigningPurpose::AuditLog, b"\0\xff").bytes().unwrap(), b"\0\xff");
        assert_eq!(Signed::new(&Signature([5; 64])).bytes().unwrap(), Signature([5; 64]));
    }

    #[test]
    fn what_is_not_hexadecimal_is_refused() {
        for wrong in ["0", "0g", "0G", "AA", "é", "+1"] {
            assert!(decode(wrong).is_err(), "{wrong}");
            assert!(array::<1>(wrong).is_err(), "{wrong}");
        }
        assert!(array::<1>("0000").is_err());
    }
}
