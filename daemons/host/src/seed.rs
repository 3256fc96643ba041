//! The settings of the very first start: before there are accounts, the supervisor leaves them beside the book.

use crate::book::disk_error;
use crate::error::Error;
use service::Failure;
use settings::Problem;
use std::fs;
use std::path::{Path, PathBuf};
use words::Lang;
use zeroize::Zeroizing;

/// The text that the supervisor left.
pub struct Seed {
    path: PathBuf,
    pub(crate) text: Zeroizing<String>,
}

impl Seed {
    /// `seed.toml` in this directory, if it is there.
    ///
    /// # Errors
    /// It is there and cannot be read.
    pub fn find(directory: &Path) -> Result<Option<Self>, Failure> {
        let path = directory.join("seed.toml");
        match fs::read_to_string(&path) {
            Ok(text) => Ok(Some(Self { path, text: Zeroizing::new(text) })),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(failure(disk_error("read", &path)(error))),
        }
    }

    /// Removes it, once it is version 1: it has passwords in it.
    ///
    /// # Errors
    /// The disk refused.
    pub fn remove(self) -> Result<(), Failure> {
        fs::remove_file(&self.path).map_err(|error| failure(disk_error("remove", &self.path)(error)))
    }

    /// All its mistakes in one failure, in the language of the environment.
    pub fn unsound(&self, problems: &[Problem]) -> Failure {
        let lang = Lang::of_locale(&std::env::var("LANG").unwrap_or_default());
        let name = self.path.file_name().unwrap_or_default().to_string_lossy();
        let sentences: Vec<_> = problems.iter().map(|problem| problem.sentence(lang, &name)).collect();
        Failure(sentences.join("\n"))
    }
}

fn failure(error: Error) -> Failure {
    Failure::of("take over the settings of the first start", error)
}
