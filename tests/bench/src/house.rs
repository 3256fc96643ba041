//! A whole house with its agents at work, and the daemons' processes. The measuring program stands in for auth
//! where agents sign in: so many log-ins would take longer than what is measured.

use crate::{Failure, Processes, folder, used};
use auth_api::{Assertion, Claims, Role, Roles, SessionId};
use gm::sm2::Signature;
use key_api::{Key, Sign, SigningPurpose};
use nix::unistd::{Uid as User, geteuid, seteuid};
use route_api::{AgentState, Route, SetState, SignIn};
use serde_json::Value;
use service::{Client, Interface};
use std::{
    collections::BTreeMap,
    fs,
    net::{SocketAddr, UdpSocket},
    ops::Range,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};
use types::Uid;

/// The password of every phone.
pub const PASSWORD: &str = "Geese-fly-North-1";
/// The number of the house.
pub const NUMBER: &str = "95555";

/// What a call goes through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Straight into the queue, unrecorded.
    Direct,
    /// The announcement of the recording, then the queue; recorded.
    Full,
}

const PATIENCE: Duration = Duration::from_secs(60);

/// A house that is up.
pub struct House {
    // Ends before its folder goes.
    supervisor: Supervisor,
    folder: tempfile::TempDir,
    runtime: tokio::runtime::Runtime,
    /// Where phones and the carrier find it.
    pub address: SocketAddr,
}

struct Supervisor(Child);

impl Drop for Supervisor {
    fn drop(&mut self) {
        let pid = self.0.id().to_string();
        // It ends the daemons first.
        let _gone = Command::new("kill").args(["-TERM", &pid]).status();
        let _gone = self.0.wait();
    }
}

impl House {
    /// Starts a house of this kind with these phones, an agent to each, and a carrier at this address; waits until
    /// every daemon serves.
    ///
    /// # Errors
    /// It does not come up.
    pub fn start(
        program: &Path,
        kind: Kind,
        extensions: Range<u16>,
        carrier: SocketAddr,
    ) -> Result<Self, Failure> {
        let folder = folder()?;
        // Daemons of other users walk through it to their own directories.
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755))?;
        let free = || UdpSocket::bind("127.0.0.1:0").and_then(|socket| socket.local_addr());
        let (address, console) = (free()?, free()?);
        let settings = settings(kind, extensions, [address, carrier, console]);
        fs::write(folder.path().join("appliance.toml"), settings)?;
        prompts(&folder.path().join("prompts"))?;
        let log = fs::File::create(folder.path().join("log"))?;
        let child = Command::new(program)
            .arg("--home")
            .arg(folder.path().join("home"))
            .arg("up")
            .arg("--config")
            .arg(folder.path().join("appliance.toml"))
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let house = Self { supervisor: Supervisor(child), folder, runtime, address };
        let (start, status) = (Instant::now(), house.home().join("run/status.json"));
        loop {
            let text = fs::read_to_string(&status).unwrap_or_default();
            let value: Value = serde_json::from_str(&text).unwrap_or_default();
            let daemons = value["daemons"].as_array().map(Vec::as_slice).unwrap_or_default();
            if !daemons.is_empty() && daemons.iter().all(|daemon| daemon["stage"] == "running") {
                return Ok(house);
            }
            if start.elapsed() > PATIENCE {
                let log = fs::read_to_string(house.folder.path().join("log")).unwrap_or_default();
                return Err(format!("the house does not come up:\n{log}").into());
            }
            thread::sleep(Duration::from_millis(100));
        }
    }

    /// Signs the agents in and makes them ready.
    ///
    /// # Errors
    /// One of them is refused.
    pub fn staff(&self, extensions: Range<u16>) -> Result<(), Failure> {
        let route: Client<Route> = self.client("ctl");
        for extension in extensions {
            let assertion = self.assertion(&agent(extension), Role::Agent)?;
            let phone = Some(extension.to_string().parse()?);
            let start = Instant::now();
            let ready = SetState { assertion: assertion.clone(), agent: None, state: AgentState::Ready };
            let sign_in = SignIn { assertion, phone };
            self.runtime.block_on(async {
                while let Err(error) = route.call(sign_in.clone()).await {
                    if start.elapsed() > Duration::from_secs(5) {
                        return Err(Failure::from(error));
                    }
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
                route.call(ready).await?;
                Ok(())
            })?;
        }
        Ok(())
    }

    /// These daemons.
    ///
    /// # Errors
    /// One does not run.
    pub fn daemons(&self, names: &[&str]) -> Result<Processes, Failure> {
        let all = self.processes()?;
        let of =
            |name: &&str| all.get(*name).copied().ok_or_else(|| Failure::from(format!("{name} is gone")));
        Ok(Processes::of(names.iter().map(of).collect::<Result<_, _>>()?))
    }

    /// What each daemon, and the supervisor as `ym`, has used so far.
    ///
    /// # Errors
    /// The status cannot be read.
    pub fn names_used(&self) -> Result<BTreeMap<String, Duration>, Failure> {
        let supervisor = ("ym".to_owned(), self.supervisor.0.id());
        self.processes()?.into_iter().chain([supervisor]).map(|(name, pid)| Ok((name, used(pid)?))).collect()
    }

    /// What each daemon, and the supervisor as `ym`, holds in memory, in bytes; what they share is shared
    /// out among them.
    ///
    /// # Errors
    /// The status cannot be read.
    pub fn names_memory(&self) -> Result<BTreeMap<String, u64>, Failure> {
        let supervisor = ("ym".to_owned(), self.supervisor.0.id());
        let all = self.processes()?.into_iter().chain([supervisor]);
        all.map(|(name, pid)| Ok((name, Processes::of(vec![pid]).memory()?))).collect()
    }

    /// Every daemon, and the supervisor.
    ///
    /// # Errors
    /// The status cannot be read.
    pub fn all(&self) -> Result<Processes, Failure> {
        Ok(Processes::of(self.processes()?.into_values().chain([self.supervisor.0.id()]).collect()))
    }

    /// The daemons' processes by name.
    ///
    /// # Errors
    /// The status cannot be read.
    pub fn processes(&self) -> Result<BTreeMap<String, u32>, Failure> {
        let status: Value = serde_json::from_str(&fs::read_to_string(self.home().join("run/status.json"))?)?;
        let daemons = status["daemons"].as_array().ok_or("no daemons")?;
        let of = |daemon: &Value| {
            Some((daemon["name"].as_str()?.to_owned(), u32::try_from(daemon["pid"].as_u64()?).ok()?))
        };
        Ok(daemons.iter().filter_map(of).collect())
    }

    /// How many packets its recordings hold, by what is known of each.
    ///
    /// # Errors
    /// They cannot be read.
    pub fn recorded(&self) -> Result<u64, Failure> {
        let mut packets = 0;
        for recording in fs::read_dir(self.home().join("record/recordings"))? {
            let known = fs::read_to_string(recording?.path().join("about.json"))?;
            let last: Value = serde_json::from_str(known.lines().last().unwrap_or_default())?;
            packets += last["recording"]["packets"].as_u64().ok_or("no packets")?;
        }
        Ok(packets)
    }

    fn home(&self) -> PathBuf {
        self.folder.path().join("home")
    }

    fn client<I: Interface>(&self, caller: &str) -> Client<I> {
        Client::at(self.home().join("run").join(I::DAEMON).join(caller))
    }

    /// The word of auth, signed by key.
    fn assertion(&self, person: &str, role: Role) -> Result<Assertion, Failure> {
        let issued = service::clock::utc();
        let claims = Claims {
            person: person.parse()?,
            roles: Roles::only(role),
            session: SessionId(Uid([7; 16])),
            issued,
            expires: issued.plus(Duration::from_secs(240)),
        };
        let message: String = Assertion::message(&claims).iter().map(|byte| format!("{byte:02x}")).collect();
        let key: Client<Key> = self.client("auth");
        let sign = Sign { purpose: SigningPurpose::Assertion, message };
        let signed = in_place_of_auth(|| self.runtime.block_on(key.call(sign)))??.signature;
        let mut signature = [0; 64];
        for (at, byte) in signature.iter_mut().enumerate() {
            *byte = u8::from_str_radix(signed.get(2 * at..2 * at + 2).ok_or("no signature")?, 16)?;
        }
        Ok(Assertion::new(&claims, &Signature(signature)))
    }
}

