//! A call drawn as a ladder: carrier, house and phone side by side, every message an arrow at its time.
//!
//! ```text
//!       s  carrier                      house                        phone
//!   0.000     │── INVITE ────────────────►│                            │
//!   0.001     │◄──────────── 100 Trying ──│                            │
//!   6.204     │                           │── INVITE ─────────────────►│  8001  UDP 10.2.0.1:5060 – 10.2.0.31:5060
//! ```
//!
//! The addresses, the house's first, stand where a leg begins and where they change.

use crate::output::{self, columns, text};
use report_api::{CallRecord, LegRecord, SignallingRecord};
use route_api::{Endpoint, Path, Step, Way};
use std::{collections::BTreeMap, time::Duration};
use types::{LegId, Utc};

/// Columns between two lines of the ladder.
const LANE: usize = 30;
/// Columns of a moment, and from there to the first line.
const MOMENT: usize = 9;
const MARGIN: usize = 4;

/// Shows how the signalling of a call went, and its times.
pub fn show(record: &CallRecord) {
    let lines = drawn(record);
    if lines.is_empty() {
        return output::say(&text("ym.ladder-none", &[]));
    }
    lines.iter().for_each(|line| output::say(line));
    output::say("");
    let headings = [
        "ym.timing-over",
        "ym.timing-rang-after",
        "ym.timing-answered-after",
        "ym.timing-rang",
        "ym.timing-talked",
    ]
    .map(|code| text(code, &[]));
    let rows: Vec<Vec<String>> = record.legs.iter().map(timings).collect();
    output::table(&headings.each_ref().map(String::as_str), &rows, "");
}

/// The ladder, line by line; nothing where no leg has one.
fn drawn(record: &CallRecord) -> Vec<String> {
    let mut steps: Vec<(Utc, &LegRecord, &Step)> = Vec::new();
    let mut left_out = 0;
    for (leg, ladder) in record.legs.iter().filter_map(|leg| Some((leg, leg.ladder.as_ref()?))) {
        left_out += ladder.left_out;
        steps.extend(ladder.steps.iter().map(|step| (moment(ladder, step), leg, step)));
    }
    if steps.is_empty() {
        return Vec::new();
    }
    steps.sort_by_key(|(at, ..)| *at);
    let [carrier, house, phone] =
        ["ym.ladder-carrier", "ym.ladder-house", "ym.ladder-phone"].map(|code| text(code, &[]));
    let before = MOMENT.saturating_sub(columns(&text("ym.ladder-seconds", &[])));
    let mut lines = vec![format!(
        "{}{}  {}{}{phone}",
        " ".repeat(before),
        text("ym.ladder-seconds", &[]),
        padded(&carrier, LANE + 1),
        padded(&house, LANE + 1),
    )];
    let mut paths: BTreeMap<LegId, &Path> = BTreeMap::new();
    for (at, leg, step) in &steps {
        let known = leg.ladder.as_ref().map_or(&[][..], |ladder| &ladder.paths);
        let path = step.path.and_then(|path| known.get(usize::from(path)));
        let news = path.filter(|path| paths.insert(leg.leg, path) != Some(path));
        lines.push(line(at.since(record.offered), &leg.over, step) + &news.map(between).unwrap_or_default());
    }
    if left_out > 0 {
        lines.push(text("ym.ladder-left-out", &[("count", &left_out.to_string())]));
    }
    lines
}

fn line(after: Duration, over: &Endpoint, step: &Step) -> String {
    let (here, there) = (arrow(over, step), " ".repeat(LANE));
    let (left, right, name) = match over {
        Endpoint::Trunk(trunk) => (here, there, trunk.to_string()),
        Endpoint::Phone(extension) => (there, here, extension.to_string()),
    };
    let moment = format!("{:>MOMENT$.3}", after.as_secs_f64());
    format!("{moment}{}│{left}│{right}│  {name}", " ".repeat(MARGIN))
}

/// Between which addresses, the house's first.
fn between(path: &Path) -> String {
    format!("  {} {} – {}", path.protocol, path.house, path.far)
}

