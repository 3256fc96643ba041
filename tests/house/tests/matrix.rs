//! Every caller × every callee × every method, each from an outside process of the caller's own user.
#![expect(clippy::unwrap_used, clippy::panic, reason = "what fails here fails the test")]

use house_test::{
    attempt::{Answer, Attempt, Found},
    interfaces,
    running::{Running, Somebody, skipped},
};
use nix::libc::EACCES;
use std::{fs, os::unix::fs::PermissionsExt};

/// The refusal that the table gives, before a daemon sees the call.
fn is_the_tables_refusal(answer: &Answer) -> bool {
    *answer == Answer::Error("cn.yanmen.NotPermitted".to_owned(), "house.not-in-table".to_owned())
}

/// Every socket of the house with every method of its daemon.
fn attempts(running: &Running) -> Vec<Attempt> {
    interfaces::all()
        .iter()
        .flat_map(|offered| {
            house::callers(offered.daemon).map(|caller| Attempt {
                callee: offered.daemon.to_owned(),
                caller: caller.name.to_owned(),
                socket: running.home().join("run").join(offered.daemon).join(caller.name),
                methods: offered.methods.iter().map(|facts| facts.name.to_owned()).collect(),
            })
        })
        .collect()
}

#[test]
fn every_caller_gets_what_the_table_gives_and_nothing_else() {
    if skipped("the permission matrix") {
        return;
    }
    let running = Running::start();
    let attempts = attempts(&running);
    own_sockets_alone(&running, &attempts);
    no_strangers(&running, &attempts);
    the_uid_counts_where_the_mode_does_not(&running, &attempts);
}

/// A hostile daemon is one of these callers: it gets no further than its own row.
fn own_sockets_alone(running: &Running, attempts: &[Attempt]) {
    let mut asked = 0;
    for caller in house::DAEMONS.iter().filter(|caller| !caller.root) {
        let all = running.probe(Somebody::caller(caller), attempts);
        for (attempt, found) in attempts.iter().zip(all) {
            let place = format!("{} on the socket {}/{}", caller.name, attempt.callee, attempt.caller);
            match found {
                Found::Refused(error) => {
                    assert_ne!(attempt.caller, caller.name, "{place}: not even connected");
                    assert_eq!(error, EACCES, "{place}");
                }
                Found::Connected(answers) => {
                    assert_eq!(attempt.caller, caller.name, "{place}: connected");
                    for (method, answer) in answers {
                        asked += 1;
                        let given = house::permits(caller.name, &attempt.callee, &method);
                        assert_eq!(is_the_tables_refusal(&answer), !given, "{place}: {method}: {answer:?}");
                        let answered = matches!(answer, Answer::Reply | Answer::Error(..));
                        assert!(answered, "{place}: {method}: {answer:?}");
                    }
                }
            }
        }
    }
    let expected: usize = attempts.iter().map(|attempt| attempt.methods.len()).sum();
    assert_eq!(asked, expected, "every method was asked for once by each of its daemon's callers");
}

/// A user who has nothing to do with the house connects nowhere.
fn no_strangers(running: &Running, attempts: &[Attempt]) {
    for (attempt, found) in attempts.iter().zip(running.probe(Somebody::stranger(), attempts)) {
        assert_eq!(found, Found::Refused(EACCES), "{}/{}", attempt.callee, attempt.caller);
    }
}

/// With the walls of the file system gone, the kernel's word on the peer still holds; root is no exception.
fn the_uid_counts_where_the_mode_does_not(running: &Running, attempts: &[Attempt]) {
    let of_daemons: Vec<Attempt> = attempts
        .iter()
        .filter(|attempt| house::daemon(&attempt.caller).is_some_and(house::Daemon::runs))
        .cloned()
        .collect();
    for attempt in &of_daemons {
        fs::set_permissions(&attempt.socket, fs::Permissions::from_mode(0o777)).unwrap();
    }
    let somebody = house::DAEMONS.iter().map(|caller| (caller.name, Somebody::caller(caller)));
    for (name, who) in somebody.chain([("stranger", Somebody::stranger())]) {
        let others: Vec<Attempt> =
            of_daemons.iter().filter(|attempt| attempt.caller != name).cloned().collect();
        for (attempt, found) in others.iter().zip(running.probe(who, &others)) {
            let place = format!("{name} on the open socket {}/{}", attempt.callee, attempt.caller);
            let Found::Connected(answers) = found else { panic!("{place}: {found:?}") };
            for (method, answer) in answers {
                assert_eq!(answer, Answer::Closed, "{place}: {method}");
            }
        }
    }
    for attempt in &of_daemons {
        fs::set_permissions(&attempt.socket, fs::Permissions::from_mode(0o600)).unwrap();
    }
}
