//! Where the passphrase of the soft token comes from.
//!
//! A systemd credential (systemd.exec(5), LoadCredentialEncrypted=) is best: systemd opens it with the TPM
//! and only this process sees it. Without one a passphrase is made and lies beside the token, which guards
//! against nobody who can read the disk; the daemon says so at each start.

use crate::start::replace;
use service::Failure;
use std::{
    env, fs, io,
    path::{Path, PathBuf},
};
use token::Passphrase;
use zeroize::Zeroizing;

const CREDENTIAL: &str = "key-passphrase";

/// The passphrase from the credential, or from `state`/passphrase, which is made where `token` is not there
/// yet either.
pub fn read(state: &Path, token: &Path) -> Result<Passphrase, Failure> {
    if let Some(credential) =
        env::var_os("CREDENTIALS_DIRECTORY").map(|at| PathBuf::from(at).join(CREDENTIAL))
    {
        match fs::read(&credential) {
            Ok(bytes) => return sound(bytes, &credential),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(Failure::of(&format!("read {}", credential.display()), error)),
        }
    }
    let file = state.join("passphrase");
    match fs::read(&file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound && !token.exists() => make(&file)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(Failure(format!(
                "open the token: neither the credential {CREDENTIAL} nor {} is there; give one of them back",
                file.display()
            )));
        }
        Err(error) => return Err(Failure::of(&format!("read {}", file.display()), error)),
        Ok(_) => {}
    }
    tracing::warn!(
        file = %file.display(),
        "THE PASSPHRASE OF THE TOKEN LIES BESIDE IT: whoever reads this disk opens every recording. \
         Give it as the systemd credential key-passphrase instead"
    );
    let bytes = fs::read(&file).map_err(|error| Failure::of(&format!("read {}", file.display()), error))?;
    sound(bytes, &file)
}

/// 256 bits as hexadecimal digits, for the owner's eyes alone.
fn make(file: &Path) -> Result<(), Failure> {
    let mut secret = Zeroizing::new([0; 32]);
    gm::random(&mut *secret).map_err(|error| Failure::of("make a passphrase", error))?;
    let digits: Zeroizing<String> = Zeroizing::new(secret.iter().map(|byte| format!("{byte:02x}")).collect());
    replace(file, digits.as_bytes(), 0o600)
        .map_err(|error| Failure::of(&format!("write {}", file.display()), error))
}

/// The passphrase without the end of its line. An empty one is refused: it would protect nothing.
fn sound(mut bytes: Vec<u8>, from: &Path) -> Result<Passphrase, Failure> {
    while bytes.last().is_some_and(|last| matches!(last, b'\n' | b'\r')) {
        bytes.pop();
    }
    if bytes.is_empty() {
        return Err(Failure(format!("open the token: the passphrase in {} is empty", from.display())));
    }
    Ok(Passphrase::new(bytes))
}
