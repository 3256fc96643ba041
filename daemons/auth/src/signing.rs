//! Assertions, signed by key.

use crate::{error::Error, hexadecimal};
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
        let message = hexadecimal::encode(&Assertion::message(claims));
        let signed = self.0.call(Sign { purpose: SigningPurpose::Assertion, message }).await?;
        let signature = hexadecimal::decode(&signed.signature).and_then(|bytes| bytes.try_into().ok());
        let signature = signature.ok_or(Error::NoSignature)?;
        Ok(Assertion::new(claims, &Signature(signature)))
    }
}
