//! The daemon between its neighbours: a key that signs, and a log that writes down, refuses, or is away.

use crate::{
    desk::{Desk, Shared},
    guard::Guard,
    keeping::Keeping,
    ledger::Ledger,
    officers,
    sealing::Sealing,
    set_up,
    signing::Signing,
};
use auth_api::*;
use auth_core::{Cost, FactorSecret, Policy};
use gm::sm2::SigningKey;
use serde_json::{Value, json};
use service::{Client, Connection, Refusal, RefusalKind, clock};
use std::{
    collections::BTreeSet,
    net::{IpAddr, Ipv4Addr},
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};
use tempfile::TempDir;
use tokio::net::UnixListener;
use types::{Boot, PersonId};

const ORIGIN: Origin = Origin::Address(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7)));
const FIRST: &str = "First#1st";

struct House {
    directory: TempDir,
    desk: Option<Arc<Shared>>,
    log: Arc<Log>,
}

#[derive(Default)]
struct Log {
    entries: Mutex<Vec<Value>>,
    refuses: AtomicBool,
}

impl House {
    async fn new() -> Self {
        let directory = TempDir::new().unwrap();
        let log = Arc::new(Log::default());
        serve(&directory.path().join("key"), |parameters| {
            let message = unhex(parameters["message"].as_str().unwrap());
            let signature = key().sign(SIGNING_ID, &message).unwrap();
            json!({ "parameters": { "signature": format!("{signature:?}") } })
        });
        let book = Arc::clone(&log);
        serve(&directory.path().join("audit"), move |parameters| book.append(parameters));
        let desk = Some(open(directory.path(), "boot").await);
        Self { directory, desk, log }
    }

    /// With the three officers, each in session: assertions of `sys`, `sec` and `aud`.
    async fn officers() -> (Self, [Assertion; 3]) {
        let house = Self::new().await;
        house.set_up().await.unwrap();
        let mut assertions = Vec::new();
        for name in ["sys", "sec", "aud"] {
            house.change(name, FIRST, &own(name)).await.unwrap();
            assertions.push(house.enter(name).await.1);
        }
        (house, assertions.try_into().unwrap())
    }

    fn desk(&self) -> &Shared {
        self.desk.as_ref().unwrap()
    }

    async fn restart(&mut self, boot: &str) {
        // The store belongs to one process at a time: it closes with its last holder.
        self.desk = None;
        self.desk = Some(open(self.directory.path(), boot).await);
    }

    async fn set_up(&self) -> Result<Done, Refusal> {
        let shown = std::fs::read_to_string(self.directory.path().join(set_up::FILE)).unwrap_or_default();
        let officer = |name: &str| NewOfficer { person: person(name), password: password(FIRST) };
        let (system, security, audit) = (officer("sys"), officer("sec"), officer("aud"));
        let setup = Setup { password: password(shown.trim()), system, security, audit, origin: ORIGIN };
        self.desk().name_officers(setup, false).await
    }

    async fn log_in(&self, name: &str, text: &str) -> Result<LoggedIn, Refusal> {
        let login = Login { person: person(name), password: password(text), code: None, origin: ORIGIN };
        self.desk().log_in(login, false).await
    }

    async fn enter(&self, name: &str) -> (SessionToken, Assertion) {
        match self.log_in(name, &own(name)).await.unwrap() {
            LoggedIn::Entered { token, assertion, .. } => (token, assertion),
            _ => panic!("{name} must change the password"),
        }
    }

    async fn change(&self, name: &str, old: &str, new: &str) -> Result<Done, Refusal> {
        let change = ChangePassword {
            person: person(name),
            old: password(old),
            new: password(new),
            code: None,
            origin: ORIGIN,
        };
        self.desk().change_password(change, false).await
    }
}

impl Log {
    fn append(&self, parameters: &Value) -> Value {
        if self.refuses.load(Ordering::SeqCst) {
            let parameters = json!({ "code": "audit.disk", "message": "no room" });
            return json!({ "error": "cn.yanmen.Unavailable", "parameters": parameters });
        }
        let mut entries = self.entries.lock().unwrap();
        entries.push(parameters.clone());
        json!({ "parameters": { "sequence": entries.len() } })
    }

