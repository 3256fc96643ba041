//! Least and most of each number, and the floors that the law sets.

use super::{Finding, Path};
use crate::{Period, Settings, Size, route::Deed};
use std::fmt::Display;
use std::ops::RangeInclusive;

/// Cybersecurity Law of the PRC, article 21: network logs for no less than six months. Recordings follow.
const RETENTION_FLOOR: Period = Period::days(180);

/// More steps than this are no flow that a person can check.
const MOST_STEPS: usize = 500;

pub(super) fn route(settings: &Settings, findings: &mut Vec<Finding>) {
    let path = Path::new("route");
    within(findings, path.key("max_calls"), settings.route.max_calls, 1..=10_000);
    within(findings, path.key("outside_calls"), settings.route.outside_calls, 1..=100);
    for (at, queue) in settings.route.queues.iter().enumerate() {
        let path = path.item("queues", at);
        within(findings, path.key("ring"), queue.ring, Period::seconds(3)..=Period::minutes(2));
        within(findings, path.key("wrap_up"), queue.wrap_up, Period::seconds(0)..=Period::hours(1));
        within(findings, path.key("max_waiting"), queue.max_waiting, 1..=10_000);
        within(findings, path.key("max_wait"), queue.max_wait, Period::seconds(10)..=Period::hours(4));
    }
    for (at, queue) in settings.route.queues.iter().enumerate() {
        let path = path.item("queues", at).key("while_waiting");
        if let Some(told) = &queue.while_waiting {
            within(findings, path.key("every"), told.every, Period::seconds(10)..=Period::hours(1));
            let says = told.position || told.estimate;
            if says && told.languages.is_empty() || !says && told.prompt.is_none() {
                findings.push(path.says("settings.while-waiting-silent", []));
            }
        }
    }
    for (at, flow) in settings.route.flows.iter().enumerate() {
        let path = path.item("flows", at);
        if flow.steps.len() > MOST_STEPS {
            let args = [("flow", flow.name.to_string()), ("most", MOST_STEPS.to_string())];
            findings.push(path.key("steps").says("settings.steps-many", args));
        }
        for (at, step) in flow.steps.iter().enumerate() {
            let path = path.item("steps", at).key("menu");
            if let Deed::Menu(menu) = &step.does {
                let wait = Period::seconds(1)..=Period::minutes(1);
                within(findings, path.key("first_digit"), menu.first_digit, wait.clone());
                within(findings, path.key("inter_digit"), menu.inter_digit, wait);
                within(findings, path.key("invalid").key("times"), menu.invalid.times, 1..=9);
                within(findings, path.key("no_input").key("times"), menu.no_input.times, 1..=9);
            }
        }
    }
    for (at, agent) in settings.route.agents.iter().enumerate() {
        for (skill_at, skill) in agent.queues.iter().enumerate() {
            let path = path.item("agents", at).item("queues", skill_at).key("level");
            within(findings, path, skill.level, 1..=10);
        }
    }
}

pub(super) fn record(settings: &Settings, findings: &mut Vec<Finding>) {
    let path = Path::new("record");
    floor(findings, path.key("retention"), settings.record.retention);
    let least = Size::mebibytes(16);
    within(
        findings,
        path.key("minimum_free"),
        settings.record.minimum_free,
        least..=Size::gibibytes(1 << 20),
    );
    within(
        findings,
        path.key("warn_before"),
        settings.record.warn_before,
        Period::hours(1)..=Period::days(365),
    );
    for (at, queue) in settings.record.queues.iter().enumerate() {
        floor(findings, path.item("queues", at).key("retention"), queue.retention);
    }
}

pub(super) fn auth(settings: &Settings, findings: &mut Vec<Finding>) {
    let auth = &settings.auth;
    let path = Path::new("auth");
    let lock_out = path.key("lock_out");
    within(findings, lock_out.key("failures"), auth.lock_out.failures, 1..=10);
    within(findings, lock_out.key("for"), auth.lock_out.lasting, Period::minutes(1)..=Period::days(1));
    let password = path.key("password");
    within(findings, password.key("length"), auth.password.length, 8..=64);
    within(findings, password.key("classes"), auth.password.classes, 3..=4);
    within(findings, password.key("age"), auth.password.age, Period::days(1)..=Period::days(365));
    within(findings, password.key("history"), auth.password.history, 1..=24);
    within(findings, path.key("idle"), auth.idle, Period::minutes(1)..=Period::hours(1));
    within(
        findings,
        path.key("absolute"),
        auth.absolute,
        auth.idle.max(Period::minutes(5))..=Period::days(1),
    );
}

pub(super) fn audit(settings: &Settings, findings: &mut Vec<Finding>) {
    let path = Path::new("audit");
    within(
        findings,
        path.key("checkpoint"),
        settings.audit.checkpoint,
        Period::seconds(1)..=Period::hours(1),
    );
    floor(findings, path.key("retention"), settings.audit.retention);
}

fn floor(findings: &mut Vec<Finding>, path: Path, retention: Period) {
    if retention < RETENTION_FLOOR {
        let args = [("value", retention.to_string()), ("least", RETENTION_FLOOR.to_string())];
        findings.push(path.says("settings.retention-floor", args));
    }
}

pub(super) fn within<T: PartialOrd + Display>(
    findings: &mut Vec<Finding>,
    path: Path,
    value: T,
    range: RangeInclusive<T>,
) {
    if range.contains(&value) {
        return;
    }
    let args = [
        ("value", value.to_string()),
        ("least", range.start().to_string()),
        ("most", range.end().to_string()),
    ];
    findings.push(path.says("settings.range", args));
}
