//! Digest authentication (RFC 7616 as RFC 8760 brings it into SIP), both sides.
//!
//! Owns the reckoning of a response, our nonces and their staleness. Keeps no passwords: they are handed in.
//! Every comparison with a secret takes the same time wherever it differs.

mod algorithm;
mod challenge;
mod nonce;

pub use algorithm::Algorithm;
pub use challenge::{Authorization, Challenge, Quality, next_nonce};
pub use nonce::{Nonces, Staleness};

use subtle::ConstantTimeEq;

/// A user name and password. No `Debug`: the password is a secret.
#[derive(Clone)]
pub struct Credentials {
    /// The user name.
    pub user: String,
    /// The password.
    pub password: String,
}

/// What a digest protects: the request it is made for.
#[derive(Clone, Copy)]
pub struct Protected<'a> {
    /// The method of the request.
    pub method: &'a [u8],
    /// Its body: covered by `auth-int` alone.
    pub body: &'a [u8],
}

impl Authorization {
    /// Whether the response was made with that password, for that request.
    pub fn proves(&self, password: &str, protected: Protected<'_>) -> bool {
        let expected = self.reckon(password, protected);
        bool::from(expected.ct_eq(&self.response)) || mutant::mutant("sip-any-password")
    }

    /// The response that these parameters and that password come to (RFC 7616 §3.4.1).
    fn reckon(&self, password: &str, protected: Protected<'_>) -> Vec<u8> {
        let hash = |parts: &[&[u8]]| self.algorithm.hex(&parts.join(&b":"[..]));
        let cnonce = self.cnonce.as_deref().unwrap_or_default();
        let mut ha1 = hash(&[&self.user, &self.realm, password.as_bytes()]);
        if self.session {
            ha1 = hash(&[&ha1, &self.nonce, cnonce]);
        }
        let ha2 = match self.quality {
            Some(Quality::AuthInt) => {
                hash(&[protected.method, &self.uri, &self.algorithm.hex(protected.body)])
            }
            Some(Quality::Auth) | None => hash(&[protected.method, &self.uri]),
        };
        match &self.quality {
            Some(quality) => {
                let count = format!("{:08x}", self.count);
                hash(&[&ha1, &self.nonce, count.as_bytes(), cnonce, quality.as_bytes(), &ha2])
            }
            None => hash(&[&ha1, &self.nonce, &ha2]),
        }
    }
}

impl Challenge {
    /// Our answer to a peer's challenge, for a request to `uri`. `cnonce` is fresh and random.
    pub fn answer(
        &self,
        credentials: &Credentials,
        uri: Vec<u8>,
        cnonce: Vec<u8>,
        protected: Protected<'_>,
    ) -> Authorization {
        self.answer_again(1, credentials, uri, cnonce, protected)
    }

    /// The same for the `count`th request with that nonce.
    pub fn answer_again(
        &self,
        count: u32,
        credentials: &Credentials,
        uri: Vec<u8>,
        cnonce: Vec<u8>,
        protected: Protected<'_>,
    ) -> Authorization {
        let mut authorization = Authorization {
            user: credentials.user.clone().into_bytes(),
            realm: self.realm.clone(),
            nonce: self.nonce.clone(),
            uri,
            response: Vec::new(),
            algorithm: self.algorithm,
            session: self.session,
            opaque: self.opaque.clone(),
            quality: self.quality,
            count,
            cnonce: (self.quality.is_some() || self.session).then_some(cnonce),
        };
        authorization.response = authorization.reckon(&credentials.password, protected);
        authorization
    }
}

#[cfg(test)]
mod tests;
