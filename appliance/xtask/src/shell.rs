//! Other programs, and words for the person at the terminal.

use crate::failure::Failure;
use std::{
    env,
    ffi::{OsStr, OsString},
    fs::{self, File},
    io::{self, IsTerminal, Write},
    path::{Path, PathBuf},
    process::{self, Command, Stdio},
    sync::atomic::{AtomicUsize, Ordering},
};

/// The longest that one program may run where nobody watches, as timeout(1) takes it.
const PATIENCE: &str = "40m";

/// A program to be run.
pub struct Order {
    program: OsString,
    args: Vec<OsString>,
    folder: PathBuf,
    env: Vec<(OsString, OsString)>,
}

impl Order {
    /// The program, run in `folder`.
    pub fn new(program: impl Into<OsString>, folder: &Path) -> Self {
        Self { program: program.into(), args: Vec::new(), folder: folder.to_owned(), env: Vec::new() }
    }

    /// The same with further arguments.
    pub fn args(mut self, args: impl IntoIterator<Item = impl Into<OsString>>) -> Self {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    /// The same with a variable of the environment.
    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.env.push((name.into(), value.as_ref().to_owned()));
        self
    }

    /// The same in another folder.
    pub fn within(mut self, folder: &Path) -> Self {
        self.folder = folder.to_owned();
        self
    }

    fn command(&self) -> Command {
        // timeout(1) ends the program with all that it started; at a terminal, the person's Ctrl-C does.
        let mut command = if io::stdin().is_terminal() {
            Command::new(&self.program)
        } else {
            let mut command = Command::new("timeout");
            command.args(["--kill-after=10s", PATIENCE]).arg(&self.program);
            command
        };
        command
            .args(&self.args)
            .current_dir(&self.folder)
            .envs(self.env.iter().map(|(name, value)| (name, value)));
        command
    }

    fn name(&self) -> String {
        let words = [&self.program].into_iter().chain(&self.args);
        words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
    }
}

/// What a program did.
pub struct Outcome {
    /// Whether its status was 0.
    pub success: bool,
    /// All that it wrote, stdout and stderr as they came.
    pub output: String,
}

/// Runs it with the person's terminal.
///
/// # Errors
/// It cannot be started, or its status is not 0.
pub fn watched(order: &Order) -> Result<(), Failure> {
    let mut command = Command::new(&order.program);
    command
        .args(&order.args)
        .current_dir(&order.folder)
        .envs(order.env.iter().map(|(name, value)| (name, value)));
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(Failure::plain(format!("{}: {status}", order.name()))),
        Err(error) => Err(Failure::Start(order.name(), error)),
    }
}

/// Runs it without input and keeps what it writes.
///
/// # Errors
/// It cannot be started.
pub fn outcome(order: &Order) -> Result<Outcome, Failure> {
    static RUNS: AtomicUsize = AtomicUsize::new(0);
    let start = |error| Failure::Start(order.name(), error);
    // A file and no pipe: a process that outlives the program would hold a pipe open.
    let run = RUNS.fetch_add(1, Ordering::Relaxed);
    let path = env::temp_dir().join(format!("xtask-{}-{run}.log", process::id()));
    let file = File::create_new(&path).map_err(Failure::file(&path))?;
    let mut command = order.command();
    command.stdin(Stdio::null()).stdout(file.try_clone().map_err(start)?).stderr(file);
    let status = command.status();
    let output = fs::read(&path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    fs::remove_file(&path).map_err(Failure::file(&path))?;
    Ok(Outcome { success: status.map_err(start)?.success(), output: output.map_err(Failure::file(&path))? })
}

/// Runs it without input; what it writes is told only when it fails.
///
/// # Errors
/// It cannot be started, or its status is not 0.
pub fn quiet(order: &Order) -> Result<String, Failure> {
    let outcome = outcome(order)?;
    if outcome.success { Ok(outcome.output) } else { Err(Failure::Program(order.name(), outcome.output)) }
}

/// Tells the person a line.
pub fn say(line: &str) {
    begin(&format!("{line}\n"));
}

/// Tells the beginning of a line.
pub fn begin(text: &str) {
    let mut out = io::stdout().lock();
    // Nobody listens any more: nothing is left to tell.
    let _gone = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

/// Tells the person what is wrong.
pub fn complain(text: &str) {
    let _gone = writeln!(io::stderr().lock(), "{text}");
}
