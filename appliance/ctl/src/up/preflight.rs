//! What keeps a house from starting, found before anything is started: one clear sentence each.

use crate::{
    failure::Failure,
    home::Home,
    output::{language, text},
};
use nix::sys::statvfs::statvfs;
use settings::Settings;
use std::{
    fs, io,
    net::{SocketAddr, TcpListener, UdpSocket},
    path::Path,
};

/// Free space below which nothing is started, in bytes.
const LEAST_SPACE: u64 = 256 << 20;
/// 2026-01-01T00:00:00Z in seconds: no release is older, so an earlier clock is wrong.
const EARLIEST: i64 = 1_767_225_600;

/// Checks the clock, the disk, the settings and the ports.
///
/// # Errors
/// The first that is wrong, with its remedy.
pub fn check(home: &Home, config: Option<&Path>) -> Result<Settings, Failure> {
    clock(service::clock::utc().seconds())?;
    space(home)?;
    let settings = settings(home, config)?;
    for address in &settings.sip.bind {
        port(UdpSocket::bind(address).map(drop), "UDP", *address, "[sip] bind")?;
    }
    port(
        TcpListener::bind(settings.console.listen).map(drop),
        "TCP",
        settings.console.listen,
        "[console] listen",
    )?;
    Ok(settings)
}

fn clock(seconds: i64) -> Result<(), Failure> {
    match seconds < EARLIEST {
        true => Err(Failure::said("ym.clock", &[])),
        false => Ok(()),
    }
}

fn space(home: &Home) -> Result<(), Failure> {
    let disk = statvfs(home.path()).map_err(|error| Failure::new("look at the disk", error))?;
    let free = disk.blocks_available().saturating_mul(disk.fragment_size());
    match free < LEAST_SPACE {
        true => {
            let (free, least) = ((free >> 20).to_string(), (LEAST_SPACE >> 20).to_string());
            let home = home.path().display().to_string();
            Err(Failure::said("ym.space", &[("home", &home), ("free", &free), ("least", &least)]))
        }
        false => Ok(()),
    }
}

/// The settings that will hold: the ones in force, or on a first start those of `--config`.
fn settings(home: &Home, config: Option<&Path>) -> Result<Settings, Failure> {
    let current = home.current_settings();
    let path = match config {
        _ if current.exists() => Some(current.as_path()),
        config => config,
    };
    let text = path.map_or_else(|| Ok(String::new()), read)?;
    Settings::parse(&text).map_err(|problems| {
        let name = path.map(|path| path.display().to_string()).unwrap_or_default();
        Failure::plain(
            problems.iter().map(|problem| problem.sentence(language(), &name)).collect::<Vec<_>>().join("\n"),
        )
    })
}

/// The sentence for settings in `--config` that come too late: they are other ones than those in force.
pub fn too_late(home: &Home, config: Option<&Path>) -> Result<Option<String>, Failure> {
    let (Some(config), current) = (config, home.current_settings()) else { return Ok(None) };
    if !current.exists() || read(config)? == read(&current)? {
        return Ok(None);
    }
    Ok(Some(text("ym.config-too-late", &[("file", &config.display().to_string())])))
}

fn read(path: &Path) -> Result<String, Failure> {
    fs::read_to_string(path).map_err(|error| unreadable(path, &error))
}

fn unreadable(path: &Path, error: &io::Error) -> Failure {
    let (file, reason) = (path.display().to_string(), error.to_string());
    let code = match error.kind() {
        io::ErrorKind::NotFound => "ym.config-missing",
        io::ErrorKind::PermissionDenied => "ym.config-forbidden",
        io::ErrorKind::InvalidData => "ym.config-binary",
        _ => "ym.config-unreadable",
    };
    Failure::said(code, &[("file", &file), ("reason", &reason)])
}

fn port(attempt: io::Result<()>, protocol: &str, address: SocketAddr, setting: &str) -> Result<(), Failure> {
    let Err(error) = attempt else { return Ok(()) };
    let code = match error.kind() {
        io::ErrorKind::AddrInUse => "ym.port-taken",
        io::ErrorKind::AddrNotAvailable => "ym.port-elsewhere",
        io::ErrorKind::PermissionDenied => "ym.port-forbidden",
        _ => "ym.port-unusable",
    };
    let (port, address, reason) = (address.port().to_string(), address.to_string(), error.to_string());
    Err(Failure::said(
        code,
        &[
            ("protocol", protocol),
            ("address", &address),
            ("port", &port),
            ("setting", setting),
            ("reason", &reason),
        ],
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_port_is_one_sentence_with_its_remedy() {
        let taken = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = taken.local_addr().unwrap();
        let failure =
            port(UdpSocket::bind(address).map(drop), "UDP", address, "[sip] bind").unwrap_err().to_string();
        assert!(failure.contains(&address.to_string()) && failure.contains("[sip] bind"), "{failure}");
    }

    #[test]
    fn a_later_start_looks_at_the_settings_in_force() {
        let directory = tempfile::tempdir().unwrap();
        let home = Home::at(directory.path()).unwrap();
        let config = directory.path().join("first.toml");
        fs::write(&config, "[console]\nlisten = \"127.0.0.1:8444\"\n").unwrap();
        let listens = || settings(&home, Some(&config)).unwrap().console.listen.port();
        assert_eq!((listens(), too_late(&home, Some(&config)).unwrap()), (8444, None));
        let current = home.current_settings();
        fs::create_dir_all(current.parent().unwrap()).unwrap();
        fs::copy(&config, &current).unwrap();
        assert_eq!((listens(), too_late(&home, Some(&config)).unwrap()), (8444, None));
        fs::write(&current, "[console]\nlisten = \"127.0.0.1:8445\"\n").unwrap();
        assert_eq!(listens(), 8445, "the port that the console will open");
        let told = too_late(&home, Some(&config)).unwrap().unwrap();
        assert!(told.contains("first.toml") && told.contains("ym settings apply"), "{told}");
        assert_eq!(too_late(&home, None).unwrap(), None);
        fs::remove_file(&current).unwrap();
        fs::create_dir(&current).unwrap();
        assert!(settings(&home, None).is_err(), "settings that cannot be read are not the defaults");
    }

    #[test]
    fn a_clock_before_the_first_release_is_wrong() {
        assert!(clock(0).is_err() && clock(EARLIEST).is_ok());
    }
}
