//! What a change must pass: steps in the order in which a mistake is found soonest.

use crate::{
    cores, failure::Failure, fuzz, imports, links, mutants, packaging, repository::Repository, shell,
};
use std::time::{Duration, Instant};

/// What a step has to tell of its success, and how many proofs it counted.
struct Passed {
    proofs: u64,
    told: String,
}

impl From<String> for Passed {
    fn from(told: String) -> Self {
        Self { proofs: 1, told }
    }
}

/// Runs steps and keeps the count.
struct Gate<'a> {
    repository: &'a Repository,
    passed: u64,
}

/// All steps.
///
/// # Errors
/// The first step that fails.
pub fn test(repository: &Repository, fuzzing: Duration) -> Result<(), Failure> {
    let mut gate = Gate { repository, passed: 0 };
    gate.lint_steps()?;
    // The tests of the house run the daemons' own programs.
    gate.step("programs", |r| quiet(r, &["build", "--workspace", "--bins"]))?;
    gate.step("tests", tests)?;
    gate.step("independent readers", readers)?;
    gate.step("fuzzing", |r| fuzz::run(r, &[], fuzzing).map(|fuzzed| fuzzed.to_string().into()))?;
    gate.end();
    Ok(())
}

/// The steps that run nothing of the product.
///
/// # Errors
/// The first step that fails.
pub fn lint(repository: &Repository) -> Result<(), Failure> {
    let mut gate = Gate { repository, passed: 0 };
    gate.lint_steps()?;
    gate.end();
    Ok(())
}

impl Gate<'_> {
    fn lint_steps(&mut self) -> Result<(), Failure> {
        self.step("format", |r| quiet(r, &["fmt", "--all", "--check"]))?;
        self.step("imports follow the table", |r| imports::check(r).map(Passed::from))?;
        self.step("cores are pure", |r| cores::check(r).map(Passed::from))?;
        self.step("faults have their tests", |r| mutants::check(r).map(Passed::from))?;
        self.step("links in documents", |r| links::check(r).map(Passed::from))?;
        self.step("units follow the table", |r| packaging::check(r).map(Passed::from))?;
        self.step("units are walled in", |r| packaging::judge(r).map(Passed::from))?;
        self.step("other people's crates", |r| {
            quiet(
                r,
                &["deny", "--all-features", "--log-level", "error", "check", "bans", "licenses", "sources"],
            )
        })?;
        self.step("clippy", |r| {
            quiet(r, &["clippy", "--quiet", "--workspace", "--all-targets", "--", "--deny", "warnings"])
        })
    }

    /// Runs one step and tells it in one line.
    fn step(
        &mut self,
        name: &str,
        run: impl FnOnce(&Repository) -> Result<Passed, Failure>,
    ) -> Result<(), Failure> {
        shell::begin(&format!("{name:<26} "));
        let began = Instant::now();
        let outcome = run(self.repository);
        let time = began.elapsed().as_secs_f32();
        match outcome {
            Ok(Passed { proofs, told }) => {
                self.passed += proofs;
                shell::say(&format!("ok {time:>7.1} s  {told}"));
                Ok(())
            }
            Err(failure) => {
                let (passed, failed) = match &failure {
                    Failure::Program(_, output) => counted(output),
                    _ => (0, 0),
                };
                shell::say(&format!("FAILED {time:>3.1} s\n{failure}\n\nthe step `{name}` failed"));
                shell::say(&format!("{} passed, {} failed", self.passed + passed, failed.max(1)));
                Err(Failure::Told)
            }
        }
    }

    fn end(&self) {
        shell::say(&format!("{} passed, 0 failed", self.passed));
    }
}

fn quiet(repository: &Repository, args: &[&str]) -> Result<Passed, Failure> {
    shell::quiet(&repository.cargo([]).args(args)).map(|_| String::new().into())
}

/// `cargo test` on everything, to its end, so that one run tells all that is wrong.
fn tests(repository: &Repository) -> Result<Passed, Failure> {
    let output = shell::quiet(&repository.cargo(["test", "--workspace", "--no-fail-fast"]))?;
    let (proofs, _) = counted(&output);
    let mut told = format!("{proofs} tests");
    for skipped in output.lines().filter(|line| line.contains("SKIPPED")) {
        told = format!("{told}\n  {}", skipped.trim());
    }
    Ok(Passed { proofs, told })
}

/// Programs in another language read what the house writes.
fn readers(repository: &Repository) -> Result<Passed, Failure> {
    let scripts = repository.files("tests/readers", "sh")?;
    for script in &scripts {
        shell::quiet(&shell::Order::new("sh", repository.root()).args([script]))?;
    }
    Ok(Passed { proofs: scripts.len() as u64, told: format!("{} readers", scripts.len()) })
}

/// Passed and failed tests in what `cargo test` wrote.
fn counted(output: &str) -> (u64, u64) {
    let count = |word: &str| -> u64 {
        output
            .lines()
            .filter(|line| line.starts_with("test result: "))
            .flat_map(|line| line.split(['.', ';']))
            .filter_map(|part| part.trim().strip_suffix(word)?.trim().parse::<u64>().ok())
            .sum()
    };
    (count("passed"), count("failed"))
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_counts_of_all_test_programs_are_added() {
        let output = "test result: ok. 12 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.01s\n\
                      x\ntest result: FAILED. 3 passed; 2 failed; 0 ignored\n";
        assert_eq!(super::counted(output), (15, 2));
    }
}
