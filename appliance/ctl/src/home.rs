//! The home of a house: where everything of it lies.
//!
//! ```text
//!  HOME/run/CALLEE/CALLER   one socket an edge        HOME/run/status.json   what `ym status` shows
//!  HOME/public/             public keys               HOME/prompts/          WAV files
//!  HOME/DAEMON/             the daemon's own state, its working directory, its user's alone
//! ```

mod hold;

use crate::{
    failure::Failure,
    up::{Privileges, status::Status},
};
pub use hold::Hold;
use nix::unistd::{Uid, User, chown};
use std::{
    env,
    fs::{self, Permissions},
    io,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
};

/// The longest path of a home: 107 bytes of a socket's path, less the longest `/run/CALLEE/CALLER`.
const LONGEST: usize = 80;

/// A house's home.
#[derive(Clone, Debug)]
pub struct Home(PathBuf);

impl Home {
    /// The home at this path, made absolute.
    ///
    /// # Errors
    /// The present directory is gone, or the path is too long for sockets.
    pub fn at(path: &Path) -> Result<Self, Failure> {
        let path = std::path::absolute(path).map_err(|error| Failure::new("find the home", error))?;
        match path.as_os_str().len() > LONGEST {
            true => Err(Failure::plain(format!(
                "the home's path has more than {LONGEST} bytes, too long for the sockets in it (unix(7)): choose a shorter --home"
            ))),
            false => Ok(Self(path)),
        }
    }

    /// Where it lies.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// The directory of a daemon's own state.
    pub fn state(&self, daemon: &house::Daemon) -> PathBuf {
        self.0.join(daemon.name)
    }

    /// The settings in force, as `host` keeps them; not there before the first start.
    pub fn current_settings(&self) -> PathBuf {
        self.0.join("host/current.toml")
    }

    /// The socket on which `caller` calls `callee`.
    pub fn socket(&self, callee: &str, caller: &str) -> PathBuf {
        self.0.join("run").join(callee).join(caller)
    }

    /// The socket on which this program calls `callee`: the supervisor's, or the one that systemd made.
    pub fn own_socket(&self, callee: &str) -> PathBuf {
        let run = match env::var_os("YANMEN_RUN") {
            Some(run) => PathBuf::from(run),
            None if self.0.join("run").is_dir() => self.0.join("run"),
            None => PathBuf::from("/run/yanmen"),
        };
        run.join(callee).join("ctl")
    }

    /// The program of a daemon: beside this one.
    ///
    /// # Errors
    /// It is not there.
    pub fn program(&self, daemon: &house::Daemon) -> Result<PathBuf, Failure> {
        let here = env::current_exe().map_err(|error| Failure::new("find this program", error))?;
        let path = here.with_file_name(daemon.name);
        match path.is_file() {
            true => Ok(path),
            false => Err(Failure::plain(format!(
                "{} is missing: build the whole house (make run)",
                path.display()
            ))),
        }
    }

    /// Holds the home for one supervisor.
    ///
    /// # Errors
    /// Another one holds it.
    pub fn hold(&self) -> Result<Hold, Failure> {
        let run = self.0.join("run");
        fs::create_dir_all(&run).map_err(|error| self.unusable(&run, &error))?;
        let path = run.join("lock");
        let hold = Hold::take(&path).map_err(|error| self.unusable(&path, &error))?;
        hold.ok_or_else(|| Failure::said("ym.is-up", &[("home", &self.0.display().to_string())]))
    }

    /// Why the home cannot be used: mostly because it is somebody else's.
    fn unusable(&self, path: &Path, error: &io::Error) -> Failure {
        let text = |path: &Path| path.display().to_string();
        let owner = fs::metadata(&self.0).ok().map(|home| home.uid());
        let foreign = owner.filter(|uid| {
            error.kind() == io::ErrorKind::PermissionDenied && *uid != Uid::effective().as_raw()
        });
        match foreign {
            Some(uid) => {
                let user = User::from_uid(Uid::from_raw(uid)).ok().flatten();
                let owner = user.map_or_else(|| uid.to_string(), |user| user.name);
                let home = text(&self.0);
                Failure::said("ym.home-foreign", &[("path", &text(path)), ("home", &home), ("owner", &owner)])
            }
            None => {
                Failure::said("ym.home-unusable", &[("path", &text(path)), ("reason", &error.to_string())])
            }
        }
    }

    /// Whether a supervisor holds the home.
    pub fn is_up(&self) -> bool {
        Hold::is_taken(&self.0.join("run/lock"))
    }

