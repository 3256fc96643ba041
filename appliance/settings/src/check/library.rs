//! What is to speak G.729 is there: a carrier that speaks nothing else would be refused, call by call.

use super::{Finding, Path};
use crate::media::{Codec, LibraryLack, Media};
use mutant::mutant;

/// A mistake where G.729 is named and what is to speak it cannot be loaded.
pub(crate) fn lacking(
    media: &Media,
    library: impl FnOnce(Option<&std::path::Path>) -> Result<(), LibraryLack>,
    findings: &mut Vec<Finding>,
) {
    let named = media.codecs.iter().position(|codec| *codec == Codec::G729);
    let Some(at) = named.filter(|_| !mutant("settings-library-unchecked")) else { return };
    let Err(lack) = library(media.g729_library.as_deref()) else { return };
    let (code, path) = match lack {
        LibraryLack::Missing(path) => ("settings.g729-missing", path),
        LibraryLack::Exposed(path) => ("settings.g729-exposed", path),
    };
    let setting = Path::new("media").item("codecs", at);
    findings.push(setting.says(code, [("path", path.display().to_string())]));
}
