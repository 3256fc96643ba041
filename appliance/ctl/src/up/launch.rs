//! The last step before a daemon: in the child's own process, put the descriptors in their places, become
//! the daemon's user, and turn into the daemon.
//!
//! `ym up` starts `ym launch`, which does what systemd does between fork and exec. The program is opened
//! while we are still who we were, so a house may stand where its daemons could not walk to.

use crate::failure::Failure;
use mutant::mutant;
use nix::{
    fcntl::{FcntlArg, FdFlag, OFlag, fcntl, open},
    sys::{prctl, signal::Signal, stat::Mode},
    unistd::{Gid, Uid, User, fexecve, getpid, getppid, setgid, setgroups, setuid},
};
use std::{
    convert::Infallible,
    ffi::CString,
    fs, io,
    os::fd::{AsFd, BorrowedFd, FromRawFd, OwnedFd, RawFd},
    path::PathBuf,
};

/// The first descriptor that is handed over (sd_listen_fds(3)).
const FIRST: RawFd = 3;

/// What to become.
#[derive(clap::Args, Debug)]
pub struct Launch {
    /// The working directory.
    #[arg(long)]
    directory: PathBuf,
    /// The user to become; nobody else's where it is not given.
    #[arg(long)]
    user: Option<String>,
    /// The supervisor: without it the daemon shall not live.
    #[arg(long)]
    supervisor: Option<i32>,
    /// The descriptors to hand over, as this process inherited them.
    #[arg(long, value_delimiter = ',', value_parser = clap::value_parser!(RawFd).range(i64::from(FIRST)..))]
    descriptors: Vec<RawFd>,
    /// The program.
    program: PathBuf,
}

impl Launch {
    /// Becomes the daemon.
    ///
    /// # Errors
    /// What kept it from that.
    pub fn run(self) -> Result<Infallible, Failure> {
        let failed = |attempted: &'static str| move |error: nix::Error| Failure::new(attempted, error);
        let program = open(&self.program, OFlag::O_PATH | OFlag::O_CLOEXEC, Mode::empty())
            .map_err(|error| Failure::new(&format!("open {}", self.program.display()), error))?;
        std::env::set_current_dir(&self.directory)
            .map_err(|error| Failure::new(&format!("enter {}", self.directory.display()), error))?;
        let program = self.hand_over(program).map_err(failed("hand the descriptors over"))?;
        keep_from_daemon(self.above())
            .map_err(|error| Failure::new("close what is not handed over", error))?;
        if let Some(user) = &self.user {
            become_user(user)?;
        }
        prctl::set_no_new_privs().map_err(failed("give up new privileges"))?;
        // After the change of user, which clears it (prctl(2), PR_SET_PDEATHSIG).
        prctl::set_pdeathsig(Signal::SIGTERM).map_err(failed("end with the supervisor"))?;
        if self.supervisor.is_some_and(|supervisor| getppid().as_raw() != supervisor) {
            return Err(Failure::plain("the supervisor ended before its daemon began"));
        }
        let name = CString::new(self.program.as_os_str().as_encoded_bytes())
            .map_err(|error| Failure::new("name the program", error))?;
        fexecve(&program, &[name], &environment()).map_err(failed("start the daemon"))
    }

    /// Moves the descriptors to 3, 4, 5 … in order and the program out of their way.
    fn hand_over(&self, program: OwnedFd) -> nix::Result<OwnedFd> {
        let above = self.above();
        // SAFETY: `F_DUPFD_CLOEXEC` makes a new descriptor, which nothing else owns.
        let lift = |descriptor: BorrowedFd<'_>| unsafe {
            fcntl(descriptor, FcntlArg::F_DUPFD_CLOEXEC(above)).map(|raw| OwnedFd::from_raw_fd(raw))
        };
        let lifted_program = lift(program.as_fd())?;
        // Before its number may become a place.
        drop(program);
        let lifted: Vec<OwnedFd> = self
            .descriptors
            .iter()
            // SAFETY: the supervisor left these descriptors open for this process alone.
            .map(|raw| lift(unsafe { BorrowedFd::borrow_raw(*raw) }))
            .collect::<nix::Result<_>>()?;
        for (place, descriptor) in (FIRST..).zip(&lifted) {
            // SAFETY: whatever stands in this place was inherited for handing over and has been lifted.
            let mut target = std::mem::ManuallyDrop::new(unsafe { OwnedFd::from_raw_fd(place) });
            nix::unistd::dup2(descriptor, &mut target)?;
            fcntl(&*target, FcntlArg::F_SETFD(FdFlag::empty()))?;
        }
        Ok(lifted_program)
    }

    /// The first number behind those handed over.
    fn above(&self) -> RawFd {
        FIRST + RawFd::try_from(self.descriptors.len()).unwrap_or(RawFd::MAX / 2)
    }
}

/// What of this process's environment is a daemon's business, as systemd would give it: nothing else of the
/// person who started the house.
fn environment() -> Vec<CString> {
    const NAMES: [&str; 10] = [
        "LANG",
        "LISTEN_FDNAMES",
        "LISTEN_FDS",
        "LLVM_PROFILE_FILE",
        "NOTIFY_SOCKET",
        "PATH",
        "RUST_BACKTRACE",
        "TZ",
        "TZDIR",
        "WATCHDOG_USEC",
    ];
    let wanted = |name: &str| {
        mutant("launch-environment-kept")
            || NAMES.contains(&name)
            || name.starts_with("YANMEN_")
            || name.starts_with("LC_")
    };
    std::env::vars_os()
        .filter(|(name, _)| name.to_str().is_some_and(wanted))
        .map(|(name, value)| [name.as_encoded_bytes(), b"=", value.as_encoded_bytes()].concat())
        .chain([format!("LISTEN_PID={}", getpid()).into_bytes()])
        .filter_map(|line| CString::new(line).ok())
        .collect()
}

/// Lets no descriptor from `above` on reach the daemon: those handed over have their places, and the shell that
/// started the house may have left others open.
fn keep_from_daemon(above: RawFd) -> io::Result<()> {
    for entry in fs::read_dir("/proc/self/fd")? {
        let number = entry?.file_name().to_str().and_then(|name| name.parse::<RawFd>().ok());
        if let Some(raw) = number.filter(|raw| *raw >= above) {
            // SAFETY: it is open, for it stands in the list, and nothing closes it within this statement.
            fcntl(unsafe { BorrowedFd::borrow_raw(raw) }, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC))?;
        }
    }
    Ok(())
}

fn become_user(name: &str) -> Result<(), Failure> {
    let failed = |error: nix::Error| Failure::new(&format!("become {name}"), error);
    let user = User::from_name(name)
        .map_err(failed)?
        .ok_or_else(|| Failure::plain(format!("the user {name} is missing: run systemd-sysusers")))?;
    let (uid, gid): (Uid, Gid) = (user.uid, user.gid);
    setgroups(&[gid]).and_then(|()| setgid(gid)).and_then(|()| setuid(uid)).map_err(failed)
}
