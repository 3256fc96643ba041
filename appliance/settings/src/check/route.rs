//! Names in `[route]` lead somewhere.

use super::{Finding, Path, known, twice};
use crate::Settings;
use crate::route::Route;

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

    let reasons = settings.route.aux_reasons.iter().enumerate();
    twice(findings, reasons.map(|(at, reason)| (reason, item("aux_reasons", at))));

    let flow_names: Vec<&str> = flows.iter().map(|flow| flow.name.as_str()).collect();
    let queue_names: Vec<&str> = queues.iter().map(|queue| queue.name.0.as_str()).collect();
    for (at, number) in numbers.iter().enumerate() {
        let path = item("numbers", at).key("flow");
        known(findings, "settings.flow-unknown", path, &number.flow, &flow_names);
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
