//! Differential runs: our readers beside those of two other stacks (tests/differential), which stand outside the
//! workspace with a lock file of their own, so that nothing that ships or is gated depends on them.

use crate::{failure::Failure, repository::Repository, shell};

const FOLDER: &str = "tests/differential";

/// Builds and runs them; what has no row in docs/differential.md is told and fails.
///
/// # Errors
/// It does not build, or a disagreement is not explained.
pub fn run(repository: &Repository, mutants: u64, seed: u64) -> Result<(), Failure> {
    let place = repository.target().join("differential");
    let order = repository
        .cargo(["run", "--quiet", "--locked"])
        .args(["--target-dir".as_ref(), place.as_os_str()])
        .args(["--", "--mutants", &mutants.to_string(), "--seed", &seed.to_string()])
        .within(&repository.root().join(FOLDER));
    shell::say(&shell::quiet(&order)?);
    Ok(())
}
