//! Reading from the person at the terminal.

use crate::failure::Failure;
use nix::{
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::{
        signal::{SigSet, Signal},
        signalfd::{SfdFlags, SignalFd},
        termios::{LocalFlags, SetArg, tcgetattr, tcsetattr},
    },
};
use std::{
    io::{self, BufRead, IsTerminal, Write},
    os::fd::AsFd,
};

/// Asks for a password without showing it; from a pipe, the next line.
///
/// # Errors
/// Nothing could be read.
pub fn password(prompt: &str) -> Result<auth_api::Password, Failure> {
    let text = if io::stdin().is_terminal() { hidden(prompt) } else { line() }
        .map_err(|error| Failure::new("read the password", error))?;
    auth_api::Password::try_from(text).map_err(|error| Failure::plain(error.to_string()))
}

/// Asks for a new password twice; from a pipe, the next line once.
///
/// # Errors
/// Nothing could be read, or the two differ.
pub fn new_password(prompt: &str) -> Result<auth_api::Password, Failure> {
    let first = password(prompt)?;
    if io::stdin().is_terminal() && password(&format!("{prompt}, again"))?.reveal() != first.reveal() {
        return Err(Failure::plain("the two passwords differ: try again"));
    }
    Ok(first)
}

/// Asks for a code of the second factor, which may be seen; from a pipe, the next line.
///
/// # Errors
/// Nothing could be read.
pub fn code(prompt: &str) -> Result<auth_api::Code, Failure> {
    let asked = match io::stdin().is_terminal() {
        true => write!(io::stderr(), "{prompt}: ").and_then(|()| io::stderr().flush()),
        false => Ok(()),
    };
    let text = asked.and_then(|()| line()).map_err(|error| Failure::new("read the code", error))?;
    auth_api::Code::try_from(text).map_err(|error| Failure::plain(error.to_string()))
}

/// Ctrl-C and its like are held back until the terminal shows again what is typed.
fn hidden(prompt: &str) -> io::Result<String> {
    let mut ending = SigSet::empty();
    [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP, Signal::SIGQUIT, Signal::SIGTSTP]
        .into_iter()
        .for_each(|signal| ending.add(signal));
    let arriving = SignalFd::with_flags(&ending, SfdFlags::SFD_CLOEXEC)?;
    ending.thread_block()?;
    let text = unseen(prompt, &arriving);
    // What is pending is delivered here.
    ending.thread_unblock()?;
    text
}

fn unseen(prompt: &str, arriving: &SignalFd) -> io::Result<String> {
    let terminal = io::stdin();
    let shown = tcgetattr(&terminal)?;
    let mut quiet = shown.clone();
    quiet.local_flags.remove(LocalFlags::ECHO);
    let mut err = io::stderr();
    write!(err, "{prompt}: ")?;
    err.flush()?;
    tcsetattr(&terminal, SetArg::TCSAFLUSH, &quiet)?;
    // A terminal gives whole lines, so that nothing waits in the buffer of stdin.
    let mut either =
        [PollFd::new(terminal.as_fd(), PollFlags::POLLIN), PollFd::new(arriving.as_fd(), PollFlags::POLLIN)];
    let waited = poll(&mut either, PollTimeout::NONE);
    let text = match (waited, either[1].any()) {
        (Ok(_), Some(false)) => line(),
        (Ok(_), _) => Err(io::ErrorKind::Interrupted.into()),
        (Err(error), _) => Err(error.into()),
    };
    tcsetattr(&terminal, SetArg::TCSAFLUSH, &shown)?;
    writeln!(err)?;
    text
}

fn line() -> io::Result<String> {
    let mut text = String::new();
    match io::stdin().lock().read_line(&mut text)? {
        0 => Err(io::ErrorKind::UnexpectedEof.into()),
        _ => {
            // In place: a copy would stay in memory unwiped.
            text.truncate(text.trim_end_matches(['\n', '\r']).len());
            Ok(text)
        }
    }
}
