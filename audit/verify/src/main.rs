//! `yanmen-verify DIR --key FILE [--json]`: verifies the audit log in DIR.
//!
//! FILE holds trusted verifier keys, one a line (`name+id+base64`), and must have reached the reader another
//! way than the log. Exit status: 0 通过, 1 不通过, 2 无法判定 (also for wrong usage).

use audit_log::{Folder, VerifierKey};
use audit_verify::{Extent, Report, verify};
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

const USAGE: &str = "usage: yanmen-verify DIR --key FILE [--json]";

fn main() -> ExitCode {
    let outcome = Request::read(std::env::args_os().skip(1)).and_then(|request| {
        let report = request.run()?;
        let text = if request.json { report.json() + "\n" } else { report.text() };
        std::io::stdout()
            .write_all(text.as_bytes())
            .map_err(|error| format!("writing the verdict: {error}"))?;
        Ok(report.verdict.exit_status())
    });
    match outcome {
        Ok(status) => ExitCode::from(status),
        Err(what) => {
            // Where stderr is closed there is nobody to tell; the status says it.
            drop(writeln!(std::io::stderr(), "无法判定 cannot be determined: {what}"));
            ExitCode::from(2)
        }
    }
}

#[derive(Default)]
struct Request {
    folder: PathBuf,
    keys: Option<PathBuf>,
    json: bool,
}

impl Request {
    fn read(mut arguments: impl Iterator<Item = std::ffi::OsString>) -> Result<Self, String> {
        let mut request = Self::default();
        while let Some(argument) = arguments.next() {
            match argument.to_str() {
                Some("--json") => request.json = true,
                Some("--key") => request.keys = Some(arguments.next().ok_or(USAGE)?.into()),
                Some(option) if option.starts_with('-') => return Err(USAGE.to_owned()),
                _ if request.folder.as_os_str().is_empty() => request.folder = argument.into(),
                _ => return Err(USAGE.to_owned()),
            }
        }
        if request.folder.as_os_str().is_empty() { Err(USAGE.to_owned()) } else { Ok(request) }
    }

    fn run(&self) -> Result<Report, String> {
        let mut keys = Vec::new();
        if let Some(path) = &self.keys {
            let text = std::fs::read_to_string(path)
                .map_err(|error| format!("reading the keys {}: {error}", path.display()))?;
            for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
                keys.push(
                    VerifierKey::parse(line).map_err(|error| format!("reading the key {line}: {error}"))?,
                );
            }
        }
        let folder = Folder::read_only(&self.folder)
            .map_err(|error| format!("opening {}: {error}", self.folder.display()))?;
        Ok(verify(&folder, &keys, Extent::Whole))
    }
}
