//! Reading from the person at the terminal.

use crate::failure::Failure;
use nix::sys::termios::{LocalFlags, SetArg, tcgetattr, tcsetattr};
use std::io::{self, BufRead, IsTerminal, Write};

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

fn hidden(prompt: &str) -> io::Result<String> {
    let terminal = io::stdin();
    let shown = tcgetattr(&terminal)?;
    let mut quiet = shown.clone();
    quiet.local_flags.remove(LocalFlags::ECHO);
    let mut err = io::stderr();
    write!(err, "{prompt}: ")?;
    err.flush()?;
    tcsetattr(&terminal, SetArg::TCSAFLUSH, &quiet)?;
    let text = line();
    tcsetattr(&terminal, SetArg::TCSAFLUSH, &shown)?;
    writeln!(err)?;
    text
}

fn line() -> io::Result<String> {
    let mut text = String::new();
    match io::stdin().lock().read_line(&mut text)? {
        0 => Err(io::ErrorKind::UnexpectedEof.into()),
        _ => Ok(text.trim_end_matches(['\n', '\r']).to_owned()),
    }
}
