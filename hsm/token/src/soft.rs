//! The soft token: one file under a passphrase.
//!
//! It is no certified module, and says so wherever it is described. Its hierarchy is that of a hardware
//! module, so that moving to one changes the back end and nothing else: an SM2 master key opens the blob of an
//! epoch, and the epoch's KEK is derived from that and from the epoch's secret. In a hardware module blob
//! and secret are kept apart; here one file holds both, which is why deletion cannot be proved against its
//! copies.

mod file;
mod secrets;

pub use file::{Cost, Passphrase};

use crate::{EPOCH_OBJECTS, Error, Purpose, Token};
use envelope::{Dek, Epoch, Kek, KekId, ObjectId, WrappedDek};
use file::Sealed;
use gm::{
    sm2::{Signature, VerifyingKey},
    sm3,
};
use mutant::mutant;
use secrets::{EpochSecrets, Secrets};
use std::path::Path;
use types::Uid;
use zeroize::Zeroizing;

const DESCRIPTION: &str = "SOFT TOKEN, NOT A CERTIFIED CRYPTOGRAPHIC MODULE (GB/T 37092): the keys lie in one \
                           file under a passphrase; deletion is not provable against copies of this file";

/// Objects that are counted in the file ahead of their making, so that not every recording waits for a write.
/// After a restart the rest of the block is skipped: an epoch may hold fewer objects, never more.
const COUNTED_AHEAD: u32 = 100;

/// A token in a file.
pub struct Soft {
    file: Sealed,
    secrets: Secrets,
    id: KekId,
    /// Objects made in the newest epoch, as far as this process knows.
    made: u32,
    /// The key of the epoch in which the last object was made: to open it costs more than all else about an object.
    open: Option<Kek>,
}

impl Soft {
    /// Makes a new token at `path`, where nothing is yet, and writes it durably before it returns.
    ///
    /// # Errors
    /// Something is at `path` already, it cannot be written, or there is no randomness.
    pub fn create(path: &Path, passphrase: &Passphrase, cost: Cost) -> Result<Self, Error> {
        let file = Sealed::create(path, passphrase, cost)?;
        let mut secrets = Secrets::generate()?;
        secrets.begin_epoch()?;
        file.write(&secrets.encode())?;
        Self::with(file, secrets)
    }

    /// Opens the token at `path`. Makes and writes the key of a purpose that it does not hold yet.
    ///
    /// # Errors
    /// No token is there, or the passphrase is wrong, or the file was changed.
    pub fn open(path: &Path, passphrase: &Passphrase) -> Result<Self, Error> {
        let (file, plaintext) = Sealed::open(path, passphrase)?;
        let mut secrets =
            Secrets::decode(&plaintext).map_err(|what| Error::Malformed { path: path.to_owned(), what })?;
        if secrets.complete()? {
            file.write(&secrets.encode())?;
        }
        Self::with(file, secrets)
    }

    fn with(file: Sealed, secrets: Secrets) -> Result<Self, Error> {
        let public = secrets.master()?.verifying_key().to_bytes();
        let digest = sm3::digest_parts(&[b"yanmen kek id v1", &public]);
        let mut id = [0; 16];
        id.copy_from_slice(&digest.0[..16]);
        let made = secrets.newest().map_or(EPOCH_OBJECTS, |epoch| epoch.counted);
        Ok(Self { file, secrets, id: KekId(Uid(id)), made, open: None })
    }

    /// The newest epoch with room for one object more, which is counted durably before this returns.
    fn count_one(&mut self) -> Result<Epoch, Error> {
        if self.made >= EPOCH_OBJECTS && !mutant("epoch-overfull") {
            self.secrets.begin_epoch()?;
            self.made = 0;
        }
        let newest = self.secrets.newest_mut().ok_or(Error::NoEpochLeft)?;
        let epoch = newest.epoch;
        if self.made >= newest.counted {
            let counted = newest.counted;
            newest.counted = EPOCH_OBJECTS.min(self.made + COUNTED_AHEAD);
            if let Err(error) = self.file.write(&self.secrets.encode()) {
                // Not counted in the file, so not counted here: the next attempt writes again.
                self.secrets.newest_mut().ok_or(Error::NoEpochLeft)?.counted = counted;
                return Err(error);
            }
        }
        self.made += 1;
        Ok(epoch)
    }

