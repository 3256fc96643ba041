//! What a person or a script meets where something is not as it should be: one sentence in their language, what to
//! do, and an exit status that says what kind of thing it is.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may stop")]

use nix::unistd::Uid;
use serde_json::Value;
use std::{
    fs::{self, Permissions},
    os::unix::{fs::PermissionsExt, process::CommandExt},
    path::Path,
    process::{Command, Output},
};

const YM: &str = env!("CARGO_BIN_EXE_ym");

fn ym(home: &Path, language: &str, arguments: &[&str]) -> Output {
    let mut command = Command::new(YM);
    command.args(arguments).arg("--home").arg(home);
    command.env_clear().env("LC_ALL", language).env("HOME", home).output().unwrap()
}

fn complaint(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[test]
fn a_house_that_is_not_up_is_told_as_that_in_both_languages_and_to_programs() {
    let home = tempfile::tempdir().unwrap();
    let place = home.path().to_str().unwrap();
    for asked in [&["status"][..], &["queues"], &["logout"], &["accounts", "list"]] {
        let english = ym(home.path(), "en_US.UTF-8", asked);
        assert_eq!(english.status.code(), Some(5), "{asked:?}");
        let wanted = format!("ym: the house at {place} is not up: start it with ym --home {place} up\n");
        assert_eq!(complaint(&english), wanted, "{asked:?}");
        assert!(complaint(&ym(home.path(), "zh_CN.UTF-8", asked)).contains("未启动"), "{asked:?}");
        let mut json = asked.to_vec();
        json.push("--json");
        let told: Value = serde_json::from_str(&complaint(&ym(home.path(), "C", &json))).unwrap();
        assert_eq!(told["failed"]["code"], "ym.not-up", "{asked:?}");
    }
}

#[test]
fn what_keeps_a_house_from_starting_is_one_line_with_its_remedy() {
    let home = tempfile::tempdir().unwrap();
    let (missing, binary, wrong) =
        (home.path().join("none.toml"), home.path().join("b.toml"), home.path().join("w.toml"));
    fs::write(&binary, [0xff, 0xfe, 0]).unwrap();
    fs::write(&wrong, "[auth]\nidle = \"15x\"\n").unwrap();
    for (file, remedy) in [
        (&missing, "check --config"),
        (&binary, "UTF-8"),
        (&home.path().to_owned(), "check --config"),
        (&wrong, "w.toml:2:8: auth.idle"),
    ] {
        let told = ym(home.path(), "en_US.UTF-8", &["up", "--config", file.to_str().unwrap()]);
        let sentence = complaint(&told);
        assert_eq!((told.status.code(), sentence.lines().count()), (Some(1), 1), "{sentence}");
        assert!(sentence.contains(remedy), "{sentence}");
    }
}

#[test]
fn a_home_or_a_file_of_another_user_is_named_with_its_owner() {
    if !Uid::effective().is_root() {
        eprintln!("SKIPPED: nothing here is another user's, for this is not root");
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    fs::set_permissions(directory.path(), Permissions::from_mode(0o755)).unwrap();
    let program = directory.path().join("ym");
    assert!(Command::new("cp").arg(YM).arg(&program).status().unwrap().success());
    let secret = directory.path().join("secret.toml");
    fs::write(&secret, "").unwrap();
    fs::set_permissions(&secret, Permissions::from_mode(0o600)).unwrap();
    let own = directory.path().join("own");
    fs::create_dir(&own).unwrap();
    fs::set_permissions(&own, Permissions::from_mode(0o777)).unwrap();
    let as_nobody = |home: &Path| {
        let mut command = Command::new(&program);
        command.arg("--home").arg(home).arg("up").arg("--config").arg(&secret);
        complaint(&command.env("LC_ALL", "en_US.UTF-8").uid(65_534).gid(65_534).output().unwrap())
    };
    let foreign = as_nobody(directory.path());
    assert!(foreign.contains("belongs to root: start as root, or choose another --home"), "{foreign}");
    let unreadable = as_nobody(&own);
    assert!(unreadable.contains("secret.toml may not be read by this user"), "{unreadable}");
}

#[test]
fn a_wrong_command_is_wrong_usage() {
    let home = tempfile::tempdir().unwrap();
    for wrong in [&["bogus"][..], &["accounts", "grant", "alice", "boss"], &["audit", "list", "--kind", "x"]]
    {
        assert_eq!(ym(home.path(), "C", wrong).status.code(), Some(2), "{wrong:?}");
    }
}

/// The scripts run in the shells themselves; one that is not here proves nothing.
#[test]
fn the_shells_complete_commands_roles_and_kinds() {
    let directory = tempfile::tempdir().unwrap();
    let scripts = |shell: &str| {
        let script = Command::new(YM).args(["completion", shell]).output().unwrap().stdout;
        let path = directory.path().join(shell);
        fs::write(&path, script).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let offers = |shell: &str, script: &str| {
        Command::new(shell)
            .args(["-c", script])
            .output()
            .ok()
            .map(|told| String::from_utf8(told.stdout).unwrap())
    };
    let bash = |line: &str| {
        format!(
            "source {}; COMP_WORDS=({line}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); \
             _ym ym \"${{COMP_WORDS[COMP_CWORD]}}\" \"${{COMP_WORDS[COMP_CWORD-1]}}\"; echo \"${{COMPREPLY[@]}}\"",
            scripts("bash")
        )
    };
    let fish = |line: &str| format!("source {}; complete -C '{}'", scripts("fish"), line.replace('\"', ""));
    for (shell, script) in [("bash", &bash as &dyn Fn(&str) -> String), ("fish", &fish)] {
        for (line, wanted) in [
            ("ym acc", "accounts"),
            ("ym accounts en", "enable"),
            ("ym accounts grant alice sup", "supervisor"),
            ("ym audit list --kind auth.account-e", "auth.account-enabled"),
        ] {
            if shell == "fish" && line.contains("grant") {
                // clap_complete writes the values of options for fish, and not those of what follows a command.
                continue;
            }
            match offers(shell, &script(line)) {
                Some(offered) => assert!(offered.contains(wanted), "{shell}: {line} offers {offered}"),
                None => eprintln!("SKIPPED: {shell} is not installed"),
            }
        }
    }
}
