//! The real process with the sockets that a supervisor would hand over: who may, in which order, and what a
//! kill leaves behind.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may stop")]

use audit_acts::{Act, Acts, Recorded};
use audit_event::{Actor, EventKind, Outcome, Phase};
use auth_api::{Assertion, Role};
use host_api::{
    Applied, Apply, Check, Diff, Follow, Host, RollBack, Sections, Show, VersionNumber, Versions,
};
use service::{Client, Error, Stream};
use stage::Stage;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;
use std::time::Duration;
use std::{fs, path::Path};

const FIRST: &str =
    "[sip]\nrealm = \"first\"\n[[sip.phones]]\nextension = \"8001\"\npassword = \"Wild-geese-8\"\n";
const CALLERS: [&str; 3] = ["audit", "ctl", "sip"];

/// A home with the daemon host in it.
struct House(Stage);

impl House {
    fn new(seed: &str) -> Self {
        let stage = Stage::new("host", env!("CARGO_BIN_EXE_host"));
        fs::write(stage.home().join("host/seed.toml"), seed).unwrap();
        Self(stage)
    }

    fn start(&mut self) {
        let handed = CALLERS.map(|caller| {
            let path = self.0.socket("host", caller);
            // The socket of an earlier life may still lie there.
            let _absent = fs::remove_file(&path);
            (format!("peer.{caller}"), OwnedFd::from(UnixListener::bind(path).unwrap()))
        });
        self.0.start(handed);
    }

    fn client(&self, caller: &str) -> Client<Host> {
        self.0.client(caller)
    }

    fn assertion(&self, role: Role) -> Assertion {
        self.0.assertion("alice", role)
    }

    fn apply(&self, text: &str) -> Apply {
        let assertion = self.assertion(Role::SystemAdministrator);
        Apply { text: text.to_owned(), assertion, reason: "a new realm".to_owned(), base: None }
    }
}

/// Audit's side: confirms what it reads.
struct Auditor {
    client: Client<Host>,
    acts: Stream<Act>,
    sequence: u64,
}

impl Auditor {
    async fn attach(house: &House) -> Self {
        let client = house.client("audit");
        let acts = client.stream(Acts {}).await.unwrap();
        Self { client, acts, sequence: 100 }
    }

    async fn next(&mut self) -> Act {
        let next = tokio::time::timeout(Duration::from_secs(10), self.acts.next());
        next.await.expect("an act comes").unwrap().unwrap()
    }

    async fn confirm(&mut self, act: &Act) -> u64 {
        self.sequence += 1;
        self.client.call(Recorded { act: act.act, sequence: self.sequence }).await.unwrap();
        self.sequence
    }

    /// The next settings act, everything before it confirmed.
    async fn next_of_settings(&mut self) -> Act {
        loop {
            let act = self.next().await;
            match act.event.kind {
                EventKind::SettingsApplied | EventKind::SettingsRolledBack => return act,
                _ => self.confirm(&act).await,
            };
        }
    }
}

async fn refused<T>(outcome: impl Future<Output = Result<T, Error>>) -> String {
    match outcome.await {
        Err(Error::Refused(refusal)) => refusal.code,
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("it was not refused"),
    }
}

fn realm(sections: &Sections) -> &str {
    sections.sections["sip"]["realm"].as_str().unwrap()
}

fn test<F: Future<Output = ()>>(body: F) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async { tokio::time::timeout(Duration::from_secs(60), body).await.expect("in time") });
}

