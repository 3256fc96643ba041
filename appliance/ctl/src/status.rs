//! `ym status`: every daemon, from the supervisor's own record, or from systemd on an appliance.

use crate::{
    failure::{Failure, Status as Exit},
    home::Home,
    output::{self, Form},
    systemd,
    up::status::{DaemonStatus, Status},
};
use std::{process::ExitCode, time::Duration};

/// Shows the house. The exit status is 0 where every daemon serves, else 5.
///
/// # Errors
/// The house is not up.
pub fn show(home: &Home, form: Form) -> Result<ExitCode, Failure> {
    let status = match home.read_status() {
        Ok(status) => status,
        Err(down) => systemd::status()?.ok_or(down)?,
    };
    output::show(form, &status, human);
    Ok(if status.ready() { ExitCode::SUCCESS } else { ExitCode::from(Exit::Unavailable as u8) })
}

fn human(status: &Status) {
    let rows: Vec<Vec<String>> = status.daemons.iter().map(row).collect();
    output::table(
        &["DAEMON", "HEALTH", "UP FOR", "RESTARTS", "VERSION", "SAYS", "LAST ERROR"],
        &rows,
        "no daemon",
    );
}

fn row(daemon: &DaemonStatus) -> Vec<String> {
    let up =
        daemon.started.map_or_else(|| "–".to_owned(), |started| span(service::clock::utc().since(started)));
    let or_dash = |text: &Option<String>| text.clone().unwrap_or_else(|| "–".to_owned());
    vec![
        daemon.name.clone(),
        format!("{:?}", daemon.stage).to_lowercase(),
        up,
        daemon.restarts.to_string(),
        or_dash(&daemon.version),
        short(&daemon.says),
        short(&or_dash(&daemon.last_error)),
    ]
}

/// As much as a line of a table bears; `--json` has all of it.
fn short(text: &str) -> String {
    const MOST: usize = 60;
    match text.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// A span in its two largest units.
fn span(span: Duration) -> String {
    let s = span.as_secs();
    match s {
        0..60 => format!("{s} s"),
        60..3_600 => format!("{} min {} s", s / 60, s % 60),
        3_600..86_400 => format!("{} h {} min", s / 3_600, s % 3_600 / 60),
        _ => format!("{} d {} h", s / 86_400, s % 86_400 / 3_600),
    }
}

#[cfg(test)]
mod tests {
    use super::span;
    use std::time::Duration;

    #[test]
    fn spans_read_well() {
        let text = |s| span(Duration::from_secs(s));
        assert_eq!(
            [text(5), text(65), text(7_260), text(90_000)],
            ["5 s", "1 min 5 s", "2 h 1 min", "1 d 1 h"]
        );
    }
}