    /// The entries from `from` on: kind, outcome, and who.
    fn told(&self, from: usize) -> Vec<String> {
        let text = |entry: &Value| {
            let (event, actor) = (&entry["event"], entry["event"]["actor"].as_object().unwrap());
            let (how, who) = actor.iter().next().unwrap();
            let word = |value: &Value| value.as_str().unwrap().to_owned();
            format!("{} {} {how} {}", word(&event["kind"]), word(&event["outcome"]), word(who))
        };
        self.entries.lock().unwrap()[from..].iter().map(text).collect()
    }

    fn len(&self) -> usize {
        self.entries.lock().unwrap().len()
    }
}

#[tokio::test]
async fn from_set_up_to_an_assertion_that_anyone_verifies() {
    let house = House::new().await;
    let file = house.directory.path().join(set_up::FILE);
    assert!(file.exists());
    house.set_up().await.unwrap();
    assert!(!file.exists(), "the set-up password was shown once");
    assert_eq!(house.set_up().await.unwrap_err().code, "auth.set-up-done");
    assert!(matches!(house.log_in("sec", FIRST).await, Ok(LoggedIn::MustChange)));
    house.change("sec", FIRST, &own("sec")).await.unwrap();

    let before = house.log.len();
    let (token, assertion) = house.enter("sec").await;
    let claims = verifier().verify(&assertion, clock::utc()).unwrap();
    assert_eq!((claims.person, claims.session), (person("sec"), token.session()));
    assert_eq!(house.log.told(before), ["auth.log-in done person sec"]);
    let entry = house.log.entries.lock().unwrap().last().cloned().unwrap();
    assert_eq!(entry["assertion"].as_str(), Some(assertion.as_str()), "the log is given the proof");

    let renew = Renew { token: token.clone(), presence: Presence::Active };
    assert!(verifier().verify(&house.desk().renew(&renew).await.unwrap().assertion, clock::utc()).is_ok());
    assert_eq!(house.log.len(), before + 1, "a renewal is no act");
}

#[tokio::test]
async fn no_audit_entry_no_access() {
    let (house, [sys, ..]) = House::officers().await;
    house.log.refuses.store(true, Ordering::SeqCst);
    let refused = house.log_in("sys", &own("sys")).await.err().unwrap();
    assert_eq!(refused.kind, RefusalKind::Unavailable);
    let create = Create { assertion: sys.clone(), person: person("li") };
    assert!(officers::create(house.desk(), create.clone()).await.is_err());
    // Not even a failure is counted or answered before it is on record.
    for _ in 0..6 {
        let refused = house.log_in("aud", "Wrong#123").await.err().unwrap();
        assert_eq!(refused.kind, RefusalKind::Unavailable);
    }
    house.log.refuses.store(false, Ordering::SeqCst);
    let sessions = house.desk().guard.directory().sessions().count();
    assert_eq!(sessions, 3, "nobody entered unseen");
    assert_eq!(house.desk().guard.directory().accounts().count(), 3);
    assert!(officers::create(house.desk(), create).await.is_ok());
}

#[tokio::test]
async fn failures_and_the_lock_out_are_on_record() {
    let (house, _) = House::officers().await;
    let before = house.log.len();
    for _ in 0..4 {
        assert_eq!(house.log_in("aud", "Wrong#123").await.err().unwrap().code, "auth.credentials");
    }
    assert_eq!(house.log_in("ghost", "Wrong#123").await.err().unwrap().code, "auth.credentials");
    let failure = "auth.log-in refused claimed aud";
    let told = house.log.told(before);
    assert_eq!(told[..4], [failure; 4]);
    // The fifth failure from here: one entry for a name that is not written down, one for the lock.
    assert_eq!(told[4..], ["auth.log-in refused claimed ", "auth.locked-out done claimed "]);
    assert_eq!(house.log_in("aud", &own("aud")).await.err().unwrap().code, "auth.origin-locked");
    assert_eq!(house.log.len(), before + 6, "a locked origin cannot fill the log");
}

