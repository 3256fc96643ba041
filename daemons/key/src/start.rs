//! The first steps of a life: self-test, token, public keys.

use crate::{keeper::Keeper, passphrase};
use audit_acts::Journal;
use service::{Context, Failure};
use std::{
    fs::{self, File, OpenOptions, Permissions},
    io::{self, Write},
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::Path,
    sync::Arc,
};
use token::{Cost, Soft};

/// Opens the token, or makes it at the very first start, and publishes its public keys.
pub fn keeper(house: &Context, journal: Arc<Journal>) -> Result<Keeper, Failure> {
    gm::selftest().map_err(|error| Failure::of("start", error))?;
    // No core dump and no debugger of the same user may see what is in this memory (PR_SET_DUMPABLE, prctl(2)).
    nix::sys::prctl::set_dumpable(false).map_err(|error| Failure::of("close the memory to others", error))?;
    let keeper = opened(&house.state_directory(), Cost::default(), journal)?;
    tracing::warn!(token = keeper.description(), "this is the token of the house");
    publish(&keeper, &house.public_directory())?;
    Ok(keeper)
}

/// The keeper of the token in `state`.
fn opened(state: &Path, cost: Cost, journal: Arc<Journal>) -> Result<Keeper, Failure> {
    let path = state.join("token");
    let passphrase = passphrase::read(state, &path)?;
    let token = if path.exists() {
        Soft::open(&path, &passphrase).map_err(|error| Failure::of("open the token", error))?
    } else {
        tracing::info!(path = %path.display(), "making the token");
        Soft::create(&path, &passphrase, cost).map_err(|error| Failure::of("make the token", error))?
    };
    Keeper::new(Box::new(token), state, journal).map_err(|error| Failure::of("use the token", error))
}

/// Writes each public key for everyone to read, so that a daemon verifies without asking.
fn publish(keeper: &Keeper, directory: &Path) -> Result<(), Failure> {
    let keys = keeper.public_keys().map_err(|error| Failure::of("read the public keys", error))?;
    fs::create_dir_all(directory)
        .map_err(|error| Failure::of(&format!("make {}", directory.display()), error))?;
    for key in keys.keys {
        let path = directory.join(key.purpose.file_name());
        if fs::read_to_string(&path).is_ok_and(|present| present == key.pem) {
            continue;
        }
        replace(&path, key.pem.as_bytes(), 0o644)
            .map_err(|error| Failure::of(&format!("write {}", path.display()), error))?;
    }
    Ok(())
}

/// Replaces a file as a whole: a reader sees the old one or the new one, after a power cut too.
pub fn replace(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let beside = path.with_extension("new");
    // What a crash left half written is of no use to anyone; that it is not there is the usual case.
    let _was_not_there = fs::remove_file(&beside);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&beside)?;
    // The mode as it is meant, whatever the mask of the process takes away.
    file.set_permissions(Permissions::from_mode(mode))?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&beside, path)?;
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(directory)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use gm::sm2::VerifyingKey;

    const CHEAP: Cost = Cost { memory_kib: 64, passes: 1 };

    fn journal() -> Arc<Journal> {
        Arc::new(Journal::new().unwrap())
    }

    #[test]
    fn the_second_start_finds_what_the_first_made() {
        let state = tempfile::tempdir().unwrap();
        let public = state.path().join("public");
        publish(&opened(state.path(), CHEAP, journal()).unwrap(), &public).unwrap();
        let pem = fs::read_to_string(public.join("audit-log.pem")).unwrap();
        VerifyingKey::from_pem(&pem).unwrap();
        let mode = fs::metadata(state.path().join("passphrase")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        publish(&opened(state.path(), CHEAP, journal()).unwrap(), &public).unwrap();
        assert_eq!(fs::read_to_string(public.join("audit-log.pem")).unwrap(), pem);
        let mode = fs::metadata(public.join("assertion.pem")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o644, "for all to verify");
    }

    #[test]
    fn a_token_without_its_passphrase_is_not_replaced() {
        let state = tempfile::tempdir().unwrap();
        opened(state.path(), CHEAP, journal()).unwrap();
        fs::remove_file(state.path().join("passphrase")).unwrap();
        assert!(opened(state.path(), CHEAP, journal()).is_err());
        fs::write(state.path().join("passphrase"), "\n").unwrap();
        assert!(opened(state.path(), CHEAP, journal()).is_err(), "an empty passphrase");
        fs::write(state.path().join("passphrase"), "guess").unwrap();
        assert!(opened(state.path(), CHEAP, journal()).is_err(), "a wrong passphrase");
    }
}
