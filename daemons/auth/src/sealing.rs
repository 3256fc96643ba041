//! The key under which second factors lie in the store: it comes from `key` at the start, and is in no file of auth's.
//! Whoever takes the store away, or a backup of it, has no second factor.
//!
//! ```text
//!   row = nonce[12] ‖ SM4-GCM( key, nonce, "yanmen factor v1\0" ‖ person, the factor ) ‖ tag[16]
//!                    in hexadecimal; the factor in postcard
//! ```

use crate::{error::Error, hexadecimal};
use auth_core::Factor;
use gm::sm4::{KEY_LEN, Key as Cipher, NONCE_LEN, Nonce, TAG_LEN, Tag};
use key_api::{AccountsKey, Key};
use service::{Client, Context, Failure};
use std::time::Duration;
use types::PersonId;
use zeroize::Zeroizing;

const PAUSE: Duration = Duration::from_millis(200);
const DOMAIN: &[u8] = b"yanmen factor v1\0";

/// Seals and opens second factors.
pub struct Sealing(Cipher);

impl Sealing {
    /// Under this key.
    pub fn new(key: &[u8; KEY_LEN]) -> Self {
        Self(Cipher::new(key))
    }

    /// Under the key of this house; asks until `key` answers.
    ///
    /// # Errors
    /// The answer is no key, or the word to stop came first.
    pub async fn of_house(house: &Context, key: &Client<Key>) -> Result<Self, Failure> {
        let attempted = "get the key of second factors";
        loop {
            match key.call(AccountsKey {}).await {
                Ok(shared) => {
                    let shared = shared.open().map_err(|error| Failure::of(attempted, error))?;
                    let (half, _) = shared.split_at(KEY_LEN);
                    let half: &[u8; KEY_LEN] =
                        half.try_into().map_err(|error| Failure::of(attempted, error))?;
                    return Ok(Self::new(half));
                }
                Err(error) => tracing::info!(%error, "waiting for key to give the key of second factors"),
            }
            tokio::select! {
                () = tokio::time::sleep(PAUSE) => {}
                () = house.stopping() => return Err(Failure(format!("{attempted}: stopped while waiting"))),
            }
        }
    }

    /// The row of a factor.
    ///
    /// # Errors
    /// The kernel gave no randomness, or the factor has no form in bytes.
    pub fn seal(&self, person: &PersonId, factor: &Factor) -> Result<String, Error> {
        let mut text = Zeroizing::new(postcard::to_stdvec(factor).map_err(Error::Form)?);
        let mut nonce = [0; NONCE_LEN];
        gm::random(&mut nonce)?;
        let tag = self.0.seal_in_place(&Nonce(nonce), &bound(person), &mut text)?;
        Ok(hexadecimal::encode(&[nonce.as_slice(), &text, &tag.0].concat()))
    }

    /// The factor of a row.
    ///
    /// # Errors
    /// It is not what was sealed here for this person.
    pub fn open(&self, person: &PersonId, row: &str) -> Result<Factor, Error> {
        let broken = || Error::Sealed(person.clone());
        let row = hexadecimal::decode(row).ok_or_else(broken)?;
        let (nonce, rest) = row.split_first_chunk::<NONCE_LEN>().ok_or_else(broken)?;
        let (sealed, tag) = rest.split_last_chunk::<TAG_LEN>().ok_or_else(broken)?;
        let mut text = Zeroizing::new(sealed.to_vec());
        self.0
            .open_in_place(&Nonce(*nonce), &bound(person), &mut text, &Tag(*tag))
            .map_err(|_opaque| broken())?;
        postcard::from_bytes(&text).map_err(|_opaque| broken())
    }
}

fn bound(person: &PersonId) -> Vec<u8> {
    [DOMAIN, person.0.as_str().as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use auth_core::FactorSecret;
    use types::Utc;

    #[test]
    fn a_row_opens_for_its_person_under_its_key_alone() {
        let (li, wang) = ("li".parse().unwrap(), "wang".parse().unwrap());
        let factor = Factor::Offered { secret: FactorSecret::new([7; 20]), at: Utc(1) };
        let sealing = Sealing::new(&[1; KEY_LEN]);
        let row = sealing.seal(&li, &factor).unwrap();
        assert_eq!(sealing.open(&li, &row).unwrap(), factor);
        assert!(sealing.open(&wang, &row).is_err(), "another person's");
        assert!(Sealing::new(&[2; KEY_LEN]).open(&li, &row).is_err(), "another key's");
        for at in 0..row.len() {
            let other = if row.as_bytes()[at] == b'0' { "1" } else { "0" };
            let mut changed = row.clone();
            changed.replace_range(at..=at, other);
            assert!(sealing.open(&li, &changed).is_err(), "digit {at}");
        }
        for wrong in ["", "0", "gg", &row[..20]] {
            assert!(sealing.open(&li, wrong).is_err());
        }
        assert_ne!(sealing.seal(&li, &factor).unwrap(), row, "a nonce is used once");
    }
}