#[tokio::test]
async fn an_officer_acts_by_his_assertion_and_no_one_elses() {
    let (house, [sys, sec, _]) = House::officers().await;
    let before = house.log.len();
    let create = |assertion: &Assertion| Create { assertion: assertion.clone(), person: person("li") };
    let refused = officers::create(house.desk(), create(&sec)).await.err().unwrap();
    assert_eq!((refused.kind, refused.code.as_str()), (RefusalKind::NotPermitted, "auth.not-permitted"));
    let created = officers::create(house.desk(), create(&sys)).await.unwrap();
    let forged = Assertion::from(sys.as_str().replace('A', "B"));
    assert_eq!(officers::create(house.desk(), create(&forged)).await.err().unwrap().code, "auth.assertion");
    let grant = Grant { assertion: sec, person: person("li"), role: Role::Agent };
    officers::grant(house.desk(), grant).await.unwrap();
    assert_eq!(
        house.log.told(before),
        [
            "auth.account-created refused person sec",
            "auth.account-created done person sys",
            "auth.role-granted done person sec",
        ]
    );
    house.change("li", created.password.reveal(), &own("li")).await.unwrap();
    let (_, agent) = house.enter("li").await;
    assert_eq!(verifier().verify(&agent, clock::utc()).unwrap().roles, Roles::only(Role::Agent));
    let listed = officers::accounts(house.desk(), &Accounts { assertion: sys }).await.unwrap();
    assert_eq!(listed.accounts.len(), 4);
    assert!(listed.accounts.iter().all(|account| account.standing == Standing::Open));
}

#[tokio::test]
async fn a_disabled_account_is_enabled_again_by_the_system_administrator_alone_and_on_record() {
    let (house, [sys, sec, aud]) = House::officers().await;
    let li = || person("li");
    let create = Create { assertion: sys.clone(), person: li() };
    let first = officers::create(house.desk(), create).await.unwrap().password;
    house.change("li", first.reveal(), &own("li")).await.unwrap();
    let grant = Grant { assertion: sec.clone(), person: li(), role: Role::Agent };
    officers::grant(house.desk(), grant).await.unwrap();
    let (_, agent) = house.enter("li").await;
    officers::disable(house.desk(), Disable { assertion: sys.clone(), person: li() }).await.unwrap();
    assert_eq!(house.log_in("li", &own("li")).await.err().unwrap().code, "auth.credentials");

    let before = house.log.len();
    let enable = |assertion: &Assertion, name| {
        let asked = Enable { assertion: assertion.clone(), person: person(name) };
        officers::enable(house.desk(), asked)
    };
    for other in [&sec, &aud] {
        let refused = enable(other, "li").await.unwrap_err();
        assert_eq!((refused.kind, refused.code.as_str()), (RefusalKind::NotPermitted, "auth.not-permitted"));
    }
    // The agent's own session ended with the account.
    assert_eq!(enable(&agent, "li").await.unwrap_err().code, "auth.session-ended");
    assert_eq!(enable(&sys, "ghost").await.unwrap_err().code, "auth.no-such-person");
    house.log.refuses.store(true, Ordering::SeqCst);
    assert_eq!(enable(&sys, "li").await.unwrap_err().kind, RefusalKind::Unavailable);
    house.log.refuses.store(false, Ordering::SeqCst);
    assert!(house.log_in("li", &own("li")).await.is_err(), "without an entry nothing was opened");

    enable(&sys, "li").await.unwrap();
    let LoggedIn::Entered { claims, .. } = house.log_in("li", &own("li")).await.unwrap() else {
        panic!("the password is the one that it was")
    };
    assert_eq!(claims.roles, Roles::only(Role::Agent), "the roles are those that it had");
    assert_eq!(enable(&sys, "li").await.unwrap_err().code, "auth.nothing-to-do");
    let told = house.log.told(before);
    let enabled: Vec<&str> =
        told.iter().filter_map(|entry| entry.strip_prefix("auth.account-enabled ")).collect();
    assert_eq!(
        enabled,
        [
            "refused person sec",
            "refused person aud",
            "refused person sys",
            "done person sys",
            "refused person sys",
        ]
    );
    let entries = house.log.entries.lock().unwrap();
    let done = entries
        .iter()
        .map(|entry| &entry["event"])
        .find(|event| event["kind"] == "auth.account-enabled" && event["outcome"] == "done");
    assert_eq!(done.unwrap()["object"], "li");
}

