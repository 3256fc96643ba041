//! What no single value can know: duplicates, names that lead nowhere, limits, and the floors that the law
//! sets. Each check reads the sections it names and is left out while one of these has mistakes of its own,
//! so that one slip of the pen is told once.

mod limits;
mod route;
mod sip;

use crate::problem::Message;
use crate::{Section, Settings};
use std::collections::BTreeSet;
use std::fmt;
use std::net::{IpAddr, SocketAddr};

/// A mistake and the entry it is about.
pub(crate) struct Finding {
    pub path: Path,
    pub message: Message,
}

/// All mistakes that the checks find; `sound` tells whether a section was read whole.
pub(crate) fn check(settings: &Settings, sound: &dyn Fn(Section) -> bool) -> Vec<Finding> {
    type Check = fn(&Settings, &mut Vec<Finding>);
    let checks: [(Check, &[Section]); 13] = [
        (sip::addresses, &[Section::Sip]),
        (sip::names, &[Section::Sip]),
        (sip::trunks, &[Section::Sip]),
        (media, &[Section::Media]),
        (addresses, &[Section::Sip, Section::Media, Section::Console]),
        (route::names, &[Section::Route]),
        (route::phones, &[Section::Route, Section::Sip]),
        (route::announcements, &[Section::Route, Section::Record]),
        (limits::route, &[Section::Route]),
        (limits::record, &[Section::Record]),
        (limits::auth, &[Section::Auth]),
        (limits::audit, &[Section::Audit]),
        (passwords, &[Section::Sip]),
    ];
    let mut findings = Vec::new();
    for (check, reads) in checks {
        if reads.iter().all(|section| sound(*section)) {
            check(settings, &mut findings);
        }
    }
    findings
}

fn passwords(settings: &Settings, findings: &mut Vec<Finding>) {
    for (at, phone) in settings.sip.phones.iter().enumerate() {
        // A digest that is overheard can be guessed at leisure: the password must not be all extension.
        let rest = phone.password.reveal().replace(phone.extension.0.as_str(), "");
        if rest.chars().count() < 8 {
            let path = Path::new("sip").item("phones", at).key("password");
            findings.push(path.says("settings.password-extension", []));
        }
    }
}

fn media(settings: &Settings, findings: &mut Vec<Finding>) {
    if settings.media.bind.is_unspecified() && settings.media.advertised.is_none() {
        let path = Path::new("media").key("bind");
        findings.push(path.says("settings.advertise", [("section", "media".to_owned())]));
    }
}

fn addresses(settings: &Settings, findings: &mut Vec<Finding>) {
    let Settings { sip, media, console, .. } = settings;
    let meets = |one: IpAddr, other: IpAddr| one == other || one.is_unspecified() || other.is_unspecified();
    let bound: Vec<_> = sip::bound(sip).collect();
    for (address, path) in &bound {
        if media.ports.contains(address.port()) && meets(address.ip(), media.bind) {
            let args = [("port", address.port().to_string()), ("ports", media.ports.to_string())];
            findings.push(path.clone().says("settings.ports-overlap", args));
        }
    }
    let taken = |address: &&SocketAddr| {
        address.port() == console.listen.port() && meets(address.ip(), console.listen.ip())
    };
    if let Some(address) = bound.iter().map(|(address, _)| address).find(taken) {
        let path = Path::new("console").key("listen");
        findings.push(path.says("settings.listen-taken", [("address", address.to_string())]));
    }
}

/// Reports each name that stood there before.
fn twice<T: Ord + fmt::Display>(findings: &mut Vec<Finding>, named: impl Iterator<Item = (T, Path)>) {
    let mut seen = BTreeSet::new();
    for (name, path) in named {
        if seen.contains(&name) {
            findings.push(path.says("settings.twice", [("name", name.to_string())]));
        } else {
            seen.insert(name);
        }
    }
}

/// The way to an entry: `route`, `numbers[2]`, `flow`. Written without the index, since the line tells more.
#[derive(Clone)]
pub(crate) struct Path(Vec<Step>);

/// One key on the way, with the place in the list below it.
#[derive(Clone)]
pub(crate) struct Step {
    pub key: &'static str,
    pub index: Option<usize>,
}

impl Path {
    pub fn new(key: &'static str) -> Self {
        Self(vec![Step { key, index: None }])
    }

    pub fn key(&self, key: &'static str) -> Self {
        self.then(Step { key, index: None })
    }

    pub fn item(&self, key: &'static str, index: usize) -> Self {
        self.then(Step { key, index: Some(index) })
    }

    pub fn steps(&self) -> &[Step] {
        &self.0
    }

    pub fn says<const N: usize>(self, code: &str, args: [(&str, String); N]) -> Finding {
        let mut message = Message::new(code, args);
        message.args.insert("setting".to_owned(), self.to_string());
        Finding { path: self, message }
    }

    fn then(&self, step: Step) -> Self {
        let mut path = self.clone();
        path.0.push(step);
        path
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, step) in self.0.iter().enumerate() {
            if at > 0 {
                f.write_str(".")?;
            }
            f.write_str(step.key)?;
        }
        Ok(())
    }
}
