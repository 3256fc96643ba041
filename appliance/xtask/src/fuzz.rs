//! Fuzzing: every target of tests/fuzz, built once, run from its committed corpus.
//!
//! The parsers are safe Rust, so no sanitizer is built in: a panic, an endless loop or unbounded memory is
//! what can be found, and it is found faster without one.

use crate::{
    failure::Failure,
    repository::Repository,
    shell::{self, Order},
};
use serde::Deserialize;
use std::{env::consts::ARCH, fmt, fs, path::PathBuf, thread, time::Duration};

/// Where the targets and their corpora lie.
const FOLDER: &str = "tests/fuzz";
/// The most memory of one target, in MiB.
const MEMORY: u32 = 2048;

/// What was fuzzed.
pub struct Fuzzed {
    targets: usize,
    inputs: u64,
}

impl fmt::Display for Fuzzed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} targets, {} inputs", self.targets, self.inputs)
    }
}

/// Builds the targets, those named or all, and runs each for its share of `total`, as many at once as there
/// are processors.
///
/// # Errors
/// A target does not build, or an input breaks it: the input is kept and told.
pub fn run(repository: &Repository, names: &[String], total: Duration) -> Result<Fuzzed, Failure> {
    let names = if names.is_empty() { every(repository)? } else { names.to_vec() };
    build(repository, &names)?;
    let count = u32::try_from(names.len()).unwrap_or(u32::MAX).max(1);
    let share = (total / count).max(Duration::from_secs(1));
    let lanes = thread::available_parallelism().map_or(1, usize::from);
    let mut inputs = 0;
    for beside in names.chunks(lanes) {
        let outcomes: Vec<_> = thread::scope(|scope| {
            let running: Vec<_> =
                beside.iter().map(|name| scope.spawn(move || one(repository, name, share))).collect();
            running.into_iter().map(thread::ScopedJoinHandle::join).collect()
        });
        for outcome in outcomes {
            inputs += outcome.map_err(|_| Failure::plain("a thread that fuzzed has ended early"))??;
        }
    }
    Ok(Fuzzed { targets: names.len(), inputs })
}

/// The names of all targets.
fn every(repository: &Repository) -> Result<Vec<String>, Failure> {
    let manifest: Manifest = toml::from_str(&repository.read(format!("{FOLDER}/Cargo.toml"))?)
        .map_err(|error| Failure::plain(format!("{FOLDER}/Cargo.toml: {error}")))?;
    Ok(manifest.bin.into_iter().map(|target| target.name).collect())
}

#[derive(Deserialize)]
struct Manifest {
    bin: Vec<Target>,
}

#[derive(Deserialize)]
struct Target {
    name: String,
}

/// One build for all, for most of the work is in what they share.
fn build(repository: &Repository, names: &[String]) -> Result<(), Failure> {
    let place = built(repository);
    let order = repository
        .cargo(["fuzz", "build", "--fuzz-dir", ".", "--sanitizer", "none", "--target", &triple()])
        .args(["--target-dir".as_ref(), place.as_os_str()])
        // Coverage is an unstable flag of the stable compiler.
        .env("RUSTC_BOOTSTRAP", "1")
        .within(&repository.root().join(FOLDER));
    shell::quiet(&if let [one] = names { order.args([one]) } else { order }).map(drop)
}

/// Runs one target; what it finds of interest stays out of the committed corpus.
fn one(repository: &Repository, name: &str, share: Duration) -> Result<u64, Failure> {
    let folder = repository.root().join(FOLDER);
    let (found, broken) = (built(repository).join("found").join(name), folder.join("artifacts").join(name));
    let corpus = folder.join("corpus").join(name);
    for place in [&found, &broken, &corpus] {
        fs::create_dir_all(place).map_err(Failure::file(place))?;
    }
    let program = built(repository).join(triple()).join("release").join(name);
    let order = Order::new(program, &folder)
        .args([format!("-max_total_time={}", share.as_secs()), format!("-rss_limit_mb={MEMORY}")])
        .args(["-timeout=10", "-print_final_stats=1"])
        .args([format!("-artifact_prefix={}/", broken.display())])
        .args([&found, &corpus]);
    let told = shell::quiet(&order)?;
    let executed = told.lines().find_map(|line| line.strip_prefix("stat::number_of_executed_units:"));
    executed
        .and_then(|count| count.trim().parse().ok())
        .ok_or_else(|| Failure::plain(format!("{name} does not tell how many inputs it ran:\n{told}")))
}

fn built(repository: &Repository) -> PathBuf {
    repository.target().join("fuzz")
}

fn triple() -> String {
    format!("{ARCH}-unknown-linux-gnu")
}