#[tokio::test]
async fn two_officers_recover_the_third_and_neither_can_enter_for_him() {
    let (house, [sys, sec, aud]) = House::officers().await;
    let request = RequestRecovery { assertion: aud, person: person("sec") };
    let requested = officers::request_recovery(house.desk(), request).await.unwrap();
    let approve =
        |assertion| ApproveRecovery { assertion, person: person("sec"), recovery: requested.recovery };
    let own_account = officers::approve_recovery(house.desk(), approve(sec)).await.err().unwrap();
    assert_eq!(own_account.code, "auth.own-account");
    let approved = officers::approve_recovery(house.desk(), approve(sys)).await.unwrap();
    let (first, second) = (requested.first_half.reveal(), approved.second_half.reveal());
    for part in [first, second] {
        assert_eq!(house.log_in("sec", part).await.err().unwrap().code, "auth.credentials");
    }
    let whole = format!("{first}-{second}");
    assert!(matches!(house.log_in("sec", &whole).await, Ok(LoggedIn::MustChange)));
    house.change("sec", &whole, "Brand#New1").await.unwrap();
}

#[tokio::test]
async fn a_restart_keeps_accounts_and_sessions_and_another_boot_ends_them() {
    let (mut house, _) = House::officers().await;
    let (token, _) = house.enter("aud").await;
    let renew = Renew { token, presence: Presence::Active };
    house.restart("boot").await;
    house.desk().renew(&renew).await.unwrap();
    assert_eq!(house.set_up().await.unwrap_err().code, "auth.set-up-done");
    house.restart("another boot").await;
    assert_eq!(house.desk().renew(&renew).await.err().unwrap().code, "auth.session-ended");
    house.enter("aud").await;
}

#[tokio::test]
async fn a_second_factor_is_enrolled_once_and_lies_sealed() {
    let (mut house, _) = House::officers().await;
    house.restart("factor").await;
    let log_in = async |house: &House, code: Option<String>| {
        let code = code.map(|code| code.try_into().unwrap());
        let login = Login { person: person("sys"), password: password(&own("sys")), code, origin: ORIGIN };
        house.desk().log_in(login, false).await
    };
    let LoggedIn::Enrol(offered) = log_in(&house, None).await.unwrap() else { panic!("nothing was offered") };
    assert!(offered.uri.contains(&format!("secret={}&", offered.secret)), "{}", offered.uri);
    let secret = FactorSecret::of_base32(&offered.secret).unwrap();
    // The offer survives a restart, as whatever was answered does.
    house.restart("factor").await;
    let before = house.log.len();
    let code = secret.code(clock::utc());
    let LoggedIn::Entered { recovery_codes, .. } = log_in(&house, Some(code.clone())).await.unwrap() else {
        panic!("not entered")
    };
    assert_eq!(recovery_codes.len(), 10);
    let enrolled = "auth.second-factor-enrolled done person sys";
    assert_eq!(house.log.told(before), [enrolled, "auth.log-in done person sys"]);
    house.restart("factor").await;
    assert!(matches!(log_in(&house, None).await, Ok(LoggedIn::CodeWanted)));
    assert_eq!(log_in(&house, Some(code)).await.err().unwrap().code, "auth.code", "used before the restart");
    let spare = recovery_codes[0].reveal().to_owned();
    assert!(matches!(log_in(&house, Some(spare)).await, Ok(LoggedIn::Entered { .. })));

    house.desk = None;
    let text = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte},")).collect::<String>();
    let raw = <[u8; 20]>::from(secret);
    let mut seen = false;
    for file in files(house.directory.path()) {
        let Ok(bytes) = std::fs::read(&file) else { continue };
        seen |= String::from_utf8_lossy(&bytes).contains(r#""person":"sys""#);
        let shown = String::from_utf8_lossy(&bytes);
        let hidden = [offered.secret.clone(), text(&raw), recovery_codes[1].reveal().to_owned()];
        assert!(hidden.iter().all(|secret| !shown.contains(secret)), "{} shows it", file.display());
        assert!(!bytes.windows(20).any(|window| window == raw), "{} holds it", file.display());
    }
    assert!(seen, "the accounts themselves can be read there");
}

