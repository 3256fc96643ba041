//! How a daemon comes to the public key of assertions.

use crate::{Assertion, AssertionError, Claims, Verifier};
use gm::sm2::VerifyingKey;
use service::{Context, Failure, Refusal};
use std::{io, time::Duration};

/// The file of the public key of assertions in the directory of public keys, which only `key` writes: a
/// SubjectPublicKeyInfo in PEM.
pub const PUBLIC_KEY: &str = "assertion.pem";

impl Verifier {
    /// The verifier of this house; waits for `key` to have written its public key.
    ///
    /// # Errors
    /// The file is no SM2 public key, or the word to stop came first.
    pub async fn of_house(house: &Context) -> Result<Self, Failure> {
        let path = house.public_directory().join(PUBLIC_KEY);
        let attempted = format!("read the public key of assertions {}", path.display());
        loop {
            match std::fs::read_to_string(&path) {
                Ok(pem) => {
                    return VerifyingKey::from_pem(&pem)
                        .map(Self::new)
                        .map_err(|error| Failure::of(&attempted, error));
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    tracing::info!(path = %path.display(), "waiting for key to write the public key of assertions");
                }
                Err(error) => return Err(Failure::of(&attempted, error)),
            }
            tokio::select! {
                () = tokio::time::sleep(Duration::from_millis(200)) => {}
                () = house.stopping() => return Err(Failure(format!("{attempted}: stopped while waiting"))),
            }
        }
    }

    /// What the assertion says now, by this machine's clock.
    ///
    /// # Errors
    /// A refusal to be passed on to the caller.
    pub fn person(&self, assertion: &Assertion) -> Result<Claims, Refusal> {
        Ok(self.verify(assertion, service::clock::utc())?)
    }
}

impl From<AssertionError> for Refusal {
    fn from(error: AssertionError) -> Self {
        let code = match error {
            AssertionError::Expired => "auth.assertion-expired",
            AssertionError::NotYet => "auth.assertion-not-yet",
            AssertionError::Malformed | AssertionError::Forged => "auth.assertion",
        };
        Self::not_permitted(code, error.to_string())
    }
}
