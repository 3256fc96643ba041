//! Where things lie in the repository.

use crate::{failure::Failure, shell::Order};
use std::{
    env, fs,
    path::{Path, PathBuf},
};

/// The work tree.
pub struct Repository {
    root: PathBuf,
    target: PathBuf,
}

impl Repository {
    /// The work tree that this program was built in.
    ///
    /// # Errors
    /// It is no longer there.
    pub fn here() -> Result<Self, Failure> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let root = root.canonicalize().map_err(Failure::file(&root))?;
        let target =
            env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), |path| root.join(path));
        Ok(Self { root, target })
    }

    /// The top folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Where cargo builds.
    pub fn target(&self) -> &Path {
        &self.target
    }

    /// A call of cargo in the top folder.
    pub fn cargo<const N: usize>(&self, args: [&str; N]) -> Order {
        Order::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()), &self.root).args(args)
    }

    /// The text of a file, its path relative to the top folder.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn read(&self, path: impl AsRef<Path>) -> Result<String, Failure> {
        let path = self.root.join(path);
        fs::read_to_string(&path).map_err(Failure::file(&path))
    }

    /// Every file below `folder` with this extension, sorted; folders of builds and hidden ones left out.
    ///
    /// # Errors
    /// A folder cannot be read.
    pub fn files(&self, folder: impl AsRef<Path>, extension: &str) -> Result<Vec<PathBuf>, Failure> {
        let mut found = Vec::new();
        collect(&self.root.join(folder), extension, &mut found)?;
        found.sort();
        Ok(found)
    }

    /// A path as people write it: from the top folder.
    pub fn relative<'a>(&self, path: &'a Path) -> &'a Path {
        path.strip_prefix(&self.root).unwrap_or(path)
    }
}

fn collect(folder: &Path, extension: &str, found: &mut Vec<PathBuf>) -> Result<(), Failure> {
    for entry in fs::read_dir(folder).map_err(Failure::file(folder))? {
        let entry = entry.map_err(Failure::file(folder))?;
        let (path, name) = (entry.path(), entry.file_name());
        let passed_over = name == "target" || name.to_string_lossy().starts_with('.');
        match entry.file_type().map_err(Failure::file(&path))? {
            kind if kind.is_dir() && !passed_over => collect(&path, extension, found)?,
            kind if kind.is_file() && path.extension().is_some_and(|found| found == extension) => {
                found.push(path)
            }
            _ => {}
        }
    }
    Ok(())
}
