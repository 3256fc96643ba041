//! `make run`: the whole house in the foreground with the demonstration's settings.
//!
//! On 127.0.0.1, or, so that real phones can reach it, on the address in `LISTEN`. Settings belong to the
//! first start: a later one goes on with those in force, and `ym settings apply` changes them.

use crate::{
    failure::Failure,
    manifest::{Manifest, Part, workspace},
    repository::Repository,
    shell,
};
use std::{
    env, fs,
    net::IpAddr,
    path::{Path, PathBuf},
};

/// The settings that the demonstration begins with.
const SETTINGS: &str = "configs/demo/appliance.toml";

/// Builds the house and runs it until Ctrl-C.
///
/// # Errors
/// `LISTEN` is no address of a machine, the build fails, or the house does not start.
pub fn run(repository: &Repository) -> Result<(), Failure> {
    let settings = match env::var("LISTEN").ok().filter(|listen| !listen.is_empty()) {
        None => PathBuf::from(SETTINGS),
        Some(listen) => listening(repository, address(&listen)?)?,
    };
    let programs = workspace(repository)?.into_iter().filter(shipped);
    let packages = programs.flat_map(|program| ["--package".to_owned(), program.name]);
    shell::watched(&repository.cargo(["build", "--release", "--bins"]).args(packages))?;
    let ym = shell::Order::new(repository.target().join("release/ym"), repository.root());
    let settings = settings.display().to_string();
    shell::watched(&ym.args(["--home", ".home", "up", "--config", settings.as_str()]))
}

/// Whether a box holds the crate's program: a daemon, `ym`, the verifier.
fn shipped(manifest: &Manifest) -> bool {
    manifest.part().is_some_and(|(_, part)| part == Part::Shell)
        || ["appliance/ctl", "audit/verify"].map(Path::new).contains(&manifest.folder.as_path())
}

fn address(listen: &str) -> Result<IpAddr, Failure> {
    let address = listen.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    address.ok().filter(|address| !address.is_unspecified() && !address.is_multicast()).ok_or_else(|| {
        Failure::plain(format!(
            "LISTEN={listen} is not an address at which phones reach this machine: `ip addr` lists them, \
             such as LISTEN=192.168.1.5 or LISTEN=fd00::5"
        ))
    })
}

/// The demonstration's settings on another address, beside the demonstration's prompts.
fn listening(repository: &Repository, address: IpAddr) -> Result<PathBuf, Failure> {
    let demonstration = repository.root().join(SETTINGS);
    let text = fs::read_to_string(&demonstration).map_err(Failure::file(&demonstration))?;
    let home = repository.root().join(".home");
    fs::create_dir_all(home.join("prompts")).map_err(Failure::file(&home))?;
    let from = repository.root().join("configs/demo/prompts");
    let prompts = fs::read_dir(&from).map_err(Failure::file(&from))?;
    for prompt in prompts.flatten().filter(|entry| entry.path().extension().is_some_and(|kind| kind == "wav"))
    {
        fs::copy(prompt.path(), home.join("prompts").join(prompt.file_name()))
            .map_err(Failure::file(&prompt.path()))?;
    }
    let path = home.join("listen.toml");
    fs::write(&path, moved(&text, address)).map_err(Failure::file(&path))?;
    Ok(path)
}

/// Each of the house's own addresses replaced; the carrier's stays on this machine.
fn moved(settings: &str, address: IpAddr) -> String {
    let socket = if address.is_ipv6() { format!("[{address}]") } else { address.to_string() };
    let lines = settings.lines().map(|line| match line.split_once('=').map(|(key, _)| key.trim()) {
        Some("bind") if line.contains(':') => line.replace("127.0.0.1", &socket),
        Some("bind") => line.replace("127.0.0.1", &address.to_string()),
        Some("listen") => line.replace("127.0.0.1", &socket),
        _ => line.to_owned(),
    });
    lines.map(|line| line + "\n").collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_house_moves_and_the_carrier_stays() {
        let settings = "[sip]\nbind = [\"127.0.0.1:5060\"]\naddress = \"127.0.0.1:5070\"\n[media]\nbind = \"127.0.0.1\"\n\
                        [console]\nlisten = \"127.0.0.1:8443\"\n";
        let moved = moved(settings, "fd00::5".parse().unwrap());
        assert_eq!(moved.lines().nth(1), Some("bind = [\"[fd00::5]:5060\"]"));
        assert_eq!(moved.lines().nth(2), Some("address = \"127.0.0.1:5070\""));
        assert_eq!(moved.lines().nth(4), Some("bind = \"fd00::5\""));
        assert_eq!(moved.lines().nth(6), Some("listen = \"[fd00::5]:8443\""));
    }

    #[test]
    fn an_address_that_no_phone_can_call_is_refused() {
        assert!(["0.0.0.0", "::", "224.0.0.1", "box", ""].iter().all(|listen| address(listen).is_err()));
        assert!(address("192.168.1.5").is_ok() && address("[fd00::5]").is_ok());
    }
}