/// As the user of auth, where each daemon has its own.
fn in_place_of_auth<T>(act: impl FnOnce() -> T) -> Result<T, Failure> {
    if !geteuid().is_root() {
        return Ok(act());
    }
    let user = nix::unistd::User::from_name("ym-auth")?.ok_or("the user ym-auth is missing")?;
    seteuid(user.uid)?;
    let outcome = act();
    seteuid(User::from_raw(0))?;
    Ok(outcome)
}

fn agent(extension: u16) -> String {
    format!("agent{extension}")
}

fn settings(kind: Kind, extensions: Range<u16>, [address, carrier, console]: [SocketAddr; 3]) -> String {
    let (when, steps) = match kind {
        Kind::Direct => ("never", r#"{ queue = "service" }"#),
        Kind::Full => ("announced", r#"{ announce = "recorded" }, { queue = "service" }"#),
    };
    let mut text = format!(
        r#"[sip]
bind = ["{address}"]
[sip.limits]
messages = 10000
[[sip.trunks]]
name = "carrier"
address = "{carrier}"
check = "0s"
[media]
bind = "127.0.0.1"
ports = "20000-29999"
[record]
when = "{when}"
minimum_free = "256MiB"
[console]
listen = "{console}"
[route]
max_calls = 4000
[[route.numbers]]
dialled = "{NUMBER}"
flow = "service"
[[route.flows]]
name = "service"
steps = [{steps}]
[[route.queues]]
name = "service"
strategy = "longest-idle"
wrap_up = "0s"
music = "tone.ringback"
"#
    );
    for extension in extensions {
        let agent = agent(extension);
        text += &format!(
            "[[sip.phones]]\nextension = \"{extension}\"\npassword = \"{PASSWORD}\"\n\
             [[route.agents]]\nname = \"{agent}\"\nextension = \"{extension}\"\n\
             queues = [{{ queue = \"service\", level = 5 }}]\n"
        );
    }
    text
}

/// The announcement: 200 ms of silence.
fn prompts(folder: &Path) -> Result<(), Failure> {
    let octets = 8000_u32 / 5 * 2;
    let mut wav = Vec::from(*b"RIFF");
    wav.extend((36 + octets).to_le_bytes());
    wav.extend(b"WAVEfmt ");
    for (number, bytes) in [(16, 4), (1, 2), (1, 2), (8000, 4), (16_000, 4), (2, 2), (16, 2)] {
        wav.extend(&u32::to_le_bytes(number)[..bytes]);
    }
    wav.extend(b"data");
    wav.extend(octets.to_le_bytes());
    wav.resize(wav.len() + octets as usize, 0);
    fs::create_dir(folder)?;
    fs::set_permissions(folder, fs::Permissions::from_mode(0o755))?;
    Ok(fs::write(folder.join("recorded.wav"), wav)?)
}
