//! The soft token's file: argon2id (RFC 9106) over the passphrase, then SM4-GCM over the secrets.
//!
//! ```text
//! "YMTOKEN1" ‖ memory KiB u32 ‖ passes u32 ‖ salt 16 ‖ nonce 12 ‖ ciphertext ‖ tag 16
//! ```
//!
//! Everything before the ciphertext is additional data. Each write draws a new nonce and replaces the file
//! as a whole: a crash leaves the old one or the new one.

use crate::Error;
use argon2::{Algorithm, Argon2, Params, Version};
use gm::sm4::{KEY_LEN, Key, NONCE_LEN, Nonce, TAG_LEN, Tag};
use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};
use zeroize::Zeroizing;

const MAGIC: &[u8; 8] = b"YMTOKEN1";
const SALT_LEN: usize = 16;
/// Magic, memory, passes, salt: what stays from write to write.
const FRONT_LEN: usize = 8 + 4 + 4 + SALT_LEN;
/// What a file may ask for at most, so that a changed file cannot exhaust the machine.
const MOST: Cost = Cost { memory_kib: 1 << 20, passes: 16 };

/// What opens a soft token. Wiped when dropped; shown to nobody.
pub struct Passphrase(Zeroizing<Vec<u8>>);

impl Passphrase {
    /// Takes the bytes over.
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(Zeroizing::new(bytes))
    }
}

/// What one guess at the passphrase costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cost {
    /// Memory in KiB.
    pub memory_kib: u32,
    /// Passes over it.
    pub passes: u32,
}

impl Default for Cost {
    /// 64 MiB and three passes (RFC 9106 §4, the second recommended option, in one lane).
    fn default() -> Self {
        Self { memory_kib: 64 * 1024, passes: 3 }
    }
}

/// A file that can be sealed again and again without the passphrase.
pub(super) struct Sealed {
    path: PathBuf,
    front: [u8; FRONT_LEN],
    key: Key,
}

impl Sealed {
    /// For a file that is not there yet; nothing is written.
    pub(super) fn create(path: &Path, passphrase: &Passphrase, cost: Cost) -> Result<Self, Error> {
        match fs::symlink_metadata(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(failed("looking for", path)(error)),
            Ok(_) => return Err(failed("creating", path)(io::ErrorKind::AlreadyExists.into())),
        }
        let mut salt = [0; SALT_LEN];
        gm::random(&mut salt)?;
        let key = derive(passphrase, &salt, cost)?;
        Ok(Self { path: path.to_owned(), front: front(cost, salt), key })
    }

    pub(super) fn open(path: &Path, passphrase: &Passphrase) -> Result<(Self, Zeroizing<Vec<u8>>), Error> {
        let bytes = fs::read(path).map_err(failed("reading", path))?;
        let malformed = |what| Error::Malformed { path: path.to_owned(), what };
        let (front, rest) = bytes.split_first_chunk::<FRONT_LEN>().ok_or_else(|| malformed("cut short"))?;
        let (cost, salt) = parse_front(front).map_err(malformed)?;
        let (nonce, rest) = rest.split_first_chunk::<NONCE_LEN>().ok_or_else(|| malformed("cut short"))?;
        let (ciphertext, tag) = rest.split_last_chunk::<TAG_LEN>().ok_or_else(|| malformed("cut short"))?;
        let key = derive(passphrase, &salt, cost)?;
        let mut plaintext = Zeroizing::new(ciphertext.to_vec());
        let aad = [&front[..], nonce].concat();
        key.open_in_place(&Nonce(*nonce), &aad, &mut plaintext, &Tag(*tag))
            .map_err(|_opaque| Error::WrongPassphrase(path.to_owned()))?;
        Ok((Self { path: path.to_owned(), front: *front, key }, plaintext))
    }

    /// Replaces the file; durable when this returns.
    pub(super) fn write(&self, plaintext: &[u8]) -> Result<(), Error> {
        let mut nonce = [0; NONCE_LEN];
        gm::random(&mut nonce)?;
        let aad = [&self.front[..], &nonce].concat();
        let mut sealed = Zeroizing::new(plaintext.to_vec());
        let tag = self.key.seal_in_place(&Nonce(nonce), &aad, &mut sealed)?;
        replace(&self.path, &[&aad, &sealed, &tag.0])
    }
}

/// Writes beside, syncs, renames, syncs the directory: after a power cut the old file is there or the new one.
fn replace(path: &Path, parts: &[&[u8]]) -> Result<(), Error> {
    let beside = path.with_extension("new");
    // What a crash left half written is of no use to anyone; that it is not there is the usual case.
    let _was_not_there = fs::remove_file(&beside);
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&beside)
        .map_err(failed("creating", &beside))?;
    parts.iter().try_for_each(|part| file.write_all(part)).map_err(failed("writing", &beside))?;
    file.sync_all().map_err(failed("syncing", &beside))?;
    fs::rename(&beside, path).map_err(failed("renaming into place", path))?;
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(directory).and_then(|directory| directory.sync_all()).map_err(failed("syncing", directory))
}

fn derive(passphrase: &Passphrase, salt: &[u8; SALT_LEN], cost: Cost) -> Result<Key, Error> {
    let params = Params::new(cost.memory_kib, cost.passes, 1, Some(KEY_LEN)).map_err(Error::Derive)?;
    let mut key = Zeroizing::new([0; KEY_LEN]);
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into(&passphrase.0, salt, &mut *key)
        .map_err(Error::Derive)?;
    Ok(Key::new(&key))
}

fn front(cost: Cost, salt: [u8; SALT_LEN]) -> [u8; FRONT_LEN] {
    let mut front = [0; FRONT_LEN];
    front[..8].copy_from_slice(MAGIC);
    front[8..12].copy_from_slice(&cost.memory_kib.to_be_bytes());
    front[12..16].copy_from_slice(&cost.passes.to_be_bytes());
    front[16..].copy_from_slice(&salt);
    front
}

fn parse_front(front: &[u8; FRONT_LEN]) -> Result<(Cost, [u8; SALT_LEN]), &'static str> {
    let rest = front.strip_prefix(MAGIC).ok_or("not a soft token")?;
    let (memory_kib, rest) = rest.split_first_chunk().ok_or("cut short")?;
    let (passes, salt) = rest.split_first_chunk().ok_or("cut short")?;
    let cost = Cost { memory_kib: u32::from_be_bytes(*memory_kib), passes: u32::from_be_bytes(*passes) };
    if cost.memory_kib > MOST.memory_kib || cost.passes > MOST.passes {
        return Err("asks for more memory or time than any token needs");
    }
    Ok((cost, *salt.first_chunk().ok_or("cut short")?))
}

fn failed(attempt: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error {
    move |source| Error::File { attempt, path: path.to_owned(), source }
}
