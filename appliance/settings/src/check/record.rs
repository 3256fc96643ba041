//! Rules of retention that lead nowhere or stand twice, and an announcement that is missing.

use super::{Finding, Path, known, twice};
use crate::{Settings, problem::Message, record::Outside};

/// Whoever is to be told must hear something.
pub(super) fn announcement(settings: &Settings, findings: &mut Vec<Finding>) {
    let record = &settings.record;
    if record.outside == Outside::Announced && record.announcement.is_none() {
        let path = Path::new("record").key("outside");
        let args: [(&str, String); 0] = [];
        findings.push(Finding { path, message: Message::new("settings.announcement-missing", args) });
    }
}

pub(super) fn queues(settings: &Settings, findings: &mut Vec<Finding>) {
    let path = |at| Path::new("record").item("queues", at).key("name");
    let names: Vec<&str> = settings.route.queues.iter().map(|queue| queue.name.0.as_str()).collect();
    let rules = settings.record.queues.iter().enumerate();
    for (at, rule) in rules.clone() {
        known(findings, "settings.queue-unknown", path(at), &rule.name, &names);
    }
    twice(findings, rules.map(|(at, rule)| (&rule.name, path(at))));
}
