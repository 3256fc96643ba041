//! Names in `[route]` lead somewhere, and nobody is recorded who has not been told.

use super::{Finding, Path, twice};
use crate::problem::nearest;
use crate::record::When;
use crate::route::{Flow, Route, Step};
use crate::{Settings, problem::Message};
use std::fmt::Display;

pub(super) fn names(settings: &Settings, findings: &mut Vec<Finding>) {
    let Route { numbers, flows, queues, agents, .. } = &settings.route;
    let path = Path::new("route");
    let item = |list, at| path.item(list, at);
    twice(
        findings,
        numbers.iter().enumerate().map(|(at, n)| (&n.dialled, item("numbers", at).key("dialled"))),
    );
    twice(findings, flows.iter().enumerate().map(|(at, flow)| (&flow.name, item("flows", at).key("name"))));
    twice(
        findings,
        queues.iter().enumerate().map(|(at, queue)| (&queue.name, item("queues", at).key("name"))),
    );
    twice(
        findings,
        agents.iter().enumerate().map(|(at, agent)| (&agent.name, item("agents", at).key("name"))),
    );

    let flow_names: Vec<&str> = flows.iter().map(|flow| flow.name.as_str()).collect();
    let queue_names: Vec<&str> = queues.iter().map(|queue| queue.name.0.as_str()).collect();
    for (at, number) in numbers.iter().enumerate() {
        let path = item("numbers", at).key("flow");
        known(findings, "settings.flow-unknown", path, &number.flow, &flow_names);
    }
    for (at, flow) in flows.iter().enumerate() {
        let path = item("flows", at);
        if flow.steps.is_empty() {
            findings.push(path.key("steps").says("settings.steps-none", [("flow", flow.name.to_string())]));
        }
        for (at, step) in flow.steps.iter().enumerate() {
            if let Step::Queue(queue) = step {
                let path = path.item("steps", at).key("queue");
                known(findings, "settings.queue-unknown", path, queue, &queue_names);
            }
        }
    }
    for (at, agent) in agents.iter().enumerate() {
        let path = item("agents", at);
        let skills = || agent.queues.iter().enumerate().map(|(at, skill)| (skill, path.item("queues", at)));
        twice(findings, skills().map(|(skill, path)| (&skill.queue, path.key("queue"))));
        for (skill, path) in skills() {
            known(findings, "settings.queue-unknown", path.key("queue"), &skill.queue, &queue_names);
        }
    }
}

pub(super) fn phones(settings: &Settings, findings: &mut Vec<Finding>) {
    let extensions: Vec<&str> = settings.sip.phones.iter().map(|phone| phone.extension.0.as_str()).collect();
    let seats = || {
        let agents = settings.route.agents.iter().enumerate();
        agents.filter_map(|(at, agent)| {
            let path = Path::new("route").item("agents", at).key("extension");
            agent.extension.as_ref().map(|extension| (extension, path))
        })
    };
    twice(findings, seats());
    for (extension, path) in seats() {
        known(findings, "settings.extension-unknown", path, extension, &extensions);
    }
}

/// With `record.when = "announced"` each flow that leads to people announces first: a flow without it would
/// quietly leave its calls unrecorded.
pub(super) fn announcements(settings: &Settings, findings: &mut Vec<Finding>) {
    if settings.record.when == When::Never {
        return;
    }
    for (at, flow) in settings.route.flows.iter().enumerate() {
        if let Some(step) = unannounced(flow) {
            let path = Path::new("route").item("flows", at).item("steps", step);
            findings.push(path.says("settings.announce-first", [("flow", flow.name.to_string())]));
        }
    }
}

/// The first step that leads to people before an announcement.
fn unannounced(flow: &Flow) -> Option<usize> {
    let queue = flow.steps.iter().position(|step| matches!(step, Step::Queue(_)))?;
    let announced = flow.steps[..queue].iter().any(|step| matches!(step, Step::Announce(_)));
    (!announced).then_some(queue)
}

fn known(findings: &mut Vec<Finding>, code: &str, path: Path, name: &impl Display, names: &[&str]) {
    let name = name.to_string();
    if !names.contains(&name.as_str()) {
        let near = nearest(&name, names.iter().copied());
        let mut message = Message::new(code, [("name", name.clone())]).near(near);
        message.args.insert("setting".to_owned(), path.to_string());
        findings.push(Finding { path, message });
    }
}
