//! `packaging/`: what systemd needs to run the house, made from `configs/house.toml` and held to it.

use crate::{failure::Failure, repository::Repository, shell, units};
use std::{collections::BTreeMap, fmt::Write as _, fs, path::PathBuf};

const MADE: &str = "# Made from configs/house.toml by `cargo xtask packaging`: change that, not this.\n\n";
/// Where the files lie.
const FOLDER: &str = "packaging";
/// The most that systemd-analyze's exposure may be, in tenths: 20 is 2.0 of 10.
const EXPOSURE: &str = "20";

/// Every file and its text, by its path below `packaging/`.
pub fn files() -> BTreeMap<PathBuf, String> {
    let mut files = BTreeMap::new();
    let mut add = |path: String, text: String| files.insert(PathBuf::from(path), format!("{MADE}{text}"));
    for daemon in house::DAEMONS.iter().filter(|daemon| daemon.runs()) {
        add(format!("systemd/{}", units::service_name(daemon)), units::service(daemon));
        for caller in house::callers(daemon.name) {
            add(format!("systemd/{}", units::socket_name(daemon, caller)), units::socket(daemon, caller));
        }
    }
    add("sysusers.d/yanmen.conf".to_owned(), sysusers());
    add("tmpfiles.d/yanmen.conf".to_owned(), tmpfiles());
    files
}

/// Writes them all and removes units that the table no longer has.
///
/// # Errors
/// The disk's.
pub fn write(repository: &Repository) -> Result<(), Failure> {
    let folder = repository.root().join(FOLDER);
    for stray in stray(repository)? {
        fs::remove_file(folder.join(&stray)).map_err(Failure::file(&stray))?;
    }
    let files = files();
    for (path, text) in &files {
        let path = folder.join(path);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(Failure::file(parent))?;
        }
        fs::write(&path, text).map_err(Failure::file(&path))?;
    }
    shell::say(&format!("{} files in {FOLDER}/", files.len()));
    Ok(())
}

/// Holds what is committed to the table.
///
/// # Errors
/// A file is missing, differs, or belongs to nothing in the table.
pub fn check(repository: &Repository) -> Result<String, Failure> {
    let files = files();
    let mut broken: Vec<String> = files
        .iter()
        .filter(|(path, text)| repository.read(PathBuf::from(FOLDER).join(path)).ok().as_ref() != Some(text))
        .map(|(path, _)| format!("{FOLDER}/{} is not what the table says", path.display()))
        .collect();
    broken.extend(
        stray(repository)?.iter().map(|path| format!("{FOLDER}/{} has no row in the table", path.display())),
    );
    if !broken.is_empty() {
        broken.push("make packaging makes them anew from configs/house.toml".to_owned());
    }
    Failure::unless_empty(broken).map(|()| format!("{} files", files.len()))
}

/// Has systemd-analyze judge every unit's walls.
///
/// # Errors
/// A unit is exposed by more than 2.0 of 10, or is no unit that systemd understands.
pub fn judge(repository: &Repository) -> Result<String, Failure> {
    let folder = repository.root().join(FOLDER).join("systemd");
    let mut worst = 0.0_f64;
    let mut judged = 0;
    for daemon in house::DAEMONS.iter().filter(|daemon| daemon.runs()) {
        let order = shell::Order::new("systemd-analyze", &folder)
            .args(["security", "--no-pager", "--offline=yes", &format!("--threshold={EXPOSURE}")])
            .args([folder.join(units::service_name(daemon))]);
        let told = shell::quiet(&order)?;
        let Some(exposure) = exposure(&told) else {
            return Err(Failure::plain(format!(
                "systemd-analyze says no exposure of {}:\n{told}",
                daemon.name
            )));
        };
        worst = worst.max(exposure);
        judged += 1;
    }
    Ok(format!("{judged} units, at most {worst:.1} of 10"))
}

/// The figure in systemd-analyze's last line, `… Overall exposure level for NAME: 1.2 OK`.
fn exposure(told: &str) -> Option<f64> {
    let line = told.lines().find(|line| line.contains("Overall exposure level"))?;
    line.rsplit_once(": ")?.1.split_whitespace().next()?.parse().ok()
}

/// What lies in the generated folders and is not generated.
fn stray(repository: &Repository) -> Result<Vec<PathBuf>, Failure> {
    let folder = repository.root().join(FOLDER);
    let mut stray = Vec::new();
    for (kind, extension) in
        [("systemd", "service"), ("systemd", "socket"), ("sysusers.d", "conf"), ("tmpfiles.d", "conf")]
    {
        if folder.join(kind).is_dir() {
            stray.extend(repository.files(PathBuf::from(FOLDER).join(kind), extension)?);
        }
    }
    let files = files();
    Ok(stray
        .iter()
        .filter_map(|path| path.strip_prefix(&folder).ok())
        .filter(|path| !files.contains_key(*path))
        .map(PathBuf::from)
        .collect())
}

fn sysusers() -> String {
    let mut text = "# Whose members may use ym.\ng yanmen - -\n\n".to_owned();
    for daemon in house::DAEMONS.iter().filter(|daemon| daemon.runs() && !daemon.root) {
        // Writing to a String cannot fail.
        let _infallible = writeln!(
            text,
            "u {} - \"Yanmen {1}\" /var/lib/yanmen/{1} /usr/sbin/nologin",
            daemon.user(),
            daemon.name
        );
    }
    text
}

fn tmpfiles() -> String {
    let mut text = "\
        d /var/lib/yanmen 0755 root root\n\
        # Public keys: everyone reads, key alone writes.\n\
        d /var/lib/yanmen/public 0755 ym-key ym-key\n\
        d /var/lib/yanmen/prompts 0755 root root\n\
        d /run/yanmen 0755 root root\n"
        .to_owned();
    for callee in house::DAEMONS.iter().filter(|callee| house::callers(callee.name).next().is_some()) {
        let _infallible = writeln!(text, "d /run/yanmen/{} 0755 root root", callee.name);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_committed_files_are_what_the_table_says() {
        check(&Repository::here().unwrap()).unwrap();
    }

    #[test]
    fn one_socket_an_edge_and_one_user_a_daemon() {
        let files = files();
        let count = |extension: &str| {
            files.keys().filter(|path| path.extension().is_some_and(|found| found == extension)).count()
        };
        let edges: usize = house::DAEMONS.iter().map(|daemon| daemon.calls.len()).sum();
        let daemons = house::DAEMONS.iter().filter(|daemon| daemon.runs()).count();
        assert_eq!((count("socket"), count("service")), (edges, daemons));
        let users = sysusers().lines().filter(|line| line.starts_with("u ym-")).count();
        assert_eq!(users, daemons - 1, "all but host, which is root");
    }

    #[test]
    fn the_exposure_is_read_from_the_last_line() {
        assert_eq!(exposure("x\n→ Overall exposure level for ym-sip.service: 1.3 OK :-)\n"), Some(1.3));
    }
}
