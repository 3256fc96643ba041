//! Protection of sound: of trunks and phones that there are; and where its keys can be read on their way.

use super::{Finding, Path, known, twice};
use crate::Settings;
use crate::media::Srtp;
use crate::sip::{MAIN, Sip, Transport};

pub(super) fn endpoints(settings: &Settings, findings: &mut Vec<Finding>) {
    let path = Path::new("media");
    let trunks = || {
        let own = settings.media.trunks.iter().enumerate();
        own.map(|(at, own)| (&own.name, path.item("trunks", at).key("name")))
    };
    let phones = || {
        let own = settings.media.phones.iter().enumerate();
        own.map(|(at, own)| (&own.extension, path.item("phones", at).key("extension")))
    };
    twice(findings, trunks());
    twice(findings, phones());
    let names: Vec<&str> = settings.sip.trunks.iter().map(|trunk| trunk.name.0.as_str()).collect();
    for (name, path) in trunks() {
        known(findings, "settings.trunk-unknown", path, name, &names);
    }
    let names: Vec<&str> = settings.sip.phones.iter().map(|phone| phone.extension.0.as_str()).collect();
    for (extension, path) in phones() {
        known(findings, "settings.extension-unknown", path, extension, &names);
    }
}

/// The keys of SDES stand in the session description (RFC 4568 §7): without TLS whoever sees the signalling has them.
pub(super) fn keys(settings: &Settings) -> Vec<Finding> {
    let Settings { sip, media, .. } = settings;
    let mut advice = Vec::new();
    let says = |path: Path, name: String| path.says("settings.srtp-keys-in-clear", [("name", name)]);
    for trunk in &sip.trunks {
        let plain = trunk.transport != Transport::Tls && !mutant::mutant("settings-srtp-keys-unsaid");
        if plain && media.srtp_of_trunk(&trunk.name) != Srtp::Off {
            let own = media.trunks.iter().position(|own| own.name == trunk.name);
            let path = own.map(|at| Path::new("media").item("trunks", at));
            advice.push(says(path.unwrap_or(Path::new("media")).key("srtp"), trunk.name.to_string()));
        }
    }
    for phone in &sip.phones {
        if media.srtp_of_phone(&phone.extension) != Srtp::Off && !has_tls(sip, phone.network.as_ref()) {
            let own = media.phones.iter().position(|own| own.extension == phone.extension);
            let path = own.map(|at| Path::new("media").item("phones", at));
            advice.push(says(path.unwrap_or(Path::new("media")).key("srtp"), phone.extension.to_string()));
        }
    }
    advice
}

/// Whether a phone could speak TLS at all; whether it does is its own settings' business.
fn has_tls(sip: &Sip, network: Option<&types::Name>) -> bool {
    let name = network.map_or(MAIN, types::Name::as_str);
    sip.all_networks().any(|network| network.name.as_str() == name && !network.tls.is_empty())
}