#[test]
fn nothing_is_applied_that_audit_does_not_have() {
    test(async {
        let mut house = House::new(FIRST);
        house.start();
        let ctl = house.client("ctl");
        let second = FIRST.replace("first", "second");

        assert_eq!(refused(ctl.call(house.apply(&second))).await, "host.audit-away");
        let mut wrong = house.apply(&second);
        wrong.assertion = house.assertion(Role::AuditAdministrator);
        assert_eq!(refused(ctl.call(wrong.clone())).await, "host.not-administrator");
        wrong.assertion = "forged".parse().unwrap();
        assert_eq!(refused(ctl.call(wrong)).await, "auth.assertion");
        assert_eq!(ctl.call(Show::default()).await.unwrap().settings["sip"]["realm"], "first");

        // Audit comes: it hears the first installation, and every attempt that was refused.
        let mut audit = Auditor::attach(&house).await;
        let mut heard = Vec::new();
        while heard.len() < 3 {
            let act = audit.next_of_settings().await;
            audit.confirm(&act).await;
            heard.push((act.event.outcome, act.event.facts.get("code").cloned()));
        }
        let code = |code: &str| Some(code.to_owned());
        assert_eq!(
            heard,
            [
                (Outcome::Done, None),
                (Outcome::Refused, code("host.not-administrator")),
                (Outcome::Refused, code("auth.assertion")),
            ]
        );

        // Begun, and while audit is silent nothing happens.
        let applying = tokio::spawn({
            let (ctl, apply) = (ctl.clone(), house.apply(&second));
            async move { ctl.call(apply).await }
        });
        let begun = audit.next_of_settings().await;
        assert_eq!((begun.event.phase, begun.event.outcome), (Phase::Begun, Outcome::Pending));
        assert_eq!(begun.event.object, "settings/2");
        tokio::time::sleep(Duration::from_millis(200)).await;
        assert_eq!(ctl.call(Show::default()).await.unwrap().version.unwrap().number, VersionNumber(1));
        let sequence = audit.confirm(&begun).await;

        let Applied::Installed { version, differences } = applying.await.unwrap().unwrap() else {
            panic!("it is sound")
        };
        assert_eq!(version.number, VersionNumber(2));
        assert_eq!(version.person, Some("alice".parse().unwrap()));
        assert_eq!(differences.changes.len(), 1);
        let ended = audit.next_of_settings().await;
        assert_eq!((ended.event.phase, ended.event.outcome), (Phase::Ended, Outcome::Done));
        assert_eq!(ended.event.facts["begun"], sequence.to_string());
        assert!(!format!("{begun:?}{ended:?}").contains("Wild-geese"), "no secret in the log");
    });
}

/// Mutant settings-refusals-unbounded.
#[test]
fn attempts_without_end_are_a_bounded_number_of_entries() {
    test(async {
        let mut house = House::new(FIRST);
        house.start();
        let mut audit = Auditor::attach(&house).await;
        let seed = audit.next_of_settings().await;
        audit.confirm(&seed).await;
        let ctl = house.client("ctl");
        let mut wrong = house.apply(FIRST);
        wrong.assertion = "forged".parse().unwrap();
        for _ in 0..100 {
            assert_eq!(refused(ctl.call(wrong.clone())).await, "auth.assertion");
        }
        let second = house.apply(&FIRST.replace("first", "second"));
        let applying = tokio::spawn(async move { ctl.call(second).await });
        let mut attempts = 0;
        loop {
            let act = audit.next_of_settings().await;
            audit.confirm(&act).await;
            if act.event.outcome != Outcome::Refused {
                break;
            }
            attempts += 1;
        }
        assert_eq!(attempts, 30);
        assert!(matches!(applying.await.unwrap().unwrap(), Applied::Installed { .. }));
    });
}

#[test]
fn audit_that_says_nothing_changes_nothing() {
    test(async {
        let mut house = House::new(FIRST);
        house.start();
        let mut audit = Auditor::attach(&house).await;
        let seed = audit.next_of_settings().await;
        audit.confirm(&seed).await;
        let ctl = house.client("ctl");
        let second = house.apply(&FIRST.replace("first", "second"));
        assert_eq!(refused(ctl.call(second)).await, "host.audit-away");
        assert_eq!(ctl.call(Versions {}).await.unwrap().current, Some(VersionNumber(1)));
        assert_eq!(audit.next_of_settings().await.event.phase, Phase::Begun);
        assert_eq!(audit.next_of_settings().await.event.outcome, Outcome::Failed);
    });
}

