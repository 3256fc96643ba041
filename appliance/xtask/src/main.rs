//! The one front door behind `make`: runs what a change must pass and makes what follows from
//! `configs/house.toml`.
//!
//! It knows the repository, never the product: no daemon and no core depends on it.

mod bench;
mod cores;
mod demo;
mod differential;
mod failure;
mod fuzz;
mod gate;
mod imports;
mod links;
mod manifest;
mod mutants;
mod packaging;
mod repository;
mod shell;
mod units;

use clap::{Parser, Subcommand};
use failure::Failure;
use repository::Repository;
use std::{process::ExitCode, time::Duration};

#[derive(Parser)]
#[command(name = "cargo xtask", about = "The one front door behind make")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Everything that a change must pass, one line a step, until the first that fails.
    Test {
        /// How long fuzzing may take, shared among all targets.
        #[arg(long, value_name = "SECONDS", default_value_t = 600)]
        fuzz_seconds: u64,
    },
    /// The steps of `test` that run nothing of the product.
    Lint,
    /// Builds and runs fuzz targets: those named, or all.
    Fuzz {
        /// How long to fuzz, shared among the targets.
        #[arg(long, default_value_t = 600)]
        seconds: u64,
        names: Vec<String>,
    },
    /// Holds our readers of SIP and SDP against those of two other stacks; each disagreement has a row in
    /// docs/differential.md. No part of `test`: it builds other people's stacks.
    Differential {
        /// How many mutants of each corpus are read.
        #[arg(long, default_value_t = 40_000)]
        mutants: u64,
        /// Where their chance comes from.
        #[arg(long, default_value_t = 4_475)]
        seed: u64,
    },
    /// Switches deliberate faults on, those named or all: each must turn its test red.
    Mutants { names: Vec<String> },
    /// Makes the files of packaging/ anew from configs/house.toml.
    Packaging,
    /// What the house can bear, in release builds: the subjects named, or all.
    Bench { names: Vec<String> },
    /// Requests of the console's own OpenAPI document, allowed and forbidden, before the real daemons: some minutes.
    Api,
    /// The whole house in the foreground with the demonstration's settings; its home is .home.
    Run,
}

fn main() -> ExitCode {
    match run(Cli::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Told) => ExitCode::FAILURE,
        Err(failure) => {
            shell::complain(&failure.to_string());
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<(), Failure> {
    let repository = Repository::here()?;
    match command {
        Command::Test { fuzz_seconds } => gate::test(&repository, Duration::from_secs(fuzz_seconds)),
        Command::Lint => gate::lint(&repository),
        Command::Fuzz { seconds, names } => fuzz::run(&repository, &names, Duration::from_secs(seconds))
            .map(|told| shell::say(&told.to_string())),
        Command::Differential { mutants, seed } => differential::run(&repository, mutants, seed),
        Command::Mutants { names } => mutants::run(&repository, &names),
        Command::Packaging => packaging::write(&repository),
        Command::Bench { names } => bench::run(&repository, &names),
        Command::Api => {
            shell::watched(&repository.cargo(["build", "--workspace", "--bins"])).and_then(|()| {
                let test = ["test", "--package", "e2e", "--test", "rooms", "--", "--ignored", "--nocapture"];
                shell::watched(&repository.cargo(test))
            })
        }
        Command::Run => demo::run(&repository),
    }
}
