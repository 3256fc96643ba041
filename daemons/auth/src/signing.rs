//! Assertions, signed by key.

use crate::error::Error;
use auth_api::{Assertion, Claims};
use gm::sm2::Signature;
use key_api::{Key, Sign, SigningPurpose};
use service::{Client, Refusal};

/// The way to the house's assertion key.
pub struct Signing(Client<Key>);

impl Signing {
    /// By this client.
    pub fn new(key: Client<Key>) -> Self {
        Self(key)
    }

    /// The assertion of these claims.
    ///
    /// # Errors
    /// key is away, refuses, or answers no signature.
    pub async fn sign(&self, claims: &Claims) -> Result<Assertion, Refusal> {
        let message = hex(&Assertion::message(claims));
        let signed = self.0.call(Sign { purpose: SigningPurpose::Assertion, message }).await?;
        let signature = unhex(&signed.signature).ok_or(Error::NoSignature)?;
        Ok(Assertion::new(claims, &Signature(signature)))
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Option<[u8; 64]> {
    let digits: Vec<u8> = text
        .chars()
        .map(|c| c.to_digit(16).and_then(|digit| u8::try_from(digit).ok()))
        .collect::<Option<_>>()?;
    let bytes: Vec<u8> = digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect();
    (digits.len() == 128).then(|| bytes.try_into().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_128_digits() {
        let bytes: [u8; 64] = std::array::from_fn(|at| at as u8 * 3);
        assert_eq!(unhex(&hex(&bytes)), Some(bytes));
        for wrong in [String::new(), "0".repeat(127), "0".repeat(129), "g".repeat(128), "é".repeat(64)] {
            assert_eq!(unhex(&wrong), None);
        }
    }
}
