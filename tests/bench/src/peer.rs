//! Other processes of a measurement: daemons of this build, and this program again in another part.

use crate::{Failure, used};
use std::{
    env,
    io::{BufRead, BufReader},
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::Duration,
};

/// Another program of this build.
///
/// # Errors
/// It was not built, or is this one.
pub fn program(name: &str) -> Result<PathBuf, Failure> {
    let this = env::current_exe()?;
    let path = this.with_file_name(name);
    if path == this {
        return Err(format!("{} measures itself", path.display()).into());
    }
    if path.is_file() {
        Ok(path)
    } else {
        Err(format!("{} is missing: use make bench", path.display()).into())
    }
}

/// This program again, in the part that its one argument names; it ends with this value.
pub struct Peer {
    child: Child,
    /// The first line that it wrote: how to reach it.
    pub address: String,
}

impl Peer {
    /// Starts it, and waits for its first line.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn start(part: &str) -> Result<Self, Failure> {
        let mut child = Command::new(env::current_exe()?)
            .arg(part)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut address = String::new();
        BufReader::new(child.stdout.take().ok_or("a pipe")?).read_line(&mut address)?;
        Ok(Self { child, address: address.trim_end().to_owned() })
    }

    /// The processor time that it has used.
    ///
    /// # Errors
    /// It has ended.
    pub fn used(&self) -> Result<Duration, Failure> {
        used(self.child.id())
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ended = self.child.kill();
        let _ended = self.child.wait();
    }
}
