//! From text to [`Settings`], with all mistakes at once.
//!
//! `serde` stops at the first mistake. So that the types stay the only description of the file, the reader
//! lets it stop, notes the problem, takes that one entry out of the tree, and tries again until what is left
//! is sound:
//!
//! ```text
//!   text ──TOML──> tree ──┬─> serde ──Ok──> checks ──> Settings or problems
//!                         ^     │Err: note it, take the entry out
//!                         └─────┘
//! ```

use crate::Settings;
use crate::check::{self, Finding};
use crate::media::LibraryLack;
use crate::problem::{Message, Problem, nearest};
use crate::section::Section;
use crate::tree::{locate, stands, take_out, trail};
use mutant::mutant;
use serde::Deserialize;
use std::collections::BTreeSet;
use toml::Spanned;
use toml::de::{DeTable, Deserializer};

/// The longest settings, in bytes: of the text, and of the whole with its defaults filled in, which must fit one
/// message to those who ask for it and leave room for more.
const MOST_BYTES: usize = 512 << 10;

/// Reads a text; `prompts` gives the prompts of a directory, `None` where that cannot be said; `library` what keeps the
/// library of G.729 from being loaded.
pub(crate) fn read(
    text: &str,
    prompts: impl FnOnce(&std::path::Path) -> Option<BTreeSet<String>>,
    library: impl FnOnce(Option<&std::path::Path>) -> Result<(), LibraryLack>,
) -> Result<Settings, Vec<Problem>> {
    let too_long = || vec![at(text, 0, String::new(), Message::new("settings.too-long", []))];
    if text.len() > MOST_BYTES {
        return Err(too_long());
    }
    let (tree, errors) = DeTable::parse_recoverable(text);
    if !errors.is_empty() {
        let problems = errors.iter().map(|error| {
            let start = error.span().map_or(0, |span| span.start);
            at(
                text,
                start,
                String::new(),
                Message::new("settings.syntax", [("reason", error.message().to_owned())]),
            )
        });
        return Err(in_order(problems.collect()));
    }
    let (settings, mut problems) = typed(text, &tree);
    let troubled: Vec<String> = problems.iter().map(|problem| head(&problem.path).to_owned()).collect();
    let sound = |section: Section| !troubled.iter().any(|name| name == section.as_str());
    let mut findings = check::check(&settings, &sound);
    if sound(Section::Route)
        && sound(Section::Media)
        && let Some(present) = prompts(&settings.media.prompts)
    {
        check::missing(&settings, &present, &mut findings);
    }
    if sound(Section::Media) {
        check::lacking(&settings.media, library, &mut findings);
    }
    for Finding { path, message } in findings {
        let start = locate(&tree, &path).map_or(0, |span| span.start);
        problems.push(at(text, start, path.to_string(), message));
    }
    if !problems.is_empty() {
        return Err(in_order(problems));
    }
    let whole = settings.to_value().to_string().len();
    if whole > MOST_BYTES && !mutant("settings-unbounded") { Err(too_long()) } else { Ok(settings) }
}

/// What is worth a second look in a text of these sound settings.
pub(crate) fn advise(text: &str, settings: &Settings) -> Vec<Problem> {
    let (tree, _errors_of_no_sound_text) = DeTable::parse_recoverable(text);
    let advice = check::advice(settings).into_iter().map(|Finding { path, message }| {
        let start = locate(&tree, &path).map_or(0, |span| span.start);
        at(text, start, path.to_string(), message)
    });
    in_order(advice.collect())
}

/// The settings that are left after each entry that does not fit its type is noted and taken out.
fn typed(text: &str, tree: &Spanned<DeTable<'_>>) -> (Settings, Vec<Problem>) {
    let mut problems = Vec::new();
    let mut rest = tree.clone();
    while problems.len() < Problem::MOST {
        let error = match Settings::deserialize(Deserializer::from(rest.clone())) {
            Ok(settings) => return (settings, problems),
            Err(error) => error,
        };
        let span = error.span().unwrap_or(0..0);
        let mut keys = Vec::new();
        let found = trail(tree.get_ref(), &span, &mut keys);
        let path = keys.join(".");
        let message = message(error.message(), &path);
        // A key is also missing where its value did not fit and was taken out: that has been told.
        let told = message.code == "settings.missing"
            && message.args.get("key").is_some_and(|key| stands(tree.get_ref(), &span, key));
        if !told {
            problems.push(at(text, span.start, path, message));
        }
        if !found || !take_out(rest.get_mut(), &span) {
            break;
        }
    }
    (Settings::default(), problems)
}

/// The message of an error by `serde`. Its text may quote the value, which may be a password: only the
/// parts that name keys and types go on.
fn message(text: &str, path: &str) -> Message {
    let mut quoted = text.split('`').skip(1).step_by(2);
    let mut first = || quoted.next().unwrap_or_default().to_owned();
    let setting = || ("setting", path.to_owned());
    if text.starts_with("settings.") {
        return Message::new(text, [setting()]);
    }
    if text.starts_with("unknown field") {
        let key = first();
        let near = nearest(&key, text.split('`').skip(3).step_by(2)).map(str::to_owned);
        return Message::new("settings.unknown-key", [("key", key)]).near(near.as_deref());
    }
    if text.starts_with("missing field") {
        return Message::new("settings.missing", [("key", first()), setting()]);
    }
    if text.starts_with("unknown variant") {
        let expected: Vec<_> = text.split('`').skip(3).step_by(2).collect();
        let value = first();
        return Message::new(
            "settings.variant",
            [("value", value), ("expected", expected.join(", ")), setting()],
        );
    }
    if text.contains("socket address syntax") || text.ends_with("expected socket address") {
        return Message::new("settings.address", [setting()]);
    }
    if text.contains("IP address syntax") || text.ends_with("expected IP address") {
        return Message::new("settings.ip", [setting()]);
    }
    if text == types::NameError::NotName.to_string() {
        return Message::new("settings.name", [setting()]);
    }
    let expected = text.rsplit_once("expected ").map_or("", |(_, expected)| expected);
    let code = match expected {
        "u8" | "u16" | "u32" | "u64" => "settings.number",
        _ if expected.contains("string") => "settings.quotes",
        "a sequence" => "settings.list",
        _ if expected.starts_with("struct") || expected.starts_with("a map") => "settings.table",
        _ => "settings.unfit",
    };
    Message::new(code, [setting()])
}

fn head(path: &str) -> &str {
    path.split('.').next().unwrap_or_default()
}

fn in_order(mut problems: Vec<Problem>) -> Vec<Problem> {
    problems.sort();
    problems.dedup();
    problems.truncate(Problem::MOST);
    problems
}

fn at(text: &str, start: usize, path: String, message: Message) -> Problem {
    let before = text.get(..start).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    Problem {
        line: count(before.matches('\n').count() + 1),
        column: count(before[line_start..].chars().count() + 1),
        path,
        code: message.code,
        args: message.args,
    }
}
