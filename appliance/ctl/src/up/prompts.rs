//! Whether the prompts that the settings name are there: a house without them starts, and its callers hear
//! nothing.

use crate::{failure::Failure, home::Home};
use settings::Settings;
use std::collections::BTreeSet;

/// What lacks, in one sentence with its remedy.
pub fn missing(home: &Home, settings: &Settings) -> Option<Failure> {
    // A path of its own takes the place of the home.
    let folder = home.path().join(&settings.media.prompts);
    let files = settings.prompts().into_iter().map(|prompt| format!("{prompt}.wav"));
    let lacking: BTreeSet<String> = files.filter(|name| !folder.join(name).is_file()).collect();
    if lacking.is_empty() {
        return None;
    }
    let code = if folder.is_dir() { "ym.prompt-missing" } else { "ym.prompts-missing" };
    let names = lacking.into_iter().collect::<Vec<_>>().join(", ");
    Some(Failure::said(code, &[("folder", &folder.display().to_string()), ("names", &names)]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{fs, path::Path};

    fn told(home: &Path, prompts: &str) -> Option<String> {
        let text = format!(
            "[media]\nprompts = \"{prompts}\"\n[[route.flows]]\nname = \"f\"\n\
             steps = [{{ play = \"hello\" }}, {{ announce = \"recorded\" }}, {{ play = \"hello\" }}]\n"
        );
        let settings = Settings::parse(&text).unwrap();
        missing(&Home::at(home).unwrap(), &settings).map(|failure| failure.to_string())
    }

    #[test]
    fn a_folder_or_a_file_that_lacks_is_one_sentence() {
        let directory = tempfile::tempdir().unwrap();
        let folder = directory.path().join("sounds");
        let sentence = told(directory.path(), "sounds").unwrap();
        assert!(
            sentence.contains(folder.to_str().unwrap()) && sentence.contains("media.prompts"),
            "{sentence}"
        );
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("hello.wav"), "").unwrap();
        let sentence = told(directory.path(), "sounds").unwrap();
        assert!(sentence.contains("recorded.wav") && !sentence.contains("hello.wav"), "{sentence}");
        fs::write(folder.join("recorded.wav"), "").unwrap();
        assert_eq!(told(Path::new("/nowhere"), folder.to_str().unwrap()), None);
    }
}
