//! Deliberate faults: each name in tests/mutants.toml stands in a source, and turns its test red.
//!
//! A test that runs the daemons' own programs stands in the table with `-p mutant` beside its own crate, because
//! it does not depend on the switch itself.

use crate::{failure::Failure, manifest::workspace, repository::Repository, shell};
use serde::Deserialize;
use std::{collections::BTreeMap, time::Instant};

/// The table of faults.
const TABLE: &str = "tests/mutants.toml";
/// Where the sources are that may hold one.
const SOURCES: &[&str] = &["appliance", "audit", "daemons", "hsm", "tests"];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    #[serde(default)]
    mutant: Vec<Mutant>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Mutant {
    name: String,
    breaks: String,
    test: String,
}

/// Holds the table to the sources, and the switch to `off` in every build.
///
/// # Errors
/// A fault without a place, a place without a row, or a crate that arms the switch.
pub fn check(repository: &Repository) -> Result<String, Failure> {
    let table = table(repository)?;
    let places = places(repository)?;
    let mut broken = Vec::new();
    for mutant in &table {
        if !places.contains_key(&mutant.name) {
            broken.push(format!("{TABLE}: {} stands in no source", mutant.name));
        }
        if mutant.breaks.trim().is_empty() || mutant.test.trim().is_empty() {
            broken.push(format!("{TABLE}: {} says not what it breaks and what sees it", mutant.name));
        }
        if table.iter().filter(|other| other.name == mutant.name).count() > 1 {
            broken.push(format!("{TABLE}: {} stands there twice", mutant.name));
        }
    }
    for (name, place) in &places {
        if !table.iter().any(|mutant| mutant.name == *name) {
            broken.push(format!("{place}: the fault {name} has no row in {TABLE}"));
        }
    }
    for manifest in workspace(repository)? {
        let arms = |feature: &String| feature.ends_with("mutant/armed") || feature.ends_with("mutant?/armed");
        let by_feature = manifest.features.values().flatten().any(arms);
        let by_dependency = manifest.dependencies.iter().any(|dependency| {
            dependency.name == "mutant" && dependency.features.iter().any(|name| name == "armed")
        });
        if by_feature || by_dependency {
            broken.push(format!("{}/Cargo.toml arms the faults: no build may", manifest.folder.display()));
        }
    }
    Failure::unless_empty(broken)?;
    Ok(format!("{} faults", table.len()))
}

/// Switches faults on, those named or all, one after the other.
///
/// # Errors
/// A test that stayed green, or did not even build.
pub fn run(repository: &Repository, names: &[String]) -> Result<(), Failure> {
    check(repository)?;
    let table = table(repository)?;
    if let Some(name) = names.iter().find(|name| !table.iter().any(|mutant| mutant.name == **name)) {
        return Err(Failure::plain(format!("{TABLE} has no fault {name}")));
    }
    let armed = repository.target().join("mutants");
    // Some tests run the daemons' own programs.
    let programs =
        repository.cargo(["build", "--quiet", "--workspace", "--bins", "--features", "mutant/armed"]);
    shell::quiet(&programs.env("CARGO_TARGET_DIR", &armed))?;
    let mut survived = Vec::new();
    for mutant in table.iter().filter(|mutant| names.is_empty() || names.contains(&mutant.name)) {
        let began = Instant::now();
        let order = |further: &str| {
            repository
                .cargo(["test", "--quiet", "--features", "mutant/armed"])
                .args(mutant.test.split_whitespace())
                .args(further.split_whitespace())
                .env("CARGO_TARGET_DIR", &armed)
                .env("YANMEN_MUTANT", &mutant.name)
        };
        // A test that does not build is red for the wrong reason.
        shell::quiet(&order("--no-run"))?;
        let outcome = shell::outcome(&order(""))?;
        let verdict = match outcome.success {
            false => "red",
            true => {
                survived.push(format!("{}: {} stayed green", mutant.name, mutant.test));
                "GREEN"
            }
        };
        let time = began.elapsed().as_secs_f32();
        shell::say(&format!("{:<5}  {:<32}  {time:>6.1} s  {}", verdict, mutant.name, mutant.breaks));
    }
    Failure::unless_empty(survived)
}

fn table(repository: &Repository) -> Result<Vec<Mutant>, Failure> {
    toml::from_str::<Table>(&repository.read(TABLE)?)
        .map(|table| table.mutant)
        .map_err(|error| Failure::plain(format!("{TABLE}: {error}")))
}

/// Every name asked for in a source, and where.
fn places(repository: &Repository) -> Result<BTreeMap<String, String>, Failure> {
    let mut places = BTreeMap::new();
    for folder in SOURCES {
        for path in repository.files(folder, "rs")? {
            let text = repository.read(&path)?;
            for name in asked(&text) {
                places.insert(name.to_owned(), repository.relative(&path).display().to_string());
            }
        }
    }
    Ok(places)
}

/// The names in `mutant(…)` with a literal, comments left out.
fn asked(text: &str) -> impl Iterator<Item = &str> {
    let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
    code.flat_map(|line| line.split("mutant(\"").skip(1)).filter_map(|rest| rest.split('"').next())
}

#[cfg(test)]
mod tests {
    use super::asked;

    #[test]
    fn faults_are_found_in_code_alone() {
        let text = concat!("// mutant", "(\"a\")\nif mutant", "(\"b\") || mutant::mutant", "(\"c\") {}\n");
        assert_eq!(asked(text).collect::<Vec<_>>(), ["b", "c"]);
    }
}
