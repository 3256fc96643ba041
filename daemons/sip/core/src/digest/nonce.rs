//! Our nonces: each says when it was made and proves that we made it, so that none need be stored until it
//! is used.

use crate::random::hex;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::{collections::BTreeMap, time::Duration};
use subtle::ConstantTimeEq;
use types::Monotonic;

/// How long a nonce serves.
const LIFETIME: Duration = Duration::from_secs(300);
/// How many nonces in use are remembered with their count; beyond that the oldest go stale.
const REMEMBERED: usize = 4_096;

/// What a nonce that came back is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Staleness {
    /// Ours, young, and its count is higher than any before.
    Fresh,
    /// Ours, but too old or its count was used before: the client must take a new one (`stale=true`).
    Stale,
    /// Not ours.
    Foreign,
}

/// Makes nonces and judges those that come back.
#[derive(Clone, Serialize, Deserialize)]
pub struct Nonces {
    secret: [u8; 16],
    /// Highest count seen of each nonce, by its moment and proof.
    used: BTreeMap<Vec<u8>, u32>,
}

impl Nonces {
    /// Nonces under a secret that only this core knows.
    pub fn new(secret: [u8; 16]) -> Self {
        Self { secret, used: BTreeMap::new() }
    }

    /// A nonce made now. `salt` is random, so that no two are alike.
    pub fn issue(&self, now: Monotonic, salt: [u8; 16]) -> Vec<u8> {
        let stem = [hex(&now.0.to_be_bytes()), hex(&salt[..8])].concat();
        let proof = self.proof(&stem);
        [stem, proof].concat()
    }

    /// Judges a nonce of a request whose response already proved right, and counts its use. A count of 0
    /// (no `qop`) is taken once.
    pub fn admit(&mut self, now: Monotonic, nonce: &[u8], count: u32) -> Staleness {
        let Some((made, stem)) = made_at(nonce) else { return Staleness::Foreign };
        if !bool::from(self.proof(stem).ct_eq(&nonce[stem.len()..])) {
            return Staleness::Foreign;
        }
        if mutant::mutant("sip-stale-nonce-accepted") {
            return Staleness::Fresh;
        }
        let seen = self.used.get(nonce).copied();
        if now.since(made) > LIFETIME || made > now || seen.is_some_and(|seen| count <= seen) {
            return Staleness::Stale;
        }
        // A nonce begins with its moment: the first keys are the oldest.
        while self.used.len() >= REMEMBERED {
            self.used.pop_first();
        }
        while let Some(oldest) = self.used.first_entry() {
            match made_at(oldest.key()) {
                Some((made, _)) if now.since(made) <= LIFETIME => break,
                _ => oldest.remove(),
            };
        }
        self.used.insert(nonce.to_vec(), count);
        Staleness::Fresh
    }

    /// Whether we made that nonce, old or not: then whoever brings it back has read what we sent it.
    pub fn is_ours(&self, nonce: &[u8]) -> bool {
        made_at(nonce).is_some_and(|(_, stem)| self.proof(stem).ct_eq(&nonce[stem.len()..]).into())
    }

    fn proof(&self, stem: &[u8]) -> Vec<u8> {
        let inner = Sha256::new_with_prefix(self.secret).chain_update(stem).finalize();
        // Hashed twice under the secret, so that a proof cannot be extended.
        hex(&Sha256::new_with_prefix(self.secret).chain_update(inner).finalize()[..16])
    }
}

/// When a nonce says it was made, and the part that its proof covers.
fn made_at(nonce: &[u8]) -> Option<(Monotonic, &[u8])> {
    if nonce.len() != 64 {
        return None;
    }
    let moment = std::str::from_utf8(&nonce[..16]).ok()?;
    Some((Monotonic(u64::from_str_radix(moment, 16).ok()?), &nonce[..32]))
}
