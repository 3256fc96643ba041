//! Who asks, by an assertion that is verified here; and who may change the settings: a system administrator.

use auth_api::{Assertion, Claims, PUBLIC_KEY, Role, Verifier};
use gm::sm2::VerifyingKey;
use service::Refusal;
use std::path::PathBuf;

/// Verifies assertions with the public key that `key` lays out for everyone.
pub struct Officers {
    public: PathBuf,
}

impl Officers {
    /// With the key in this directory, read at each act: `key` may be started after us.
    pub fn of(public: PathBuf) -> Self {
        Self { public }
    }

    /// Who asks, if a system administrator does.
    ///
    /// # Errors
    /// The assertion does not hold, or the person is no system administrator.
    pub fn administrator(&self, assertion: &Assertion) -> Result<Claims, Refusal> {
        let claims = self.person(assertion)?;
        if !claims.roles.contains(Role::SystemAdministrator) {
            let message = "only a system administrator changes the settings: ask one";
            return Err(Refusal::not_permitted("host.not-administrator", message));
        }
        Ok(claims)
    }

    /// Who asks.
    ///
    /// # Errors
    /// The assertion does not hold.
    pub fn person(&self, assertion: &Assertion) -> Result<Claims, Refusal> {
        let path = self.public.join(PUBLIC_KEY);
        let unavailable = |error: String| {
            let message = format!("assertions cannot be verified: {}: {error}: start key", path.display());
            Refusal::unavailable("host.no-public-key", message)
        };
        let pem = std::fs::read_to_string(&path).map_err(|error| unavailable(error.to_string()))?;
        let key = VerifyingKey::from_pem(&pem).map_err(|error| unavailable(error.to_string()))?;
        Verifier::new(key).person(assertion)
    }
}
