//! Schemathesis over the console: requests made of its OpenAPI document, those that it allows and those that it
//! forbids.

use crate::{House, program, repository};
use serde_json::Value;
use std::{
    path::{Path, PathBuf},
    process::Command,
};

/// The version whose findings are known.
const VERSION: &str = "schemathesis==4.32.5";

/// The program, in a virtual environment beside the build; nothing where PyPI cannot be reached.
pub fn schemathesis() -> Option<PathBuf> {
    let venv = program("ym").ancestors().nth(2).unwrap().join("schemathesis");
    let (python, found) = (venv.join("bin/python"), venv.join("bin/schemathesis"));
    let run = |program: &Path, arguments: &[&str]| {
        Command::new(program).args(arguments).output().is_ok_and(|output| output.status.success())
    };
    let ready = found.is_file()
        || (run(Path::new("python3"), &["-m", "venv", &venv.display().to_string()])
            && run(&python, &["-m", "pip", "install", "--quiet", VERSION]));
    ready.then_some(found)
}

/// Asks as the person of this session; its last line.
///
/// # Panics
/// It found something.
pub fn run(house: &House, schemathesis: &Path, session: &Value) -> String {
    let text = |name: &str| session[name].as_str().unwrap().to_owned();
    let address = format!("https://{}", house.console());
    let mut command = Command::new(schemathesis);
    command.current_dir(house.folder.path());
    command.arg("--config-file").arg(repository().join("tests/e2e/peers/schemathesis.toml"));
    command.arg("run").arg(format!("{address}/api/v1/openapi.json")).args(["--url", &address]);
    command.args(["--header", &format!("Origin: {address}")]);
    let cookie = text("cookie");
    let secret = cookie.split_once('=').unwrap().1;
    let output = command.env("SESSION", secret).env("TOKEN", text("csrf")).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let tested = said.lines().find(|line| line.trim_start().starts_with("Tested:"));
    assert!(tested.is_some(), "it asked nothing: {said}{}", String::from_utf8_lossy(&output.stderr));
    // Its own mishaps (a parser of its language that gives up) are no findings; a connection that breaks is.
    let found = said.contains("Failures:") || said.contains("Network Error");
    assert!(!found, "{said}");
    let alive = house.try_ym_as("wang", &["status"], "");
    assert!(alive.status.success(), "a daemon fell over");
    said.lines().rfind(|line| !line.is_empty()).unwrap_or_default().to_owned()
}
