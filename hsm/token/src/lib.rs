//! Where the house's long-lived keys live, behind one trait: [`Token`].
//!
//! Owns the hierarchy of keys: a master, under it the key of each [`Epoch`], under that the data keys of at most
//! [`EPOCH_OBJECTS`] objects; and one SM2 signing key a [`Purpose`]. Never hands a master, an epoch's secret or a
//! private key out; what leaves is a wrapped data key, a data key for the process that seals or opens, or a
//! signature. Who may ask for which is the key daemon's to decide.
//!
//! [`Soft`] is the embedded back end. SDF (GM/T 0018) and PKCS#11 modules implement the same trait.

mod purpose;
mod soft;

pub use envelope::{Dek, Epoch, ObjectId, WrappedDek};
pub use purpose::Purpose;
pub use soft::{Cost, Passphrase, Soft};

use gm::sm2::{Signature, VerifyingKey};
use std::{io, path::PathBuf};
use zeroize::Zeroizing;

/// Objects that share an epoch at most: what the end of its secret takes with it.
pub const EPOCH_OBJECTS: u32 = 10_000;

/// One module that holds keys.
pub trait Token: Send {
    /// One English sentence about the module, above all whether it is certified. Shown to people as it is.
    fn description(&self) -> &str;

    /// A name of this token that stays for its life: two tokens differ in it.
    fn id(&self) -> envelope::KekId;

    /// The epoch under which the next data key is wrapped.
    fn epoch(&self) -> Epoch;

    /// Makes a data key for `object` and wraps it. Begins an epoch first where the present one is full.
    ///
    /// # Errors
    /// The module cannot be reached, or cannot remember that the epoch has one object more.
    fn new_dek(&mut self, object: ObjectId) -> Result<(Dek, WrappedDek), Error>;

    /// Unwraps a data key.
    ///
    /// # Errors
    /// The key was changed, is another token's, or its epoch has been ended.
    fn unwrap(&self, wrapped: &WrappedDek) -> Result<Dek, Error>;

    /// Signs with the key of `purpose`, under its SM2 identity.
    ///
    /// # Errors
    /// The module cannot be reached, or holds no such key.
    fn sign(&self, purpose: Purpose, message: &[u8]) -> Result<Signature, Error>;

    /// The public half of the key of `purpose`.
    ///
    /// # Errors
    /// The module cannot be reached, or holds no such key.
    fn verifying_key(&self, purpose: Purpose) -> Result<VerifyingKey, Error>;

    /// The key under which audit makes tickets, the same for the life of the token.
    ///
    /// # Errors
    /// The module cannot be reached.
    fn ticket_key(&self) -> Result<Zeroizing<[u8; 32]>, Error>;

    /// The key under which auth seals second factors, the same for the life of the token.
    ///
    /// # Errors
    /// The module cannot be reached.
    fn accounts_key(&self) -> Result<Zeroizing<[u8; 32]>, Error>;

    /// Fills `buffer` from the module's own random source.
    ///
    /// # Errors
    /// The module cannot be reached.
    fn random(&self, buffer: &mut [u8]) -> Result<(), Error>;
}

/// What was attempted and refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file of the token could not be read or written.
    #[error("{attempt} {}: {source}", path.display())]
    File {
        /// What was attempted.
        attempt: &'static str,
        /// With which file.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// The passphrase is wrong, or the token's file was changed: the two cannot be told apart.
    #[error("opening the token {}: wrong passphrase, or the file was changed", .0.display())]
    WrongPassphrase(PathBuf),
    /// The token's file is not of a format that this version reads.
    #[error("opening the token {}: {what}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: &'static str,
    },
    /// Deriving the file's key from the passphrase was refused.
    #[error("deriving a key from the passphrase: {0}")]
    Derive(argon2::Error),
    /// No such epoch: it has been ended, or is another token's.
    #[error("unwrapping a data key: epoch {} is not in this token", .0.0)]
    NoEpoch(Epoch),
    /// No key for this purpose.
    #[error("signing: the token holds no key for {0}")]
    NoKey(Purpose),
    /// All 2³² epochs have been used.
    #[error("beginning an epoch: none is left")]
    NoEpochLeft,
    /// A data key was refused.
    #[error(transparent)]
    Envelope(#[from] envelope::Error),
    /// The cryptographic library refused.
    #[error(transparent)]
    Gm(#[from] gm::Error),
}
