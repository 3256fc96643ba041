//! Keys of sealed objects and the ids that bind them.

use crate::Error;
use gm::sm3;
use types::Uid;
use zeroize::Zeroizing;

/// Bytes of a data key.
pub const DEK_LEN: usize = 16;

/// The object that a data key is for: one recording, one export. Bound into every wrapped key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ObjectId(pub Uid);

/// Which master key the KEK of an epoch hangs under.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct KekId(pub Uid);

/// At most 10,000 objects share an epoch; ending its secret ends them all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Epoch(pub u32);

/// A data key: 128 bits that seal one object. Wiped when dropped; shown to nobody but by [`Dek::bytes`].
pub struct Dek(Zeroizing<[u8; DEK_LEN]>);

impl Dek {
    /// A new key from the kernel's randomness.
    pub fn generate() -> Result<Self, Error> {
        let mut bytes = Zeroizing::new([0; DEK_LEN]);
        gm::random(&mut *bytes)?;
        Ok(Self(bytes))
    }

    /// Takes the bytes over. The caller wipes its own copy.
    pub fn from_bytes(bytes: [u8; DEK_LEN]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// The key itself, for the one process that seals or opens.
    pub fn bytes(&self) -> &[u8; DEK_LEN] {
        &self.0
    }
}

/// The key of one epoch, under which data keys are wrapped. Wiped when dropped; shown to nobody.
pub struct Kek {
    pub(crate) id: KekId,
    pub(crate) epoch: Epoch,
    pub(crate) wrapping: gm::sm4::Key,
    pub(crate) authenticating: Zeroizing<[u8; 32]>,
}

impl Kek {
    /// Derives the wrapping and the authenticating key from the epoch's secret, each under its own label.
    pub fn new(id: KekId, epoch: Epoch, secret: &[u8; 32]) -> Self {
        let wrapping = Zeroizing::new(sm3::hmac(secret, &[b"yanmen dek wrapping v1"]));
        let mut key = Zeroizing::new([0; gm::sm4::KEY_LEN]);
        key.copy_from_slice(&wrapping[..gm::sm4::KEY_LEN]);
        Self {
            id,
            epoch,
            wrapping: gm::sm4::Key::new(&key),
            authenticating: Zeroizing::new(sm3::hmac(secret, &[b"yanmen dek authenticating v1"])),
        }
    }

    /// The epoch of this key.
    pub const fn epoch(&self) -> Epoch {
        self.epoch
    }
}
