//! Assertions, signed by key.

use crate::error::Error;
use auth_api::{Assertion, Claims};
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
        let sign = Sign::new(SigningPurpose::Assertion, &Assertion::message(claims));
        let signature = self.0.call(sign).await?.bytes().map_err(|_malformed| Error::NoSignature)?;
        Ok(Assertion::new(claims, &signature))
    }
}
