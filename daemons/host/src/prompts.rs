//! Which prompts there are, so that settings that name others are told before a caller finds out.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// The prompts beside this house's home.
#[derive(Clone, Debug)]
pub struct Prompts {
    home: PathBuf,
}

impl Prompts {
    /// Of the house whose daemons' directories lie in `home`.
    pub const fn of(home: PathBuf) -> Self {
        Self { home }
    }

    /// The names in a directory of prompts, as media would load them; `None` where it cannot be read.
    pub fn present(&self, directory: &Path) -> Option<BTreeSet<String>> {
        let entries = fs::read_dir(self.home.join(directory)).ok()?;
        let name = |path: PathBuf| {
            let name = path.file_name()?.to_str()?.strip_suffix(".wav")?.to_owned();
            path.is_file().then_some(name)
        };
        Some(entries.flatten().filter_map(|entry| name(entry.path())).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_file_with_the_ending_is_no_prompt() {
        let home = tempfile::tempdir().unwrap();
        let prompts = home.path().join("prompts");
        fs::create_dir_all(prompts.join("folder.wav")).unwrap();
        for name in ["greeting.wav", "README.md", "a.b.wav"] {
            fs::write(prompts.join(name), "").unwrap();
        }
        std::os::unix::fs::symlink("nowhere.wav", prompts.join("dangling.wav")).unwrap();
        let house = Prompts::of(home.path().to_owned());
        let present = house.present(Path::new("prompts")).unwrap();
        assert_eq!(present.into_iter().collect::<Vec<_>>(), ["a.b", "greeting"]);
        assert_eq!(house.present(Path::new("elsewhere")), None);
    }
}
