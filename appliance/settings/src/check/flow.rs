//! Flows as graphs: every name leads to a step, every step can be reached, no circle turns without the
//! caller, and nobody reaches people who has not been told of the recording.

use super::{Finding, Path, known, twice};
use crate::Settings;
use crate::record::When;
use crate::route::{Deed, Flow, Needs, Where};
use mutant::mutant;
use std::collections::BTreeSet;

pub(super) fn graphs(settings: &Settings, findings: &mut Vec<Finding>) {
    let queues: Vec<&str> = settings.route.queues.iter().map(|queue| queue.name.0.as_str()).collect();
    let calendars: Vec<&str> =
        settings.route.calendars.iter().map(|calendar| calendar.name.as_str()).collect();
    for (at, flow) in settings.route.flows.iter().enumerate() {
        let path = Path::new("route").item("flows", at);
        if flow.steps.is_empty() {
            findings.push(path.key("steps").says("settings.steps-none", [("flow", flow.name.to_string())]));
            continue;
        }
        let before = findings.len();
        names(flow, &path, &queues, &calendars, findings);
        // A name that is mistaken would make its step look unreachable: one slip is told once.
        if findings.len() == before {
            unreachable(flow, &path, findings);
            circles(flow, &path, findings);
        }
    }
}

fn names(flow: &Flow, path: &Path, queues: &[&str], calendars: &[&str], findings: &mut Vec<Finding>) {
    let steps = || flow.steps.iter().enumerate().map(|(at, step)| (step, path.item("steps", at)));
    twice(findings, steps().filter_map(|(step, path)| Some((step.name.as_ref()?, path.key("name")))));
    let called: Vec<&str> = flow.steps.iter().filter_map(|step| Some(step.name.as_ref()?.as_str())).collect();
    for (step, path) in steps() {
        let mut leads: Vec<(Path, &types::Name)> = Vec::new();
        leads.extend(step.next.iter().map(|name| (path.key("next"), name)));
        match &step.does {
            Deed::Play(_) | Deed::Announce(_) | Deed::HangUp(_) => {}
            Deed::Menu(menu) => {
                let path = path.key("menu");
                if menu.choices.is_empty() {
                    findings.push(path.key("choices").says("settings.menu-empty", []));
                }
                let choices = menu.choices.iter();
                leads.extend(choices.map(|(keys, name)| (path.key("choices").key(keys.to_string()), name)));
                leads.extend(menu.invalid.next.iter().map(|name| (path.key("invalid").key("next"), name)));
                leads.extend(menu.no_input.next.iter().map(|name| (path.key("no_input").key("next"), name)));
            }
            Deed::Hours(hours) => {
                let path = path.key("hours");
                let code = "settings.calendar-unknown";
                known(findings, code, path.key("calendar"), &hours.calendar, calendars);
                leads.push((path.key("closed"), &hours.closed));
                leads.extend(hours.holiday.iter().map(|name| (path.key("holiday"), name)));
            }
            Deed::Queue(queue) => {
                let path = path.key("queue");
                known(findings, "settings.queue-unknown", path.clone(), &queue.name, queues);
                let ways =
                    [("full", &queue.full), ("overdue", &queue.overdue), ("unstaffed", &queue.unstaffed)];
                leads.extend(ways.iter().filter_map(|(key, name)| Some((path.key(*key), name.as_ref()?))));
            }
        }
        for (path, name) in leads {
            known(findings, "settings.step-unknown", path, name, &called);
        }
    }
}

/// Every step that can be reached from the first without passing one that `stops`; the ones that stop are
/// among them.
fn reached(flow: &Flow, stops: impl Fn(&Deed) -> bool) -> BTreeSet<usize> {
    let mut reached = BTreeSet::new();
    let mut ahead = vec![0];
    while let Some(at) = ahead.pop() {
        if reached.insert(at) && flow.steps.get(at).is_some_and(|step| !stops(&step.does)) {
            let ways = flow.ways(at).into_iter();
            ahead.extend(ways.filter_map(|way| match way.to {
                Where::Step(to) => Some(to),
                Where::End | Where::Nowhere => None,
            }));
        }
    }
    reached
}