    fn kek(&self, epoch: Epoch) -> Result<Kek, Error> {
        let secrets = self.secrets.epoch(epoch).ok_or(Error::NoEpoch(epoch))?;
        let opened = self.secrets.decryption()?.decrypt(&secrets.blob)?;
        let parts: [&[u8]; 4] = [b"yanmen epoch kek v1", &self.id.0.0, &epoch.0.to_be_bytes(), &opened];
        let secret = Zeroizing::new(sm3::hmac(&*secrets.secret, &parts));
        Ok(Kek::new(self.id, epoch, &secret))
    }
}

impl Token for Soft {
    fn description(&self) -> &str {
        DESCRIPTION
    }

    fn id(&self) -> KekId {
        self.id
    }

    fn epoch(&self) -> Epoch {
        self.secrets.newest().map_or(Epoch(0), |newest: &EpochSecrets| newest.epoch)
    }

    fn new_dek(&mut self, object: ObjectId) -> Result<(Dek, WrappedDek), Error> {
        let epoch = self.count_one()?;
        let dek = Dek::generate()?;
        let kek = match self.open.take().filter(|kek| kek.epoch() == epoch) {
            Some(kek) => kek,
            None => self.kek(epoch)?,
        };
        let wrapped = self.open.insert(kek).wrap(object, &dek)?;
        Ok((dek, wrapped))
    }

    fn unwrap(&self, wrapped: &WrappedDek) -> Result<Dek, Error> {
        Ok(self.kek(wrapped.epoch)?.unwrap(wrapped)?)
    }

    fn sign(&self, purpose: Purpose, message: &[u8]) -> Result<Signature, Error> {
        let key = self.secrets.signing(purpose).ok_or(Error::NoKey(purpose))?;
        Ok(key.sign(purpose.identity(), message)?)
    }

    fn verifying_key(&self, purpose: Purpose) -> Result<VerifyingKey, Error> {
        let key = self.secrets.signing(purpose).ok_or(Error::NoKey(purpose))?;
        Ok(key.verifying_key().clone())
    }

    fn ticket_key(&self) -> Result<Zeroizing<[u8; 32]>, Error> {
        Ok(Zeroizing::new(sm3::hmac(&*self.secrets.shared, &[b"yanmen ticket key v1"])))
    }

    fn accounts_key(&self) -> Result<Zeroizing<[u8; 32]>, Error> {
        Ok(Zeroizing::new(sm3::hmac(&*self.secrets.shared, &[b"yanmen accounts key v1"])))
    }

    fn random(&self, buffer: &mut [u8]) -> Result<(), Error> {
        Ok(gm::random(buffer)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_of_an_epoch_is_opened_once_for_all_its_objects() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("token");
        let cheap = Cost { memory_kib: 64, passes: 1 };
        let mut soft = Soft::create(&path, &Passphrase::new(vec![1]), cheap).unwrap();
        let object = ObjectId(Uid([7; 16]));
        let (first, wrapped) = soft.new_dek(object).unwrap();
        assert_eq!(soft.unwrap(&wrapped).unwrap().bytes(), first.bytes());
        let blob = std::mem::replace(&mut soft.secrets.newest_mut().unwrap().blob, [0; _]);
        let (next, wrapped) = soft.new_dek(object).unwrap();
        assert!(soft.unwrap(&wrapped).is_err(), "what opens an old object opens its epoch");
        soft.secrets.newest_mut().unwrap().blob = blob;
        assert_eq!(soft.unwrap(&wrapped).unwrap().bytes(), next.bytes());
        // The next epoch has a key of its own.
        soft.secrets.begin_epoch().unwrap();
        soft.made = 0;
        let (third, wrapped) = soft.new_dek(object).unwrap();
        assert_eq!(wrapped.epoch, Epoch(1));
        assert_eq!(soft.unwrap(&wrapped).unwrap().bytes(), third.bytes());
    }
}
