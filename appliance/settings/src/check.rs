//! What no single value can know: duplicates, names that lead nowhere, limits, and the floors that the law
//! sets. Each check reads the sections it names and is left out while one of these has mistakes of its own,
//! so that one slip of the pen is told once.

mod dial_plan;
mod flow;
mod library;
mod limits;
mod prompts;
mod record;
mod route;
mod sip;
mod srtp;

pub(crate) use library::lacking;
pub(crate) use prompts::{missing, prompts};

use crate::problem::{Message, nearest};
use crate::{Section, Settings};
use std::borrow::Cow;
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
    let checks: [(Check, &[Section]); 21] = [
        (sip::addresses, &[Section::Sip]),
        (sip::names, &[Section::Sip]),
        (sip::trunks, &[Section::Sip]),
        (media, &[Section::Media]),
        (srtp::endpoints, &[Section::Media, Section::Sip]),
        (addresses, &[Section::Sip, Section::Media, Section::Console]),
        (route::names, &[Section::Route]),
        (route::phones, &[Section::Route, Section::Sip]),
        (dial_plan::rules, &[Section::Route]),
        (dial_plan::trunks, &[Section::Route, Section::Sip]),
        (dial_plan::emergency, &[Section::Route, Section::Sip]),
        (flow::graphs, &[Section::Route]),
        (flow::calendars, &[Section::Route]),
        (flow::announcements, &[Section::Route, Section::Record]),
        (limits::route, &[Section::Route]),
        (limits::record, &[Section::Record]),
        (record::queues, &[Section::Route, Section::Record]),
        (record::announcement, &[Section::Record]),
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

/// What is sound and still worth a second look.
pub(crate) fn advice(settings: &Settings) -> Vec<Finding> {
    srtp::keys(settings)
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
    let path = Path::new("media");
    if settings.media.codecs.is_empty() {
        findings.push(path.key("codecs").says("settings.codecs-none", []));
    }
    if settings.media.g729_library.as_ref().is_some_and(|path| !path.is_absolute()) {
        findings.push(path.key("g729_library").says("settings.library-path", []));
    }
    let codecs = settings.media.codecs.iter().enumerate();
    twice(findings, codecs.map(|(at, codec)| (*codec, path.item("codecs", at))));
    // Its ports have a setting of their own.
    listened(findings, SocketAddr::new(settings.media.bind, 1), Path::new("media").key("bind"));
    reached(findings, settings.media.advertised, Path::new("media").key("advertised"));
}

/// An address to listen on: of one machine, with a port that is known beforehand.
fn listened(findings: &mut Vec<Finding>, address: SocketAddr, path: Path) {
    if address.port() == 0 || !(address.ip().is_unspecified() || reachable(address.ip())) {
        findings.push(path.says("settings.listen-address", []));
    }
}

/// An address that peers are told.
fn reached(findings: &mut Vec<Finding>, address: Option<IpAddr>, path: Path) {
    if address.is_some_and(|address| !reachable(address)) {
        findings.push(path.says("settings.advertised-address", []));
    }
}

/// Whether it is one machine's: neither all nor a group of them.
fn reachable(address: IpAddr) -> bool {
    let broadcast = matches!(address, IpAddr::V4(v4) if v4.is_broadcast());
    !(address.is_unspecified() || address.is_multicast() || broadcast)
}

fn addresses(settings: &Settings, findings: &mut Vec<Finding>) {
    let Settings { sip, media, console, .. } = settings;
    listened(findings, console.listen, Path::new("console").key("listen"));
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

/// Reports a name that is not among those that there are, with the one that was probably meant.
fn known(findings: &mut Vec<Finding>, code: &str, path: Path, name: &impl fmt::Display, names: &[&str]) {
    let name = name.to_string();
    if !names.contains(&name.as_str()) {
        let near = nearest(&name, names.iter().copied());
        let mut message = Message::new(code, [("name", name.clone())]).near(near);
        message.args.insert("setting".to_owned(), path.to_string());
        findings.push(Finding { path, message });
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
    pub key: Cow<'static, str>,
    pub index: Option<usize>,
}

impl Path {
    pub fn new(key: &'static str) -> Self {
        Self(vec![Step { key: key.into(), index: None }])
    }

    pub fn key(&self, key: impl Into<Cow<'static, str>>) -> Self {
        self.then(Step { key: key.into(), index: None })
    }

    pub fn item(&self, key: &'static str, index: usize) -> Self {
        self.then(Step { key: key.into(), index: Some(index) })
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
            f.write_str(&step.key)?;
        }
        Ok(())
    }
}
