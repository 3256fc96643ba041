//! `ym settings`: one file, checked, in versions.

use crate::{
    failure::Failure,
    output::{self, Form},
    session::Session,
    time,
};
use clap::Subcommand;
use host_api::{Applied, Apply, Check, Diff, Differences, Host, RollBack, Show, VersionNumber, Versions};
use std::{fs, path::PathBuf};

/// Settings.
#[derive(Subcommand)]
pub enum Deed {
    /// The settings in force, secrets masked.
    Show,
    /// What is wrong with a file, and what it would change.
    Check {
        /// The file.
        file: PathBuf,
    },
    /// Make a file the settings in force (system administrator).
    Apply {
        /// The file.
        file: PathBuf,
        /// Why: kept in the audit log.
        #[arg(long)]
        reason: String,
    },
    /// Every version.
    Versions,
    /// What differs between two versions.
    Diff {
        /// The one.
        from: u64,
        /// The other.
        to: u64,
    },
    /// Make an earlier version the settings in force again (system administrator).
    RollBack {
        /// Which.
        version: u64,
        /// Why: kept in the audit log.
        #[arg(long)]
        reason: String,
    },
}

/// Does a deed on settings.
///
/// # Errors
/// A refusal of host, or mistakes in the file.
pub async fn settings(session: &Session<'_>, form: Form, deed: Deed) -> Result<(), Failure> {
    let host = session.client::<Host>();
    match deed {
        Deed::Show => {
            let shown = host.call(Show { assertion: session.assertion().await.ok() }).await?;
            output::show(form, &shown, |shown| match serde_json::to_string_pretty(&shown.settings) {
                Ok(text) => output::say(&text),
                Err(error) => output::complain(&format!("ym: {error}")),
            });
        }
        Deed::Check { file } => {
            let checked = host.call(Check { text: read(&file)? }).await?;
            let name = file.display().to_string();
            output::show(form, &checked, |checked| {
                for problem in checked.problems.iter().chain(&checked.advice) {
                    output::say(&problem.sentence(output::language(), &name));
                }
                if checked.problems.is_empty() {
                    differences(&checked.differences);
                }
            });
            if !checked.problems.is_empty() {
                return Err(Failure::said("ym.mistakes", &[("file", &name)]));
            }
        }
        Deed::Apply { file, reason } => {
            let assertion = session.assertion().await?;
            let applied = host.call(Apply { text: read(&file)?, assertion, reason, base: None }).await?;
            return installed(form, &applied, &file.display().to_string());
        }
        Deed::Versions => {
            let list = host.call(Versions {}).await?;
            output::show(form, &list, |list| {
                let rows: Vec<Vec<String>> = list
                    .versions
                    .iter()
                    .map(|version| {
                        let current = if list.current == Some(version.number) { "in force" } else { "" };
                        vec![
                            version.number.0.to_string(),
                            time::local(version.installed),
                            version
                                .person
                                .as_ref()
                                .map_or_else(|| "first start".to_owned(), ToString::to_string),
                            version.reason.clone(),
                            current.to_owned(),
                        ]
                    })
                    .collect();
                output::table(
                    &["VERSION", "INSTALLED", "BY", "REASON", ""],
                    &rows,
                    "no version: the defaults hold",
                );
            });
        }
        Deed::Diff { from, to } => {
            // A house in which nobody can log in yet, or now, is looked at too.
            let assertion = session.assertion().await.ok();
            let (from, to) = (VersionNumber(from), VersionNumber(to));
            let reply = host.call(Diff { assertion, from, to }).await?;
            output::show(form, &reply, differences);
        }
        Deed::RollBack { version, reason } => {
            let assertion = session.assertion().await?;
            let applied = host.call(RollBack { to: VersionNumber(version), assertion, reason }).await?;
            return installed(form, &applied, &format!("version {version}"));
        }
    }
    Ok(())
}

fn installed(form: Form, applied: &Applied, name: &str) -> Result<(), Failure> {
    output::show(form, applied, |applied| match applied {
        Applied::Installed { version, differences: found } => {
            output::say(&output::text("ym.in-force", &[("version", &version.number.0.to_string())]));
            differences(found);
        }
        Applied::Unsound { problems } => {
            problems.iter().for_each(|problem| output::say(&problem.sentence(output::language(), name)));
        }
    });
    match applied {
        Applied::Installed { .. } => Ok(()),
        Applied::Unsound { .. } => Err(Failure::said("ym.mistakes-unchanged", &[("file", name)])),
    }
}

fn differences(found: &Differences) {
    let text = |value: &Option<serde_json::Value>| {
        value.as_ref().map_or_else(|| "–".to_owned(), ToString::to_string)
    };
    let rows: Vec<Vec<String>> = found
        .changes
        .iter()
        .map(|difference| {
            let effect = match &difference.effect {
                settings::Applied::Live => "at once".to_owned(),
                settings::Applied::AfterRestart { daemon } => {
                    format!("when {daemon:?} restarts").to_lowercase()
                }
            };
            vec![
                difference.change.path.clone(),
                text(&difference.change.old),
                text(&difference.change.new),
                effect,
            ]
        })
        .collect();
    output::table(
        &["SETTING", "BEFORE", "AFTER", "TAKES EFFECT"],
        &rows,
        &output::text("ym.nothing-would-change", &[]),
    );
    if found.left_out > 0 {
        output::say(&output::text("ym.more-differences", &[("count", &found.left_out.to_string())]));
    }
}

fn read(file: &PathBuf) -> Result<String, Failure> {
    fs::read_to_string(file).map_err(|error| Failure::new(&format!("read {}", file.display()), error))
}