#[test]
fn what_audit_heard_and_did_not_confirm_is_told_again() {
    test(async {
        let mut house = House::new(FIRST);
        house.start();
        let mut audit = Auditor::attach(&house).await;
        let (started, seed) = (audit.next().await, audit.next().await);
        audit.confirm(&seed).await;
        let mut next = Auditor::attach(&house).await;
        let again = next.next().await;
        assert_eq!((again.act, again.event), (started.act, started.event));
    });
}

#[test]
fn daemons_follow_and_people_see_masks() {
    test(async {
        let mut house = House::new(FIRST);
        house.start();
        let (sip, ctl) = (house.client("sip"), house.client("ctl"));
        let mut follow = sip.stream(Follow {}).await.unwrap();
        let handed = follow.next().await.unwrap().unwrap();
        assert_eq!(handed.sections.keys().collect::<Vec<_>>(), ["sip"], "its own section alone");
        assert_eq!(handed.sections["sip"]["phones"][0]["password"], "Wild-geese-8");

        let shown = ctl.call(Show::default()).await.unwrap();
        assert!(!serde_json::to_string(&shown).unwrap().contains("Wild-geese"));
        let assertion = Some(house.assertion(Role::Agent));
        ctl.call(Show { assertion }).await.unwrap();

        // What was shown comes back changed: the mask keeps the password.
        let masked = FIRST.replace("Wild-geese-8", settings::MASK).replace("first", "second");
        let checked = ctl.call(Check { text: masked.clone() }).await.unwrap();
        assert!(checked.problems.is_empty() && checked.differences.changes.len() == 1, "{checked:?}");
        // Whoever tries a password learns nothing: right or wrong, it counts as another one.
        for guess in ["Wild-geese-8", "Wild-geese-9"] {
            let text = FIRST.replace("Wild-geese-8", guess);
            let checked = ctl.call(Check { text }).await.unwrap();
            assert_eq!(checked.differences.changes[0].change.path, "sip.phones[8001].password", "{guess}");
        }
        let mut audit = Auditor::attach(&house).await;
        let first = audit.next().await;
        audit.confirm(&first).await;
        tokio::spawn(async move {
            loop {
                let act = audit.next().await;
                audit.confirm(&act).await;
            }
        });
        let applied = ctl.call(house.apply(&masked)).await.unwrap();
        assert!(matches!(applied, Applied::Installed { .. }), "{applied:?}");
        let handed = follow.next().await.unwrap().unwrap();
        assert_eq!((realm(&handed), handed.version), ("second", VersionNumber(2)));
        assert_eq!(handed.sections["sip"]["phones"][0]["password"], "Wild-geese-8");

        let unsound = ctl.call(house.apply("[sip]\nrelam = \"x\"\n")).await.unwrap();
        assert!(matches!(unsound, Applied::Unsound { problems } if problems[0].line == 2));
        assert_eq!(refused(ctl.call(house.apply(&FIRST.replace("first", "second")))).await, "host.unchanged");
        let mut late = house.apply(FIRST);
        late.base = Some(VersionNumber(1));
        assert_eq!(refused(ctl.call(late)).await, "host.base");

        let assertion = house.assertion(Role::SystemAdministrator);
        let back = RollBack { to: VersionNumber(1), assertion, reason: "the first was better".to_owned() };
        let applied = ctl.call(back.clone()).await.unwrap();
        let Applied::Installed { version, .. } = applied else { panic!("{applied:?}") };
        assert_eq!((version.number, version.restores), (VersionNumber(3), Some(VersionNumber(1))));
        assert_eq!(realm(&follow.next().await.unwrap().unwrap()), "first");
        assert_eq!(refused(ctl.call(RollBack { to: VersionNumber(9), ..back })).await, "host.no-version");
        let diff = Diff { assertion: None, from: VersionNumber(1), to: VersionNumber(2) };
        assert_eq!(ctl.call(diff).await.unwrap().changes[0].change.path, "sip.realm");
        assert_eq!(ctl.call(Versions {}).await.unwrap().versions.len(), 3);
    });
}

