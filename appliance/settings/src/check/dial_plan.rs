//! Numbers outside: rules that carry something, over trunks that there are.

use super::{Finding, Path, known, twice};
use crate::Settings;
use crate::route::Route;
use crate::value::Dialled;

/// Most trunks of one rule: a caller waits while they are tried.
const MOST_TRUNKS: usize = 8;

pub(super) fn rules(settings: &Settings, findings: &mut Vec<Finding>) {
    let Route { outside, barred, emergency, dial_plan, .. } = &settings.route;
    let path = Path::new("route");
    for (list, key) in [(outside, "outside"), (barred, "barred"), (emergency, "emergency")] {
        twice(findings, list.iter().enumerate().map(|(at, number)| (number, path.item(key, at))));
    }
    let begins = |rule: &crate::route::DialRule| rule.begins.as_ref().map_or("", Dialled::as_str).to_owned();
    let rules = || dial_plan.iter().enumerate().map(|(at, rule)| (rule, path.item("dial_plan", at)));
    twice(findings, rules().map(|(rule, path)| (begins(rule), path.key("begins"))));
    for (rule, path) in rules() {
        if rule.over.is_empty() {
            findings.push(path.key("over").says("settings.dial-plan-empty", []));
        } else if rule.over.len() > MOST_TRUNKS {
            let most = ("most", MOST_TRUNKS.to_string());
            findings.push(path.key("over").says("settings.dial-plan-many", [most]));
        }
        let ways = || rule.over.iter().enumerate().map(|(at, way)| (way, path.item("over", at)));
        twice(findings, ways().map(|(way, path)| (&way.trunk, path.key("trunk"))));
        for (_, path) in ways().filter(|(way, _)| usize::from(way.strip) > rule.length()) {
            let length = ("length", rule.length().to_string());
            findings.push(path.key("strip").says("settings.dial-plan-strip", [length]));
        }
    }
    // A rule carries some of the numbers, or all of them.
    let carried = |number: &Dialled| {
        dial_plan
            .iter()
            .any(|rule| rule.carries(number.as_str()) || begins(rule).starts_with(number.as_str()))
    };
    for (at, number) in outside.iter().enumerate() {
        if !dial_plan.is_empty() && !carried(number) {
            let number = ("number", number.to_string());
            findings.push(path.item("outside", at).says("settings.outside-uncarried", [number]));
        }
    }
}

pub(super) fn trunks(settings: &Settings, findings: &mut Vec<Finding>) {
    let names: Vec<&str> = settings.sip.trunks.iter().map(|trunk| trunk.name.0.as_str()).collect();
    let path = Path::new("route");
    for (at, rule) in settings.route.dial_plan.iter().enumerate() {
        let path = path.item("dial_plan", at);
        for (at, way) in rule.over.iter().enumerate() {
            let path = path.item("over", at).key("trunk");
            known(findings, "settings.trunk-unknown", path, &way.trunk, &names);
        }
    }
}

/// Nothing of the house may stand in the way of help.
pub(super) fn emergency(settings: &Settings, findings: &mut Vec<Finding>) {
    let Route { emergency, numbers, queues, .. } = &settings.route;
    let phones = settings.sip.phones.iter().map(|phone| phone.extension.0.as_str());
    let numbers = numbers.iter().map(|number| number.dialled.as_str());
    let taken: Vec<&str> = phones.chain(numbers).chain(queues.iter().map(|q| q.name.0.as_str())).collect();
    for (at, number) in emergency.iter().enumerate() {
        if taken.contains(&number.as_str()) {
            let path = Path::new("route").item("emergency", at);
            findings.push(path.says("settings.emergency-taken", [("number", number.to_string())]));
        }
    }
}
