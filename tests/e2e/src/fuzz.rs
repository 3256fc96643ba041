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

/// Asks as the person of this session.
///
/// # Panics
/// It found something.
pub fn run(house: &House, schemathesis: &Path, session: &Value) {
    let text = |name: &str| session[name].as_str().unwrap().to_owned();
    let address = format!("https://{}", house.console());
    let header = |name: &str, value: &str| [String::from("--header"), format!("{name}: {value}")];
    let mut command = Command::new(schemathesis);
    command.current_dir(house.folder.path());
    command.arg("--config-file").arg(repository().join("tests/e2e/peers/schemathesis.toml"));
    command.arg("run").arg(format!("{address}/api/v1/openapi.json")).args(["--url", &address]);
    command.args(header("Cookie", &text("cookie"))).args(header("X-CSRF-Token", &text("csrf")));
    command.args(header("Origin", &address));
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    let alive = house.try_ym_as("wang", &["status"], "");
    assert!(alive.status.success(), "a daemon fell over");
}
