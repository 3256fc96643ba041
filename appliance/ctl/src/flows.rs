//! `ym flows`: what callers go through, drawn and tried.

use crate::{
    failure::{Failure, Status},
    output::{self, Form},
    session::Session,
    time,
};
use clap::Subcommand;
use host_api::{Host, Show};
use route_api::{Route, TriedEnd, TryFlow};
use settings::{
    Settings,
    route::{Deed, Flow, Route as Plan, Way, Where},
};
use std::{collections::BTreeSet, fmt::Write as _, fs, path::PathBuf};
use types::{Name, Utc};

/// Flows.
#[derive(Subcommand)]
pub enum FlowDeed {
    /// Every flow and the numbers that lead to it.
    List,
    /// A flow as a tree, or as a graph.
    Show {
        /// Which.
        flow: Name,
        /// As a graph for Graphviz: ym flows show service --dot | dot -Tsvg > service.svg
        #[arg(long)]
        dot: bool,
        /// Of this file instead of the settings in force.
        #[arg(long)]
        file: Option<PathBuf>,
    },
    /// Try a flow of the settings in force without a phone.
    Try {
        /// Which.
        flow: Name,
        /// When the call comes, in local time: 2026-10-01T10:00.
        #[arg(long, value_parser = time::parse)]
        at: Option<Utc>,
        /// What is pressed at each menu, with commas between; nothing between two lets a menu wait in vain.
        #[arg(long, default_value = "")]
        digits: String,
    },
}

/// Does a deed on flows.
///
/// # Errors
/// No such flow, mistakes in a file, a refusal of host or route.
pub async fn flows(session: &Session<'_>, form: Form, deed: FlowDeed) -> Result<(), Failure> {
    match deed {
        FlowDeed::List => {
            let plan = in_force(session).await?;
            output::show(form, &plan.flows, |flows| {
                let row = |flow: &Flow| {
                    let numbers = plan.numbers.iter().filter(|number| number.flow == flow.name);
                    let numbers: Vec<String> = numbers.map(|number| number.dialled.to_string()).collect();
                    let numbers = if numbers.is_empty() { "–".to_owned() } else { numbers.join(", ") };
                    vec![flow.name.to_string(), flow.steps.len().to_string(), numbers]
                };
                let rows: Vec<Vec<String>> = flows.iter().map(row).collect();
                output::table(&["FLOW", "STEPS", "NUMBERS"], &rows, "no flow in the settings");
            });
        }
        FlowDeed::Show { flow, dot, file } => {
            let (plan, place) = match file {
                Some(file) => (written(&file)?, file.display().to_string()),
                None => (in_force(session).await?, "the settings in force".to_owned()),
            };
            let found = plan.flows.iter().find(|known| known.name == flow);
            let found = found.ok_or_else(|| {
                let arguments = [("flow", flow.as_str()), ("file", place.as_str())];
                Failure::said("ym.flow-unknown", &arguments).with(Status::NotFound)
            })?;
            output::show(form, found, |found| {
                output::say(&if dot { graph(found) } else { tree(found) });
            });
        }
        FlowDeed::Try { flow, at, digits } => {
            let assertion = session.assertion().await?;
            let tried = session.client::<Route>().call(TryFlow { assertion, flow, at, digits }).await?;
            output::show(form, &tried, |tried| {
                let row = |moment: &route_api::TriedMoment| {
                    vec![time::local(moment.at), moment.what.clone(), moment.why.clone()]
                };
                let rows: Vec<Vec<String>> = tried.moments.iter().map(row).collect();
                output::table(&["AT", "WHAT", "WHY"], &rows, "nothing happened");
                output::say("");
                output::say(&match &tried.end {
                    TriedEnd::Queue(queue) => format!("waits in queue {queue}"),
                    TriedEnd::HungUp(cause) => {
                        format!("ended, cause {} {}", cause.q850(), output::word(cause))
                    }
                    TriedEnd::Open => "no end within the bounds of a trial".to_owned(),
                });
                if !tried.unmet.is_empty() {
                    output::say(&format!("steps not met: {}", tried.unmet.join(", ")));
                }
            });
        }
    }
    Ok(())
}

async fn in_force(session: &Session<'_>) -> Result<Plan, Failure> {
    let shown = session.client::<Host>().call(Show { assertion: session.assertion().await.ok() }).await?;
    let route = shown.settings.get("route").cloned().unwrap_or_default();
    serde_json::from_value(route).map_err(|error| Failure::new("read the settings in force", error))
}

fn written(file: &PathBuf) -> Result<Plan, Failure> {
    let name = file.display().to_string();
    let text = fs::read_to_string(file).map_err(|error| Failure::new(&format!("read {name}"), error))?;
    Settings::parse(&text).map(|settings| settings.route).map_err(|problems| {
        problems.iter().for_each(|problem| output::complain(&problem.sentence(output::language(), &name)));
        Failure::said("ym.mistakes-shown", &[("file", &name)])
    })
}

/// The ways out of a step, those to one place together.
fn ways(flow: &Flow, at: usize) -> Vec<(String, Where)> {
    let mut grouped: Vec<(String, Where)> = Vec::new();
    for Way { on, to, .. } in flow.ways(at) {
        match grouped.iter_mut().find(|(_, known)| *known == to) {
            Some((labels, _)) => {
                labels.push_str(", ");
                labels.push_str(&on);
            }
            None => grouped.push((on, to)),
        }
    }
    grouped
}