/// Mutant settings-shown-unentered.
#[test]
fn who_looks_at_settings_is_in_the_log_by_name_where_somebody_is_logged_in() {
    test(async {
        let mut house = House::new(FIRST);
        house.start();
        let ctl = house.client("ctl");
        // Also while audit is away: what is broken must be looked at to be mended.
        ctl.call(Show::default()).await.unwrap();
        let alice = Some(house.assertion(Role::Agent));
        ctl.call(Show { assertion: alice.clone() }).await.unwrap();
        ctl.call(Diff { assertion: alice, from: VersionNumber(0), to: VersionNumber(1) }).await.unwrap();
        let forged = Some("forged".parse().unwrap());
        assert_eq!(refused(ctl.call(Show { assertion: forged })).await, "auth.assertion");
        let mut audit = Auditor::attach(&house).await;
        let mut heard = Vec::new();
        while heard.len() < 3 {
            let act = audit.next().await;
            audit.confirm(&act).await;
            if act.event.kind == EventKind::SettingsShown {
                assert!(act.event.origin.starts_with("ctl uid "), "{}", act.event.origin);
                heard.push((act.event.actor, act.event.object));
            }
        }
        let (ctl, alice) = (Actor::Daemon("ctl".to_owned()), Actor::Person("alice".to_owned()));
        let object = |versions: &str| format!("settings/{versions}");
        assert_eq!(heard, [(ctl, object("1")), (alice.clone(), object("1")), (alice, object("0-1"))]);
    });
}

#[test]
fn a_kill_leaves_one_version_and_its_end_is_told() {
    test(async {
        let mut house = House::new(FIRST);
        for round in 0..12_u64 {
            house.start();
            let mut audit = Auditor::attach(&house).await;
            let before = house.client("ctl").call(Show::default()).await.unwrap().version.unwrap().number;
            let (ctl, apply) =
                (house.client("ctl"), house.apply(&FIRST.replace("first", &format!("round{round}"))));
            let applying = tokio::spawn(async move { ctl.call(apply).await });
            let begun = loop {
                let act = audit.next_of_settings().await;
                if act.event.phase == Phase::Begun {
                    break act;
                }
                audit.confirm(&act).await;
            };
            // The word goes out, and death comes a little later each round.
            let confirming = tokio::spawn(async move { audit.confirm(&begun).await });
            tokio::time::sleep(Duration::from_micros(round * 700)).await;
            house.0.kill();
            // Both calls end one way or the other with the process.
            let _ = tokio::join!(applying, confirming);

            house.start();
            let shown = house.client("ctl").call(Show::default()).await.unwrap();
            let version = shown.version.unwrap();
            let number = version.number;
            let expected = if number == before { None } else { Some(format!("round{round}")) };
            assert!(number == before || number == before.next(), "{number}");
            if let Some(expected) = expected {
                assert_eq!(shown.settings["sip"]["realm"], expected);
                let mut audit = Auditor::attach(&house).await;
                let ended = loop {
                    let act = audit.next_of_settings().await;
                    audit.confirm(&act).await;
                    // An attempt of an earlier round may have failed under the same number, and be told again.
                    let ours = act.event.facts.get("digest") == Some(&version.digest);
                    if act.event.phase == Phase::Ended && ours {
                        break act;
                    }
                };
                assert_eq!(ended.event.outcome, Outcome::Done);
            }
            house.0.kill();
        }
    });
}

#[test]
fn a_seed_with_mistakes_stops_the_first_start_with_all_of_them() {
    let mut house = House::new("[sip]\nrelam = \"x\"\nbind = 5060\n");
    house.start();
    let status = house.0.wait();
    assert_eq!(status.code(), Some(1));
    let log = read(house.0.home());
    assert!(log.contains("seed.toml:2:1: ") && log.contains("seed.toml:3:8: "), "{log}");
}

fn read(home: &Path) -> String {
    fs::read_to_string(home.join("host/log")).unwrap_or_default()
}
