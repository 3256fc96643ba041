//! Rules of retention that lead nowhere or stand twice.

use super::{Finding, Path, known, twice};
use crate::Settings;

pub(super) fn queues(settings: &Settings, findings: &mut Vec<Finding>) {
    let path = |at| Path::new("record").item("queues", at).key("name");
    let names: Vec<&str> = settings.route.queues.iter().map(|queue| queue.name.0.as_str()).collect();
    let rules = settings.record.queues.iter().enumerate();
    for (at, rule) in rules.clone() {
        known(findings, "settings.queue-unknown", path(at), &rule.name, &names);
    }
    twice(findings, rules.map(|(at, rule)| (&rule.name, path(at))));
}
