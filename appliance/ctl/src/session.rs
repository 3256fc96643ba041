//! The log-in of this person at this house, kept in a file of their own between two commands.

use crate::{
    failure::{Failure, Status},
    home::Home,
};
use auth_api::{
    Assertion, Auth, Claims, Code, Done, LoggedIn, Login, Logout, Offered, Origin, Password, Presence, Renew,
    SessionToken,
};
use serde::{Deserialize, Serialize};
use service::{Client, Interface};
use std::{
    env, fs,
    io::{ErrorKind, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::PathBuf,
};
use types::PersonId;

/// A house, and who asks there.
pub struct Session<'a> {
    home: &'a Home,
}

/// Who has logged in.
#[derive(Serialize)]
pub struct Entered {
    /// Who it is.
    #[serde(flatten)]
    pub claims: Claims,
    /// Of a second factor that was enrolled with it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub recovery_codes: Vec<Code>,
}

/// What the file holds.
#[derive(Serialize, Deserialize)]
struct Kept {
    token: SessionToken,
}

impl<'a> Session<'a> {
    /// At this house.
    pub fn at(home: &'a Home) -> Self {
        Self { home }
    }

    /// The way to a daemon.
    pub fn client<I: Interface>(&self) -> Client<I> {
        Client::at(self.home.own_socket(I::DAEMON))
    }

    /// Logs in and keeps the session; asks `code` for the second factor where one is wanted, and shows it what was
    /// offered where one is to be enrolled.
    ///
    /// # Errors
    /// The password or the code is wrong, or the password has to be changed first.
    pub async fn enter(
        &self,
        person: PersonId,
        password: Password,
        code: impl FnOnce(Option<&Offered>) -> Result<Code, Failure>,
    ) -> Result<Entered, Failure> {
        let auth = self.client::<Auth>();
        let login =
            |code| Login { person: person.clone(), password: password.clone(), code, origin: Origin::Local };
        let mut entered = auth.call(login(None)).await?;
        let wanted = match &entered {
            LoggedIn::CodeWanted => Some(None),
            LoggedIn::Enrol(offered) => Some(Some(offered)),
            LoggedIn::Entered { .. } | LoggedIn::MustChange => None,
        };
        if let Some(offered) = wanted {
            entered = auth.call(login(Some(code(offered)?))).await?;
        }
        match entered {
            LoggedIn::Entered { token, claims, recovery_codes, .. } => {
                self.keep(token)?;
                Ok(Entered { claims, recovery_codes })
            }
            LoggedIn::MustChange => Err(Failure::said("ym.must-change", &[("person", &person.to_string())])
                .with(Status::NotPermitted)),
            LoggedIn::CodeWanted | LoggedIn::Enrol(_) => {
                Err(Failure::said("auth.code-wanted", &[]).with(Status::NotPermitted))
            }
        }
    }

    /// Who is logged in: a fresh assertion.
    ///
    /// # Errors
    /// Nobody is, or no more.
    pub async fn assertion(&self) -> Result<Assertion, Failure> {
        let renewed =
            self.client::<Auth>().call(Renew { token: self.token()?, presence: Presence::Active }).await;
        Ok(renewed?.assertion)
    }

    /// Ends the session.
    ///
    /// # Errors
    /// Nobody is logged in.
    pub async fn leave(&self) -> Result<Done, Failure> {
        let token = self.token()?;
        fs::remove_file(self.path()?).map_err(|error| Failure::new("forget the session", error))?;
        Ok(self.client::<Auth>().call(Logout { token }).await?)
    }

    fn token(&self) -> Result<SessionToken, Failure> {
        let text = fs::read_to_string(self.path()?).map_err(|error| match error.kind() {
            // Without a house, the log-in is not what is wrong.
            ErrorKind::NotFound if !self.home.own_socket(Auth::DAEMON).exists() => {
                let home = self.home.path().display().to_string();
                Failure::said("ym.not-up", &[("home", &home)]).with(Status::Unavailable)
            }
            ErrorKind::NotFound => Failure::said("ym.nobody", &[]).with(Status::NotPermitted),
            _ => Failure::new("read the session", error),
        })?;
        let kept: Kept = serde_json::from_str(&text)
            .map_err(|error| Failure::new("read the session (ym login makes a new one)", error))?;
        Ok(kept.token)
    }

    fn keep(&self, token: SessionToken) -> Result<(), Failure> {
        let failed = |error: std::io::Error| Failure::new("keep the session", error);
        let path = self.path()?;
        if let Some(directory) = path.parent() {
            fs::DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(failed)?;
        }
        match fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(failed(error)),
            _ => {}
        }
        let text = serde_json::to_string(&Kept { token }).map_err(|error| failed(error.into()))?;
        let mut file =
            fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(failed)?;
        file.write_all(text.as_bytes()).map_err(failed)
    }

    /// One file a house, in the person's own run-time or state directory.
    fn path(&self) -> Result<PathBuf, Failure> {
        let set = |name: &str| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let directory = set("XDG_RUNTIME_DIR")
            .or_else(|| set("XDG_STATE_HOME"))
            .or_else(|| set("HOME").map(|home| home.join(".local/state")))
            .ok_or_else(|| Failure::plain("there is no place for the session: set HOME"))?;
        let house: String = self.home.path().to_string_lossy().replace('/', "-");
        Ok(directory.join("yanmen").join(format!("session{house}.json")))
    }
}