#[tokio::test]
async fn a_person_sees_and_ends_the_sessions_of_another_browser() {
    let (house, [sys, sec, _]) = House::officers().await;
    let (other, _) = house.enter("sys").await;
    let listed = house.desk().sessions(&Sessions { assertion: sys.clone() }).unwrap().sessions;
    assert_eq!(listed.len(), 2);
    assert_eq!((listed[0].session, listed[0].origin), (other.session(), ORIGIN));
    assert!(clock::utc().since(listed[0].began) < std::time::Duration::from_secs(60));
    let end = |assertion: &Assertion| EndSession { assertion: assertion.clone(), session: other.session() };
    assert_eq!(house.desk().end_session(end(&sec)).await.unwrap_err().code, "auth.no-such-session");
    house.desk().end_session(end(&sys)).await.unwrap();
    let renew = Renew { token: other, presence: Presence::Active };
    assert_eq!(house.desk().renew(&renew).await.err().unwrap().code, "auth.session-ended");
}

#[tokio::test]
async fn a_lost_set_up_password_is_made_anew_and_the_old_one_is_void() {
    let mut house = House::new().await;
    let file = house.directory.path().join(set_up::FILE);
    let old = std::fs::read_to_string(&file).unwrap();
    house.restart("boot").await;
    assert_eq!(std::fs::read_to_string(&file).unwrap(), old, "it is not made twice");
    std::fs::remove_file(&file).unwrap();
    house.restart("boot").await;
    let new = std::fs::read_to_string(&file).unwrap();
    assert_ne!(new, old);
    std::fs::write(&file, &old).unwrap();
    assert_eq!(house.set_up().await.unwrap_err().code, "auth.credentials");
    std::fs::write(&file, &new).unwrap();
    house.set_up().await.unwrap();
}

/// Every file below.
fn files(directory: &Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

async fn open(directory: &Path, boot: &str) -> Arc<Shared> {
    let sealing = Sealing::new(&[7; 16]);
    let (keeping, kept) = Keeping::open(directory.to_owned(), Boot(boot.to_owned()), sealing).await.unwrap();
    let snapshot = set_up::prepare(directory, &keeping, kept).await.unwrap();
    let second_factor =
        if boot.starts_with("factor") { Policy::default().second_factor } else { BTreeSet::new() };
    let policy =
        Policy { cost: Cost { memory_kib: 8, passes: 1, lanes: 1 }, second_factor, ..Policy::default() };
    let ledger = Ledger::new(Client::at(directory.join("audit")));
    let signing = Signing::new(Client::at(directory.join("key")));
    let guard = Guard::new(policy, snapshot, keeping, ledger, signing);
    let state = directory.to_owned();
    Desk::new(guard, verifier(), move || set_up::forget(&state)).0
}

/// Answers every call on the socket.
fn serve(path: &Path, answer: impl Fn(&Value) -> Value + Send + Sync + 'static) {
    let listener = UnixListener::bind(path).unwrap();
    let answer = Arc::new(answer);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let answer = Arc::clone(&answer);
            tokio::spawn(async move {
                let mut connection = Connection::new(stream);
                while let Ok(Some((call, _))) = connection.read().await {
                    let call: Value = serde_json::from_slice(&call).unwrap();
                    connection.write(&answer(&call["parameters"]), &[]).await.unwrap();
                }
            });
        }
    });
}

fn key() -> SigningKey {
    SigningKey::from_bytes(&[7; 32]).unwrap()
}

fn verifier() -> Verifier {
    Verifier::new(key().verifying_key().clone())
}

fn person(name: &str) -> PersonId {
    PersonId(name.parse().unwrap())
}

fn password(text: &str) -> Password {
    text.to_owned().try_into().unwrap()
}

/// The password that a person chose.
fn own(name: &str) -> String {
    format!("Own%{}%77", name.chars().rev().skip(1).collect::<String>())
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

/// Mutant auth-origin-unchecked.
#[tokio::test]
async fn an_edge_cannot_lock_the_terminal_of_the_box() {
    let house = House::new().await;
    house.set_up().await.unwrap();
    let wrong =
        |origin| Login { person: person("nobody"), password: password("Wrong-guess-1"), code: None, origin };
    for _ in 0..6 {
        let refused = house.desk().log_in(wrong(Origin::Local), false).await.err().unwrap();
        assert_eq!((refused.kind, refused.code.as_str()), (RefusalKind::NotPermitted, "auth.not-local"));
    }
    // Whatever ym says of its origin, it is the terminal, and nothing has locked it.
    let refused = house.desk().log_in(wrong(ORIGIN), true).await.err().unwrap();
    assert_eq!(refused.code, "auth.credentials");
}
