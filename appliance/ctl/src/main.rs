//! `ym`: the house in the foreground, and what a person at the box asks of it.
//!
//! Human output by default, `--json` for programs; exit status 0 done, 1 failed, 2 wrong usage, 3 not
//! permitted, 4 not found, 5 the house or a daemon is not there.

mod failure;
mod home;
mod output;
mod status;
mod up;

use clap::{CommandFactory, Parser, Subcommand};
use clap_complete::Shell;
use failure::Failure;
use home::Home;
use output::Form;
use std::{path::PathBuf, process::ExitCode};

/// Yanmen 雁门: a contact centre behind the firewall.
#[derive(Parser)]
#[command(name = "ym", version, max_term_width = 110)]
struct Cli {
    /// Where the house lives.
    #[arg(long, global = true, env = "YANMEN_HOME", default_value = "/var/lib/yanmen")]
    home: PathBuf,
    /// JSON for programs instead of tables for people.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the whole house in the foreground.
    Up {
        /// The settings of a first start.
        #[arg(long)]
        config: Option<PathBuf>,
    },
    /// Show every daemon: health, version, start, restarts, last error.
    Status,
    /// Print the completion script of a shell.
    Completion {
        /// Which shell.
        shell: Shell,
    },
    /// Become a daemon: the last step of `up`, for no one else.
    #[command(hide = true)]
    Launch(up::launch::Launch),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let form = if cli.json { Form::Json } else { Form::Human };
    match run(cli, form) {
        Ok(code) => code,
        Err(failure) => {
            output::complain(&format!("ym: {failure}"));
            failure.exit_code()
        }
    }
}

fn run(cli: Cli, form: Form) -> Result<ExitCode, Failure> {
    match cli.command {
        Command::Launch(launch) => match launch.run()? {},
        Command::Completion { shell } => {
            clap_complete::generate(shell, &mut Cli::command(), "ym", &mut std::io::stdout());
            Ok(ExitCode::SUCCESS)
        }
        Command::Up { config } => up::run(&Home::at(&cli.home)?, config).map(|()| ExitCode::SUCCESS),
        Command::Status => status::show(&Home::at(&cli.home)?, form),
    }
}
