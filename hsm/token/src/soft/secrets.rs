//! What the soft token's file holds when it is open.
//!
//! ```text
//! master 32 ‖ shared 32 ‖ count u8 ‖ (purpose u8 ‖ private key 32)… ‖ count u32 ‖ epochs…
//! epoch = number u32 ‖ counted u32 ‖ secret 32 ‖ blob 129 (SM2 ciphertext of 32 random bytes)
//! ```

use crate::{Error, Purpose};
use envelope::Epoch;
use gm::sm2::{DecryptionKey, EncryptionKey, SigningKey};
use zeroize::Zeroizing;

const BLOB_LEN: usize = 97 + 32;

type Secret = Zeroizing<[u8; 32]>;

/// Everything secret of one token.
pub(super) struct Secrets {
    /// The SM2 master key, which opens the blobs.
    master: Secret,
    /// From which keys shared with other daemons are derived.
    pub(super) shared: Secret,
    signing: Vec<(u8, SigningKey)>,
    epochs: Vec<EpochSecrets>,
}

/// One epoch: with `blob` and `secret` gone, nothing wrapped in it is ever opened again.
pub(super) struct EpochSecrets {
    pub(super) epoch: Epoch,
    /// Objects that it holds at most already.
    pub(super) counted: u32,
    pub(super) secret: Secret,
    pub(super) blob: [u8; BLOB_LEN],
}

impl Secrets {
    /// A new master and a key for every purpose; no epoch yet.
    pub(super) fn generate() -> Result<Self, Error> {
        let master = SigningKey::generate()?.to_bytes();
        let mut secrets = Self { master, shared: random()?, signing: Vec::new(), epochs: Vec::new() };
        secrets.complete()?;
        Ok(secrets)
    }

    /// Makes the keys of purposes that have none yet. Says whether there were such.
    pub(super) fn complete(&mut self) -> Result<bool, Error> {
        let before = self.signing.len();
        for purpose in Purpose::ALL {
            if self.signing(*purpose).is_none() {
                self.signing.push((purpose.code(), SigningKey::generate()?));
            }
        }
        Ok(self.signing.len() > before)
    }

    /// Adds an epoch, numbered one above the newest.
    pub(super) fn begin_epoch(&mut self) -> Result<(), Error> {
        let number = match self.newest() {
            None => 0,
            Some(newest) => newest.epoch.0.checked_add(1).ok_or(Error::NoEpochLeft)?,
        };
        let master = self.master()?;
        let public = EncryptionKey::from_bytes(&master.verifying_key().to_bytes())?;
        let mut blob = [0; BLOB_LEN];
        let sealed = public.encrypt(&*random()?)?;
        if sealed.len() != BLOB_LEN {
            return Err(gm::Error::Encrypt.into());
        }
        blob.copy_from_slice(&sealed);
        self.epochs.push(EpochSecrets { epoch: Epoch(number), counted: 0, secret: random()?, blob });
        Ok(())
    }

    pub(super) fn master(&self) -> Result<SigningKey, Error> {
        Ok(SigningKey::from_bytes(&self.master)?)
    }

    pub(super) fn decryption(&self) -> Result<DecryptionKey, Error> {
        Ok(DecryptionKey::from_bytes(&self.master)?)
    }

    pub(super) fn signing(&self, purpose: Purpose) -> Option<&SigningKey> {
        self.signing.iter().find(|(code, _)| *code == purpose.code()).map(|(_, key)| key)
    }

    pub(super) fn epoch(&self, epoch: Epoch) -> Option<&EpochSecrets> {
        self.epochs.iter().find(|candidate| candidate.epoch == epoch)
    }

    pub(super) fn newest(&self) -> Option<&EpochSecrets> {
        self.epochs.last()
    }

    pub(super) fn newest_mut(&mut self) -> Option<&mut EpochSecrets> {
        self.epochs.last_mut()
    }

    pub(super) fn encode(&self) -> Zeroizing<Vec<u8>> {
        let len = 64 + 1 + 33 * self.signing.len() + 4 + (8 + 32 + BLOB_LEN) * self.epochs.len();
        // All at once, so that growing leaves no copy behind.
        let mut bytes = Zeroizing::new(Vec::with_capacity(len));
        bytes.extend_from_slice(&*self.master);
        bytes.extend_from_slice(&*self.shared);
        // There are fewer than 256 purposes and 2³² epochs: their numbers have these widths.
        bytes.push(self.signing.len() as u8);
        for (code, key) in &self.signing {
            bytes.push(*code);
            bytes.extend_from_slice(&*key.to_bytes());
        }
        bytes.extend_from_slice(&(self.epochs.len() as u32).to_be_bytes());
        for epoch in &self.epochs {
            bytes.extend_from_slice(&epoch.epoch.0.to_be_bytes());
            bytes.extend_from_slice(&epoch.counted.to_be_bytes());
            bytes.extend_from_slice(&*epoch.secret);
            bytes.extend_from_slice(&epoch.blob);
        }
        bytes
    }

    pub(super) fn decode(mut bytes: &[u8]) -> Result<Self, &'static str> {
        let rest = &mut bytes;
        let (master, shared) = (Zeroizing::new(take(rest)?), Zeroizing::new(take(rest)?));
        let mut signing = Vec::new();
        let [purposes] = take(rest)?;
        for _ in 0..purposes {
            let [code] = take(rest)?;
            let private: Secret = Zeroizing::new(take(rest)?);
            let key = SigningKey::from_bytes(&private).map_err(|_opaque| "a signing key is out of range")?;
            signing.push((code, key));
        }
        let mut epochs = Vec::new();
        for _ in 0..u32::from_be_bytes(take(rest)?) {
            epochs.push(EpochSecrets {
                epoch: Epoch(u32::from_be_bytes(take(rest)?)),
                counted: u32::from_be_bytes(take(rest)?),
                secret: Zeroizing::new(take(rest)?),
                blob: take(rest)?,
            });
        }
        if rest.is_empty() {
            Ok(Self { master, shared, signing, epochs })
        } else {
            Err("bytes behind the epochs")
        }
    }
}

fn random() -> Result<Secret, Error> {
    let mut secret = Zeroizing::new([0; 32]);
    gm::random(&mut *secret)?;
    Ok(secret)
}

fn take<const N: usize>(bytes: &mut &[u8]) -> Result<[u8; N], &'static str> {
    let (taken, rest) = bytes.split_first_chunk().ok_or("cut short")?;
    *bytes = rest;
    Ok(*taken)
}