    /// Makes the directories, each with its owner.
    ///
    /// # Errors
    /// A user is missing, or a directory cannot be made.
    pub fn prepare(&self, privileges: Privileges) -> Result<(), Failure> {
        make_directory(&self.0, 0o755, None)?;
        make_directory(&self.0.join("run"), 0o755, None)?;
        make_directory(&self.0.join("prompts"), 0o755, None)?;
        for daemon in house::DAEMONS.iter().filter(|daemon| daemon.runs()) {
            let user = owner(daemon, privileges)?;
            make_directory(&self.state(daemon), 0o700, user)?;
            if daemon.name == "key" {
                make_directory(&self.0.join("public"), 0o755, user)?;
            }
        }
        Ok(())
    }

    /// Puts the settings and prompts of a first start where the daemons look for them.
    ///
    /// # Errors
    /// A file cannot be copied.
    pub fn install(&self, config: Option<&Path>, privileges: Privileges) -> Result<(), Failure> {
        if let Some(config) = config
            && let Some(host) = house::daemon("host")
            && !self.current_settings().exists()
        {
            let seed = self.state(host).join("seed.toml");
            copy(config, &seed)?;
            if let Some(user) = owner(host, privileges)? {
                chown(&seed, Some(user), None)
                    .map_err(|error| Failure::new("give host its settings", error))?;
            }
        }
        let beside = config.and_then(Path::parent).map(|directory| directory.join("prompts"));
        for prompt in beside.iter().filter_map(|directory| fs::read_dir(directory).ok()).flatten().flatten() {
            let target = self.0.join("prompts").join(prompt.file_name());
            if prompt.path().extension().is_some_and(|extension| extension == "wav") && !target.exists() {
                copy(&prompt.path(), &target)?;
            }
        }
        Ok(())
    }

    /// The one-time set-up password, while the officers are not named.
    pub fn set_up_password(&self) -> Option<String> {
        fs::read_to_string(self.0.join("auth/set-up-password")).ok().map(|text| text.trim().to_owned())
    }

    /// Writes the status for `ym status`, whole or not at all.
    ///
    /// # Errors
    /// The disk is full or the home is gone.
    pub fn write_status(&self, status: &Status) -> Result<(), Failure> {
        let (path, fresh) = (self.0.join("run/status.json"), self.0.join("run/status.json.new"));
        let text =
            serde_json::to_string_pretty(status).map_err(|error| Failure::new("write the status", error))?;
        fs::write(&fresh, text)
            .and_then(|()| fs::rename(&fresh, &path))
            .map_err(|error| Failure::new(&format!("write {}", path.display()), error))
    }

    /// The status that the supervisor wrote last.
    ///
    /// # Errors
    /// No supervisor holds the home.
    pub fn read_status(&self) -> Result<Status, Failure> {
        let down = || {
            Failure::said("ym.not-up", &[("home", &self.0.display().to_string())])
                .with(crate::failure::Status::Unavailable)
        };
        if !self.is_up() {
            return Err(down());
        }
        let text = fs::read_to_string(self.0.join("run/status.json")).map_err(|_| down())?;
        serde_json::from_str(&text).map_err(|error| Failure::new("read the status", error))
    }
}

/// The user who owns what is a daemon's; `None` where all is one user's.
///
/// # Errors
/// The user is missing.
pub fn owner(daemon: &house::Daemon, privileges: Privileges) -> Result<Option<Uid>, Failure> {
    if privileges == Privileges::Single {
        return Ok(None);
    }
    match User::from_name(&daemon.user()) {
        Ok(Some(user)) => Ok(Some(user.uid)),
        Ok(None) => Err(Failure::said("ym.user-missing", &[("user", &daemon.user())])),
        Err(error) => Err(Failure::new(&format!("look up the user {}", daemon.user()), error)),
    }
}

fn make_directory(path: &Path, mode: u32, user: Option<Uid>) -> Result<(), Failure> {
    let attempt = || -> io::Result<()> {
        fs::create_dir_all(path)?;
        if let Some(user) = user {
            chown(path, Some(user), None)?;
        }
        fs::set_permissions(path, Permissions::from_mode(mode))
    };
    attempt().map_err(|error| Failure::new(&format!("make {}", path.display()), error))
}

fn copy(from: &Path, to: &Path) -> Result<(), Failure> {
    fs::copy(from, to)
        .map(|_| ())
        .map_err(|error| Failure::new(&format!("copy {} to {}", from.display(), to.display()), error))
}
