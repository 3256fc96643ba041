//! Every prompt that is named is there: a caller who hears nothing cannot know why.

use super::{Finding, Path};
use crate::Settings;
use crate::problem::{Message, nearest};
use crate::route::{Deed, Route};
use mutant::mutant;
use std::collections::BTreeSet;

/// A mistake for each prompt that no file is there for.
pub(crate) fn missing(settings: &Settings, present: &BTreeSet<String>, findings: &mut Vec<Finding>) {
    let announcement = settings.record.announcement.iter();
    let told = announcement.map(|prompt| (Path::new("record").key("announcement"), prompt.to_string()));
    for (path, prompt) in named(&settings.route).into_iter().chain(told) {
        // A tone is made, not read from a file.
        let there = present.contains(&prompt) || prompt.starts_with(types::TONE);
        if !there && !mutant("settings-prompts-unchecked") {
            let near = nearest(&prompt, present.iter().map(String::as_str));
            let mut message = Message::new("settings.prompt-missing", [("name", prompt.clone())]).near(near);
            message.args.insert("setting".to_owned(), path.to_string());
            findings.push(Finding { path, message });
        }
    }
}

/// Every prompt that is named.
pub(crate) fn prompts(route: &Route) -> BTreeSet<String> {
    named(route).into_iter().map(|(_, prompt)| prompt).collect()
}

/// Every prompt and where it is named.
fn named(route: &Route) -> Vec<(Path, String)> {
    let path = Path::new("route");
    let mut named = Vec::new();
    let mut name = |path: Path, prompt: &dyn std::fmt::Display| named.push((path, prompt.to_string()));
    for (at, flow) in route.flows.iter().enumerate() {
        let path = path.item("flows", at);
        for (at, step) in flow.steps.iter().enumerate() {
            let path = path.item("steps", at);
            match &step.does {
                Deed::Play(prompt) => name(path.key("play"), prompt),
                Deed::Announce(prompt) => name(path.key("announce"), prompt),
                Deed::Menu(menu) => {
                    let path = path.key("menu");
                    name(path.key("prompt"), &menu.prompt);
                    for (key, limit) in [("invalid", &menu.invalid), ("no_input", &menu.no_input)] {
                        limit.prompt.iter().for_each(|prompt| name(path.key(key).key("prompt"), prompt));
                    }
                }
                Deed::Hours(_) | Deed::Queue(_) | Deed::HangUp(_) => {}
            }
        }
    }
    for (at, queue) in route.queues.iter().enumerate() {
        let path = path.item("queues", at);
        queue.music.iter().for_each(|prompt| name(path.key("music"), prompt));
        let Some(told) = &queue.while_waiting else { continue };
        let path = path.key("while_waiting");
        told.prompt.iter().for_each(|prompt| name(path.key("prompt"), prompt));
        if told.position || told.estimate {
            for language in &told.languages {
                for word in language.words() {
                    name(path.key("languages"), &word.prompt(*language));
                }
            }
        }
    }
    named
}