/// One message between its two lines. A phone stands to the right of the house, a carrier to the left.
fn arrow(over: &Endpoint, step: &Step) -> String {
    let method = step.exchange.rsplit(' ').next().unwrap_or_default();
    let mut label = step.message.clone();
    if label != method {
        label = format!("{label} ({method})");
    }
    if step.repeated > 0 {
        label = format!("{label} ×{}", step.repeated.saturating_add(1));
    }
    let mut label: String = label.chars().take(LANE - 6).collect();
    let rest = "─".repeat(LANE - 5 - columns(&label).min(LANE - 5));
    label = format!(" {label} ");
    match (over, step.way) {
        (Endpoint::Trunk(_), Way::Received) | (Endpoint::Phone(_), Way::Sent) => format!("──{label}{rest}►"),
        (Endpoint::Trunk(_), Way::Sent) | (Endpoint::Phone(_), Way::Received) => format!("◄{rest}{label}──"),
    }
}

/// How long it took until the leg rang and was answered, how long it rang, and how long it talked.
fn timings(leg: &LegRecord) -> Vec<String> {
    let answer_of = |status: &str| {
        let steps = leg.ladder.iter().flat_map(|ladder| &ladder.steps);
        let of_invite = steps.filter(|step| step.exchange.ends_with(" INVITE"));
        let mut found = of_invite.filter(|step| step.message.starts_with(status));
        found.next().map(|step| Duration::from_micros(step.after_us))
    };
    let (rang, answered) = (answer_of("18"), answer_of("2"));
    let ringing = rang.zip(answered).map(|(rang, answered)| answered.saturating_sub(rang));
    let talked = leg.answered.map(|answered| leg.ended.since(answered));
    let seconds =
        |time: Option<Duration>| time.map_or_else(|| "–".to_owned(), |t| format!("{:.3} s", t.as_secs_f64()));
    let name = match &leg.over {
        Endpoint::Trunk(trunk) => trunk.to_string(),
        Endpoint::Phone(extension) => extension.to_string(),
    };
    [name].into_iter().chain([rang, answered, ringing, talked].map(seconds)).collect()
}

fn moment(ladder: &SignallingRecord, step: &Step) -> Utc {
    ladder.began.plus(Duration::from_micros(step.after_us))
}

fn padded(word: &str, width: usize) -> String {
    format!("{word}{}", " ".repeat(width.saturating_sub(columns(word))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(way: Way, message: &str, exchange: &str, repeated: u32) -> Step {
        Step {
            after_us: 1_500,
            way,
            message: message.to_owned(),
            exchange: exchange.to_owned(),
            repeated,
            path: None,
        }
    }

    #[test]
    fn arrows_point_from_whom_to_whom_and_lines_are_straight() {
        let carrier = Endpoint::Trunk("carrier".parse().unwrap());
        let phone = Endpoint::Phone("8001".parse().unwrap());
        let after = Duration::from_millis(6_204);
        let drawn = [
            line(after, &carrier, &step(Way::Received, "INVITE", "1 INVITE", 0)),
            line(after, &carrier, &step(Way::Sent, "200 OK", "1 INVITE", 2)),
            line(after, &phone, &step(Way::Sent, "INVITE", "1 INVITE", 0)),
            line(after, &phone, &step(Way::Received, "481 Call/Transaction Does Not Exist", "1 BYE", 0)),
        ];
        let gap = " ".repeat(30);
        let expected = [
            format!("    6.204    │── INVITE ───────────────────►│{gap}│  carrier"),
            format!("    6.204    │◄────── 200 OK (INVITE) ×3 ──│{gap}│  carrier"),
            format!("    6.204    │{gap}│── INVITE ───────────────────►│  8001"),
            format!("    6.204    │{gap}│◄ 481 Call/Transaction Doe ──│  8001"),
        ];
        let bars = |line: &str| -> Vec<usize> {
            line.chars().enumerate().filter(|(_, c)| *c == '│').map(|(at, _)| at).collect()
        };
        for (line, expected) in drawn.iter().zip(&expected) {
            assert_eq!(bars(line), [13, 44, 75], "{line}");
            let arrow = |line: &str| line.replace('─', "");
            assert_eq!(arrow(line), arrow(expected), "{line}");
        }
    }
}
