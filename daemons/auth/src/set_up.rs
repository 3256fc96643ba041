//! The set-up password: made when the house is new, shown once, void once the three officers are named.
//!
//! It lies in a file that this daemon and root alone can read, until it is used; the store has its hash.

use crate::{
    error::Error,
    keeping::{Keeping, Kept},
    secrets,
};
use auth_core::{Change, Cost, PasswordHash, SetUp, Snapshot};
use std::{fs, io::Write, os::unix::fs::OpenOptionsExt, path::Path};

/// The file's name in the state directory.
pub const FILE: &str = "set-up-password";

/// The daemon's status until the officers are named.
pub const WAITS: &str = "waits for set-up: the set-up password lies in set-up-password";

/// What the store brought back, with a set-up password where the house is new. A new one is made as long as
/// nobody has been named and its file is not there.
///
/// # Errors
/// The store's, the kernel's, argon2's.
pub async fn prepare(directory: &Path, keeping: &Keeping, kept: Kept) -> Result<Snapshot, Error> {
    let file = directory.join(FILE);
    match kept.set_up.clone() {
        Some(SetUp::Done) => {
            forget(directory);
            Ok(kept.with(SetUp::Done))
        }
        Some(awaiting) if file.exists() => Ok(kept.with(awaiting)),
        Some(SetUp::Awaiting { .. }) | None => {
            let password = secrets::one_time()?;
            let hash = PasswordHash::new(&password, secrets::salt()?, Cost::RFC_9106)?;
            let set_up = SetUp::Awaiting { password: hash };
            keeping.keep(&[Change::SetUp(set_up.clone())]).await?;
            show(&file, password.reveal())
                .map_err(|source| Error::File { path: file.display().to_string(), source })?;
            tracing::warn!(
                file = FILE,
                "the three officers are not named yet: the file holds the password for it"
            );
            Ok(kept.with(set_up))
        }
    }
}

/// Takes the file away: its password is void.
pub fn forget(directory: &Path) {
    match fs::remove_file(directory.join(FILE)) {
        Ok(()) => tracing::info!("the set-up password is void and its file is gone"),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => tracing::warn!(%error, "the file of the void set-up password stays"),
    }
}

fn show(file: &Path, password: &str) -> std::io::Result<()> {
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(file)?;
    writeln!(file, "{password}")?;
    file.sync_all()
}