fn unreachable(flow: &Flow, path: &Path, findings: &mut Vec<Finding>) {
    let reached = reached(flow, |_| false);
    for at in (0..flow.steps.len()).filter(|at| !reached.contains(at)) {
        let args = [("step", flow.called(at)), ("flow", flow.name.to_string())];
        findings.push(path.item("steps", at).says("settings.step-unreachable", args));
    }
}

/// Reports each circle of ways that the caller has no part in, once, at its first step.
fn circles(flow: &Flow, path: &Path, findings: &mut Vec<Finding>) {
    let free = |at: usize| {
        let ways = flow.ways(at).into_iter().filter(|way| way.needs == Needs::Nothing);
        ways.filter_map(|way| match way.to {
            Where::Step(to) => Some(to),
            Where::End | Where::Nowhere => None,
        })
    };
    let mut told: BTreeSet<usize> = BTreeSet::new();
    for start in 0..flow.steps.len() {
        if told.contains(&start) {
            continue;
        }
        // The shortest way back to where it began, breadth first.
        let mut came_from = vec![None; flow.steps.len()];
        let mut ahead = std::collections::VecDeque::from([start]);
        let mut last = None;
        while let Some(at) = ahead.pop_front() {
            for to in free(at) {
                if to == start {
                    last = Some(at);
                } else if came_from[to].is_none() {
                    came_from[to] = Some(at);
                    ahead.push_back(to);
                }
            }
            if last.is_some() {
                break;
            }
        }
        let Some(mut at) = last else { continue };
        let mut circle = vec![start];
        while at != start {
            circle.insert(1, at);
            let Some(before) = came_from[at] else { break };
            at = before;
        }
        told.extend(&circle);
        let names: Vec<String> = circle.iter().map(|at| flow.called(*at)).collect();
        let args = [("flow", flow.name.to_string()), ("steps", names.join(" → "))];
        findings.push(path.item("steps", start).says("settings.flow-circle", args));
    }
}

/// With `record.when = "announced"` each way to people passes an announcement first: one without it would
/// quietly leave its calls unrecorded.
pub(super) fn announcements(settings: &Settings, findings: &mut Vec<Finding>) {
    if settings.record.when == When::Never {
        return;
    }
    for (at, flow) in settings.route.flows.iter().enumerate() {
        // An announcement on another way tells nobody who comes by this one.
        let elsewhere = mutant("settings-announce-any-way")
            && flow.steps.iter().any(|step| matches!(step.does, Deed::Announce(_)));
        if elsewhere {
            continue;
        }
        let untold = reached(flow, |deed| matches!(deed, Deed::Announce(_)));
        let people =
            |at: &&usize| matches!(flow.steps.get(**at), Some(step) if matches!(step.does, Deed::Queue(_)));
        if let Some(step) = untold.iter().find(people) {
            let path = Path::new("route").item("flows", at).item("steps", *step);
            findings.push(path.says("settings.announce-first", [("flow", flow.name.to_string())]));
        }
    }
}

pub(super) fn calendars(settings: &Settings, findings: &mut Vec<Finding>) {
    let path = Path::new("route");
    let calendars = || {
        settings
            .route
            .calendars
            .iter()
            .enumerate()
            .map(|(at, calendar)| (calendar, path.item("calendars", at)))
    };
    twice(findings, calendars().map(|(calendar, path)| (&calendar.name, path.key("name"))));
    for (calendar, path) in calendars() {
        let monday = jiff::civil::Weekday::Monday;
        if let Some(day) = calendar.make_up_days.first()
            && !calendar.weekly.iter().any(|hours| hours.on(monday))
        {
            findings.push(
                path.item("make_up_days", 0).says("settings.make-up-monday", [("day", day.to_string())]),
            );
        }
        for (at, day) in calendar.make_up_days.iter().enumerate() {
            if calendar.holidays.iter().any(|holiday| holiday.overlap(day)) {
                let path = path.item("make_up_days", at);
                findings.push(path.says("settings.day-both", [("day", day.to_string())]));
            }
        }
    }
}
