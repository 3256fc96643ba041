//! The writing process: its directory is its one argument, its acknowledgements are its standard output.

use std::{io, process::ExitCode};

fn main() -> ExitCode {
    let Some(directory) = std::env::args_os().nth(1) else {
        eprintln!("usage: power-cut-writer DIRECTORY");
        return ExitCode::FAILURE;
    };
    match power_cut::write(directory.as_ref(), io::stdout()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
