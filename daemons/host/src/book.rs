//! The versions on disk: each an immutable file, and one pointer to the current one.
//!
//! ```text
//!   versions/1.toml  versions/2.toml …     the texts, as people wrote them
//!   versions/1.json  versions/2.json …     number, time, person, and SM3 over a salt and the text
//!   current.toml -> versions/2.toml        replaced by one rename
//!   owed/…                                 acts whose end audit has not confirmed (see `owed`)
//! ```
//!
//! A version becomes current by the rename of `current.toml` and by nothing else. A file of a higher number
//! is what an installation left that did not come so far; opening removes it.

use crate::disk::{Disk, UNFINISHED};
use crate::error::Error;
use host_api::{Version, VersionNumber};
use serde::{Deserialize, Serialize};
use settings::Settings;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use types::Uid;
use words::Lang;
use zeroize::Zeroizing;

/// The name of the pointer: through it, the text that holds.
const CURRENT: &str = "current.toml";

/// The versions, and the one that holds.
pub struct Book<D> {
    directory: PathBuf,
    pub(crate) disk: D,
    versions: Vec<Version>,
    current: Arc<Current>,
}

/// The settings that hold.
pub struct Current {
    /// The version; `None` for the built-in defaults, before the first installation.
    pub version: Option<Version>,
    /// What it says.
    pub settings: Settings,
}

impl Current {
    /// 0 for the built-in defaults.
    pub fn number(&self) -> VersionNumber {
        self.version.as_ref().map_or(VersionNumber(0), |version| version.number)
    }
}

/// One version with its text.
pub struct Stored {
    /// What everyone may know of it.
    pub version: Version,
    /// 128 random bits that nobody outside sees: without them nobody can try passwords against the digest,
    /// which stands in the audit log for ever.
    pub salt: Uid,
    /// The text, passwords within.
    pub text: Zeroizing<String>,
}

/// The facts beside the text.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Facts {
    version: Version,
    salt: Uid,
}

impl<D: Disk> Book<D> {
    /// Opens the book in this directory; an empty directory is a book without versions.
    ///
    /// # Errors
    /// The directory cannot be read or written, or the current version is damaged.
    pub fn open(directory: PathBuf, disk: D) -> Result<Self, Error> {
        let nothing = Arc::new(Current { version: None, settings: Settings::default() });
        let mut book = Self { directory, disk, versions: Vec::new(), current: nothing };
        for name in ["versions", "owed"] {
            let path = book.directory.join(name);
            fs::create_dir_all(&path).map_err(disk_error("make the directory", &path))?;
        }
        book.reload()?;
        Ok(book)
    }

    /// The directory of the book.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The settings that hold.
    pub fn current(&self) -> Arc<Current> {
        Arc::clone(&self.current)
    }

    /// Every version that was ever current, the oldest first.
    pub fn versions(&self) -> &[Version] {
        &self.versions
    }

    /// The text of a version; of 0, the built-in defaults, an empty one.
    ///
    /// # Errors
    /// There is no such version, or its file is damaged.
    pub fn text(&self, number: VersionNumber) -> Result<Zeroizing<String>, Error> {
        if number == VersionNumber(0) {
            return Ok(Zeroizing::default());
        }
        if !self.versions.iter().any(|version| version.number == number) {
            return Err(Error::NoVersion(number));
        }
        read(&self.path(number)).map(|stored| stored.text)
    }

    /// What a version says.
    ///
    /// # Errors
    /// As [`Book::text`]; or its text was sound once and is not by the checks of this release.
    pub fn settings(&self, number: VersionNumber) -> Result<Settings, Error> {
        meaning(&self.text(number)?, &self.path(number))
    }

    /// Makes this the current version. Whatever interrupts it leaves either the old or this one current.
    ///
    /// # Errors
    /// The disk refused, and the old version is still current.
    pub fn install(&mut self, stored: Stored) -> Result<(), Error> {
        let Err(error) = self.write(&stored) else { return self.reload() };
        // The refusal may have come after the rename: what the disk says now is what holds.
        self.reload()?;
        if self.current.version.as_ref() == Some(&stored.version) {
            tracing::error!(%error, "the new version holds, but the disk may lose it at a power cut");
            return Ok(());
        }
        Err(error)
    }

