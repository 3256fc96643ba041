//! The law of imports: a daemon knows itself, the skeleton, the daemons that the table lets it call, and
//! libraries. Nothing knows another daemon's process.
//!
//! ```text
//!  shell -> own core, own api, service, APIs of its callees, libraries
//!  core  -> words (APIs without their methods), libraries that do no I/O
//!  tests -> cores too: the simulation
//!  any   -> never a shell
//! ```

use crate::{
    failure::Failure,
    manifest::{Dependency, Manifest, Part, workspace},
    repository::Repository,
};

/// APIs that everyone may know, and why.
const KNOWN_TO_ALL: &[(&str, &str)] =
    &[("auth-api", "every daemon verifies the assertions that auth signs, by itself")];

/// Libraries that do I/O, read a clock or draw randomness: not for cores.
const NOT_FOR_CORES: &[&str] = &["getrandom", "service", "store", "token"];

/// Holds every manifest to the law.
///
/// # Errors
/// Every import that breaks it.
pub fn check(repository: &Repository) -> Result<String, Failure> {
    let all = workspace(repository)?;
    Failure::unless_empty(all.iter().flat_map(|manifest| broken(manifest, &all)).collect())?;
    Ok(format!("{} crates", all.len()))
}

/// Every breach of the law in one manifest, one sentence each.
fn broken(manifest: &Manifest, all: &[Manifest]) -> Vec<String> {
    let part_of = |name: &str| all.iter().find(|other| other.name == name).and_then(Manifest::part);
    let breaks = |dependency: &Dependency| -> Option<String> {
        let (from, to) = (&manifest.name, &dependency.name);
        match (manifest.part(), part_of(to)) {
            (_, Some((_, Part::Shell))) => Some(format!("{from} depends on the process {to}: nothing may")),
            // The simulation runs every core on one clock.
            (None, Some((_, Part::Core))) if manifest.folder.starts_with("tests") => None,
            (mine, Some((daemon, Part::Core))) if mine != Some((daemon, Part::Shell)) => {
                Some(format!("{from} depends on the core {to}, which is {daemon}'s own"))
            }
            (Some((_, Part::Core)), Some((_, Part::Api))) if !words_only(dependency) => Some(format!(
                "{from} takes {to} with its methods: a core takes the words alone (default-features = false)"
            )),
            (Some((_, Part::Core)), None) if NOT_FOR_CORES.contains(&to.as_str()) => {
                Some(format!("{from} depends on {to}: a core does no I/O"))
            }
            (Some((caller, Part::Shell)), Some((callee, Part::Api)))
                if caller != callee && !may_know(caller, callee) && !words_only(dependency) =>
            {
                Some(format!(
                    "{from} depends on {to}, but configs/house.toml lets {caller} call nothing of it"
                ))
            }
            _ => None,
        }
    };
    manifest.dependencies.iter().filter_map(breaks).collect()
}

fn may_know(caller: &str, callee: &str) -> bool {
    let to_all = KNOWN_TO_ALL.iter().any(|(api, _)| api.strip_suffix("-api") == Some(callee));
    to_all || house::daemon(caller).is_some_and(|row| row.calls.iter().any(|calls| calls.callee == callee))
}

/// Whether only an API's words are taken: no methods, so nothing can be called.
fn words_only(dependency: &Dependency) -> bool {
    !dependency.defaults && !dependency.features.iter().any(|feature| feature == "wire")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn told(folder: &str, name: &str, dependency: &str) -> Vec<String> {
        let written = |name: &str, rest: &str| format!("[package]\nname = \"{name}\"\n{rest}");
        let mut all: Vec<Manifest> = ["key", "record", "sip"]
            .iter()
            .flat_map(|daemon| {
                [
                    (format!("daemons/{daemon}"), (*daemon).to_owned()),
                    { (format!("daemons/{daemon}/api"), format!("{daemon}-api")) },
                    (format!("daemons/{daemon}/core"), format!("{daemon}-core")),
                ]
            })
            .map(|(folder, name)| Manifest::parse(Path::new(&folder), &written(&name, "")).unwrap())
            .collect();
        let text = written(name, &format!("[dependencies]\n{dependency}\n"));
        all.retain(|manifest| manifest.name != name);
        let manifest = Manifest::parse(Path::new(folder), &text).unwrap();
        broken(&manifest, &all)
    }

    #[test]
    fn what_the_law_forbids_is_found() {
        for (folder, name, dependency) in [
            ("daemons/sip", "sip", "key-api.workspace = true"),
            ("daemons/sip", "sip", "record.workspace = true"),
            ("daemons/sip", "sip", "record-core.workspace = true"),
            ("daemons/sip/core", "sip-core", "service.workspace = true"),
            ("daemons/sip/core", "sip-core", "record-api.workspace = true"),
            (
                "daemons/sip/core",
                "sip-core",
                "record-api = { path = \"x\", default-features = false, features = [\"wire\"] }",
            ),
            ("appliance/ctl", "ctl", "record = { path = \"../../daemons/record\" }"),
            ("appliance/ctl", "ctl", "other = { package = \"record\", path = \"x\" }"),
        ] {
            assert_eq!(told(folder, name, dependency).len(), 1, "{name}: {dependency}");
        }
    }

    #[test]
    fn what_the_law_gives_passes() {
        for (folder, name, dependency) in [
            ("daemons/record", "record", "key-api.workspace = true"),
            ("daemons/record", "record", "record-core.workspace = true\nrecord-api.workspace = true"),
            ("daemons/sip/core", "sip-core", "record-api = { path = \"x\", default-features = false }"),
            ("appliance/ctl", "ctl", "record-api.workspace = true"),
            ("tests/sim", "sim-test", "record-core.workspace = true"),
        ] {
            assert_eq!(told(folder, name, dependency), Vec::<String>::new());
        }
    }
}
