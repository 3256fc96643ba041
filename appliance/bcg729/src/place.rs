//! Where the library lies, and whether it may be loaded.

use std::{
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

/// Where distributions put it: Debian and its kin by architecture, RPM's, and a build of one's own.
pub const PLACES: [&str; 5] = [
    "/usr/lib/x86_64-linux-gnu/libbcg729.so.0",
    "/usr/lib/aarch64-linux-gnu/libbcg729.so.0",
    "/usr/lib64/libbcg729.so.0",
    "/usr/lib/libbcg729.so.0",
    "/usr/local/lib/libbcg729.so.0",
];

/// Why there is no library.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Lack {
    /// No such file.
    #[error("{0} is not there")]
    Missing(PathBuf),
    /// Somebody other than root can change what would be run.
    #[error("{0} can be changed by others than root")]
    Exposed(PathBuf),
    /// It is there and cannot be loaded.
    #[error("{path} cannot be loaded: {reason}")]
    Unfit {
        /// The file.
        path: PathBuf,
        /// The loader's words.
        reason: String,
    },
}

impl Lack {
    /// The file or folder that it is about.
    pub fn path(&self) -> &Path {
        match self {
            Self::Missing(path) | Self::Exposed(path) | Self::Unfit { path, .. } => path,
        }
    }
}

/// The file as it would be loaded, without a link on its way: the named one, else the first of [`PLACES`] that is
/// there. Nothing is loaded.
///
/// # Errors
/// [`Lack::Missing`] and [`Lack::Exposed`].
pub fn find(named: Option<&Path>) -> Result<PathBuf, Lack> {
    let places = PLACES.iter().map(Path::new);
    let path = named.or_else(|| places.clone().find(|place| place.exists()));
    let path = path.ok_or_else(|| Lack::Missing(PathBuf::from(PLACES[0])))?;
    let missing = |_: io::Error| Lack::Missing(path.to_owned());
    let real = path.canonicalize().map_err(missing)?;
    for step in real.ancestors() {
        let about = fs::metadata(step).map_err(missing)?;
        if step == real && !about.is_file() {
            return Err(Lack::Missing(path.to_owned()));
        }
        let exposed = about.uid() != 0 || about.mode() & 0o022 != 0;
        if exposed && !mutant::mutant("library-of-anyone") {
            return Err(Lack::Exposed(step.to_owned()));
        }
    }
    Ok(real)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_can_change_is_not_loaded() {
        let nowhere = Path::new("/nowhere/libbcg729.so.0");
        assert_eq!(find(Some(nowhere)), Err(Lack::Missing(nowhere.to_owned())));
        assert_eq!(
            find(Some(Path::new("/usr/lib"))),
            Err(Lack::Missing(PathBuf::from("/usr/lib"))),
            "a folder"
        );
        // Whoever it belongs to, it lies where everybody may put files.
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("libbcg729.so.0");
        fs::write(&file, "").unwrap();
        assert!(matches!(find(Some(&file)), Err(Lack::Exposed(_))), "{:?}", find(Some(&file)));
        // A link to a sound file is as sound as the file.
        let link = folder.path().join("link");
        std::os::unix::fs::symlink("/usr/bin/env", &link).unwrap();
        assert!(find(Some(&link)).is_ok());
    }

    #[test]
    fn a_file_that_is_no_library_is_said_to_be_none() {
        let told = crate::Library::load(Some(Path::new("/etc/passwd"))).err();
        assert!(matches!(told, Some(Lack::Unfit { .. })), "{told:?}");
        let libc = ["/lib/x86_64-linux-gnu/libm.so.6", "/lib/aarch64-linux-gnu/libm.so.6"];
        if let Some(other) = libc.iter().map(Path::new).find(|path| path.exists()) {
            let told = crate::Library::load(Some(other)).err();
            assert!(matches!(told, Some(Lack::Unfit { .. })), "another library: {told:?}");
        }
    }
}
