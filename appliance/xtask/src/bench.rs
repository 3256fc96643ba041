//! What the house can bear: the programs of `tests/bench`, in release builds, one after another.

use crate::{failure::Failure, repository::Repository, shell};

/// Runs the subjects that are named, or all.
///
/// # Errors
/// There is no such subject, something does not build, or a subject cannot be measured.
pub fn run(repository: &Repository, names: &[String]) -> Result<(), Failure> {
    let all = subjects(repository)?;
    let unknown: Vec<String> = names
        .iter()
        .filter(|name| !all.contains(name))
        .map(|name| format!("there is no bench {name}: choose among {}", all.join(", ")))
        .collect();
    Failure::unless_empty(unknown)?;
    // The whole house, and the measuring programs.
    shell::watched(&repository.cargo(["build", "--quiet", "--release", "--workspace", "--bins"]))?;
    let commit = commit(repository);
    for name in all.iter().filter(|name| names.is_empty() || names.contains(name)) {
        let program = repository.target().join("release").join(format!("bench-{name}"));
        shell::watched(&shell::Order::new(program, repository.root()).env("BENCH_COMMIT", &commit))?;
    }
    shell::say("every figure is kept in target/bench/results.jsonl, with its commit");
    Ok(())
}

/// The programs of the crate, by name.
fn subjects(repository: &Repository) -> Result<Vec<String>, Failure> {
    let files = repository.files("tests/bench/src/bin", "rs")?;
    Ok(files.iter().filter_map(|file| Some(file.file_stem()?.to_str()?.to_owned())).collect())
}

/// The commit that is measured; `+` where the work tree differs from it.
fn commit(repository: &Repository) -> String {
    let git =
        |args: &[&str]| shell::quiet(&shell::Order::new("git", repository.root()).args(args.iter().copied()));
    // Without git the figures are kept without it.
    let head = git(&["rev-parse", "--short", "HEAD"]).unwrap_or_default();
    let differs =
        git(&["status", "--porcelain", "--untracked-files=no"]).is_ok_and(|text| !text.trim().is_empty());
    format!("{}{}", head.trim(), if differs { "+" } else { "" })
}
