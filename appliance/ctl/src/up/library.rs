//! Whether the library that speaks G.729 is there, where the settings name that codec: a house without it starts, and
//! whose carrier speaks nothing else is refused.

use crate::failure::Failure;
use bcg729::Lack;
use settings::{
    Settings,
    media::{Codec, Media},
};

/// What lacks, in one sentence with its remedy.
pub fn missing(settings: &Settings) -> Option<Failure> {
    let Media { codecs, g729_library, .. } = &settings.media;
    if !codecs.contains(&Codec::G729) {
        return None;
    }
    let lack = bcg729::find(g729_library.as_deref()).err()?;
    let code = if matches!(lack, Lack::Exposed(_)) { "ym.g729-exposed" } else { "ym.g729-missing" };
    Some(Failure::said(code, &[("path", &lack.path().display().to_string())]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_library_that_lacks_is_one_sentence() {
        let told = |media: &str| {
            let settings = Settings::parse(&format!("[media]\n{media}\n")).unwrap();
            missing(&settings).map(|failure| failure.to_string())
        };
        let sentence = told("codecs = [\"G729\"]\ng729_library = \"/nowhere/lib.so\"").unwrap();
        assert!(sentence.contains("/nowhere/lib.so") && sentence.contains("bcg729"), "{sentence}");
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("lib.so");
        std::fs::write(&file, "").unwrap();
        let sentence = told(&format!("codecs = [\"G729\"]\ng729_library = \"{}\"", file.display())).unwrap();
        assert!(sentence.contains("root"), "{sentence}");
        assert_eq!(told("g729_library = \"/nowhere/lib.so\""), None, "who does not want it misses nothing");
    }
}
