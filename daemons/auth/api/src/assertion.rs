//! The assertion: claims and the house's SM2 signature over them, as one short text.
//!
//! ```text
//!   text      = base64url( claims ‖ r[32] ‖ s[32] )                 RFC 4648 §5, no padding
//!   signature = SM2( SIGNING_ID, "yanmen assertion v1\0" ‖ claims )  GB/T 32918.2-2016 §6
//! ```
//!
//! The prefix keeps it apart from everything else that the house signs: a checkpoint of the audit log is a
//! text without a NUL, so its signature can never stand under claims, whichever key made it.

use crate::claims::{Claims, LONGEST};
use base64ct::{Base64UrlUnpadded, Encoding};
use gm::sm2::{Signature, VerifyingKey};
use mutant::mutant;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr, time::Duration};
use types::Utc;

/// The signer's id that enters the SM2 digest (GB/T 32918.2-2016 §5.5): the house's usual one.
pub const SIGNING_ID: &[u8] = gm::sm2::DEFAULT_ID;

const DOMAIN: &[u8] = b"yanmen assertion v1\0";
const SIGNATURE: usize = 64;
/// In characters of base64url.
const LONGEST_TEXT: usize = (LONGEST + SIGNATURE).div_ceil(3) * 4;
/// How far a clock may be set back between making and verifying.
const SKEW: Duration = Duration::from_secs(30);

/// A signed text that says who its bearer is. Whoever has it is that person until it expires, so `Debug`
/// and `Display` do not show it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Assertion(String);

impl Assertion {
    /// The bytes to sign, under [`SIGNING_ID`], with the house's assertion key.
    pub fn message(claims: &Claims) -> Vec<u8> {
        message(&claims.to_bytes())
    }

    /// The assertion of these claims and the signature over their [`message`](Self::message).
    pub fn new(claims: &Claims, signature: &Signature) -> Self {
        let mut bytes = claims.to_bytes();
        bytes.extend_from_slice(&signature.0);
        Self(Base64UrlUnpadded::encode_string(&bytes))
    }

    /// The text itself, for the wire and for nothing else.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Assertion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Assertion(…)")
    }
}

impl From<String> for Assertion {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl FromStr for Assertion {
    type Err = std::convert::Infallible;

    /// Takes any text: only a [`Verifier`] says what it is worth.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Self(text.to_owned()))
    }
}

/// Why an assertion is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AssertionError {
    /// Not base64url of claims and a signature.
    #[error("the assertion is not of the agreed form")]
    Malformed,
    /// Not signed by the house, or changed since.
    #[error("the assertion does not bear the signature of this house")]
    Forged,
    /// Its time is over: it must be renewed.
    #[error("the assertion has expired")]
    Expired,
    /// It begins more than 30 s from now: the clock was set back.
    #[error("the assertion is from the future")]
    NotYet,
}

/// Verifies assertions with the house's public key alone: no call, no state.
#[derive(Clone, Debug)]
pub struct Verifier(VerifyingKey);

impl Verifier {
    /// A verifier for assertions signed by the owner of this key.
    pub fn new(key: VerifyingKey) -> Self {
        Self(key)
    }

    /// What the assertion says, if the house said it and it still holds at `now`.
    ///
    /// # Errors
    /// [`AssertionError`]; a signature is checked before the claims are read.
    pub fn verify(&self, assertion: &Assertion, now: Utc) -> Result<Claims, AssertionError> {
        if assertion.0.len() > LONGEST_TEXT {
            return Err(AssertionError::Malformed);
        }
        let bytes =
            Base64UrlUnpadded::decode_vec(&assertion.0).map_err(|_not_base64| AssertionError::Malformed)?;
        let (claims, signature) = bytes.split_last_chunk::<SIGNATURE>().ok_or(AssertionError::Malformed)?;
        let genuine = self.0.verify(SIGNING_ID, &message(claims), &Signature(*signature)).is_ok();
        if !genuine && !mutant("assertion-signature-ignored") {
            return Err(AssertionError::Forged);
        }
        let claims = Claims::from_bytes(claims).ok_or(AssertionError::Malformed)?;
        if now >= claims.expires && !mutant("assertion-expiry-ignored") {
            return Err(AssertionError::Expired);
        }
        if now.plus(SKEW) < claims.issued {
            return Err(AssertionError::NotYet);
        }
        Ok(claims)
    }
}

fn message(claims: &[u8]) -> Vec<u8> {
    [DOMAIN, claims].concat()
}