    fn write(&mut self, stored: &Stored) -> Result<(), Error> {
        let number = stored.version.number;
        let facts = Facts { version: stored.version.clone(), salt: stored.salt };
        let facts = serde_json::to_vec_pretty(&facts).unwrap_or_default();
        let versions = self.directory.join("versions");
        let text = format!("{number}.toml");
        let target = Path::new("versions").join(&text);
        self.disk
            .put(&versions, &text, stored.text.as_bytes())
            .and_then(|()| self.disk.put(&versions, &format!("{number}.json"), &facts))
            .map_err(disk_error("write", &self.path(number)))?;
        self.disk
            .point(&self.directory, CURRENT, &target)
            .map_err(disk_error("write", &self.directory.join(CURRENT)))
    }

    /// Reads what is on disk, and removes what interrupted installations left.
    fn reload(&mut self) -> Result<(), Error> {
        let holds = self.pointer()?;
        let mut versions = Vec::new();
        let directory = self.directory.join("versions");
        for path in entries(&directory)? {
            let unfinished = path.to_string_lossy().ends_with(UNFINISHED);
            match number(&path) {
                Some(number) if number <= holds && !unfinished => match read(&path.with_extension("toml")) {
                    // Text and facts are two files, and one version.
                    Ok(_) if path.extension().is_some_and(|extension| extension == "json") => {}
                    Ok(stored) => versions.push(stored.version),
                    Err(error) if number == holds => return Err(error),
                    Err(error) => tracing::error!(%error, "an earlier version cannot be brought back"),
                },
                _ => {
                    tracing::info!(path = %path.display(), "removed: an installation did not come to its end");
                    self.disk.remove(&path).map_err(disk_error("remove", &path))?;
                }
            }
        }
        versions.sort_by_key(|version| version.number);
        self.versions = versions;
        if holds == VersionNumber(0) {
            return Ok(());
        }
        let path = self.path(holds);
        let stored = read(&path)?;
        let settings = meaning(&stored.text, &path)?;
        self.current = Arc::new(Current { version: Some(stored.version), settings });
        Ok(())
    }

    /// The number to which `current.toml` points; 0 where there is none yet.
    fn pointer(&self) -> Result<VersionNumber, Error> {
        let path = self.directory.join(CURRENT);
        let target = match fs::read_link(&path) {
            Ok(target) => target,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(VersionNumber(0)),
            Err(error) => return Err(disk_error("read", &path)(error)),
        };
        let reason = "it points to no version".to_owned();
        number(&target).ok_or(Error::Damaged { path, reason })
    }

    fn path(&self, number: VersionNumber) -> PathBuf {
        self.directory.join("versions").join(format!("{number}.toml"))
    }
}

/// SM3 over salt and text, in hexadecimal.
pub fn digest(salt: Uid, text: &str) -> String {
    gm::sm3::digest_parts(&[&salt.0, text.as_bytes()]).to_string()
}

pub(crate) fn disk_error(attempted: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Error {
    let path = path.to_owned();
    move |source| Error::Disk { attempted, path, source }
}

/// Every file of a directory, in the order of names.
pub(crate) fn entries(directory: &Path) -> Result<Vec<PathBuf>, Error> {
    let listed: Result<Vec<_>, _> =
        fs::read_dir(directory).and_then(|entries| entries.map(|entry| Ok(entry?.path())).collect());
    let mut paths = listed.map_err(disk_error("list", directory))?;
    paths.sort();
    Ok(paths)
}

/// The number in the name of a version's file.
fn number(path: &Path) -> Option<VersionNumber> {
    path.file_stem()?.to_str()?.parse().ok().map(VersionNumber)
}

/// The version whose text is at this path.
fn read(path: &Path) -> Result<Stored, Error> {
    let text = Zeroizing::new(fs::read_to_string(path).map_err(disk_error("read", path))?);
    let facts = path.with_extension("json");
    let bytes = fs::read(&facts).map_err(disk_error("read", &facts))?;
    let Facts { version, salt } = serde_json::from_slice(&bytes)
        .map_err(|error| Error::Damaged { path: facts, reason: error.to_string() })?;
    if version.digest != digest(salt, &text) || Some(version.number) != number(path) {
        let reason = "its digest or number does not fit".to_owned();
        return Err(Error::Damaged { path: path.to_owned(), reason });
    }
    Ok(Stored { version, salt, text })
}

fn meaning(text: &str, path: &Path) -> Result<Settings, Error> {
    Settings::parse(text).map_err(|problems| {
        let sentences = problems.iter().map(|problem| problem.sentence(Lang::En, &path.to_string_lossy()));
        Error::Unsound { sentences: sentences.collect::<Vec<_>>().join("\n") }
    })
}

#[cfg(test)]
mod tests;
