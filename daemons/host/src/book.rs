//! The versions on disk: each an immutable file, and one pointer to the current one.
//!
//! ```text
//!   versions/1.json  versions/2.json …   {version, text}, the text bound by its SM3 digest
//!   current                              the number, replaced by one rename
//!   owed/…                               acts whose end audit has not confirmed (see `owed`)
//! ```
//!
//! A version becomes current by the rename of `current` and by nothing else. A file of a higher number is
//! what an installation left that did not come so far; opening removes it.

use crate::disk::{Disk, UNFINISHED};
use crate::error::Error;
use host_api::{Version, VersionNumber};
use serde::{Deserialize, Serialize};
use settings::Settings;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use zeroize::Zeroizing;

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

/// One version as it lies on disk.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    version: Version,
    text: Zeroizing<String>,
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

    /// Text and meaning of a version; of 0, the built-in defaults.
    ///
    /// # Errors
    /// There is no such version, or its file is damaged.
    pub fn version(&self, number: VersionNumber) -> Result<(Zeroizing<String>, Settings), Error> {
        if number == VersionNumber(0) {
            return Ok(Default::default());
        }
        if !self.versions.iter().any(|version| version.number == number) {
            return Err(Error::NoVersion(number));
        }
        let path = self.path(number);
        let stored = read(&path)?;
        let settings = meaning(&stored, &path)?;
        Ok((stored.text, settings))
    }

    /// Makes this the current version. Whatever interrupts it leaves either the old or this one current.
    ///
    /// # Errors
    /// The disk refused, and the old version is still current.
    pub fn install(&mut self, version: Version, text: Zeroizing<String>) -> Result<(), Error> {
        let stored = Stored { version, text };
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
        let bytes = Zeroizing::new(serde_json::to_vec(stored).unwrap_or_default());
        let directory = self.directory.join("versions");
        let written = self.disk.put(&directory, &format!("{number}.json"), &bytes);
        written.map_err(disk_error("write", &self.path(number)))?;
        let pointed = self.disk.put(&self.directory, "current", format!("{number}\n").as_bytes());
        pointed.map_err(disk_error("write", &self.directory.join("current")))
    }

    /// Reads what is on disk, and removes what interrupted installations left.
    fn reload(&mut self) -> Result<(), Error> {
        let holds = self.pointer()?;
        let mut versions = Vec::new();
        let directory = self.directory.join("versions");
        for path in entries(&directory)? {
            let number = path.file_stem().and_then(|stem| stem.to_str()?.parse().ok()).map(VersionNumber);
            let unfinished = path.to_string_lossy().ends_with(UNFINISHED);
            match number {
                Some(number) if number <= holds && !unfinished => match read(&path) {
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
        let settings = meaning(&stored, &path)?;
        self.current = Arc::new(Current { version: Some(stored.version), settings });
        Ok(())
    }

    /// The number in `current`; 0 where there is none yet.
    fn pointer(&self) -> Result<VersionNumber, Error> {
        let path = self.directory.join("current");
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(VersionNumber(0)),
            Err(error) => return Err(disk_error("read", &path)(error)),
        };
        let number = text.trim_end().parse().map(VersionNumber);
        number.map_err(|_| Error::Damaged { path, reason: "it holds no number".to_owned() })
    }

    fn path(&self, number: VersionNumber) -> PathBuf {
        self.directory.join("versions").join(format!("{number}.json"))
    }
}

/// SM3 over the text, in hexadecimal.
pub fn digest(text: &str) -> String {
    gm::sm3::digest(text.as_bytes()).to_string()
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

fn read(path: &Path) -> Result<Stored, Error> {
    let bytes = Zeroizing::new(fs::read(path).map_err(disk_error("read", path))?);
    let damaged = |reason: &str| Error::Damaged { path: path.to_owned(), reason: reason.to_owned() };
    // The parser's own words might quote the text, and the text has passwords.
    let stored: Stored = serde_json::from_slice(&bytes).map_err(|_| damaged("it is no version"))?;
    let named = path.file_stem().and_then(|stem| stem.to_str()) == Some(&stored.version.number.to_string());
    if stored.version.digest != digest(&stored.text) || !named {
        return Err(damaged("its digest or number does not fit"));
    }
    Ok(stored)
}

fn meaning(stored: &Stored, path: &Path) -> Result<Settings, Error> {
    Settings::parse(&stored.text).map_err(|problems| Error::Damaged {
        path: path.to_owned(),
        reason: problems.first().map_or_else(String::new, |first| first.code.clone()),
    })
}

#[cfg(test)]
mod tests;