/// The flow as a tree: each step once, `↑` where it stands above.
fn tree(flow: &Flow) -> String {
    let mut drawn = String::new();
    branch(flow, 0, "", &mut BTreeSet::new(), &mut drawn);
    drawn.trim_end().to_owned()
}

fn branch(flow: &Flow, from: usize, indent: &str, seen: &mut BTreeSet<usize>, drawn: &mut String) {
    let mut at = from;
    loop {
        let Some(step) = flow.steps.get(at) else { return };
        seen.insert(at);
        // Writing to a String cannot fail.
        let _infallible = writeln!(drawn, "{indent}{}  {}", flow.called(at), step.does);
        let ways = ways(flow, at);
        let end = matches!(step.does, Deed::HangUp(_));
        match &ways[..] {
            _ if end => return,
            [(_, Where::Step(to))] if !seen.contains(to) => at = *to,
            [(_, to)] => {
                let _infallible = writeln!(drawn, "{indent}{}", place(flow, *to));
                return;
            }
            many => {
                for (number, (on, to)) in many.iter().enumerate() {
                    let last = number + 1 == many.len();
                    let (corner, below) = if last { ("└─", "   ") } else { ("├─", "│  ") };
                    match to {
                        Where::Step(to) if !seen.contains(to) => {
                            let _infallible = writeln!(drawn, "{indent}{corner} {on}");
                            branch(flow, *to, &format!("{indent}{below}"), seen, drawn);
                        }
                        to => {
                            let _infallible = writeln!(drawn, "{indent}{corner} {on} {}", place(flow, *to));
                        }
                    }
                }
                return;
            }
        }
    }
}

fn place(flow: &Flow, to: Where) -> String {
    match to {
        Where::Step(to) => format!("↑ {}", flow.called(to)),
        Where::End => "■ the call ends".to_owned(),
        Where::Nowhere => "? no such step".to_owned(),
    }
}

/// The flow in the language of Graphviz.
fn graph(flow: &Flow) -> String {
    let quoted = |text: &str| format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""));
    let mut drawn = format!(
        "digraph {} {{\n  node [shape=box];\n  end [label=\"■\", shape=plain];\n",
        quoted(flow.name.as_str())
    );
    for (at, step) in flow.steps.iter().enumerate() {
        let label = quoted(&format!("{}\n{}", flow.called(at), step.does)).replace('\n', "\\n");
        let _infallible = writeln!(drawn, "  s{at} [label={label}];");
        for (on, to) in ways(flow, at) {
            let to = match to {
                Where::Step(to) => format!("s{to}"),
                Where::End | Where::Nowhere => "end".to_owned(),
            };
            let _infallible = writeln!(drawn, "  s{at} -> {to} [label={}];", quoted(&on));
        }
    }
    drawn.push('}');
    drawn
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flow() -> Flow {
        let text = r#"
[[route.flows]]
name = "service"
[[route.flows.steps]]
announce = "recorded"
[[route.flows.steps]]
name = "menu"
menu = { prompt = "main", choices = { "1" = "loans", "0" = "people", "*" = "menu" }, invalid = { next = "people" }, no_input = { next = "people" } }
[[route.flows.steps]]
name = "loans"
play = "loans"
[[route.flows.steps]]
name = "people"
queue = { name = "service", full = "busy" }
[[route.flows.steps]]
name = "closing"
play = "closing"
next = "end"
[[route.flows.steps]]
name = "busy"
play = "busy"
[[route.flows.steps]]
name = "end"
hang_up = "normal-clearing"
[[route.queues]]
name = "service"
"#;
        Settings::parse(text).unwrap_or_else(|problems| panic!("{problems:?}")).route.flows.remove(0)
    }

    #[test]
    fn the_tree_shows_each_step_once() {
        let expected = "\
1  announce recorded
menu  menu main
├─ *, ↑ menu
";
        let drawn = tree(&flow());
        let lines: Vec<&str> = drawn.lines().collect();
        assert_eq!(lines[..2], expected.lines().collect::<Vec<_>>()[..2]);
        assert_eq!(
            lines[2..],
            [
                "├─ * ↑ menu",
                "├─ 0, invalid, no input",
                "│  people  queue service",
                "│  ├─ full",
                "│  │  busy  play busy",
                "│  │  end  hang up (normal-clearing)",
                "│  └─ overdue",
                "│     closing  play closing",
                "│     ↑ end",
                "└─ 1",
                "   loans  play loans",
                "   ↑ people",
            ],
            "{drawn}"
        );
    }

    #[test]
    fn the_graph_has_every_step_and_way() {
        let drawn = graph(&flow());
        assert_eq!(drawn.matches("[label=").count(), 1 + 7 + 10, "{drawn}");
        assert!(drawn.contains("s1 -> s3 [label=\"0, invalid, no input\"];"), "{drawn}");
        assert!(drawn.contains("s6 [label=\"end\\nhang up (normal-clearing)\"];"), "{drawn}");
    }
}
