//! `ym`: the house in the foreground, and what a person at the box asks of it.
//!
//! Human output by default, `--json` for programs; exit status 0 done, 1 failed, 2 wrong usage, 3 not
//! permitted, 4 not found, 5 the house or a daemon is not there.

mod capture;
mod centre;
mod config;
mod evidence;
mod failure;
mod flows;
mod home;
mod ladder;
mod output;
mod person;
mod reconcile;
mod session;
mod status;
mod systemd;
mod terminal;
mod time;
mod up;

use clap::{CommandFactory, Parser, Subcommand};
use clap_complete::Shell;
use failure::Failure;
use home::Home;
use output::Form;
use session::Session;
use settings::{Fault, Period};
use std::{path::PathBuf, process::ExitCode, time::Duration};
use types::PersonId;

/// As the units in `packaging/` say.
const START: Period = Period::seconds(house::life::START.as_secs());

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
        /// Show all that the daemons write, not only what needs a person.
        #[arg(long, short)]
        verbose: bool,
        /// How long a daemon may take to start before it is ended and started again.
        #[arg(long, value_name = "TIME", default_value_t = START, value_parser = period)]
        start_timeout: Period,
    },
    /// Show every daemon: health, version, start, restarts, last error.
    Status,
    /// Name the three officers with the one-time set-up password.
    Setup {
        /// System administrator 系统管理员.
        #[arg(long, default_value = "sysadmin")]
        system: PersonId,
        /// Security administrator 安全管理员.
        #[arg(long, default_value = "secadmin")]
        security: PersonId,
        /// Audit administrator 审计管理员.
        #[arg(long, default_value = "auditadmin")]
        audit: PersonId,
    },
    /// Log in; what follows is done in this person's name.
    Login {
        /// Who.
        person: PersonId,
    },
    /// Log out.
    Logout,
    /// Change a password.
    Password {
        /// Whose.
        person: PersonId,
    },
    /// Accounts and roles.
    #[command(subcommand)]
    Accounts(person::Deed),
    /// Calls, as they are and as they were.
    #[command(subcommand)]
    Calls(centre::CallDeed),
    /// Agents and their states.
    #[command(subcommand)]
    Agents(centre::AgentDeed),
    /// Queues and who waits.
    Queues,
    /// Flows: what callers go through.
    #[command(subcommand)]
    Flows(flows::FlowDeed),
    /// Trunks and phones.
    Trunks,
    /// Recordings.
    #[command(subcommand)]
    Recordings(evidence::RecordingDeed),
    /// Hold calls, recordings and the audit log against each other (audit administrator).
    Reconcile {
        /// What is younger may be on its way from one daemon to the other, and is not judged.
        #[arg(long, value_name = "TIME", default_value = "2m", value_parser = period)]
        young: Period,
    },
    /// The audit log.
    #[command(subcommand)]
    Audit(evidence::AuditDeed),
    /// The public keys of the house.
    Keys,
    /// Settings.
    #[command(subcommand)]
    Settings(config::Deed),
    /// Print the completion script of a shell.
    Completion {
        /// Which shell.
        shell: Shell,
    },
    /// Become a daemon: the last step of `up`, for no one else.
    #[command(hide = true)]
    Launch(up::launch::Launch),
}

pub(crate) fn period(text: &str) -> Result<Period, String> {
    let sentence =
        |fault: Fault| words::text(output::language(), &fault.to_string(), &[("setting", "the time")]);
    text.parse()
        .and_then(
            |period: Period| {
                if period.duration() == Duration::ZERO { Err(Fault::Period) } else { Ok(period) }
            },
        )
        .map_err(sentence)
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let form = if cli.json { Form::Json } else { Form::Human };
    match run(cli, form) {
        Ok(code) => code,
        Err(failure) => {
            match form {
                Form::Human => output::complain(&format!("ym: {failure}")),
                Form::Json => output::complain(&failure.to_json().to_string()),
            }
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
        Command::Up { config, verbose, start_timeout } => {
            let log = if verbose { up::Log::Everything } else { up::Log::Warnings };
            let terms =
                up::Terms { privileges: up::Privileges::here(), log, start: start_timeout.duration() };
            up::run(&Home::at(&cli.home)?, config, terms).map(|()| ExitCode::SUCCESS)
        }
        Command::Status => status::show(&Home::at(&cli.home)?, form),
        asking => {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .map_err(|error| Failure::new("start the runtime", error))?;
            let home = Home::at(&cli.home)?;
            runtime.block_on(ask(&Session::at(&home), form, asking)).map(|()| ExitCode::SUCCESS)
        }
    }
}

/// Everything that a daemon answers.
async fn ask(session: &Session<'_>, form: Form, command: Command) -> Result<(), Failure> {
    match command {
        Command::Setup { system, security, audit } => {
            person::setup(session, form, system, security, audit).await
        }
        Command::Login { person } => person::login(session, form, person).await,
        Command::Logout => person::logout(session, form).await,
        Command::Password { person } => person::change_password(session, form, person).await,
        Command::Accounts(deed) => person::accounts(session, form, deed).await,
        Command::Calls(deed) => centre::calls(session, form, deed).await,
        Command::Agents(deed) => centre::agents(session, form, deed).await,
        Command::Queues => centre::queues(session, form).await,
        Command::Flows(deed) => flows::flows(session, form, deed).await,
        Command::Trunks => centre::trunks(session, form).await,
        Command::Recordings(deed) => evidence::recordings(session, form, deed).await,
        Command::Reconcile { young } => reconcile::reconcile(session, form, young.duration()).await,
        Command::Audit(deed) => evidence::audit(session, form, deed).await,
        Command::Keys => evidence::keys(session, form).await,
        Command::Settings(deed) => config::settings(session, form, deed).await,
        Command::Up { .. } | Command::Status | Command::Completion { .. } | Command::Launch(_) => {
            Err(Failure::plain("this is no question to a daemon"))
        }
    }
}
